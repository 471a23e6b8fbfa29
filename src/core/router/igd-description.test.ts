import { describe, expect, test } from "bun:test";
import { ROUTER_SAMPLES } from "../../../test/fixtures/igd/routers.ts";
import { decodeDescription } from "../../wire/igd/description-reader.ts";
import { formatHttpUrl, parseHttpUrl } from "../../wire/igd/http-url.ts";
import { atRouter, type DescribedRouter, describedRouter } from "./igd-description.ts";

function url(text: string) {
  const parsed = parseHttpUrl(text);
  if (parsed === null) throw new Error(text);
  return parsed;
}

function described(document: string, location: string): DescribedRouter {
  const description = decodeDescription(Buffer.from(document, "latin1"));
  if (!description.ok) throw new Error(description.error.kind);
  return describedRouter(description.value, url(location), url(location).address);
}

function services({ connections, firewall }: DescribedRouter): [string, string][] {
  const found = connections.map(({ name, version, control }): [string, string] => [
    `${name}:${version}`,
    formatHttpUrl(control),
  ]);
  return firewall === null ? found : [...found, ["WANIPv6FirewallControl:1", formatHttpUrl(firewall)]];
}

const root = (services: string, more = ""): string =>
  `<root>${more}<device><serviceList>${services}</serviceList></device></root>`;
const service = (type: string, control: string): string =>
  `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>${control}</controlURL></service>`;
const LOCATION = "http://192.168.1.1:5000/dir/root.xml";

describe("people's routers", () => {
  test.each(ROUTER_SAMPLES.map((sample) => [sample.name, sample] as const))("%s", (_name, sample) => {
    const router = described(sample.description, sample.location);
    const { manufacturer, model, page, gatewayVersion } = sample.expected;
    expect(router).toMatchObject({ identity: { manufacturer, model, page }, gatewayVersion, elsewhere: [] });
    expect(services(router)).toEqual(sample.expected.services.map(([type, control]) => [type, control]));
  });
});

describe("where control is", () => {
  const connection = (control: string, more?: string) =>
    described(root(service("WANIPConnection:1", control), more), LOCATION);
  test.each([
    ["on another port", "http://192.168.1.1:80/c", undefined, "http://192.168.1.1:80/c"],
    ["relative to the description", "c", undefined, "http://192.168.1.1:5000/dir/c"],
    ["relative to the base", "c", "<URLBase>http://192.168.1.1:81/b/</URLBase>", "http://192.168.1.1:81/b/c"],
    ["a base at another host is none", "/c", "<URLBase>http://192.168.1.2:81/</URLBase>", "http://192.168.1.1:5000/c"],
    ["a base that is a name is none", "/c", "<URLBase>http://router.lan/</URLBase>", "http://192.168.1.1:5000/c"],
    ["an empty base is none", "/c", "<URLBase/>", "http://192.168.1.1:5000/c"],
  ])("%s", (_name, control, more, expected) => {
    expect(services(connection(control, more))).toEqual([["WANIPConnection:1", expected]]);
  });

  test.each([
    ["at another host", "http://192.168.1.2:5000/c"],
    ["at this machine", "http://127.0.0.1:5000/c"],
    ["at a name", "http://router.lan/c"],
    ["with another scheme", "https://192.168.1.1/c"],
    ["without a word", ""],
  ])("%s it is left out", (_name, control) => {
    const router = connection(control);
    expect([router.connections, router.elsewhere]).toEqual([[], [control]]);
  });

  test("what maps no ports is not looked at", () => {
    const router = described(root(service("Layer3Forwarding:1", "http://192.168.1.2/c")), LOCATION);
    expect([router.connections, router.elsewhere]).toEqual([[], []]);
  });

  test("versions are what there is of the service", () => {
    const all = ["WANIPConnection:3", "WANIPConnection:1", "WANPPPConnection:2"].map((type) => service(type, "/c"));
    expect(services(described(root(all.join("")), LOCATION)).map(([type]) => type)).toEqual([
      "WANIPConnection:2",
      "WANIPConnection:1",
      "WANPPPConnection:1",
    ]);
  });
});

describe("a URL at the router", () => {
  test.each([
    ["http://192.168.1.1:80/x", "192.168.1.1", "http://192.168.1.1:80/x"],
    ["http://192.168.1.2:80/x", "192.168.1.1", null],
    ["http://[fe80::1]:80/x", "fe80::1", "http://[fe80::1]:80/x"],
    // miniupnpd names an address of another network's: it is asked at the one that is known.
    ["http://[fd00:78::1]:80/x", "fe80::1", "http://[fe80::1]:80/x"],
    ["http://[fd00:78::1]:80/x", "fd00:77::1", "http://[fd00:77::1]:80/x"],
    ["http://[fe80::2]:80/x", "fe80::1", null],
    ["http://[fd00:78::1]:80/x", "192.168.1.1", null],
    ["http://192.168.1.1:80/x", "fe80::1", null],
  ])("%s, of %s: %p", (text, router, expected) => {
    const own = atRouter(url(text), router);
    expect(own === null ? null : formatHttpUrl(own)).toBe(expected);
  });
});

test.each([
  ["Archer", "7", "Archer 7"],
  ["Archer 7", "7", "Archer 7"],
  ["Archer", "", "Archer"],
  ["", "7", "7"],
  ["", "", null],
])("a model of %j and %j", (name, number, expected) => {
  const document = `<root><device><modelName>${name}</modelName><modelNumber>${number}</modelNumber></device></root>`;
  expect(described(document, LOCATION).identity.model).toBe(expected);
});
