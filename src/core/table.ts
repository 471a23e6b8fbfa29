import type { Protocol } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { type Conflict, conflictWith, type TakenPort } from "./conflict.ts";
import { Deadlines } from "./deadlines.ts";
import { externalOf } from "./external-ports.ts";
import type { EntrySpec, RemoteSpec } from "./forward.ts";
import { type HeldForward, mayShare, type Owner, type StoredForward } from "./held.ts";
import { leaseEndMs } from "./lease.ts";
import { NameIndex } from "./name-index.ts";
import { PortIndex } from "./port-index.ts";
import { PROTOCOLS } from "./port-spans.ts";
import type { Refusal } from "./refusal.ts";
import { same } from "./same.ts";
import { UsageCounts } from "./usage.ts";

export type PutOutcome<S extends EntrySpec = RemoteSpec> =
  | { readonly kind: "added"; readonly forward: HeldForward<S> }
  | { readonly kind: "changed"; readonly forward: HeldForward<S>; readonly before: HeldForward<S> }
  | { readonly kind: "unchanged"; readonly forward: HeldForward<S> };

export type TableError = Conflict | (Refusal & { readonly kind: "invalid" });

/** Who holds which public port, whatever kind of forward it is: tables that share one never give a port twice. */
export type EntryPorts = PortIndex<HeldForward<EntrySpec>>;

export function newEntryPorts(): EntryPorts {
  return new PortIndex();
}

export interface ForwardTableOptions {
  /** How sentences call a device: `device "attic"`. Default: by its id. */
  readonly holderName?: (device: string) => string;
  /** Default: an index of the table's own. Null = its forwards' ports exclude nobody (pinholes: each host has its own). */
  readonly ports?: EntryPorts | null;
}

/**
 * The forwards of one kind: who holds which entry port, and for how long after its device went away.
 *
 * An entry port belongs to one forward, or to forwards of one account that share a group and hold exactly the same
 * external ports (load balancing). So it is with the name of a site. A disabled forward keeps its ports. Ports count for the whole machine, whatever the
 * bind address. While its device is connected a forward has no deadline; when the device goes, its lease starts to run.
 * `expire` is the only thing that ends a lease: until it returned a forward, nobody else gets the port, so listeners
 * and the store always hear of the end first, and no jump of the clock grants a port twice. Time is a monotonic clock
 * in milliseconds; one that steps back is read as standing still.
 */
export class ForwardTable<S extends EntrySpec = RemoteSpec> {
  readonly #devices = new Map<string, Map<string, HeldForward<S>>>();
  readonly #connected = new Set<string>();
  readonly #index: EntryPorts | null;
  readonly #names = new NameIndex<HeldForward<S>>();
  readonly #leases = new Deadlines<HeldForward<S>>();
  readonly #usage = new UsageCounts();
  readonly #holderName: (device: string) => string;
  #nowMs = Number.NEGATIVE_INFINITY;
  #size = 0;

  constructor({ holderName = (device) => `device "${device}"`, ports = new PortIndex() }: ForwardTableOptions = {}) {
    this.#holderName = holderName;
    this.#index = ports;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds the forward, or replaces the one with the same device and id; nothing is held twice in between. */
  put(owner: Owner, spec: S, bind: string, nowMs: number): Result<PutOutcome<S>, TableError> {
    const now = this.#advance(nowMs);
    const before = this.get(owner.device, spec.id);
    if (before !== null && before.bind === bind && same(before.owner, owner) && same(before.spec, spec)) {
      return ok({ kind: "unchanged", forward: before });
    }
    const fitting = this.#fit(owner, spec, bind, now);
    if (!fitting.ok) return fitting;
    const forward = fitting.value;
    if (before !== null) this.#drop(before);
    this.#hold(forward);
    if (!this.#connected.has(owner.device)) this.#startLease(forward, now);
    return ok(before === null ? { kind: "added", forward } : { kind: "changed", forward, before });
  }

  /** What `put` would refuse, without doing it; null = nothing. */
  refusal(owner: Owner, spec: S, bind: string, nowMs: number): TableError | null {
    const fitting = this.#fit(owner, spec, bind, this.#advance(nowMs));
    return fitting.ok ? null : fitting.error;
  }

  #fit(owner: Owner, spec: S, bind: string, nowMs: number): Result<HeldForward<S>, TableError> {
    const external = externalOf(spec);
    if (!external.ok) return err({ kind: "invalid", message: external.error.message });
    const forward: HeldForward<S> = { owner, spec, bind, external: external.value };
    const conflict = this.#conflict(forward, this.get(owner.device, spec.id), nowMs);
    return conflict === null ? ok(forward) : err(conflict);
  }

  /** Gives the forward's ports back at once; null when there is no such forward. */
  remove(device: string, id: string): HeldForward<S> | null {
    const forward = this.get(device, id);
    if (forward !== null) this.#drop(forward);
    return forward;
  }

  /** The device was revoked: everything it holds is given back. */
  removeDevice(device: string): HeldForward<S>[] {
    const forwards = this.ofDevice(device);
    for (const forward of forwards) this.#drop(forward);
    this.#connected.delete(device);
    return forwards;
  }

  /** The device has a session: its leases stop running. Returns what it holds. */
  deviceBack(device: string): HeldForward<S>[] {
    this.#connected.add(device);
    const forwards = this.ofDevice(device);
    for (const forward of forwards) this.#leases.clear(forward);
    return forwards;
  }

  /** The device's last session ended: its ports stay reserved, each for its lifetime from now. Returns what it holds. */
  deviceGone(device: string, nowMs: number): HeldForward<S>[] {
    const now = this.#advance(nowMs);
    const forwards = this.ofDevice(device);
    if (!this.#connected.delete(device)) return forwards;
    for (const forward of forwards) this.#startLease(forward, now);
    return forwards;
  }

  isConnected(device: string): boolean {
    return this.#connected.has(device);
  }

  /** Ends the leases that ran out and returns their forwards: close their entries, tell the store. */
  expire(nowMs: number): HeldForward<S>[] {
    const ended = this.#leases.takeDue(this.#advance(nowMs));
    for (const forward of ended) this.#drop(forward);
    return ended;
  }

  /** When to call `expire` next; null while no lease runs. */
  nextDeadlineMs(): number | null {
    return this.#leases.nextMs();
  }

  /** It was asked for again: its lease runs from now. Nothing while its device is connected. */
  renew(forward: HeldForward<S>, nowMs: number): void {
    if (!this.#connected.has(forward.owner.device)) this.#startLease(forward, this.#advance(nowMs));
  }

  /** Its lease, which runs, ends at another time: what was left of it before a restart. */
  endAt(forward: HeldForward<S>, endMs: number): void {
    if (this.#leases.get(forward) !== null) this.#leases.set(forward, endMs);
  }

  /** When the forward's lease ends; null while its device is connected, and for a permanent one. */
  leaseEndMs(forward: HeldForward<S>): number | null {
    return this.#leases.get(forward);
  }

  /**
   * After a start: every row is held again for its whole lifetime from now, because the relay's own absence (or a
   * clock that was set meanwhile) is no fault of the device. Returns the rows that contradict earlier ones.
   */
  restore(rows: Iterable<StoredForward<S>>, nowMs: number): { row: StoredForward<S>; error: TableError }[] {
    const rejected: { row: StoredForward<S>; error: TableError }[] = [];
    for (const row of rows) {
      const outcome = this.put(row.owner, row.spec, row.bind, nowMs);
      if (!outcome.ok) rejected.push({ row, error: outcome.error });
    }
    return rejected;
  }

  get(device: string, id: string): HeldForward<S> | null {
    return this.#devices.get(device)?.get(id) ?? null;
  }

  /** Whether somebody holds an entry port, of this table or of one that shares its ports. O(log n). */
  isTaken(protocol: Protocol, port: number): boolean {
    return (this.#index?.at(protocol, port).length ?? 0) > 0;
  }

  /** The forwards of this table that hold an entry port: none, one, or the members of a group. O(log n). */
  at(protocol: Protocol, port: number): readonly HeldForward<S>[] {
    const holders = this.#index?.at(protocol, port) ?? [];
    const [first] = holders;
    // Those who share a port are forwards of one kind.
    if (first === undefined) return holders as readonly HeldForward<S>[];
    const own: HeldForward<EntrySpec> | null = this.get(first.owner.device, first.spec.id);
    return own === first ? (holders as readonly HeldForward<S>[]) : [];
  }

  /** The forwards that hold the name of a site: none, one, or the members of a group. */
  named(host: string): readonly HeldForward<S>[] {
    return this.#names.at(host);
  }

  ofDevice(device: string): HeldForward<S>[] {
    return [...(this.#devices.get(device)?.values() ?? [])];
  }

  /** Every forward, by device in order of arrival. */
  *list(): Generator<HeldForward<S>> {
    for (const forwards of this.#devices.values()) yield* forwards.values();
  }

  /** Forwards and ports held by the account and by the device, for quotas; `except`: the forward about to be replaced. */
  usage(owner: Owner, except: HeldForward<S> | null = null): ReturnType<UsageCounts["of"]> {
    return this.#usage.of(owner, except);
  }

  #advance(nowMs: number): number {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    return this.#nowMs;
  }

  #conflict(forward: HeldForward<S>, before: HeldForward<S> | null, nowMs: number): Conflict | null {
    const own: HeldForward<EntrySpec> | null = before;
    for (const host of forward.external.hosts) {
      const holder = this.#names.at(host).find((other) => other !== own);
      if (holder === undefined || mayShare(forward, holder)) continue;
      return this.#conflictOn(host, forward, holder, nowMs);
    }
    if (this.#index === null) return null;
    for (const protocol of PROTOCOLS) {
      for (const span of forward.external[protocol]) {
        for (const slot of this.#index.overlapping(protocol, span)) {
          // Members of a slot all agree, so the first other one speaks for them.
          const holder = slot.holders.find((other) => other !== own);
          if (holder === undefined || mayShare(forward, holder)) continue;
          return this.#conflictOn({ protocol, port: Math.max(slot.first, span.first) }, forward, holder, nowMs);
        }
      }
    }
    return null;
  }

  #conflictOn(
    taken: TakenPort | string,
    asked: HeldForward<S>,
    holder: HeldForward<EntrySpec>,
    nowMs: number,
  ): Conflict {
    const held = this.get(holder.owner.device, holder.spec.id);
    return conflictWith({
      taken,
      asked,
      holder,
      holderName: this.#holderName(holder.owner.device),
      holderConnected: this.#connected.has(holder.owner.device),
      leaseEndMs: held === null ? null : this.#leases.get(held),
      nowMs,
    });
  }

  #hold(forward: HeldForward<S>): void {
    const { device } = forward.owner;
    let forwards = this.#devices.get(device);
    if (forwards === undefined) {
      forwards = new Map();
      this.#devices.set(device, forwards);
    }
    forwards.set(forward.spec.id, forward);
    for (const protocol of PROTOCOLS) this.#index?.add(protocol, forward.external[protocol], forward);
    this.#names.add(forward.external.hosts, forward);
    this.#usage.add(forward);
    this.#size++;
  }

  #drop(forward: HeldForward<S>): void {
    const { device } = forward.owner;
    const forwards = this.#devices.get(device);
    forwards?.delete(forward.spec.id);
    if (forwards?.size === 0) this.#devices.delete(device);
    for (const protocol of PROTOCOLS) this.#index?.delete(protocol, forward.external[protocol], forward);
    this.#names.delete(forward.external.hosts, forward);
    this.#leases.clear(forward);
    this.#usage.subtract(forward);
    this.#size--;
  }

  #startLease(forward: HeldForward<S>, nowMs: number): void {
    const endMs = leaseEndMs(forward.spec.lifetimeSec, nowMs);
    if (endMs !== null) this.#leases.set(forward, endMs);
  }
}
