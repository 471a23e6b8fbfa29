import { isIpv6 } from "../../wire/address.ts";
import { classifyAddress } from "../../wire/address-class.ts";
import type { RouterDescription } from "../../wire/igd/description-reader.ts";
import { formatHttpUrl, type HttpUrl, resolveHttpUrl } from "../../wire/igd/http-url.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import type { RouterIdentity } from "./model.ts";

/** A service of the router that maps ports: a line that it has. WANPPPConnection has the actions of WANIPConnection:1. */
export interface IgdConnection {
  readonly name: "WANIPConnection" | "WANPPPConnection";
  readonly version: IgdVersion;
  readonly control: HttpUrl;
}

/** What a description says that a client can use, with URLs that lead to the router itself. */
export interface DescribedRouter {
  readonly identity: RouterIdentity;
  /** Of the device; null = it is no Internet Gateway Device. */
  readonly gatewayVersion: IgdVersion | null;
  /** By which it announces itself. */
  readonly uuids: readonly string[];
  readonly connections: readonly IgdConnection[];
  /** Of WANIPv6FirewallControl:1; null = it makes no pinholes. */
  readonly firewall: HttpUrl | null;
  /** Control URLs that lead to another host, and so are left out. */
  readonly elsewhere: readonly string[];
}

/** `router`: its address, the only one that is ever asked. */
export function describedRouter(description: RouterDescription, location: HttpUrl, router: string): DescribedRouter {
  const base = baseOf(description, location, router);
  const connections: IgdConnection[] = [];
  const firewalls: HttpUrl[] = [];
  const elsewhere: string[] = [];
  for (const { name, version, controlUrl } of description.services) {
    const mapping = name === "WANIPConnection" || name === "WANPPPConnection";
    if (!mapping && name !== "WANIPv6FirewallControl") continue;
    const control = ownUrl(base, controlUrl, router);
    if (control === null) elsewhere.push(controlUrl);
    else if (!mapping) firewalls.push(control);
    else connections.push({ name, version: name === "WANIPConnection" && version >= 2 ? 2 : 1, control });
  }
  const { gatewayVersion, uuids } = description;
  const identity = identityOf(description, base, router);
  return { identity, gatewayVersion, uuids, connections, firewall: firewalls[0] ?? null, elsewhere };
}

/**
 * URLBase, which version 1.1 of the architecture took away because it was wrong so often: one that leads to another host,
 * or to none, is as if it were not there.
 */
function baseOf({ urlBase }: RouterDescription, location: HttpUrl, router: string): HttpUrl {
  return (urlBase === null ? null : ownUrl(location, urlBase, router)) ?? location;
}

function ownUrl(base: HttpUrl, reference: string, router: string): HttpUrl | null {
  const url = resolveHttpUrl(base, reference);
  return url === null || reference === "" ? null : atRouter(url, router);
}

/**
 * The URL when it leads to the router, on whatever port; null when it leads elsewhere. Over IPv6 a router has many
 * addresses, and miniupnpd names one of another network's interface: there the router is asked at the address that is known
 * to be its own, whatever other address that is no link-local one it names.
 */
export function atRouter(url: HttpUrl, router: string): HttpUrl | null {
  if (url.address === router) return url;
  const bothIpv6 = isIpv6(url.address) && isIpv6(router);
  return bothIpv6 && classifyAddress(url.address) !== "link-local" ? { ...url, address: router } : null;
}

function identityOf(description: RouterDescription, base: HttpUrl, router: string): RouterIdentity {
  const { manufacturer, modelName, modelNumber, friendlyName, presentationUrl } = description;
  const page = presentationUrl === null ? null : ownUrl(base, presentationUrl, router);
  return {
    manufacturer,
    model: modelOf(modelName, modelNumber),
    name: friendlyName,
    page: page === null ? null : formatHttpUrl(page),
  };
}

/** Many routers write the number into the name as well. */
function modelOf(name: string | null, number: string | null): string | null {
  if (name === null || number === null) return name ?? number;
  return name.includes(number) ? name : `${name} ${number}`;
}
