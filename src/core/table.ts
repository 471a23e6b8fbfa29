import type { Protocol } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { type Conflict, conflictWith } from "./conflict.ts";
import { Deadlines } from "./deadlines.ts";
import { externalPorts } from "./external-ports.ts";
import type { RemoteSpec } from "./forward.ts";
import { type HeldForward, mayShare, type Owner, type StoredForward } from "./held.ts";
import { leaseEndMs } from "./lease.ts";
import { PortIndex } from "./port-index.ts";
import { PROTOCOLS } from "./port-spans.ts";
import type { Refusal } from "./refusal.ts";
import { same } from "./same.ts";
import { UsageCounts } from "./usage.ts";

export type PutOutcome =
  | { readonly kind: "added"; readonly forward: HeldForward }
  | { readonly kind: "changed"; readonly forward: HeldForward; readonly before: HeldForward }
  | { readonly kind: "unchanged"; readonly forward: HeldForward };

export type TableError = Conflict | (Refusal & { readonly kind: "invalid" });

/**
 * The remote forwards of one relay: who holds which entry port, and for how long after its device went away.
 *
 * An entry port belongs to one forward, or to forwards of one account that share a group and hold exactly the same
 * external ports (load balancing). A disabled forward keeps its ports. Ports count relay-wide, whatever the bind
 * address. While its device is connected a forward has no deadline; when the device goes, its lease starts to run.
 * `expire` is the only thing that ends a lease: until it returned a forward, nobody else gets the port, so listeners
 * and the store always hear of the end first, and no jump of the clock grants a port twice. Time is a monotonic clock
 * in milliseconds; one that steps back is read as standing still.
 */
export class ForwardTable {
  readonly #devices = new Map<string, Map<string, HeldForward>>();
  readonly #connected = new Set<string>();
  readonly #index = new PortIndex<HeldForward>();
  readonly #leases = new Deadlines<HeldForward>();
  readonly #usage = new UsageCounts();
  readonly #deviceName: (device: string) => string;
  #nowMs = Number.NEGATIVE_INFINITY;
  #size = 0;

  /** `deviceName`: how a device is called in messages (its id when absent). */
  constructor(deviceName: (device: string) => string = (device) => device) {
    this.#deviceName = deviceName;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds the forward, or replaces the one with the same device and id; nothing is held twice in between. */
  put(owner: Owner, spec: RemoteSpec, bind: string, nowMs: number): Result<PutOutcome, TableError> {
    const now = this.#advance(nowMs);
    const before = this.get(owner.device, spec.id);
    if (before !== null && before.bind === bind && same(before.owner, owner) && same(before.spec, spec)) {
      return ok({ kind: "unchanged", forward: before });
    }
    const external = externalPorts(spec.ports);
    if (!external.ok) return err({ kind: "invalid", message: external.error.message });
    const forward: HeldForward = { owner, spec, bind, external: external.value };
    const conflict = this.#conflict(forward, before, now);
    if (conflict !== null) return err(conflict);
    if (before !== null) this.#drop(before);
    this.#hold(forward);
    if (!this.#connected.has(owner.device)) this.#startLease(forward, now);
    return ok(before === null ? { kind: "added", forward } : { kind: "changed", forward, before });
  }

  /** Gives the forward's ports back at once; null when there is no such forward. */
  remove(device: string, id: string): HeldForward | null {
    const forward = this.get(device, id);
    if (forward !== null) this.#drop(forward);
    return forward;
  }

  /** The device was revoked: everything it holds is given back. */
  removeDevice(device: string): HeldForward[] {
    const forwards = this.ofDevice(device);
    for (const forward of forwards) this.#drop(forward);
    this.#connected.delete(device);
    return forwards;
  }

  /** The device has a session: its leases stop running. Returns what it holds. */
  deviceBack(device: string): HeldForward[] {
    this.#connected.add(device);
    const forwards = this.ofDevice(device);
    for (const forward of forwards) this.#leases.clear(forward);
    return forwards;
  }

  /** The device's last session ended: its ports stay reserved, each for its lifetime from now. Returns what it holds. */
  deviceGone(device: string, nowMs: number): HeldForward[] {
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
  expire(nowMs: number): HeldForward[] {
    const ended = this.#leases.takeDue(this.#advance(nowMs));
    for (const forward of ended) this.#drop(forward);
    return ended;
  }

  /** When to call `expire` next; null while no lease runs. */
  nextDeadlineMs(): number | null {
    return this.#leases.nextMs();
  }

  /** When the forward's lease ends; null while its device is connected, and for a permanent one. */
  leaseEndMs(forward: HeldForward): number | null {
    return this.#leases.get(forward);
  }

  /**
   * After a start: every row is held again for its whole lifetime from now, because the relay's own absence (or a
   * clock that was set meanwhile) is no fault of the device. Returns the rows that contradict earlier ones.
   */
  restore(rows: Iterable<StoredForward>, nowMs: number): { row: StoredForward; error: TableError }[] {
    const rejected: { row: StoredForward; error: TableError }[] = [];
    for (const row of rows) {
      const outcome = this.put(row.owner, row.spec, row.bind, nowMs);
      if (!outcome.ok) rejected.push({ row, error: outcome.error });
    }
    return rejected;
  }

  get(device: string, id: string): HeldForward | null {
    return this.#devices.get(device)?.get(id) ?? null;
  }

  /** The forwards that hold an entry port: none, one, or the members of a group. O(log n). */
  at(protocol: Protocol, port: number): readonly HeldForward[] {
    return this.#index.at(protocol, port);
  }

  ofDevice(device: string): HeldForward[] {
    return [...(this.#devices.get(device)?.values() ?? [])];
  }

  /** Every forward, by device in order of arrival. */
  *list(): Generator<HeldForward> {
    for (const forwards of this.#devices.values()) yield* forwards.values();
  }

  /** Forwards and ports held by the account and by the device, for quotas; `except`: the forward about to be replaced. */
  usage(owner: Owner, except: HeldForward | null = null): ReturnType<UsageCounts["of"]> {
    return this.#usage.of(owner, except);
  }

  #advance(nowMs: number): number {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    return this.#nowMs;
  }

  #conflict(forward: HeldForward, before: HeldForward | null, nowMs: number): Conflict | null {
    for (const protocol of PROTOCOLS) {
      for (const span of forward.external[protocol]) {
        for (const slot of this.#index.overlapping(protocol, span)) {
          // Members of a slot all agree, so the first other one speaks for them.
          const holder = slot.holders.find((other) => other !== before);
          if (holder === undefined || mayShare(forward, holder)) continue;
          return conflictWith({
            protocol,
            port: Math.max(slot.first, span.first),
            asked: forward,
            holder,
            holderName: this.#deviceName(holder.owner.device),
            holderConnected: this.#connected.has(holder.owner.device),
            leaseEndMs: this.#leases.get(holder),
            nowMs,
          });
        }
      }
    }
    return null;
  }

  #hold(forward: HeldForward): void {
    const { device } = forward.owner;
    let forwards = this.#devices.get(device);
    if (forwards === undefined) {
      forwards = new Map();
      this.#devices.set(device, forwards);
    }
    forwards.set(forward.spec.id, forward);
    for (const protocol of PROTOCOLS) this.#index.add(protocol, forward.external[protocol], forward);
    this.#usage.add(forward);
    this.#size++;
  }

  #drop(forward: HeldForward): void {
    const { device } = forward.owner;
    const forwards = this.#devices.get(device);
    forwards?.delete(forward.spec.id);
    if (forwards?.size === 0) this.#devices.delete(device);
    for (const protocol of PROTOCOLS) this.#index.delete(protocol, forward.external[protocol], forward);
    this.#leases.clear(forward);
    this.#usage.subtract(forward);
    this.#size--;
  }

  #startLease(forward: HeldForward, nowMs: number): void {
    const endMs = leaseEndMs(forward.spec.lifetimeSec, nowMs);
    if (endMs !== null) this.#leases.set(forward, endMs);
  }
}
