import { atRouter } from "../../core/router/igd-description.ts";
import { otherFailure } from "../../core/router/igd-faults.ts";
import { IgdStateWatch, type Seen } from "../../core/router/igd-state-watch.ts";
import type {
  Gateway,
  Grant,
  ListedMapping,
  Mapper,
  MappingWish,
  RouterFailure,
  RouterIdentity,
} from "../../core/router/model.ts";
import { isIpv6 } from "../../wire/address.ts";
import { formatHttpUrl, type HttpUrl, parseHttpUrl } from "../../wire/igd/http-url.ts";
import type { Notification } from "../../wire/igd/ssdp-notify.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { Announcements } from "./announcements.ts";
import { failureOf, IgdControl } from "./control.ts";
import { type IgdSite, readExternalAddress } from "./discovery.ts";
import type { Ignored, IgnoredReason } from "./ignored.ts";
import { listMappings } from "./listing.ts";
import { Pinholes } from "./pinholes.ts";
import { PortMappings } from "./port-mappings.ts";
import type { Transport } from "./transport.ts";

export interface IgdMapperOptions {
  readonly gateway: Gateway;
  readonly transport: Transport;
  readonly site: IgdSite;
  readonly ssdpPort: number;
  readonly ignored: Ignored;
  /** Finds the router anew, at the descriptions that are known first. */
  readonly find: (known: readonly HttpUrl[], signal: AbortSignal) => Promise<Result<IgdSite, RouterFailure>>;
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly onDeaf: (message: string) => void;
}

/** A router that speaks UPnP-IGD, by the contract of every protocol. */
export class IgdMapper implements Mapper {
  readonly protocol: "igd1" | "igd2";
  readonly gateway: Gateway;
  readonly #options: IgdMapperOptions;
  readonly #control: IgdControl;
  readonly #mappings: PortMappings;
  readonly #pinholes: Pinholes;
  readonly #watch: IgdStateWatch;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<() => void>();
  #announcements: Announcements | null = null;
  /** Of the last announcement, when it is another than what was read. */
  #announced: HttpUrl | null = null;

  constructor(options: IgdMapperOptions) {
    const { gateway, transport, site, find, random, nowMs } = options;
    this.#options = options;
    this.gateway = gateway;
    this.protocol = site.gatewayVersion === 2 ? "igd2" : "igd1";
    this.#control = new IgdControl({
      transport,
      site,
      find: (signal) => find(this.#known, signal),
      onFound: ({ uuids, bootId }) => this.#act(this.#watch.onFound(uuids, bootId, nowMs())),
      nowMs,
      signal: this.#ending.signal,
    });
    this.#mappings = new PortMappings(this.#control, random);
    this.#pinholes = new Pinholes(this.#control);
    this.#watch = new IgdStateWatch(site.uuids, site.bootId);
  }

  get identity(): RouterIdentity {
    return this.#control.site.identity;
  }

  /** Where the router describes itself: to be asked there again, over another address of its, say. */
  get descriptionUrl(): string {
    return formatHttpUrl(this.#control.site.location);
  }

  /** Answers and announcements that did not count, so far. */
  get ignored(): ReadonlyMap<IgnoredReason, number> {
    return this.#options.ignored.counts;
  }

  get #known(): readonly HttpUrl[] {
    return this.#announced === null ? [this.#control.site.location] : [this.#announced];
  }

  map(wish: MappingWish, held: Grant | null, signal: AbortSignal): Promise<Result<Grant, RouterFailure>> {
    return this.#makerFor(wish).map(wish, held, { signal });
  }

  unmap(wish: MappingWish, held: Grant, signal: AbortSignal): Promise<Result<null, RouterFailure>> {
    return this.#makerFor(wish).unmap(wish, held, { signal });
  }

  holds(wish: MappingWish, held: Grant, signal: AbortSignal): Promise<Result<boolean | null, RouterFailure>> {
    return this.#makerFor(wish).holds(wish, held, { signal });
  }

  #makerFor({ internalAddress }: MappingWish): PortMappings | Pinholes {
    return isIpv6(internalAddress) ? this.#pinholes : this.#mappings;
  }

  async externalAddress(signal: AbortSignal): Promise<Result<string | null, RouterFailure>> {
    const call = { service: "WANIPConnection", action: "GetExternalIPAddress", version: 1, args: {} } as const;
    const texts = await this.#control.callForTexts(call, { signal });
    if (texts.ok) return ok(readExternalAddress(texts.value));
    // There are routers that fail here while they have no line.
    return texts.error.kind === "fault" ? ok(null) : err(failureOf(texts.error, otherFailure));
  }

  list(signal: AbortSignal): Promise<Result<readonly ListedMapping[], RouterFailure>> {
    return listMappings(this.#control, this.#options.nowMs, { signal });
  }

  async uptimeSec(signal: AbortSignal): Promise<Result<number | null, RouterFailure>> {
    const uptime = await this.#mappings.uptimeSec({ signal });
    if (uptime.ok && uptime.value !== null && this.#watch.onUptime(uptime.value, this.#options.nowMs())) this.#tell();
    return uptime;
  }

  onForgot(forgot: () => void): () => void {
    // The same function twice is two listeners.
    const listener = (): void => forgot();
    this.#listeners.add(listener);
    this.#listen();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#announcements?.close();
      this.#announcements = null;
    };
  }

  #listen(): void {
    if (this.#announcements !== null || this.#ending.signal.aborted) return;
    const { gateway, ssdpPort, ignored, onDeaf } = this.#options;
    this.#announcements = new Announcements({
      gateway,
      ssdpPort,
      ignored,
      onDeaf,
      onNotification: (notification) => this.#hear(notification),
    });
  }

  #hear(notification: Notification): void {
    this.#noteLocation(notification);
    this.#act(this.#watch.onNotification(notification, this.#options.nowMs()));
  }

  #act({ forgot, doubtful }: Seen): void {
    if (forgot) this.#tell();
    // Its answer goes to the watch; that there is none says nothing.
    else if (doubtful) void this.uptimeSec(this.#ending.signal);
  }

  /** Only of what the site is: another device of the router's has a description of its own. */
  #noteLocation({ kind, uuid, target, location }: Notification): void {
    const { site, router } = this.#control;
    const isGateway = target.includes(":InternetGatewayDevice:");
    if (kind !== "alive" || location === null || !(isGateway || site.uuids.includes(uuid))) return;
    const url = parseHttpUrl(location);
    const own = url === null ? null : atRouter(url, router);
    if (own === null) this.#options.ignored.note("location-elsewhere", location);
    else this.#announced = own;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  close(): void {
    this.#ending.abort();
    this.#listeners.clear();
    this.#announcements?.close();
    this.#announcements = null;
  }
}
