import { NONCE_BYTES, UDP_PROBES } from "../../src/core/check/probes.ts";
import { parseCheckTarget } from "../../src/core/check/target.ts";
import { visitorOf } from "../../src/servers/visitor.ts";
import { type Cidr, compileCidrs, parseAddress } from "../../src/wire/address.ts";
import { formatHostPort } from "../../src/wire/endpoint.ts";
import { type FuzzCodec, hex, must, mustBeSmall, text, textCodec } from "./codec.ts";

const NONCE = Uint8Array.from({ length: NONCE_BYTES }, (_, index) => index + 1);
const PROXY = "192.0.2.1";
const PROXIES = compileCidrs(["192.0.2.0/24" as Cidr]);

export const check: readonly FuzzCodec[] = [
  textCodec({
    name: "check-target",
    seeds: text("25565", "19132/udp", "home.example:80/tcp", "[2001:db8::7]:53/udp", "*:80", "my web site", "80/"),
    parse: parseCheckTarget,
    print(target) {
      if (target.kind === "name") return target.name;
      const { host, port, protocol } = target;
      return `${host === null ? port : formatHostPort(host, port)}${protocol === null ? "" : `/${protocol}`}`;
    },
  }),
  {
    name: "check-answers",
    seeds: hex(
      "1c 0102030405060708 ffffffffffffffff 00ffff00fefefefefdfdfdfd12345678 0000",
      "ffffffff 49 11 6e616d65 00",
      "0102 8185 0001 0000 0000 0000 00 0006 0001",
      "80 00000000 08 090a0b0c0d0e0f10 08 0102030405060708 00000001",
      "0101 000c 2112a442 0102030405060708090a0b0c",
      "00010204 0102030405060708 00000001 00000064 0001f400",
      "40 1111111111111111 01 00000000",
    ),
    check(input) {
      const fitting = UDP_PROBES.filter((probe) => probe.fits(input, NONCE));
      // Short ones look alike (OpenVPN's reset is one byte): a probe only ever reads what its own question drew.
      must(input.length >= 4 || fitting.length === 0, "so few bytes are nobody's answer");
      return fitting.length > 0;
    },
  },
  {
    name: "check-forwarded-for",
    seeds: text("198.51.100.7", "10.0.0.1, 198.51.100.7, 192.0.2.9", "::ffff:198.51.100.7", "unknown, ,", "[::1]:80"),
    check(input) {
      const visitor = visitorOf(PROXY, new TextDecoder().decode(input), PROXIES);
      if (visitor === null) return false;
      mustBeSmall(visitor.length, input.length);
      const parsed = parseAddress(visitor);
      must(
        parsed.ok && parsed.value === visitor && !PROXIES.contains(visitor),
        "the visitor is an address, and no proxy",
      );
      return true;
    },
  },
];
