/**
 * A visitor that asks an echo steadily and never twice: `bun udp-steady.ts HOST PORT EVERY_MS`. Says
 * `{"event":"started"}` after the first answer, and on SIGTERM `{"event":"done","sent":…,"answered":…}` once the last
 * answers had time to come.
 */
import { say } from "./bytes.ts";

const LAST_ANSWERS_MS = 500;
const [host = "", port = "", everyMs = ""] = process.argv.slice(2);
const waiting = new Set<string>();
let sent = 0;
let answered = 0;

const socket = await Bun.udpSocket({
  connect: { hostname: host, port: Number(port) },
  socket: {
    data(_, data) {
      if (!waiting.delete(data.toString())) return;
      if (answered++ === 0) say({ event: "started" });
    },
  },
});
const timer = setInterval(() => {
  const text = `${sent++}`;
  waiting.add(text);
  socket.send(text);
}, Number(everyMs));
process.on("SIGTERM", () => {
  clearInterval(timer);
  setTimeout(() => {
    say({ event: "done", sent, answered });
    process.exit(0);
  }, LAST_ANSWERS_MS);
});
