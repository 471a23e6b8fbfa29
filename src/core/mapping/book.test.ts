import { describe, expect, test } from "bun:test";
import { compileCidrs, parseCidr } from "../../wire/address.ts";
import { PortIndex } from "../port-index.ts";
import { mappings, remoteSpec } from "../table.fixture.ts";
import { ForwardTable } from "../table.ts";
import { type HeldMapping, MappingBook, type MappingOutcome } from "./book.ts";
import type { DeskRefusal, MapAsk, PinholeAsk } from "./desk.ts";
import { compilePermissions } from "./permission.ts";
import { parsePermissionRule } from "./permission-rule.ts";
import type { MappingPolicy } from "./request.ts";
import type { MappingSpec } from "./spec.ts";

function must<T, E>(result: { ok: true; value: T } | { ok: false; error: E }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const HOST = "192.168.1.7";
const OTHER = "192.168.1.8";
const HOST6 = "fd00::7";
const POLICY: MappingPolicy = {
  inside: compileCidrs([must(parseCidr("192.168.1.0/24")), must(parseCidr("fd00::/64"))]),
  own: new Set(["192.168.1.1"]),
  secureMode: true,
  permissions: compilePermissions([must(parsePermissionRule("allow 1024-65535 any 1-65535"))]),
  reserved: [{ protocol: "udp", port: 5351, purpose: "the gateway's NAT-PMP and PCP port" }],
  denied: { ranges: [] },
  maxPerClient: 3,
  natPmpPortZero: "sameAsExternal",
  strictNonce: false,
};

const newBook = () =>
  new MappingBook({
    ownerOf: (address) => ({ account: "owner", device: address === HOST6 ? HOST : address }),
    holderName: (device) => device,
  });

function ask(more: Partial<MapAsk> = {}): MapAsk {
  return {
    ask: { via: "natPmp" },
    requester: HOST,
    internalAddress: HOST,
    protocol: "tcp",
    internalPort: 8080,
    externalPort: 8080,
    lifetimeSec: 60,
    description: "",
    remotes: [],
    enabled: true,
    ...more,
  };
}

function pinhole(more: Partial<PinholeAsk> = {}): PinholeAsk {
  return {
    via: "pcp",
    requester: HOST6,
    claimedAddress: HOST6,
    nonce: "00",
    internalAddress: HOST6,
    protocol: "tcp",
    internalPort: 8080,
    remotes: [],
    lifetimeSec: 60,
    description: "",
    ...more,
  };
}

const shown = ({ spec }: HeldMapping) => {
  const [port] = spec.ports;
  return `${port?.protocol} ${port?.first} -> ${spec.to}:${port?.internalFirst}`;
};
type Mapped = { ok: true; value: MappingOutcome } | { ok: false; error: DeskRefusal };
const answer = (result: Mapped) =>
  result.ok ? `${result.value.kind} ${shown(result.value.forward)}` : result.error.kind;

describe("mappings", () => {
  test("the same port asked for again is renewed, and keeps its external port", () => {
    const book = newBook();
    expect(answer(book.map(ask(), POLICY, 0))).toBe(`added tcp 8080 -> ${HOST}:8080`);
    expect(answer(book.map(ask({ externalPort: 9000 }), POLICY, 50_000))).toBe(`unchanged tcp 8080 -> ${HOST}:8080`);
    expect(book.expire(109_999)).toEqual([]);
    expect(book.nextDeadlineMs()).toBe(110_000);
    expect(book.expire(110_000).map(shown)).toEqual([`tcp 8080 -> ${HOST}:8080`]);
    expect(book.size).toBe(0);
  });

  test("internal port 0 over NAT-PMP keeps its port for as long as it renews", () => {
    const book = newBook();
    const again = () => answer(book.map(ask({ protocol: "udp", internalPort: 0, externalPort: 1 }), POLICY, 0));
    expect(again()).toBe(`added udp 1024 -> ${HOST}:1024`);
    expect(again()).toBe(`unchanged udp 1024 -> ${HOST}:1024`);
  });

  test("who had a port gets it again after it ended", () => {
    const book = newBook();
    book.map(ask({ internalPort: 5000, externalPort: 7000 }), POLICY, 0);
    book.expire(60_000);
    expect(answer(book.map(ask({ internalPort: 5000, externalPort: 0 }), POLICY, 60_000))).toBe(
      `added tcp 7000 -> ${HOST}:5000`,
    );
  });

  test("what a VPN peer had is kept for it, and nobody else gets it by asking", () => {
    const book = new MappingBook({
      ownerOf: (device) => ({ account: "owner", device }),
      holderName: (device) => device,
      isSticky: (device) => device === HOST,
    });
    const { spec } = must(book.map(ask(), POLICY, 0)).forward;
    book.expire(60_000);
    expect(book.isKept(spec)).toBe(true);
    const other = { requester: OTHER, internalAddress: OTHER };
    expect(answer(book.map(ask(other), POLICY, 60_000))).toBe(`added tcp 8081 -> ${OTHER}:8080`);
    expect(answer(book.map(ask({ externalPort: 0 }), POLICY, 60_000))).toBe(`added tcp 8080 -> ${HOST}:8080`);
    const [held] = book.mappingsTo(HOST);
    if (held !== undefined) book.remove(held);
    if (held !== undefined) book.forget(held);
    expect(book.isKept(spec)).toBe(false);
    expect(book.keep({ ...spec, to: OTHER, requester: OTHER })).toBe(false);
  });

  test("another's port is refused to who insists, with the time it is held; others get another", () => {
    const book = newBook();
    book.map(ask(), POLICY, 0);
    const other = { requester: OTHER, internalAddress: OTHER };
    const insists = book.map(ask({ ...other, ask: { via: "igd", action: "AddPortMapping" } }), POLICY, 20_000);
    expect(insists).toMatchObject({ ok: false, error: { kind: "taken", heldForSec: 40 } });
    expect(answer(book.map(ask(other), POLICY, 0))).toBe(`added tcp 8081 -> ${OTHER}:8080`);
  });

  test("the quota counts what a host has asked for, mappings and pinholes alike", () => {
    const book = newBook();
    for (const internalPort of [1, 2, 3]) book.map(ask({ internalPort, externalPort: 0 }), POLICY, 0);
    expect(answer(book.map(ask({ internalPort: 4, externalPort: 0 }), POLICY, 0))).toBe("quota");
    expect(answer(book.map(ask({ internalPort: 3, externalPort: 0 }), POLICY, 0))).toStartWith("unchanged");
    book.expire(60_000);
    expect(answer(book.map(ask({ internalPort: 4, externalPort: 0 }), POLICY, 60_000))).toStartWith("added");
  });

  test("a port that a forward of another kind has is nobody's", () => {
    const ports = new PortIndex<never>() as ConstructorParameters<typeof MappingBook>[0]["ports"] & object;
    const relay = new ForwardTable({ ports });
    must(relay.put({ account: "owner", device: "attic" }, remoteSpec("web", mappings("8080")), "*", 0));
    const book = new MappingBook({
      ownerOf: (device) => ({ account: "owner", device }),
      holderName: (device) => `device "${device}"`,
      ports,
    });
    expect(answer(book.map(ask({ ask: { via: "igd", action: "AddPortMapping" } }), POLICY, 0))).toBe("reserved");
    expect(answer(book.map(ask(), POLICY, 0))).toBe(`added tcp 8081 -> ${HOST}:8080`);
    const spec: MappingSpec = { ...must(book.map(ask(), POLICY, 0)).forward.spec, ports: mappings("8080"), id: "mine" };
    expect(book.put(spec, 0)).toMatchObject({
      ok: false,
      error: { kind: "conflict", message: expect.stringContaining('device "attic"') },
    });
    expect(relay.put({ account: "owner", device: "attic" }, remoteSpec("two", mappings("8081")), "*", 0).ok).toBe(
      false,
    );
  });

  test("undo takes a change back, unless something came over it", () => {
    const book = newBook();
    const added = must(book.map(ask(), POLICY, 0));
    const changed = must(book.map(ask({ description: "web" }), POLICY, 0));
    book.undo(added, 0);
    expect(book.at("tcp", 8080)?.spec.name).toBe("web");
    book.undo(changed, 0);
    expect(book.at("tcp", 8080)?.spec.name).toBe("tcp 8080");
    book.undo(must(book.map(ask({ internalPort: 9 }), POLICY, 0)), 0);
    expect([...book.list()].map(shown)).toEqual([`tcp 8080 -> ${HOST}:8080`]);
  });

  test("a restored lease runs on; one that contradicts is told", () => {
    const { spec } = must(newBook().map(ask(), POLICY, 0)).forward;
    const book = newBook();
    const rejected = book.restore(
      [
        { spec, remainingMs: 5_000 },
        { spec: { ...spec, to: OTHER }, remainingMs: 5_000 },
      ],
      1_000,
    );
    expect(rejected).toMatchObject([{ spec: { to: OTHER }, error: { kind: "conflict" } }]);
    expect(book.nextDeadlineMs()).toBe(6_000);
  });
});

describe("pinholes", () => {
  test("every host has its own ports, whoever holds that number outside", () => {
    const book = newBook();
    book.map(ask(), POLICY, 0);
    expect(answer(book.pin(pinhole(), POLICY, 0))).toBe(`added tcp 8080 -> ${HOST6}:8080`);
    const other = { requester: "fd00::8", claimedAddress: "fd00::8", internalAddress: "fd00::8" };
    expect(answer(book.pin(pinhole(other), POLICY, 0))).toBe("added tcp 8080 -> fd00::8:8080");
    expect(answer(book.pin(pinhole(), POLICY, 0))).toBe(`unchanged tcp 8080 -> ${HOST6}:8080`);
    expect(book.pinholesTo(HOST6)).toHaveLength(1);
    expect(book.mappingsTo(HOST6)).toHaveLength(0);
  });

  const remote = (port: number | null) => ({ network: must(parseCidr("2001:db8::1/128")), port });
  const igd = { via: "igd", claimedAddress: null, nonce: null } as const;

  test("IGD's remote hosts have a pinhole each, with a lease of its own", () => {
    const book = newBook();
    const pin = (more: Partial<PinholeAsk>) => answer(book.pin(pinhole({ ...igd, ...more }), POLICY, 0));
    expect(pin({ remotes: [remote(98)], lifetimeSec: 100 })).toStartWith("added");
    expect(pin({ remotes: [remote(99)], lifetimeSec: 10 })).toStartWith("added");
    expect(pin({ remotes: [], lifetimeSec: 50 })).toStartWith("added");
    expect(pin({ remotes: [remote(98)], lifetimeSec: 100 })).toStartWith("unchanged");
    const ends = (nowMs: number) => book.expire(nowMs).map(({ spec }) => spec.allow.map(({ port }) => port));
    expect([ends(10_000), ends(50_000), ends(99_999), ends(100_000)]).toEqual([[[99]], [[]], [], [[98]]]);
  });

  test("each of IGD's counts for the quota", () => {
    const book = newBook();
    const pin = (port: number) => answer(book.pin(pinhole({ ...igd, remotes: [remote(port)] }), POLICY, 0));
    expect([pin(1), pin(2), pin(3)].map((text) => text.split(" ")[0])).toEqual(["added", "added", "added"]);
    expect(pin(4)).toBe("quota");
    expect(pin(3)).toStartWith("unchanged");
  });

  test("PCP has one for a port, whoever may come by it, and takes none of IGD's away", () => {
    const book = newBook();
    book.pin(pinhole({ ...igd, remotes: [remote(98)] }), POLICY, 0);
    expect(answer(book.pin(pinhole({ remotes: [remote(99)] }), POLICY, 0))).toStartWith("added");
    expect(answer(book.pin(pinhole(), POLICY, 0))).toStartWith("changed");
    const request = { via: "pcp", protocol: "tcp", internalPort: 8080, nonce: "00" } as const;
    const { remove, refusal } = book.deletedInternal({ requester: HOST6, internalAddress: HOST6, request }, POLICY);
    expect([remove.map(({ spec }) => spec.origin), refusal]).toEqual([["pcp"], null]);
  });

  test("who may come by the operator's is not the client's to say", () => {
    const book = newBook();
    const { spec } = must(book.pin(pinhole(), POLICY, 0)).forward;
    const ports = mappings("8000-8100");
    const fixed = { ...spec, id: "mapping/cam", ports, requester: null, origin: "config", lifetimeSec: null } as const;
    must(book.put(fixed, 0));
    expect(answer(book.pin(pinhole({ internalPort: 8050 }), POLICY, 0))).toBe("reserved");
    expect(answer(book.pin(pinhole({ ...igd, internalPort: 8050 }), POLICY, 0))).toBe("reserved");
    expect(answer(book.pin(pinhole({ protocol: "udp", internalPort: 8050 }), POLICY, 0))).toStartWith("added");
  });

  test.each([
    ["another host's", { internalAddress: "fd00::8" }, "otherHost"],
    ["the sender behind a NAT", { claimedAddress: "fd00::9" }, "addressMismatch"],
    ["a port that is not permitted", { internalPort: 22 }, "notPermitted"],
    ["a host outside", { requester: "fd01::1", claimedAddress: "fd01::1", internalAddress: "fd01::1" }, "notInside"],
  ])("%s is refused", (_, more, kind) => {
    expect(answer(newBook().pin(pinhole(more), POLICY, 0))).toBe(kind);
  });
});

describe("deletes", () => {
  const fixed = (book: MappingBook): void => {
    const { spec } = must(newBook().map(ask({ internalPort: 9, externalPort: 9000 }), POLICY, 0)).forward;
    must(book.put({ ...spec, requester: null, origin: "config", lifetimeSec: null }, 0));
  };

  test("by the internal side: the client's own, of that protocol, and not the operator's", () => {
    const book = newBook();
    book.map(ask(), POLICY, 0);
    book.map(ask({ protocol: "udp" }), POLICY, 0);
    fixed(book);
    const request = { via: "natPmp", protocol: "tcp", nonce: null } as const;
    const one = book.deletedInternal(
      { requester: HOST, internalAddress: HOST, request: { ...request, internalPort: 8080 } },
      POLICY,
    );
    expect([one.remove.map(shown), one.refusal]).toEqual([[`tcp 8080 -> ${HOST}:8080`], null]);
    const theirs = book.deletedInternal(
      { requester: OTHER, internalAddress: HOST, request: { ...request, internalPort: 8080 } },
      POLICY,
    );
    expect([theirs.remove, theirs.refusal?.kind]).toEqual([[], "otherHost"]);
    const operators = book.deletedInternal(
      { requester: HOST, internalAddress: HOST, request: { ...request, internalPort: 9 } },
      POLICY,
    );
    expect([operators.remove, operators.refusal?.kind]).toEqual([[], "fixedMapping"]);
  });

  test.each([
    ["its own", HOST, 8080, 8080, true, 1],
    ["a range", HOST, 8000, 9999, true, 1],
    ["none there", HOST, 1, 2, true, 0],
    ["another's", OTHER, 8080, 8080, true, "otherHost"],
    ["another's without secure mode", OTHER, 8080, 8080, false, 1],
    ["the operator's", HOST, 9000, 9000, true, "fixedMapping"],
  ])("by the external side: %s", (_, requester, firstExternalPort, lastExternalPort, secureMode, expected) => {
    const book = newBook();
    book.map(ask(), POLICY, 0);
    fixed(book);
    const named = { requester, protocol: "tcp", firstExternalPort, lastExternalPort } as const;
    const deleted = book.deletedExternal(named, { secureMode });
    expect<string | number>(deleted.ok ? deleted.value.length : deleted.error.kind).toBe(expected);
  });
});
