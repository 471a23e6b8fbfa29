import { err, ok, type Result } from "../result.ts";
import { printable } from "./printable.ts";
import type { IgdVersion } from "./services.ts";
import { tidiedXml } from "./tidied-xml.ts";
import { readXml, type XmlElement, type XmlError } from "./xml.ts";

/** What a control point reads from a device's description (UPnP Device Architecture 1.1 §2.3): the tree as one list. */
export interface RouterDescription {
  /** Of the InternetGatewayDevice in it; null = there is none. */
  readonly gatewayVersion: IgdVersion | null;
  /** What the root device says of itself, for people: printable; null = nothing. */
  readonly friendlyName: string | null;
  readonly manufacturer: string | null;
  readonly modelName: string | null;
  readonly modelNumber: string | null;
  /** As written, and so may be relative. */
  readonly presentationUrl: string | null;
  /** What relative URLs begin at (version 1.0 of the architecture); null = where the description came from. */
  readonly urlBase: string | null;
  /** Of every device, in lower case, without `uuid:`: what it announces itself by. */
  readonly uuids: readonly string[];
  /** In the order of the document. */
  readonly services: readonly DescribedService[];
}

export interface DescribedService {
  /** `WANIPConnection` */
  readonly name: string;
  readonly version: number;
  /** URLs as written; empty = none. */
  readonly controlUrl: string;
  readonly eventUrl: string;
  readonly descriptionUrl: string;
}

export type DescriptionError =
  | XmlError
  /** A document without a device. */
  | { readonly kind: "no-device" };

/** The largest description of a known router has 14 KB. */
export const MAX_DESCRIPTION_BYTES = 65_536;
/** A router with a WAN device for each of eight lines has 20 services. */
const MAX_SERVICES = 64;
const MAX_DEVICES = 64;
const MAX_UUID_CHARS = 80;

/** Namespaces do not matter: there are routers with none, with a wrong one, and with prefixes that nothing declares. */
export function decodeDescription(bytes: Uint8Array): Result<RouterDescription, DescriptionError> {
  if (bytes.length > MAX_DESCRIPTION_BYTES) return err({ kind: "too-long" });
  // As UTF-8 what was Latin-1 has twice the bytes at most.
  const document = readXml(tidiedXml(bytes, MAX_DESCRIPTION_BYTES), 2 * MAX_DESCRIPTION_BYTES);
  if (!document.ok) return document;
  const root = document.value;
  const [device, ...others] = [...elements(root)].filter(({ name }) => name === "device");
  if (device === undefined) return err({ kind: "no-device" });
  const devices = [device, ...others].slice(0, MAX_DEVICES);
  return ok({
    gatewayVersion: devices.map(gatewayVersion).find((version) => version !== null) ?? null,
    friendlyName: label(device, "friendlyName"),
    manufacturer: label(device, "manufacturer"),
    modelName: label(device, "modelName"),
    modelNumber: label(device, "modelNumber"),
    presentationUrl: childText(device, "presentationURL") || null,
    urlBase: childText(root, "URLBase") || null,
    uuids: devices.flatMap(uuid),
    services: [...elements(root)].filter(({ name }) => name === "service").flatMap(service),
  });
}

/** The element and all in it, in the order of the document. The reader bounds the depth. */
function* elements(element: XmlElement): Generator<XmlElement> {
  yield element;
  for (const child of element.children) yield* elements(child);
}

/** Of the first child of this name; empty = there is none. Routers break lines and indent within. */
function childText(element: XmlElement, name: string): string {
  return element.children.find((child) => child.name === name)?.text.trim() ?? "";
}

function label(device: XmlElement, name: string): string | null {
  return printable(childText(device, name)) || null;
}

function gatewayVersion(device: XmlElement): IgdVersion | null {
  const version = /^urn:schemas-upnp-org:device:InternetGatewayDevice:([1-9])$/.exec(childText(device, "deviceType"));
  if (version === null) return null;
  return version[1] === "1" ? 1 : 2;
}

function uuid(device: XmlElement): string[] {
  const text = childText(device, "UDN")
    .toLowerCase()
    .replace(/^uuid:/, "");
  return text === "" || text.length > MAX_UUID_CHARS ? [] : [text];
}

function service(element: XmlElement, index: number): DescribedService[] {
  const type = /^urn:schemas-upnp-org:service:([A-Za-z0-9._-]{1,64}):([1-9][0-9]{0,2})$/.exec(
    childText(element, "serviceType"),
  );
  if (type === null || index >= MAX_SERVICES) return [];
  return [
    {
      name: type[1] ?? "",
      version: Number(type[2]),
      controlUrl: childText(element, "controlURL"),
      eventUrl: childText(element, "eventSubURL"),
      descriptionUrl: childText(element, "SCPDURL"),
    },
  ];
}
