import type { ProxyProtocolVersion } from "../../core/forward.ts";
import { encodeProxyHeader } from "../../wire/proxy-protocol.ts";
import type { Visit } from "../io/ends.ts";

/** What the service reads before the visitor's first byte: who the visitor is and where it came to. */
export function proxyStreamHeader(version: ProxyProtocolVersion, { visitor, entry }: Visit): Uint8Array {
  return encodeProxyHeader(version, { kind: "visitor", transport: "stream", source: visitor, destination: entry });
}

/** What stands before each datagram. Version 1 knows no datagrams, so it is version 2 always. */
export function proxyDatagramPrefix({ visitor, entry }: Visit): Uint8Array {
  return encodeProxyHeader("v2", { kind: "visitor", transport: "datagram", source: visitor, destination: entry });
}
