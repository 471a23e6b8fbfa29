import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Cidr } from "../address.ts";
import { type ControlMessage, decodeControl, encodeControl } from "./control.ts";
import { MAX_PAYLOAD } from "./frame.ts";

const KEY = "A".repeat(43);
const SIGNATURE = "B".repeat(86);
const HELLO = { t: "hello", v: 1, role: "control", key: KEY, sig: SIGNATURE, version: "0.1.0" } as const;
const SPEC = {
  id: "f-1",
  name: "web",
  group: null,
  ports: [{ protocol: "tcp", first: 8840, last: 8849, internalFirst: 80 }],
  options: {
    source: { allow: ["192.0.2.0/24" as Cidr], deny: [] },
    limits: { connections: 10 },
    proxyProtocol: "v2",
    tcpIdleSec: null,
    halfCloseIdleSec: 300,
    udpIdleSec: 120,
    healthCheck: { intervalSec: 5, timeoutSec: 2, failures: 3 },
  },
  enabled: true,
  lifetimeSec: 600,
} as const;
const WELCOME = {
  t: "welcome",
  v: 1,
  session: "s",
  device: "nas",
  account: "main",
  publicHost: "relay.example",
  carriers: { light: 1, bulk: 2, datagram: 1 },
} as const;

const CHECK_OWN = {
  kind: "own",
  addresses: [],
  protocol: "udp",
  port: 53,
  probe: "dns",
  nonce: "AAAAAAAAAAAAAAAAAAAAAA",
} as const;
const SEEN = { saw: "open", from: "198.51.100.1", elapsedMs: 12, fits: true } as const;
const ENTRY = { state: "away", allowsAsker: true, visitors: 3, refused: { deviceAway: 1 } } as const;

const MESSAGES: readonly ControlMessage[] = [
  HELLO,
  { ...HELLO, role: "bulk", session: "s", index: 3 },
  { ...HELLO, join: "secret" },
  { ...HELLO, features: ["handover", "of a later version"] },
  { t: "handover" },
  { t: "put", rid: 1, handle: 0xffff_ffff, spec: SPEC as never },
  { t: "remove", rid: 2, id: "f-1" },
  { t: "sync", rid: 3, ids: ["f-1", "f-2"] },
  { t: "stats", rid: 4, ids: [] },
  { t: "check", rid: 5, target: CHECK_OWN },
  { t: "check", rid: 5, target: { ...CHECK_OWN, protocol: "tcp", probe: null, addresses: ["192.0.2.7"] }, pad: "..." },
  { t: "check", rid: 6, target: { kind: "forward", id: "f-1", protocol: "tcp", port: 8840 } },
  { t: "health", id: "f-1", healthy: false },
  WELCOME,
  { ...WELCOME, features: ["check", "of a later version"] },
  { ...WELCOME, version: "1.2.3", timeMs: 1_700_000_000_000 },
  { t: "denied", retrySec: 4 },
  { t: "result", rid: 1, outcome: { kind: "done" } },
  {
    t: "result",
    rid: 1,
    outcome: {
      kind: "open",
      endpoints: [{ protocol: "udp", host: "relay.example", port: 1, lastPort: 2, internalPort: 53 }],
    },
  },
  { t: "result", rid: 1, outcome: { kind: "open", endpoints: [], trouble: { state: "waiting", message: "Soon." } } },
  {
    t: "result",
    rid: 1,
    outcome: {
      kind: "stats",
      forwards: [
        {
          id: "f-2",
          visitors: 0,
          open: 0,
          bytesIn: 0,
          bytesOut: 0,
          refused: {},
          trouble: { state: "refused", message: "No." },
        },
      ],
    },
  },
  { t: "result", rid: 1, outcome: { kind: "refused", why: "conflict", message: "Port 8840 is taken." } },
  {
    t: "result",
    rid: 1,
    outcome: {
      kind: "stats",
      forwards: [{ id: "f-1", visitors: 1, open: 0, bytesIn: 2, bytesOut: 3, refused: { idle: 1 } }],
    },
  },
  { t: "result", rid: 5, outcome: { kind: "check", address: "192.0.2.7", probe: SEEN, entry: null } },
  {
    t: "result",
    rid: 5,
    outcome: { kind: "check", address: "192.0.2.7", probe: { ...SEEN, from: null }, entry: null },
  },
  { t: "result", rid: 6, outcome: { kind: "check", address: "2001:db8::7", probe: null, entry: ENTRY } },
  { t: "bye", why: "takeover" },
];

describe("round trip", () => {
  for (const message of MESSAGES) {
    test(`${message.t} ${Object.keys(message).length}`, () => {
      expect(decodeControl(encodeControl(message))).toEqual({ ok: true, value: message });
    });
  }
});

describe("cut at every byte it is not JSON", () => {
  for (const message of MESSAGES) {
    test(message.t, () => {
      const bytes = encodeControl(message);
      for (let at = 0; at < bytes.length; at++) {
        const decoded = decodeControl(bytes.subarray(0, at));
        expect(decoded.ok ? "taken" : decoded.error.kind).toBe("not-json");
      }
    });
  }
});

const encoder = new TextEncoder();
const say = (value: unknown) => decodeControl(encoder.encode(JSON.stringify(value)));

describe("what is refused", () => {
  const table: readonly (readonly [string, unknown])[] = [
    ["null", null],
    ["a list", []],
    ["no type", {}],
    ["an unknown type", { t: "shell" }],
    ["the type as a list", { t: ["hello"] }],
    ["a role that is none", { ...HELLO, role: "root" }],
    ["a long key", { ...HELLO, key: "A".repeat(65) }],
    ["a long join secret", { ...HELLO, join: "A".repeat(129) }],
    ["index 256", { ...HELLO, index: 256 }],
    ["index −1", { ...HELLO, index: -1 }],
    ["index 1.5", { ...HELLO, index: 1.5 }],
    ["no carriers", { ...WELCOME, carriers: { light: 0, bulk: 2, datagram: 1 } }],
    ["a thousand carriers", { ...WELCOME, carriers: { light: 1, bulk: 1000, datagram: 1 } }],
    ["handle 0", { t: "put", rid: 1, handle: 0, spec: SPEC }],
    ["handle 2³²", { t: "put", rid: 1, handle: 2 ** 32, spec: SPEC }],
    ["ports upside down", { t: "put", rid: 1, handle: 1, spec: { ...SPEC, ports: [{ ...SPEC.ports[0], last: 1 }] } }],
    [
      "inner ports past the end",
      { t: "put", rid: 1, handle: 1, spec: { ...SPEC, ports: [{ ...SPEC.ports[0], internalFirst: 65_530 }] } },
    ],
    ["no ports", { t: "put", rid: 1, handle: 1, spec: { ...SPEC, ports: [] } }],
    [
      "a source that is no network",
      {
        t: "put",
        rid: 1,
        handle: 1,
        spec: { ...SPEC, options: { ...SPEC.options, source: { allow: ["all"], deny: [] } } },
      },
    ],
    ["too many ids", { t: "sync", rid: 1, ids: Array.from({ length: 10_001 }, () => "f") }],
    ["a check of port 0", { t: "check", rid: 1, target: { ...CHECK_OWN, port: 0 } }],
    ["a check with bytes of its own", { t: "check", rid: 1, target: { ...CHECK_OWN, nonce: "A".repeat(23) } }],
    ["a check of many addresses", { t: "check", rid: 1, target: { ...CHECK_OWN, addresses: Array(17).fill("::1") } }],
    ["a check with a long address", { t: "check", rid: 1, target: { ...CHECK_OWN, addresses: ["1".repeat(46)] } }],
    ["a check that is padded without end", { t: "check", rid: 1, target: CHECK_OWN, pad: ".".repeat(8_193) }],
    ["a check of something else", { t: "check", rid: 1, target: { kind: "host", host: "db" } }],
    ["a negative wait", { t: "denied", retrySec: -1 }],
  ];
  for (const [name, value] of table) {
    test(name, () => {
      const decoded = say(value);
      expect(decoded.ok ? "taken" : decoded.error.kind).toBe("not-a-message");
    });
  }

  test("bytes that are not UTF-8", () => {
    const decoded = decodeControl(Uint8Array.of(0x22, 0xff, 0x22));
    expect(decoded.ok ? "taken" : decoded.error.kind).toBe("not-json");
  });

  test("nesting as deep as a frame allows", () => {
    const decoded = decodeControl(new Uint8Array(MAX_PAYLOAD).fill("[".charCodeAt(0)));
    expect(decoded.ok ? "taken" : decoded.error.kind).toBe("not-json");
  });

  test("a prototype key changes nothing", () => {
    const decoded = decodeControl(
      encoder.encode(
        '{"t":"result","rid":1,"outcome":{"kind":"stats","forwards":[{"id":"f","visitors":0,"open":0,"bytesIn":0,"bytesOut":0,"refused":{"__proto__":5}}]},"__proto__":{"rid":9}}',
      ),
    );
    expect(decoded.ok && decoded.value).toMatchObject({ t: "result", rid: 1 });
    expect(({} as Record<string, unknown>)["rid"]).toBeUndefined();
  });
});

test("unknown keys are ignored: a newer peer may add some", () => {
  expect(say({ ...HELLO, colour: "red" })).toEqual({ ok: true, value: HELLO });
});

test("the longest message of each list fits in a frame", () => {
  const longId = "x".repeat(64);
  const many = encodeControl({ t: "sync", rid: 1, ids: Array.from({ length: 10_000 }, () => longId) });
  expect(many.length).toBeLessThanOrEqual(MAX_PAYLOAD);
  const ports = Array.from({ length: 1000 }, () => ({
    protocol: "tcp" as const,
    first: 65_000,
    last: 65_000,
    internalFirst: 65_000,
  }));
  const networks = Array.from({ length: 1000 }, () => "2001:db8:1111:2222:3333:4444:5555:6666/128" as Cidr);
  const source = { allow: networks, deny: networks };
  const put = { ...SPEC, ports, options: { ...SPEC.options, source } } as never;
  expect(encodeControl({ t: "put", rid: 1, handle: 1, spec: put }).length).toBeLessThanOrEqual(MAX_PAYLOAD);
});

test("random JSON and random bytes never make it throw", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      decodeControl(encoder.encode(text));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(decodeControl(bytes).ok).toBe(false);
    }),
  );
});

test("-0 is 0", () => {
  const decoded = decodeControl(new TextEncoder().encode('{"t":"denied","retrySec":-0}'));
  expect(decoded.ok && decoded.value.t === "denied" && Object.is(decoded.value.retrySec, 0)).toBe(true);
});
