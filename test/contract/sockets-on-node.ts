import { nodeSockets } from "../../src/dataplanes/io/node-sockets.ts";
import { DATAGRAM_CASES } from "./datagrams.ts";
import { SOCKET_CASES, tlsCase } from "./sockets.ts";

const CASE_MS = 2_500;

/** Runs on Node: prints what failed, by case; see sockets.test.ts. */
const failures: Record<string, string> = {};
const tooLong = (name: string) =>
  new Promise((_, reject) => setTimeout(reject, CASE_MS, new Error(`${name} does not end`)).unref());
const cases: typeof SOCKET_CASES = {
  ...SOCKET_CASES,
  ...DATAGRAM_CASES,
  TLS: () => tlsCase(nodeSockets(), JSON.parse(process.argv[2] ?? "")),
};
for (const [name, run] of Object.entries(cases)) {
  try {
    await Promise.race([run(nodeSockets()), tooLong(name)]);
  } catch (error) {
    failures[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
console.log(JSON.stringify({ cases: Object.keys(cases).length, failures }));
// What hangs in a case that failed must not hold it.
process.exit();
