import { Admission } from "../../core/admission.ts";
import { Balancer } from "../../core/balance.ts";
import type { ForwardOptions } from "../../core/forward.ts";
import type { HeldForward } from "../../core/held.ts";
import type { Visit } from "../../dataplanes/io/ends.ts";
import { type Entry, openEntry } from "../../dataplanes/io/entry.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { type Route, tunnelExit } from "../../dataplanes/tunnel/exit.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ok, type Result } from "../../wire/result.ts";

interface Member {
  forward: HeldForward;
  /** What the device calls the forward on its present session; null while it is away. */
  handle: number | null;
  healthy: boolean;
}

/** The listeners of one forward, or of a group's forwards: several devices behind one entry. */
export class SharedEntry {
  readonly members = new Map<string, Member>();
  readonly admission: Admission;
  readonly #balancer = new Balancer();
  readonly #sessions: (device: string) => Session | undefined;
  #entry: Entry | null = null;

  constructor(sessions: (device: string) => Session | undefined, options: ForwardOptions) {
    this.#sessions = sessions;
    this.admission = new Admission(options);
  }

  open(forward: HeldForward, sweeper: Sweeper): Result<null, EntryError> {
    const { bind, spec } = forward;
    const opened = openEntry(
      { bind, ports: spec.ports, options: spec.options, admission: this.admission, sweeper },
      tunnelExit((visit) => this.#route(visit)),
    );
    if (!opened.ok) return opened;
    this.#entry = opened.value;
    return ok(null);
  }

  get entry(): Entry | null {
    return this.#entry;
  }

  add(forward: HeldForward): void {
    const before = this.members.get(forward.owner.device);
    this.members.set(forward.owner.device, {
      forward,
      handle: before?.handle ?? null,
      healthy: before?.healthy ?? true,
    });
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

  /** Frees the ports and cuts what is open. */
  close(): void {
    this.#entry?.close();
    this.#entry = null;
  }

  drain(): void {
    this.#entry?.drain();
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
    const session = this.#sessions(device);
    if (session === undefined || member.handle === null) return "deviceAway";
    if (!member.healthy) return "unhealthy";
    const { visitor, entry, externalPort } = visit;
    return { session, request: { kind: "forward", handle: member.handle, externalPort, visitor, entry }, onGone };
  }

  #whyNone(): ReasonName {
    for (const member of this.members.values()) if (member.handle !== null) return "unhealthy";
    return "deviceAway";
  }
}

function usable(member: Member): boolean {
  return member.handle !== null && member.healthy && member.forward.spec.enabled;
}

/** Every open entry of the relay, found by forward. */
export class RelayEntries {
  readonly #byKey = new Map<string, SharedEntry>();

  constructor(
    readonly sweeper: Sweeper,
    readonly sessions: (device: string) => Session | undefined,
  ) {}

  get(forward: HeldForward): SharedEntry | undefined {
    return this.#byKey.get(keyOf(forward));
  }

  all(): Iterable<SharedEntry> {
    return this.#byKey.values();
  }

  /** Opens the forward's entry, or joins its group's. */
  open(forward: HeldForward): Result<null, EntryError> {
    const key = keyOf(forward);
    const present = this.#byKey.get(key);
    if (present !== undefined) {
      present.add(forward);
      present.change(forward.spec.options);
      return ok(null);
    }
    const shared = new SharedEntry(this.sessions, forward.spec.options);
    const opened = shared.open(forward, this.sweeper);
    if (!opened.ok) return opened;
    shared.add(forward);
    this.#byKey.set(key, shared);
    return ok(null);
  }

  /** The last member closes the listeners. */
  close(forward: HeldForward): void {
    const key = keyOf(forward);
    const shared = this.#byKey.get(key);
    if (shared === undefined) return;
    shared.remove(forward.owner.device);
    if (shared.members.size > 0) return;
    this.#byKey.delete(key);
    shared.close();
  }
}

function keyOf({ owner, spec }: HeldForward): string {
  return spec.group === null
    ? `${owner.device}/${spec.id}`
    : `group ${owner.account}/${spec.group}/${spec.ports.map(rangeText).join()}`;
}

function rangeText({ protocol, first, last }: HeldForward["spec"]["ports"][number]): string {
  return `${protocol}${first}-${last}`;
}
