import type { RemoteSpec } from "../../core/forward.ts";
import type { HeldForward, Owner } from "../../core/held.ts";
import type { SitePolicy } from "../../core/names/policy.ts";
import type { RelayPolicy } from "../../core/policy.ts";
import { same } from "../../core/same.ts";
import { type EntryPorts, ForwardTable, type PutOutcome } from "../../core/table.ts";
import type { Peer } from "../../dataplanes/tunnel/session.ts";
import { messageOf } from "../../os/errors.ts";
import type { HoldingChange } from "../../store/holdings.ts";
import type { LeaseConflict } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { ResultOutcome, TunnelEndpoint } from "../../wire/tunnel/control.ts";
import type { Counters } from "../control.ts";
import { Journal, type JournalFailure } from "../journal.ts";
import { Assignments } from "./assignments.ts";
import type { DeviceLink } from "./device-link.ts";
import type { RelayEntries, SharedEntry } from "./entries.ts";
import { Grants } from "./grants.ts";
import { siteEndpoints } from "./names.ts";
import { Placement } from "./placement.ts";
import { type Refused, refused } from "./refused.ts";

export interface RelayForwardsOptions {
  readonly store: Store;
  readonly entries: RelayEntries;
  /** Shared with the gateway's mappings when one process is both. */
  readonly ports: EntryPorts;
  /** Asked for each decision: a reload may have changed it. */
  readonly policy: () => RelayPolicy;
  /** Absent, or null = the relay hands out no names. */
  readonly names?: () => SitePolicy | null;
  /** What visitors type to reach the forwards of this link's device. */
  publicHost(link: Reached | undefined): string;
  /** Monotonic: leases are counted by it. */
  nowMs(): number;
  wallMs(): number;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

/** What tells by which address a device reaches the relay. */
type Reached = Pick<DeviceLink, "localAddress">;

/** A forward that a person at the relay wants a device to have. */
export interface Assignment {
  /** Of the device. */
  readonly name: string;
  readonly spec: RemoteSpec;
  /** The host that the device dials. */
  readonly to: string;
  /** Who wants it, for the audit log. */
  readonly actor: string;
}

const ASSIGNED_OTHERWISE = refused("policy", "This forward is set at the relay, and otherwise: change it there.");
/** Entries listen on every address of the relay. */
const BIND = "*";

/**
 * The remote forwards of a relay: what devices ask for and are given, kept in step with the store. Decisions are made, and listeners
 * opened, within the call, in the order of the calls; the disk follows by the journal, and who asked is answered then.
 */
export class RelayForwards {
  readonly #options: RelayForwardsOptions;
  /** Of every device that holds a forward, and of those connected. */
  readonly #names = new Map<string, string>();
  readonly #grants: Grants;
  readonly #table: ForwardTable;
  readonly #placement: Placement;
  readonly #journal: Journal<HoldingChange, LeaseConflict>;
  readonly assignments: Assignments;

  constructor(options: RelayForwardsOptions) {
    this.#options = options;
    this.#grants = new Grants(options.store);
    this.#table = new ForwardTable({
      holderName: (device) => (this.#names.has(device) ? `device "${this.deviceName(device)}"` : device),
      ports: options.ports,
    });
    this.#placement = new Placement({
      ...options,
      names: options.names ?? (() => null),
      table: this.#table,
      grants: this.#grants,
      deviceName: (device) => this.deviceName(device),
      bind: BIND,
    });
    this.assignments = new Assignments((device, id) => this.#table.get(device, id));
    this.#journal = new Journal({ apply: (changes) => options.store.holdings.apply(changes, options.wallMs()) });
  }

  /**
   * Holds again what was granted before the start; every lease runs anew, because the relay's absence is no device's fault.
   * `opensNow`: the entries of other devices are opened by `put`, or by `openRest`.
   */
  async restore(opensNow: (device: string) => boolean = () => true): Promise<void> {
    const { store, entries, warn } = this.#options;
    for (const account of await store.accounts.list()) entries.rates.set(account);
    const devices = new Map((await store.devices.list()).map((device) => [device.id, device]));
    const rows = (await store.forwards.list()).flatMap(({ deviceId, spec, target }) => {
      const device = devices.get(deviceId);
      if (device !== undefined && target !== null) this.assignments.set(deviceId, spec.id, target);
      return device === undefined ? [] : [{ owner: { account: device.accountId, device: deviceId }, spec, bind: BIND }];
    });
    for (const { owner } of rows) this.#names.set(owner.device, devices.get(owner.device)?.name ?? owner.device);
    for (const { row, error } of this.#table.restore(rows, this.#options.nowMs())) {
      warn(`forward "${row.spec.name}" was not restored: ${error.message}`);
    }
    for (const forward of this.#table.list()) {
      if (!forward.spec.enabled || !opensNow(forward.owner.device)) continue;
      const opened = entries.open(forward);
      if (!opened.ok) warn(`forward "${forward.spec.name}" is not open: ${opened.error.message}`);
    }
    for (const deviceId of new Set(rows.map(({ owner }) => owner.device))) this.#storeExpiry(deviceId);
  }

  /** Every entry that is to be open is open. */
  allOpen(): boolean {
    for (const forward of this.#table.list()) if (this.#isMissing(forward)) return false;
    return true;
  }

  #isMissing(forward: HeldForward): boolean {
    return forward.spec.enabled && this.entryOf(forward)?.members.has(forward.owner.device) !== true;
  }

  /** Opens those that are not; `device`: of this one alone. */
  openRest(device: string | null = null): void {
    const { entries, warn } = this.#options;
    for (const forward of device === null ? this.#table.list() : this.#table.ofDevice(device)) {
      if (!this.#isMissing(forward)) continue;
      const opened = entries.open(forward);
      if (!opened.ok) warn(`forward "${forward.spec.name}" is not open: ${opened.error.message}`);
    }
  }

  get size(): number {
    return this.#table.size;
  }

  list(): Iterable<HeldForward> {
    return this.#table.list();
  }

  ofDevice(device: string): readonly HeldForward[] {
    return this.#table.ofDevice(device);
  }

  get(device: string, id: string): HeldForward | null {
    return this.#table.get(device, id);
  }

  entryOf(forward: HeldForward): SharedEntry | undefined {
    return this.#options.entries.get(forward);
  }

  /** Of every entry since the start, also of those that are closed. */
  total(): Counters {
    return this.#options.entries.total();
  }

  /** Which names there are, and for whom; null = the relay hands out none. */
  siteNames(): SitePolicy | null {
    return this.#options.names?.() ?? null;
  }

  deviceName(device: string): string {
    return this.#names.get(device) ?? device;
  }

  /** Unix time, whole milliseconds; null while its device is connected, and for a permanent reservation. */
  leaseEndsMs(forward: HeldForward): number | null {
    const endMs = this.#table.leaseEndMs(forward);
    return endMs === null ? null : Math.ceil(this.#options.wallMs() + (endMs - this.#options.nowMs()));
  }

  endpointsOf({ spec }: HeldForward, link: Reached | undefined): TunnelEndpoint[] {
    if (spec.site !== undefined) return siteEndpoints(spec, spec.site);
    const host = this.#options.publicHost(link);
    return spec.ports.map(({ protocol, first, last, internalFirst }) => ({
      protocol,
      host,
      port: first,
      lastPort: last,
      internalPort: internalFirst,
    }));
  }

  /**
   * The device connected: it takes its forwards back by `put`, and until then their ports wait without a lease running.
   * What its session before called them is forgotten at once: the numbers may mean other services now. Resolves when
   * the device's grants are known; no `put` before that.
   */
  async sessionUp(peer: Peer): Promise<void> {
    const { deviceId, name } = peer;
    this.#names.set(deviceId, name);
    this.#table.deviceBack(deviceId);
    this.#forgetHandles(deviceId);
    this.#storeExpiry(deviceId);
    await this.#grants.load(peer);
    if (!this.#table.isConnected(deviceId)) this.#grants.forget(deviceId);
  }

  /** The device's last session ended. */
  sessionDown({ deviceId }: Peer): void {
    this.#table.deviceGone(deviceId, this.#options.nowMs());
    this.#grants.forget(deviceId);
    this.#forgetHandles(deviceId);
    this.#storeExpiry(deviceId);
    this.#forgetName(deviceId);
  }

  #forgetHandles(deviceId: string): void {
    for (const forward of this.#table.ofDevice(deviceId)) this.entryOf(forward)?.setHandle(deviceId, null);
  }

  #forgetName(deviceId: string): void {
    if (!this.#table.isConnected(deviceId) && this.#table.ofDevice(deviceId).length === 0) this.#names.delete(deviceId);
  }

  /** Only for who reads the database: what counts is the table's own clock. */
  #storeExpiry(deviceId: string): void {
    const ends = new Map(this.#table.ofDevice(deviceId).map((held) => [held.spec.id, this.leaseEndsMs(held)]));
    if (ends.size > 0) void this.#note({ kind: "expiry", deviceId, ends });
  }

  /** Opens or changes a forward. What it answers as open is on the disk; what it refuses is as it was before. */
  async put(
    link: Pick<DeviceLink, "peer" | "localAddress">,
    handle: number,
    asked: RemoteSpec,
  ): Promise<ResultOutcome> {
    const owner: Owner = { account: link.peer.account, device: link.peer.deviceId };
    const isAssigned = this.assignments.get(owner.device, asked.id) !== null;
    if (isAssigned && !same(this.#table.get(owner.device, asked.id)?.spec, asked)) return ASSIGNED_OTHERWISE;
    const outcome = this.#placement.place(owner, asked);
    if (!outcome.ok) return outcome.error;
    const { forward } = outcome.value;
    this.assignments.decline(owner.device, asked.id, null);
    const entry = this.entryOf(forward);
    // Of a group, the members that serve agree; one that was away may have come back first with what it had then.
    if (forward.spec.group !== null) entry?.change(forward.spec.options);
    entry?.setHandle(owner.device, handle);
    entry?.setHealthy(owner.device, true);
    const failure = await this.#stored(outcome.value, null);
    if (failure !== null) return this.#notStored(forward, failure);
    return { kind: "open", endpoints: this.endpointsOf(forward, link) };
  }

  /**
   * A person at the relay wants the device to have this forward, leading to `to`: its ports are the device's from now on, and
   * it takes the forward up when it hears of it. Resolves when that is on the disk.
   */
  async assign(owner: Owner, { name, spec: asked, to, actor }: Assignment): Promise<Result<HeldForward, Refused>> {
    const { device } = owner;
    this.#names.set(device, name);
    const outcome = await this.#withGrants(owner, () => this.#placement.place(owner, asked));
    if (!outcome.ok) {
      this.#forgetName(device);
      return outcome;
    }
    const { forward } = outcome.value;
    const before = this.assignments.get(device, asked.id);
    this.assignments.set(device, asked.id, to);
    if (forward.spec.group !== null) this.entryOf(forward)?.change(forward.spec.options);
    const failure = await this.#stored(outcome.value, { to, actor });
    if (failure !== null) {
      if (before === null) this.assignments.delete(device, asked.id);
      else this.assignments.set(device, asked.id, before.to);
      return err(this.#notStored(forward, failure));
    }
    this.assignments.tell(device);
    return ok(forward);
  }

  /** What `assign` would refuse, without doing it; null = nothing. */
  assignable(owner: Owner, asked: RemoteSpec): Promise<Refused | null> {
    return this.#withGrants(owner, () => this.#placement.refusal(owner, asked));
  }

  /** Of a device that is away nothing is known, and so nothing granted, until it is looked up. */
  async #withGrants<T>(owner: Owner, decide: () => T): Promise<T> {
    const { device, account } = owner;
    if (!this.#table.isConnected(device)) await this.#grants.load({ deviceId: device, account });
    const decided = decide();
    if (!this.#table.isConnected(device)) this.#grants.forget(device);
    return decided;
  }

  /** Gives an assigned forward's ports back at once, and tells its device. Null when there is none. */
  async unassign(device: string, id: string, actor: string): Promise<HeldForward | null> {
    if (this.assignments.get(device, id) === null) return null;
    this.assignments.delete(device, id);
    const removed = this.#table.remove(device, id);
    this.assignments.tell(device);
    if (removed !== null) await this.#forget([removed], actor);
    return removed;
  }

  /** The device does not run what was assigned to it. */
  decline(device: string, id: string, message: string): void {
    this.assignments.decline(device, id, message);
    if (this.assignments.get(device, id) !== null) this.#standAside(device, id);
  }

  /** Its ports stay the device's, and its visitors are told that it is away. */
  #standAside(device: string, id: string): void {
    const held = this.#table.get(device, id);
    if (held !== null) this.entryOf(held)?.setHandle(device, null);
  }

  /** `assigned`: who wanted it, and where it leads; null = its device asked for it. */
  #stored(
    outcome: PutOutcome,
    assigned: Pick<Assignment, "to" | "actor"> | null,
  ): Promise<JournalFailure<LeaseConflict> | null> {
    // Perhaps an earlier session's request for the same is still being stored.
    if (outcome.kind === "unchanged" && assigned === null) return this.#journal.settled();
    const { owner, spec, bind } = outcome.forward;
    const holder = { deviceId: owner.device, forwardId: spec.id, accountId: owner.account, group: spec.group };
    // The port of a site is nobody's own.
    const own = spec.site === undefined ? spec.ports : [];
    const ranges = own.map(({ protocol, first, last }) => ({ protocol, first, last }));
    const claim = { ...holder, bind, expiresMs: null, ranges };
    const change: HoldingChange =
      assigned === null
        ? { kind: "hold", spec, target: null, origin: "cli", claim }
        : { kind: "hold", spec, target: assigned.to, origin: "api", claim, actor: assigned.actor };
    return this.#journal.write(change, () => this.#placement.undo(outcome));
  }

  #notStored({ spec }: HeldForward, failure: JournalFailure<LeaseConflict>): Refused {
    if (failure.kind === "storage") {
      this.#options.warn(`forward "${spec.name}" could not be stored: ${failure.message}`);
      const message =
        "The relay cannot write to its disk, so the forward is not open; ask its operator to read its log.";
      return refused("failed", message);
    }
    const { first, protocol } = failure.conflict.held;
    return refused("conflict", `Port ${first}/${protocol} is leased to another device; choose another port.`);
  }

  /** Gives the ports back at once, and resolves when that is on the disk. Null when there is no such forward. */
  async remove(device: string, id: string): Promise<HeldForward | null> {
    if (this.assignments.get(device, id) !== null) {
      this.#standAside(device, id);
      return null;
    }
    const removed = this.#table.remove(device, id);
    if (removed === null) return null;
    await this.#forget([removed]);
    return removed;
  }

  /** Whoever served it by this handle does not any more: its ports stay the device's, and its visitors are told that it is away. */
  withdraw(device: string, id: string, handle: number): void {
    const held = this.#table.get(device, id);
    if (held !== null && this.entryOf(held)?.members.get(device)?.handle === handle) this.#standAside(device, id);
  }

  /** The forwards that hold this port of TCP: one, or a group's. */
  atTcpPort(port: number): readonly HeldForward[] {
    return this.#table.at("tcp", port);
  }

  /** A device that came back names what it still wants; the rest is given up. */
  async sync(device: string, ids: readonly string[]): Promise<void> {
    const wanted = new Set(ids);
    const isUnwanted = ({ spec: { id } }: HeldForward) => !wanted.has(id) && this.assignments.get(device, id) === null;
    const unwanted = this.#table.ofDevice(device).filter(isUnwanted);
    for (const { spec } of unwanted) this.#table.remove(device, spec.id);
    await this.#forget(unwanted);
  }

  /** What an account may have is another: its connected devices are judged by that from now on. */
  async accountChanged(accountId: string): Promise<void> {
    const account = await this.#options.store.accounts.find(accountId);
    if (account !== null) this.#options.entries.rates.set(account);
    const devices = await this.#options.store.devices.list({ accountId });
    for (const { id } of devices) {
      if (this.#table.isConnected(id)) await this.#grants.load({ deviceId: id, account: accountId });
    }
  }

  /** The device was revoked. The store has forgotten its forwards, but perhaps not one that was just being stored. */
  async removeDevice(device: string): Promise<void> {
    const removed = this.#table.removeDevice(device);
    this.assignments.forget(device);
    this.#grants.forget(device);
    await this.#forget(removed);
  }

  /** Ends the leases that ran out. */
  async expire(): Promise<void> {
    await this.#forget(this.#table.expire(this.#options.nowMs()));
  }

  /** Closes the entries of forwards that the table has dropped, all of them before anything is waited for. */
  async #forget(dropped: readonly HeldForward[], actor?: string): Promise<void> {
    for (const forward of dropped) {
      this.#options.entries.close(forward);
      this.#forgetName(forward.owner.device);
    }
    await Promise.all(
      dropped.map(({ owner, spec }) => {
        const change = { kind: "release", deviceId: owner.device, forwardId: spec.id } as const;
        return this.#note(actor === undefined ? change : { ...change, actor });
      }),
    );
  }

  /**
   * Stores what is true in any case. A disk that does not take it costs no device its service; at the next start the
   * forward is held again, until its device says that it does not want it or its lease ends.
   */
  async #note(change: HoldingChange): Promise<void> {
    try {
      const failure = await this.#journal.note(change);
      if (failure?.kind === "storage") this.#options.warn(`a change could not be stored: ${failure.message}`);
    } catch (error) {
      this.#options.warn(`a change could not be stored: ${messageOf(error)}`);
    }
  }

  setHealthy(device: string, id: string, healthy: boolean): void {
    const forward = this.#table.get(device, id);
    if (forward !== null) this.entryOf(forward)?.setHealthy(device, healthy);
  }

  nextDeadlineMs(): number | null {
    return this.#table.nextDeadlineMs();
  }

  /** Resolves when everything that was decided is stored, or could not be. */
  idle(): Promise<void> {
    return this.#journal.idle();
  }
}
