import type { Owner } from "../../core/held.ts";
import type { HeldMapping, MappingBook, MappingOutcome } from "../../core/mapping/book.ts";
import { type SavedEpoch, ServerEpoch } from "../../core/mapping/epoch.ts";
import { isPinhole, type MappingSpec } from "../../core/mapping/spec.ts";
import { same } from "../../core/same.ts";
import type { TableError } from "../../core/table.ts";
import type { NatEntry, NatLimits, NatPlane, NatSettings, NatUsage } from "../../dataplanes/nat/state.ts";
import type { MappingChange } from "../../store/mappings.ts";
import type { Store } from "../../store/store.ts";
import { ControlError } from "../control.ts";
import { Journal, type JournalFailure } from "../journal.ts";
import { hostOf, natEntries, type Run, runsOf } from "./entries.ts";

/** What became of a mapping, for whoever follows. */
export interface MappingNews {
  readonly event: "opened" | "changed" | "closed";
  readonly held: HeldMapping;
  /** Why it was closed. */
  readonly reason: "removed" | "expired" | null;
}

/** What became of the operator's mappings, by name; `refused`: a sentence for each. */
export interface FixedReport {
  readonly added: string[];
  readonly changed: string[];
  readonly removed: string[];
  readonly refused: string[];
}

export interface GatewayMappingsOptions {
  readonly book: MappingBook;
  readonly plane: NatPlane;
  readonly store: Pick<Store, "mappings">;
  limits(): NatLimits;
  /** Whether visitors may reach it now: a peer of the VPN may take nothing. */
  isOpen(spec: MappingSpec): boolean;
  /** What the kernel is to hold besides mappings. */
  extraEntries(): readonly NatEntry[];
  /** Monotonic. */
  nowMs(): number;
  wallMs(): number;
  onNews(news: MappingNews): void;
  warn(message: string): void;
}

/**
 * Carries out what the book decided: the kernel and the disk at the same time, and who asked is answered after both.
 * When one of the two fails, the book is as it was before and so is the kernel; the next start, and the kernel's own
 * reconciliation, go by the book.
 */
export class GatewayMappings {
  readonly #options: GatewayMappingsOptions;
  readonly #journal: Journal<MappingChange, never>;

  constructor(options: GatewayMappingsOptions) {
    this.#options = options;
    const { mappings } = options.store;
    this.#journal = new Journal<MappingChange, never>({
      apply: (changes) => mappings.apply(changes, options.wallMs()),
    });
  }

  /**
   * Holds again what was granted before the start, behind what the configuration asks for. The epoch goes on: to clients
   * the table is as it was.
   */
  async restore(fixed: readonly MappingSpec[]): Promise<ServerEpoch> {
    const { book, store, warn } = this.#options;
    const [rows, saved] = [await store.mappings.list(warn), await store.mappings.epoch()];
    for (const spec of fixed) {
      const put = book.put(spec, this.#options.nowMs());
      if (!put.ok) warn(`mapping "${spec.name}" is not open: ${takenText(put.error)}`);
    }
    const wallMs = this.#options.wallMs();
    const kept = rows.map(({ owner, spec, expiresMs }) => ({
      owner,
      spec,
      remainingMs: expiresMs === null ? null : Math.min(expiresMs - wallMs, (spec.lifetimeSec ?? 0) * 1000),
    }));
    const alive: typeof kept = [];
    for (const row of kept) {
      if (row.remainingMs === null || row.remainingMs > 0) alive.push(row);
      // What ended is over, or kept for a peer that may come back for its ports.
      else if (!book.keep(row.spec)) this.#forget(row.owner, row.spec, "expired");
    }
    for (const { spec, error } of book.restore(alive, this.#options.nowMs())) {
      warn(`mapping "${spec.name}" was not restored: ${takenText(error)}`);
      const row = alive.find((one) => one.spec === spec);
      if (row !== undefined) this.#forget(row.owner, spec, "removed");
    }
    return this.#epoch(saved);
  }

  async #epoch(saved: SavedEpoch | null): Promise<ServerEpoch> {
    const [nowMs, wallMs] = [this.#options.nowMs(), this.#options.wallMs()];
    if (saved !== null) return ServerEpoch.restored(saved, nowMs, wallMs);
    const epoch = ServerEpoch.lost(nowMs);
    await this.saveEpoch(epoch);
    return epoch;
  }

  /** After a reset: the next start goes on from here. */
  async saveEpoch(epoch: ServerEpoch): Promise<void> {
    const saved = epoch.save(this.#options.nowMs(), this.#options.wallMs());
    this.#tell(await this.#journal.note({ kind: "epoch", saved }));
  }

  /** All entries that the kernel is to hold. */
  entries(): NatEntry[] {
    const { book, extraEntries } = this.#options;
    return [...this.#entriesOf(runsOf(book.list())), ...extraEntries()];
  }

  #entriesOf(runs: readonly Run[]): NatEntry[] {
    const { isOpen, limits } = this.#options;
    return runs.flatMap((run) => natEntries(run, isOpen, limits()));
  }

  /** Makes the kernel hold what the book says, by these settings. */
  async replace(settings: NatSettings): Promise<void> {
    const applied = await this.#options.plane.replace(settings, this.entries());
    if (!applied.ok) throw new ControlError("failed", applied.error.message);
  }

  /**
   * Resolves when the kernel and the disk have it; rejects with ControlError `failed` when one of them has not. `actor`: who
   * wanted it, when that is a person with a name.
   */
  async carryOut(outcome: MappingOutcome, actor?: string): Promise<void> {
    const { book, nowMs } = this.#options;
    const { forward } = outcome;
    const undo = () => {
      book.undo(outcome, nowMs());
      void this.#sync(outcome);
    };
    const stored = this.#journal.write(this.#changeOf(outcome, actor), undo);
    const opened = outcome.kind === "unchanged" ? null : this.#sync(outcome);
    const [failure, refusal] = await Promise.all([stored, opened]);
    if (failure !== null) throw new ControlError("failed", messageOf(failure));
    if (refusal !== null) {
      undo();
      this.#storePresent(forward);
      throw new ControlError("failed", refusal);
    }
    if (outcome.kind === "added") this.#options.onNews({ event: "opened", held: forward, reason: null });
    else if (outcome.kind === "changed") this.#options.onNews({ event: "changed", held: forward, reason: null });
  }

  /** The disk was told of a change that the kernel refused. */
  #storePresent({ owner, spec }: HeldMapping): void {
    const present = this.#options.book.get(owner.device, spec.id);
    if (present === null) this.#forget(owner, spec, "removed");
    else void this.#journal.note(this.#changeOf({ kind: "added", forward: present })).then((f) => this.#tell(f));
  }

  #changeOf({ kind, forward }: MappingOutcome, actor?: string): MappingChange {
    const { owner, spec } = forward;
    const leftMs = this.#options.book.remainingMs(forward, this.#options.nowMs());
    const expiresMs = leftMs === null ? null : Math.ceil(this.#options.wallMs() + leftMs);
    if (kind === "unchanged") return { kind: "renew", device: owner.device, id: spec.id, expiresMs };
    return { kind: "put", owner, spec, expiresMs, ...(actor === undefined ? {} : { actor }) };
  }

  /** Brings the kernel's entries of a mapping in line with the book. Null = done, else why not. */
  async #sync(outcome: MappingOutcome): Promise<string | null> {
    const { forward } = outcome;
    return await this.#bring(outcome.kind === "changed" ? [[forward], [outcome.before]] : [[forward]]);
  }

  /**
   * What the book has of these mappings and of those that share their ports goes to the kernel, and what else they had
   * there goes away. Each set is what the kernel may hold at once.
   */
  async #bring(sets: readonly (readonly HeldMapping[])[]): Promise<string | null> {
    const present = this.#alike(sets.flat());
    const runs = runsOf(present);
    const put = this.#entriesOf(runs);
    const kept = new Set(put.map(({ id }) => id));
    const before = sets.flatMap((set) => {
      const keys = new Set(set.map(({ owner, spec }) => `${owner.device} ${spec.id}`));
      const others = present.filter(({ owner, spec }) => !keys.has(`${owner.device} ${spec.id}`));
      return runsOf([...others, ...set]);
    });
    const remove = [...new Set([...runs, ...before].map(({ id }) => id))].filter((id) => !kept.has(id));
    const changed = await this.#options.plane.change({ put, remove });
    return changed.ok ? null : changed.error.message;
  }

  /** Of the book: these, and all pinholes of their hosts. */
  #alike(some: readonly HeldMapping[]): HeldMapping[] {
    const { book } = this.#options;
    const found = new Set<HeldMapping>();
    const hosts = new Map<string, HeldMapping>();
    for (const held of some) {
      if (isPinhole(held.spec)) hosts.set(hostOf(held), held);
      const present = book.get(held.owner.device, held.spec.id);
      if (present !== null) found.add(present);
    }
    for (const [host, { owner }] of hosts) {
      for (const one of book.ofDevice(owner.device)) if (isPinhole(one.spec) && hostOf(one) === host) found.add(one);
    }
    return [...found];
  }

  /** Withdraws mappings, in the book at once. Resolves when kernel and disk have it. */
  async remove(held: readonly HeldMapping[], how: "given back" | "forgotten", actor?: string): Promise<void> {
    const { book } = this.#options;
    const removed = held.filter((one) => book.remove(one));
    // What people remove is nobody's; what a client gives back it may want again.
    if (how === "forgotten") for (const one of removed) book.forget(one);
    await this.#withdraw(removed, "removed", actor);
  }

  /** Ends the leases that ran out. */
  async expire(): Promise<void> {
    await this.#withdraw(this.#options.book.expire(this.#options.nowMs()), "expired");
  }

  async #withdraw(gone: readonly HeldMapping[], reason: "removed" | "expired", actor?: string): Promise<void> {
    if (gone.length === 0) return;
    for (const { owner, spec } of gone) this.#forget(owner, spec, reason, actor);
    const refusal = await this.#bring([gone]);
    if (refusal !== null) this.#options.warn(`a port could not be closed at once: ${refusal}`);
    for (const held of gone) this.#options.onNews({ event: "closed", held, reason });
    await this.#journal.settled();
  }

  /** Stores what is true in any case; a disk that does not take it is told. */
  #forget(owner: Owner, spec: MappingSpec, how: "removed" | "expired", actor?: string): void {
    // What the configuration makes is not in the store.
    if (spec.origin === "config") return;
    const kept = this.#options.book.isKept(spec);
    const by = actor === undefined ? {} : { actor };
    const note = this.#journal.note({ kind: "remove", device: owner.device, id: spec.id, how, kept, ...by });
    void note.then((failure) => this.#tell(failure));
  }

  #tell(failure: JournalFailure<never> | null): void {
    if (failure !== null) this.#options.warn(`a change could not be stored: ${messageOf(failure)}`);
  }

  /**
   * Makes the operator's mappings of one origin exactly these: those that stay are not touched. Returns what was done,
   * by name, and a sentence for each that could not be.
   */
  async setFixed(specs: readonly MappingSpec[], origin: "config"): Promise<FixedReport> {
    const { book, nowMs } = this.#options;
    const wanted = new Map(specs.map((spec) => [`${spec.to} ${spec.id}`, spec]));
    const present = book.find(({ spec }) => spec.requester === null && spec.origin === origin);
    const gone = present.filter(({ spec }) => !wanted.has(`${spec.to} ${spec.id}`));
    const report: FixedReport = { added: [], changed: [], removed: gone.map(({ spec }) => spec.name), refused: [] };
    // Their ports are free for those that come.
    await this.remove(gone, "forgotten");
    for (const spec of specs) {
      if (present.some((held) => same(held.spec, spec))) continue;
      const put = book.put(spec, nowMs());
      if (!put.ok) {
        report.refused.push(`mapping "${spec.name}": ${takenText(put.error)}`);
        continue;
      }
      const refusal = await this.#sync(put.value);
      if (refusal !== null) {
        book.undo(put.value, nowMs());
        report.refused.push(`mapping "${spec.name}": ${refusal}`);
        continue;
      }
      (put.value.kind === "added" ? report.added : report.changed).push(spec.name);
      const event = put.value.kind === "added" ? "opened" : "changed";
      this.#options.onNews({ event, held: put.value.forward, reason: null });
    }
    return report;
  }

  usage(): Promise<ReadonlyMap<string, NatUsage>> {
    return this.#options.plane.usage();
  }

  /** Resolves when everything that was decided is stored, or could not be. */
  idle(): Promise<void> {
    return this.#journal.idle();
  }
}

function messageOf(failure: JournalFailure<never>): string {
  return failure.kind === "storage" ? failure.message : "the mapping contradicts another one";
}

/** A gateway has no groups, and its leases are the mappings' own: the table's words are a relay's. */
export function takenText(error: TableError): string {
  if (error.kind !== "conflict") return error.message;
  const { taken, holder } = error;
  const what = typeof taken === "string" ? taken : `Port ${taken.port}/${taken.protocol}`;
  return `${what} is taken by the forward "${holder.spec.name}": choose another outside port, or remove that one.`;
}
