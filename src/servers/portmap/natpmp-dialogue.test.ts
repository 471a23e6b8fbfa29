import { describe, expect, test } from "bun:test";
import { FakeDesk, type PolicyText } from "../../../test/fixtures/fake-desk.ts";
import { BOTH, CLIENT, CLIENT6, exchange, natPmp } from "../../../test/fixtures/portmap-client.ts";
import { type MappingRefusalKind, REFUSAL_CODES } from "../../core/mapping/refusal.ts";
import { type NatPmpRequest, NatPmpResult } from "../../wire/natpmp.ts";

const newDesk = (policy?: PolicyText) => new FakeDesk(policy);
const map = (changes: Partial<Extract<NatPmpRequest, { kind: "map" }>> = {}): NatPmpRequest => ({
  kind: "map",
  protocol: "udp",
  internalPort: 4000,
  externalPort: 0,
  lifetimeSec: 3600,
  ...changes,
});
const bytes = (hex: string) => Uint8Array.fromHex(hex.replaceAll(" ", ""));
const hex = (answer: Uint8Array | null) => answer?.toHex() ?? null;

describe("bytes", () => {
  const rows: [name: string, request: string, answer: string | null, rules?: Partial<typeof BOTH>][] = [
    ["the external address", "0000", "00 80 0000 00000064 cb007114"],
    ["a mapping", "00 01 0000 0fa0 1388 00000e10", "00 81 0000 00000064 0fa0 1388 00000e10"],
    ["one of TCP", "00 02 0000 0fa0 0000 00000e10", "00 82 0000 00000064 0fa0 0fa0 00000e10"],
    ["a delete", "00 02 0000 0fa0 1388 00000000", "00 82 0000 00000064 0fa0 0000 00000000"],
    [
      "an opcode it does not have: all of the request comes back",
      "00 03 0000 01020304 0506",
      "00 83 0005 00000064 0506",
    ],
    ["another version, PCP off: erratum 3618", "02 00 0000 00000000", "00 80 0001 00000064", { pcp: false }],
    [
      "NAT-PMP off: PCP says which version it speaks",
      "0000",
      `02 80 0001 00000708 00000064 ${"00".repeat(12)}`,
      { natPmp: false },
    ],
    ["a response", "00 80 0000 00000064 cb007114", null],
    ["a response of another version", "02 80 0000", null, { pcp: false }],
    ["nothing", "", null],
    ["one byte", "00", null],
    ["half a mapping", "00 01 0000 0fa0", null],
    ["more than any request has", `0003${"00".repeat(1099)}`, null],
    ["everything off", "0000", null, { natPmp: false, pcp: false }],
  ];
  for (const [name, request, answer, rules = {}] of rows) {
    test(name, async () => {
      const got = await exchange(bytes(request), newDesk(), { rules: { ...BOTH, ...rules } });
      expect(hex(got)).toBe(answer === null ? null : answer.replaceAll(" ", ""));
    });
  }

  test("over IPv6 there is no NAT-PMP: PCP answers, or nobody", async () => {
    const from = CLIENT6;
    expect(hex(await exchange(bytes("0000"), newDesk(), { from }))).toStartWith("02800001");
    expect(await exchange(bytes("0000"), newDesk(), { from, rules: { ...BOTH, pcp: false } })).toBeNull();
  });
});

describe("what the desk is asked", () => {
  test("a mapping to the one that asks, for everybody", async () => {
    const desk = newDesk();
    await natPmp(map({ externalPort: 5000 }), desk);
    expect(desk.asked).toEqual([
      {
        ask: { via: "natPmp" },
        requester: CLIENT,
        internalAddress: CLIENT,
        protocol: "udp",
        internalPort: 4000,
        externalPort: 5000,
        lifetimeSec: 3600,
        description: "",
        remotes: [],
        enabled: true,
      },
    ]);
  });
  test("at most the recommended lifetime, and any shorter one (RFC 6886 §3.3)", async () => {
    expect(await natPmp(map({ lifetimeSec: 0xffff_ffff }), newDesk())).toMatchObject({ lifetimeSec: 7200 });
    expect(await natPmp(map({ lifetimeSec: 1 }), newDesk())).toMatchObject({ lifetimeSec: 1 });
  });
  test("a delete takes that protocol only, and all ports of it when it names none", async () => {
    const desk = newDesk();
    for (const internalPort of [4000, 4001]) {
      await natPmp(map({ internalPort }), desk);
      await natPmp(map({ internalPort, protocol: "tcp" }), desk);
    }
    await natPmp(map({ lifetimeSec: 0 }), desk);
    expect(desk.ports).toEqual(["tcp 4000", "udp 4001", "tcp 4001"]);
    await natPmp(map({ lifetimeSec: 0, internalPort: 0, protocol: "tcp" }), desk);
    expect(desk.ports).toEqual(["udp 4001"]);
  });
  test("the epoch is that of the answer's moment", async () => {
    const desk = newDesk();
    const working = Promise.withResolvers<void>();
    desk.gate = () => working.promise;
    const answer = natPmp(map(), desk);
    desk.epoch = 7;
    working.resolve();
    expect(await answer).toMatchObject({ epochSec: 7 });
  });
});

describe("internal port 0, as clients of VPN providers send it (natpmpc -a 1 0 udp 60)", () => {
  test("comes back as 0, and renewals keep their port, by what was given too", async () => {
    const desk = newDesk();
    const request = map({ internalPort: 0, externalPort: 1, lifetimeSec: 60 });
    const first = await natPmp(request, desk);
    expect(first).toMatchObject({ kind: "map", internalPort: 0, externalPort: 1024, lifetimeSec: 60 });
    expect(await natPmp(request, desk)).toEqual(first);
    expect(await natPmp({ ...request, externalPort: 1024 } as NatPmpRequest, desk)).toEqual(first);
    expect(desk.ports).toHaveLength(1);
  });
  test("is refused where the policy says so", async () => {
    const refused = await natPmp(map({ internalPort: 0 }), newDesk({ natPmpPortZero: "refuse" }));
    expect(refused).toMatchObject({ kind: "failure", result: NatPmpResult.notAuthorized });
  });
});

describe("failures", () => {
  test("without an external address there is neither an address nor a mapping, but a delete", async () => {
    const desk = newDesk();
    desk.external = null;
    const result = NatPmpResult.networkFailure;
    expect(await natPmp({ kind: "external-address" }, desk)).toMatchObject({ kind: "failure", result });
    expect(await natPmp(map(), desk)).toMatchObject({ kind: "failure", result, request: { internalPort: 4000 } });
    expect(await natPmp(map({ lifetimeSec: 0 }), desk)).toMatchObject({ kind: "map", lifetimeSec: 0 });
  });
  for (const [kind, { natPmp: result }] of Object.entries(REFUSAL_CODES)) {
    test(`${kind} is ${result}, of a mapping and of a delete`, async () => {
      const desk = newDesk();
      desk.refusal = { kind: kind as MappingRefusalKind, message: "", heldForSec: null };
      for (const lifetimeSec of [3600, 0]) {
        const answer = await natPmp(map({ lifetimeSec }), desk);
        expect(answer).toMatchObject({ kind: "failure", result, request: { protocol: "udp", internalPort: 4000 } });
      }
    });
  }
  test("a gateway that fails says later", async () => {
    const desk = newDesk();
    const failures: unknown[] = [];
    desk.gate = () => Promise.reject(new Error("no kernel"));
    expect(await natPmp(map(), desk, { failures })).toMatchObject({ result: NatPmpResult.outOfResources });
    expect(failures).toEqual([new Error("no kernel")]);
  });
});
