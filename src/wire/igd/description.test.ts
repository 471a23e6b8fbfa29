import { describe, expect, test } from "bun:test";
import {
  announcedTargets,
  type DeviceDescription,
  renderDeviceDescription,
  renderServiceDescription,
} from "./description.ts";
import { renderPortListing } from "./port-listing.ts";
import { type IgdVersion, SERVICES, type ServiceName } from "./services.ts";
import { formatTarget } from "./ssdp.ts";
import { readXml, type XmlElement } from "./xml.ts";

const NAMES = Object.keys(SERVICES) as ServiceName[];
const urlsOf = (name: string) => ({ control: `/c/${name}`, description: `/d/${name}.xml` });
const description = (version: IgdVersion): DeviceDescription => ({
  version,
  uuids: { root: "r", wan: "w", wanConnection: "c" },
  configId: 7,
  friendlyName: 'Zoë\'s <gateway> & "more"\x07',
  manufacturer: "Hatchway",
  modelName: "Hatchway",
  modelNumber: "0.1.0",
  urls: {
    WANIPConnection: urlsOf("ip"),
    WANCommonInterfaceConfig: urlsOf("if"),
    Layer3Forwarding: urlsOf("l3"),
    WANIPv6FirewallControl: urlsOf("fw"),
  },
  presentationUrl: "http://192.168.1.1:8080/",
});

function read(document: string): XmlElement {
  const parsed = readXml(new TextEncoder().encode(document), 65_536);
  if (!parsed.ok) throw new Error(parsed.error.kind);
  return parsed.value;
}
function all(element: XmlElement, name: string): XmlElement[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...all(child, name)]);
}
const texts = (element: XmlElement, name: string) => all(element, name).map(({ text }) => text);

describe("the device", () => {
  const table: [version: IgdVersion, minor: string, services: string[]][] = [
    [1, "0", ["Layer3Forwarding:1", "WANCommonInterfaceConfig:1", "WANIPConnection:1"]],
    [2, "1", ["Layer3Forwarding:1", "WANCommonInterfaceConfig:1", "WANIPConnection:2", "WANIPv6FirewallControl:1"]],
  ];
  for (const [version, minor, services] of table) {
    test(`version ${version}`, () => {
      const root = read(renderDeviceDescription(description(version)));
      expect(root).toMatchObject({ name: "root", namespace: "urn:schemas-upnp-org:device-1-0" });
      expect(texts(root, "minor")).toEqual([minor]);
      expect(texts(root, "deviceType")).toEqual(
        ["InternetGatewayDevice", "WANDevice", "WANConnectionDevice"].map(
          (type) => `urn:schemas-upnp-org:device:${type}:${version}`,
        ),
      );
      expect(texts(root, "UDN")).toEqual(["uuid:r", "uuid:w", "uuid:c"]);
      expect(texts(root, "serviceType")).toEqual(services.map((type) => `urn:schemas-upnp-org:service:${type}`));
      expect(texts(root, "controlURL")).toEqual(["/c/l3", "/c/if", "/c/ip", "/c/fw"].slice(0, services.length));
      expect(texts(root, "SCPDURL")).toEqual(
        ["/d/l3.xml", "/d/if.xml", "/d/ip.xml", "/d/fw.xml"].slice(0, services.length),
      );
      expect(texts(root, "serviceId")[2]).toBe("urn:upnp-org:serviceId:WANIPConn1");
      expect(texts(root, "eventSubURL").join("")).toBe("");
      expect(texts(root, "presentationURL")).toEqual(["http://192.168.1.1:8080/"]);
      expect(texts(root, "friendlyName")[0]).toBe('Zoë\'s <gateway> & "more"');
    });
    test(`what version ${version} announces is what it describes`, () => {
      const root = read(renderDeviceDescription(description(version)));
      const announced = announcedTargets(version, description(version).uuids).map(({ target }) => formatTarget(target));
      const described = ["deviceType", "UDN", "serviceType"].flatMap((name) => texts(root, name));
      expect(announced.toSorted()).toEqual(["upnp:rootdevice", ...described].toSorted());
    });
  }
  test("no page, no URL", () => {
    expect(renderDeviceDescription({ ...description(1), presentationUrl: null })).not.toContain("presentationURL");
  });
});

describe("the services", () => {
  for (const version of [1, 2] as const) {
    for (const name of NAMES) {
      const document = renderServiceDescription(name, version);
      if (document === null) {
        test(`${name} in version ${version}: none`, () =>
          expect([name, version]).toEqual(["WANIPv6FirewallControl", 1]));
        continue;
      }
      test(`${name} in version ${version}: each argument's variable is in the table`, () => {
        const scpd = read(document);
        expect(scpd).toMatchObject({ name: "scpd", namespace: "urn:schemas-upnp-org:service-1-0" });
        const [table] = all(scpd, "serviceStateTable");
        const variables = table?.children.map((variable) => variable.children[0]?.text ?? "");
        expect(new Set(texts(scpd, "relatedStateVariable"))).toEqual(new Set(variables));
      });
    }
  }
  test("version 1 shows no action of version 2", () => {
    const actions = (version: IgdVersion) => {
      const scpd = read(renderServiceDescription("WANIPConnection", version) ?? "");
      return all(scpd, "action").map(({ children }) => children[0]?.text);
    };
    const added = ["AddAnyPortMapping", "DeletePortMappingRange", "GetListOfPortMappings"];
    expect(actions(1)).toHaveLength(11);
    expect(actions(2)).toEqual([...actions(1), ...added]);
    expect(renderServiceDescription("WANIPConnection", 1)).not.toMatch(/A_ARG_TYPE|AnyPort|Range<|ListOf/);
  });
  test("an action, byte for byte", () => {
    expect(renderServiceDescription("WANIPConnection", 2)).toContain(
      "<action><name>GetExternalIPAddress</name><argumentList><argument><name>NewExternalIPAddress</name>" +
        "<direction>out</direction><relatedStateVariable>ExternalIPAddress</relatedStateVariable></argument></argumentList></action>",
    );
    expect(renderServiceDescription("WANIPConnection", 1)).toContain("<action><name>RequestConnection</name></action>");
  });
  test("types, values and ranges", () => {
    const document = renderServiceDescription("WANIPConnection", 1);
    expect(document).toContain(
      '<stateVariable sendEvents="no"><name>PortMappingProtocol</name><dataType>string</dataType>' +
        "<allowedValueList><allowedValue>TCP</allowedValue><allowedValue>UDP</allowedValue></allowedValueList></stateVariable>",
    );
    expect(document).toContain(
      "<name>InternalPort</name><dataType>ui2</dataType><allowedValueRange><minimum>1</minimum><maximum>65535</maximum></allowedValueRange>",
    );
    expect(document).not.toContain("ipv4");
  });
});

test("a port listing", () => {
  const listing = renderPortListing([
    {
      remoteHost: null,
      externalPort: 8080,
      protocol: "tcp",
      internalPort: 80,
      internalClient: "192.168.1.5",
      enabled: true,
      description: "a<b",
      leaseSec: 60,
    },
  ]);
  const root = read(listing);
  expect(root).toMatchObject({ name: "PortMappingList", namespace: "urn:schemas-upnp-org:gw:WANIPConnection" });
  expect(root.children[0]?.children.map(({ name, text }) => [name, text])).toEqual([
    ["NewRemoteHost", ""],
    ["NewExternalPort", "8080"],
    ["NewProtocol", "TCP"],
    ["NewInternalPort", "80"],
    ["NewInternalClient", "192.168.1.5"],
    ["NewEnabled", "1"],
    ["NewDescription", "a<b"],
    ["NewLeaseTime", "60"],
  ]);
  expect(read(renderPortListing([])).children).toEqual([]);
});
