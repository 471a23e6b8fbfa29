import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { NatEntry } from "../../src/dataplanes/nat/state.ts";
import { cidr, natForward, natPinhole } from "../contract/nat-plane.ts";
import { type Host, VISITOR_SECOND_V4, VISITOR_SECOND_V6 } from "./lab.ts";
import { createNatLab, type NatLab } from "./nat-plane-lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(30_000);

const GATEWAY = "203.0.113.20";
const VISITOR = "203.0.113.10";
const AGENT = "192.168.77.2";
const OTHER = "192.168.78.2";
const AGENT6 = "fd00:77::2";

const made: { net: NatLab | null } = { net: null };
const net = (): NatLab => made.net!;

beforeAll(async () => {
  made.net = createNatLab();
  const { lab, serve } = net();
  const both = (...ports: number[]): string[] => ports.flatMap((port) => [`tcp:${port}`, `udp:${port}`]);
  await serve(lab.agent, "agent", ...both(8001, 9002, 8010, 8012, 8015, 9020, 9022, 9023));
  await serve(lab.other, "other", ...both(8001, 8003, 6000, 6005));
  await serve(lab.visitor, "visitor", ...both(7000, 6667));
  await serve(lab.nat, "gateway", ...both(5351, 51_820, 22));
  // So that the visitor can try to reach inside hosts as a neighbour on the line could.
  await lab.exec(lab.visitor, ["ip", "route", "add", "192.168.77.0/24", "via", GATEWAY]);
  await lab.exec(lab.visitor, ["ip", "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
});
afterAll(async () => {
  await net()[Symbol.asyncDispose]();
});

const ask = (protocol: "tcp" | "udp", from: Host, to: string, port: number, bind?: string): Promise<string> =>
  protocol === "tcp" ? net().askTcp(from, to, port, bind) : net().askUdp(from, to, port, bind);
const attempt = (protocol: "tcp" | "udp", from: Host, to: string, port: number, bind?: string) => () =>
  protocol === "tcp" ? net().tcpAttempt(from, to, port, bind) : net().udpAttempt(from, to, port, bind);
/** `NAME PORT VISITOR`, without the visitor's port. */
const who = (answer: string): string => answer.split(" ").slice(0, 3).join(" ");

describe.each(["tcp", "udp"] as const)("a visitor by %s", (protocol) => {
  const forwards: [string, NatEntry, number, string][] = [
    ["one port", natForward({ protocol, first: 8001 }), 8001, "agent 8001"],
    ["another port inside", natForward({ protocol, first: 8002, internalFirst: 9002 }), 8002, "agent 9002"],
    ["another host", natForward({ protocol, first: 8003, to: OTHER }), 8003, "other 8003"],
    ["the first of a range", natForward({ protocol, first: 8010, last: 8015 }), 8010, "agent 8010"],
    ["the last of a range", natForward({ protocol, first: 8010, last: 8015 }), 8015, "agent 8015"],
    [
      "inside a shifted range",
      natForward({ protocol, first: 8020, last: 8023, internalFirst: 9020 }),
      8022,
      "agent 9022",
    ],
  ];
  test.each(forwards)("reaches %s and is seen by its own address", async (_name, entry, port, expected) => {
    await net().set({}, [entry]);
    expect(who(await ask(protocol, net().lab.visitor, GATEWAY, port))).toBe(`${expected} ${VISITOR}`);
  });

  test("is let in by an entry that changes, at the new place only", async () => {
    await net().set({}, [natForward({ id: "one", protocol, first: 8030, internalFirst: 8001 })]);
    expect(who(await ask(protocol, net().lab.visitor, GATEWAY, 8030))).toBe(`agent 8001 ${VISITOR}`);
    const moved = natForward({ id: "one", protocol, first: 8030, internalFirst: 8001, to: OTHER });
    expect(await net().plane.change({ put: [moved], remove: [] })).toEqual({ ok: true, value: null });
    expect(who(await ask(protocol, net().lab.visitor, GATEWAY, 8030))).toBe(`other 8001 ${VISITOR}`);
  });

  const hairpins: [string, "agent" | "other", string][] = [
    ["a host of another network", "other", "192.168.77.1"],
    ["the forward's own host", "agent", "192.168.77.1"],
  ];
  test.each(hairpins)("from inside, %s reaches the external address", async (_name, from, seenAs) => {
    await net().set({}, [natForward({ protocol, first: 8001 })]);
    expect(who(await ask(protocol, net().lab[from], GATEWAY, 8001))).toBe(`agent 8001 ${seenAs}`);
  });
});

describe("who may come", () => {
  const allow = [{ network: cidr("203.0.113.10/32"), port: null }];
  const deny = [cidr("203.0.113.11/32")];
  beforeAll(async () => {
    // What an administrator adds so that Docker's or firewalld's drops let forwards in; it must not open more.
    await net().nft(
      "add table inet admin; add chain inet admin forward { type filter hook forward priority -300; }; add rule inet admin forward ct status dnat accept; add chain inet admin pre { type filter hook prerouting priority -300; }; add rule inet admin pre accept",
    );
  });
  afterAll(async () => {
    await net().nft("delete table inet admin");
  });

  const cases: [string, NatEntry][] = [
    ["one port that allows", natForward({ first: 8001, allow })],
    ["one port that denies", natForward({ first: 8001, deny })],
    ["a range that allows", natForward({ first: 8000, last: 8015, allow })],
    ["a range that denies", natForward({ first: 8000, last: 8015, deny })],
    [
      "overlapping lists",
      natForward({
        first: 8001,
        allow: [
          { network: cidr("203.0.113.10/31"), port: 7 },
          { network: cidr("203.0.113.10/32"), port: null },
          { network: cidr("203.0.113.10/32"), port: 9 },
        ],
      }),
    ],
  ];
  test.each(cases)("%s", async (_name, entry) => {
    const { lab, dropped, set } = net();
    await set({}, [entry]);
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR))).toBe(`agent 8001 ${VISITOR}`);
    expect(await dropped("sourceNotAllowed", attempt("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toEqual(
      [],
    );
  });

  test("one source port", async () => {
    const { lab, set, dropped, askUdp, udpAttempt } = net();
    const entry = natForward({ protocol: "udp", first: 8001, allow: [{ network: cidr("203.0.113.0/24"), port: 7 }] });
    await set({}, [entry]);
    expect(await askUdp(lab.visitor, GATEWAY, 8001, VISITOR, 7)).toBe(`agent 8001 ${VISITOR} 7`);
    expect(await dropped("sourceNotAllowed", () => udpAttempt(lab.visitor, GATEWAY, 8001, VISITOR, 8))).toEqual([]);
  });

  const everywhere: [string, Parameters<NatLab["set"]>[0]][] = [
    ["denied for all forwards", { sources: { allow: [], deny } }],
    ["not among those allowed for all forwards", { sources: { allow: [cidr("203.0.113.10/32")], deny: [] } }],
    ["allowed and denied for all forwards", { sources: { allow: [cidr("203.0.113.0/24")], deny } }],
  ];
  test.each(everywhere)("%s", async (_name, settings) => {
    const { lab, dropped, set } = net();
    await set(settings, [natForward({ first: 8001 })]);
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR))).toBe(`agent 8001 ${VISITOR}`);
    expect(await dropped("sourceNotAllowed", attempt("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toEqual(
      [],
    );
  });

  test("from inside to the external address, too", async () => {
    const { lab, dropped, set } = net();
    await set({}, [natForward({ first: 8001, allow })]);
    expect(await dropped("sourceNotAllowed", attempt("tcp", lab.other, GATEWAY, 8001))).toEqual([]);
  });

  test("a list changes without a word to other entries", async () => {
    const { lab, dropped, set, plane } = net();
    const entry = natForward({ id: "one", first: 8001 });
    await set({}, [entry]);
    await plane.change({ put: [{ ...entry, allow }], remove: [] });
    expect(await dropped("sourceNotAllowed", attempt("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toEqual(
      [],
    );
    await plane.change({ put: [entry], remove: [] });
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toBe(
      `agent 8001 ${VISITOR_SECOND_V4}`,
    );
  });
});

describe("limits of one source", () => {
  test("connections at once: a source is refused, another is not", async () => {
    const { lab, dropped, set, peer } = net();
    await set({ limits: { connectionsPerSource: 2, newPerSourcePerSec: null } }, [natForward({ first: 8001 })]);
    await using holder = peer(lab.visitor, "hold", GATEWAY, 8001, 2, VISITOR_SECOND_V4);
    await holder.line("two connections", (line) => (line.includes('"held":2') ? true : undefined));
    expect(await dropped("connectionLimit", attempt("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toEqual([]);
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR))).toBe(`agent 8001 ${VISITOR}`);
  });

  test("an entry's own limit goes before, and comes with a change", async () => {
    const { lab, dropped, set, peer, plane } = net();
    await set({ limits: { connectionsPerSource: 1, newPerSourcePerSec: null } }, []);
    const entry = natForward({ first: 8001, limits: { connectionsPerSource: 3, newPerSourcePerSec: null } });
    expect(await plane.change({ put: [entry], remove: [] })).toEqual({ ok: true, value: null });
    await using holder = peer(lab.visitor, "hold", GATEWAY, 8001, 3, VISITOR);
    await holder.line("three connections", (line) => (line.includes('"held":3') ? true : undefined));
    expect(await dropped("connectionLimit", attempt("tcp", lab.visitor, GATEWAY, 8001, VISITOR))).toEqual([]);
  });

  test("new ones a second", async () => {
    const { lab, dropped, set, peer } = net();
    await set({ limits: { connectionsPerSource: null, newPerSourcePerSec: 1 } }, [natForward({ first: 8001 })]);
    await dropped("rateLimit", () => peer(lab.visitor, "hold", GATEWAY, 8001, 10, VISITOR_SECOND_V4));
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR))).toBe(`agent 8001 ${VISITOR}`);
  });

  test("new ones a minute, by whole numbers in the kernel's words", async () => {
    const { lab, dropped, set, peer } = net();
    const limits = { connectionsPerSource: null, newPerSourcePerSec: 0.5 };
    await set({ limits }, [natForward({ first: 8001 }), natForward({ id: "b", first: 8002, limits })]);
    await dropped("rateLimit", () => peer(lab.visitor, "hold", GATEWAY, 8001, 3, VISITOR_SECOND_V4));
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR))).toBe(`agent 8001 ${VISITOR}`);
  });

  test("a long UDP flow that nobody answers is one new one", async () => {
    const { lab, set, udpAttempt, plane } = net();
    await set({ limits: { connectionsPerSource: null, newPerSourcePerSec: 1 } }, [
      natForward({ id: "silent", protocol: "udp", first: 8040, to: "192.168.77.9" }),
    ]);
    // Nobody has this address: a neighbour that answers would end the flow.
    await lab.exec(lab.nat, ["ip", "neigh", "replace", "192.168.77.9", "lladdr", "02:00:00:00:00:09", "dev", "lan1"]);
    const before = (await plane.drops()).rateLimit;
    await using sender = udpAttempt(lab.visitor, GATEWAY, 8040);
    await sender.event("sent");
    await eventually("six datagrams", async () =>
      ((await plane.usage()).get("silent")?.packetsIn ?? 0) >= 6 ? true : undefined,
    );
    expect((await plane.drops()).rateLimit).toBe(before);
    expect((await plane.usage()).get("silent")?.visitorsTotal).toBe(1);
  });

  test("a flood from one source leaves the others their service", async () => {
    const { lab, set, peer } = net();
    await set({ limits: { connectionsPerSource: 50, newPerSourcePerSec: 20 } }, [natForward({ first: 8001 })]);
    await using flood = peer(lab.visitor, "hold", GATEWAY, 8001, 2_000, VISITOR_SECOND_V4);
    await flood.line("the flood", (line) => (line.includes('"held":30') ? true : undefined));
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR)),
    );
    expect(answers.map(who)).toEqual(answers.map(() => `agent 8001 ${VISITOR}`));
  });

  test("a /64 of IPv6 is one source", async () => {
    const { lab, dropped, set, peer } = net();
    await set({ limits: { connectionsPerSource: 2, newPerSourcePerSec: null } }, [natPinhole({ first: 8001 })]);
    await using holder = peer(lab.visitor, "hold", AGENT6, 8001, 2, lab.visitor.v6);
    await holder.line("two connections", (line) => (line.includes('"held":2') ? true : undefined));
    expect(await dropped("connectionLimit", attempt("tcp", lab.visitor, AGENT6, 8001, VISITOR_SECOND_V6))).toEqual([]);
  });
});

describe("what is not forwarded", () => {
  test.each([
    ["IPv4", AGENT],
    ["IPv6", AGENT6],
  ])("an inside host is not reached by %s", async (_name, address) => {
    const { lab, dropped, set } = net();
    await set({}, []);
    expect(await dropped("unforwarded", attempt("tcp", lab.visitor, address, 8001))).toEqual([]);
  });

  test("unless that is another's matter", async () => {
    await net().set({ dropUnforwarded: false }, []);
    expect(who(await ask("tcp", net().lab.visitor, AGENT, 8001))).toBe(`agent 8001 ${VISITOR}`);
  });

  test("ports of the gateway's servers for clients answer inside only", async () => {
    const { lab, dropped, set } = net();
    await set({ insideOnly: { tcp: [], udp: [5351] } }, []);
    expect(await dropped("insideOnly", attempt("udp", lab.visitor, GATEWAY, 5351))).toEqual([]);
    expect(who(await ask("udp", lab.agent, "192.168.77.1", 5351))).toBe(`gateway 5351 ${AGENT}`);
  });

  test("the gateway's own services stay reachable", async () => {
    await net().set({}, [natForward({ first: 8001 })]);
    expect(who(await ask("tcp", net().lab.visitor, GATEWAY, 22))).toBe(`gateway 22 ${VISITOR}`);
  });
});

describe("clients of the VPN (here: what is behind lan2)", () => {
  const vpn = { lan: ["lan1"], vpn: { interface: "lan2", listenPort: 51_820 } };

  test("meet, if they may", async () => {
    const { lab, set } = net();
    await set({ ...vpn, vpnClientsMayMeet: true }, []);
    expect(who(await ask("tcp", lab.other, AGENT, 8001))).toBe(`agent 8001 ${OTHER}`);
  });

  test("do not meet, if they may not; forwards and the way out stay", async () => {
    const { lab, set, tcpAttempt } = net();
    await set({ ...vpn, vpnClientsMayMeet: false }, [natForward({ first: 8002, internalFirst: 9002 })]);
    await using attempt = tcpAttempt(lab.other, AGENT, 8001);
    expect(who(await ask("tcp", lab.other, GATEWAY, 8002))).toBe("agent 9002 192.168.77.1");
    expect(await ask("tcp", lab.other, VISITOR, 7000)).toStartWith(`visitor 7000 ${GATEWAY}`);
    expect(who(await ask("tcp", lab.agent, OTHER, 8001))).toBe(`other 8001 ${AGENT}`);
    expect(attempt.stdout).toEqual([]);
  });
});

describe("pinholes", () => {
  const cases: [string, NatEntry][] = [
    ["one port", natPinhole({ first: 8001 })],
    ["a range", natPinhole({ first: 8000, last: 8005 })],
  ];
  test.each(cases)("%s", async (_name, entry) => {
    const { lab, set, plane } = net();
    await set({}, [entry]);
    expect(who(await ask("tcp", lab.visitor, AGENT6, 8001, lab.visitor.v6))).toBe(`agent 8001 ${lab.visitor.v6}`);
    const usage = (await plane.usage()).get(entry.id);
    expect(usage).toMatchObject({ visitorsTotal: 1 });
    expect(usage!.packetsIn).toBeGreaterThan(2);
    expect(usage!.bytesOut).toBeGreaterThan(100);
  });

  const filtered: [string, NatEntry][] = [
    ["allows", natPinhole({ first: 8001, allow: [{ network: cidr("2001:db8:113::10/128"), port: null }] })],
    ["denies", natPinhole({ first: 8000, last: 8005, deny: [cidr("2001:db8:113::11/128")] })],
  ];
  test.each(filtered)("a filter %s", async (_name, entry) => {
    const { lab, set, dropped } = net();
    await set({}, [entry]);
    expect(who(await ask("tcp", lab.visitor, AGENT6, 8001, lab.visitor.v6))).toBe(`agent 8001 ${lab.visitor.v6}`);
    expect(await dropped("sourceNotAllowed", attempt("tcp", lab.visitor, AGENT6, 8001, VISITOR_SECOND_V6))).toEqual([]);
  });
});

describe("out of the gateway", () => {
  const cases: [string, NatEntry[], number, RegExp][] = [
    ["a client without a forward leaves from the ports for that", [], 3074, /^visitor 7000 203\.0\.113\.20 6\d{4}$/],
    [
      "its forward's port is kept",
      [natForward({ protocol: "udp", first: 3073 })],
      3073,
      /^visitor 7000 203\.0\.113\.20 3073$/,
    ],
    [
      "or is the external one",
      [natForward({ protocol: "udp", first: 40_000, internalFirst: 3075 })],
      3075,
      /^visitor 7000 203\.0\.113\.20 40000$/,
    ],
    [
      "of a range as well",
      [natForward({ protocol: "udp", first: 3070, last: 3080 })],
      3076,
      /^visitor 7000 203\.0\.113\.20 3076$/,
    ],
    [
      "another client's forward is nothing to it",
      [natForward({ protocol: "udp", first: 3077, to: OTHER })],
      3077,
      /^visitor 7000 203\.0\.113\.20 6\d{4}$/,
    ],
  ];
  test.each(cases)("%s", async (_name, entries, sourcePort, expected) => {
    const { lab, set, askUdp } = net();
    await set({}, entries);
    expect(await askUdp(lab.agent, VISITOR, 7000, AGENT, sourcePort)).toMatch(expected);
  });

  test("also when no external address is known", async () => {
    const { lab, set, askUdp } = net();
    await set({ externalAddresses: [] }, [natForward({ protocol: "udp", first: 3078 })]);
    expect(await askUdp(lab.agent, VISITOR, 7000, AGENT, 3078)).toBe(`visitor 7000 ${GATEWAY} 3078`);
  });

  test("port shadow: a client that sends from WireGuard's port redirects nobody", async () => {
    const { lab, set, askUdp } = net();
    await set({ vpn: { interface: "wg0", listenPort: 51_820 } }, []);
    expect(await askUdp(lab.agent, VISITOR, 7000, AGENT, 51_820)).toMatch(/^visitor 7000 203\.0\.113\.20 6\d{4}$/);
    expect(await askUdp(lab.visitor, GATEWAY, 51_820, VISITOR, 7001)).toBe(`gateway 51820 ${VISITOR} 7001`);
  });

  test("port fail: where WireGuard sends to reaches no forward", async () => {
    const { lab, set, dropped, askUdp } = net();
    await set({ vpn: { interface: "wg0", listenPort: 51_820 } }, [natForward({ first: 8001 })]);
    // The answer is what WireGuard's would be: a packet from its port to the peer.
    expect(await askUdp(lab.visitor, GATEWAY, 51_820, VISITOR_SECOND_V4)).toContain("gateway 51820");
    expect(await dropped("tunnelEndpoint", attempt("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toEqual([]);
    await net().nft("flush", "set", "inet", "hatchway", "hw_tunnel_endpoints");
    expect(who(await ask("tcp", lab.visitor, GATEWAY, 8001, VISITOR_SECOND_V4))).toBe(
      `agent 8001 ${VISITOR_SECOND_V4}`,
    );
  });
});
