import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressFromBytes } from "./address.ts";
import {
  beginsProxyHeader,
  decodeProxyHeader,
  encodeProxyHeader,
  newProxyHeaderReader,
  newProxySignatureWatch,
  type ProxyError,
  type ProxyHeader,
  type ProxyVersion,
} from "./proxy-protocol.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const SIGNATURE = "0d0a0d0a000d0a515549540a";

function visitor(source: string, destination: string, transport: "stream" | "datagram" = "stream"): ProxyHeader {
  return {
    kind: "visitor",
    transport,
    source: { address: source, port: 56324 },
    destination: { address: destination, port: 443 },
  };
}

const V4 = visitor("192.0.2.1", "198.51.100.2");
const V6 = visitor("2001:db8::1", "2001:db8::2");
const MIXED = visitor("2001:db8::1", "198.51.100.2");
const MIXED_BACK = visitor("192.0.2.1", "2001:db8::2");

describe("version 1", () => {
  const table: [string, ProxyHeader, string][] = [
    ["TCP4", V4, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"],
    ["TCP6", V6, "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"],
    ["IPv6 to IPv4", MIXED, "PROXY TCP6 2001:db8::1 ::ffff:c633:6402 56324 443\r\n"],
    ["IPv4 to IPv6", MIXED_BACK, "PROXY TCP6 ::ffff:c000:201 2001:db8::2 56324 443\r\n"],
    ["unknown", { kind: "unknown" }, "PROXY UNKNOWN\r\n"],
  ];
  for (const [name, header, line] of table) {
    test(name, () => {
      expect(textOf(encodeProxyHeader("v1", header))).toBe(line);
      expect(decodeProxyHeader(bytesOf(`${line}GET /`))).toEqual({
        ok: true,
        value: { version: "v1", header, length: line.length },
      });
    });
  }

  const unknown: [string, ProxyHeader][] = [
    ["local", { kind: "local" }],
    ["a datagram", visitor("192.0.2.1", "192.0.2.2", "datagram")],
    ["a name for an address", visitor("localhost", "192.0.2.2")],
  ];
  for (const [name, header] of unknown) {
    test(`${name} is told as UNKNOWN`, () => {
      expect(textOf(encodeProxyHeader("v1", header))).toBe("PROXY UNKNOWN\r\n");
    });
  }

  test("what follows UNKNOWN is ignored", () => {
    const line = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
    expect(decodeProxyHeader(bytesOf(line))).toEqual({
      ok: true,
      value: { version: "v1", header: { kind: "unknown" }, length: line.length },
    });
  });

  const bad: [string, ProxyError["kind"]][] = [
    ["PROXX", "not-proxy-protocol"],
    ["GET / HTTP/1.1\r\n", "not-proxy-protocol"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n", "v1-malformed"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", "v1-malformed"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n", "v1-malformed"],
    ["PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n", "v1-malformed"],
    ["PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n", "v1-malformed"],
    ["PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n", "v1-malformed"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", "v1-malformed"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n", "v1-malformed"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n", "v1-malformed"],
    ["PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n", "v1-malformed"],
    ["PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n", "v1-malformed"],
    ["PROXY \r\n", "v1-malformed"],
    [`PROXY UNKNOWN ${"x".repeat(92)}\r\n`, "v1-too-long"],
  ];
  for (const [line, kind] of bad) {
    test(`refuses ${JSON.stringify(line)}`, () => {
      expect(decodeProxyHeader(bytesOf(line))).toMatchObject({ ok: false, error: { kind } });
    });
  }
  test("a line of 107 bytes passes", () => {
    expect(decodeProxyHeader(bytesOf(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`))).toMatchObject({
      ok: true,
      value: { length: 107 },
    });
  });
});

describe("version 2", () => {
  const v6pair = "20010db8000000000000000000000001" + "20010db8000000000000000000000002";
  const table: [string, ProxyHeader, string][] = [
    ["TCP over IPv4", V4, "2111000cc0000201c6336402dc0401bb"],
    ["UDP over IPv4", visitor("192.0.2.1", "198.51.100.2", "datagram"), "2112000cc0000201c6336402dc0401bb"],
    ["TCP over IPv6", V6, `21210024${v6pair}dc0401bb`],
    ["UDP over IPv6", visitor("2001:db8::1", "2001:db8::2", "datagram"), `21220024${v6pair}dc0401bb`],
    ["IPv6 to IPv4", MIXED, "2121002420010db800000000000000000000000100000000000000000000ffffc6336402dc0401bb"],
    ["local", { kind: "local" }, "20000000"],
    ["unknown", { kind: "unknown" }, "21000000"],
  ];
  for (const [name, header, hex] of table) {
    test(name, () => {
      const encoded = encodeProxyHeader("v2", header);
      expect(hexOf(encoded)).toBe(SIGNATURE + hex);
      const followed = Buffer.concat([encoded, bytesOf("GET /")]);
      expect(decodeProxyHeader(followed)).toEqual({
        ok: true,
        value: { version: "v2", header, length: encoded.length },
      });
    });
  }

  const decodes: [string, string, ProxyHeader, number][] = [
    ["TLVs are skipped", "21110013c0000201c6336402dc0401bb0400040000000000", V4, 35],
    ["a LOCAL header's family and body are skipped", "20ff0003010203", { kind: "local" }, 19],
    ["a Unix socket is unknown", `213100d8${"00".repeat(216)}`, { kind: "unknown" }, 232],
    ["AF_UNSPEC with a body", "21000003010203", { kind: "unknown" }, 19],
    ["AF_INET, unspecified transport", "21100000", { kind: "unknown" }, 16],
    ["AF_INET6, unspecified transport", "21200000", { kind: "unknown" }, 16],
    ["AF_UNIX, unspecified transport", "21300000", { kind: "unknown" }, 16],
  ];
  for (const [name, hex, header, length] of decodes) {
    test(name, () => {
      const bytes = Buffer.from(`${SIGNATURE}${hex}`, "hex").subarray(0, length);
      expect(decodeProxyHeader(bytes)).toEqual({ ok: true, value: { version: "v2", header, length } });
    });
  }

  const bad: [string, ProxyError][] = [
    ["1111000c", { kind: "v2-version", version: 1 }],
    ["2211000c", { kind: "v2-command", command: 2 }],
    ["2141000c", { kind: "v2-family", family: 0x41 }],
    ["2113000c", { kind: "v2-family", family: 0x13 }],
    ["2111000b", { kind: "v2-too-short", length: 11 }],
    ["21210023", { kind: "v2-too-short", length: 35 }],
    ["213100d7", { kind: "v2-too-short", length: 215 }],
  ];
  for (const [hex, error] of bad) {
    test(`refuses ${hex}`, () => {
      expect(decodeProxyHeader(Buffer.from(SIGNATURE + hex, "hex"))).toEqual({ ok: false, error });
    });
  }
  test("a signature that differs is refused at once", () => {
    expect(decodeProxyHeader(Uint8Array.from([0x0d, 0x0a, 0x0a])).ok).toBe(false);
  });
});

describe("in pieces", () => {
  const headers: [ProxyVersion, ProxyHeader][] = [
    ["v1", V4],
    ["v1", MIXED],
    ["v2", V6],
    ["v2", { kind: "local" }],
  ];
  for (const [version, header] of headers) {
    test(`${version}: every truncation needs more; one byte at a time gives the same`, () => {
      const bytes = encodeProxyHeader(version, header);
      const reader = newProxyHeaderReader();
      for (let length = 0; length < bytes.length; length++) {
        expect(decodeProxyHeader(bytes.subarray(0, length))).toEqual({ ok: true, value: null });
        const step = reader.push(bytes.subarray(length, length + 1));
        if (length < bytes.length - 1) expect(step).toEqual({ ok: true, value: null });
        else expect(step).toMatchObject({ ok: true, value: { decoded: { version, header, length: bytes.length } } });
      }
    });
  }
  test("the rest comes back, an error stays an error", () => {
    const step = newProxyHeaderReader().push(bytesOf("PROXY UNKNOWN\r\nhello"));
    expect(step.ok && textOf(step.value?.rest ?? new Uint8Array())).toBe("hello");
    expect(newProxyHeaderReader().push(bytesOf("hello")).ok).toBe(false);
  });
  test("the largest version 2 header, one byte at a time", () => {
    const bytes = new Uint8Array(16 + 65535);
    bytes.set(encodeProxyHeader("v2", { kind: "unknown" }));
    bytes.set([0xff, 0xff], 14);
    const reader = newProxyHeaderReader();
    for (let at = 0; at < bytes.length - 1; at++) expect(reader.push(bytes.subarray(at, at + 1)).ok).toBe(true);
    expect(reader.push(bytes.subarray(-1))).toMatchObject({ ok: true, value: { decoded: { length: bytes.length } } });
  });
});

const endpoint = fc.record({
  address: fc
    .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((bytes) => addressFromBytes(bytes) ?? ""),
  port: fc.nat(65535),
});

test("round trip of any visitor, both versions", () => {
  fc.assert(
    fc.property(endpoint, endpoint, fc.constantFrom("stream", "datagram"), (source, destination, transport) => {
      const header: ProxyHeader = { kind: "visitor", transport, source, destination };
      const v2 = decodeProxyHeader(encodeProxyHeader("v2", header));
      expect(v2).toMatchObject({ ok: true, value: { header } });
      const v1 = encodeProxyHeader("v1", header);
      expect(v1.length).toBeLessThanOrEqual(107);
      const expected = transport === "stream" ? header : { kind: "unknown" };
      expect(decodeProxyHeader(v1)).toMatchObject({ ok: true, value: { header: expected } });
    }),
  );
});

test("any bytes give a value or an error", () => {
  const start = fc.constantFrom("", SIGNATURE, Buffer.from("PROXY TCP4 ").toString("hex"));
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 64 }), (prefix, tail) => {
      const decoded = decodeProxyHeader(Buffer.concat([Buffer.from(prefix, "hex"), tail]));
      expect(typeof decoded.ok).toBe("boolean");
    }),
    { numRuns: 1000 },
  );
});

describe("signatures", () => {
  const v2 = Buffer.from(SIGNATURE, "hex");
  const table: [string, Uint8Array, boolean | null][] = [
    ["nothing", new Uint8Array(), null],
    ["v1", bytesOf("PROXY TCP4"), true],
    ["v1 and no more", bytesOf("PROXY "), true],
    ["v1 without its space", bytesOf("PROXY"), null],
    ["nearly v1", bytesOf("PROXYTCP4"), false],
    ["small letters", bytesOf("proxy TCP4"), false],
    ["v2", v2, true],
    ["v2 cut short", v2.subarray(0, 11), null],
    ["nearly v2", Buffer.concat([v2.subarray(0, 11), Uint8Array.of(0)]), false],
    ["v1, then v2", Buffer.concat([bytesOf("P"), v2]), false],
    ["not at the start", bytesOf(" PROXY TCP4"), false],
  ];
  for (const [name, bytes, seen] of table) {
    test(`${name}: in one piece, and one byte at a time`, () => {
      expect(newProxySignatureWatch().push(bytes)).toBe(seen);
      const watch = newProxySignatureWatch();
      let last: boolean | null = null;
      for (const byte of bytes) {
        if (last === null) last = watch.push(Uint8Array.of(byte));
      }
      expect(last).toBe(seen);
      expect(beginsProxyHeader(bytes)).toBe(seen === true);
    });
  }
});
