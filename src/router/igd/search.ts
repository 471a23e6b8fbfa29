import { createSocket, type Socket } from "node:dgram";
import { atRouter } from "../../core/router/igd-description.ts";
import type { Gateway, RouterFailure } from "../../core/router/model.ts";
import type { After } from "../../os/timers.ts";
import { classifyAddress, isIpv6, parseAddress } from "../../wire/address.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { formatHttpUrl, type HttpUrl, parseHttpUrl } from "../../wire/igd/http-url.ts";
import {
  decodeSearchReply,
  encodeSearch,
  type SearchReply,
  type SearchTarget,
  SSDP_GROUP_V4,
} from "../../wire/igd/ssdp.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { calledOff, socketFailure } from "./failures.ts";
import type { Ignored } from "./ignored.ts";
import { zoned } from "./transport.ts";

export interface SearchOptions {
  readonly gateway: Gateway;
  readonly ssdpPort: number;
  readonly after: After;
  readonly ignored: Ignored;
  readonly signal: AbortSignal;
}

/** A description that the router itself named. */
export interface FoundDescription {
  readonly location: HttpUrl;
  /** It was named as that of a gateway, and not as that of some device. */
  readonly isGateway: boolean;
  readonly bootId: number | null;
}

/** UPnP Device Architecture 1.1 §A.2: the group of IPv6 on one link. */
export const SSDP_GROUP_V6 = "ff02::c";
/** §1.3.3: answers come within it. The least there is: a person waits. */
const MAX_WAIT_SEC = 1;
const HOPS = 2;
/** Datagrams get lost; a slow device answers the first round after the second was sent. */
const SECOND_ROUND_MS = 600;
const END_MS = 2200;
/** Once the router named a gateway: what else it is, of another version or another line, comes with it. */
const SETTLE_MS = 300;
/** A router has a gateway's description or two, and those of a printer server or a media server. */
const MAX_FOUND = 8;

const domain = "schemas-upnp-org";
const device = { kind: "device", domain, type: "InternetGatewayDevice" } as const;
const service = { kind: "service", domain } as const;
/** Routers answer to some of these and not to others; there are some that answer to rootdevice alone. */
const TARGETS: readonly SearchTarget[] = [
  { ...device, version: 2 },
  { ...device, version: 1 },
  { ...service, type: "WANIPConnection", version: 2 },
  { ...service, type: "WANIPConnection", version: 1 },
  { ...service, type: "WANPPPConnection", version: 1 },
  { kind: "root" },
];

/** Asks the group and the router itself; the router's descriptions, a gateway's first. Empty = it named none. */
export async function searchRouter(
  options: SearchOptions,
): Promise<Result<readonly FoundDescription[], RouterFailure>> {
  const { signal, gateway } = options;
  if (signal.aborted) return err(calledOff(gateway.address));
  const { promise, resolve } = Promise.withResolvers<RouterFailure | null>();
  const search = new Search(options, resolve);
  const abort = (): void => resolve(calledOff(gateway.address));
  signal.addEventListener("abort", abort, { once: true });
  search.begin();
  const failure = await promise;
  signal.removeEventListener("abort", abort);
  search.close();
  return failure === null ? ok(search.found) : err(failure);
}

class Search {
  readonly #options: SearchOptions;
  readonly #done: (failure: RouterFailure | null) => void;
  readonly #socket: Socket;
  readonly #found = new Map<string, FoundDescription>();
  readonly #cancels: (() => void)[] = [];
  #settling = false;
  #sent = 0;
  #closed = false;
  #lastError: unknown = null;

  constructor(options: SearchOptions, done: (failure: RouterFailure | null) => void) {
    this.#options = options;
    this.#done = done;
    const v6 = isIpv6(options.gateway.address);
    this.#socket = createSocket(v6 ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
  }

  get found(): readonly FoundDescription[] {
    return [...this.#found.values()].sort((a, b) => Number(b.isGateway) - Number(a.isGateway));
  }

  begin(): void {
    const { gateway, after } = this.#options;
    this.#socket.on("error", (error) => {
      this.#lastError = error;
      // Of the binding, or about a datagram that was sent: the others may still be answered.
      if (this.#sent === 0) this.#done(socketFailure(error, gateway.address));
    });
    this.#socket.on("message", (datagram, { address }) => this.#hear(datagram, address));
    this.#socket.bind(0, this.#ownAddress, () => {
      if (this.#closed) return;
      const unsent = this.#aim();
      if (unsent !== null) {
        this.#done(socketFailure(unsent, gateway.address));
        return;
      }
      this.#ask();
      this.#cancels.push(after(SECOND_ROUND_MS, () => this.#ask()));
      this.#cancels.push(after(END_MS, () => this.#end()));
    });
  }

  /**
   * A router that is known by a link-local address answers from it only who asks from one: the system chooses ours. To a
   * global address of ours miniupnpd answers from a global one, which is as good as a stranger's.
   */
  get #ownAddress(): string {
    const { address, ownAddress, interfaceName } = this.#options.gateway;
    const linkLocal = isIpv6(address) && classifyAddress(address) === "link-local";
    return linkLocal ? "::" : zoned(ownAddress, interfaceName);
  }

  /** Multicast goes out where the router is. The system's error; null = done. */
  #aim(): unknown {
    const { gateway } = this.#options;
    const v6 = isIpv6(gateway.address);
    try {
      this.#socket.setMulticastInterface(v6 ? `::%${gateway.interfaceName}` : gateway.ownAddress);
      this.#socket.setMulticastTTL(HOPS);
      return null;
    } catch (error) {
      return error;
    }
  }

  #ask(): void {
    const { gateway, ssdpPort } = this.#options;
    const v6 = isIpv6(gateway.address);
    const group = v6 ? SSDP_GROUP_V6 : SSDP_GROUP_V4;
    const host = formatHostPort(group, ssdpPort);
    for (const target of TARGETS) {
      const datagram = encodeSearch({ target, host, maxWaitSec: MAX_WAIT_SEC, userAgent: null });
      this.#send(datagram, v6 ? `${group}%${gateway.interfaceName}` : group);
    }
    // And at its own address: multicast does not get through everywhere, over Wi-Fi and VPNs least.
    const own = formatHostPort(gateway.address, ssdpPort);
    for (const target of TARGETS) {
      const datagram = encodeSearch({ target, host: own, maxWaitSec: MAX_WAIT_SEC, userAgent: null });
      this.#send(datagram, zoned(gateway.address, gateway.interfaceName));
    }
  }

  #send(datagram: Uint8Array, to: string): void {
    if (this.#closed) return;
    this.#socket.send(datagram, this.#options.ssdpPort, to, (error) => {
      if (error === null) this.#sent++;
      else this.#lastError = error;
    });
  }

  #hear(datagram: Uint8Array, sender: string): void {
    const { gateway, ignored } = this.#options;
    if (this.#closed) return;
    const from = parseAddress(sender.split("%")[0] ?? "");
    if (!from.ok) return;
    const reply = decodeSearchReply(datagram);
    if (!reply.ok) {
      ignored.note("unreadable", from.value);
      return;
    }
    const isGateway = reply.value.target.kind !== "root";
    if (from.value !== gateway.address) {
      ignored.note(isGateway ? "other-host" : "other-device", from.value);
      return;
    }
    const location = ownLocation(reply.value, gateway.address);
    if (location === null) ignored.note("location-elsewhere", reply.value.location);
    else this.#add({ location, isGateway, bootId: reply.value.bootId });
  }

  #add(found: FoundDescription): void {
    const key = formatHttpUrl(found.location);
    const before = this.#found.get(key);
    if (before === undefined && this.#found.size === MAX_FOUND) return;
    this.#found.set(key, { ...found, isGateway: found.isGateway || before?.isGateway === true });
    if (!found.isGateway || this.#settling) return;
    this.#settling = true;
    this.#cancels.push(this.#options.after(SETTLE_MS, () => this.#end()));
  }

  #end(): void {
    const unsent = this.#sent === 0 && this.#lastError !== null;
    this.#done(unsent ? socketFailure(this.#lastError, this.#options.gateway.address) : null);
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    this.#socket.close();
  }
}

function ownLocation({ location }: SearchReply, router: string): HttpUrl | null {
  const url = parseHttpUrl(location);
  return url === null ? null : atRouter(url, router);
}
