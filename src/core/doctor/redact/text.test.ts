import { describe, expect, test } from "bun:test";
import { processorMs } from "../../../../test/fixtures/processor-time.ts";
import { type Known, TextRedactor } from "./text.ts";

const KNOWN: Known = {
  secrets: ["correct horse", "abc"],
  names: [
    { kind: "device", text: "Gundulas Keller" },
    { kind: "device", text: "relay" },
    { kind: "forward", text: "minecraft" },
    { kind: "forward", text: "8080/tcp" },
    { kind: "host", text: "nas" },
  ],
};
const redact = (text: string) => new TextRedactor(KNOWN).redact(text);
const PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJx\n-----END PRIVATE KEY-----";

describe("secrets", () => {
  test.each([
    ["a password that is known", "it said correct horse!", "it said (secret)!"],
    ["one too short to be looked for", "abc", "abc"],
    ["a key in PEM", `x ${PEM} y`, "x (secret) y"],
    ["a key in PEM that was cut", `x ${PEM.slice(0, 40)}`, "x (secret)"],
    ["a join code", "use hatchway1-abcd234efg now", "use (join code) now"],
    ["a join code in capitals", "HATCHWAY1-ABCD234", "(join code)"],
    ["a labelled one", 'password = "hunter2 x", ok', "password = (hidden), ok"],
    ["in JSON", '{"apiKey":"k1","a":1}', '{"apiKey":(hidden),"a":1}'],
    ["a header", "Authorization: Bearer abc.def", "Authorization: (hidden)"],
    ["a pre-shared key", "PresharedKey = dGhpcyBpcyBhIGtleSBvZiAzMiBieXRlcyEhISEhISE=", "PresharedKey = (hidden)"],
    [
      "a URL's user, path and question",
      "POST https://ann:pw@hook.example/T0/B1?k=2 failed",
      "POST https://host-1/… failed",
    ],
    ["a URL's port stays", "http://192.168.1.1:5000/x", "http://192.168.1.1:5000/…"],
    ["a fingerprint", `SHA-256 ${"0123456789abcdef".repeat(4)}`, "SHA-256 key-1"],
    ["behind an equals sign", `key=${"0123456789abcdef".repeat(4)}`, "key=key-1"],
    ["a key in base64", "peer dGhpcyBpcyBhIGtleSBvZiAzMiBieXRlcyEhISEhISE=", "peer key-1"],
    ["a mail address", "ask ann@example.net.", "ask (mail address)."],
  ])("%s", (_name, text, expected) => expect(redact(text)).toBe(expected));
});

describe("addresses", () => {
  test.each([
    ["public", "at 9.9.9.9, 9.9.9.9:80 and 8.8.8.8.", "at address-1, address-1:80 and address-2."],
    ["documentation ones count as public", "203.0.113.7", "address-1"],
    [
      "private ones stay",
      "10.0.0.1 192.168.1.20:80 172.16.0.1/12 100.64.0.1 127.0.0.1",
      "10.0.0.1 192.168.1.20:80 172.16.0.1/12 100.64.0.1 127.0.0.1",
    ],
    ["a network", "allow 198.51.100.0/24", "allow address-1/24"],
    ["with zeros", "009.009.009.009", "address-1"],
    ["IPv6, however it is written", "[2001:DB8::1]:80 2001:db8:0:0::1.", "[address-1]:80 address-1."],
    ["IPv6 before a colon", "2001:db8::1: no", "address-1: no"],
    ["IPv6 that holds the machine's own number", "fe80::211:22ff:fe33:4455%eth0 fd00:77::2", "address-1 address-2"],
    ["IPv6 loopback stays", "[::1]:80", "[::1]:80"],
    ["IPv4 in IPv6", "::ffff:9.9.9.9 and 9.9.9.9", "address-1 and address-1"],
    ["glued to a word", "from=9.9.9.9; x2001:db8::5", "from=address-2; xaddress-1"],
    ["a hardware address", "link 00:11:22:aa:bb:cc", "link mac-1"],
    ["a time is none", "at 18:40:00 or 2026-11-28T18:40:00.000Z", "at 18:40:00 or 2026-11-28T18:40:00.000Z"],
    ["a version is none", "0.1.0 and Bun 1.4.5", "0.1.0 and Bun 1.4.5"],
  ])("%s", (_name, text, expected) => expect(redact(text)).toBe(expected));
});

describe("names", () => {
  test.each([
    ["a device", 'joined as "Gundulas Keller"', 'joined as "device-1"'],
    [
      "whole words only, in any case",
      "MINECRAFT at minecraft-server, minecrafty",
      "forward-1 at forward-1-server, minecrafty",
    ],
    ["a word of our own, in quotes only", 'the relay "relay" refused', 'the relay "device-1" refused'],
    ["port sets are no names", '"8080/tcp" is open', '"8080/tcp" is open'],
    ["a host of one label that is known", "nas:80 and nasty", "host-1:80 and nasty"],
    ["a host with dots", "r.example.net:7744 and R.Example.net.", "host-1:7744 and host-1."],
    [
      "files and settings are no hosts",
      "hatchway.toml agent.json net.ipv4.ip_forward",
      "hatchway.toml agent.json net.ipv4.ip_forward",
    ],
    ["paths of one's own", "chmod 600 /home/ann/keys/a.pem.", "chmod 600 path-1."],
    ["paths of every machine", "/var/lib/hatchway/hatchway.db", "/var/lib/hatchway/hatchway.db"],
    ["a path of Windows", "C:\\Users\\ann\\x", "path-1"],
  ])("%s", (_name, text, expected) => expect(redact(text)).toBe(expected));
});

test("what looks like our own marks is none", () => {
  expect(redact("\uE0000\uE001 9.9.9.9")).toBe("?0? address-1");
});

test("the same value is the same word in every text", () => {
  const text = new TextRedactor(KNOWN);
  expect(text.redact("9.9.9.9 then 8.8.8.8")).toBe("address-1 then address-2");
  expect(text.redact("8.8.8.8")).toBe("address-2");
  expect(text.host("8.8.8.8")).toBe("address-2");
  expect(text.redact("NAS")).toBe(text.host("nas"));
});

test("a megabyte that is made to be slow takes no longer than another", () => {
  for (const piece of [
    "a.",
    "1.",
    "a:",
    "0:",
    "x/",
    "/x",
    "a-",
    "A",
    "=",
    "password",
    '"',
    "a@",
    "a://",
    "-----BEGIN ",
  ]) {
    expect(processorMs(() => redact(piece.repeat(100_000 / piece.length)))).toBeLessThan(2_000);
  }
});
