/** What a gateway announces on this link to NAT-PMP's and PCP's clients: one JSON line a datagram. */
import { createSocket } from "node:dgram";
import { decodeNatPmpResponse, MAPPING_CLIENT_PORT, mappingProtocolOf } from "../../../src/wire/natpmp.ts";
import { decodePcpResponse } from "../../../src/wire/pcp/response.ts";
import { say } from "./bytes.ts";

// A socket of both families hears no IPv4 multicast, and only node:dgram can make one of IPv6 alone beside that of IPv4.
const sockets = [createSocket("udp4"), createSocket({ type: "udp6", ipv6Only: true })];
for (const socket of sockets) {
  socket.on("message", (bytes, { address, port }) => {
    const protocol = mappingProtocolOf(bytes);
    const decoded = protocol === "pcp" ? decodePcpResponse(bytes) : decodeNatPmpResponse(bytes);
    const said = decoded.ok ? decoded.value : { error: decoded.error };
    say({ event: "announcement", protocol, from: address, port, ...said });
  });
  const bound = Promise.withResolvers<void>();
  socket.bind(MAPPING_CLIENT_PORT, () => bound.resolve());
  await bound.promise;
}
say({ event: "ready" });
