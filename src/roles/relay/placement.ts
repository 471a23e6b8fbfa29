import { asksForAny, settlesAs } from "../../core/allocate.ts";
import { externalPorts, externalSide } from "../../core/external-ports.ts";
import type { RemoteSpec } from "../../core/forward.ts";
import { differingOption } from "../../core/group-options.ts";
import type { HeldForward, Owner } from "../../core/held.ts";
import { checkPolicy, type PolicyRefusal, type RelayPolicy } from "../../core/policy.ts";
import { spansOf } from "../../core/port-spans.ts";
import { same } from "../../core/same.ts";
import type { ForwardTable, PutOutcome } from "../../core/table.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { openAnyPorts } from "./any-ports.ts";
import type { RelayEntries } from "./entries.ts";
import type { Grants } from "./grants.ts";
import { type Refused, refused } from "./refused.ts";

export interface PlacementOptions {
  readonly table: ForwardTable;
  readonly entries: RelayEntries;
  readonly grants: Grants;
  /** Asked for each decision: a reload may have changed it. */
  readonly policy: () => RelayPolicy;
  deviceName(device: string): string;
  /** The address that entries listen on. */
  readonly bind: string;
  nowMs(): number;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

/** Who gets which ports: table, policy and listeners, decided and carried out within one call. */
export class Placement {
  readonly #options: PlacementOptions;

  constructor(options: PlacementOptions) {
    this.#options = options;
  }

  /** Gives the forward its ports and opens its listeners, or changes nothing. */
  place(owner: Owner, asked: RemoteSpec): Result<PutOutcome, Refused> {
    return asksForAny(asked.ports) ? this.#putAny(owner, asked) : this.#putExact(owner, asked);
  }

  /** What `place` would refuse by the rules and the table, without doing it; null = nothing. */
  refusal(owner: Owner, spec: RemoteSpec): Refused | null {
    const external = externalPorts(spec.ports);
    if (!external.ok) return refused("failed", external.error.message);
    const { table, bind, nowMs } = this.#options;
    const against = this.#policyRefusal(owner, spec);
    if (against !== null) return refused("policy", against.message);
    const taken = table.refusal(owner, spec, bind, nowMs());
    return taken === null ? null : refused(taken.kind === "conflict" ? "conflict" : "failed", taken.message);
  }

  #putExact(owner: Owner, spec: RemoteSpec): Result<PutOutcome, Refused> {
    const external = externalPorts(spec.ports);
    if (!external.ok) return err(refused("failed", external.error.message));
    const refusal = this.#policyRefusal(owner, spec);
    if (refusal !== null) return err(refused("policy", refusal.message));
    const disagreement = this.#disagreement(owner, spec);
    if (disagreement !== null) {
      this.#leaveGroup(owner, spec);
      return err(refused("failed", disagreement));
    }
    const put = this.#options.table.put(owner, spec, this.#options.bind, this.#options.nowMs());
    if (!put.ok) return err(refused(put.error.kind === "conflict" ? "conflict" : "failed", put.error.message));
    const opened = this.#openEntry(put.value);
    if (opened.ok) return ok(put.value);
    this.#revertTable(put.value);
    return err(refused(opened.error.kind === "inUse" ? "conflict" : "failed", opened.error.message));
  }

  /**
   * The devices of a group that serve its visitors have the same rules for them, so that nobody's `deny` goes by which
   * device came last. Who disagrees is refused, and serves no more until it agrees again: so a change can be carried out
   * device by device, while the others serve.
   */
  #disagreement(owner: Owner, { group, enabled, ports, options }: RemoteSpec): string | null {
    const [first] = ports;
    if (group === null || !enabled || first === undefined) return null;
    for (const { owner: other, spec } of this.#options.table.at(first.protocol, first.first)) {
      if (other.account !== owner.account || other.device === owner.device || spec.group !== group) continue;
      const differing = this.#serves(other.device, spec.id) ? differingOption(options, spec.options) : null;
      if (differing === null) continue;
      return `Device "${this.#options.deviceName(other.device)}" has another "${differing}" for the group "${group}": give the same to all of its devices, and this one joins them.`;
    }
    return null;
  }

  #serves(device: string, id: string): boolean {
    const forward = this.#options.table.get(device, id);
    return forward !== null && this.#options.entries.get(forward)?.members.get(device)?.handle != null;
  }

  #leaveGroup({ device }: Owner, { id, group }: RemoteSpec): void {
    const held = this.#options.table.get(device, id);
    if (held !== null && held.spec.group === group) this.#options.entries.get(held)?.setHandle(device, null);
  }

  /** `spec.ports` are in order (`externalPorts`). */
  #policyRefusal(owner: Owner, { id, ports }: Pick<RemoteSpec, "id" | "ports">): PolicyRefusal | null {
    const { account, device } = this.#options.grants.of(owner);
    const usage = this.#options.table.usage(owner, this.#options.table.get(owner.device, id));
    const checked = checkPolicy(externalSide(ports), { relay: this.#options.policy(), account, device }, usage);
    return checked.ok ? null : checked.error;
  }

  /** A device that comes back gets the ports it had; a new request the lowest free ones it may have. */
  #putAny(owner: Owner, asked: RemoteSpec): Result<PutOutcome, Refused> {
    const before = this.#options.table.get(owner.device, asked.id);
    if (before !== null && settlesAs(asked.ports, before.spec.ports)) {
      const kept = this.#putExact(owner, { ...asked, ports: before.spec.ports });
      // A conflict on what it holds itself: another program took the port while the relay was down.
      if (kept.ok || kept.error.why !== "conflict") return kept;
    }
    const { account, device } = this.#options.grants.of(owner);
    const pool = device.ports ?? account.ports ?? this.#options.policy().pool;
    return openAnyPorts(asked.ports, {
      candidates: spansOf(pool.ranges, asked.ports[0]?.protocol ?? "tcp"),
      isFree: (ports) => this.#isFree(ports),
      refusal: (ports) => (externalPorts(ports).ok ? this.#policyRefusal(owner, { id: asked.id, ports }) : null),
      open: (ports) => this.#putExact(owner, { ...asked, ports }),
    });
  }

  #isFree(ports: readonly PortMapping[]): boolean {
    for (const { protocol, first, last } of ports) {
      for (let port = first; port <= last; port++) if (this.#options.table.isTaken(protocol, port)) return false;
    }
    return true;
  }

  /** Brings the listeners in line with the table; on failure they are as they were. */
  #openEntry(outcome: PutOutcome): Result<null, EntryError> {
    const entries = this.#options.entries;
    const { forward } = outcome;
    const before = outcome.kind === "changed" ? outcome.before : forward;
    const present = before.spec.enabled ? entries.get(before) : undefined;
    if (!forward.spec.enabled) {
      if (present !== undefined) entries.close(before);
      return ok(null);
    }
    if (present === undefined || outcome.kind === "added") return entries.open(forward);
    if (outcome.kind === "unchanged") return ok(null);
    if (!sameEntry(before, forward)) return entries.replace(before, forward);
    present.add(forward);
    present.change(forward.spec.options);
    return ok(null);
  }

  #revertTable(outcome: PutOutcome): void {
    const { forward } = outcome;
    if (outcome.kind === "added") this.#options.table.remove(forward.owner.device, forward.spec.id);
    else if (outcome.kind === "changed")
      this.#options.table.put(forward.owner, outcome.before.spec, outcome.before.bind, this.#options.nowMs());
  }

  /** Takes back a put that could not be stored, unless something came over it since. */
  undo(outcome: PutOutcome): void {
    if (outcome.kind === "unchanged") return;
    const { owner, spec } = outcome.forward;
    if (this.#options.table.get(owner.device, spec.id)?.spec !== spec) return;
    if (outcome.kind !== "changed") {
      this.#options.entries.close(outcome.forward);
      this.#revertTable(outcome);
      return;
    }
    const back = this.#options.table.put(owner, outcome.before.spec, outcome.before.bind, this.#options.nowMs());
    const opened = back.ok ? this.#openEntry(back.value) : back;
    if (!opened.ok) this.#options.warn(`forward "${spec.name}" could not be opened again: ${opened.error.message}`);
  }
}

function sameEntry(a: HeldForward, b: HeldForward): boolean {
  return a.bind === b.bind && a.spec.group === b.spec.group && same(a.spec.ports, b.spec.ports);
}
