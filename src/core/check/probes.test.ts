import { describe, expect, test } from "bun:test";
import { newRandom } from "../../../test/fuzz/random.ts";
import { ECHO_ID, NONCE_BYTES, probeCostBytes, TCP_PROBE_MS, UDP_PROBES, udpProbe, usualProbe } from "./probes.ts";

const NONCE = Uint8Array.from({ length: NONCE_BYTES }, (_, index) => index + 1);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** What is sent, and answers that are and are not the protocol's. The formats are of the sources that the probes name. */
const TABLE: readonly {
  readonly id: string;
  readonly sent: string | RegExp;
  readonly fits: readonly string[];
  readonly others: readonly string[];
}[] = [
  {
    id: "minecraft-bedrock",
    sent: "01 0102030405060708 00ffff00fefefefefdfdfdfd12345678 090a0b0c0d0e0f10",
    fits: ["1c 0102030405060708 ffffffffffffffff 00ffff00fefefefefdfdfdfd12345678 0004 4d435045"],
    others: ["1c 0102030405060709 ffffffffffffffff 00ffff00fefefefefdfdfdfd12345678 0000", "1c 0102030405060708", ""],
  },
  {
    id: "source",
    sent: "ffffffff 54 536f7572636520456e67696e6520517565727900",
    fits: ["ffffffff 49 11 6e616d65 00", "ffffffff 41 01020304", "ffffffff 6d", "feffffff 00000000"],
    others: ["ffffffff 44", "ffffffff", "00000000 49"],
  },
  {
    id: "dns",
    sent: "0102 0100 0001 0000 0000 0000 00 0006 0001",
    fits: ["0102 8185 0001 0000 0000 0000 00 0006 0001", "0102 8005 0000 0000 0000 0000"],
    others: ["0103 8180", "0102 0100", "0102", "0102 8005"],
  },
  {
    id: "quic",
    sent: /^c01a2a3a4a08010203040506070808090a0b0c0d0e0f10(00){1177}$/,
    fits: ["80 00000000 08 090a0b0c0d0e0f10 08 0102030405060708 00000001"],
    others: ["80 00000001 08 090a0b0c0d0e0f10", "80 00000000 08 0102030405060708", "40 00000000 08 090a0b0c0d0e0f10"],
  },
  {
    id: "stun",
    sent: "0001 0000 2112a442 0102030405060708090a0b0c",
    fits: ["0101 000c 2112a442 0102030405060708090a0b0c 0020", "0111 0000 2112a442 0102030405060708090a0b0c"],
    others: ["0101 0000 2112a442 0102030405060708090a0b0d", "0001 0000 2112a442 0102030405060708090a0b0c"],
  },
  {
    id: "ntp",
    sent: `23 ${"00".repeat(39)} 0102030405060708`,
    fits: [`24 ${"00".repeat(23)} 0102030405060708 ${"00".repeat(16)}`],
    others: [`23 ${"00".repeat(23)} 0102030405060708 ${"00".repeat(16)}`, `24 ${"00".repeat(47)}`, "24"],
  },
  {
    id: "mumble",
    sent: "00000000 0102030405060708",
    fits: ["00010204 0102030405060708 00000001 00000064 0001f400"],
    others: ["00010204 0102030405060709 00000001 00000064 0001f400", "00000000 0102030405060708"],
  },
  {
    id: "openvpn",
    sent: "38 0102030405060708 00 00000000",
    fits: ["40 1111111111111111 01 00000000 0102030405060708 00000000"],
    others: ["38 0102030405060708 00 00000000", "40"],
  },
  { id: "wireguard", sent: hex(Buffer.from(`hatchway check ${hex(NONCE)}`)), fits: [], others: ["01"] },
  {
    id: "echo",
    sent: hex(Buffer.from(`hatchway check ${hex(NONCE)}`)),
    fits: [hex(Buffer.from(`hatchway check ${hex(NONCE)}`))],
    others: [hex(Buffer.from(`hatchway check ${"00".repeat(16)}`)), hex(Buffer.from(`hatchway check ${hex(NONCE)}x`))],
  },
];

describe("what a UDP service is asked", () => {
  test("every probe has a row", () => expect(TABLE.map(({ id }) => id)).toEqual(UDP_PROBES.map(({ id }) => id)));

  for (const { id, sent, fits, others } of TABLE) {
    test(id, () => {
      const probe = udpProbe(id);
      const payload = hex(probe?.payload(NONCE) ?? new Uint8Array(0));
      if (typeof sent === "string") expect(payload).toBe(sent.replaceAll(" ", ""));
      else expect(payload).toMatch(sent);
      expect(fits.map((answer) => probe?.fits(bytes(answer), NONCE))).toEqual(fits.map(() => true));
      expect(others.map((answer) => probe?.fits(bytes(answer), NONCE))).toEqual(others.map(() => false));
    });
  }

  for (const probe of UDP_PROBES) {
    test(`${probe.id}: an answer that is cut anywhere, and random bytes, never make it throw`, () => {
      const random = newRandom(7);
      const answers = TABLE.find(({ id }) => id === probe.id)?.fits ?? [];
      for (const whole of answers.map(bytes)) {
        for (let length = 0; length <= whole.length; length++) probe.fits(whole.subarray(0, length), NONCE);
      }
      for (let n = 0; n < 500; n++) {
        const answer = Uint8Array.from({ length: random.below(80) }, () => random.below(256));
        expect(typeof probe.fits(answer, NONCE)).toBe("boolean");
      }
    });
  }

  test("by the port, or else our own", () => {
    const ids = [19_132, 27_015, 53, 443, 3_478, 123, 64_738, 1_194, 51_820, 7_777].map((port) => usualProbe(port).id);
    expect(ids).toEqual([
      "minecraft-bedrock",
      "source",
      "dns",
      "quic",
      "stun",
      "ntp",
      "mumble",
      "openvpn",
      "wireguard",
      ECHO_ID,
    ]);
    expect(udpProbe("nothing")).toBeNull();
  });
});

test("a probe's cost counts every header, and all SYNs of the time that it takes", () => {
  expect(probeCostBytes("udp", 4, 17)).toBe(45);
  expect(probeCostBytes("udp", 6, 1_200)).toBe(1_248);
  expect(probeCostBytes("tcp", 4, 0)).toBe(240);
  expect(probeCostBytes("tcp", 6, 0)).toBe(320);
  // SYNs at 0, 1, 2 and 3 s: a fifth would come at 4 s.
  expect(TCP_PROBE_MS).toBeLessThan(4_000);
});
