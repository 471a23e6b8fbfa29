import type { Cidr } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";
import type { DeleteRequest } from "./delete.ts";
import type { MappingRefusal } from "./refusal.ts";
import type { MappingRequest } from "./request.ts";

/** Who may use a mapping: a network, and (PCP's FILTER, AddPinhole) one port of it. */
export interface RemotePeer {
  readonly network: Cidr;
  /** Null = every port. */
  readonly port: number | null;
}

/** What a client asks for, with all that its protocol says of it. */
export interface MapAsk extends MappingRequest {
  /** As granted already by the protocol's own rules; null = permanent. */
  readonly lifetimeSec: number | null;
  /** For people, printable; empty when the protocol has none. */
  readonly description: string;
  /** Empty = everybody. */
  readonly remotes: readonly RemotePeer[];
  /** IGD's NewEnabled: a disabled mapping holds its port and leads nowhere. */
  readonly enabled: boolean;
}

/** A hole in the IPv6 firewall: nothing is translated, so there is no external port. */
export interface PinholeAsk {
  readonly via: "pcp" | "igd";
  readonly requester: string;
  /** PCP's header says it; null = the protocol has none. */
  readonly claimedAddress: string | null;
  readonly nonce: string | null;
  readonly internalAddress: string;
  readonly protocol: Protocol;
  readonly internalPort: number;
  readonly remotes: readonly RemotePeer[];
  readonly lifetimeSec: number;
  readonly description: string;
}

/** A mapping or a pinhole as the gateway has it. One of a range has its first ports here. */
export interface MappingInfo {
  /** Of this mapping as long as it exists; for a pinhole the UniqueID of IGD is made from it. */
  readonly id: string;
  readonly protocol: Protocol;
  /** For a pinhole: the internal port. */
  readonly externalPort: number;
  readonly lastExternalPort: number;
  readonly internalAddress: string;
  readonly internalPort: number;
  readonly description: string;
  readonly enabled: boolean;
  readonly remotes: readonly RemotePeer[];
  /** Null = permanent. */
  readonly remainingSec: number | null;
  /** Made by the operator: no protocol changes or deletes it. */
  readonly fixed: boolean;
  readonly nonce: string | null;
}

/** IGD names mappings by their external side. */
export interface ExternalDelete {
  readonly requester: string;
  readonly protocol: Protocol;
  readonly firstExternalPort: number;
  readonly lastExternalPort: number;
}

/** NAT-PMP and PCP name mappings by their internal side. */
export interface InternalDelete {
  readonly requester: string;
  readonly internalAddress: string;
  readonly request: DeleteRequest;
}

/** A refusal, and how much longer the mapping that stands in the way lasts (RFC 6887 §7.4 asks for it), if one does. */
export interface DeskRefusal extends MappingRefusal {
  readonly heldForSec: number | null;
}

/** Bytes and packets through the external side since the start, as IGD's clients poll them. */
export interface ExternalCounters {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
}

/**
 * Where the servers of the mapping protocols bring what clients ask for. What resolves is true already: the kernel
 * forwards it (or no longer does) and the disk knows. Rejects only when the gateway itself fails (no disk, no kernel);
 * the servers then answer with their protocol's own "try again".
 */
export interface MappingDesk {
  /** What visitors reach the gateway by, IPv4; null while there is none. */
  externalAddress(): string | null;
  /** Seconds that the external side has been up. */
  uptimeSec(): number;
  /** Of the table of mappings, for NAT-PMP and PCP. */
  epochSec(): number;
  /** Makes, renews or changes a mapping (`decideMapping` says which). */
  map(ask: MapAsk): Promise<Result<MappingInfo, DeskRefusal>>;
  /** Null = done, also when there was nothing to delete. */
  unmapInternal(request: InternalDelete): Promise<MappingRefusal | null>;
  /** How many were deleted: none is IGD's NoSuchEntryInArray. A refusal = one is another client's or the operator's. */
  unmapExternal(request: ExternalDelete): Promise<Result<number, MappingRefusal>>;
  pin(ask: PinholeAsk): Promise<Result<MappingInfo, DeskRefusal>>;
  /** Null = done. */
  unpin(requester: string, id: string): Promise<MappingRefusal | null>;
  /** The mapping that has an external port, if the requester may see it. */
  at(requester: string, protocol: Protocol, externalPort: number): MappingInfo | null;
  /** What the requester may see, in a stable order: its own in secure mode, else all. Pinholes are not among them. */
  list(requester: string): readonly MappingInfo[];
  pinholes(requester: string): readonly MappingInfo[];
  /** Packets a pinhole has let in. Pinholes of one port share it, and what it let in counts for each. */
  pinholePackets(id: string): Promise<number>;
  counters(): Promise<ExternalCounters>;
}
