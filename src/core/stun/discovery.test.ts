import { describe, expect, test } from "bun:test";
import { type Endpoint, formatEndpoint } from "../../wire/endpoint.ts";
import { decodeStun, encodeStun, type StunMessage } from "../../wire/stun/message.ts";
import { type DiscoveryAction, type DiscoveryOptions, type NatBehaviour, NatDiscovery } from "./discovery.ts";
import type { StunSocketName } from "./exchange.ts";
import { ModelledNat, type NatModel } from "./nat-model.fixture.ts";
import { type StunPlace, StunResponder } from "./responder.ts";
import type { NatKind } from "./verdict.ts";

const LOCAL: Endpoint = { address: "192.168.1.5", port: 50_000 };
const A1 = "198.51.100.1";
const A2 = "198.51.100.2";
const SERVER: Endpoint = { address: A1, port: 3478 };
const ONE_WAY_MS = 10;

/** A world with one server, one NAT and a clock of its own. */
interface World {
  readonly nat: NatModel;
  /** Its second address and port; null = it has one. */
  readonly address?: string | null;
  readonly port?: number | null;
  /** Places of the server's that nothing reaches, or leaves. */
  readonly dead?: readonly string[];
  /** From here to the server, and back; default ONE_WAY_MS. */
  readonly oneWayMs?: number;
  /** How often a datagram of the first ones is lost. */
  readonly loseFirst?: number;
  /** What the server does instead of answering by the RFC. */
  readonly answer?: Answer;
}

type Answer = (request: StunMessage, from: Endpoint, at: Endpoint) => { from: Endpoint; message: StunMessage }[];

interface Run {
  readonly behaviour: NatBehaviour;
  readonly tookMs: number;
  /** Requests in the order of their sending, by place. */
  readonly sent: readonly string[];
}

function run(world: World, options: Partial<DiscoveryOptions> = {}): Run {
  const { address: otherAddress = A2, port: otherPort = 3479, dead = [], oneWayMs = ONE_WAY_MS } = world;
  const nat = new ModelledNat(world.nat);
  const responder = new StunResponder(0);
  const ids = { made: 0 };
  const newTransactionId = () => (++ids.made).toString(16).padStart(24, "0");
  const discovery = new NatDiscovery({ server: SERVER, local: LOCAL, goal: "behaviour", newTransactionId, ...options });
  const arriving: { atMs: number; bytes: Uint8Array; from: Endpoint; socket: StunSocketName }[] = [];
  const sent: string[] = [];
  let nowMs = 0;
  let lose = world.loseFirst ?? 0;
  let behaviour: NatBehaviour | null = null;

  const answers = (bytes: Uint8Array, from: Endpoint, at: Endpoint): { bytes: Uint8Array; from: Endpoint }[] => {
    if (world.answer !== undefined) {
      const request = decodeStun(bytes);
      if (!request.ok) throw new Error("the client sent no STUN");
      return world.answer(request.value, from, at).map((one) => ({ bytes: encodeStun(one.message), from: one.from }));
    }
    const addresses = otherAddress === null ? [A1] : [A1, otherAddress];
    const ports = otherPort === null ? [SERVER.port] : [SERVER.port, otherPort];
    if (!addresses.includes(at.address) || !ports.includes(at.port)) return [];
    const place: StunPlace = {
      self: at,
      otherAddress: addresses.find((one) => one !== at.address) ?? null,
      otherPort: ports.find((one) => one !== at.port) ?? null,
    };
    const reply = responder.answer(bytes, from, place, nowMs);
    return reply.kind === "answer" ? [reply] : [];
  };
  const act = (actions: readonly DiscoveryAction[]): void => {
    for (const action of actions) {
      if (action.kind === "done") {
        behaviour = action.behaviour;
        continue;
      }
      const { socket, to, bytes } = action;
      const inside = socket === "first" ? LOCAL : { ...LOCAL, port: LOCAL.port + 1 };
      sent.push(formatEndpoint(to));
      const from = nat.out(inside, to);
      if (lose-- > 0 || dead.includes(formatEndpoint(to))) continue;
      for (const answer of answers(bytes, from, to)) {
        if (dead.includes(formatEndpoint(answer.from)) || !nat.lets(answer.from, from, inside)) continue;
        arriving.push({ atMs: nowMs + 2 * oneWayMs, socket, ...answer });
      }
    }
  };
  act(discovery.start(0));
  while (behaviour === null) {
    const arrival = arriving.reduce<number>((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
    nowMs = Math.min(arrival, discovery.nextDeadlineMs() ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(nowMs)) throw new Error("it waits for nothing");
    const due = arriving.findIndex(({ atMs }) => atMs <= nowMs);
    const [datagram] = due < 0 ? [] : arriving.splice(due, 1);
    act(
      datagram === undefined
        ? discovery.onTime(nowMs)
        : discovery.onDatagram(datagram.bytes, datagram.from, datagram.socket, nowMs),
    );
  }
  expect(discovery.onTime(nowMs + 60_000)).toEqual([]);
  expect(discovery.nextDeadlineMs()).toBeNull();
  return { behaviour, tookMs: nowMs, sent };
}

const KINDS: readonly NatKind[] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];
const HOME: NatModel = { mapping: "endpoint-independent", filtering: "address-and-port-dependent" };
const SYMMETRIC: NatModel = { mapping: "address-and-port-dependent", filtering: "address-and-port-dependent" };
const verdicts = ({ mapping, filtering }: NatBehaviour) => `${mapping}, ${filtering}`;

describe("a server with two addresses and two ports tells everything", () => {
  for (const mapping of ["none", ...KINDS] as const) {
    for (const filtering of ["none", ...KINDS] as const) {
      test(`${mapping} mapping, ${filtering} filtering`, () => {
        const { behaviour, tookMs } = run({ nat: { mapping, filtering } });
        expect(verdicts(run({ nat: { mapping, filtering, clashes: true } }).behaviour)).toBe(verdicts(behaviour));
        // A NAT lets in what it has a mapping for; where nothing is filtered besides, that is endpoint-independent.
        const told = filtering === "none" && mapping !== "none" ? "endpoint-independent" : filtering;
        // Without a NAT, an open way is open, whether by a filter that lets all in or by none.
        const open = mapping === "none" && told === "endpoint-independent" ? "none" : told;
        expect(verdicts(behaviour)).toBe(`${mapping}, ${open}`);
        expect([behaviour.mappingWhy, behaviour.filteringWhy]).toEqual([null, null]);
        expect(behaviour.mapped).toEqual(mapping === "none" ? LOCAL : { address: "203.0.113.20", port: 40_000 });
        expect(tookMs).toBeLessThan(4_000);
      });
    }
  }

  test("nothing goes to its other places before filtering is known", () => {
    const { sent, behaviour } = run({ nat: HOME });
    const first = sent.findIndex((place) => place !== "198.51.100.1:3478");
    // A plain request from each socket, and three of each of the two that were not answered.
    expect(first).toBe(8);
    expect(sent.slice(first)).toEqual(["198.51.100.2:3478", "198.51.100.2:3479", "198.51.100.1:3479"]);
    expect(behaviour.evidence.map(({ test: name, outcome }) => `${name} ${outcome.kind}`)).toEqual([
      "primary success",
      "filter-both silence",
      "filter-port silence",
      "map-primary success",
      "map-address success",
      "map-both success",
      "map-port success",
    ]);
  });

  test("an open way is told in four datagrams' time", () => {
    const { sent, tookMs } = run({ nat: { mapping: "none", filtering: "none" } });
    expect(sent).toEqual(["198.51.100.1:3478", "198.51.100.1:3478"]);
    expect(tookMs).toBe(120);
  });

  test("transactions begin 100 ms apart", () => {
    const { behaviour } = run({ nat: { mapping: "address-dependent", filtering: "address-dependent" } });
    const rtt = behaviour.evidence.map(({ outcome }) => (outcome.kind === "success" ? outcome.rttMs : null));
    expect(rtt).toEqual([20, 20, null, 20, 20, 20, 20]);
  });

  test("a lost datagram or two change nothing", () => {
    expect(verdicts(run({ nat: SYMMETRIC, loseFirst: 2 }).behaviour)).toBe(verdicts(run({ nat: SYMMETRIC }).behaviour));
  });

  test("answers slower than the next request are late, not forged", () => {
    const { behaviour } = run({ nat: SYMMETRIC, oneWayMs: 300 });
    expect(verdicts(behaviour)).toBe(verdicts(run({ nat: SYMMETRIC }).behaviour));
    // The first question's second answer; those of the last four come when all is over.
    expect(behaviour.ignored).toEqual({ unreadable: 0, unknown: 0, late: 1, foreign: 0 });
  });

  test("without knowing its own address it cannot say none", () => {
    const { behaviour } = run({ nat: { mapping: "none", filtering: "none" } }, { local: null });
    expect(verdicts(behaviour)).toBe("endpoint-independent, endpoint-independent");
  });
});

describe("what is not known is not guessed", () => {
  const rows: [name: string, world: World, told: string, why: [mapping: RegExp | null, filtering: RegExp | null]][] = [
    [
      "one address, home router",
      { nat: HOME, address: null },
      "unknown, address-and-port-dependent",
      [/same for two ports.*the server has one address/, null],
    ],
    [
      "one address, symmetric",
      { nat: SYMMETRIC, address: null },
      "address-and-port-dependent, address-and-port-dependent",
      [null, null],
    ],
    [
      "one address, filtered by address at most",
      { nat: { mapping: "endpoint-independent", filtering: "address-dependent" }, address: null },
      "unknown, unknown",
      [/one address/, /Another port .* gets through; .* one address/],
    ],
    [
      "one address, no NAT",
      { nat: { mapping: "none", filtering: "none" }, address: null },
      "none, unknown",
      [null, /gets through/],
    ],
    [
      "one address and one port",
      { nat: HOME, address: null, port: null },
      "unknown, unknown",
      [
        /What another address sees is not known: the server has one address/,
        /refuses to answer from elsewhere \(error 420\)/,
      ],
    ],
    ["two addresses, one port", { nat: HOME, port: null }, "unknown, unknown", [/one address/, /error 420/]],
    [
      "the second port is closed by a firewall at the server",
      { nat: HOME, dead: [`${A1}:3479`, `${A2}:3479`] },
      "endpoint-independent, unknown",
      [null, /does not answer when it is asked itself/],
    ],
    [
      "and the mapping differs by address",
      { nat: { ...HOME, mapping: "address-dependent" }, dead: [`${A1}:3479`, `${A2}:3479`] },
      "unknown, unknown",
      [/differs by address; whether by port/, /does not answer/],
    ],
    [
      "the second address is not reached",
      { nat: HOME, dead: [`${A2}:3478`, `${A2}:3479`] },
      "unknown, address-and-port-dependent",
      [/same for two ports.*198\.51\.100\.2 does not answer/, null],
    ],
    [
      "the second address is not reached, and its absence would look like filtering",
      { nat: { mapping: "none", filtering: "none" }, dead: [`${A2}:3478`, `${A2}:3479`] },
      "none, unknown",
      [null, /198\.51\.100\.2 does not answer/],
    ],
    [
      "the other port of the first address alone is closed",
      { nat: HOME, dead: [`${A1}:3479`] },
      "endpoint-independent, unknown",
      [null, /Another address does not get through; whether another port/],
    ],
    ["nobody is there", { nat: HOME, dead: [`${A1}:3478`] }, "unknown, unknown", [/did not answer/, /did not answer/]],
  ];
  for (const [name, world, told, [mappingWhy, filteringWhy]] of rows) {
    test(name, () => {
      const { behaviour, tookMs } = run(world);
      expect(verdicts(behaviour)).toBe(told);
      expect(behaviour.mappingWhy ?? "known").toMatch(mappingWhy ?? /^known$/);
      expect(behaviour.filteringWhy ?? "known").toMatch(filteringWhy ?? /^known$/);
      expect(tookMs).toBeLessThan(9_000);
    });
  }

  test("a server that is silent costs three seconds and three datagrams", () => {
    for (const goal of ["mapped", "behaviour"] as const) {
      const { behaviour, tookMs, sent } = run({ nat: HOME, dead: [`${A1}:3478`] }, { goal });
      expect({ tookMs, sent: sent.length, mapped: behaviour.mapped }).toEqual({ tookMs: 3_000, sent: 3, mapped: null });
    }
  });
});

test("the mapped address alone takes one answer", () => {
  const { behaviour, sent, tookMs } = run({ nat: HOME }, { goal: "mapped" });
  expect(behaviour.mapped).toEqual({ address: "203.0.113.20", port: 40_000 });
  expect({ sent: sent.length, tookMs }).toEqual({ sent: 1, tookMs: 20 });
});

describe("servers that are otherwise", () => {
  const OPEN: NatModel = { mapping: "endpoint-independent", filtering: "endpoint-independent" };
  type Attributes = StunMessage["attributes"];
  const reply = (
    request: StunMessage,
    from: Endpoint,
    attributes: Attributes,
    kind: StunMessage["kind"] = "success",
  ) => ({
    from,
    message: { kind, transactionId: request.transactionId, attributes, fingerprint: false },
  });
  const plain = (other: Endpoint | null, origin: Endpoint | null): Answer => {
    return (request, from, at) => [
      reply(request, at, [
        { kind: "xor-mapped-address", endpoint: from },
        ...(other === null ? [] : [{ kind: "other-address" as const, endpoint: other }]),
        ...(origin === null ? [] : [{ kind: "response-origin" as const, endpoint: origin }]),
      ]),
    ];
  };

  test("one of RFC 8489 alone: its other port is not even tried", () => {
    const { behaviour, sent } = run({ nat: OPEN, answer: plain(null, null) });
    expect(sent).toHaveLength(1);
    expect(verdicts(behaviour)).toBe("unknown, unknown");
    expect(behaviour.mappingWhy).toBe(
      "What another address sees is not known: the server does not say that it can tell (RFC 5780).",
    );
    expect(behaviour.filteringWhy).toContain("(RFC 5780)");
  });

  test("one that knows MAPPED-ADDRESS only", () => {
    const answer: Answer = (request, from, at) => [reply(request, at, [{ kind: "mapped-address", endpoint: from }])];
    expect(run({ nat: OPEN, answer }).behaviour.mapped).toEqual({ address: "203.0.113.20", port: 40_000 });
  });

  test("one that answers from where it was asked, whatever is asked of it", () => {
    const { behaviour } = run({ nat: OPEN, answer: plain({ address: A2, port: 3479 }, SERVER) });
    expect(verdicts(behaviour)).toBe("endpoint-independent, unknown");
    expect(behaviour.filteringWhy).toBe("The server answers from the place it was asked at, whatever is asked of it.");
  });

  test("one whose other address differs in the port only", () => {
    const { behaviour, sent } = run({ nat: OPEN, answer: plain({ address: A1, port: 5000 }, SERVER) });
    expect([...new Set(sent)]).toEqual(["198.51.100.1:3478", "198.51.100.1:5000"]);
    expect(behaviour.mapping).toBe("unknown");
  });

  const elsewhere: [name: string, other: Endpoint][] = [
    ["inside our network", { address: "192.168.1.1", port: 53 }],
    ["this machine", { address: "127.0.0.1", port: 3479 }],
    ["of the other family", { address: "2001:db8::7", port: 3479 }],
    ["cloud metadata", { address: "169.254.169.254", port: 80 }],
    ["port 0", { address: A2, port: 0 }],
  ];
  for (const [name, other] of elsewhere) {
    test(`one that names another address: ${name}. Nothing is sent there`, () => {
      const { behaviour, sent } = run({ nat: OPEN, answer: plain(other, SERVER) });
      expect(sent.filter((place) => !place.startsWith(`${A1}:`))).toEqual([]);
      expect(behaviour.mapping).toBe("unknown");
      expect(behaviour.mappingWhy).toContain("is not of the network it was asked in");
    });
  }

  test("one that refuses", () => {
    const answer: Answer = (request, _from, at) => [
      reply(request, at, [{ kind: "error-code", code: 500, reason: "no" }], "error"),
    ];
    const { behaviour, tookMs } = run({ nat: OPEN, answer });
    expect(behaviour).toMatchObject({ mapped: null, mappingWhy: "The server refuses (error 500)." });
    expect(tookMs).toBe(20);
  });

  test("what is not its answer is counted, and the right one taken", () => {
    const forged: Endpoint = { address: "192.0.2.66", port: 1 };
    const answer: Answer = (request, from, at) => {
      const mapped: Attributes = [{ kind: "xor-mapped-address", endpoint: forged }];
      return [
        reply(request, { address: A1, port: 9 }, mapped),
        reply({ ...request, transactionId: "f".repeat(24) }, at, mapped),
        reply(request, at, mapped, "indication"),
        reply(request, at, []),
        reply(request, at, [{ kind: "xor-mapped-address", endpoint: from }]),
        reply(request, at, mapped),
      ];
    };
    const { behaviour } = run({ nat: { mapping: "none", filtering: "none" }, answer }, { goal: "mapped" });
    expect(behaviour.mapped).toEqual(LOCAL);
    expect(behaviour.ignored).toEqual({ unreadable: 2, unknown: 1, late: 0, foreign: 1 });
  });

  test("an answer from another address than the test asks for is none", () => {
    const answer: Answer = (request, from, at) => {
      const isChange = request.attributes.some(({ kind }) => kind === "change-request");
      const source = isChange ? { address: "198.51.100.3", port: 3479 } : at;
      return [
        reply(request, source, [
          { kind: "xor-mapped-address", endpoint: from },
          { kind: "other-address", endpoint: { address: A2, port: 3479 } },
        ]),
      ];
    };
    const { behaviour } = run({ nat: { mapping: "endpoint-independent", filtering: "none" }, answer });
    expect(behaviour.ignored.foreign).toBe(6);
    expect(behaviour.filtering).not.toBe("endpoint-independent");
  });
});
