import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { MapAsk, MappingDesk, MappingInfo, PinholeAsk, RemotePeer } from "../../src/core/mapping/desk.ts";
import type { MappingRefusalKind } from "../../src/core/mapping/refusal.ts";
import type { MappingPolicy } from "../../src/core/mapping/request.ts";
import type { Protocol } from "../../src/wire/port-set.ts";
import type { Result } from "../../src/wire/result.ts";
import { type PolicyText, testPolicy } from "../fixtures/fake-desk.ts";

/** A desk, and what happens around it. */
export interface DeskHarness {
  readonly desk: MappingDesk;
  /** Leases run, and those that ran out are over when it resolves. */
  pass(ms: number): Promise<void>;
  /** The operator's own mapping, or pinhole. */
  fix(to: string, protocol: Protocol, port: number): Promise<void>;
  /** Whether kernel and disk do what they are told. */
  setWorking(isWorking: boolean): void;
  /** So many packets have come in by each open pinhole. */
  letIn(packets: number): void;
  close(): Promise<void> | void;
}

const HOST = "192.168.77.2";
const OTHER = "192.168.78.2";
const HOST6 = "fd00:77::2";
const OTHER6 = "fd00:78::2";

export function mapAsk(more: Partial<MapAsk> = {}): MapAsk {
  const requester = more.requester ?? HOST;
  return {
    ask: { via: "igd", action: "AddPortMapping" },
    requester,
    internalAddress: requester,
    protocol: "tcp",
    internalPort: 80,
    externalPort: 8080,
    lifetimeSec: 600,
    description: "web",
    remotes: [],
    enabled: true,
    ...more,
  };
}

export function pinAsk(more: Partial<PinholeAsk> = {}): PinholeAsk {
  const requester = more.requester ?? HOST6;
  return {
    via: "igd",
    requester,
    claimedAddress: null,
    nonce: null,
    internalAddress: requester,
    protocol: "tcp",
    internalPort: 8080,
    remotes: [],
    lifetimeSec: 600,
    description: "",
    ...more,
  };
}

/** What every MappingDesk does, whoever keeps its mappings (core/mapping/desk.ts). */
export function describeMappingDesk(what: string, makeHarness: (policy: MappingPolicy) => Promise<DeskHarness>): void {
  describe(`${what} is a MappingDesk`, () => {
    let at: DeskHarness;
    const start = async (policy?: PolicyText) => {
      await at?.close();
      at = await makeHarness(testPolicy(policy));
    };
    beforeEach(() => start());
    afterEach(() => at.close());

    const ports = (infos: readonly MappingInfo[]) =>
      infos.map(({ protocol, externalPort }) => `${protocol} ${externalPort}`);
    const deletes = (
      internalPort: number,
      nonce: string | null = null,
      requester = HOST,
      internalAddress = requester,
    ) =>
      at.desk.unmapInternal({
        requester,
        internalAddress,
        request: { via: "pcp", protocol: "tcp", internalPort, nonce },
      });
    const deletesExternal = (first: number, last = first, requester = HOST) =>
      at.desk.unmapExternal({ requester, protocol: "tcp", firstExternalPort: first, lastExternalPort: last });

    test("shows what it granted, to the client whose it is", async () => {
      const info = granted(await at.desk.map(mapAsk()));
      expect(info).toEqual({
        id: info.id,
        protocol: "tcp",
        externalPort: 8080,
        lastExternalPort: 8080,
        internalAddress: HOST,
        internalPort: 80,
        description: "web",
        enabled: true,
        remotes: [],
        remainingSec: 600,
        fixed: false,
        nonce: null,
      });
      expect([at.desk.at(HOST, "tcp", 8080), ...at.desk.list(HOST)]).toEqual([info, info]);
      expect([at.desk.at(OTHER, "tcp", 8080), at.desk.at(HOST, "udp", 8080)]).toEqual([null, null]);
      expect([at.desk.list(OTHER), at.desk.pinholes(HOST)]).toEqual([[], []]);
    });

    test("shows all of them to everybody without secure mode", async () => {
      await start({ secureMode: false });
      granted(await at.desk.map(mapAsk()));
      granted(await at.desk.map(mapAsk({ externalPort: 8081, internalAddress: OTHER })));
      expect(ports(at.desk.list(OTHER))).toEqual(["tcp 8080", "tcp 8081"]);
      expect(at.desk.at(OTHER, "tcp", 8080)).toMatchObject({ internalAddress: HOST });
    });

    test("leases run, are renewed and end; a permanent one does not", async () => {
      const first = granted(await at.desk.map(mapAsk()));
      granted(await at.desk.map(mapAsk({ externalPort: 8081, internalPort: 81, lifetimeSec: null })));
      await at.pass(500_500);
      expect(at.desk.list(HOST).map(({ remainingSec }) => remainingSec)).toEqual([100, null]);
      expect(granted(await at.desk.map(mapAsk()))).toEqual(first);
      await at.pass(500_000);
      expect(ports(at.desk.list(HOST))).toEqual(["tcp 8080", "tcp 8081"]);
      await at.pass(100_000);
      expect(ports(at.desk.list(HOST))).toEqual(["tcp 8081"]);
    });

    test("a change is seen under the same id", async () => {
      const { id } = granted(await at.desk.map(mapAsk()));
      const remotes = [{ network: "198.51.100.0/24", port: null }] as unknown as readonly RemotePeer[];
      granted(await at.desk.map(mapAsk({ internalPort: 81, enabled: false, remotes })));
      expect(at.desk.list(HOST)).toMatchObject([{ id, internalPort: 81, enabled: false, remotes }]);
    });

    const refusals: readonly [name: string, ask: MapAsk, kind: MappingRefusalKind, heldForSec: number | null][] = [
      ["a port of another's", mapAsk({ requester: OTHER }), "taken", 600],
      [
        "the number that another has for the other protocol",
        mapAsk({ requester: OTHER, protocol: "udp" }),
        "taken",
        null,
      ],
      ["a mapping to another host", mapAsk({ internalAddress: OTHER, externalPort: 9000 }), "otherHost", null],
      ["a port that no rule allows", mapAsk({ externalPort: 80 }), "notPermitted", null],
      ["a port of the operator's", mapAsk({ externalPort: 7000 }), "reserved", null],
      ["more than it may have", mapAsk({ externalPort: 8082, internalPort: 82 }), "quota", null],
      ["a stranger", mapAsk({ requester: "203.0.113.9" }), "notInside", null],
    ];
    test.each(refusals)("refuses %s", async (_name, ask, kind, heldForSec) => {
      await start({ maxPerClient: 1 });
      await at.fix(OTHER, "tcp", 7000);
      granted(await at.desk.map(mapAsk()));
      expect(await at.desk.map(ask)).toMatchObject({ ok: false, error: { kind, heldForSec } });
      expect([ports(at.desk.list(HOST)), ports(at.desk.list(OTHER))]).toEqual([["tcp 8080"], ["tcp 7000"]]);
    });

    test("deletes by the internal side what is the client's own", async () => {
      granted(await at.desk.map(mapAsk()));
      granted(await at.desk.map(mapAsk({ externalPort: 8081, internalPort: 81 })));
      expect(await deletes(80, null, OTHER)).toBeNull();
      expect(await deletes(80, null, OTHER, HOST)).toMatchObject({ kind: "otherHost" });
      expect(ports(at.desk.list(HOST))).toEqual(["tcp 8080", "tcp 8081"]);
      expect([await deletes(80), await deletes(80)]).toEqual([null, null]);
      expect(ports(at.desk.list(HOST))).toEqual(["tcp 8081"]);
      expect(await deletes(0)).toBeNull();
      expect(at.desk.list(HOST)).toEqual([]);
    });

    test("wants the nonce of a mapping's maker where it is strict", async () => {
      await start({ strictNonce: true });
      const ask = { via: "pcp", claimedAddress: HOST, preferFailure: false, nonce: "aa" } as const;
      expect(granted(await at.desk.map(mapAsk({ ask })))).toMatchObject({ nonce: "aa" });
      expect(await at.desk.map(mapAsk({ ask: { ...ask, nonce: "bb" } }))).toMatchObject({
        error: { kind: "otherNonce" },
      });
      expect(await deletes(80, "bb")).toMatchObject({ kind: "otherNonce" });
      expect(await deletes(80, "aa")).toBeNull();
    });

    test("deletes by the external side, and says how many", async () => {
      for (const externalPort of [8080, 8081, 8082]) {
        granted(await at.desk.map(mapAsk({ externalPort, internalPort: externalPort })));
      }
      granted(await at.desk.map(mapAsk({ requester: OTHER, externalPort: 8090 })));
      expect(await deletesExternal(9000)).toEqual({ ok: true, value: 0 });
      expect(await deletesExternal(8090)).toMatchObject({ error: { kind: "otherHost" } });
      expect(await deletesExternal(8080)).toEqual({ ok: true, value: 1 });
      expect(await deletesExternal(8000, 8100)).toEqual({ ok: true, value: 2 });
      expect([at.desk.list(HOST), ports(at.desk.list(OTHER))]).toEqual([[], ["tcp 8090"]]);
    });

    test("what the operator made is seen, and no protocol changes or deletes it", async () => {
      await at.fix(HOST, "tcp", 7000);
      await at.fix(HOST6, "tcp", 22);
      expect(at.desk.list(HOST)).toMatchObject([{ externalPort: 7000, fixed: true, remainingSec: null }]);
      expect(await at.desk.map(mapAsk({ externalPort: 7000 }))).toMatchObject({ error: { kind: "reserved" } });
      expect(await deletes(7000)).toMatchObject({ kind: "fixedMapping" });
      expect(await deletesExternal(7000)).toMatchObject({ error: { kind: "fixedMapping" } });
      const [hole] = at.desk.pinholes(HOST6);
      expect(hole).toMatchObject({ internalPort: 22, fixed: true });
      expect(await at.desk.unpin(HOST6, hole!.id)).toMatchObject({ kind: "fixedMapping" });
      await at.fix(HOST6, "udp", 7000);
      expect(await at.desk.pin(pinAsk({ protocol: "udp", internalPort: 7000 }))).toMatchObject({
        error: { kind: "reserved" },
      });
      expect([at.desk.list(HOST).length, at.desk.pinholes(HOST6).length]).toEqual([1, 2]);
    });

    test("a pinhole lives, is counted, is its client's alone, and goes", async () => {
      const hole = granted(await at.desk.pin(pinAsk()));
      expect(hole).toMatchObject({ externalPort: 8080, internalPort: 8080, internalAddress: HOST6, remainingSec: 600 });
      expect([at.desk.pinholes(HOST6), at.desk.pinholes(OTHER6), at.desk.list(HOST6)]).toEqual([[hole], [], []]);
      // Each host has its own ports: the same one of another is another pinhole.
      const other = granted(await at.desk.pin(pinAsk({ requester: OTHER6 })));
      expect(other.id).not.toBe(hole.id);
      expect(await at.desk.pin(pinAsk({ internalAddress: OTHER6 }))).toMatchObject({ error: { kind: "otherHost" } });
      expect(await at.desk.pinholePackets(hole.id)).toBe(0);
      at.letIn(3);
      expect(await at.desk.pinholePackets(hole.id)).toBe(3);
      expect(await at.desk.unpin(OTHER6, hole.id)).toMatchObject({ kind: "otherHost" });
      expect(await at.desk.unpin(HOST6, hole.id)).toBeNull();
      expect(await at.desk.unpin(HOST6, hole.id)).toBeNull();
      expect(await at.desk.pinholePackets(hole.id)).toBe(0);
      expect(at.desk.pinholes(HOST6)).toEqual([]);
      await at.pass(600_000);
      expect(at.desk.pinholes(OTHER6)).toEqual([]);
    });

    test("IGD has a pinhole for each remote host, PCP one for a port, and each goes alone", async () => {
      const remotes = (...hosts: string[]) =>
        hosts.map((host) => ({ network: `${host}/128`, port: null })) as unknown as readonly RemotePeer[];
      const seen = () => at.desk.pinholes(HOST6).map((hole) => [hole.id, hole.remainingSec]);
      const first = granted(await at.desk.pin(pinAsk({ remotes: remotes("2001:db8::7") })));
      const second = granted(await at.desk.pin(pinAsk({ remotes: remotes("2001:db8::8"), lifetimeSec: 60 })));
      const pcp = { via: "pcp", claimedAddress: HOST6, nonce: "aa" } as const;
      const third = granted(await at.desk.pin(pinAsk({ ...pcp, remotes: remotes("2001:db8::9") })));
      granted(await at.desk.pin(pinAsk({ ...pcp, remotes: remotes("2001:db8::7") })));
      expect(seen()).toEqual([
        [first.id, 600],
        [second.id, 60],
        [third.id, 600],
      ]);
      at.letIn(3);
      expect(await at.desk.pinholePackets(first.id)).toBe(3);
      await at.pass(60_000);
      expect(seen()).toEqual([
        [first.id, 540],
        [third.id, 540],
      ]);
      expect(await deletes(8080, "aa", HOST6)).toBeNull();
      expect(seen()).toEqual([[first.id, 540]]);
      expect(await at.desk.unpin(HOST6, first.id)).toBeNull();
      expect(seen()).toEqual([]);
    });

    test("rejects when the gateway fails, and then has what it had", async () => {
      granted(await at.desk.map(mapAsk()));
      at.setWorking(false);
      await expect(at.desk.map(mapAsk({ internalPort: 81 }))).rejects.toThrow();
      await expect(at.desk.map(mapAsk({ externalPort: 8081, internalPort: 82 }))).rejects.toThrow();
      await expect(at.desk.pin(pinAsk())).rejects.toThrow();
      at.setWorking(true);
      expect(at.desk.list(HOST)).toMatchObject([{ externalPort: 8080, internalPort: 80 }]);
      expect(at.desk.pinholes(HOST6)).toEqual([]);
      granted(await at.desk.map(mapAsk({ externalPort: 8081, internalPort: 82 })));
    });
  });
}

function granted(result: Result<MappingInfo, unknown>): MappingInfo {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
