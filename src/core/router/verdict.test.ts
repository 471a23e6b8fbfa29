import { describe, expect, test } from "bun:test";
import { failure } from "./keeper.fixture.ts";
import type { Gateway, RouterFailureKind, RouterProtocol } from "./model.ts";
import { judge, type VerdictKind } from "./verdict.ts";
import { type NetworkFacts, type ProtocolFacts, rangeOf, type VerdictCause } from "./verdict-facts.ts";

const V4: Gateway = { family: 4, address: "192.168.1.1", interfaceName: "eth0", ownAddress: "192.168.1.10", metric: 0 };
const V6: Gateway = { ...V4, family: 6, address: "fe80::1", ownAddress: "2a01:4f8::10" };
/** Public addresses, of nobody in particular. */
const ROUTER = "93.184.216.34";
const OTHER = "93.184.216.99";

const NOTHING: NetworkFacts = {
  gateways: { v4: null, v6: null },
  protocols: [],
  seen: { v4: null, v6: null },
  ownAddresses: ["192.168.1.10"],
  tunnels: { v4: null, v6: null },
};

/** A home with an IPv4 router, and what differs. */
function home(given: Partial<NetworkFacts> = {}): NetworkFacts {
  return { ...NOTHING, gateways: { v4: V4, v6: null }, ...given };
}

function speaks(protocol: RouterProtocol, externalAddress: string | null, family: 4 | 6 = 4): ProtocolFacts {
  return { protocol, family, failure: null, externalAddress };
}

function fails(
  protocol: RouterProtocol,
  kind: RouterFailureKind,
  externalAddress: string | null = null,
): ProtocolFacts {
  return { protocol, family: 4, failure: failure(kind), externalAddress };
}

const seen = (v4: string | null, v6: string | null = null) => ({ v4, v6 });
const own = (...ownAddresses: string[]) => ownAddresses;
const at = (given: Partial<Gateway>) => ({ v4: { ...V4, ...given }, v6: null });
const SILENT = (["pcp", "nat-pmp", "igd2", "igd1"] as const).map((protocol) => fails(protocol, "silent"));
const IPV6 = { gateways: { v4: V4, v6: V6 }, ownAddresses: own("192.168.1.10", "2a01:4f8::10") };

type Row = [string, NetworkFacts, VerdictKind, VerdictCause, "sure" | "unsure"];
const TABLE: Row[] = [
  // The router's address is public.
  [
    "the outside sees the router's address",
    home({ protocols: [speaks("pcp", ROUTER)], seen: seen(ROUTER) }),
    "open-internet",
    "seen-same",
    "sure",
  ],
  ["nobody outside says so", home({ protocols: [speaks("igd1", ROUTER)] }), "open-internet", "unconfirmed", "unsure"],
  [
    "STUN is in the same private network",
    home({ protocols: [speaks("pcp", ROUTER)], seen: seen("192.168.1.10") }),
    "open-internet",
    "unconfirmed",
    "unsure",
  ],
  [
    "the outside sees another public address",
    home({ protocols: [speaks("pcp", ROUTER)], seen: seen(OTHER) }),
    "cgnat",
    "seen-otherwise",
    "unsure",
  ],
  [
    "one protocol of many opens ports",
    home({ protocols: [fails("pcp", "refused"), speaks("igd1", ROUTER)], seen: seen(ROUTER) }),
    "open-internet",
    "seen-same",
    "sure",
  ],
  [
    "a lab's documentation addresses, seen alike",
    home({ protocols: [speaks("pcp", "203.0.113.5")], seen: seen("203.0.113.5") }),
    "open-internet",
    "seen-same",
    "sure",
  ],
  [
    "public, and every protocol refuses",
    home({ protocols: [fails("nat-pmp", "refused", ROUTER)], seen: seen(ROUTER) }),
    "blocked",
    "no-protocol",
    "sure",
  ],
  // It is not.
  [
    "shared address space (RFC 6598)",
    home({ protocols: [speaks("pcp", "100.64.0.1")], seen: seen(OTHER) }),
    "cgnat",
    "shared-outside",
    "sure",
  ],
  [
    "its last address, unseen",
    home({ protocols: [speaks("igd2", "100.127.255.254")] }),
    "cgnat",
    "shared-outside",
    "sure",
  ],
  [
    "a cloud's metadata address in it is no exception",
    home({ protocols: [speaks("igd2", "100.100.100.200")] }),
    "cgnat",
    "shared-outside",
    "sure",
  ],
  [
    "just below it: public",
    home({ protocols: [speaks("pcp", "100.63.255.255")] }),
    "open-internet",
    "unconfirmed",
    "unsure",
  ],
  [
    "just above it: public",
    home({ protocols: [speaks("pcp", "100.128.0.0")] }),
    "open-internet",
    "unconfirmed",
    "unsure",
  ],
  [
    "shared, and it refuses: no forward would help",
    home({ protocols: [fails("igd1", "refused", "100.64.0.1")] }),
    "cgnat",
    "shared-outside",
    "sure",
  ],
  [
    "192.168: another router of a home",
    home({ protocols: [speaks("pcp", "192.168.178.20")], seen: seen(OTHER) }),
    "double-nat",
    "home-range-outside",
    "sure",
  ],
  [
    "10: a router or a provider",
    home({ protocols: [speaks("pcp", "10.20.30.40")], seen: seen(OTHER) }),
    "double-nat",
    "private-outside",
    "unsure",
  ],
  [
    "172.16: a router or a provider",
    home({ protocols: [speaks("igd1", "172.16.0.9")] }),
    "double-nat",
    "private-outside",
    "unsure",
  ],
  [
    "double NAT, and it refuses: both are to be told",
    home({ protocols: [fails("igd1", "refused", "192.168.0.2")] }),
    "double-nat",
    "home-range-outside",
    "sure",
  ],
  [
    "DS-Lite's address (RFC 6333)",
    home({ protocols: [speaks("igd2", "192.0.0.2")], seen: seen(OTHER) }),
    "cgnat",
    "translated-ipv4",
    "sure",
  ],
  [
    "reserved, seen otherwise",
    home({ protocols: [speaks("pcp", "240.0.0.1")], seen: seen(OTHER) }),
    "cgnat",
    "not-internet",
    "unsure",
  ],
  ["nobody gave it one", home({ protocols: [speaks("igd1", "169.254.3.4")] }), "no-network", "line-down", "sure"],
  [
    "the best protocol's address counts",
    home({ protocols: [speaks("igd1", "10.0.0.1"), speaks("pcp", ROUTER)], seen: seen(ROUTER) }),
    "open-internet",
    "seen-same",
    "sure",
  ],
  [
    "of two addresses the one that is seen counts",
    home({ protocols: [speaks("pcp", "10.0.0.1"), speaks("igd1", ROUTER)], seen: seen(ROUTER) }),
    "open-internet",
    "seen-same",
    "sure",
  ],
  // It is not told.
  [
    "the router says that it has none",
    home({ protocols: [fails("igd1", "no-uplink")] }),
    "no-network",
    "line-down",
    "sure",
  ],
  [
    "it says so, and IPv4 works: something translates",
    home({ protocols: [fails("igd1", "no-uplink")], seen: seen(OTHER) }),
    "cgnat",
    "outless",
    "unsure",
  ],
  [
    "it opens ports and tells nothing",
    home({ protocols: [speaks("pcp", null)], seen: seen(OTHER) }),
    "open-internet",
    "untold",
    "unsure",
  ],
  ["nor does the outside", home({ protocols: [speaks("pcp", null)] }), "open-internet", "untold", "unsure"],
  [
    "this machine is in shared address space",
    home({ gateways: at({ ownAddress: "100.70.1.2" }), protocols: SILENT, seen: seen(OTHER) }),
    "cgnat",
    "shared-inside",
    "sure",
  ],
  [
    "its router is",
    home({ gateways: at({ address: "100.64.0.1" }), protocols: SILENT }),
    "cgnat",
    "shared-inside",
    "sure",
  ],
  [
    "a Tailscale address of its own says nothing",
    home({ ownAddresses: own("192.168.1.10", "100.70.1.2"), protocols: SILENT }),
    "blocked",
    "no-protocol",
    "sure",
  ],
  ["no protocol answers", home({ protocols: SILENT, seen: seen(OTHER) }), "blocked", "no-protocol", "sure"],
  ["nor does STUN", home({ protocols: SILENT }), "blocked", "no-protocol", "sure"],
  ["nothing was asked", home(), "blocked", "no-protocol", "sure"],
  [
    "no route names a router, and the internet is there",
    { ...NOTHING, seen: seen(OTHER) },
    "blocked",
    "no-protocol",
    "sure",
  ],
  [
    "IPv6 opens ports, IPv4 does not",
    home({ ...IPV6, protocols: [...SILENT, speaks("pcp", null, 6)], seen: seen(OTHER) }),
    "blocked",
    "no-protocol",
    "sure",
  ],
  // This machine.
  [
    "its own address is seen",
    home({ ownAddresses: own(ROUTER), gateways: at({ ownAddress: ROUTER }), seen: seen(ROUTER) }),
    "public-here",
    "own-public",
    "sure",
  ],
  [
    "its own address is public, unseen",
    home({ gateways: at({ ownAddress: ROUTER }) }),
    "public-here",
    "own-public",
    "sure",
  ],
  [
    "its own address is seen, without a router",
    { ...NOTHING, ownAddresses: own(ROUTER), seen: seen(ROUTER) },
    "public-here",
    "own-public",
    "sure",
  ],
  [
    "its own address is public, and seen otherwise",
    home({ gateways: at({ ownAddress: ROUTER }), ownAddresses: own(ROUTER), seen: seen(OTHER) }),
    "cgnat",
    "seen-otherwise",
    "unsure",
  ],
  [
    "a public address elsewhere on it does not count",
    home({ ownAddresses: own("192.168.1.10", ROUTER), protocols: SILENT }),
    "blocked",
    "no-protocol",
    "sure",
  ],
  [
    "public here, by a VPN's address",
    { ...NOTHING, tunnels: { v4: "wg0", v6: null }, ownAddresses: own(ROUTER), seen: seen(ROUTER) },
    "public-here",
    "own-public",
    "sure",
  ],
  // Other ways.
  ["a VPN", { ...NOTHING, tunnels: { v4: "wg0", v6: "wg0" }, seen: seen(OTHER) }, "vpn", "tunnel", "sure"],
  [
    "a VPN, and the router is still in the routes",
    home({ tunnels: { v4: "tun0", v6: null }, protocols: [speaks("pcp", ROUTER)], seen: seen(OTHER) }),
    "vpn",
    "tunnel",
    "sure",
  ],
  ["a VPN for IPv6 alone, and no IPv4", { ...NOTHING, tunnels: { v4: null, v6: "he6" } }, "vpn", "tunnel", "sure"],
  [
    "a tunnel for IPv6 beside an IPv4 router",
    home({ tunnels: { v4: null, v6: "he6" }, protocols: [speaks("pcp", ROUTER)], seen: seen(ROUTER) }),
    "open-internet",
    "seen-same",
    "sure",
  ],
  [
    "IPv6 alone",
    { ...NOTHING, gateways: { v4: null, v6: V6 }, ownAddresses: own("2a01:4f8::10") },
    "ipv6-only",
    "no-ipv4",
    "sure",
  ],
  [
    "IPv6 alone, and IPv4 by a translator (464XLAT)",
    { ...NOTHING, gateways: { v4: null, v6: V6 }, seen: seen(OTHER) },
    "ipv6-only",
    "no-ipv4",
    "sure",
  ],
  ["nothing", NOTHING, "no-network", "no-router", "sure"],
  [
    "nothing but a STUN server of the same network",
    { ...NOTHING, seen: seen("10.0.0.9") },
    "no-network",
    "no-router",
    "sure",
  ],
];

test.each(TABLE)("%s", (_, facts, kind, cause, sure) => {
  expect(judge(facts)).toMatchObject({ kind, cause, sure: sure === "sure" });
});

test("the table meets every cause", () => {
  const causes: Record<VerdictCause, true> = {
    "own-public": true,
    tunnel: true,
    "no-router": true,
    "no-ipv4": true,
    "line-down": true,
    "shared-outside": true,
    "shared-inside": true,
    "translated-ipv4": true,
    outless: true,
    "not-internet": true,
    "seen-otherwise": true,
    "home-range-outside": true,
    "private-outside": true,
    "no-protocol": true,
    "seen-same": true,
    unconfirmed: true,
    untold: true,
  };
  expect([...new Set(TABLE.map((row) => row[3]))].toSorted()).toEqual(Object.keys(causes).toSorted() as VerdictCause[]);
});

test("every verdict has evidence and advice, in whole sentences; what cannot work is sent to a relay", () => {
  for (const [name, facts, kind] of TABLE) {
    const { evidence, advice } = judge(facts);
    expect([name, evidence.length > 0, advice.length > 0]).toEqual([name, true, true]);
    for (const sentence of [...evidence, ...advice]) {
      expect(sentence).toMatch(/^[A-Z0-9].*\.$/);
      expect(sentence).not.toMatch(/null|undefined/);
    }
    const sendsToRelay = advice.join(" ").includes("hatchway expose --via relay");
    const mustSend = ["cgnat", "double-nat", "blocked", "vpn", "ipv6-only"].includes(kind);
    if (mustSend) expect([name, sendsToRelay]).toEqual([name, true]);
  }
});

describe("words", () => {
  const words = (facts: NetworkFacts) => {
    const { evidence, advice } = judge(facts);
    return { evidence, advice };
  };

  test("open internet", () => {
    const protocols = [speaks("pcp", ROUTER), fails("nat-pmp", "silent"), speaks("igd2", ROUTER)];
    expect(words(home({ protocols, seen: seen(ROUTER) }))).toEqual({
      evidence: [
        "The router is 192.168.1.1, and knows this machine as 192.168.1.10.",
        `The router's address outside is ${ROUTER}, by PCP and UPnP (IGD 2).`,
        `Servers outside see this machine as ${ROUTER} too.`,
        "The router opens ports by PCP and UPnP (IGD 2).",
        "The router does not answer NAT-PMP.",
      ],
      advice: ["Open ports with hatchway map."],
    });
  });

  test("CGNAT by the shared range, with IPv6 as a way out", () => {
    const protocols = [speaks("pcp", "100.72.3.4"), speaks("pcp", null, 6)];
    expect(words(home({ ...IPV6, protocols, seen: seen(OTHER) }))).toEqual({
      evidence: [
        "The router is 192.168.1.1, and knows this machine as 192.168.1.10.",
        "The router's address outside is 100.72.3.4, by PCP.",
        "100.72.3.4 is of 100.64.0.0/10, which is for providers that put many customers behind one address (RFC 6598).",
        `Servers outside see this machine as ${OTHER}, which is not the router's address.`,
        "The router opens ports by PCP.",
        "This machine has the public IPv6 address 2a01:4f8::10, and the router opens ports to it: there nothing is translated.",
      ],
      advice: [
        "A forward on the router cannot work, because the provider translates its address. Use a relay: hatchway expose --via relay.",
        "Visitors that have IPv6 can come to 2a01:4f8::10: hatchway map opens the port there.",
        "Or ask the provider for a public IPv4 address of your own.",
      ],
    });
  });

  test("a private address that may be either: both readings, and what tells them apart", () => {
    expect(words(home({ protocols: [speaks("igd1", "10.20.30.40")] }))).toEqual({
      evidence: [
        "The router is 192.168.1.1, and knows this machine as 192.168.1.10.",
        "The router's address outside is 10.20.30.40, by UPnP (IGD 1).",
        "10.20.30.40 is a private address (RFC 1918): another router of yours hands those out, and so do some providers.",
        "No STUN server told how this machine looks from outside.",
        "The router opens ports by UPnP (IGD 1).",
      ],
      advice: [
        "Look where the router's cable leads. If to another router of yours or the provider's box, put that into bridge mode, or forward the port there as well, to 10.20.30.40.",
        "If straight into the line, the provider translates the address (CGNAT), and no forward can work.",
        "A relay works either way: hatchway expose --via relay.",
      ],
    });
  });

  test("blocked: what each protocol said, and how to see whether a forward by hand can work", () => {
    const protocols = [fails("pcp", "silent"), fails("nat-pmp", "closed"), fails("igd2", "refused")];
    expect(words(home({ protocols, seen: seen(OTHER) }))).toEqual({
      evidence: [
        "The router is 192.168.1.1, and knows this machine as 192.168.1.10.",
        `Servers outside see this machine as ${OTHER}.`,
        "The router does not answer PCP or NAT-PMP.",
        "UPnP (IGD 2): The router was refused.",
      ],
      advice: [
        "On the router's web page (http://192.168.1.1) turn on UPnP, NAT-PMP or PCP, or forward the port by hand to 192.168.1.10.",
        `That page also shows the router's address outside: if it is not ${OTHER}, something above translates, and no forward can work.`,
        "Or use a relay, which needs no forward: hatchway expose --via relay.",
      ],
    });
  });

  test("protocols that tell different addresses are all named", () => {
    const { evidence } = words(
      home({ protocols: [speaks("igd1", "10.0.0.1"), speaks("pcp", ROUTER)], seen: seen(ROUTER) }),
    );
    expect(evidence.slice(1, 4)).toEqual([
      "The router's address outside is 10.0.0.1, by UPnP (IGD 1).",
      "10.0.0.1 is a private address (RFC 1918): another router of yours hands those out, and so do some providers.",
      `The router's address outside is ${ROUTER}, by PCP.`,
    ]);
  });

  test("a VPN", () => {
    expect(words({ ...NOTHING, tunnels: { v4: "wg0", v6: "wg0" }, seen: seen(OTHER) })).toEqual({
      evidence: [
        "Everything leaves through wg0, a tunnel: no router is asked on that way.",
        `Servers outside see this machine as ${OTHER}: the far end of the tunnel.`,
      ],
      advice: [
        "Use a relay, which works through the tunnel: hatchway expose --via relay.",
        "Or look whether the VPN forwards a port to you: many do when asked.",
        "The router can help only while the tunnel is down: what comes in by the router would be answered through the tunnel.",
      ],
    });
  });

  test("public here", () => {
    expect(
      words(home({ gateways: at({ ownAddress: ROUTER }), ownAddresses: own(ROUTER), seen: seen(ROUTER) })),
    ).toEqual({
      evidence: [
        `This machine itself has the public address ${ROUTER}.`,
        `Servers outside see this machine as ${ROUTER}.`,
      ],
      advice: [
        `No router is needed: open the port in this machine's own firewall, and visitors come to ${ROUTER}.`,
        "At a hosting provider, allow the port in the provider's firewall as well.",
      ],
    });
  });
});

test.each([
  ["100.64.0.0", "shared"],
  ["100.127.255.255", "shared"],
  ["100.63.255.255", "public"],
  ["100.128.0.0", "public"],
  ["192.168.0.1", "home"],
  ["10.0.0.1", "private"],
  ["172.31.255.255", "private"],
  ["172.32.0.0", "public"],
  ["192.0.0.2", "ds-lite"],
  ["192.0.2.1", "reserved"],
  ["169.254.1.1", "unusable"],
  ["0.0.0.0", "unusable"],
  ["127.0.0.1", "unusable"],
  ["224.0.0.1", "unusable"],
  ["8.8.8.8", "public"],
] as const)("the range of %s is %s", (address, range) => {
  expect(rangeOf(address)).toBe(range);
});
