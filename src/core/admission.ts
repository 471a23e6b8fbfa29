import { type CidrSet, compileCidrs, sourceKey } from "../wire/address.ts";
import type { ReasonName } from "../wire/reason.ts";
import type { ForwardOptions, Limits } from "./forward.ts";
import { SourceRate } from "./source-rate.ts";

/** The part of a forward's options that decides who comes in. */
export type AdmissionOptions = Pick<ForwardOptions, "source" | "limits">;

/**
 * Who may come in through one forward: source lists, connection limits, rate of new connections. Sources are counted
 * always, by address; from the first per-source limit on by `sourceKey` (IPv6: the /64), so that a live change of the
 * options finds the counts of what is open already. The table of open sources is as large as the visits that are open.
 */
export class Admission {
  readonly #openBySource = new Map<string, number>();
  #open = 0;
  #keyed = false;
  #allow: CidrSet | null = null;
  #deny: CidrSet | null = null;
  #limits: Limits = {};
  #rate: SourceRate | null = null;

  constructor(options: AdmissionOptions) {
    this.replace(options);
  }

  /** Visits that are open. */
  get open(): number {
    return this.#open;
  }

  /** Sources (as counted) that have a visit open. */
  get sources(): number {
    return this.#openBySource.size;
  }

  /** Null = the visit is counted as open until `leave`; else why it may not come in, and nothing is counted. */
  admit(address: string, nowMs: number): ReasonName | null {
    // Deny wins over allow.
    if (this.#deny?.contains(address) === true) return "sourceNotAllowed";
    if (this.#allow?.contains(address) === false) return "sourceNotAllowed";
    const source = this.#key(address);
    if (!this.#hasRoom(source)) return "connectionLimit";
    if (this.#rate?.take(source, nowMs) === false) return "rateLimit";
    this.#enter(source);
    return null;
  }

  /**
   * A visitor who is in wants one more connection to the service: a request of HTTP/2. Neither the lists nor the rate are
   * asked, which are about who comes. False = it may not, and nothing is counted.
   */
  admitMore(address: string): boolean {
    const source = this.#key(address);
    if (!this.#hasRoom(source)) return false;
    this.#enter(source);
    return true;
  }

  #hasRoom(source: string): boolean {
    const { connections, connectionsPerSource } = this.#limits;
    if (connections !== undefined && this.#open >= connections) return false;
    return connectionsPerSource === undefined || (this.#openBySource.get(source) ?? 0) < connectionsPerSource;
  }

  #enter(source: string): void {
    this.#openBySource.set(source, (this.#openBySource.get(source) ?? 0) + 1);
    this.#open++;
  }

  /** An admitted visit ended. Once per `admit` that returned null. */
  leave(address: string): void {
    const source = this.#key(address);
    const open = this.#openBySource.get(source);
    if (open === undefined) return;
    this.#open--;
    if (open === 1) this.#openBySource.delete(source);
    else this.#openBySource.set(source, open - 1);
  }

  /** A live change: what is open stays counted, also above a new limit; it only decides who comes in from now on. */
  replace({ source, limits }: AdmissionOptions): void {
    this.#allow = source.allow.length === 0 ? null : compileCidrs(source.allow);
    this.#deny = source.deny.length === 0 ? null : compileCidrs(source.deny);
    this.#limits = limits;
    const { newPerSourcePerSec } = limits;
    if (newPerSourcePerSec === undefined) this.#rate = null;
    else if (this.#rate === null) this.#rate = new SourceRate(newPerSourcePerSec);
    else this.#rate.setRate(newPerSourcePerSec);
    if (!this.#keyed && (limits.connectionsPerSource !== undefined || this.#rate !== null)) this.#startKeys();
  }

  #key(address: string): string {
    return this.#keyed ? sourceKey(address) : address;
  }

  #startKeys(): void {
    this.#keyed = true;
    const counted = [...this.#openBySource];
    this.#openBySource.clear();
    for (const [address, open] of counted) {
      const source = sourceKey(address);
      this.#openBySource.set(source, (this.#openBySource.get(source) ?? 0) + open);
    }
  }
}
