/**
 * A slow line: `bun delay.ts LISTEN-PORT TO-HOST TO-PORT MS`. Whatever passes takes MS longer, each way. Says
 * `{"event":"ready"}` when it listens. (The kernel here has no netem.)
 */
import { delayingLink } from "../../fixtures/delaying-link.ts";
import { say } from "./bytes.ts";

const [listenPort = "", host = "", port = "", delayMs = ""] = process.argv.slice(2);
delayingLink({ host, port: Number(port) }, Number(delayMs), { host: "0.0.0.0", port: Number(listenPort) });
say({ event: "ready" });
