import { type DescribedRouter, describedRouter, type IgdConnection } from "../../core/router/igd-description.ts";
import type { RouterFailure, RouterIdentity } from "../../core/router/model.ts";
import { parseAddress } from "../../wire/address.ts";
import { formatHttpUrl, type HttpUrl } from "../../wire/igd/http-url.ts";
import { type IgdVersion, serviceType } from "../../wire/igd/services.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type FoundDescription, type SearchOptions, searchRouter } from "./search.ts";
import type { Control, Transport } from "./transport.ts";

/** What there is to ask of a router, and where. */
export interface IgdSite {
  readonly location: HttpUrl;
  readonly identity: RouterIdentity;
  /** Of the device: what people call the router. */
  readonly gatewayVersion: IgdVersion;
  readonly uuids: readonly string[];
  /** Of the answer to the search; null = there was none, or it did not say. */
  readonly bootId: number | null;
  /** Null = it maps no ports. */
  readonly connection: { readonly control: Control; readonly version: IgdVersion } | null;
  /** Null = it makes no pinholes. */
  readonly firewall: Control | null;
}

export interface DiscoveryOptions extends SearchOptions {
  readonly transport: Transport;
  /** Of version 1 only, or of version 2 only; null = the best there is. */
  readonly version: IgdVersion | null;
}

/** A description a request, and up to two more for each line: a router with more is asked for the first ones. */
const MAX_DESCRIPTIONS = 4;
const MAX_CONNECTIONS = 4;

interface Described {
  readonly found: FoundDescription;
  readonly router: DescribedRouter;
}

interface Candidate {
  readonly described: Described;
  readonly connection: IgdConnection;
}

/** Looks at the descriptions that are known, and then, if it is to `search`, at those that the router names. */
export async function findRouter(
  known: readonly HttpUrl[],
  search: boolean,
  options: DiscoveryOptions,
): Promise<Result<IgdSite, RouterFailure>> {
  const named = known.map((location) => ({ location, isGateway: true, bootId: null }));
  const site = named.length === 0 ? null : await readSite(named, options);
  if (site !== null && (site.ok || !search)) return site;
  const found = await searchRouter(options);
  if (!found.ok) return found;
  const urls = known.map(formatHttpUrl);
  const fresh = found.value.filter(({ location }) => !urls.includes(formatHttpUrl(location)));
  return fresh.length === 0 ? (site ?? err(notFound(options))) : readSite(fresh, options);
}

async function readSite(
  found: readonly FoundDescription[],
  options: DiscoveryOptions,
): Promise<Result<IgdSite, RouterFailure>> {
  const { transport, ignored, signal, gateway, version } = options;
  const described: Described[] = [];
  let failure: RouterFailure | null = null;
  for (const one of found.slice(0, MAX_DESCRIPTIONS)) {
    // What is no gateway's is looked at only when nothing else is there.
    if (!one.isGateway && described.some(({ router }) => router.connections.length > 0)) break;
    const description = await transport.describe(one.location, signal);
    if (!description.ok) {
      failure ??= description.error;
      continue;
    }
    const router = describedRouter(description.value, one.location, gateway.address);
    for (const url of router.elsewhere) ignored.note("control-elsewhere", url);
    described.push({ found: one, router });
  }
  const usable = described.filter(({ router }) => version !== 2 || versionOf(router) === 2);
  const chosen = await choose(usable, options);
  if (chosen !== null) return ok(siteOf(chosen.described, chosen.connection, options));
  const pinholes = usable.find(({ router }) => router.firewall !== null);
  if (pinholes !== undefined) return ok(siteOf(pinholes, null, options));
  return err(failure ?? unusable(described, options));
}

/** A gateway of version 2, or one that has a service of it. */
function versionOf({ gatewayVersion, connections }: DescribedRouter): IgdVersion {
  return gatewayVersion === 2 || connections.some(({ version }) => version === 2) ? 2 : 1;
}

/**
 * One router may have two lines, two services for the one line of which one is dead, and two descriptions, one of each
 * version: the connected one with an address outside counts, else the first. With one there is nothing to ask.
 */
async function choose(described: readonly Described[], options: DiscoveryOptions): Promise<Candidate | null> {
  const candidates = described
    .flatMap((one) => one.router.connections.map((connection) => ({ described: one, connection })))
    .sort((a, b) => b.connection.version - a.connection.version)
    .slice(0, MAX_CONNECTIONS);
  const [first, ...others] = candidates;
  if (first === undefined || others.length === 0) return first ?? null;
  let connected: Candidate | null = null;
  for (const candidate of candidates) {
    if (!(await isConnected(candidate, options))) continue;
    connected ??= candidate;
    if (await hasAddress(candidate, options)) return candidate;
  }
  return connected ?? first;
}

async function isConnected({ connection }: Candidate, { transport, signal }: DiscoveryOptions): Promise<boolean> {
  const call = { service: "WANIPConnection", action: "GetStatusInfo", version: 1, args: {} } as const;
  const texts = await transport.callForTexts(controlOf(connection, 1), call, signal);
  return texts.ok && texts.value.get("NewConnectionStatus")?.trim().toLowerCase() === "connected";
}

async function hasAddress({ connection }: Candidate, { transport, signal }: DiscoveryOptions): Promise<boolean> {
  const call = { service: "WANIPConnection", action: "GetExternalIPAddress", version: 1, args: {} } as const;
  const texts = await transport.callForTexts(controlOf(connection, 1), call, signal);
  return texts.ok && readExternalAddress(texts.value) !== null;
}

/** Null = none: empty, 0.0.0.0 when there is no line, or something else than an IPv4 address. */
export function readExternalAddress(outputs: ReadonlyMap<string, string>): string | null {
  const address = parseAddress(outputs.get("NewExternalIPAddress")?.trim() ?? "");
  const usable = address.ok && !address.value.includes(":") && address.value !== "0.0.0.0";
  return usable ? address.value : null;
}

function controlOf({ name, version, control }: IgdConnection, most: IgdVersion): Control {
  return { url: control, type: serviceType(name, version < most ? version : most) };
}

function siteOf({ found, router }: Described, connection: IgdConnection | null, options: DiscoveryOptions): IgdSite {
  const most = options.version ?? 2;
  const version = connection === null || connection.version < most ? (connection?.version ?? 1) : most;
  return {
    location: found.location,
    identity: router.identity,
    gatewayVersion: versionOf(router) < most ? versionOf(router) : most,
    uuids: router.uuids,
    bootId: found.bootId,
    connection: connection === null ? null : { control: controlOf(connection, most), version },
    firewall:
      router.firewall === null ? null : { url: router.firewall, type: serviceType("WANIPv6FirewallControl", 1) },
  };
}

function notFound({ gateway, ignored }: DiscoveryOptions): RouterFailure {
  const { suspicious } = ignored;
  const others =
    suspicious === 0 ? "" : ` ${suspicious} answers did not count: they came from other hosts, or led to them.`;
  const message = `The router at ${gateway.address} does not answer UPnP; turn UPnP on in its settings, or forward the port on its page.${others}`;
  return { kind: "silent", code: null, message };
}

function unusable(described: readonly Described[], { gateway, version }: DiscoveryOptions): RouterFailure {
  const elsewhere = described.some(({ router }) => router.elsewhere.length > 0);
  const router = `The router at ${gateway.address}`;
  if (version === 2 && described.some(({ router: one }) => one.connections.length > 0)) {
    return { kind: "unsupported", code: null, message: `${router} speaks UPnP-IGD 1, and not 2.` };
  }
  if (elsewhere) {
    const message = `${router} describes its port mapping as being at another host, which is not followed; forward the port on its page.`;
    return { kind: "garbled", code: null, message };
  }
  const message = `${router} speaks UPnP, but maps no ports by it; forward the port on its page.`;
  return { kind: "unsupported", code: null, message };
}
