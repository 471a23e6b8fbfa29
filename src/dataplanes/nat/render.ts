import type { Element } from "./elements.ts";
import { type StaticSetName, TABLE } from "./names.ts";
import type { Chain, SetDeclaration, Skeleton } from "./rule-words.ts";

/** Elements that one transaction takes away and adds; deletions come first, so that a key can change its data. */
export interface Delta {
  readonly remove: readonly Element[];
  readonly add: readonly Element[];
}

/** What is in the table besides elements, by name; null = there is no table. */
export interface TableObjects {
  readonly chains: ReadonlySet<string>;
  readonly sets: ReadonlySet<string>;
  readonly maps: ReadonlySet<string>;
}

export function renderDelta({ remove, add }: Delta): string {
  return elementLines("delete", remove) + elementLines("add", add);
}

/** Removes the table and makes it anew: in one transaction no packet sees it gone. */
export function renderAnew(skeleton: Skeleton, elements: readonly Element[]): string {
  return `add table ${TABLE}\ndelete table ${TABLE}\nadd table ${TABLE}\n${renderParts(skeleton)}${elementLines("add", elements)}`;
}

/** Makes the table's rules those of `skeleton`; sets that stay keep their elements, and these their counters. */
export function renderRewrite(skeleton: Skeleton, present: TableObjects, { remove, add }: Delta): string {
  const chains = new Set(skeleton.chains.map(({ name }) => name));
  const sets = new Set(skeleton.sets.map(({ name }) => name));
  const flush = [...present.chains].map((name) => `flush chain ${TABLE} ${name}\n`);
  const goneSets = [...present.sets].filter((name) => !sets.has(name)).map((name) => `delete set ${TABLE} ${name}\n`);
  const goneMaps = [...present.maps].filter((name) => !sets.has(name)).map((name) => `delete map ${TABLE} ${name}\n`);
  const goneChains = [...present.chains].filter((name) => !chains.has(name));
  return [
    `add table ${TABLE}\n`,
    ...flush,
    renderParts(skeleton),
    elementLines("delete", remove),
    ...goneSets,
    ...goneMaps,
    ...goneChains.map((name) => `delete chain ${TABLE} ${name}\n`),
    elementLines("add", add),
  ].join("");
}

/** Sets before the rules that use them, and every chain before a rule that jumps to it. */
export function renderParts({ counters, sets, chains }: Skeleton): string {
  return [
    ...counters.map((name) => `add counter ${TABLE} ${name}\n`),
    ...sets.map(setLine),
    ...chains.map(chainLine),
    ...chains.flatMap(({ name, rules }) => rules.map((rule) => `add rule ${TABLE} ${name} ${rule}\n`)),
  ].join("");
}

function setLine({ kind, name, spec }: SetDeclaration): string {
  return `add ${kind} ${TABLE} ${name} { ${spec} }\n`;
}

function chainLine({ name, hook }: Chain): string {
  return hook === null ? `add chain ${TABLE} ${name}\n` : `add chain ${TABLE} ${name} { ${hook} }\n`;
}

function elementLines(verb: "add" | "delete", elements: readonly Element[]): string {
  const bySet = new Map<StaticSetName, string[]>();
  for (const { set, key, data } of elements) {
    const list = bySet.get(set) ?? [];
    if (list.length === 0) bySet.set(set, list);
    list.push(data === null || verb === "delete" ? key : `${key} : ${data}`);
  }
  return [...bySet].map(([set, list]) => `${verb} element ${TABLE} ${set} { ${list.join(", ")} }\n`).join("");
}
