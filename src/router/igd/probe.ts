import type { Gateway, ListedMapping, Mapper, RouterFailure } from "../../core/router/model.ts";
import { type After, after as systemAfter } from "../../os/timers.ts";
import { type HttpUrl, parseHttpUrl } from "../../wire/igd/http-url.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import { SSDP_PORT } from "../../wire/igd/ssdp.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { quoted } from "../../wire/text-error.ts";
import { findRouter } from "./discovery.ts";
import { Ignored, type IgnoredReason, type OnIgnored } from "./ignored.ts";
import { IgdMapper } from "./mapper.ts";
import { Transport } from "./transport.ts";

export interface IgdProbe {
  readonly gateway: Gateway;
  /** Ends the search; the mapper that came of it ends with its `close`. */
  readonly signal: AbortSignal;
  /** For each answer, announcement or URL that does not count: who logs each reason once logs at count 1. */
  readonly onIgnored: OnIgnored;
  /** Announcements cannot be heard: one sentence. Absent = nobody needs to know. */
  readonly onDeaf?: (message: string) => void;
  /** 0 up to 1. */
  readonly random: () => number;
  /** Milliseconds that never go backwards. */
  readonly nowMs: () => number;
  readonly after?: After;
  /** Where searches and announcements go; default 1900. */
  readonly ports?: { readonly ssdp?: number };
  /**
   * Where the router describes itself, when a person knows: nothing is searched for, and the address in it is the router's,
   * whatever the routes say.
   */
  readonly descriptionUrl?: string;
  /** Speak this version only; absent = the best that the router has. */
  readonly version?: IgdVersion;
}

/** What UPnP-IGD tells beyond the contract. */
export interface IgdRouterMapper extends Mapper {
  /** The description's URL, at the router's address. */
  readonly descriptionUrl: string;
  readonly ignored: ReadonlyMap<IgnoredReason, number>;
  /** There always is one. */
  list(signal: AbortSignal): Promise<Result<readonly ListedMapping[], RouterFailure>>;
}

/**
 * Looks for the router by UPnP: 0.4 s when it answers (miniupnpd), 2.2 s until it is clear that it does not. Only what comes from
 * the gateway's own address, and leads to it, counts.
 */
export async function probeIgd(probe: IgdProbe): Promise<Result<IgdRouterMapper, RouterFailure>> {
  const named = namedRouter(probe);
  if (!named.ok) return named;
  const { gateway, location } = named.value;
  const { random, nowMs, onIgnored, onDeaf = () => {}, after = systemAfter, version = null } = probe;
  const ssdpPort = probe.ports?.ssdp ?? SSDP_PORT;
  const ignored = new Ignored(onIgnored);
  const transport = new Transport({ gateway, after });
  const shared = { gateway, ssdpPort, after, ignored, transport, version };
  const site = await findRouter(location === null ? [] : [location], location === null, {
    ...shared,
    signal: probe.signal,
  });
  if (!site.ok) return site;
  const find = (known: readonly HttpUrl[], signal: AbortSignal) => findRouter(known, true, { ...shared, signal });
  return ok(new IgdMapper({ gateway, transport, site: site.value, ssdpPort, ignored, find, random, nowMs, onDeaf }));
}

function namedRouter({
  gateway,
  descriptionUrl,
}: IgdProbe): Result<{ readonly gateway: Gateway; readonly location: HttpUrl | null }, RouterFailure> {
  if (descriptionUrl === undefined) return ok({ gateway, location: null });
  const location = parseHttpUrl(descriptionUrl);
  if (location !== null) return ok({ gateway: { ...gateway, address: location.address }, location });
  const message = `Write the description's URL as http://ADDRESS:PORT/PATH with a number as its address, not ${quoted(descriptionUrl)}.`;
  return err({ kind: "unsupported", code: null, message });
}
