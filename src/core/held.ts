import { type ExternalPorts, sameExternal } from "./external-ports.ts";
import type { EntrySpec, RemoteSpec } from "./forward.ts";

export interface Owner {
  readonly account: string;
  readonly device: string;
}

/** A forward as the table holds it. A change makes a new one; the object itself never changes. */
export interface HeldForward<S extends EntrySpec = RemoteSpec> {
  readonly owner: Owner;
  readonly spec: S;
  /** The address that the entry listens on: an IP literal, or `*`. */
  readonly bind: string;
  readonly external: ExternalPorts;
}

/** What the store keeps of a forward. */
export type StoredForward<S extends EntrySpec = RemoteSpec> = Pick<HeldForward<S>, "owner" | "spec" | "bind">;

/** Whether two forwards may hold the same entry ports: members of one group of one account, with the same external side. */
export function mayShare(a: HeldForward<EntrySpec>, b: HeldForward<EntrySpec>): boolean {
  return (
    a.owner.account === b.owner.account &&
    a.spec.group !== null &&
    a.spec.group === b.spec.group &&
    sameExternal(a.external, b.external)
  );
}
