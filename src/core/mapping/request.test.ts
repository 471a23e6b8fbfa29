import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileCidrs, parseCidr } from "../../wire/address.ts";
import { type Protocol, parsePortSet } from "../../wire/port-set.ts";
import { compilePermissions } from "./permission.ts";
import { parsePermissionRule } from "./permission-rule.ts";
import {
  decideMapping,
  type ExternalHolder,
  type MappingAsk,
  type MappingPolicy,
  type MappingRequest,
  type MappingTable,
} from "./request.ts";

function must<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const permissions = (...lines: string[]) => compilePermissions(lines.map((line) => must(parsePermissionRule(line))));

const HOST = "192.168.1.7";
const OTHER = "192.168.1.8";
const POLICY: MappingPolicy = {
  inside: compileCidrs([must(parseCidr("192.168.1.0/24"))]),
  own: new Set(["192.168.1.1"]),
  secureMode: true,
  permissions: permissions("allow 1024-65535 192.168.1.0/24 1024-65535"),
  reserved: [{ protocol: "udp", port: 5351, purpose: "the gateway's NAT-PMP and PCP port" }],
  denied: must(parsePortSet("6667/tcp")),
  natPmpPortZero: "refuse",
  strictNonce: false,
};

interface Row extends ExternalHolder {
  readonly externalPort: number;
}

/** The tables of these tests: what is held, and what a client had last. */
class Table implements MappingTable {
  readonly held = new Map<string, Row>();
  readonly last = new Map<string, number>();

  put(protocol: Protocol, row: Row): void {
    this.held.set(`${row.externalPort}/${protocol}`, row);
    this.last.set(`${row.client}:${row.internalPort}/${protocol}`, row.externalPort);
  }
  at(protocol: Protocol, externalPort: number): ExternalHolder | null {
    return this.held.get(`${externalPort}/${protocol}`) ?? null;
  }
  portOf(protocol: Protocol, client: string, internalPort: number): number | null {
    return this.last.get(`${client}:${internalPort}/${protocol}`) ?? null;
  }
  countOf(requester: string): number {
    return [...this.held.values()].filter((row) => row.client === requester).length;
  }
}

function table(...rows: [externalPort: number, client: string | null, internalPort: number, nonce?: string][]): Table {
  const made = new Table();
  for (const [externalPort, client, internalPort, nonce = null] of rows) {
    made.put("tcp", { externalPort, client, internalPort, nonce });
  }
  return made;
}

function remembering(externalPort: number, internalPort: number): Table {
  const made = new Table();
  made.last.set(`${HOST}:${internalPort}/tcp`, externalPort);
  return made;
}

const NAT_PMP: MappingAsk = { via: "natPmp" };
const PCP: MappingAsk = { via: "pcp", claimedAddress: HOST, preferFailure: false, nonce: "a" };
const INSIST: MappingAsk = { ...PCP, preferFailure: true };
const ADD: MappingAsk = { via: "igd", action: "AddPortMapping" };
const ADD_ANY: MappingAsk = { via: "igd", action: "AddAnyPortMapping" };

interface Case {
  readonly ask: MappingAsk;
  /** External:internal. */
  readonly ports: readonly [number, number];
  readonly protocol?: Protocol;
  readonly requester?: string;
  readonly to?: string;
  readonly policy?: Partial<MappingPolicy>;
  readonly table?: Table;
}

function outcome({ ask, ports, protocol = "tcp", requester = HOST, to = requester, ...rest }: Case): string {
  const [externalPort, internalPort] = ports;
  const request: MappingRequest = { ask, requester, internalAddress: to, protocol, internalPort, externalPort };
  const decision = decideMapping(request, { ...POLICY, ...rest.policy }, rest.table ?? new Table());
  if (!decision.ok) {
    expect(decision.error.message).toMatch(/^[^\n]+\.$/);
    return decision.error.kind;
  }
  const { value } = decision;
  return `${value.externalPort}:${value.internalPort}${value.replaces ? " again" : ""}`;
}

const ANY_HIGH = { permissions: permissions("allow 1024-65535 any *") };
const TO_OTHERS = { secureMode: false };

describe("who asks for whom", () => {
  const cases: [string, Case, string][] = [
    ["NAT-PMP for itself", { ask: NAT_PMP, ports: [8080, 8080] }, "8080:8080"],
    ["PCP for itself", { ask: PCP, ports: [8080, 8081] }, "8080:8081"],
    ["IGD for itself", { ask: ADD, ports: [8080, 8081] }, "8080:8081"],
    ["IGD for another", { ask: ADD, ports: [8080, 8080], to: OTHER }, "otherHost"],
    ["PCP for another", { ask: PCP, ports: [8080, 8080], to: OTHER }, "otherHost"],
    ["IGD for another where it may", { ask: ADD, ports: [8080, 8080], to: OTHER, policy: TO_OTHERS }, "8080:8080"],
    ["to the outside where it may", { ask: ADD, ports: [8080, 8080], to: "8.8.8.8", policy: TO_OTHERS }, "notInside"],
    ["to the gateway itself", { ask: ADD, ports: [8080, 8080], to: "192.168.1.1", policy: TO_OTHERS }, "notInside"],
    ["from the outside", { ask: NAT_PMP, ports: [8080, 8080], requester: "198.51.100.9" }, "notInside"],
    ["PCP behind a NAT", { ask: { ...PCP, claimedAddress: "10.0.0.2" }, ports: [80, 80] }, "addressMismatch"],
    [
      "both have to be permitted",
      {
        ask: ADD,
        ports: [8080, 8080],
        to: OTHER,
        policy: { ...TO_OTHERS, permissions: permissions(`deny * ${HOST} *`, "allow * * *") },
      },
      "notPermitted",
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => expect(outcome(input)).toBe(expected));
});

describe("wildcards", () => {
  const compat = { natPmpPortZero: "sameAsExternal" } as const;
  const cases: [string, Case, string][] = [
    ["AddPortMapping with external port 0", { ask: ADD, ports: [0, 8080] }, "wildcardExternalPort"],
    ["AddAnyPortMapping with external port 0", { ask: ADD_ANY, ports: [0, 8080] }, "8080:8080"],
    ["NAT-PMP with external port 0", { ask: NAT_PMP, ports: [0, 8080] }, "8080:8080"],
    ["PCP that insists on any port", { ask: INSIST, ports: [0, 8080] }, "8080:8080"],
    ["all internal ports over PCP", { ask: PCP, ports: [8080, 0] }, "wildcardInternalPort"],
    ["all internal ports over IGD", { ask: ADD, ports: [8080, 0], policy: compat }, "wildcardInternalPort"],
    ["internal port 0 over NAT-PMP", { ask: NAT_PMP, ports: [8080, 0] }, "wildcardInternalPort"],
    ["as VPN clients mean it", { ask: NAT_PMP, ports: [1, 0], policy: compat }, "1024:1024"],
    [
      "the same, renewed",
      { ask: NAT_PMP, ports: [1, 0], policy: compat, table: table([4000, HOST, 0]) },
      "4000:4000 again",
    ],
    [
      "the internal port has to be permitted as well",
      {
        ask: NAT_PMP,
        ports: [1, 0],
        policy: { ...compat, permissions: permissions("allow 80,2000 * 3000-4000", "allow 5000-5100 * 5050") },
      },
      "5050:5050",
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => expect(outcome(input)).toBe(expected));
});

describe("a port that cannot be had", () => {
  const taken = table([8080, OTHER, 80]);
  const cases: [string, Case, string][] = [
    ["taken, NAT-PMP", { ask: NAT_PMP, ports: [8080, 8080], table: taken }, "8081:8080"],
    ["taken, PCP", { ask: PCP, ports: [8080, 9000], table: taken }, "9000:9000"],
    ["taken, PCP with PREFER_FAILURE", { ask: INSIST, ports: [8080, 9000], table: taken }, "taken"],
    ["taken, AddPortMapping", { ask: ADD, ports: [8080, 9000], table: taken }, "taken"],
    ["taken, AddAnyPortMapping", { ask: ADD_ANY, ports: [8080, 9000], table: taken }, "9000:9000"],
    ["another's for tcp, udp over IGD", { ask: ADD, ports: [8080, 9000], protocol: "udp", table: taken }, "taken"],
    [
      "another's for tcp, udp over NAT-PMP",
      { ask: NAT_PMP, ports: [8080, 8080], protocol: "udp", table: taken },
      "8081:8080",
    ],
    [
      "its own for tcp, asked for udp",
      { ask: ADD, ports: [8080, 9000], protocol: "udp", table: table([8080, HOST, 80]) },
      "8080:9000",
    ],
    [
      "the operator's for tcp, asked for udp",
      { ask: ADD, ports: [8080, 9000], protocol: "udp", table: table([8080, null, 80]) },
      "8080:9000",
    ],
    ["a forward of the operator's", { ask: ADD, ports: [8080, 80 + 8000], table: table([8080, null, 80]) }, "reserved"],
    ["the same, NAT-PMP", { ask: NAT_PMP, ports: [8080, 8080], table: table([8080, null, 80]) }, "8081:8080"],
    ["the gateway's own, IGD", { ask: ADD, ports: [5351, 5351], protocol: "udp" }, "reserved"],
    ["the gateway's own number for tcp", { ask: ADD, ports: [5351, 5351] }, "5351:5351"],
    ["the gateway's own, PCP", { ask: PCP, ports: [5351, 5351], protocol: "udp" }, "5352:5351"],
    ["denied, IGD", { ask: ADD, ports: [6667, 6667] }, "denied"],
    ["denied, NAT-PMP", { ask: NAT_PMP, ports: [6667, 6667] }, "6668:6667"],
    ["not permitted, IGD", { ask: ADD, ports: [80, 8080] }, "notPermitted"],
    ["not permitted, PCP with PREFER_FAILURE", { ask: INSIST, ports: [80, 8080] }, "notPermitted"],
    ["not permitted, NAT-PMP", { ask: NAT_PMP, ports: [80, 8080] }, "8080:8080"],
    ["an internal port that may have none", { ask: NAT_PMP, ports: [8080, 22] }, "notPermitted"],
    [
      "the search goes on from the lowest",
      { ask: PCP, ports: [65535, 80], policy: ANY_HIGH, table: table([65535, OTHER, 1]) },
      "1024:80",
    ],
    [
      "nothing free",
      {
        ask: NAT_PMP,
        ports: [8080, 9000],
        policy: { permissions: permissions("allow 8080-8081 * *") },
        table: table([8080, OTHER, 1], [8081, OTHER, 2]),
      },
      "noPorts",
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => expect(outcome(input)).toBe(expected));
});

describe("the same port again", () => {
  const held = table([5000, HOST, 8080, "a"]);
  const strict = { strictNonce: true };
  const cases: [string, Case, string][] = [
    ["NAT-PMP, whatever it suggests", { ask: NAT_PMP, ports: [6000, 8080], table: held }, "5000:8080 again"],
    ["PCP", { ask: PCP, ports: [0, 8080], table: held }, "5000:8080 again"],
    ["PCP that insists on it", { ask: INSIST, ports: [5000, 8080], table: held }, "5000:8080 again"],
    ["PCP that insists on another", { ask: INSIST, ports: [6000, 8080], table: held }, "taken"],
    ["AddAnyPortMapping", { ask: ADD_ANY, ports: [6000, 8080], table: held }, "5000:8080 again"],
    ["AddPortMapping of the same external port", { ask: ADD, ports: [5000, 9090], table: held }, "5000:9090 again"],
    ["AddPortMapping of another external port", { ask: ADD, ports: [6000, 8080], table: held }, "6000:8080"],
    ["the other protocol", { ask: NAT_PMP, ports: [6000, 8080], protocol: "udp", table: held }, "6000:8080"],
    [
      "what it had, when the suggestion is taken",
      { ask: NAT_PMP, ports: [0, 8080], table: remembering(7000, 8080) },
      "7000:8080",
    ],
    [
      "a suggestion that is free comes first",
      { ask: NAT_PMP, ports: [6000, 8080], table: remembering(7000, 8080) },
      "6000:8080",
    ],
    ["another nonce, lenient", { ask: { ...PCP, nonce: "b" }, ports: [0, 8080], table: held }, "5000:8080 again"],
    [
      "another nonce, strict",
      { ask: { ...PCP, nonce: "b" }, ports: [0, 8080], table: held, policy: strict },
      "otherNonce",
    ],
    ["the same nonce, strict", { ask: PCP, ports: [0, 8080], table: held, policy: strict }, "5000:8080 again"],
    ["NAT-PMP has none", { ask: NAT_PMP, ports: [0, 8080], table: held, policy: strict }, "5000:8080 again"],
    [
      "a port that is no longer permitted",
      { ask: NAT_PMP, ports: [0, 8080], table: table([80, HOST, 8080]) },
      "notPermitted",
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => expect(outcome(input)).toBe(expected));

  test("who asked with internal port 0 renews by the number it was given, too", () => {
    const held = table([1024, HOST, 0]);
    const policy = { ...ANY_HIGH, natPmpPortZero: "sameAsExternal" } as const;
    expect(outcome({ ask: NAT_PMP, ports: [1024, 1024], policy, table: held })).toBe("1024:1024 again");
    expect(outcome({ ask: NAT_PMP, ports: [1, 0], policy, table: held })).toBe("1024:1024 again");
    expect(outcome({ ask: NAT_PMP, ports: [1025, 1024], policy, table: held })).toBe("1025:1024");
  });

  test("the other protocol gets the same number", () => {
    const held = table([1030, HOST, 0], [1031, HOST, 7000]);
    const policy = { ...ANY_HIGH, natPmpPortZero: "sameAsExternal" } as const;
    expect(outcome({ ask: NAT_PMP, ports: [1, 0], protocol: "udp", policy, table: held })).toBe("1030:1030");
    expect(outcome({ ask: PCP, ports: [0, 7000], protocol: "udp", policy, table: held })).toBe("1031:7000");
  });

  test("a port that it had and now leads to another of its ports is not taken from that", () => {
    const moved = remembering(5000, 8080);
    moved.put("tcp", { externalPort: 5000, client: HOST, internalPort: 9090, nonce: null });
    expect(outcome({ ask: NAT_PMP, ports: [5000, 8080], table: moved })).toBe("8080:8080");
  });
});

describe("quota", () => {
  const policy = { maxPerClient: 2 };
  const full = table([5000, HOST, 80], [5001, HOST, 81]);
  const cases: [string, Case, string][] = [
    ["one more than it may", { ask: NAT_PMP, ports: [6000, 8080], policy, table: full }, "quota"],
    ["over IGD", { ask: ADD, ports: [6000, 8080], policy, table: full }, "quota"],
    ["another client", { ask: NAT_PMP, ports: [6000, 8080], requester: OTHER, policy, table: full }, "6000:8080"],
    ["a renewal is not one more", { ask: ADD, ports: [5000, 8080], policy, table: full }, "5000:8080 again"],
    ["none at all", { ask: PCP, ports: [6000, 8080], policy: { maxPerClient: 0 } }, "quota"],
  ];
  for (const [name, input, expected] of cases) test(name, () => expect(outcome(input)).toBe(expected));
});

test("no run of requests takes a port from a client, leaves the rules, or passes the quota", () => {
  const clients = [HOST, OTHER, "192.168.1.9"];
  const policy: MappingPolicy = {
    ...POLICY,
    permissions: permissions("deny 2005 * *", `allow 2000-2003 ${HOST} *`, "allow 2002-2009 * 1-5"),
    reserved: [{ protocol: "tcp", port: 2004, purpose: "the gateway's own" }],
    denied: must(parsePortSet("2006")),
    maxPerClient: 3,
  };
  const request = fc.record({
    ask: fc.constantFrom(NAT_PMP, PCP, INSIST, ADD, ADD_ANY),
    requester: fc.constantFrom(...clients),
    protocol: fc.constantFrom<Protocol>("tcp", "udp"),
    internalPort: fc.integer({ min: 1, max: 6 }),
    externalPort: fc.constantFrom(0, 80, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 30 }), (requests) => {
      const state = new Table();
      for (const { ask, requester, protocol, internalPort, externalPort } of requests) {
        const asked: MappingRequest = {
          ask: ask.via === "pcp" ? { ...ask, claimedAddress: requester } : ask,
          requester,
          internalAddress: requester,
          protocol,
          internalPort,
          externalPort,
        };
        const decision = decideMapping(asked, policy, state);
        if (!decision.ok) continue;
        const { externalPort: port, replaces } = decision.value;
        const holder = state.at(protocol, port);
        const companion = state.at(protocol === "tcp" ? "udp" : "tcp", port);
        expect(companion?.client ?? requester).toBe(requester);
        expect(holder?.client ?? requester).toBe(requester);
        expect(replaces).toBe(holder !== null);
        expect([2000, 2001, 2002, 2003, 2007, 2008, 2009, ...(protocol === "udp" ? [2004] : [])]).toContain(port);
        if (ask === INSIST && externalPort !== 0) expect(port).toBe(externalPort);
        if (ask === ADD) expect(port).toBe(externalPort);
        state.put(protocol, { externalPort: port, client: requester, internalPort, nonce: null });
        expect(state.countOf(requester)).toBeLessThanOrEqual(3);
        if (ask === ADD) continue;
        const again = decideMapping({ ...asked, ask: NAT_PMP, externalPort: 0 }, policy, state);
        expect(again).toEqual({ ok: true, value: { externalPort: port, internalPort, replaces: true } });
      }
    }),
  );
});
