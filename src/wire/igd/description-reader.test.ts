import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROUTER_SAMPLES } from "../../../test/fixtures/igd/routers.ts";
import { renderDeviceDescription } from "./description.ts";
import { type DescriptionError, decodeDescription, MAX_DESCRIPTION_BYTES } from "./description-reader.ts";

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");
const RECORDED = join(import.meta.dir, "../../../test/fixtures/igd/miniupnpd-2.3.1/description.http");

function read(document: string) {
  const decoded = decodeDescription(latin1(document));
  if (!decoded.ok) throw new Error(decoded.error.kind);
  return decoded.value;
}

const device = (content: string, type = "InternetGatewayDevice:1"): string =>
  `<root><device><deviceType>urn:schemas-upnp-org:device:${type}</deviceType>${content}</device></root>`;
const service = (type: string): string =>
  `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>/c</controlURL></service>`;

describe("descriptions", () => {
  test.each(ROUTER_SAMPLES.map((sample) => [sample.name, sample] as const))(
    "%s",
    (_name, { description, expected }) => {
      const { gatewayVersion, manufacturer, services } = read(description);
      expect({ gatewayVersion, manufacturer }).toEqual({
        gatewayVersion: expected.gatewayVersion,
        manufacturer: expected.manufacturer,
      });
      const types = services.map(({ name, version }) => `${name}:${version}`);
      for (const [type] of expected.services) expect(types).toContain(type);
    },
  );

  test("miniupnpd's, recorded", () => {
    const recorded = readFileSync(RECORDED);
    const body = recorded.subarray(recorded.indexOf("\r\n\r\n") + 4);
    expect(decodeDescription(body)).toEqual({
      ok: true,
      value: {
        gatewayVersion: 2,
        friendlyName: "Debian router",
        manufacturer: "Debian",
        modelName: "Debian router",
        modelNumber: "1",
        presentationUrl: "http://192.168.78.1/",
        urlBase: null,
        uuids: [1, 2, 3].map((number) => `00000000-0000-0000-0000-00000000000${number}`),
        services: (
          [
            ["Layer3Forwarding", 1, "L3F", "L3F"],
            ["DeviceProtection", 1, "DP", "DP"],
            ["WANCommonInterfaceConfig", 1, "CmnIfCfg", "WANCfg"],
            ["WANIPConnection", 2, "IPConn", "WANIPCn"],
            ["WANIPv6FirewallControl", 1, "IP6FCtl", "WANIP6FC"],
          ] as const
        ).map(([name, version, path, scpd]) => ({
          name,
          version,
          controlUrl: `/ctl/${path}`,
          eventUrl: `/evt/${path}`,
          descriptionUrl: `/${scpd}.xml`,
        })),
      },
    });
  });

  test("what our own gateway describes is read", () => {
    const urls = { control: "/c", description: "/d" };
    const rendered = renderDeviceDescription({
      version: 2,
      uuids: { root: "R", wan: "w", wanConnection: "c" },
      configId: 1,
      friendlyName: "Zoë's <gateway> & more",
      manufacturer: "Hatchway",
      modelName: "Hatchway",
      modelNumber: "1",
      urls: {
        WANIPConnection: urls,
        WANCommonInterfaceConfig: urls,
        Layer3Forwarding: urls,
        WANIPv6FirewallControl: urls,
      },
      presentationUrl: null,
    });
    const decoded = decodeDescription(new TextEncoder().encode(rendered));
    expect(decoded).toMatchObject({
      ok: true,
      value: {
        gatewayVersion: 2,
        friendlyName: "Zoë's <gateway> & more",
        presentationUrl: null,
        uuids: ["r", "w", "c"],
      },
    });
  });

  test("a name in Latin-1, without its control characters, and zeros behind the document", () => {
    expect(read(`${device("<friendlyName>Zo\u00eb\u0085s\u0009x</friendlyName>")}\0\0`).friendlyName).toBe("Zoë s x");
  });

  test("texts are bounded", () => {
    expect(read(device(`<modelName>${"m".repeat(500)}</modelName><UDN>uuid:${"u".repeat(500)}</UDN>`))).toMatchObject({
      modelName: "m".repeat(128),
      uuids: [],
    });
  });

  test("lists are bounded", () => {
    const many = read(device(service("WANIPConnection:1").repeat(100) + device("<UDN>uuid:x</UDN>").repeat(100)));
    expect([many.services.length, many.uuids.length]).toEqual([64, 63]);
  });

  test.each([
    ["WANIPConnection:1", true],
    [" WANIPConnection:1", false],
    ["WANIPConnection:0", false],
    ["WANIPConnection", false],
    ["WANIPConnection:1:2", false],
    ["a b:1", false],
  ])("the service type %j is one: %p", (type, taken) => {
    expect(read(device(service(type))).services.length).toBe(taken ? 1 : 0);
  });

  test.each([
    ["InternetGatewayDevice:1", 1],
    ["InternetGatewayDevice:2", 2],
    ["InternetGatewayDevice:3", 2],
    ["MediaServer:1", null],
  ] as const)("the device %s is a gateway of version %p", (type, version) => {
    expect(read(device("", type)).gatewayVersion).toBe(version);
  });

  const bomb = `<!DOCTYPE b [<!ENTITY a "${"a".repeat(50)}"><!ENTITY b "&a;&a;&a;">]>${device("&b;")}`;
  const refused: readonly (readonly [name: string, document: string, kind: DescriptionError["kind"]])[] = [
    ["entities that grow", bomb, "dtd"],
    ["an entity of its own", device("&x;"), "reference"],
    ["too much of it", device("a".repeat(MAX_DESCRIPTION_BYTES)), "too-long"],
    ["too deep", device("<a>".repeat(20)), "depth"],
    ["a page of HTML", "<html><body>Sign in</body></html>", "no-device"],
    ["nothing", "", "truncated"],
  ];
  test.each(refused)("refused: %s", (_name, document, kind) => {
    expect(decodeDescription(latin1(document))).toEqual({ ok: false, error: { kind } });
  });

  test("cut at every byte it is an error, and never a half of it", () => {
    const document = device(service("WANIPConnection:1"));
    for (let length = 0; length < document.length; length++) {
      expect(decodeDescription(latin1(document.slice(0, length))).ok).toBe(false);
    }
  });
});
