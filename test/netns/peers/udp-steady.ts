/**
 * A visitor that asks an echo steadily and never twice: `bun udp-steady.ts HOST PORT EVERY_MS`. Says
 * `{"event":"started"}` after the first answer, and on SIGTERM `{"event":"done","sent":…,"answered":…}` once the last
 * answers had time to come.
 */
import { say } from "./bytes.ts";

/** At the most, when answers are missing. */
const LAST_ANSWERS_MS = 3_000;
const [host = "", port = "", everyMs = ""] = process.argv.slice(2);
const waiting = new Set<string>();
let sent = 0;
let answered = 0;
let ending = false;

const socket = await Bun.udpSocket({
  connect: { hostname: host, port: Number(port) },
  socket: {
    data(_, data) {
      if (!waiting.delete(data.toString())) return;
      if (answered++ === 0) say({ event: "started" });
      if (ending && waiting.size === 0) finish();
    },
  },
});
const timer = setInterval(() => {
  const text = `${sent++}`;
  waiting.add(text);
  socket.send(text);
}, Number(everyMs));
process.on("SIGTERM", () => {
  ending = true;
  clearInterval(timer);
  if (waiting.size === 0) finish();
  else setTimeout(finish, LAST_ANSWERS_MS);
});

function finish(): void {
  say({ event: "done", sent, answered });
  process.exit(0);
}
