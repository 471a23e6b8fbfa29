import { describe, expect, test } from "bun:test";
import { parsePortSet, settleProtocol } from "../../wire/port-set.ts";
import { MAX_PORT_WISHES, type PortPlan, planWishes } from "./plan.ts";
import { findClashes, overlaps, type PortWish, wishKey, wishText } from "./wish.ts";

function plan(ports: string, given: Partial<PortPlan> = {}): PortPlan {
  const set = parsePortSet(ports);
  if (!set.ok) throw new Error(set.error.message);
  return {
    ports: settleProtocol(set.value, "tcp"),
    families: [4],
    host: null,
    samePort: false,
    lifetimeSec: 3600,
    description: "hatchway",
    ...given,
  };
}

/** `4 tcp 8000:80`, with `!` for a port that must be that one. */
function brief({ family, protocol, host, externalPort, internalPort, exact }: PortWish): string {
  return `${family} ${protocol} ${externalPort}:${internalPort}${exact ? "!" : ""}${host === null ? "" : ` ${host}`}`;
}

describe("wishes of a port set", () => {
  const BOTH = { families: [4, 6] } as const;
  const table: [string, PortPlan, string[]][] = [
    ["one port", plan("25565"), ["4 tcp 25565:25565"]],
    ["that port or none", plan("25565", { samePort: true }), ["4 tcp 25565:25565!"]],
    ["both protocols", plan("53/tcp+udp"), ["4 tcp 53:53", "4 udp 53:53"]],
    ["another port inside", plan("8000:80"), ["4 tcp 8000:80"]],
    ["a range is exact", plan("8810-8812"), ["4 tcp 8810:8810!", "4 tcp 8811:8811!", "4 tcp 8812:8812!"]],
    ["a range to another", plan("8000-8001:80"), ["4 tcp 8000:80!", "4 tcp 8001:81!"]],
    ["a list is not", plan("8840, 8820"), ["4 tcp 8820:8820", "4 tcp 8840:8840"]],
    ["both families: IPv6 has the port inside", plan("8000:80", BOTH), ["4 tcp 8000:80", "6 tcp 80:80!"]],
    ["another host of one family", plan("80", { ...BOTH, host: "192.168.1.20" }), ["4 tcp 80:80 192.168.1.20"]],
    ["an IPv6 host", plan("80", { ...BOTH, host: "2001:db8::7" }), ["6 tcp 80:80! 2001:db8::7"]],
  ];
  test.each(table)("%s", (_, given, expected) => {
    const planned = planWishes(given);
    expect(planned.ok ? planned.value.map(brief) : planned.error).toEqual(expected);
  });

  test("lifetime and description are those of the plan", () => {
    const planned = planWishes(plan("80", { lifetimeSec: null, description: "web" }));
    expect(planned.ok && planned.value[0]).toMatchObject({ lifetimeSec: null, description: "web" });
  });

  const refused: [string, PortPlan, string][] = [
    [
      "too many",
      plan("1000-1256"),
      "That is 257 mappings, one for each port, and routers have room for 256: open fewer ports, or use a relay (hatchway expose --via relay).",
    ],
    [
      "too many in two families",
      plan("1000-1128", { families: [4, 6] }),
      "That is 258 mappings, one for each port in IPv4 and in IPv6, and routers have room for 256: open fewer ports, or use a relay (hatchway expose --via relay).",
    ],
    ["no family", plan("80", { families: [] }), "Choose IPv4, IPv6 or both."],
    [
      "one port at two outside",
      plan("8000:80, 9000:80"),
      "Port 80/tcp is to be reached at both 8000 and 9000, and routers give a port one outside: keep one.",
    ],
    [
      "a host of the other family",
      plan("80", { host: "2001:db8::7" }),
      "2001:db8::7 is an IPv6 address: allow that family.",
    ],
    [
      "loopback",
      plan("80", { host: "127.0.0.1" }),
      "A router cannot forward to 127.0.0.1: leave the host out to mean this machine.",
    ],
    [
      "multicast",
      plan("80", { host: "224.0.0.1" }),
      "A router cannot forward to 224.0.0.1, a group of hosts: name one host.",
    ],
    [
      "link-local",
      plan("80", { host: "169.254.1.1" }),
      "A router does not forward to 169.254.1.1, a link-local address: use another one of that host.",
    ],
  ];
  test.each(refused)("%s", (_, given, sentence) => {
    expect(planWishes(given)).toEqual({ ok: false, error: sentence });
  });

  test("as many as there is room for", () => {
    const planned = planWishes(plan(`1000-${999 + MAX_PORT_WISHES}`));
    expect(planned.ok && planned.value.length).toBe(MAX_PORT_WISHES);
  });
});

describe("wishes that get in each other's way", () => {
  const [base] = (() => {
    const planned = planWishes(plan("8000:80"));
    if (!planned.ok) throw new Error(planned.error);
    return planned.value;
  })();
  const wish = (given: Partial<PortWish> = {}): PortWish => ({ ...base!, ...given });

  const table: [string, PortWish, number | null, PortWish, boolean][] = [
    ["the same port inside", wish(), null, wish({ externalPort: 9000 }), true],
    ["the same port outside", wish(), null, wish({ internalPort: 81 }), true],
    ["the port that the other was given", wish(), 40_000, wish({ internalPort: 81, externalPort: 40_000 }), true],
    ["neither", wish(), 40_000, wish({ internalPort: 81, externalPort: 8001 }), false],
    ["another protocol", wish(), null, wish({ protocol: "udp" }), false],
    ["another family", wish(), null, wish({ family: 6 }), false],
    ["the same port of two hosts", wish(), null, wish({ host: "192.168.1.20", externalPort: 8001 }), false],
    ["one port outside for two hosts", wish(), null, wish({ host: "192.168.1.20" }), true],
    ["IPv6: each host has its own", wish({ family: 6 }), null, wish({ family: 6, host: "2001:db8::7" }), false],
    ["any port outside", wish({ externalPort: 0 }), null, wish({ internalPort: 81, externalPort: 0 }), false],
  ];
  test.each(table)("%s", (_, a, heldPort, b, expected) => {
    expect(overlaps(a, heldPort, b)).toBe(expected);
  });

  test("the later ones are named; what is said twice is one", () => {
    const other = wish({ host: "192.168.1.20" });
    const permanent = wish({ lifetimeSec: null });
    expect([...findClashes([wish(), wish(), other, permanent, wish({ internalPort: 9, externalPort: 9 })])]).toEqual([
      [wishKey(other), "External port 8000/tcp is to lead to two places: keep one."],
      [wishKey(permanent), "Port 8000:80/tcp is asked for twice: keep one."],
    ]);
  });

  test("in sentences", () => {
    const wishes = [wish(), wish({ externalPort: 80 }), wish({ externalPort: 0 }), wish({ host: "192.168.1.20" })];
    expect(wishes.map(wishText)).toEqual(["8000:80/tcp", "80/tcp", "80/tcp", "8000:80/tcp of 192.168.1.20"]);
  });
});
