import { Admission } from "../../core/admission.ts";
import { Balancer } from "../../core/balance.ts";
import type { ForwardOptions } from "../../core/forward.ts";
import type { HeldForward } from "../../core/held.ts";
import type { ForwardCounters } from "../../dataplanes/io/counters.ts";
import type { Exit, Visit } from "../../dataplanes/io/ends.ts";
import { type Entry, openEntry, openNamed } from "../../dataplanes/io/entry.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { type Route, tunnelExit } from "../../dataplanes/tunnel/exit.ts";
import { type Site, Sites } from "../../servers/names/sites.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ok, type Result } from "../../wire/result.ts";
import type { Counters } from "../control.ts";
import { RetiredCounters } from "../retired-counters.ts";
import { sumCounters, totalOf, totalsOf } from "../views.ts";
import { AccountRates } from "./account-rates.ts";
import type { LinkOf } from "./device-link.ts";

interface MemberState {
  /** What the device calls the forward on its present link; null while it is away. */
  handle: number | null;
  healthy: boolean;
}

interface Member extends MemberState {
  forward: HeldForward;
}

const UNKNOWN: MemberState = { handle: null, healthy: true };

/** What every entry of the relay is made of. */
type EntryMeans = Pick<RelayEntries, "sweeper" | "rates" | "gate" | "sharing">;

/** The listeners of one forward, or of a group's forwards: several devices behind one entry. */
export class SharedEntry {
  readonly members = new Map<string, Member>();
  readonly admission: Admission;
  readonly #balancer = new Balancer();
  /** To whoever serves it now. */
  readonly exit: Exit = tunnelExit((visit) => this.#route(visit));
  readonly #linkOf: LinkOf;
  readonly #sites: Sites;
  #entry: Entry | null = null;
  /** Of a forward that is reached by name. */
  #site: Site | null = null;

  constructor(linkOf: LinkOf, sites: Sites, options: ForwardOptions) {
    this.#linkOf = linkOf;
    this.#sites = sites;
    this.admission = new Admission(options);
  }

  open(forward: HeldForward, { sweeper, rates, gate, sharing }: EntryMeans): Result<null, EntryError> {
    const { bind, owner, spec } = forward;
    const shared = () => rates.of(owner.account);
    const entrySpec = {
      bind,
      ports: spec.ports,
      options: spec.options,
      admission: this.admission,
      sweeper,
      shared,
      gate,
      sharing,
    };
    if (spec.site !== undefined) {
      const named = openNamed(entrySpec, this.exit);
      this.#entry = named.entry;
      this.#site = { spec: spec.site, host: named.host, externalPort: spec.ports[0]?.first ?? 0 };
      this.#sites.add(this.#site);
      return ok(null);
    }
    const opened = openEntry(entrySpec, this.exit);
    if (!opened.ok) return opened;
    this.#entry = opened.value;
    return ok(null);
  }

  get entry(): Entry | null {
    return this.#entry;
  }

  /** `state`: what is known of a member that held another entry before. */
  add(forward: HeldForward, state: MemberState = this.members.get(forward.owner.device) ?? UNKNOWN): void {
    const { handle, healthy } = state;
    this.members.set(forward.owner.device, { forward, handle, healthy });
    this.#balancer.add(forward.owner.device);
    this.#refresh(forward.owner.device);
  }

  remove(device: string): void {
    this.members.delete(device);
    this.#balancer.remove(device);
  }

  setHandle(device: string, handle: number | null): void {
    const member = this.members.get(device);
    if (member === undefined) return;
    member.handle = handle;
    this.#refresh(device);
  }

  setHealthy(device: string, healthy: boolean): void {
    const member = this.members.get(device);
    if (member === undefined) return;
    member.healthy = healthy;
    this.#refresh(device);
  }

  #refresh(device: string): void {
    const member = this.members.get(device);
    this.#balancer.setUsable(device, member !== undefined && usable(member));
  }

  change(options: ForwardOptions): void {
    this.admission.replace(options);
    this.#entry?.change(options);
  }

  /** A member writes the ports down in another way, or is the only one and holds others now. */
  rebind(forward: HeldForward): Result<null, EntryError> {
    const rebound = this.#entry?.rebind(forward.spec.ports) ?? ok(null);
    this.#rename(forward);
    if (!rebound.ok) return rebound;
    this.add(forward);
    this.change(forward.spec.options);
    return rebound;
  }

  /** Another name, or another way to treat its visitors: those who are there stay. */
  #rename({ spec }: HeldForward): void {
    if (this.#site === null || spec.site === undefined) return;
    this.#sites.remove(this.#site);
    this.#site = { ...this.#site, spec: spec.site, externalPort: spec.ports[0]?.first ?? 0 };
    this.#sites.add(this.#site);
  }

  /** Frees the ports and cuts what is open. */
  close(): void {
    if (this.#site !== null) this.#sites.remove(this.#site);
    this.#site = null;
    this.#entry?.close();
    this.#entry = null;
  }

  drain(): void {
    this.#entry?.drain();
  }

  /** See Entry. */
  setShared(shared: boolean): boolean {
    return this.#entry?.setShared(shared) ?? true;
  }

  /** Another process has its visitors from now on. */
  retire(): void {
    this.#entry?.retire();
  }

  /** See Entry. */
  endFlows(): void {
    this.#entry?.endFlows();
  }

  #route(visit: Visit): Route | ReasonName {
    if (this.members.size === 1) {
      for (const [device, member] of this.members) return this.#routeTo(device, member, visit, null);
    }
    const device = this.#balancer.pick();
    const member = device === null ? undefined : this.members.get(device);
    if (device === null || member === undefined) return this.#whyNone();
    const balancer = this.#balancer;
    balancer.opened(device);
    const route = this.#routeTo(device, member, visit, () => balancer.closed(device));
    if (typeof route === "string") balancer.closed(device);
    return route;
  }

  #routeTo(device: string, member: Member, visit: Visit, onGone: (() => void) | null): Route | ReasonName {
    const link = this.#linkOf(device);
    if (link === undefined || member.handle === null) return "deviceAway";
    if (!member.healthy) return "unhealthy";
    const { visitor, entry, externalPort } = visit;
    return { link, request: { kind: "forward", handle: member.handle, externalPort, visitor, entry }, onGone };
  }

  #whyNone(): ReasonName {
    for (const member of this.members.values()) if (member.handle !== null) return "unhealthy";
    return "deviceAway";
  }
}

function usable(member: Member): boolean {
  return member.handle !== null && member.healthy && member.forward.spec.enabled;
}

/** Who hears what becomes of entries, while one process of the relay takes over from another. */
export interface EntryWatcher {
  /** Its visitors come to this process. */
  opened(forward: HeldForward): void;
  /** It has none any more. */
  closed(forward: HeldForward): void;
}

/** Every open entry of the relay, found by forward. */
export class RelayEntries {
  watcher: EntryWatcher | null = null;
  readonly #byKey = new Map<string, SharedEntry>();
  readonly #retired = new RetiredCounters();
  readonly rates = new AccountRates();

  constructor(
    readonly sweeper: Sweeper,
    readonly linkOf: LinkOf,
    /** Of all entries of the relay. */
    readonly gate: ProxyGate,
    readonly sharing: PortSharing,
    readonly sites: Sites = new Sites(),
  ) {}

  get(forward: HeldForward): SharedEntry | undefined {
    return this.#byKey.get(keyOf(forward));
  }

  /** Of all entries since the start, each once. */
  total(): Counters {
    return sumCounters([this.#retired.total(), totalOf(this.#counters())]);
  }

  *#counters(): Generator<ForwardCounters> {
    for (const { entry } of this.#byKey.values()) if (entry !== null) yield entry.visits.counters;
  }

  all(): Iterable<SharedEntry> {
    return this.#byKey.values();
  }

  /** Opens the forward's entry, or joins its group's. */
  open(forward: HeldForward, state?: MemberState): Result<null, EntryError> {
    const key = keyOf(forward);
    const present = this.#byKey.get(key);
    if (present !== undefined) {
      present.add(forward, state);
      present.change(forward.spec.options);
      this.watcher?.opened(forward);
      return ok(null);
    }
    const shared = new SharedEntry(this.linkOf, this.sites, forward.spec.options);
    const opened = shared.open(forward, this);
    if (!opened.ok) return opened;
    shared.add(forward, state);
    this.#byKey.set(key, shared);
    this.watcher?.opened(forward);
    return ok(null);
  }

  /**
   * Opens `next` in the place of `before`, which is open. Ports that both have stay open, with their connections. When it
   * fails, `before` is open as it was.
   */
  replace(before: HeldForward, next: HeldForward): Result<null, EntryError> {
    const [from, to] = [keyOf(before), keyOf(next)];
    const shared = this.#byKey.get(from);
    const isSame = (before.spec.site === undefined) === (next.spec.site === undefined);
    const stays = isSame && (to === from || (shared?.members.size === 1 && !this.#byKey.has(to)));
    if (shared === undefined || !stays) {
      // A group's member leaves it, or joins another: the table lets nobody hold a port of both.
      const opened = this.open(next, shared?.members.get(before.owner.device));
      if (opened.ok) this.close(before);
      return opened;
    }
    const rebound = shared.rebind(next);
    if (!rebound.ok) return rebound;
    this.#byKey.delete(from);
    this.#byKey.set(to, shared);
    return rebound;
  }

  /** The last member closes the listeners. */
  close(forward: HeldForward): void {
    this.watcher?.closed(forward);
    const key = keyOf(forward);
    const shared = this.#byKey.get(key);
    if (shared === undefined) return;
    shared.remove(forward.owner.device);
    if (shared.members.size > 0) return;
    this.#byKey.delete(key);
    const counters = shared.entry?.visits.counters;
    shared.close();
    if (counters !== undefined) this.#retired.add(() => totalsOf(counters));
  }

  closeAll(): void {
    for (const shared of this.#byKey.values()) shared.close();
    this.#byKey.clear();
  }
}

/** A group's members hold the same external ports, or names, however each writes them down. */
function keyOf({ owner, spec, external }: HeldForward): string {
  if (spec.group === null) return JSON.stringify([owner.device, spec.id, spec.site === undefined ? "ports" : "names"]);
  return JSON.stringify([owner.account, spec.group, external.tcp, external.udp, external.hosts]);
}
