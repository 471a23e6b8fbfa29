import { isIpv6 } from "../../wire/address.ts";
import { FAMILY, STATIC_SETS, type StaticSetName, TABLE_NAME } from "./names.ts";
import type { TableObjects } from "./render.ts";

/** An element as the kernel has it; key and data in the same text as `elementsOf` gives. */
export interface ListedElement {
  readonly key: string;
  readonly data: string | null;
  readonly packets: number;
  readonly bytes: number;
  /** Until it goes by itself. */
  readonly expiresSec: number | null;
}

/** Our table but its elements. */
export interface ListedTable extends TableObjects {
  /** Packets by the counter's name. */
  readonly counters: ReadonlyMap<string, number>;
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

const ADDRESS_BITS = { v4: 32, v6: 128 } as const;
/** Without /etc/protocols nft prints numbers. */
const PROTOCOL_NAMES: Readonly<Record<string, string>> = { "6": "tcp", "17": "udp" };

/** `nft -j list set|map`. */
export function parseElements(text: string, protocolAt: number | null): ListedElement[] {
  for (const item of items(text)) {
    const set = field(item, "set") ?? field(item, "map");
    const elements = set === undefined ? undefined : field(set, "elem");
    if (Array.isArray(elements))
      return elements.map((element) =>
        parseElement(element, set !== undefined && field(set, "map") !== undefined, protocolAt),
      );
  }
  return [];
}

/** Where in the key of a static set the protocol stands; null = it has none. */
export function protocolPlace(set: StaticSetName): number | null {
  if (STATIC_SETS[set].spec.startsWith("type inet_service")) return null;
  return STATIC_SETS[set].spec.startsWith("type inet_proto") ? 0 : 1;
}

/** `nft -j -t list ruleset`; null = our table is not there. */
export function parseTable(text: string): ListedTable | null {
  const names = { chain: new Set<string>(), set: new Set<string>(), map: new Set<string>() };
  const counters = new Map<string, number>();
  let found = false;
  for (const item of items(text)) {
    const table = field(item, "table");
    if (table !== undefined && field(table, "name") === TABLE_NAME && field(table, "family") === FAMILY) found = true;
    for (const kind of ["chain", "set", "map"] as const) {
      const object = field(item, kind);
      if (object !== undefined && isOurs(object)) names[kind].add(String(field(object, "name")));
    }
    const counter = field(item, "counter");
    if (counter !== undefined && isOurs(counter))
      counters.set(String(field(counter, "name")), Number(field(counter, "packets")));
  }
  return found ? { chains: names.chain, sets: names.set, maps: names.map, counters } : null;
}

/** The block of our table in `nft list ruleset`; null = it is not there. */
export function tableBlock(text: string): string | null {
  const lines = text.split("\n");
  const start = lines.indexOf(`table ${FAMILY} ${TABLE_NAME} {`);
  if (start < 0) return null;
  const length = lines.slice(start).indexOf("}");
  return lines.slice(start, start + length + 1).join("\n");
}

/** What is in such a block, by name; of each chain how many rules: a line each. */
export function outlineOf(block: string): Map<string, number> {
  const outline = new Map<string, number>();
  let object: string | null = null;
  let isChain = false;
  for (const line of block.split("\n")) {
    const [, kind, name] = /^\t(\w+) (\S+) \{$/.exec(line) ?? [];
    if (name !== undefined) {
      object = name;
      isChain = kind === "chain";
      outline.set(isChain ? name : `${kind} ${name}`, 0);
    } else if (line === "\t}") object = null;
    else if (object !== null && isChain && !line.startsWith("\t\ttype "))
      outline.set(object, (outline.get(object) ?? 0) + 1);
  }
  return outline;
}

function isOurs(object: Json): boolean {
  return field(object, "table") === TABLE_NAME && field(object, "family") === FAMILY;
}

function items(text: string): readonly Json[] {
  if (text.trim() === "") return [];
  const list = field(JSON.parse(text) as Json, "nftables");
  return Array.isArray(list) ? list : [];
}

function field(value: Json, name: string): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [name: string]: Json })[name]
    : undefined;
}

function parseElement(element: Json, isMap: boolean, protocolAt: number | null): ListedElement {
  const [left, right] = isMap && Array.isArray(element) ? (element as Json[]) : [element, undefined];
  const wrapped = left === undefined ? undefined : field(left, "elem");
  const value = wrapped === undefined ? left : field(wrapped, "val");
  const counter = wrapped === undefined ? undefined : field(wrapped, "counter");
  const expires = wrapped === undefined ? undefined : field(wrapped, "expires");
  return {
    key: exprText(value ?? null, protocolAt),
    data: right === undefined ? null : exprText(right, null),
    packets: Number(counter === undefined ? 0 : field(counter, "packets")),
    bytes: Number(counter === undefined ? 0 : field(counter, "bytes")),
    expiresSec: typeof expires === "number" ? expires : null,
  };
}

function exprText(value: Json, protocolAt: number | null): string {
  const parts = field(value, "concat");
  if (Array.isArray(parts))
    return parts
      .map((part, at) => {
        const text = exprText(part, null);
        return at === protocolAt ? (PROTOCOL_NAMES[text] ?? text) : text;
      })
      .join(" . ");
  const range = field(value, "range");
  if (Array.isArray(range)) return range.map((end) => exprText(end, null)).join("-");
  const prefix = field(value, "prefix");
  if (prefix !== undefined) {
    const address = String(field(prefix, "addr"));
    const bits = Number(field(prefix, "len"));
    return bits === (isIpv6(address) ? ADDRESS_BITS.v6 : ADDRESS_BITS.v4) ? address : `${address}/${bits}`;
  }
  const jump = field(value, "jump");
  if (jump !== undefined) return `jump ${String(field(jump, "target"))}`;
  return String(value);
}
