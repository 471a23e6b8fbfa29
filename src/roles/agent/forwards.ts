import {
  type LocalSpec,
  type Origin,
  partOf,
  type RemoteForwardSpec,
  type RemoteSpec,
  type UpstreamSpec,
} from "../../core/forward.ts";
import { localItem, plan } from "../../core/reconcile.ts";
import { same } from "../../core/same.ts";
import { ALLOWS_ALL, type Allows } from "../../dataplanes/direct/exit.ts";
import type { ByteEnd, Exit, FlowEnd } from "../../dataplanes/io/ends.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { Visits } from "../../dataplanes/io/visits.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import type { Result } from "../../wire/result.ts";
import { remoteSpecSchema } from "../../wire/spec-schema.ts";
import type { ResultOutcome } from "../../wire/tunnel/control.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import type { Counters, ForwardSpec } from "../control.ts";
import { type LocalForward, type LocalPlane, openLocal } from "../local-forward.ts";
import { RetiredCounters } from "../retired-counters.ts";
import type { OpenUpstream, UpstreamForward } from "../upstream/forward.ts";
import { countersOf } from "../views.ts";
import type { Held } from "./held.ts";
import { countersOfHeld } from "./info.ts";
import { leadsBack } from "./leads-back.ts";
import { RemoteForward, type RemoteForwardOptions, type RemoteSetting } from "./remote-forward.ts";
import type { Requests } from "./requests.ts";

export interface AgentForwardsOptions extends Pick<RemoteForwardOptions, "random"> {
  readonly plane: LocalPlane;
  readonly openUpstream: OpenUpstream;
  /** What forwards may lead to that the relay's people chose. */
  readonly allowsAssigned: Allows;
  /** A forward changed what it is: state, endpoints. */
  onChange(id: string): void;
}

/** The machine's addresses change (DHCP, VPN) and cost a system call: a thousand forwards at once ask for them once. */
const OWN_ADDRESSES_MS = 1_000;
const MAX_HANDLE = 0xffff_ffff;
const TOO_LARGE: ResultOutcome = {
  kind: "refused",
  why: "failed",
  message: "A forward has at most 1,000 runs of ports, and 1,000 networks in each list; split it into several.",
};

/** Every forward of an agent: what is wanted, what is open, what the relay answered. */
export class AgentForwards {
  readonly #options: AgentForwardsOptions;
  readonly #held = new Map<string, Held>();
  readonly #byHandle = new Map<number, RemoteForward>();
  readonly #retired = new RetiredCounters();
  /** Upstream mappings whose router has not answered yet that they are gone. */
  readonly #closing = new Set<Promise<void>>();
  #requests: Requests | null = null;
  #own: { readonly readMs: number; readonly addresses: ReadonlySet<string> } | null = null;
  #lastHandle = 0;
  #draining = false;

  constructor(options: AgentForwardsOptions) {
    this.#options = options;
  }

  /** What this agent dials with. */
  get plane(): LocalPlane {
    return this.#options.plane;
  }

  get(id: string): Held | undefined {
    return this.#held.get(id);
  }

  list(): Iterable<[string, Held]> {
    return this.#held.entries();
  }

  /**
   * Opens the forward, or changes the one of the same id. Resolves when its state is known (the relay answered, or is away).
   * `exit`: of a remote forward, where its visitors go instead of to `to`.
   */
  async put(spec: ForwardSpec, origin: Origin, attached: boolean, exit: Exit | null = null): Promise<Held> {
    const before = this.#held.get(idOf(spec));
    const isOfOthers = before?.origin === "api" && origin !== "api";
    if (before !== undefined && (before.kind !== spec.kind || isOfOthers)) this.remove(idOf(spec));
    switch (spec.kind) {
      case "remote":
        return this.#putRemote(spec, origin, attached, exit);
      case "local":
        return this.#putLocal(spec.local, origin, attached);
      case "upstream":
        return this.#putUpstream(spec.upstream, origin, attached);
      default:
        return spec satisfies never;
    }
  }

  async #putRemote(spec: RemoteForwardSpec, origin: Origin, attached: boolean, exit: Exit | null): Promise<Held> {
    const setting: RemoteSetting = { spec: spec.remote, to: spec.to };
    const before = this.#held.get(spec.remote.id);
    let forward: RemoteForward;
    if (before?.kind === "remote") {
      forward = before.forward;
      const unchanged = forward.answer.kind === "open" && same(forward.setting, setting);
      if (unchanged && before.origin === origin && before.attached === attached) return before;
      forward.setting = setting;
      if (unchanged) {
        const held: Held = { kind: "remote", forward, origin, attached };
        this.#held.set(spec.remote.id, held);
        return held;
      }
    } else {
      forward = new RemoteForward(this.#takeHandle(), setting, {
        // Its own person exposed it: that is the permission. What the relay's people chose needs another.
        allows: origin === "api" ? this.#options.allowsAssigned : ALLOWS_ALL,
        dials: this.#options.plane.dials,
        resolver: this.#options.plane.resolver,
        exit,
        random: this.#options.random,
        onHealth: (changed, healthy) => this.#tellHealth(changed, healthy),
      });
      this.#byHandle.set(forward.handle, forward);
    }
    const held: Held = { kind: "remote", forward, origin, attached };
    this.#held.set(spec.remote.id, held);
    await this.#ask(forward);
    return held;
  }

  /** A number is not used again soon: a visitor of the forward that had it may still be on the way from the relay. */
  #takeHandle(): number {
    do this.#lastHandle = (this.#lastHandle % MAX_HANDLE) + 1;
    while (this.#byHandle.has(this.#lastHandle));
    return this.#lastHandle;
  }

  async #ask(forward: RemoteForward): Promise<void> {
    const question = forward.asks();
    const { setting } = question;
    const outcome = this.#refusedHere(setting, forward.dialsOut) ?? (await this.#put(forward.handle, setting.spec));
    forward.answered(question, outcome);
    if (outcome !== null && !forward.healthy) this.#tellHealth(forward, false);
    this.#options.onChange(forward.spec.id);
  }

  /** What the relay need not be asked for. */
  #refusedHere(setting: RemoteSetting, dialsOut: boolean): ResultOutcome | null {
    if (!isSendable(setting.spec)) return TOO_LARGE;
    if (!dialsOut) return null;
    const relayAddress = this.#options.plane.session()?.remoteAddress;
    const port = relayAddress === undefined ? null : leadsBack(setting, relayAddress, this.#ownAddresses());
    if (port === null) return null;
    const message = `The relay runs on this machine, so port ${port} would lead to itself: choose another public port with --as.`;
    return { kind: "refused", why: "failed", message };
  }

  #ownAddresses(): ReadonlySet<string> {
    const nowMs = this.#options.plane.sweeper.nowMs();
    if (this.#own === null || nowMs - this.#own.readMs > OWN_ADDRESSES_MS) {
      this.#own = { readMs: nowMs, addresses: new Set(ownAddresses().map(({ address }) => address)) };
    }
    return this.#own.addresses;
  }

  async #put(handle: number, spec: RemoteSpec): Promise<ResultOutcome | null> {
    return (await this.#requests?.ask({ t: "put", handle, spec })) ?? null;
  }

  #tellHealth(forward: RemoteForward, healthy: boolean): void {
    this.#requests?.tell({ t: "health", id: forward.spec.id, healthy });
    this.#options.onChange(forward.spec.id);
  }

  async #putLocal(spec: LocalSpec, origin: Origin, attached: boolean): Promise<Held> {
    const before = this.#held.get(spec.id);
    let forward = before?.kind === "local" ? before.forward : null;
    const steps = plan([localItem(spec)], forward === null ? [] : [localItem(forward.spec)]);
    let error: EntryError | null = null;
    if (steps.change.length > 0) {
      const changed = forward?.change(spec);
      if (changed?.ok === false) error = changed.error;
    }
    // What cannot be as it is wanted is not open: it must not hold a port that another forward is to have.
    if (forward !== null && (steps.close.length > 0 || error !== null)) {
      this.#closeLocal(forward);
      forward = null;
    }
    if (steps.open.length > 0) {
      const opened: Result<LocalForward, EntryError> = openLocal(this.#options.plane, spec);
      if (opened.ok) forward = opened.value;
      else error = opened.error;
    }
    const held: Held = { kind: "local", spec, forward, error, origin, attached };
    this.#held.set(spec.id, held);
    this.#options.onChange(spec.id);
    return held;
  }

  async #putUpstream(spec: UpstreamSpec, origin: Origin, attached: boolean): Promise<Held> {
    const before = this.#held.get(spec.id);
    let forward = before?.kind === "upstream" ? before.forward : null;
    if (forward !== null && !same(forward.spec, spec)) {
      // The router is told of the end first: the new one may want the same ports.
      await this.#closeUpstream(forward);
      forward = null;
    }
    if (forward === null && spec.enabled) {
      forward = this.#options.openUpstream(spec, () => this.#options.onChange(spec.id));
    }
    const held: Held = { kind: "upstream", spec, forward, origin, attached };
    this.#held.set(spec.id, held);
    await forward?.settled();
    this.#options.onChange(spec.id);
    return held;
  }

  #closeUpstream(forward: UpstreamForward): Promise<void> {
    const closing = forward.end().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    return closing;
  }

  /** Resolves when the routers above have answered for what was withdrawn. */
  async withdrawn(): Promise<void> {
    await Promise.all(this.#closing);
  }

  /** Withdraws a forward: its ports are given back, its connections cut. False when there is none. */
  remove(id: string): boolean {
    const given = this.giveBack(id);
    void given;
    return given !== null;
  }

  /** The same; resolves when the relay has answered, or cannot. Null when there is none. */
  giveBack(id: string): Promise<void> | null {
    const held = this.#held.get(id);
    if (held === undefined) return null;
    this.#held.delete(id);
    if (held.kind === "remote") {
      this.#byHandle.delete(held.forward.handle);
      held.forward.close();
      this.#retired.add(() => countersOfHeld(held));
      // Unanswered when the link breaks: then the next sync says it.
      return (this.#requests?.ask({ t: "remove", id }) ?? Promise.resolve()).then(() => undefined);
    }
    if (held.kind === "upstream") return held.forward === null ? Promise.resolve() : this.#closeUpstream(held.forward);
    if (held.forward !== null) this.#closeLocal(held.forward);
    return Promise.resolve();
  }

  #closeLocal({ entry, close }: LocalForward): void {
    close();
    this.#retired.add(() => countersOf(entry.visits.counters));
  }

  /** What the forwards counted that are gone. */
  get retired(): Counters {
    return this.#retired.total();
  }

  /**
   * The link is up: the relay is told what this agent still wants (and `reserved`, though it is not run), then each forward.
   * `reserved` null: what it wants is not known yet, and whatever the relay keeps for the device stays kept.
   */
  async linkUp(requests: Requests, reserved: readonly string[] | null): Promise<void> {
    this.#requests = requests;
    const remotes = [...this.#held.values()].flatMap((held) => (held.kind === "remote" ? [held.forward] : []));
    const ids = new Set([...remotes.map(({ spec }) => spec.id), ...(reserved ?? [])]);
    const sync = reserved === null ? [] : [requests.ask({ t: "sync", ids: [...ids] })];
    // The relay takes them in this order; the answers need not be waited for one by one.
    await Promise.all([...sync, ...remotes.map((forward) => this.#ask(forward))]);
  }

  /** Asks again for what was refused: the reason may be gone. What a command attached is that command's to repeat. */
  async retryRefused(): Promise<void> {
    const again: Promise<unknown>[] = [];
    for (const held of this.#held.values()) {
      if (held.attached) continue;
      if (held.kind === "remote" && held.forward.answer.kind === "refused") again.push(this.#ask(held.forward));
      if (held.kind === "local" && held.error !== null) again.push(this.#putLocal(held.spec, held.origin, false));
    }
    await Promise.all(again);
  }

  linkDown(): void {
    this.#requests?.sessionEnded();
    this.#requests = null;
    for (const held of this.#held.values()) {
      if (held.kind !== "remote") continue;
      held.forward.answered(held.forward.asks(), null);
      this.#options.onChange(held.forward.spec.id);
    }
  }

  onStream(request: OpenRequest & { kind: "forward" }, stream: ByteEnd): void {
    const forward = this.#byHandle.get(request.handle);
    if (this.#draining) stream.reset("shutdown");
    else if (forward === undefined || !forward.accepts) stream.reset("noForward");
    else forward.onStream(request, stream);
  }

  onFlow(request: OpenRequest & { kind: "forward" }, flow: FlowEnd): void {
    const forward = this.#byHandle.get(request.handle);
    if (this.#draining) flow.close("shutdown");
    else if (forward === undefined || !forward.accepts) flow.close("noForward");
    else forward.onFlow(request, flow);
  }

  /** What the agent's own forwards lead to: other devices may dial it too. */
  exposed(): { readonly to: string; readonly spec: RemoteForward["spec"] }[] {
    return [...this.#held.values()].flatMap((held) =>
      held.kind === "remote" ? [{ to: held.forward.setting.to, spec: held.forward.spec }] : [],
    );
  }

  /** The open visits of every forward. */
  visits(): Visits[] {
    return [...this.#held.values()].flatMap((held) => {
      if (held.kind === "remote") return [held.forward.visits];
      // What the router forwards never passes here.
      if (held.kind === "upstream") return [];
      return held.forward === null ? [] : [held.forward.entry.visits];
    });
  }

  /** Takes no new visitor; what is open goes on. */
  drain(): void {
    this.#draining = true;
    for (const held of this.#held.values()) if (held.kind === "local") held.forward?.entry.drain();
  }

  /** Resolves when the routers above have been told too. */
  async close(): Promise<void> {
    this.#requests?.sessionEnded();
    this.#requests = null;
    for (const held of this.#held.values()) {
      if (held.kind === "upstream") {
        if (held.forward !== null) void this.#closeUpstream(held.forward);
      } else held.forward?.close();
    }
    this.#held.clear();
    this.#byHandle.clear();
    await this.withdrawn();
  }
}

/** A relay ends the session of a peer that sends it what no program of ours sends: what is too large is refused here. */
function isSendable(spec: RemoteSpec): boolean {
  return remoteSpecSchema.safeParse(spec).success;
}

export function idOf(spec: ForwardSpec): string {
  return partOf(spec).id;
}
