// An app that uses the library, on Node or Bun: `library-app.mjs PORTS OPTIONS`. One JSON line for all that it is told;
// SIGINT aborts, and it ends when nothing keeps it running any more.
import { openPort } from "hatchway";

const [, , ports, options] = process.argv;
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
const tell = (event, rest) => process.stdout.write(`${JSON.stringify({ event, ...rest })}\n`);

try {
  const port = await openPort(ports, { ...JSON.parse(options), signal: stop.signal });
  const { endpoints, router, note } = port;
  tell("open", { endpoints, router, note, runtime: process.versions.bun === undefined ? "node" : "bun" });
  for await (const { type, ...rest } of port.events()) tell(type, { ...rest, state: port.state });
  tell("closed", { state: port.state });
} catch ({ name, kind, message }) {
  tell("error", { name, kind, message });
}
