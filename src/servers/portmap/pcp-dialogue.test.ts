import { describe, expect, test } from "bun:test";
import { FakeDesk, type PolicyText } from "../../../test/fixtures/fake-desk.ts";
import { BOTH, CLIENT, CLIENT6, exchange, MAP, PEER, pcp, pcpBytes } from "../../../test/fixtures/portmap-client.ts";
import type { MapAsk, PinholeAsk } from "../../core/mapping/desk.ts";
import { pcpErrorLifetimeSec } from "../../core/mapping/lifetime.ts";
import { type MappingRefusalKind, REFUSAL_CODES } from "../../core/mapping/refusal.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { type PcpBody, PcpResult, type PcpResultCode } from "../../wire/pcp/message.ts";
import { MAX_REMOTES } from "./pcp-remotes.ts";

const newDesk = (policy?: PolicyText) => new FakeDesk(policy);
const OTHER = "192.168.78.2";
const THIRD_PARTY = { ...BOTH, thirdParty: true };
const EXTERNAL = "203.0.113.20";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}
const filter = (remote: string | null, remotePort = 0) => ({
  remote: remote === null ? null : cidr(remote),
  remotePort,
});
const lastAsk = (desk: FakeDesk) => desk.asked.at(-1) as MapAsk & PinholeAsk;
const remotesOf = (desk: FakeDesk) => lastAsk(desk).remotes.map(({ network, port }) => `${network} ${port ?? "any"}`);

describe("MAP", () => {
  test("the answer is the request with what was assigned, its options and its nonce", async () => {
    const body = { ...MAP, preferFailure: true, externalPort: 5000, filters: [filter("198.51.100.0/24", 443)] };
    expect(await pcp(body, newDesk())).toEqual({
      kind: "success",
      lifetimeSec: 3600,
      epochSec: 100,
      body: { ...body, externalAddress: EXTERNAL },
    });
  });
  test("the desk hears all of it", async () => {
    const desk = newDesk();
    await pcp({ ...MAP, externalPort: 5000, preferFailure: true }, desk);
    expect(desk.asked).toEqual([
      {
        ask: { via: "pcp", claimedAddress: CLIENT, preferFailure: true, nonce: MAP.nonce },
        requester: CLIENT,
        internalAddress: CLIENT,
        protocol: "tcp",
        internalPort: 4000,
        externalPort: 5000,
        lifetimeSec: 3600,
        description: "",
        remotes: [],
        enabled: true,
      },
    ]);
  });
  test("lifetimes are those that RFC 6887 §15 recommends", async () => {
    expect(await pcp(MAP, newDesk(), { lifetimeSec: 1 })).toMatchObject({ lifetimeSec: 120 });
    expect(await pcp(MAP, newDesk(), { lifetimeSec: 0xffff_ffff })).toMatchObject({ lifetimeSec: 86_400 });
  });
  test("a suggestion that is taken becomes another port, unless the client insists", async () => {
    const desk = newDesk();
    await pcp({ ...MAP, externalPort: 5000 }, desk, { lifetimeSec: 300 });
    const from = OTHER;
    const suggested = await pcp({ ...MAP, externalPort: 5000 }, desk, {}, { from });
    expect(suggested).toMatchObject({ kind: "success", body: { externalPort: 4000 } });
    const insisted = await pcp(
      { ...MAP, internalPort: 4001, externalPort: 5000, preferFailure: true },
      desk,
      {},
      { from },
    );
    // §7.4: as long as the other's lease lasts.
    expect(insisted).toMatchObject({ kind: "refused", result: PcpResult.cannotProvideExternal, lifetimeSec: 300 });
  });
  test("PREFER_FAILURE without a suggestion is no more than a MAP", async () => {
    expect(await pcp({ ...MAP, preferFailure: true }, newDesk())).toMatchObject({ body: { externalPort: 4000 } });
  });
  test("an external address that is not ours is a wish, or with PREFER_FAILURE a refusal", async () => {
    const body = { ...MAP, externalPort: 5000, externalAddress: "203.0.113.99" };
    expect(await pcp(body, newDesk())).toMatchObject({ body: { externalAddress: EXTERNAL } });
    const refused = await pcp({ ...body, preferFailure: true }, newDesk());
    expect(refused).toMatchObject({ kind: "refused", result: PcpResult.cannotProvideExternal, lifetimeSec: 1800 });
    const ours = await pcp({ ...body, preferFailure: true, externalAddress: EXTERNAL }, newDesk());
    expect(ours).toMatchObject({ kind: "success", body: { externalPort: 5000 } });
  });
  test("an external address that goes while the desk works is a network failure", async () => {
    const desk = newDesk();
    const working = Promise.withResolvers<void>();
    desk.gate = () => working.promise;
    const answer = pcp(MAP, desk);
    desk.external = null;
    desk.epoch = 0;
    working.resolve();
    expect(await answer).toMatchObject({ result: PcpResult.networkFailure, lifetimeSec: 30, epochSec: 0 });
  });
});

describe("FILTER", () => {
  const from = [filter("198.51.100.0/24"), filter("192.0.2.7", 443)];
  const both = ["198.51.100.0/24 any", "192.0.2.7/32 443"];
  const rows: [name: string, first: PcpBody | null, second: PcpBody, remotes: readonly string[]][] = [
    ["none: everybody", null, MAP, []],
    ["several", null, { ...MAP, filters: from }, both],
    ["forget all, of nothing", null, { ...MAP, filters: [filter(null)] }, []],
    ["forget those before it", null, { ...MAP, filters: [from[0]!, filter(null), from[1]!] }, [both[1]!]],
    ["more for a mapping that has some", { ...MAP, filters: [from[0]!] }, { ...MAP, filters: [from[1]!] }, both],
    ["the same once more", { ...MAP, filters: from }, { ...MAP, filters: from }, both],
    ["a renewal without any keeps them", { ...MAP, filters: from }, MAP, both],
    ["others instead", { ...MAP, filters: [from[0]!] }, { ...MAP, filters: [filter(null), from[1]!] }, [both[1]!]],
    ["none any more", { ...MAP, filters: from }, { ...MAP, filters: [filter(null)] }, []],
    ["of another port", { ...MAP, internalPort: 4001, filters: from }, MAP, []],
    ["of the other protocol", { ...MAP, protocol: 17, filters: from }, MAP, []],
  ];
  for (const [name, first, second, remotes] of rows) {
    test(name, async () => {
      const desk = newDesk();
      if (first !== null) await pcp(first, desk);
      expect((await pcp(second, desk)).kind).toBe("success");
      expect(remotesOf(desk)).toEqual([...remotes]);
    });
  }
  test("more than fit are refused, and change nothing", async () => {
    const desk = newDesk();
    const filters = (third: number) => Array.from({ length: 40 }, (_, n) => filter(`198.51.${third}.${n}`));
    await pcp({ ...MAP, filters: filters(1) }, desk);
    expect(40 * 2).toBeGreaterThan(MAX_REMOTES);
    const refused = await pcp({ ...MAP, filters: filters(2) }, desk);
    expect(refused).toMatchObject({ result: PcpResult.excessiveRemotePeers, lifetimeSec: 1800 });
    expect(desk.asked).toHaveLength(1);
  });
  test("one of the other family is refused: it could let nobody in, and must not let everybody in", async () => {
    const refused = await pcp({ ...MAP, filters: [filter("2001:db8::/32")] }, newDesk());
    expect(refused).toMatchObject({ result: PcpResult.excessiveRemotePeers });
  });
});

describe("PEER", () => {
  const SUCCESS = { kind: "success", lifetimeSec: 3600 };
  test("makes a mapping for its remote peer, and the answer names that", async () => {
    const desk = newDesk();
    expect(await pcp(PEER, desk)).toEqual({
      kind: "success",
      lifetimeSec: 3600,
      epochSec: 100,
      body: { ...PEER, externalPort: 4000, externalAddress: EXTERNAL },
    });
    expect(remotesOf(desk)).toEqual(["198.51.100.7/32 443"]);
  });
  test("a second one of the same port comes beside it", async () => {
    const desk = newDesk();
    await pcp(PEER, desk);
    await pcp({ ...PEER, remotePort: 80 }, desk);
    await pcp(PEER, desk);
    expect(remotesOf(desk)).toEqual(["198.51.100.7/32 443", "198.51.100.7/32 80"]);
  });
  test("has the port of the MAP, which stays open to everybody and keeps its lifetime", async () => {
    const desk = newDesk();
    await pcp({ ...MAP, protocol: 17, externalPort: 5000 }, desk, { lifetimeSec: 7200 });
    expect(await pcp(PEER, desk)).toMatchObject({ ...SUCCESS, body: { externalPort: 5000 } });
    expect(lastAsk(desk)).toMatchObject({ remotes: [], lifetimeSec: 7200 });
    expect(desk.ports).toHaveLength(1);
  });
  test("leaves a permanent mapping permanent", async () => {
    const desk = newDesk();
    await pcp({ ...MAP, protocol: 17 }, desk);
    await desk.map({ ...lastAsk(desk), lifetimeSec: null });
    expect(await pcp(PEER, desk)).toMatchObject(SUCCESS);
    expect(lastAsk(desk).lifetimeSec).toBeNull();
  });
  test("cannot delete (§12.1)", async () => {
    const desk = newDesk();
    await pcp(PEER, desk);
    expect(await pcp(PEER, desk, { lifetimeSec: 0 })).toMatchObject({ kind: "success", lifetimeSec: 120 });
    expect(lastAsk(desk).lifetimeSec).toBe(3600);
  });
  test("a suggestion is insisted on (§12.1)", async () => {
    const desk = newDesk();
    await pcp({ ...PEER, externalPort: 5000 }, desk);
    expect(lastAsk(desk)).toMatchObject({ externalPort: 5000, ask: { preferFailure: true } });
    const result = PcpResult.cannotProvideExternal;
    expect(await pcp({ ...PEER, externalPort: 5001 }, desk)).toMatchObject({ result });
    expect(await pcp({ ...PEER, externalAddress: "203.0.113.99" }, desk)).toMatchObject({ result });
  });
  const malformed: [name: string, body: Partial<typeof PEER>][] = [
    ["every protocol", { protocol: 0, internalPort: 0 }],
    ["every port", { internalPort: 0 }],
    ["every remote port", { remotePort: 0 }],
    ["no remote address", { remoteAddress: "0.0.0.0" }],
    ["a multicast address", { remoteAddress: "224.0.0.1" }],
    ["a remote address of the other family", { remoteAddress: "2001:db8::7" }],
  ];
  for (const [name, changes] of malformed) {
    test(`makes no sense for ${name}`, async () => {
      const desk = newDesk();
      expect(await pcp({ ...PEER, ...changes }, desk)).toMatchObject({ result: PcpResult.malformedRequest });
      expect(desk.asked).toEqual([]);
    });
  }
});

describe("IPv6", () => {
  const client = { clientAddress: CLIENT6 };
  const MAP6 = { ...MAP, externalAddress: "::" };
  test("a MAP is a pinhole: inside and outside are the same, and no IPv4 address is needed", async () => {
    const desk = newDesk();
    desk.external = null;
    expect(await pcp({ ...MAP6, externalPort: 9 }, desk, client)).toMatchObject({
      kind: "success",
      lifetimeSec: 3600,
      body: { externalPort: 4000, externalAddress: CLIENT6, nonce: MAP.nonce },
    });
    expect(desk.asked).toEqual([
      {
        via: "pcp",
        requester: CLIENT6,
        claimedAddress: CLIENT6,
        nonce: MAP.nonce,
        internalAddress: CLIENT6,
        protocol: "tcp",
        internalPort: 4000,
        remotes: [],
        lifetimeSec: 3600,
        description: "",
      },
    ]);
  });
  test("PREFER_FAILURE gets what it names, or nothing", async () => {
    const insist = { ...MAP6, preferFailure: true };
    const result = PcpResult.cannotProvideExternal;
    expect(await pcp({ ...insist, externalPort: 9 }, newDesk(), client)).toMatchObject({ result });
    expect(await pcp({ ...insist, externalAddress: "fd00:77::3" }, newDesk(), client)).toMatchObject({ result });
    const same = { ...insist, externalPort: 4000, externalAddress: CLIENT6 };
    expect(await pcp(same, newDesk(), client)).toMatchObject({ kind: "success" });
  });
  test("filters, peers and deletes work as on IPv4", async () => {
    const desk = newDesk();
    await pcp({ ...MAP6, filters: [filter("2001:db8::/32", 443)] }, desk, client);
    await pcp({ ...PEER, protocol: 6, externalAddress: "::", remoteAddress: "2001:db9::7" }, desk, client);
    expect(remotesOf(desk)).toEqual(["2001:db8::/32 443", "2001:db9::7/128 443"]);
    expect(await pcp({ ...MAP6, filters: [filter("192.0.2.0/24")] }, desk, client)).toMatchObject({
      result: PcpResult.excessiveRemotePeers,
    });
    expect(await pcp(MAP6, desk, { ...client, lifetimeSec: 0 })).toMatchObject({ kind: "success", lifetimeSec: 0 });
    expect(desk.pinholes(CLIENT6)).toEqual([]);
  });
  test("a pinhole of IGD's is none of PCP's, and stays as it is", async () => {
    const desk = newDesk();
    const igd = {
      via: "igd",
      requester: CLIENT6,
      claimedAddress: null,
      nonce: null,
      internalAddress: CLIENT6,
    } as const;
    const remotes = [{ network: cidr("2001:db8::1/128"), port: null }];
    await desk.pin({ ...igd, protocol: "tcp", internalPort: 4000, remotes, lifetimeSec: 7200, description: "" });
    await pcp({ ...PEER, protocol: 6, externalAddress: "::", remoteAddress: "2001:db9::7" }, desk, client);
    expect(remotesOf(desk)).toEqual(["2001:db9::7/128 443"]);
    expect(desk.pinholes(CLIENT6).map(({ remainingSec }) => remainingSec)).toEqual([7200, 3600]);
    await pcp(MAP6, desk, { ...client, lifetimeSec: 0 });
    expect(desk.pinholes(CLIENT6)).toMatchObject([{ nonce: null, remotes }]);
  });
});

describe("deletes", () => {
  test("name what they mean, and the answer is the request with lifetime 0", async () => {
    const desk = newDesk();
    await pcp(MAP, desk);
    expect(await pcp(MAP, desk, { lifetimeSec: 0 })).toEqual({
      kind: "success",
      lifetimeSec: 0,
      epochSec: 100,
      body: MAP,
    });
    const request = { via: "pcp", protocol: "tcp", internalPort: 4000, nonce: MAP.nonce };
    expect(desk.asked.at(-1)).toEqual({ requester: CLIENT, internalAddress: CLIENT, request } as never);
    expect(desk.ports).toEqual([]);
  });
  test("all ports, and all ports of all protocols", async () => {
    const desk = newDesk();
    for (const protocol of [6, 17]) {
      for (const internalPort of [4000, 4001]) await pcp({ ...MAP, protocol, internalPort }, desk);
    }
    await pcp({ ...MAP, protocol: 17, internalPort: 0 }, desk, { lifetimeSec: 0 });
    expect(desk.ports).toEqual(["tcp 4000", "tcp 4001"]);
    await pcp({ ...MAP, protocol: 0, internalPort: 0 }, desk, { lifetimeSec: 0 });
    expect(desk.ports).toEqual([]);
  });
  test("need no external address", async () => {
    const desk = newDesk();
    desk.external = null;
    expect(await pcp(MAP, desk, { lifetimeSec: 0 })).toMatchObject({ kind: "success" });
  });
});

describe("ANNOUNCE", () => {
  test("is answered with the epoch", async () => {
    const announced = { kind: "success", lifetimeSec: 0, epochSec: 100, body: { opcode: "announce" } } as const;
    expect(await pcp({ opcode: "announce" }, newDesk(), { lifetimeSec: 0 })).toEqual(announced);
  });
});

describe("THIRD_PARTY", () => {
  const thirdParty = OTHER;
  test("maps to the other host where it is on", async () => {
    const desk = newDesk({ secureMode: false });
    const body = { ...MAP, thirdParty };
    const answer = await pcp(body, desk, {}, { rules: THIRD_PARTY });
    expect(answer).toMatchObject({ kind: "success", body: { thirdParty } });
    expect(lastAsk(desk)).toMatchObject({ requester: CLIENT, internalAddress: OTHER });
    expect(await pcp(body, desk, { lifetimeSec: 0 }, { rules: THIRD_PARTY })).toMatchObject({ kind: "success" });
    expect(desk.ports).toEqual([]);
  });
  test("the desk may refuse it all the same", async () => {
    const answer = await pcp({ ...MAP, thirdParty }, newDesk(), {}, { rules: THIRD_PARTY });
    expect(answer).toMatchObject({ result: PcpResult.unsupportedOption });
  });
});

describe("results", () => {
  const hexOf = (body: PcpBody, changes = {}) => pcpBytes(body, changes).toHex();
  const append = (body: PcpBody, option: string) => hexOf(body) + option;
  const plain = hexOf(MAP);
  const rows: [name: string, datagram: string, result: PcpResultCode, options?: Parameters<typeof exchange>[2]][] = [
    ["version 1", `01${plain.slice(2)}`, PcpResult.unsupportedVersion],
    ["version 3, two bytes", "0301", PcpResult.unsupportedVersion],
    ["NAT-PMP where that is off", "0000", PcpResult.unsupportedVersion, { rules: { ...BOTH, natPmp: false } }],
    ["an opcode it does not have", `0203${plain.slice(4)}`, PcpResult.unsupportedOpcode],
    ["a length that is not a multiple of 4", `${plain}00`, PcpResult.malformedRequest],
    ["1,104 bytes", plain + "80000000".repeat(261), PcpResult.malformedRequest],
    ["a MAP that is cut", plain.slice(0, 2 * 56), PcpResult.malformedRequest],
    ["the client's address is another", plain, PcpResult.addressMismatch, { from: OTHER }],
    ["the client's address is of the other family", plain, PcpResult.addressMismatch, { from: CLIENT6 }],
    ["an ANNOUNCE behind a NAT", hexOf({ opcode: "announce" }), PcpResult.addressMismatch, { from: OTHER }],
    ["an option that must be understood", append(MAP, "7f000000"), PcpResult.unsupportedOption],
    ["an option that may be ignored", append(MAP, "80000000"), PcpResult.success],
    ["an option that is cut", append(MAP, "02000004"), PcpResult.malformedOption],
    ["PREFER_FAILURE twice", append(MAP, "0200000002000000"), PcpResult.malformedOption],
    ["THIRD_PARTY where that is off", hexOf({ ...MAP, thirdParty: OTHER }), PcpResult.unsupportedOption],
    ["THIRD_PARTY of a PEER where that is off", hexOf({ ...PEER, thirdParty: OTHER }), PcpResult.unsupportedOption],
    [
      "THIRD_PARTY of the client itself",
      hexOf({ ...MAP, thirdParty: CLIENT }),
      PcpResult.malformedRequest,
      { rules: THIRD_PARTY },
    ],
    ["SCTP", hexOf({ ...MAP, protocol: 132 }), PcpResult.unsupportedProtocol],
    ["SCTP, deleted", hexOf({ ...MAP, protocol: 132 }, { lifetimeSec: 0 }), PcpResult.unsupportedProtocol],
    ["a PEER of SCTP", hexOf({ ...PEER, protocol: 132 }), PcpResult.unsupportedProtocol],
    ["all ports of all protocols", hexOf({ ...MAP, protocol: 0, internalPort: 0 }), PcpResult.unsupportedProtocol],
    ["all ports", hexOf({ ...MAP, internalPort: 0 }), PcpResult.unsupportedProtocol],
    ["a port of all protocols", hexOf({ ...MAP, protocol: 0 }), PcpResult.malformedRequest],
    [
      "a delete with a filter",
      hexOf({ ...MAP, filters: [filter("192.0.2.0/24")] }, { lifetimeSec: 0 }),
      PcpResult.malformedOption,
    ],
  ];
  for (const [name, datagram, result, options] of rows) {
    test(`${name}: ${result}`, async () => {
      const desk = newDesk();
      const answer = await exchange(Uint8Array.fromHex(datagram), desk, options);
      expect(answer?.[0]).toBe(2);
      expect(answer?.[1]).toBe(Number.parseInt(datagram.slice(2, 4), 16) | 0x80);
      expect(answer?.[3]).toBe(result);
      expect(desk.asked.length).toBe(result === PcpResult.success ? 1 : 0);
      if (result === PcpResult.success) return;
      const view = new DataView(answer!.buffer);
      expect(view.getUint32(4)).toBe(pcpErrorLifetimeSec(result));
      expect(view.getUint32(8)).toBe(desk.epoch);
    });
  }
  for (const [name, datagram] of [
    ["a response", `0281${plain.slice(4)}`],
    ["a response of another version", "0181"],
    ["one byte", "02"],
    ["less than a header", plain.slice(0, 40)],
    ["nothing", ""],
  ] as const) {
    test(`${name}: silence`, async () => {
      expect(await exchange(Uint8Array.fromHex(datagram), newDesk())).toBeNull();
    });
  }
  test("without an external address: 7, for MAP and PEER", async () => {
    for (const body of [MAP, PEER]) {
      const desk = newDesk();
      desk.external = null;
      expect(await pcp(body, desk)).toMatchObject({ result: PcpResult.networkFailure, lifetimeSec: 30 });
      expect(desk.asked).toEqual([]);
    }
  });
  for (const [kind, { pcp: result }] of Object.entries(REFUSAL_CODES)) {
    test(`${kind} of the desk: ${result}`, async () => {
      for (const clientAddress of [CLIENT, CLIENT6]) {
        for (const lifetimeSec of [3600, 0]) {
          const desk = newDesk();
          desk.refusal = { kind: kind as MappingRefusalKind, message: "", heldForSec: null };
          const answer = await pcp(MAP, desk, { clientAddress, lifetimeSec });
          expect(answer).toMatchObject({ kind: "refused", result, lifetimeSec: pcpErrorLifetimeSec(result) });
        }
      }
    });
  }
  test("a gateway that fails: 8, soon again", async () => {
    const desk = newDesk();
    const failures: unknown[] = [];
    desk.gate = () => Promise.reject(new Error("no disk"));
    expect(await pcp(MAP, desk, {}, { failures })).toMatchObject({ result: PcpResult.noResources, lifetimeSec: 30 });
    expect(failures).toEqual([new Error("no disk")]);
  });
});
