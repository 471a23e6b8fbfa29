import { describe, expect, test } from "bun:test";
import type { Cidr } from "../../wire/address.ts";
import { decodeClientConfig, encodeClientConfig } from "../../wire/wireguard/client-config.ts";
import { type ClientRoutes, clientAdvice, clientConfig } from "./client-config.ts";
import { keyOf, onePeer, SETTINGS } from "./vpn.fixture.ts";

const keys = { privateKey: keyOf(90), serverPublicKey: keyOf(91) };
const settings = { ...SETTINGS, dns: ["10.77.0.1"] };
const peer = onePeer({ presharedKey: keyOf(92) });
const FULL: ClientRoutes = { kind: "full", ownTable: false };

describe("a peer's file", () => {
  test("of a full tunnel takes all traffic and the server's resolver, and keeps NAT open", () => {
    const config = clientConfig(settings, peer, keys, FULL);
    expect(config).toEqual({
      privateKey: keyOf(90),
      addresses: [
        { address: "10.77.0.2", prefix: 32 },
        { address: "fd01:101:101:101::2", prefix: 128 },
      ],
      dns: ["10.77.0.1"],
      mtu: 1420,
      ownTable: null,
      server: {
        publicKey: keyOf(91),
        presharedKey: keyOf(92),
        allowedIps: ["0.0.0.0/0", "::/0"] as Cidr[],
        endpoint: { host: "vpn.example.com", port: 51820 },
        keepaliveSec: 25,
      },
    });
    expect(decodeClientConfig(encodeClientConfig(config))).toEqual({ ok: true, value: config });
  });

  test("of a split tunnel takes what is for the VPN and no resolver", () => {
    const networks = ["192.168.1.0/24", "10.77.0.0/24"] as Cidr[];
    const config = clientConfig(settings, peer, keys, { kind: "split", networks });
    expect(config.server.allowedIps).toEqual(["10.77.0.0/24", "fd01:101:101:101::/64", "192.168.1.0/24"] as Cidr[]);
    expect(config.dns).toEqual([]);
    expect(clientAdvice(config)).toEqual([]);
  });
});

test.each<[string, string, ClientRoutes, string[]]>([
  ["a name and shared routes", "vpn.example.com", FULL, ["namedEndpoint", "dhcpRoutes", "killSwitch"]],
  ["an address and shared routes", "2001:db8::1", FULL, ["dhcpRoutes", "killSwitch"]],
  ["an address and routes of its own", "192.0.2.1", { kind: "full", ownTable: true }, []],
])("advice for %s", (_what, endpointHost, routes, kinds) => {
  const advice = clientAdvice(clientConfig({ ...settings, endpointHost }, peer, keys, routes));
  expect(advice.map(({ kind }) => kind) as string[]).toEqual(kinds);
});
