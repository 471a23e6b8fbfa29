import { err, ok, type Result } from "../../wire/result.ts";
import { PortOwners, settingsProblem } from "./checks.ts";
import { ElementTable, undoOf } from "./element-table.ts";
import type { Element } from "./elements.ts";
import { type ListedElement, type ListedTable, outlineOf } from "./listing.ts";
import { limitsName, STATIC_SET_NAMES, STATIC_SETS, type StaticSetName } from "./names.ts";
import type { Nft } from "./nft.ts";
import { type Delta, renderAnew, renderDelta, renderParts, renderRewrite } from "./render.ts";
import { checkParts, renderSkeleton } from "./render-rules.ts";
import type { Skeleton } from "./rule-words.ts";
import { changedEntries, entriesOfDelta } from "./stale.ts";
import type { NatChange, NatEntry, NatError, NatLimits, NatSettings } from "./state.ts";

/** What came of a change: whose remembered connections are stale. */
export interface Applied {
  readonly stale: readonly NatEntry[];
  /** The kernel did not hold what it should have. */
  readonly mended: boolean;
}

const NOTHING_DONE: Applied = { stale: [], mended: false };

/**
 * Our table: what it should hold, and the steps that make it so, each one transaction. Calls must not overlap. As long
 * as nobody else touches the table, a change is the difference of two desired states; what the kernel really holds is
 * read at the start, when somebody else did something, and when a transaction fails.
 */
export class KernelTable {
  readonly #nft: Nft;
  #settings: NatSettings | null = null;
  #desired = new ElementTable();
  #owners = new PortOwners();
  /** Pairs of limits that have chains in the kernel, by name. */
  #ownLimits = new Map<string, NatLimits>();
  /** The kernel's print right after our rules went in; null = the kernel is to be read before the next step. */
  #print: string | null = null;

  constructor(nft: Nft) {
    this.#nft = nft;
  }

  get settings(): NatSettings | null {
    return this.#settings;
  }

  get entries(): ReadonlyMap<string, NatEntry> {
    return this.#desired.entries;
  }

  async replace(settings: NatSettings, entries: readonly NatEntry[]): Promise<Result<Applied, NatError>> {
    const wanted = new Set(entries.map(({ id }) => id));
    const change: NatChange = { put: entries, remove: [...this.entries.keys()].filter((id) => !wanted.has(id)) };
    const problem = settingsProblem(settings) ?? this.#owners.problem(change, this.entries);
    if (problem !== null) return err(problem);
    const first = this.#settings === null;
    const sameRules = this.#print !== null && JSON.stringify(this.#settings) === JSON.stringify(settings);
    const before = this.#settings;
    const stale = changedEntries(this.entries, [change]);
    const undo = undoOf(this.entries, [change]);
    const delta = this.#change([change]);
    this.#settings = settings;
    const result = await this.#commit(delta, !sameRules);
    if (result.ok) return ok({ stale: first ? result.value.stale : stale, mended: first && result.value.mended });
    this.#change([undo]);
    this.#settings = before;
    this.#print = null;
    return result;
  }

  /** Answers in the order of `changes`. They share a transaction; when it fails, each is tried alone, so that a bad one is found. */
  async change(changes: readonly NatChange[]): Promise<Result<Applied, NatError>[]> {
    const problems = new Map<NatChange, NatError>();
    const undo = undoOf(this.entries, changes);
    const stale: NatEntry[] = [];
    const delta = this.#desired.batch(() => {
      for (const change of changes) {
        const problem = this.#owners.problem(change, this.entries);
        if (problem !== null) problems.set(change, problem);
        else {
          stale.push(...changedEntries(this.entries, [change]));
          this.#owners.change(change, this.entries);
          this.#desired.change(change);
        }
      }
    });
    const good = changes.filter((change) => !problems.has(change));
    const committed = good.length === 0 ? ok(NOTHING_DONE) : await this.#commit(delta, false);
    if (committed.ok || good.length === 1 || !mayBeOneChange(committed.error)) {
      if (!committed.ok) this.#change([undo]);
      const shared: Result<Applied, NatError> = committed.ok ? ok({ ...committed.value, stale }) : committed;
      let told = false;
      return changes.map((change) => {
        const problem = problems.get(change);
        if (problem !== undefined) return err(problem);
        // What is stale is said once for all.
        const result = shared.ok && told ? ok(NOTHING_DONE) : shared;
        told = true;
        return result;
      });
    }
    this.#change([undo]);
    const results: Result<Applied, NatError>[] = [];
    for (const change of changes) {
      const problem = problems.get(change);
      results.push(problem === undefined ? ((await this.change([change]))[0] ?? committed) : err(problem));
    }
    return results;
  }

  /** Compares the rules with what they should be; when they are not, mends all of the table. */
  async verifyRules(): Promise<Result<Applied, NatError>> {
    if (this.#settings === null) return ok(NOTHING_DONE);
    const print = await this.#nft.print();
    if (!print.ok) return print;
    return this.#print !== null && print.value === this.#print ? ok(NOTHING_DONE) : await this.#sync(false);
  }

  /** Compares one set with what it should hold, and mends it: nft needs half a second for 20,000 elements. */
  async verifySet(set: StaticSetName): Promise<Result<Applied, NatError>> {
    // Without a print, whoever comes next reads all of the table.
    if (this.#settings === null || this.#print === null) return ok(NOTHING_DONE);
    const listed = await this.#nft.elements(set);
    if (!listed.ok) return mayBeOneChange(listed.error) ? await this.#sync(true) : listed;
    const delta = this.#difference(set, listed.value);
    if (delta.add.length === 0 && delta.remove.length === 0) return ok(NOTHING_DONE);
    const done = await this.#nft.apply(renderDelta(delta));
    if (!done.ok) return mayBeOneChange(done.error) ? await this.#sync(true) : done;
    return ok({ stale: entriesOfDelta(delta), mended: true });
  }

  #change(changes: readonly NatChange[]): Delta {
    return this.#desired.batch(() => {
      for (const change of changes) {
        this.#owners.change(change, this.entries);
        this.#desired.change(change);
      }
    });
  }

  /** Brings the kernel to the desired state, of which `delta` is new. */
  async #commit(delta: Delta, rules: boolean): Promise<Result<Applied, NatError>> {
    if (this.#print === null) return await this.#sync(true);
    const done = rules ? await this.#rewrite(delta) : await this.#applyDelta(delta);
    // Somebody else changed what we relied on, or the kernel refuses this: reading what it holds tells which.
    return done.ok ? ok(NOTHING_DONE) : mayBeOneChange(done.error) ? await this.#sync(true) : done;
  }

  async #applyDelta(delta: Delta): Promise<Result<null, NatError>> {
    const fresh = [...this.#usedLimits()].filter(([name]) => !this.#ownLimits.has(name));
    const settings = this.#settings;
    if (fresh.length === 0 || settings === null) return await this.#nft.apply(renderDelta(delta));
    const parts = fresh.map(([, limits]) => checkParts(settings, limits));
    const skeleton = {
      counters: [],
      sets: parts.flatMap(({ sets }) => sets),
      chains: parts.flatMap(({ chains }) => chains),
    };
    const done = await this.#nft.apply(renderParts(skeleton) + renderDelta(delta));
    if (!done.ok) return done;
    for (const [name, limits] of fresh) this.#ownLimits.set(name, limits);
    return await this.#remember(settings);
  }

  async #rewrite(delta: Delta): Promise<Result<null, NatError>> {
    const present = await this.#nft.table();
    if (!present.ok) return present;
    if (present.value === null) return err({ kind: "refused", message: "The table was gone." });
    return await this.#applyRules((skeleton) => renderRewrite(skeleton, present.value as ListedTable, delta));
  }

  /** Reads what the kernel holds and mends it; keeps what is right, counters and all. `force`: the rules are written anyway. */
  async #sync(force: boolean): Promise<Result<Applied, NatError>> {
    const listed = await this.#nft.table();
    if (!listed.ok) return listed;
    const present = listed.value;
    const compared = await this.#compare(present);
    if (!compared.ok) return compared;
    const delta = compared.value;
    const stale = entriesOfDelta(delta);
    const isSame = delta.add.length === 0 && delta.remove.length === 0;
    if (present !== null) {
      const print = await this.#nft.print();
      if (!print.ok) return print;
      const sameRules = !force && this.#print !== null && print.value === this.#print;
      if (sameRules && isSame) return ok(NOTHING_DONE);
      const done = sameRules
        ? await this.#nft.apply(renderDelta(delta))
        : await this.#applyRules((skeleton) => renderRewrite(skeleton, present, delta));
      if (done.ok || !mayBeOneChange(done.error)) return done.ok ? ok({ stale, mended: true }) : done;
    }
    // The table is not there, or holds something under our names that is not ours: made anew, counters begin at 0.
    const anew = await this.#applyRules((skeleton) => renderAnew(skeleton, [...this.#desired.elements()]));
    // A first start finds no table, and nothing is wrong with that.
    return anew.ok ? ok({ stale, mended: present !== null || !force }) : anew;
  }

  /** What is missing in the kernel, and what is there and should not be. */
  async #compare(present: ListedTable | null): Promise<Result<Delta, NatError>> {
    if (present === null) return ok({ remove: [], add: [...this.#desired.elements()] });
    const remove: Element[] = [];
    const add: Element[] = [];
    for (const set of STATIC_SET_NAMES) {
      const there = STATIC_SETS[set].kind === "map" ? present.maps.has(set) : present.sets.has(set);
      const listed = there ? await this.#nft.elements(set) : ok([]);
      if (!listed.ok) return listed;
      const different = this.#difference(set, listed.value);
      remove.push(...different.remove);
      add.push(...different.add);
    }
    return ok({ remove, add });
  }

  #difference(set: StaticSetName, listed: readonly ListedElement[]): Delta {
    const actual = new Map(listed.map(({ key, data }) => [key, data]));
    const remove: Element[] = [];
    const add: Element[] = [];
    for (const [key, data] of actual) if (this.#desired.get(set, key) !== data) remove.push({ set, key, data });
    for (const key of this.#desired.keys(set)) {
      const data = this.#desired.get(set, key) ?? null;
      if (actual.get(key) !== data) add.push({ set, key, data });
    }
    return { remove, add };
  }

  async #applyRules(render: (skeleton: Skeleton) => string): Promise<Result<null, NatError>> {
    const settings = this.#settings;
    if (settings === null) return ok(null);
    const limits = this.#usedLimits();
    this.#print = null;
    const done = await this.#nft.apply(render(renderSkeleton(settings, [...limits.values()])));
    if (!done.ok) return done;
    this.#ownLimits = limits;
    return await this.#remember(settings);
  }

  /** Somebody else may have been between the transaction and this: then it is not what we wrote, and the next look mends it. */
  async #remember(settings: NatSettings): Promise<Result<null, NatError>> {
    const print = await this.#nft.print();
    if (!print.ok) return print;
    const { chains, sets, counters } = renderSkeleton(settings, [...this.#ownLimits.values()]);
    const expected = new Map([
      ...chains.map(({ name, rules }) => [name, rules.length] as const),
      ...sets.map(({ kind, name }) => [`${kind} ${name}`, 0] as const),
      ...counters.map((name) => [`counter ${name}`, 0] as const),
    ]);
    const found = print.value === null ? new Map<string, number>() : outlineOf(print.value);
    const isOurs = found.size === expected.size && [...expected].every(([name, count]) => found.get(name) === count);
    this.#print = isOurs ? print.value : null;
    return ok(null);
  }

  #usedLimits(): Map<string, NatLimits> {
    return this.#desired.limits(limitsName);
  }
}

/** Whether the other changes of a transaction, or a look at the kernel, may help. */
function mayBeOneChange({ kind }: NatError): boolean {
  return kind === "refused" || kind === "unsupported";
}
