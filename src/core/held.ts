import { type ExternalPorts, sameExternal } from "./external-ports.ts";
import type { RemoteSpec } from "./forward.ts";

export interface Owner {
  readonly account: string;
  readonly device: string;
}

/** A remote forward as the relay holds it. A change makes a new one; the object itself never changes. */
export interface HeldForward {
  readonly owner: Owner;
  readonly spec: RemoteSpec;
  /** The relay's address that the entry listens on: an IP literal, or `*`. */
  readonly bind: string;
  readonly external: ExternalPorts;
}

/** What the store keeps of a forward. */
export type StoredForward = Pick<HeldForward, "owner" | "spec" | "bind">;

/** Whether two forwards may hold the same entry ports: members of one group of one account, with the same external side. */
export function mayShare(a: HeldForward, b: HeldForward): boolean {
  return (
    a.owner.account === b.owner.account &&
    a.spec.group !== null &&
    a.spec.group === b.spec.group &&
    sameExternal(a.external, b.external)
  );
}
