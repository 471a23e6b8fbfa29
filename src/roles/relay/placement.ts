import { asksForAny, settlesAs } from "../../core/allocate.ts";
import type { ExternalPorts } from "../../core/external-ports.ts";
import { externalOf, externalPorts } from "../../core/external-ports.ts";
import type { RemoteSpec, SiteSpec } from "../../core/forward.ts";
import { differingOption } from "../../core/group-options.ts";
import type { HeldForward, Owner } from "../../core/held.ts";
import { type SitePolicy, siteHostPort, siteRefusal } from "../../core/names/policy.ts";
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
  /** Null = the relay hands out no names. */
  readonly names: () => SitePolicy | null;
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
    if (asked.site !== undefined) return this.#putExact(owner, this.#atItsPort(asked));
    return asksForAny(asked.ports) ? this.#putAny(owner, asked) : this.#putExact(owner, asked);
  }

  /** What `place` would refuse by the rules and the table, without doing it; null = nothing. */
  refusal(owner: Owner, asked: RemoteSpec): Refused | null {
    const spec = this.#atItsPort(asked);
    const external = externalOf(spec);
    if (!external.ok) return refused("failed", external.error.message);
    const { table, bind, nowMs } = this.#options;
    const against = this.#policyRefusal(owner, spec, external.value);
    if (against !== null) return refused("policy", against.message);
    const taken = table.refusal(owner, spec, bind, nowMs());
    return taken === null ? null : refused(taken.kind === "conflict" ? "conflict" : "failed", taken.message);
  }

  /** The port of a site is the relay's for all of them; without one the policy says so. */
  #atItsPort(spec: RemoteSpec): RemoteSpec {
    const { names } = this.#options;
    const [mapping] = spec.ports;
    const policy = names();
    if (spec.site === undefined || mapping === undefined) return spec;
    const port = (policy === null ? null : siteHostPort(spec.site, policy)) ?? UNKNOWN_PORT;
    return { ...spec, ports: [{ ...mapping, first: port, last: port + mapping.last - mapping.first }] };
  }

  #putExact(owner: Owner, spec: RemoteSpec): Result<PutOutcome, Refused> {
    const external = externalOf(spec);
    if (!external.ok) return err(refused("failed", external.error.message));
    const refusal = this.#policyRefusal(owner, spec, external.value);
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
  #disagreement(owner: Owner, { group, enabled, ports, options, site }: RemoteSpec): string | null {
    const { table } = this.#options;
    const [first] = ports;
    if (group === null || !enabled || first === undefined) return null;
    const holders = site === undefined ? table.at(first.protocol, first.first) : table.named(site.hosts[0] ?? "");
    for (const { owner: other, spec } of holders) {
      if (other.account !== owner.account || other.device === owner.device || spec.group !== group) continue;
      const differing = this.#serves(other.device, spec.id)
        ? (differingOption(options, spec.options) ?? differingSite(site, spec.site))
        : null;
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
  #policyRefusal(
    owner: Owner,
    { id, site }: Pick<RemoteSpec, "id" | "site">,
    external: ExternalPorts,
  ): PolicyRefusal | null {
    const { account, device, accountName } = this.#options.grants.of(owner);
    const usage = this.#options.table.usage(owner, this.#options.table.get(owner.device, id));
    const checked = checkPolicy(external, { relay: this.#options.policy(), account, device }, usage);
    if (!checked.ok) return checked.error;
    const message = site === undefined ? null : siteRefusal(site, accountName, this.#options.names());
    return message === null ? null : { kind: "policy", rule: "name", message };
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
      refusal: (ports) => {
        const external = externalPorts(ports);
        return external.ok ? this.#policyRefusal(owner, { id: asked.id }, external.value) : null;
      },
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
  const hasSamePorts = same(a.spec.ports, b.spec.ports) && same(a.spec.site, b.spec.site);
  return a.bind === b.bind && a.spec.group === b.spec.group && hasSamePorts;
}

/** Members of a group that treat the same visitor of a site differently. */
function differingSite(a: SiteSpec | undefined, b: SiteSpec | undefined): string | null {
  if (a?.tls !== b?.tls) return "tls";
  if (a?.service !== b?.service) return "http2";
  return same(a?.logins, b?.logins) ? null : "basic-auth-file";
}

/** Stands for a port that the relay does not have: the policy refuses what has it. */
const UNKNOWN_PORT = 1;
