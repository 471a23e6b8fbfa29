import { seesAll } from "../../core/access/rights.ts";
import type { OpenTrigger } from "../../dataplanes/nat/state.ts";
import type { NatVisit } from "../../dataplanes/nat/visits.ts";
import type { VpnPeerStatus } from "../../dataplanes/nat/wireguard/state.ts";
import type { Principal } from "../../servers/api/backend.ts";
import { FIRST_ACCOUNT_ID } from "../../store/accounts.ts";
import type { Store } from "../../store/store.ts";
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import type { GatewayView } from "../gateway/control.ts";
import { type Traffic, trafficOf } from "../gateway/forward-info.ts";
import { rethrow } from "./gateway-failures.ts";
import { Recent } from "./recent.ts";

/** Somebody who follows looks once a second; several are to cost as much as one. */
const RECENT_MS = 900;

/** What the kernel says now, for whoever looks: each reading runs a program or two. */
export interface KernelSight {
  readonly traffic: Recent<Traffic>;
  readonly triggers: Recent<readonly OpenTrigger[]>;
  /** One by one: with 20,000 flows in the kernel a reading takes 0.3 s of the machine's CPU. */
  readonly visits: Recent<readonly NatVisit[]>;
  /** By public key. */
  readonly peers: Recent<ReadonlyMap<string, VpnPeerStatus>>;
}

export function kernelSight(view: GatewayView): KernelSight {
  const recent = <T>(read: () => Promise<T>) => new Recent(read, RECENT_MS, view.nowMs);
  return {
    traffic: recent(() => trafficOf(view)),
    triggers: recent(() => view.kernel.plane.openTriggers()),
    visits: recent(() => view.kernel.visits()),
    peers: recent(async () => new Map((await view.vpn.status()).map((one) => [one.publicKey, one]))),
  };
}

/** Whose a peer is. */
export function accountOf({ account }: Pick<StoredVpnPeer, "account">): string {
  return account ?? FIRST_ACCOUNT_ID;
}

/** Hosts of the LAN are nobody's: who does not see all accounts sees none of them. */
export function seesPeer(who: Principal, peer: StoredVpnPeer | null): boolean {
  return seesAll(who) || (peer !== null && accountOf(peer) === who.accountId);
}

export async function accountNames({ accounts }: Pick<Store, "accounts">): Promise<ReadonlyMap<string, string>> {
  const all = await accounts.list().catch(rethrow);
  return new Map(all.map(({ id, name }) => [id, name]));
}
