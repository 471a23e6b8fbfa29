/**
 * Connections that begin and never end: `bun half-open.ts HOST PORT COUNT`. A third says nothing, a third greets and stops, a
 * third greets and sends garbage. Says `{"event":"begun"}` when all were tried, and lives until it is ended.
 */
import { say } from "./bytes.ts";

const [host = "", port = "", count = ""] = process.argv.slice(2);
const WORDS = ["", "SSH-2.0-half\r\n", `SSH-2.0-half\r\n${"\u0000\u0000\u0001\u00f4garbage".repeat(60)}`];
const held: unknown[] = [];
const tries = Array.from({ length: Number(count) }, async (_, number) => {
  try {
    const socket = await Bun.connect({ hostname: host, port: Number(port), socket: { data: () => undefined } });
    socket.write(WORDS[number % WORDS.length] ?? "");
    held.push(socket);
  } catch {
    // Refused, which is what the relay may do.
  }
});
await Promise.all(tries);
say({ event: "begun", held: held.length });
setInterval(() => held.length, 60_000);
