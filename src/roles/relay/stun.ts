import { lookup } from "node:dns/promises";
import type { ReservedPort } from "../../core/policy.ts";
import { alternatePortOf } from "../../core/stun/other-place.ts";
import { stunSites } from "../../core/stun/sites.ts";
import type { EntryPorts } from "../../core/table.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { errorCode } from "../../os/errors.ts";
import { StunServer } from "../../servers/stun/server.ts";
import { isIpv6, parseAddress } from "../../wire/address.ts";
import { ANY_HOST, type HostPort } from "../../wire/endpoint.ts";

export interface RelayStunOptions {
  /** As written, with the port that the agents' listener has got. */
  readonly listen: HostPort;
  /** Who holds which public port: a forward that has these goes before. */
  readonly ports: EntryPorts;
  /** With other processes of this relay. */
  readonly sharing: PortSharing;
  enabled(): boolean;
  /** This machine's addresses now. */
  addresses(): readonly string[];
  /** Monotonic. */
  nowMs(): number;
  readonly signal: AbortSignal;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

/** Addresses come and go: a new one is served, and a port that became free is taken, within this. */
const REFRESH_MS = 30_000;
const PURPOSE = "where the relay answers STUN";
const TURN_OFF = '"stun = false" in [relay] does without it';

/**
 * STUN at a relay: on UDP, where agents know the relay's address and port already, and nobody has to open another port.
 * Its second port is the next one. Relays serve without it as well: what stands in the way is told, and nothing more.
 */
export class RelayStun {
  readonly #options: RelayStunOptions;
  readonly #listenAt: readonly string[] | null;
  readonly #server: StunServer | null;
  readonly #told = new Set<string>();
  #isClosed = false;
  #refreshedMs = Number.NEGATIVE_INFINITY;

  private constructor(options: RelayStunOptions, listenAt: readonly string[] | null) {
    this.#options = options;
    this.#listenAt = listenAt;
    const { port } = options.listen;
    const isHeld = (one: number) => options.ports.at("udp", one).length > 0;
    const alternate = alternatePortOf(port);
    const alternatePort = alternate === null || isHeld(alternate) ? null : alternate;
    const { sharing, nowMs, signal } = options;
    this.#server = isHeld(port) ? null : new StunServer({ port, alternatePort, sharing, nowMs, signal });
    this.refresh();
  }

  /** After the forwards of before are open again: theirs are the ports that they hold. */
  static async start(options: RelayStunOptions): Promise<RelayStun> {
    return new RelayStun(options, await addressesOf(options.listen.host));
  }

  /** What agents cannot have meanwhile. */
  get reserved(): readonly ReservedPort[] {
    const open = new Set(this.#server?.endpoints.map(({ port }) => port));
    return [...open].map((port) => ({ protocol: "udp", port, purpose: PURPOSE }));
  }

  /** Lets another process answer at its ports too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    return this.#server?.setShared(shared) ?? true;
  }

  sweep(nowMs: number): void {
    if (nowMs - this.#refreshedMs >= REFRESH_MS) this.refresh();
  }

  /** Frees its ports for good: another process of this relay answers. */
  close(): void {
    this.#isClosed = true;
    this.#server?.apply([]);
  }

  /** Serves the addresses of now; after a reload at once. */
  refresh(): void {
    if (this.#isClosed) return;
    const { listen, enabled, addresses, nowMs } = this.#options;
    this.#refreshedMs = nowMs();
    if (!enabled()) {
      this.#server?.apply([]);
      this.#told.clear();
      return;
    }
    if (this.#server === null) {
      this.#tell(`A forward holds UDP port ${listen.port}, so the relay does not answer STUN; ${TURN_OFF}.`);
      return;
    }
    for (const { kind, port, message } of this.#server.apply(stunSites(this.#wanted(addresses())))) {
      // A second port is worth having and no more; an address may be too new, or have gone just now.
      if (port === listen.port && kind !== "noAddress") this.#tell(`STUN is not served: ${message} Or ${TURN_OFF}.`);
    }
  }

  #wanted(own: readonly string[]): readonly string[] {
    if (this.#listenAt === null) return own;
    if (this.#listenAt.includes("0.0.0.0")) return own.filter((address) => !isIpv6(address));
    return this.#listenAt.includes("::") ? own : this.#listenAt;
  }

  /** Each thing once. */
  #tell(message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#options.warn(message);
  }
}

/** Null = every address; a name is looked up once, as the listener's was. */
async function addressesOf(host: string): Promise<readonly string[] | null> {
  if (host === ANY_HOST) return null;
  const literal = parseAddress(host);
  if (literal.ok) return [literal.value];
  try {
    return [(await lookup(host)).address];
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return [];
  }
}
