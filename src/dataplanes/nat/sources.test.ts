import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { RemotePeer } from "../../core/mapping/desk.ts";
import { type Cidr, compileCidrs, parseCidr } from "../../wire/address.ts";
import { isAddress, networkText, outermost, sourceRanges } from "./sources.ts";

const cidr = (text: string): Cidr => text as Cidr;
const peer = (network: string, port: number | null): RemotePeer => ({ network: cidr(network), port });
const all = { first: 0, last: 65_535 };

describe("sourceRanges", () => {
  const cases: [string, RemotePeer[], 4 | 6, ReturnType<typeof sourceRanges>][] = [
    ["nobody", [], 4, []],
    ["one network", [peer("10.0.0.0/8", null)], 4, [{ network: cidr("10.0.0.0/8"), ports: all }]],
    [
      "only the family asked for",
      [peer("10.0.0.0/8", null), peer("2001:db8::/32", null)],
      6,
      [{ network: cidr("2001:db8::/32"), ports: all }],
    ],
    [
      "one inside another",
      [peer("10.1.0.0/16", null), peer("10.0.0.0/8", null)],
      4,
      [{ network: cidr("10.0.0.0/8"), ports: all }],
    ],
    [
      "a port of a network that has all",
      [peer("10.1.0.0/16", 7), peer("10.0.0.0/8", null)],
      4,
      [{ network: cidr("10.0.0.0/8"), ports: all }],
    ],
    [
      "all ports inside a network of one port",
      [peer("10.0.0.0/8", 7), peer("10.1.0.0/16", null)],
      4,
      [
        { network: cidr("10.1.0.0/16"), ports: { first: 0, last: 6 } },
        { network: cidr("10.1.0.0/16"), ports: { first: 8, last: 65_535 } },
        { network: cidr("10.0.0.0/8"), ports: { first: 7, last: 7 } },
      ],
    ],
  ];
  test.each(cases)("%s", (_name, peers, family, expected) => {
    expect(sourceRanges(peers, family)).toEqual(expected);
  });

  const address = fc.tuple(fc.constantFrom(10, 11), fc.nat(3), fc.nat(3), fc.nat(3)).map((octets) => octets.join("."));
  const network = fc.tuple(address, fc.constantFrom(0, 7, 8, 15, 16, 30, 31, 32)).map(([text, bits]) => {
    const parsed = parseCidr(`${text}/${bits}`);
    if (!parsed.ok) throw new Error(parsed.error.message);
    return parsed.value;
  });
  const port = fc.constantFrom(1, 2, 65_535);
  const peers = fc.array(fc.record({ network, port: fc.option(port) }), { maxLength: 8 });

  test("every source is in exactly one range if a peer allows it, and in none if not", () => {
    fc.assert(
      fc.property(peers, address, fc.constantFrom(1, 2, 3, 65_535), (list, source, sourcePort) => {
        const inNetwork = (net: Cidr): boolean => compileCidrs([net]).contains(source);
        const allowed = list.some((one) => inNetwork(one.network) && (one.port === null || one.port === sourcePort));
        const ranges = sourceRanges(list, 4).filter(
          ({ network: net, ports }) => inNetwork(net) && sourcePort >= ports.first && sourcePort <= ports.last,
        );
        expect(ranges.length).toBe(allowed ? 1 : 0);
      }),
    );
  });
});

test("outermost leaves out what lies in another", () => {
  expect(
    outermost([cidr("10.0.0.0/8"), cidr("10.0.0.0/8"), cidr("10.2.0.0/16"), cidr("::/0"), cidr("11.0.0.0/8")], 4),
  ).toEqual([cidr("10.0.0.0/8"), cidr("11.0.0.0/8")]);
});

test.each([
  ["192.0.2.1/32", "192.0.2.1"],
  ["192.0.2.0/31", "192.0.2.0/31"],
  ["2001:db8::1/128", "2001:db8::1"],
  ["2001:db8::/32", "2001:db8::/32"],
])("%s is printed %s", (text, expected) => {
  expect(networkText(cidr(text))).toBe(expected);
});

test.each([
  ["192.0.2.1", 4, true],
  ["2001:db8::1", 6, true],
  ["2001:db8::1", 4, false],
  ["fe80::1%eth0", 6, false],
  ["192.0.2.1 }", 4, false],
  ["", 4, false],
] as const)("%p is an IPv%i address: %p", (text, family, expected) => {
  expect(isAddress(text, family)).toBe(expected);
});
