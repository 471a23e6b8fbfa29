import type { Device, Forward, VpnPeer } from "../../servers/api/schema.ts";
import type { ForwardFields } from "./draft.ts";

/** What a forward can lead to here. */
export interface Targets {
  readonly devices: readonly Device[];
  /** Null: the server is no gateway. */
  readonly peers: readonly VpnPeer[] | null;
  /** Hosts of a gateway's LAN too: they are nobody's, so administrators choose for them. */
  readonly lan: boolean;
}

export type Target =
  | { readonly kind: "device"; readonly device: Device }
  | { readonly kind: "peer"; readonly peer: VpnPeer }
  | { readonly kind: "lan"; readonly host: string };

/** Null: none is chosen, or none is written yet. */
export function targetOf(
  { device: wanted, lan }: ForwardFields,
  { devices, peers }: Pick<Targets, "devices" | "peers">,
): Target | null {
  const device = devices.find(({ id }) => id === wanted);
  if (device !== undefined) return { kind: "device", device };
  const peer = peers?.find(({ id }) => id === wanted);
  if (peer !== undefined) return { kind: "peer", peer };
  return lan && wanted.trim() !== "" ? { kind: "lan", host: wanted.trim() } : null;
}

/** Who moves its packets: agents are reached through the relay, the rest by the gateway's kernel. */
export function wayOf(target: Target | null, { lan }: ForwardFields): Forward["way"] {
  if (target === null) return lan ? "kernel" : "relay";
  return target.kind === "device" ? "relay" : "kernel";
}

/** The fields with what people most likely want, while they chose nothing. */
export function settleTarget(fields: ForwardFields, { devices, peers, lan }: Targets): ForwardFields {
  if (fields.lan || targetOf(fields, { devices, peers }) !== null) return fields;
  const usual =
    devices.find(({ connected }) => connected) ?? devices[0] ?? peers?.find(({ state }) => state === "active");
  if (usual !== undefined) return { ...fields, device: usual.id };
  return lan ? { ...fields, device: "", lan } : fields;
}
