/**
 * A program that maps many ports at once by NAT-PMP: `bun many-mappings.ts GATEWAY FIRST COUNT`. It asks for TCP FIRST,
 * FIRST + 1 … all together and asks each again until it is answered, as RFC 6886 §3.1 has it, but for ever. One JSON line
 * a mapping, `{ event: "granted", port, external }`, and `{ event: "done" }` after the last.
 */
import { connectUdp } from "../../../src/dataplanes/io/udp-socket.ts";
import { decodeNatPmpResponse, encodeNatPmpRequest, MAPPING_SERVER_PORT } from "../../../src/wire/natpmp.ts";
import { say } from "./bytes.ts";

const LIFETIME_SEC = 3600;
/** The RFC's first wait; it doubles from there, which would only make the scenario longer. */
const AGAIN_MS = 250;
const [gateway = "", first = "0", count = "0"] = process.argv.slice(2);
const waiting = new Set(Array.from({ length: Number(count) }, (_, index) => Number(first) + index));

const bound = connectUdp(gateway, MAPPING_SERVER_PORT, {
  data(_socket, bytes) {
    const decoded = decodeNatPmpResponse(bytes);
    if (!decoded.ok || decoded.value.kind !== "map" || !waiting.delete(decoded.value.internalPort)) return;
    say({ event: "granted", port: decoded.value.internalPort, external: decoded.value.externalPort });
    if (waiting.size > 0) return;
    say({ event: "done" });
    process.exit(0);
  },
  // "Port unreachable", while the gateway is away.
  error: () => undefined,
});
if (!bound.ok) throw bound.error;
const { value: socket } = bound;

function ask(): void {
  for (const port of waiting) {
    const request = { protocol: "tcp", internalPort: port, externalPort: port, lifetimeSec: LIFETIME_SEC } as const;
    try {
      socket.send(encodeNatPmpRequest({ kind: "map", ...request }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  }
}
ask();
setInterval(ask, AGAIN_MS);
