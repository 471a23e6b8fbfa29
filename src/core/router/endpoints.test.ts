import { expect, test } from "bun:test";
import { compactEndpoints, type EndpointRange } from "./endpoints.ts";
import { failure, portWish } from "./keeper.fixture.ts";
import type { KeptPort, OpenMapping } from "./keeper-model.ts";
import type { PortWish } from "./wish.ts";

function held(wish: Partial<PortWish>, mapping: Partial<OpenMapping> = {}): KeptPort {
  const externalPort = mapping.externalPort ?? wish.externalPort ?? 25565;
  return {
    wish: portWish(wish),
    state: {
      kind: "held",
      mapping: {
        externalAddress: "203.0.113.5",
        internalAddress: "192.168.1.10",
        via: "pcp",
        sinceMs: 0,
        endsMs: 1000,
        ...mapping,
        externalPort,
      },
      renewAtMs: null,
      why: null,
    },
  };
}

function range(from: number, count: number, make: (port: number, index: number) => KeptPort): KeptPort[] {
  return Array.from({ length: count }, (_, index) => make(from + index, index));
}

/** `held 4 tcp 203.0.113.5:8810-8815 to 8810`. */
function brief(one: EndpointRange): string {
  const { state, family, protocol, address, first, last, host, internalFirst } = one;
  const ports = first === last ? first : `${first}-${last}`;
  return `${state} ${family} ${protocol} ${address}:${ports} to ${host ?? "self"}:${internalFirst}`;
}

const port = (number: number) => ({ internalPort: number, externalPort: number });
const table: [string, KeptPort[], string[]][] = [
  ["nothing", [], []],
  ["a range", range(8810, 6, (at) => held(port(at))), ["held 4 tcp 203.0.113.5:8810-8815 to self:8810"]],
  [
    "whatever the order",
    range(8810, 3, (at) => held(port(at))).reverse(),
    ["held 4 tcp 203.0.113.5:8810-8812 to self:8810"],
  ],
  [
    "a gap",
    [held(port(8810)), held(port(8812))],
    ["held 4 tcp 203.0.113.5:8810 to self:8810", "held 4 tcp 203.0.113.5:8812 to self:8812"],
  ],
  [
    "to other ports, side by side",
    range(80, 3, (at, index) => held({ internalPort: at, externalPort: 8000 + index })),
    ["held 4 tcp 203.0.113.5:8000-8002 to self:80"],
  ],
  [
    "one that moved",
    range(8810, 3, (at, index) => held(port(at), index === 1 ? { externalPort: 40_000 } : {})),
    [
      "held 4 tcp 203.0.113.5:8810 to self:8810",
      "held 4 tcp 203.0.113.5:40000 to self:8811",
      "held 4 tcp 203.0.113.5:8812 to self:8812",
    ],
  ],
  [
    "one that is not open",
    [
      held(port(8810)),
      { wish: portWish(port(8811)), state: { kind: "refused", why: failure("conflict"), atMs: null } },
      { wish: portWish(port(8812)), state: { kind: "refused", why: failure("conflict"), atMs: 5 } },
      { wish: portWish(port(8813)), state: { kind: "refused", why: failure("refused"), atMs: 5 } },
    ],
    [
      "held 4 tcp 203.0.113.5:8810 to self:8810",
      "refused 4 tcp null:8811-8812 to self:8811",
      "refused 4 tcp null:8813 to self:8813",
    ],
  ],
  [
    "families, hosts and protocols apart; a pinhole is at the host's own address",
    [
      held({ ...port(8811), protocol: "udp" }),
      held({ ...port(8811), family: 6 }, { externalAddress: null, internalAddress: "2001:db8::7" }),
      held({ ...port(8811), host: "192.168.1.20" }),
      held(port(8810)),
    ],
    [
      "held 4 tcp 203.0.113.5:8810 to self:8810",
      "held 4 udp 203.0.113.5:8811 to self:8811",
      "held 4 tcp 203.0.113.5:8811 to 192.168.1.20:8811",
      "held 6 tcp 2001:db8::7:8811 to self:8811",
    ],
  ],
  [
    "an address that the router does not tell",
    range(1, 2, (at) => held(port(at), { externalAddress: null })),
    ["held 4 tcp null:1-2 to self:1"],
  ],
  [
    "two addresses",
    [held(port(1)), held(port(2), { externalAddress: "203.0.113.6" })],
    ["held 4 tcp 203.0.113.5:1 to self:1", "held 4 tcp 203.0.113.6:2 to self:2"],
  ],
  [
    "the end of all ports",
    range(65_534, 2, (at) => held(port(at))),
    ["held 4 tcp 203.0.113.5:65534-65535 to self:65534"],
  ],
];

test.each(table)("%s", (_, kept, expected) => {
  expect(compactEndpoints(kept).map(brief)).toEqual(expected);
});

test("a range ends with the first of its leases, and permanent ones do not end", () => {
  const ends = (...leases: (number | null)[]) =>
    compactEndpoints(leases.map((endsMs, index) => held(port(8810 + index), { endsMs })))[0]?.endsMs;
  expect([ends(9, 3, 7), ends(null, 5), ends(null, null)]).toEqual([3, 5, null]);
});

test("why it is not open, or was not renewed; and by which protocol it is", () => {
  const state = { kind: "retrying", why: failure("silent"), atMs: null } as const;
  expect(compactEndpoints([{ wish: portWish(), state }])[0]).toMatchObject({
    reason: "The router was silent.",
    via: null,
  });
  expect(compactEndpoints([held({})])[0]).toMatchObject({ reason: null, via: "pcp" });
});
