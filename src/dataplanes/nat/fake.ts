import { err, ok, type Result } from "../../wire/result.ts";
import { PortOwners, settingsProblem } from "./checks.ts";
import {
  DROP_REASONS,
  type DropReason,
  type EndedConnection,
  type HeldNatPlane,
  type NatChange,
  type NatEntry,
  type NatError,
  type NatSettings,
  type NatUsage,
  type OpenTrigger,
} from "./state.ts";

const UNUSED: NatUsage = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };

/** A plane without a kernel: it holds what it is told, refuses what the real one refuses, and shows what a test sets. */
export class FakeNatPlane implements HeldNatPlane {
  settings: NatSettings | null = null;
  readonly entries = new Map<string, NatEntry>();
  /** By id; without one an entry is unused. */
  readonly usages = new Map<string, NatUsage>();
  readonly dropped: Record<DropReason, number> = Object.fromEntries(
    DROP_REASONS.map((reason) => [reason, 0]),
  ) as Record<DropReason, number>;
  triggers: readonly OpenTrigger[] = [];
  readonly ended: EndedConnection[] = [];
  /** Every `replace` and `change` fails with it until it is null again. */
  failure: NatError | null = null;
  closed: "clean" | "left" | null = null;
  readonly #owners = new PortOwners();

  async replace(settings: NatSettings, entries: readonly NatEntry[]): Promise<Result<null, NatError>> {
    const wanted = new Set(entries.map(({ id }) => id));
    const change = { put: entries, remove: [...this.entries.keys()].filter((id) => !wanted.has(id)) };
    const problem = this.#problem() ?? settingsProblem(settings);
    const done = problem === null ? this.#apply(change) : err(problem);
    if (done.ok) this.settings = settings;
    return done;
  }

  async change(change: NatChange): Promise<Result<null, NatError>> {
    const notYet: NatError = { kind: "refused", message: "The gateway is not set up yet; ask again in a moment." };
    const problem = this.#problem() ?? (this.settings === null ? notYet : null);
    return problem === null ? this.#apply(change) : err(problem);
  }

  async usage(): Promise<ReadonlyMap<string, NatUsage>> {
    return new Map([...this.entries.keys()].map((id) => [id, this.usages.get(id) ?? UNUSED]));
  }

  async drops(): Promise<Readonly<Record<DropReason, number>>> {
    return { ...this.dropped };
  }

  async openTriggers(): Promise<readonly OpenTrigger[]> {
    return this.triggers;
  }

  async shut(connection: EndedConnection): Promise<Result<null, NatError>> {
    const problem = this.#problem();
    if (problem !== null) return err(problem);
    this.ended.push(connection);
    return ok(null);
  }

  async close({ clean }: { readonly clean: boolean }): Promise<void> {
    this.closed ??= clean ? "clean" : "left";
  }

  #problem(): NatError | null {
    if (this.closed === null) return this.failure;
    return { kind: "refused", message: "The gateway is stopping; ask again when it runs." };
  }

  #apply(change: NatChange): Result<null, NatError> {
    const problem = this.#owners.problem(change, this.entries);
    if (problem !== null) return err(problem);
    this.#owners.change(change, this.entries);
    for (const id of change.remove) this.entries.delete(id);
    for (const entry of change.put) this.entries.set(entry.id, entry);
    return ok(null);
  }
}
