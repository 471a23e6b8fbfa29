import { describe, expect, test } from "bun:test";
import { encodeBase32 } from "./base32.ts";
import { type DeviceIdentity, decodeDeviceIdentity, encodeDeviceIdentity } from "./device-identity.ts";

const PINNED: DeviceIdentity = {
  relay: { host: "relay.example.net", port: 7744 },
  trust: "pinned",
  fingerprint: Uint8Array.from({ length: 32 }, (_, at) => at),
  deviceName: "web1",
  seed: Uint8Array.from({ length: 32 }, (_, at) => 255 - at),
};
const PUBLIC: DeviceIdentity = {
  ...PINNED,
  relay: { host: "2001:db8::7", port: 1 },
  trust: "public-ca",
  fingerprint: null,
};

describe("a device as a text", () => {
  test.each([
    ["pinned", PINNED],
    ["public CA", PUBLIC],
    ["with a name of other letters", { ...PINNED, deviceName: "Büro 1" }],
  ])("comes back: %s", (_what, identity) => {
    const text = encodeDeviceIdentity(identity);
    expect(text).toMatch(/^hatchwaykey1-[a-z2-7]+$/);
    expect(decodeDeviceIdentity(text)).toEqual({ ok: true, value: identity });
    expect(decodeDeviceIdentity(`  ${text}\n`).ok).toBe(true);
  });

  test("cut off anywhere it is refused", () => {
    const text = encodeDeviceIdentity(PINNED);
    for (let length = 0; length < text.length; length++) {
      expect(decodeDeviceIdentity(text.slice(0, length)).ok).toBe(false);
    }
  });

  const inside = (change: object) => {
    const hex = "07".repeat(32);
    const whole = { host: "relay.example", port: 7744, trust: "pinned", fingerprint: hex, name: "web1", seed: hex };
    return `hatchwaykey1-${encodeBase32(new TextEncoder().encode(JSON.stringify({ ...whole, ...change })))}`;
  };

  test.each<[string, string]>([
    ["another text", "relay.example:7744"],
    ["a join code", "hatchway1-aebagbaf"],
    ["a character that base32 has not", `${encodeDeviceIdentity(PINNED)}!`],
    ["longer than any", `hatchwaykey1-${"a".repeat(5_000)}`],
    ["pinned to nothing", inside({ fingerprint: null })],
    ["a host in capitals", inside({ host: "Relay.example" })],
    ["a port that is none", inside({ port: 0 })],
    ["a short seed", inside({ seed: "07" })],
    ["a seed of other characters", inside({ seed: "zz".repeat(32) })],
    ["no name", inside({ name: "" })],
  ])("refused: %s", (_what, text) => {
    const decoded = decodeDeviceIdentity(text);
    expect(decoded.ok).toBe(false);
    if (!decoded.ok) expect(decoded.error.message).toMatch(/^(A|The) key is .*\.$/);
  });

  test("what the last table changes is well-formed otherwise", () => {
    expect(decodeDeviceIdentity(inside({})).ok).toBe(true);
  });
});
