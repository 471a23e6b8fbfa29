import type { Cidr } from "../../wire/address.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { EntrySpec, Limits, Origin } from "../forward.ts";
import type { RemotePeer } from "./desk.ts";

/**
 * A forward by the gateway's kernel: external ports that lead to a client inside, or (IPv6) the client's own ports that
 * may be reached from outside, a pinhole, whose external and internal ports are the same.
 */
export interface MappingSpec extends EntrySpec {
  readonly group: null;
  /** The client's address, canonical text. IPv6 = a pinhole. */
  readonly to: string;
  /** Who asked, for quotas; null = the operator, and no protocol changes or deletes it. */
  readonly requester: string | null;
  readonly origin: Origin;
  /** The internal port as the client named it: NAT-PMP's 0 means "the same as outside". */
  readonly askedInternalPort: number;
  /** PCP's, lower-case hexadecimal. */
  readonly nonce: string | null;
  /** Who may come in; empty = everybody. */
  readonly allow: readonly RemotePeer[];
  /** Wins over allow. */
  readonly deny: readonly Cidr[];
  readonly limits: Pick<Limits, "connectionsPerSource" | "newPerSourcePerSec">;
  readonly enabled: boolean;
}

export function isPinhole(spec: Pick<MappingSpec, "to">): boolean {
  return isIpv6(spec.to);
}
