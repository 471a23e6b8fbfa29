import { type IgdVersion, offeredVersion, SERVICES, type Service, type ServiceName, serviceType } from "./services.ts";
import type { Announced } from "./ssdp.ts";
import { textElement, XML_DECLARATION } from "./xml.ts";

/** The identity of each device in the tree, without `uuid:`. */
export interface DeviceUuids {
  readonly root: string;
  readonly wan: string;
  readonly wanConnection: string;
}

export interface ServiceUrls {
  readonly control: string;
  readonly description: string;
}

export interface DeviceDescription {
  readonly version: IgdVersion;
  readonly uuids: DeviceUuids;
  /** The same as in the announcements. */
  readonly configId: number;
  readonly friendlyName: string;
  readonly manufacturer: string;
  readonly modelName: string;
  readonly modelNumber: string;
  /** Absolute, or from the root of the host that gave the description. */
  readonly urls: Readonly<Record<ServiceName, ServiceUrls>>;
  /** The page of the console; null = none. */
  readonly presentationUrl: string | null;
}

interface DeviceNode {
  readonly type: string;
  readonly uuid: keyof DeviceUuids;
  readonly services: readonly ServiceName[];
  readonly device: DeviceNode | null;
}

const TREE: DeviceNode = {
  type: "InternetGatewayDevice",
  uuid: "root",
  services: ["Layer3Forwarding"],
  device: {
    type: "WANDevice",
    uuid: "wan",
    services: ["WANCommonInterfaceConfig"],
    device: {
      type: "WANConnectionDevice",
      uuid: "wanConnection",
      services: ["WANIPConnection", "WANIPv6FirewallControl"],
      device: null,
    },
  },
};

export function renderDeviceDescription(description: DeviceDescription): string {
  const { version, configId } = description;
  // configId came with version 1.1 of the architecture; a version 1 gateway is of 1.0.
  const attributes = `xmlns="urn:schemas-upnp-org:device-1-0"${version === 1 ? "" : ` configId="${configId}"`}`;
  const content = specVersion(version) + device(TREE, description);
  return `${XML_DECLARATION}<root ${attributes}>${content}</root>\r\n`;
}

function specVersion(version: IgdVersion): string {
  return element("specVersion", [textElement("major", "1"), textElement("minor", version === 1 ? "0" : "1")]);
}

function device(node: DeviceNode, description: DeviceDescription): string {
  const { version, uuids, friendlyName, manufacturer, modelName, modelNumber, presentationUrl } = description;
  const services = node.services.map((name) => service(name, description));
  // The order is the schema's (UPnP Device Architecture 1.1 §2.3).
  return element("device", [
    textElement("deviceType", `urn:schemas-upnp-org:device:${node.type}:${version}`),
    textElement("friendlyName", friendlyName),
    textElement("manufacturer", manufacturer),
    textElement("modelName", modelName),
    textElement("modelNumber", modelNumber),
    textElement("UDN", `uuid:${uuids[node.uuid]}`),
    element("serviceList", services),
    node.device === null ? "" : element("deviceList", [device(node.device, description)]),
    node === TREE && presentationUrl !== null ? textElement("presentationURL", presentationUrl) : "",
  ]);
}

/** Empty when a gateway of this version has no such service. */
function service(name: ServiceName, { version, urls }: DeviceDescription): string {
  const offered = offeredVersion(SERVICES[name], version);
  if (offered === null) return "";
  return element("service", [
    textElement("serviceType", serviceType(name, offered)),
    textElement("serviceId", SERVICES[name].serviceId),
    textElement("SCPDURL", urls[name].description),
    textElement("controlURL", urls[name].control),
    // There are no events (CallStranger, CVE-2020-12695): empty, as §2.3 asks of a service without evented variables.
    textElement("eventSubURL", ""),
  ]);
}

/**
 * The actions and variables that a service has in a gateway of this version (SCPD); null when it is not offered at all.
 * Variables that no action of this version uses are left out.
 */
export function renderServiceDescription(name: ServiceName, version: IgdVersion): string | null {
  const data: Service = SERVICES[name];
  const offered = offeredVersion(data, version);
  if (offered === null) return null;
  const actions = Object.entries(data.actions).filter(([, { since }]) => since <= offered);
  const used = new Set(
    actions.flatMap(([, { inputs, outputs }]) => [...Object.values(inputs), ...Object.values(outputs)]),
  );
  const content = [
    specVersion(version),
    element(
      "actionList",
      actions.map(([action, { inputs, outputs }]) => {
        const list = [...argumentsOf("in", inputs), ...argumentsOf("out", outputs)];
        return element("action", [textElement("name", action), list.length === 0 ? "" : element("argumentList", list)]);
      }),
    ),
    element(
      "serviceStateTable",
      Object.keys(data.variables)
        .filter((variable) => used.has(variable))
        .map((variable) => stateVariable(data, variable)),
    ),
  ];
  return `${XML_DECLARATION}<scpd xmlns="urn:schemas-upnp-org:service-1-0">${content.join("")}</scpd>\r\n`;
}

function argumentsOf(direction: "in" | "out", args: Readonly<Record<string, string>>): string[] {
  return Object.entries(args).map(([name, variable]) =>
    element("argument", [
      textElement("name", name),
      textElement("direction", direction),
      textElement("relatedStateVariable", variable),
    ]),
  );
}

function stateVariable(service: Service, name: string): string {
  const variable = service.variables[name];
  if (variable === undefined) return "";
  const { type, range, values } = variable;
  const content = [textElement("name", name), textElement("dataType", dataType(type))];
  if (values !== undefined) {
    content.push(
      element(
        "allowedValueList",
        values.map((value) => textElement("allowedValue", value)),
      ),
    );
  }
  if (range !== undefined) {
    const [min, max] = range;
    content.push(element("allowedValueRange", [textElement("minimum", `${min}`), textElement("maximum", `${max}`)]));
  }
  return `<stateVariable sendEvents="no">${content.join("")}</stateVariable>`;
}

function dataType(type: Service["variables"][string]["type"]): string {
  switch (type) {
    case "ui2":
    case "ui4":
    case "boolean":
    case "string":
      return type;
    case "ipv4":
    case "ipv6":
    case "protocol":
      return "string";
    default:
      return type satisfies never;
  }
}

function element(name: string, content: readonly string[]): string {
  return `<${name}>${content.join("")}</${name}>`;
}

/** All that the described device is, for announcements and searches: the root first. `uuid` is the device's, as in its USN. */
export function announcedTargets(
  version: IgdVersion,
  uuids: DeviceUuids,
): { readonly target: Announced; readonly uuid: string }[] {
  const domain = "schemas-upnp-org";
  const found: { target: Announced; uuid: string }[] = [{ target: { kind: "root" }, uuid: uuids.root }];
  for (let node: DeviceNode | null = TREE; node !== null; node = node.device) {
    const uuid = uuids[node.uuid];
    found.push({ target: { kind: "uuid", uuid }, uuid });
    found.push({ target: { kind: "device", domain, type: node.type, version }, uuid });
    for (const type of node.services) {
      const offered = offeredVersion(SERVICES[type], version);
      if (offered !== null) found.push({ target: { kind: "service", domain, type, version: offered }, uuid });
    }
  }
  return found;
}
