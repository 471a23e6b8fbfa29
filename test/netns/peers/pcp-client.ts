/**
 * A PCP client: `bun pcp-client.ts GATEWAY OP PROTOCOL INTERNAL EXTERNAL LIFETIME [OPTION]…`; one JSON line at the end,
 * `{ event: "done", answer }`. The answer is as the codec gives it, or null when none came.
 *
 * OP is map, peer or announce; PROTOCOL is tcp, udp, all or a number. `raw HEX` instead of all from OP on sends these
 * bytes; its answer is hexadecimal. Options:
 *   prefer-failure  third-party=ADDRESS  filter=CIDR[@PORT]  filter=none  nonce=HEX  remote=ADDRESS@PORT
 *   external-address=ADDRESS  client=ADDRESS (what the header says; default: the socket's own)  tries=N
 */
import { connectUdp } from "../../../src/dataplanes/io/udp-socket.ts";
import { parseCidr } from "../../../src/wire/address.ts";
import { MAPPING_SERVER_PORT } from "../../../src/wire/natpmp.ts";
import { type PcpBody, type PcpFilter, PcpProtocol } from "../../../src/wire/pcp/message.ts";
import { encodePcpRequest } from "../../../src/wire/pcp/request.ts";
import { decodePcpResponse } from "../../../src/wire/pcp/response.ts";
import { say } from "./bytes.ts";

/** RFC 6886 §3.1 begins so, and PCP's own 3 s (RFC 6887 §8.1.1) are for lines that lose more. */
const FIRST_WAIT_MS = 250;
const DEFAULT_TRIES = 6;

const [gateway = "", op = "", ...rest] = process.argv.slice(2);
const [protocol = "udp", internal = "0", external = "0", lifetime = "0", ...options] = rest;

const option = (name: string) =>
  options.filter((one) => one.startsWith(`${name}=`)).map((one) => one.slice(name.length + 1));
const one = (name: string) => option(name)[0] ?? null;

function filterOf(text: string): PcpFilter {
  if (text === "none") return { remote: null, remotePort: 0 };
  const [network = "", port = "0"] = text.split("@");
  const remote = parseCidr(network);
  if (!remote.ok) throw new Error(remote.error.message);
  return { remote: remote.value, remotePort: Number(port) };
}

function bodyOf(): PcpBody {
  if (op === "announce") return { opcode: "announce" };
  const mapping = {
    nonce: one("nonce") ?? crypto.getRandomValues(new Uint8Array(12)).toHex(),
    protocol: protocol in PcpProtocol ? PcpProtocol[protocol as keyof typeof PcpProtocol] : Number(protocol),
    internalPort: Number(internal),
    externalPort: Number(external),
    externalAddress: one("external-address") ?? (gateway.includes(":") ? "::" : "0.0.0.0"),
    thirdParty: one("third-party"),
  };
  if (op === "map") {
    const preferFailure = options.includes("prefer-failure");
    return { opcode: "map", ...mapping, preferFailure, filters: option("filter").map(filterOf) };
  }
  const [remoteAddress = "", remotePort = "0"] = (one("remote") ?? "").split("@");
  return { opcode: "peer", ...mapping, remoteAddress, remotePort: Number(remotePort) };
}

let answered = Promise.withResolvers<Uint8Array | null>();
const bound = connectUdp(gateway, MAPPING_SERVER_PORT, {
  data: (_socket, bytes) => answered.resolve(bytes.slice()),
  // "Port unreachable": nobody listens there.
  error: () => answered.resolve(null),
});
if (!bound.ok) throw bound.error;
const { value: socket } = bound;

function requestBytes(): Uint8Array {
  if (op === "raw") return Uint8Array.fromHex(protocol);
  const encoded = encodePcpRequest({
    lifetimeSec: Number(lifetime),
    clientAddress: one("client") ?? socket.address.address,
    body: bodyOf(),
  });
  if (!encoded.ok) throw new Error(`this request cannot be encoded: ${encoded.error.kind}`);
  return encoded.value;
}

async function ask(bytes: Uint8Array): Promise<Uint8Array | null> {
  let waitMs = FIRST_WAIT_MS;
  for (let left = Number(one("tries") ?? DEFAULT_TRIES); left > 0; left--) {
    answered = Promise.withResolvers();
    socket.send(bytes);
    const answer = await Promise.race([answered.promise, Bun.sleep(waitMs).then(() => null)]);
    if (answer !== null) return answer;
    waitMs *= 2;
  }
  return null;
}

const answer = await ask(requestBytes());
socket.close();
if (answer === null || op === "raw") {
  say({ event: "done", answer: answer?.toHex() ?? null });
} else {
  const decoded = decodePcpResponse(answer);
  say({ event: "done", answer: decoded.ok ? decoded.value : decoded.error });
}
