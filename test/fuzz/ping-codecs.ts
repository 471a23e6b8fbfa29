import { MAX_PAYLOAD_BYTES, parsePayload } from "../../src/core/ping/payload.ts";
import { formatPingVia, type PingTarget, parsePingTarget, parsePingVia } from "../../src/core/ping/target.ts";
import { formatHostPort } from "../../src/wire/endpoint.ts";
import { type FuzzCodec, must, text, textCodec } from "./codec.ts";

function printTarget(target: PingTarget): string {
  const suffix = target.protocol === null ? "" : `/${target.protocol}`;
  switch (target.kind) {
    case "host":
      return `${formatHostPort(target.host, target.port)}${suffix}`;
    case "port":
      return `${target.port}${suffix}`;
    case "name":
      return `${target.name}${suffix}`;
    default:
      return target satisfies never;
  }
}

/** What a person writes behind `hatchway ping`. */
export const ping: readonly FuzzCodec[] = [
  textCodec({
    name: "ping-target",
    seeds: text("db:5432", "[2001:db8::7]:53/udp", "25565", "19132/udp", "minecraft/tcp", "remote/web", "8810-8815"),
    parse: parsePingTarget,
    print: printTarget,
  }),
  textCodec({
    name: "ping-via",
    seeds: text("relay", "agent:the office", "socks5://proxy.example:1080", "socks5://[::1]/", "socks5://a@b:1"),
    parse: parsePingVia,
    print: formatPingVia,
  }),
  textCodec({
    name: "ping-payload",
    seeds: text("GET / HTTP/1.0\\r\\n\\r\\n", "\\x00\\xff\\\\", "hex:ff:fe 01", "hex:0", "é\\0"),
    parse: parsePayload,
    print: (bytes) => `hex:${bytes.toHex()}`,
    more: (bytes) => must(bytes.length > 0 && bytes.length <= MAX_PAYLOAD_BYTES, "a payload has its bounds"),
  }),
];
