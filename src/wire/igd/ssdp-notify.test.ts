import { describe, expect, test } from "bun:test";
import { encodeAlive, encodeByebye } from "./ssdp.ts";
import type { SsdpError } from "./ssdp-head.ts";
import { decodeNotification, type Notification } from "./ssdp-notify.ts";

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");
const GROUP = "239.255.255.250:1900";
const NT = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
const announcement = {
  target: { kind: "device", domain: "schemas-upnp-org", type: "InternetGatewayDevice", version: 1 },
  uuid: "2FAC1234-31f8-11b4-a222-08002b34c003",
  location: "http://192.168.1.1:5000/rootDesc.xml",
  server: "Linux/6 UPnP/1.1 Hatchway/1",
  bootId: 7,
  configId: 1,
} as const;
const value: Notification = {
  kind: "alive",
  uuid: announcement.uuid.toLowerCase(),
  target: NT,
  location: announcement.location,
  bootId: 7,
  nextBootId: null,
};

describe("what a device announces", () => {
  const table: [name: string, datagram: Uint8Array, expected: Notification][] = [
    ["that it is there", encodeAlive(GROUP, announcement), value],
    ["its end", encodeByebye(GROUP, announcement), { ...value, kind: "byebye", location: null }],
    [
      "the root itself, in version 1.0, with bare LF and no empty line",
      bytesOf(`NOTIFY * HTTP/1.0\nHOST:${GROUP}\nNT:upnp:rootdevice\nNTS:ssdp:alive\nUSN:uuid:A::upnp:rootdevice\n`),
      { ...value, uuid: "a", target: "upnp:rootdevice", location: null, bootId: null },
    ],
    [
      "that it will say another number",
      bytesOf(
        `NOTIFY * HTTP/1.1\r\nNT: ${NT}\r\nNTS: ssdp:update\r\nUSN: uuid:a\r\nBOOTID.UPNP.ORG: 7\r\nNEXTBOOTID.UPNP.ORG: 8\r\n\r\n`,
      ),
      { ...value, kind: "update", uuid: "a", location: null, nextBootId: 8 },
    ],
    [
      "a number that is none",
      bytesOf(`NOTIFY * HTTP/1.1\r\nNT: ${NT}\r\nNTS: ssdp:alive\r\nUSN: uuid:a\r\nBOOTID.UPNP.ORG: x\r\n`),
      { ...value, uuid: "a", location: null, bootId: null },
    ],
  ];
  test.each(table)("%s", (_name, datagram, expected) => {
    expect(decodeNotification(datagram)).toEqual({ ok: true, value: expected });
  });

  const good = `NOTIFY * HTTP/1.1\r\nNT: ${NT}\r\nNTS: ssdp:alive\r\nUSN: uuid:a::${NT}\r\n`;
  const refused: [name: string, datagram: string, error: SsdpError][] = [
    ["a search", good.replace("NOTIFY", "M-SEARCH"), { kind: "start-line" }],
    ["a reply", good.replace("NOTIFY * HTTP/1.1", "HTTP/1.1 200 OK"), { kind: "start-line" }],
    ["another event", good.replace("ssdp:alive", "upnp:propchange"), { kind: "header", header: "nts" }],
    ["no NTS", good.replace("NTS", "X"), { kind: "header", header: "nts" }],
    ["no NT", good.replace("NT:", "X:"), { kind: "header", header: "nt" }],
    ["no USN", good.replace("USN", "X"), { kind: "header", header: "usn" }],
    ["a USN of nothing", good.replace(/USN.*/, "USN: ::x"), { kind: "header", header: "usn" }],
    [
      "two numbers",
      `${good}BOOTID.UPNP.ORG: 1\r\nBOOTID.UPNP.ORG: 2\r\n`,
      {
        kind: "repeated",
        header: "bootid.upnp.org",
      },
    ],
  ];
  test.each(refused)("refused: %s", (_name, datagram, error) => {
    expect(decodeNotification(bytesOf(datagram))).toEqual({ ok: false, error });
  });

  test("cut inside a line, or before what must be there, it is an error", () => {
    const whole = encodeAlive(GROUP, announcement);
    const usnEnd = Buffer.from(whole).indexOf("USN:") + "USN: ".length;
    for (let length = 0; length < usnEnd; length++) {
      expect(decodeNotification(whole.slice(0, length)).ok).toBe(false);
    }
  });
});
