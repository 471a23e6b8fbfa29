import { describe, expect, test } from "bun:test";
import type { KeptPort, KeptState } from "../../core/router/keeper-model.ts";
import type { RouterFailure } from "../../core/router/model.ts";
import type { PortWish } from "../../core/router/wish.ts";
import { stateOf } from "./state.ts";

const NO: RouterFailure = { kind: "conflict", code: 718, message: "It is taken." };

function port(family: 4 | 6, state: KeptState, externalPort = 80): KeptPort {
  const wish: PortWish = {
    family,
    protocol: "tcp",
    host: null,
    internalPort: 80,
    externalPort,
    exact: false,
    lifetimeSec: 600,
    description: "Hatchway web",
  };
  return { wish, state };
}

const held = (externalAddress: string | null, externalPort = 80, endsMs: number | null = 1_000): KeptState => ({
  kind: "held",
  mapping: { externalAddress, externalPort, internalAddress: "192.168.1.20", via: "pcp", sinceMs: 0, endsMs },
  renewAtMs: null,
  why: null,
});
const ASKING: KeptState = { kind: "asking" };
const REFUSED: KeptState = { kind: "refused", why: NO, atMs: null };
const LOST: KeptState = { kind: "lost", why: NO, atMs: null };

const look = (kept: readonly KeptPort[], wasOpen = false) =>
  stateOf({
    kept,
    wasOpen,
    routerOf: (protocol) => ({ protocol, address: "192.168.1.1", model: "box" }),
    wallOf: (ms) => ms + 5_000,
  });

describe("what became of a forward at the router", () => {
  test("open: the addresses, the router, the end of the lease by the clock of day", () => {
    expect(look([port(4, held("9.9.9.20"))])).toEqual({
      kind: "open",
      endpoints: [
        { protocol: "tcp", host: "9.9.9.20", port: 80, lastPort: 80, internalHost: "192.168.1.20", internalPort: 80 },
      ],
      router: { protocol: "pcp", address: "192.168.1.1", model: "box" },
      leaseEndsMs: 6_000,
      note: null,
    });
  });

  test.each<[string, readonly KeptPort[], boolean, object]>([
    ["both families are waited for", [port(4, held("9.9.9.20")), port(6, ASKING)], false, { kind: "asking" }],
    ["but not once it was open", [port(4, held("9.9.9.20")), port(6, ASKING)], true, { kind: "open" }],
    ["no pinholes: no news", [port(4, held("9.9.9.20")), port(6, REFUSED)], false, { kind: "open", note: null }],
    ["IPv6 alone", [port(4, REFUSED), port(6, held("2a00::1"))], false, { kind: "open", note: /It is taken/ }],
    ["IPv4's reason counts", [port(4, REFUSED), port(6, LOST)], false, { kind: "refused", why: "conflict" }],
    [
      "one port of several is missing",
      [port(4, held("9.9.9.20")), port(4, REFUSED)],
      false,
      { kind: "refused", failure: "conflict" },
    ],
    ["it was open, and is not", [port(4, LOST)], true, { kind: "lost", failure: "conflict", message: "It is taken." }],
    ["another port", [port(4, held("9.9.9.20", 81))], false, { note: /80\/tcp is taken.* 81 outside/ }],
    ["whichever port", [port(4, held("9.9.9.20", 81), 0)], false, { note: null }],
    ["a shared address", [port(4, held("100.64.0.2"))], false, { note: /100\.64\.0\.2, is not one of the internet/ }],
    ["an address that is not told", [port(4, held(null))], false, { note: /does not tell its address/ }],
    ["for good", [port(4, held("9.9.9.20", 80, null))], false, { leaseEndsMs: null }],
  ])("%s", (_what, kept, wasOpen, expected) => {
    const state = look(kept, wasOpen) as unknown as Record<string, unknown>;
    for (const [key, value] of Object.entries(expected)) {
      if (value instanceof RegExp) expect(JSON.stringify(state[key])).toMatch(value);
      else expect(state[key]).toEqual(value);
    }
  });
});
