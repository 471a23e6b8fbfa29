import type { Protocol } from "../../wire/port-set.ts";
import type { Element } from "./elements.ts";
import type { Delta } from "./render.ts";
import type { NatChange, NatEntry } from "./state.ts";

/** A client that no connection leads to. */
const NOBODY = { forward: "0.0.0.0", pinhole: "::" } as const;

/**
 * Whose connections conntrack must forget: what an entry led that is gone or another now, and what came to a UDP port
 * before it was forwarded. Pass it the entries as they were before `changes`.
 */
export function changedEntries(entries: ReadonlyMap<string, NatEntry>, changes: readonly NatChange[]): NatEntry[] {
  return changes.flatMap(({ put, remove }) => [
    ...remove.flatMap((id) => entries.get(id) ?? []),
    ...put.flatMap((entry) => {
      const old = entries.get(entry.id);
      if (old !== undefined && JSON.stringify(old) === JSON.stringify(entry)) return [];
      const fresh = entry.protocol === "udp" ? [entry] : [];
      return old === undefined ? fresh : [old, ...fresh];
    }),
  ]);
}

/**
 * The same when only the kernel knows what was there before. What is added may have been there a second ago, and its
 * connections are right: only those that were led nowhere are to go.
 */
export function entriesOfDelta({ remove, add }: Delta): NatEntry[] {
  const fresh = add.flatMap(entryOf).filter(({ protocol }) => protocol === "udp");
  return [...remove.flatMap(entryOf), ...fresh.map((entry) => ({ ...entry, to: NOBODY[entry.kind] }))];
}

const PORTS = /(tcp|udp) \. (\d+)(?:-(\d+))?$/;

function entryOf({ set, key, data }: Element): NatEntry[] {
  const [, protocol, first, last] = PORTS.exec(key) ?? [];
  if (protocol === undefined) return [];
  const common = {
    id: key,
    protocol: protocol as Protocol,
    first: Number(first),
    last: Number(last ?? first),
    allow: [],
    deny: [],
    limits: null,
  };
  switch (set) {
    case "hw_dnat": {
      const [to = "", port] = (data ?? "").split(" . ");
      return [{ kind: "forward", ...common, to, internalFirst: Number(port) }];
    }
    case "hw_dnat_spans":
      return [{ kind: "forward", ...common, to: data ?? "", internalFirst: common.first }];
    case "hw_pinholes":
    case "hw_pinhole_spans":
      return [{ kind: "pinhole", ...common, to: key.split(" . ")[0] ?? "" }];
    default:
      return [];
  }
}
