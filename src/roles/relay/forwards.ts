import { allocateExternal, asksForAny, settlesAs } from "../../core/allocate.ts";
import { type ExternalPorts, externalPorts } from "../../core/external-ports.ts";
import type { RemoteSpec } from "../../core/forward.ts";
import type { HeldForward, Owner } from "../../core/held.ts";
import { checkPolicy, type Grant, type RelayPolicy, UNLIMITED_GRANT } from "../../core/policy.ts";
import { spansOf } from "../../core/port-spans.ts";
import type { Refusal } from "../../core/refusal.ts";
import { same } from "../../core/same.ts";
import { ForwardTable, type PutOutcome } from "../../core/table.ts";
import type { Peer, Session } from "../../dataplanes/tunnel/session.ts";
import { StoreFailure } from "../../store/failure.ts";
import type { LeaseClaim } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import { type PortMapping, type PortSet, parsePortSet } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { ResultOutcome, TunnelEndpoint } from "../../wire/tunnel/control.ts";
import type { RelayEntries, SharedEntry } from "./entries.ts";

export interface RelayForwardsOptions {
  readonly store: Store;
  readonly entries: RelayEntries;
  /** Asked for each decision: a reload may have changed it. */
  readonly policy: () => RelayPolicy;
  /** What visitors type to reach the forwards of this session's device. */
  publicHost(session: Session | undefined): string;
  /** Monotonic: leases are counted by it. */
  nowMs(): number;
  wallMs(): number;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

/** Entries listen on every address of the relay. */
const BIND = "*";
/** How many bases of an "any port" request are tried when other programs hold ports of the pool. */
const ANY_TRIES = 50;

interface Grants {
  readonly account: Grant;
  readonly device: Grant;
}

type Refused = Extract<ResultOutcome, { kind: "refused" }>;

/** The remote forwards of a relay: table, policy, listeners and store kept in step. */
export class RelayForwards {
  readonly #options: RelayForwardsOptions;
  readonly #names = new Map<string, string>();
  readonly #grants = new Map<string, Grants>();
  readonly #table = new ForwardTable((device) => this.#names.get(device) ?? device);

  constructor(options: RelayForwardsOptions) {
    this.#options = options;
  }

  /** Holds again what was granted before the start; every lease runs anew, because the relay's absence is no device's fault. */
  async restore(): Promise<void> {
    const { store, entries, warn } = this.#options;
    const devices = new Map((await store.devices.list()).map((device) => [device.id, device]));
    const rows = (await store.forwards.list()).flatMap(({ deviceId, spec }) => {
      const device = devices.get(deviceId);
      return device === undefined ? [] : [{ owner: { account: device.accountId, device: deviceId }, spec, bind: BIND }];
    });
    for (const device of devices.values()) this.#names.set(device.id, device.name);
    for (const { row, error } of this.#table.restore(rows, this.#options.nowMs())) {
      warn(`forward "${row.spec.name}" was not restored: ${error.message}`);
    }
    for (const forward of this.#table.list()) {
      if (!forward.spec.enabled) continue;
      const opened = entries.open(forward);
      if (!opened.ok) warn(`forward "${forward.spec.name}" is not open: ${opened.error.message}`);
    }
    for (const deviceId of new Set(rows.map(({ owner }) => owner.device))) await this.#storeExpiry(deviceId);
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

  entryOf(forward: HeldForward): SharedEntry | undefined {
    return this.#options.entries.get(forward);
  }

  deviceName(device: string): string {
    return this.#names.get(device) ?? device;
  }

  /** Unix time; null while its device is connected, and for a permanent reservation. */
  leaseEndsMs(forward: HeldForward): number | null {
    const endMs = this.#table.leaseEndMs(forward);
    return endMs === null ? null : this.#options.wallMs() + (endMs - this.#options.nowMs());
  }

  /** The device connected: it takes its forwards back by `put`; until then their ports wait without a lease running. */
  async sessionUp({ deviceId, name, account }: Peer): Promise<void> {
    this.#names.set(deviceId, name);
    this.#table.deviceBack(deviceId);
    const { store } = this.#options;
    const device = await store.devices.find(deviceId);
    const owner = await store.accounts.find(account);
    this.#grants.set(deviceId, {
      account: {
        ports: portsOf(owner?.ports ?? null),
        ...(owner?.quotaForwards == null ? {} : { maxForwards: owner.quotaForwards }),
        ...(owner?.quotaPorts == null ? {} : { maxPorts: owner.quotaPorts }),
      },
      device: { ports: portsOf(device.ok ? device.value.ports : null) },
    });
    await this.#storeExpiry(deviceId);
  }

  async sessionDown({ deviceId }: Peer): Promise<void> {
    this.#grants.delete(deviceId);
    for (const forward of this.#table.deviceGone(deviceId, this.#options.nowMs())) {
      this.entryOf(forward)?.setHandle(deviceId, null);
    }
    await this.#storeExpiry(deviceId);
  }

  async #storeExpiry(deviceId: string): Promise<void> {
    const ends = new Map(this.#table.ofDevice(deviceId).map((held) => [held.spec.id, this.leaseEndsMs(held)]));
    if (ends.size > 0) await this.#options.store.leases.setExpiry(deviceId, ends);
  }

  /** Opens or changes a forward. What it answers as open is on the disk. */
  async put(session: Session, handle: number, asked: RemoteSpec): Promise<ResultOutcome> {
    const owner: Owner = { account: session.peer.account, device: session.peer.deviceId };
    const before = this.#table.get(owner.device, asked.id);
    const outcome = asksForAny(asked.ports) ? this.#putAny(owner, asked, before) : this.#putExact(owner, asked);
    if (!outcome.ok) return outcome.error;
    const { forward } = outcome.value;
    this.entryOf(forward)?.setHandle(owner.device, handle);
    this.entryOf(forward)?.setHealthy(owner.device, true);
    if (outcome.value.kind !== "unchanged") {
      const failure = await this.#save(forward);
      if (failure !== null) {
        this.#undo(outcome.value);
        return refused("failed", failure);
      }
    }
    return { kind: "open", endpoints: this.endpointsOf(forward, session) };
  }

  endpointsOf({ spec }: HeldForward, session: Session | undefined): TunnelEndpoint[] {
    const host = this.#options.publicHost(session);
    return spec.ports.map(({ protocol, first, last, internalFirst }) => ({
      protocol,
      host,
      port: first,
      lastPort: last,
      internalPort: internalFirst,
    }));
  }

  #putExact(owner: Owner, spec: RemoteSpec): Result<PutOutcome, Refused> {
    const before = this.#table.get(owner.device, spec.id);
    const external = externalPorts(spec.ports);
    if (!external.ok) return err(refused("failed", external.error.message));
    const allowed = this.#allows(owner, external.value, before);
    if (!allowed.ok) return err(refused("policy", allowed.error.message));
    const put = this.#table.put(owner, spec, BIND, this.#options.nowMs());
    if (!put.ok) return err(refused(put.error.kind === "conflict" ? "conflict" : "failed", put.error.message));
    return this.#openEntry(put.value);
  }

  #allows(owner: Owner, external: ExternalPorts, except: HeldForward | null): Result<null, Refusal> {
    const { account, device } = this.#grantsOf(owner.device);
    return checkPolicy(external, { relay: this.#options.policy(), account, device }, this.#table.usage(owner, except));
  }

  #grantsOf(device: string): Grants {
    return this.#grants.get(device) ?? { account: UNLIMITED_GRANT, device: UNLIMITED_GRANT };
  }

  /** A device that comes back gets the ports it had; a new request the lowest free ones it may have. */
  #putAny(owner: Owner, asked: RemoteSpec, before: HeldForward | null): Result<PutOutcome, Refused> {
    if (before !== null && settlesAs(asked.ports, before.spec.ports)) {
      return this.#putExact(owner, { ...asked, ports: before.spec.ports });
    }
    const { account, device } = this.#grantsOf(owner.device);
    const pool = device.ports ?? account.ports ?? this.#options.policy().pool;
    const protocol = asked.ports[0]?.protocol ?? "tcp";
    let tries = 0;
    let last: Refused = refused(
      "policy",
      "No run of free ports is left in what this relay hands out to this device; ask for fewer.",
    );
    const tried = new Set<number>();
    while (tries++ < ANY_TRIES) {
      const settled = allocateExternal(asked.ports, spansOf(pool.ranges, protocol), (ports) => {
        const external = externalPorts(ports);
        return (
          external.ok &&
          !tried.has(ports[0]?.first ?? 0) &&
          this.#isFree(ports) &&
          this.#allows(owner, external.value, before).ok
        );
      });
      if (settled === null) return err(last);
      tried.add(settled[0]?.first ?? 0);
      const put = this.#putExact(owner, { ...asked, ports: settled });
      if (put.ok) return put;
      last = put.error;
    }
    return err(last);
  }

  #isFree(ports: readonly PortMapping[]): boolean {
    return ports.every(({ protocol, first, last }) => {
      for (let port = first; port <= last; port++) if (this.#table.at(protocol, port).length > 0) return false;
      return true;
    });
  }

  /** Brings the listeners in line with the table; on failure the table goes back to what it was. */
  #openEntry(outcome: PutOutcome): Result<PutOutcome, Refused> {
    const { entries } = this.#options;
    const { forward } = outcome;
    if (outcome.kind === "changed") {
      const { before } = outcome;
      const present = before.spec.enabled ? entries.get(before) : undefined;
      if (present !== undefined && forward.spec.enabled && sameEntry(before, forward)) {
        present.add(forward);
        present.change(forward.spec.options);
        return ok(outcome);
      }
      if (present !== undefined) entries.close(before);
    }
    if (!forward.spec.enabled || (outcome.kind === "unchanged" && entries.get(forward) !== undefined))
      return ok(outcome);
    const opened = entries.open(forward);
    if (opened.ok) return ok(outcome);
    this.#undo(outcome);
    return err(refused(opened.error.kind === "inUse" ? "conflict" : "failed", opened.error.message));
  }

  /** Takes back a put whose listeners or row could not be had. */
  #undo(outcome: PutOutcome): void {
    if (outcome.kind === "unchanged") return;
    const { forward } = outcome;
    this.#options.entries.close(forward);
    this.#table.remove(forward.owner.device, forward.spec.id);
    if (outcome.kind !== "changed") return;
    const { before } = outcome;
    this.#table.put(before.owner, before.spec, before.bind, this.#options.nowMs());
    const reopened = before.spec.enabled ? this.#options.entries.open(before) : ok(null);
    if (!reopened.ok)
      this.#options.warn(`forward "${before.spec.name}" could not be opened again: ${reopened.error.message}`);
  }

  /** Null when the forward is on the disk, else one sentence. */
  async #save({ owner, spec, bind }: HeldForward): Promise<string | null> {
    const { store } = this.#options;
    const nowMs = this.#options.wallMs();
    const claim: LeaseClaim = {
      deviceId: owner.device,
      forwardId: spec.id,
      accountId: owner.account,
      group: spec.group,
      bind,
      expiresMs: null,
      ranges: spec.ports.map(({ protocol, first, last }) => ({ protocol, first, last })),
    };
    try {
      await store.forwards.put(owner.device, spec, "cli", nowMs);
      const granted = await store.leases.grant(claim, nowMs);
      return granted.ok
        ? null
        : `Port ${granted.error.held.first}/${granted.error.held.protocol} is leased to another device; choose another port.`;
    } catch (error) {
      if (error instanceof StoreFailure) return error.message;
      throw error;
    }
  }

  async remove(device: string, id: string): Promise<HeldForward | null> {
    const removed = this.#table.remove(device, id);
    if (removed === null) return null;
    this.#options.entries.close(removed);
    await this.#forget(removed);
    return removed;
  }

  async #forget({ owner, spec }: HeldForward): Promise<void> {
    await this.#options.store.forwards.remove(owner.device, spec.id);
    await this.#options.store.leases.release(owner.device, spec.id, this.#options.wallMs());
  }

  /** A device that came back names what it still wants; the rest is given up. */
  async sync(device: string, ids: readonly string[]): Promise<void> {
    const wanted = new Set(ids);
    for (const { spec } of this.#table.ofDevice(device)) if (!wanted.has(spec.id)) await this.remove(device, spec.id);
  }

  setHealthy(device: string, id: string, healthy: boolean): void {
    const forward = this.#table.get(device, id);
    if (forward !== null) this.entryOf(forward)?.setHealthy(device, healthy);
  }

  get(device: string, id: string): HeldForward | null {
    return this.#table.get(device, id);
  }

  /** The device was revoked: the store has forgotten its forwards already. */
  removeDevice(device: string): void {
    for (const forward of this.#table.removeDevice(device)) this.#options.entries.close(forward);
    this.#grants.delete(device);
  }

  /** Ends the leases that ran out. */
  async expire(): Promise<void> {
    for (const forward of this.#table.expire(this.#options.nowMs())) {
      this.#options.entries.close(forward);
      await this.#forget(forward);
    }
  }

  nextDeadlineMs(): number | null {
    return this.#table.nextDeadlineMs();
  }
}

function sameEntry(a: HeldForward, b: HeldForward): boolean {
  return a.bind === b.bind && a.spec.group === b.spec.group && same(a.spec.ports, b.spec.ports);
}

function refused(why: Refused["why"], message: string): Refused {
  return { kind: "refused", why, message };
}

/** The store holds what `join-code create` checked; a row that no longer parses grants nothing. */
function portsOf(text: string | null): PortSet | null {
  if (text === null) return null;
  const parsed = parsePortSet(text);
  return parsed.ok ? parsed.value : { ranges: [] };
}
