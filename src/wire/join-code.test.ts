import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeBase32, encodeBase32 } from "./base32.ts";
import { crc32 } from "./crc32.ts";
import { parseHost } from "./endpoint.ts";
import { decodeJoinCode, encodeJoinCode, type JoinCode, type JoinCodeErrorKind } from "./join-code.ts";

const bytes = (count: number, from = 0) => Uint8Array.from({ length: count }, (_, i) => (from + i) & 0xff);
const PINNED: JoinCode = {
  relay: { host: "relay.example.com", port: 7744 },
  trust: "pinned",
  fingerprint: bytes(32),
  secret: bytes(16, 100),
};
const encode = (code: JoinCode): string => {
  const encoded = encodeJoinCode(code);
  if (!encoded.ok) throw new Error(encoded.error.message);
  return encoded.value;
};
const TEXT = encode(PINNED);
const kindOf = (text: string): JoinCodeErrorKind | "ok" => {
  const decoded = decodeJoinCode(text);
  return decoded.ok ? "ok" : decoded.error.kind;
};
/** A code whose payload was changed and whose checksum is right again. */
const forged = (change: (payload: Uint8Array) => void): string => {
  const decoded = decodeBase32(TEXT.slice("hatchway1-".length));
  if (decoded === null) throw new Error("unreachable");
  const payload = decoded.bytes;
  change(payload);
  new DataView(payload.buffer).setUint32(payload.length - 4, crc32(payload.subarray(0, -4)));
  return `hatchway1-${encodeBase32(payload)}`;
};

describe("the join code", () => {
  test("is one word of lower-case letters and digits, and stays what it was", () => {
    expect(TEXT).toMatch(/^hatchway1-[a-z2-7]+$/);
    expect(TEXT).toBe(
      "hatchway1-abfqehsacfzgk3dbpexgk6dbnvygyzjomnxw2aabaibqibiga4eascqlbqgq4dyqcejbgfavcylrqgi2dmob2hq7mrswmz3infvgw3dnnzxxa4lsonspvuxi",
    );
  });

  test.each<[string, JoinCode]>([
    ["a name", PINNED],
    ["a single label", { ...PINNED, relay: { host: "relay", port: 1 } }],
    ["IPv4", { ...PINNED, relay: { host: "203.0.113.9", port: 65_535 } }],
    ["IPv6", { ...PINNED, relay: { host: "2001:db8::7", port: 443 } }],
    ["a long secret", { ...PINNED, secret: bytes(64) }],
    ["public CA", { ...PINNED, trust: "public-ca", fingerprint: null }],
    ["public CA, and pinned as well", { ...PINNED, trust: "public-ca", fingerprint: bytes(32) }],
    ["the longest name", { ...PINNED, relay: { host: `${"a.".repeat(126)}b`, port: 7744 } }],
  ])("round trip: %s", (_what, code) => {
    expect(decodeJoinCode(encode(code))).toEqual({ ok: true, value: code });
  });

  test.each<[string, string]>([
    ["capitals", TEXT.toUpperCase()],
    ["spaces around it", `  ${TEXT}\r\n`],
    ["broken over lines", TEXT.replace(/(.{40})/g, "$1\n  ")],
  ])("is read with %s", (_what, text) => {
    expect(decodeJoinCode(text)).toEqual({ ok: true, value: PINNED });
  });

  test.each([
    ["Relay.Example.COM", "relay.example.com"],
    ["2001:DB8:0::1", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
  ])("the host %p is written %p", (host, written) => {
    const of = (name: string) => encode({ ...PINNED, relay: { host: name, port: 7744 } });
    expect(of(host)).toBe(of(written));
  });

  test("clipped at every character it is incomplete", () => {
    for (let length = 1; length < TEXT.length; length += 1)
      expect([length, kindOf(TEXT.slice(0, length))]).toEqual([length, "incomplete"]);
  });

  test("clipped at its start it is no code", () => {
    for (let from = 1; from < TEXT.length; from += 1) expect(kindOf(TEXT.slice(from))).toBe("not-a-code");
  });

  test("one wrong character anywhere behind the prefix is found", () => {
    for (let at = "hatchway1-".length; at < TEXT.length; at += 1) {
      const other = TEXT[at] === "q" ? "r" : "q";
      expect(kindOf(TEXT.slice(0, at) + other + TEXT.slice(at + 1))).not.toBe("ok");
    }
  });

  test.each<[string, string, JoinCodeErrorKind]>([
    ["nothing", "", "not-a-code"],
    ["other text", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "not-a-code"],
    ["a word after it", `${TEXT}name`, "too-long"],
    ["the code twice without a break", TEXT + TEXT.slice("hatchway1-".length), "too-long"],
    ["one character too many", `${TEXT}a`, "mistyped"],
    ["a character that base32 lacks", TEXT.replace(/.$/, "!"), "mistyped"],
    ["two neighbours swapped", TEXT.replace("zgk3", "zg3k"), "mistyped"],
    ["an impossible length", `hatchway1-77${TEXT.slice("hatchway1-77".length)}`, "mistyped"],
    ["the next version", TEXT.replace("hatchway1-", "hatchway2-"), "version"],
    ["a version with many digits", "hatchway999999999-a", "version"],
    ["unknown flags", forged((p) => p.set([0x82], 2)), "invalid"],
    ["pinned without a fingerprint", forged((p) => p.set([0], 2)), "invalid"],
    ["port 0", forged((p) => p.set([0, 0], 3)), "invalid"],
    ["no host", forged((p) => p.set([0], 5)), "invalid"],
    ["a host longer than the code", forged((p) => p.set([250], 5)), "invalid"],
    ["a host with capitals", forged((p) => p.set([0x52], 6)), "invalid"],
    ["a host with a slash", forged((p) => p.set([0x2f], 8)), "invalid"],
  ])("%s", (_what, text, kind) => {
    expect(kindOf(text)).toBe(kind);
  });

  test("a sentence never repeats the code", () => {
    for (const text of [TEXT.slice(0, -1), `${TEXT}a`, `${TEXT}aaaa`, TEXT.slice(3)]) {
      const decoded = decodeJoinCode(text);
      expect(decoded.ok ? "" : decoded.error.message).not.toContain(TEXT.slice(30, 40));
    }
  });

  test.each<[string, JoinCode]>([
    ["no host", { ...PINNED, relay: { host: "", port: 1 } }],
    ["a URL", { ...PINNED, relay: { host: "https://a", port: 1 } }],
    ["a zone index", { ...PINNED, relay: { host: "fe80::1%eth0", port: 1 } }],
    ["half an IPv4 address", { ...PINNED, relay: { host: "192.0.2", port: 1 } }],
    ["a name that is too long", { ...PINNED, relay: { host: `${"a.".repeat(126)}bc`, port: 1 } }],
    ["port 0", { ...PINNED, relay: { host: "a", port: 0 } }],
    ["port 65536", { ...PINNED, relay: { host: "a", port: 65_536 } }],
    ["port 1.5", { ...PINNED, relay: { host: "a", port: 1.5 } }],
    ["a short fingerprint", { ...PINNED, fingerprint: bytes(31) }],
    ["a short secret", { ...PINNED, secret: bytes(15) }],
    ["a long secret", { ...PINNED, secret: bytes(65) }],
  ])("%s cannot be encoded", (_what, code) => {
    const encoded = encodeJoinCode(code);
    expect(encoded.ok ? "ok" : encoded.error.kind).toBe("invalid");
  });
});

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/);
const host = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
  fc.ipV4(),
  fc.ipV6(),
);
const canonical = (text: string) => {
  const parsed = parseHost(text);
  return parsed.ok ? parsed.value : text;
};
const relay = fc.record({ host, port: fc.integer({ min: 1, max: 65_535 }) });
const secret = fc.uint8Array({ minLength: 16, maxLength: 64 }).map((array) => new Uint8Array(array));
const fingerprint = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((array) => new Uint8Array(array));
const joinCode: fc.Arbitrary<JoinCode> = fc.oneof(
  fc.record({ relay, secret, trust: fc.constant("pinned" as const), fingerprint }),
  fc.record({ relay, secret, trust: fc.constant("public-ca" as const), fingerprint: fc.option(fingerprint) }),
);

describe("properties of the join code", () => {
  test("what is encoded is decoded", () => {
    fc.assert(
      fc.property(joinCode, (code) => {
        expect(decodeJoinCode(encode(code))).toEqual({
          ok: true,
          value: { ...code, relay: { ...code.relay, host: canonical(code.relay.host) } },
        });
      }),
    );
  });

  test("no text makes it throw, and what decodes has one spelling", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((tail) => `hatchway1-${tail}`),
        ),
        (text) => {
          const decoded = decodeJoinCode(text);
          if (decoded.ok) expect(encode(decoded.value)).toBe(text.replace(/\s+/g, "").toLowerCase());
        },
      ),
    );
  });

  test("a changed character never gives another code", () => {
    fc.assert(
      fc.property(joinCode, fc.nat(), fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz234567"), (code, where, by) => {
        const text = encode(code);
        const at = "hatchway1-".length + (where % (text.length - "hatchway1-".length));
        const changed = text.slice(0, at) + by + text.slice(at + 1);
        expect(kindOf(changed) === "ok").toBe(changed === text);
      }),
    );
  });
});
