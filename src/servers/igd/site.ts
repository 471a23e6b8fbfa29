import { crc32 } from "../../wire/crc32.ts";
import {
  type DeviceDescription,
  renderDeviceDescription,
  renderServiceDescription,
} from "../../wire/igd/description.ts";
import { type IgdVersion, SERVICES, type ServiceName } from "../../wire/igd/services.ts";
import type { Identity } from "./identity.ts";

/** What a path of the server leads to. */
export type Resource =
  | { readonly kind: "device" }
  | { readonly kind: "service"; readonly service: ServiceName }
  | { readonly kind: "control"; readonly service: ServiceName };

export interface SiteOptions {
  readonly identity: Identity;
  readonly friendlyName: string;
  readonly programVersion: string;
  /** The page of the console; null = none. */
  readonly presentationUrl: string | null;
}

/** The documents of the gateway and their paths. */
export interface Site {
  readonly devicePath: string;
  /** UPnP Device Architecture 1.1 §2.1: below 2^24, another when the description is another. */
  readonly configId: number;
  /** Null = there is nothing. */
  resource(path: string): Resource | null;
  /** Null = a gateway of that version has no such service. */
  describe(resource: Exclude<Resource, { readonly kind: "control" }>, version: IgdVersion): Uint8Array | null;
}

const CONFIG_IDS = 2 ** 24;
const NAMES = Object.keys(SERVICES) as ServiceName[];

export function newSite({ identity, friendlyName, programVersion, presentationUrl }: SiteOptions): Site {
  const base = `/${identity.urlToken}`;
  const devicePath = `${base}/rootDesc.xml`;
  const urlsOf = (name: ServiceName) => ({ control: `${base}/ctl/${name}`, description: `${base}/${name}.xml` });
  const resources = new Map<string, Resource>([[devicePath, { kind: "device" }]]);
  for (const service of NAMES) {
    resources.set(urlsOf(service).description, { kind: "service", service });
    resources.set(urlsOf(service).control, { kind: "control", service });
  }
  const described: Omit<DeviceDescription, "version" | "configId"> = {
    uuids: identity.uuids,
    friendlyName,
    manufacturer: "Hatchway",
    modelName: "Hatchway gateway",
    modelNumber: programVersion,
    urls: {
      WANIPConnection: urlsOf("WANIPConnection"),
      WANCommonInterfaceConfig: urlsOf("WANCommonInterfaceConfig"),
      Layer3Forwarding: urlsOf("Layer3Forwarding"),
      WANIPv6FirewallControl: urlsOf("WANIPv6FirewallControl"),
    },
    presentationUrl,
  };
  const encoder = new TextEncoder();
  const device = (version: IgdVersion, configId: number): Uint8Array =>
    encoder.encode(renderDeviceDescription({ ...described, version, configId }));
  const services = NAMES.flatMap((name) => [renderServiceDescription(name, 1), renderServiceDescription(name, 2)]);
  const everything = Buffer.concat([device(1, 0), device(2, 0), encoder.encode(services.join(""))]);
  const configId = crc32(everything) % CONFIG_IDS;
  const documents = new Map<string, Uint8Array | null>();

  return {
    devicePath,
    configId,
    resource: (path) => resources.get(path) ?? null,
    describe(resource, version) {
      const key = `${version} ${resource.kind === "device" ? "" : resource.service}`;
      let found = documents.get(key);
      if (found === undefined) {
        const text = resource.kind === "device" ? null : renderServiceDescription(resource.service, version);
        found = resource.kind === "device" ? device(version, configId) : text === null ? null : encoder.encode(text);
        documents.set(key, found);
      }
      return found;
    },
  };
}
