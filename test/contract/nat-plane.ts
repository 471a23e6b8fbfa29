import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type {
  HeldNatPlane,
  NatChange,
  NatEntry,
  NatForward,
  NatPinhole,
  NatSettings,
} from "../../src/dataplanes/nat/state.ts";
import { DROP_REASONS } from "../../src/dataplanes/nat/state.ts";
import type { Cidr } from "../../src/wire/address.ts";

export const cidr = (text: string): Cidr => text as Cidr;

/** A gateway like the lab's NAT box, with nothing limited. */
export function natSettings(settings: Partial<NatSettings> = {}): NatSettings {
  return {
    wan: ["wan"],
    lan: ["lan1", "lan2"],
    vpn: null,
    externalAddresses: ["203.0.113.20"],
    insideOnly: { tcp: [], udp: [] },
    masquerade: true,
    snatPorts: { first: 60_000, last: 64_999 },
    dropUnforwarded: true,
    vpnClientsMayMeet: true,
    sources: { allow: [], deny: [] },
    limits: { connectionsPerSource: null, newPerSourcePerSec: null },
    triggers: [],
    ...settings,
  };
}

export function natForward(entry: Partial<NatForward> & Pick<NatForward, "first">): NatForward {
  const { first } = entry;
  const protocol = entry.protocol ?? "tcp";
  return {
    kind: "forward",
    id: `${protocol}-${first}`,
    protocol,
    last: first,
    to: "192.168.77.2",
    internalFirst: first,
    allow: [],
    deny: [],
    limits: null,
    ...entry,
  };
}

export function natPinhole(entry: Partial<NatPinhole> & Pick<NatPinhole, "first">): NatPinhole {
  return {
    kind: "pinhole",
    id: `pinhole-${entry.first}`,
    protocol: "tcp",
    last: entry.first,
    to: "fd00:77::2",
    allow: [],
    deny: [],
    limits: null,
    ...entry,
  };
}

/** What every `HeldNatPlane` does, the kernel's and the fake one. */
export function natPlaneContract(name: string, make: () => HeldNatPlane | Promise<HeldNatPlane>): void {
  describe(`${name} is a HeldNatPlane`, () => {
    const made: { plane: HeldNatPlane | null } = { plane: null };
    const plane = (): HeldNatPlane => made.plane!;
    const ids = async (): Promise<string[]> => [...(await plane().usage()).keys()].sort();
    const web = natForward({ id: "web", first: 80, internalFirst: 8080 });
    const game = natForward({ id: "game", first: 27_000, last: 27_010, protocol: "udp" });
    const v6 = natPinhole({ id: "v6", first: 443 });

    beforeAll(async () => {
      made.plane = await make();
    });
    afterAll(async () => {
      await plane().close({ clean: true });
    });

    test("a change before the first replace is refused", async () => {
      expect(await plane().change({ put: [web], remove: [] })).toMatchObject({ ok: false, error: { kind: "refused" } });
    });

    test("replace makes it exactly this", async () => {
      expect(await plane().replace(natSettings(), [web, game])).toEqual({ ok: true, value: null });
      expect(await ids()).toEqual(["game", "web"]);
      expect(await plane().replace(natSettings(), [web, v6])).toEqual({ ok: true, value: null });
      expect(await ids()).toEqual(["v6", "web"]);
    });

    test("the same again changes nothing", async () => {
      expect(await plane().replace(natSettings(), [web, v6])).toEqual({ ok: true, value: null });
      expect(await ids()).toEqual(["v6", "web"]);
    });

    test("it tells what it is to hold", () => {
      expect([...plane().entries.values()].toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([v6, web]);
    });

    test.each([
      ["IPv4", { visitor: { address: "198.51.100.7", port: 40_001 }, entry: { address: "203.0.113.20", port: 80 } }],
      ["IPv6", { visitor: { address: "2001:db8::7", port: 40_001 }, entry: { address: "fd00:77::2", port: 443 } }],
    ])("a connection that was ended is shut by %s, more than once too", async (_family, ended) => {
      expect(await plane().shut(ended)).toEqual({ ok: true, value: null });
      expect(await plane().shut(ended)).toEqual({ ok: true, value: null });
      expect(await plane().replace(natSettings(), [web, v6])).toEqual({ ok: true, value: null });
    });

    test("nothing was used or dropped", async () => {
      const unused = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };
      expect(Object.fromEntries(await plane().usage())).toEqual({ web: unused, v6: unused });
      expect(Object.keys(await plane().drops()).sort()).toEqual([...DROP_REASONS].sort());
      expect(await plane().openTriggers()).toEqual([]);
    });

    const changes: [string, NatChange, string[]][] = [
      ["an entry more", { put: [game], remove: [] }, ["game", "v6", "web"]],
      ["one less", { put: [], remove: ["v6"] }, ["game", "web"]],
      ["one that is not there is no failure to remove", { put: [], remove: ["nobody"] }, ["game", "web"]],
      ["a known id is replaced", { put: [{ ...web, to: "192.168.78.2" }], remove: [] }, ["game", "web"]],
      ["ports change hands in one change", { put: [{ ...web, id: "new" }], remove: ["web"] }, ["game", "new"]],
      [
        "two trade their ports",
        { put: [{ ...web, id: "new", first: 81, last: 81 }, natForward({ id: "other", first: 80 })], remove: [] },
        ["game", "new", "other"],
      ],
    ];
    test.each(changes)("%s", async (_name, change, expected) => {
      expect(await plane().change(change)).toEqual({ ok: true, value: null });
      expect(await ids()).toEqual(expected);
    });

    const refused: [string, NatEntry][] = [
      ["a port of another entry", natForward({ id: "x", first: 80 })],
      ["a range over another entry's port", natForward({ id: "x", first: 70, last: 90 })],
      ["a port inside another entry's range", natForward({ id: "x", first: 27_005, protocol: "udp" })],
      ["an IPv6 client of a forward", natForward({ id: "x", first: 90, to: "fd00:77::2" })],
      ["an IPv4 host of a pinhole", natPinhole({ id: "x", first: 90, to: "192.168.77.2" })],
      ["a text that would end the element", natForward({ id: "x", first: 90, to: "192.168.77.2 }; flush ruleset" })],
      ["ports that run backwards", natForward({ id: "x", first: 91, last: 90 })],
      ["internal ports over the end", natForward({ id: "x", first: 90, last: 95, internalFirst: 65_533 })],
      ["port 0", natForward({ id: "x", first: 0 })],
      [
        "a limit of 0",
        natForward({ id: "x", first: 90, limits: { connectionsPerSource: 0, newPerSourcePerSec: null } }),
      ],
    ];
    test.each(refused)("refused: %s", async (_name, entry) => {
      const before = await ids();
      expect(await plane().change({ put: [entry], remove: [] })).toMatchObject({
        ok: false,
        error: { kind: "refused" },
      });
      expect(await ids()).toEqual(before);
    });

    test("of changes that come together, the bad one fails alone", async () => {
      const results = await Promise.all([
        plane().change({ put: [natForward({ id: "a", first: 101 })], remove: [] }),
        plane().change({ put: [natForward({ id: "b", first: 101 })], remove: [] }),
        plane().change({ put: [natForward({ id: "c", first: 102 })], remove: [] }),
      ]);
      expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
      expect(await ids()).toEqual(["a", "c", "game", "new", "other"]);
    });

    const badSettings: [string, Partial<NatSettings>][] = [
      ["no interface outside", { wan: [] }],
      ["an interface that is both", { lan: ["wan"] }],
      ["a name that would end the rule", { wan: ['wan" accept'] }],
      ["an external address that is none", { externalAddresses: ["203.0.113.20, 0.0.0.0/0"] }],
    ];
    test.each(badSettings)("settings are refused: %s", async (_name, settings) => {
      const before = await ids();
      expect(await plane().replace(natSettings(settings), [])).toMatchObject({ ok: false, error: { kind: "refused" } });
      expect(await ids()).toEqual(before);
    });

    test("after the close, and a second one, it is refused", async () => {
      await plane().close({ clean: true });
      await plane().close({ clean: true });
      expect(await plane().change({ put: [], remove: [] })).toMatchObject({ ok: false, error: { kind: "refused" } });
      expect(await plane().replace(natSettings(), [])).toMatchObject({ ok: false, error: { kind: "refused" } });
    });
  });
}
