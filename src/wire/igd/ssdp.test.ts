import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SEARCH_SAMPLES } from "../../../test/fixtures/igd/requests.ts";
import {
  type Announced,
  type Announcement,
  decodeSearch,
  decodeSearchReply,
  encodeAlive,
  encodeByebye,
  encodeSearch,
  encodeSearchReply,
  MAX_SSDP_BYTES,
  type SearchTarget,
  type SsdpError,
} from "./ssdp.ts";

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const search = (text: string) => decodeSearch(bytesOf(text));
const HOST = "239.255.255.250:1900";
const upnp = (kind: "device" | "service", type: string, version: number, domain = "schemas-upnp-org") =>
  ({ kind, domain, type, version }) as const;
const IGD = upnp("device", "InternetGatewayDevice", 1);

describe("searches of real clients", () => {
  const expected: Record<string, { target: SearchTarget; maxWaitSec: number; userAgent?: string }> = {
    miniupnpc: { target: IGD, maxWaitSec: 2 },
    Windows: { target: IGD, maxWaitSec: 3 },
    Chromium: {
      target: upnp("service", "dial", 1, "dial-multiscreen-org"),
      maxWaitSec: 1,
      userAgent: "Google Chrome/120.0.0.0 Windows",
    },
    libtorrent: { target: { kind: "root" }, maxWaitSec: 3 },
  };
  for (const { name, datagram } of SEARCH_SAMPLES) {
    const request = { host: HOST, userAgent: null, ...expected[name]! };
    test(name, () => expect(search(datagram)).toEqual({ ok: true, value: request }));
    test(`${name}: cut inside a line it is an error`, () => {
      for (let length = 0; length < datagram.length; length++) {
        // Cut between two lines it may be whole: the empty line is not asked for.
        if (datagram[length - 1] !== "\n") expect(search(datagram.slice(0, length)).ok).toBe(false);
      }
    });
    test(`${name}: encoded and decoded it is the same`, () => {
      expect(decodeSearch(encodeSearch(request))).toEqual({ ok: true, value: request });
    });
  }
});

describe("searches", () => {
  const of = (st: string, more = "") =>
    `M-SEARCH * HTTP/1.1\r\nHOST: ${HOST}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ${st}\r\n${more}\r\n`;
  const targets: [st: string, target: SearchTarget][] = [
    ["ssdp:all", { kind: "all" }],
    ["UPnP:RootDevice", { kind: "root" }],
    ["uuid:2fac1234-31f8-11b4-a222-08002b34c003", { kind: "uuid", uuid: "2fac1234-31f8-11b4-a222-08002b34c003" }],
    ["uuid:upnp-WANDevice-1_0-0090a2777777", { kind: "uuid", uuid: "upnp-WANDevice-1_0-0090a2777777" }],
    ["urn:schemas-upnp-org:device:InternetGatewayDevice:2", upnp("device", "InternetGatewayDevice", 2)],
    ["urn:schemas-upnp-org:service:WANIPConnection:1", upnp("service", "WANIPConnection", 1)],
    ["urn:schemas-wifialliance-org:device:WFADevice:1", upnp("device", "WFADevice", 1, "schemas-wifialliance-org")],
  ];
  for (const [st, target] of targets) {
    test(st, () => expect(search(of(st))).toMatchObject({ ok: true, value: { target } }));
  }
  const taken: [name: string, text: string, request: object][] = [
    [
      "names in any case, blanks around",
      `M-SEARCH * HTTP/1.1\r\nhOsT:\t${HOST} \r\nmAn:"ssdp:discover"\r\nmX:1\r\nsT: ssdp:all\t\r\n\r\n`,
      { host: HOST, maxWaitSec: 1 },
    ],
    [
      "unicast: no MX",
      `M-SEARCH * HTTP/1.1\r\nHOST: 192.168.1.1:1900\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\n\r\n`,
      { maxWaitSec: null },
    ],
    [
      "LF alone, no empty line, no quotes",
      "M-SEARCH * HTTP/1.1\nMAN: ssdp:discover\nST: ssdp:all\n",
      { host: null, maxWaitSec: null },
    ],
    ["a long wait", of("ssdp:all").replace("MX: 1", "MX: 120"), { maxWaitSec: 5 }],
    ["headers it does not know, one of them empty", of("ssdp:all", "EXT:\r\nCPFN.UPNP.ORG: x\r\n"), {}],
    ["bytes after the head", `${of("ssdp:all")}\0\xff`, {}],
  ];
  for (const [name, text, request] of taken) {
    test(name, () => expect(search(text)).toMatchObject({ ok: true, value: request }));
  }

  const refused: [text: string, error: SsdpError][] = [
    ["", { kind: "truncated" }],
    ["M-SEARCH * HTTP/1.1", { kind: "truncated" }],
    ["\r\n\r\n", { kind: "truncated" }],
    [`NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\n\r\n`, { kind: "start-line" }],
    [of("ssdp:all").replace("M-SEARCH", "m-search"), { kind: "start-line" }],
    [of("ssdp:all").replace("*", "/"), { kind: "start-line" }],
    [of("ssdp:all").replace("MAN", "MAM"), { kind: "header", header: "man" }],
    [of("ssdp:all").replace("discover", "update"), { kind: "header", header: "man" }],
    [of("ssdp:all").replace("\nST:", "\nSU:"), { kind: "header", header: "st" }],
    [of("ssdp:all").replace("MX: 1", "MX: -1"), { kind: "header", header: "mx" }],
    [of("ssdp:all").replace("MX: 1", "MX: 1000000"), { kind: "header", header: "mx" }],
    [of("ssdp:all").replace("MX: 1", "MX"), { kind: "line" }],
    [of("ssdp:all").replace("MX: 1", "MX : 1"), { kind: "line" }],
    [of("ssdp:all").replace("MX: 1", " MX: 1"), { kind: "line" }],
    [of("ssdp:all").replace("MX: 1", ": 1"), { kind: "line" }],
    [of("ssdp:all\0"), { kind: "line" }],
    [of("ssdp:all\rX"), { kind: "line" }],
    [of("ssdp:all", "st: upnp:rootdevice\r\n"), { kind: "repeated", header: "st" }],
    [of("ssdp:all", `X: ${"x".repeat(MAX_SSDP_BYTES)}\r\n`), { kind: "too-long" }],
    ...[
      "",
      "roku:ecp",
      "uuid:",
      "uuid:a b",
      "urn:schemas-upnp-org:device:X",
      "urn:schemas-upnp-org:device:X:0",
      "urn:schemas-upnp-org:device:X:1:2",
      "urn:schemas-upnp-org:thing:X:1",
      "urn::device:X:1",
      "urn:schemas-upnp-org:device::1",
      "urn:schemas-upnp-org:device:X\xe9:1",
    ].map((st): [string, SsdpError] => [of(st), { kind: "header", header: "st" }]),
  ];
  for (const [text, error] of refused) {
    test(`${JSON.stringify(text.slice(0, 120))}: ${error.kind}`, () =>
      expect(search(text)).toEqual({ ok: false, error }));
  }
  test("MAX_SSDP_BYTES are taken", () => {
    const length = MAX_SSDP_BYTES - of("ssdp:all", "X: \r\n").length;
    expect(search(of("ssdp:all", `X: ${"x".repeat(length)}\r\n`)).ok).toBe(true);
  });
});

describe("announcements", () => {
  const announcement: Announcement = {
    target: IGD,
    uuid: "u-1",
    location: "http://192.168.1.1:5000/x/root.xml",
    server: "Linux/6 UPnP/1.1 Hatchway/0.1.0",
    bootId: 7,
    configId: 1337,
  };
  const shared = "LOCATION: http://192.168.1.1:5000/x/root.xml\r\n";
  test("a reply, byte for byte", () => {
    expect(textOf(encodeSearchReply(announcement))).toBe(
      `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\n${shared}SERVER: Linux/6 UPnP/1.1 Hatchway/0.1.0\r\n` +
        "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n" +
        "USN: uuid:u-1::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n" +
        "BOOTID.UPNP.ORG: 7\r\nCONFIGID.UPNP.ORG: 1337\r\n\r\n",
    );
  });
  test("alive, byte for byte", () => {
    expect(textOf(encodeAlive(HOST, { ...announcement, target: { kind: "root" } }))).toBe(
      `NOTIFY * HTTP/1.1\r\nHOST: ${HOST}\r\nCACHE-CONTROL: max-age=1800\r\n${shared}NT: upnp:rootdevice\r\n` +
        "NTS: ssdp:alive\r\nSERVER: Linux/6 UPnP/1.1 Hatchway/0.1.0\r\nUSN: uuid:u-1::upnp:rootdevice\r\n" +
        "BOOTID.UPNP.ORG: 7\r\nCONFIGID.UPNP.ORG: 1337\r\n\r\n",
    );
  });
  test("byebye, byte for byte", () => {
    expect(textOf(encodeByebye(HOST, { ...announcement, target: { kind: "uuid", uuid: "u-1" } }))).toBe(
      `NOTIFY * HTTP/1.1\r\nHOST: ${HOST}\r\nNT: uuid:u-1\r\nNTS: ssdp:byebye\r\nUSN: uuid:u-1\r\n` +
        "BOOTID.UPNP.ORG: 7\r\nCONFIGID.UPNP.ORG: 1337\r\n\r\n",
    );
  });
  test("a value cannot begin another header", () => {
    const reply = textOf(encodeSearchReply({ ...announcement, server: "a\r\nX: y\0\u{1f600}\u010a" }));
    expect(reply).toContain("\r\nSERVER: aX: y\r\n");
    expect(reply.split("\r\n")).toHaveLength(11);
  });
  test("what is encoded decodes", () => {
    const word = fc.stringMatching(/^[A-Za-z0-9.-]{1,20}$/);
    const target: fc.Arbitrary<Announced> = fc.oneof(
      fc.constant({ kind: "root" } as const),
      fc.record({ kind: fc.constant("uuid" as const), uuid: word }),
      fc.record({
        kind: fc.constantFrom("device", "service"),
        domain: word,
        type: word,
        version: fc.integer({ min: 1, max: 9999 }),
      }),
    );
    fc.assert(
      fc.property(target, fc.stringMatching(/^[!-~]{0,40}$/), (any, server) => {
        expect(decodeSearchReply(encodeSearchReply({ ...announcement, target: any, server }))).toMatchObject({
          ok: true,
          value: { target: any, location: announcement.location, server },
        });
      }),
    );
  });
});

describe("replies of routers", () => {
  const reply = (headers: string, line = "HTTP/1.1 200 OK") => decodeSearchReply(bytesOf(`${line}\r\n${headers}\r\n`));
  const usn = "uuid:u::urn:schemas-upnp-org:device:InternetGatewayDevice:1";
  const good = `Location: http://192.168.1.1:5000/root.xml\r\nst:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nUSN:${usn}\r\n`;
  const value = { location: "http://192.168.1.1:5000/root.xml", target: IGD, usn, server: null, bootId: null };
  test("without a server", () => expect(reply(good)).toEqual({ ok: true, value }));
  test("with one, and more", () => {
    expect(reply(`${good}SERVER: x UPnP/1.0\r\nDATE: \r\nOPT: "http://schemas.upnp.org/upnp/1/0/"; ns=01\r\n`)).toEqual(
      {
        ok: true,
        value: { ...value, server: "x UPnP/1.0" },
      },
    );
  });
  test("cut inside a line it is an error", () => {
    const whole = `HTTP/1.1 200 OK\r\n${good}`;
    for (let length = 0; length < whole.length; length++) {
      expect(decodeSearchReply(bytesOf(whole.slice(0, length))).ok).toBe(false);
    }
  });
  test("with the number of its start", () => {
    expect(reply(`${good}BOOTID.UPNP.ORG: 1627958564\r\n`)).toEqual({
      ok: true,
      value: { ...value, bootId: 1627958564 },
    });
  });
  test("HTTP/1.0 without a reason", () => expect(reply(good, "HTTP/1.0 200").ok).toBe(true));
  const refused: [text: string, line: string | undefined, error: SsdpError][] = [
    [good, "HTTP/1.1 404 Not Found", { kind: "start-line" }],
    [good, "HTTP/1.1 2000 OK", { kind: "start-line" }],
    [good, "M-SEARCH * HTTP/1.1", { kind: "start-line" }],
    [good.replace("Location", "X"), undefined, { kind: "header", header: "location" }],
    [good.replace("http:", "file:"), undefined, { kind: "header", header: "location" }],
    [good.replace("/root", "/ro ot"), undefined, { kind: "header", header: "location" }],
    [good.replace("USN", "X"), undefined, { kind: "header", header: "usn" }],
    [good.replace("st:urn", "st:um"), undefined, { kind: "header", header: "st" }],
    [good.replace(/st:.*/, "st:ssdp:all"), undefined, { kind: "header", header: "st" }],
  ];
  for (const [text, line, error] of refused) {
    test(`${line ?? text.slice(0, 60)}: ${JSON.stringify(error)}`, () =>
      expect(reply(text, line)).toEqual({ ok: false, error }));
  }
});

test("random input never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      expect(decodeSearch(bytes).ok || decodeSearchReply(bytes).ok).toBe(false);
    }),
  );
});
