import type { HeldMapping } from "../../core/mapping/book.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import type { VpnMode } from "../../core/vpn/peers.ts";
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import { classifyAddress } from "../../wire/address.ts";
import { settleProtocol } from "../../wire/port-set.ts";
import type { VpnKeys, VpnPeerDraft, VpnPeerPatch } from "../control.ts";
import { type OpeningView, type PortsView, portRefusal, putFixed, specOf } from "./fixed.ts";
import { takenText } from "./mappings.ts";
import { GatewayRefused } from "./refused.ts";
import { deviceOf, type GatewayVpn } from "./vpn.ts";
import { parseMode } from "./vpn-mode.ts";

/** Ids of the mapping that leads a peer's ports to it, and of its pinhole. No other way of making one gives such ids. */
const FORWARDED = { v4: "vpn-ports", v6: "vpn-ports-ipv6" } as const;
const FORWARDED_IDS: readonly string[] = Object.values(FORWARDED);
/** While a peer has no address yet. */
const NO_ADDRESS = "0.0.0.0";

export interface PeerWish {
  /** Of a new one; absent = the first account. */
  readonly account?: string;
  /** The ports of `only` are led to the peer at once; absent = as before. */
  readonly forwarded?: boolean;
  /** For the audit log; absent = the operator. */
  readonly actor?: string;
  /** Throws when whoever asks may not have this forward. */
  permit?(spec: MappingSpec): void;
}

/** Whether it follows a peer's mode, and is changed with that. */
export function isPeersOwn({ spec }: HeldMapping): boolean {
  return FORWARDED_IDS.includes(spec.id);
}

export interface PeersView extends OpeningView, PortsView {
  readonly vpn: GatewayVpn;
  /** The kernel follows what the VPN's peers may now. Rejects with ControlError. */
  followPeers(): Promise<void>;
}

/**
 * The peers of the VPN with what leads to them: the kernel has what they may when a change resolves, and one that is refused
 * leaves all as it was. One change at a time: what is taken back is what was before it.
 */
export class GatewayPeers {
  readonly #view: PeersView;
  #last: Promise<unknown> = Promise.resolve();

  constructor(view: PeersView) {
    this.#view = view;
  }

  /** Whether the ports of its mode are led to it. */
  isForwarded(peer: StoredVpnPeer): boolean {
    return this.#held(peer).length > 0;
  }

  add(draft: VpnPeerDraft, { account, forwarded = false, actor, permit }: PeerWish = {}): Promise<StoredVpnPeer> {
    return this.#inTurn(async () => {
      const { vpn, followPeers } = this.#view;
      const mode = parseMode(draft.mode);
      const future = { name: draft.name, v4: NO_ADDRESS, v6: NO_ADDRESS };
      if (forwarded) this.#refuse(specsFor(future, mode), permit);
      const peer = await vpn.add(draft, account ?? null, actor);
      if (forwarded) {
        await this.#lead(peer, specsFor(peer, mode), actor).catch(async (error: unknown) => {
          await vpn.remove(peer, actor);
          throw error;
        });
      }
      await followPeers();
      return peer;
    });
  }

  change(nameOrId: string, change: VpnPeerPatch, { forwarded, actor, permit }: PeerWish = {}): Promise<StoredVpnPeer> {
    return this.#inTurn(async () => {
      const { vpn, followPeers } = this.#view;
      const before = await vpn.find(nameOrId);
      const mode = change.mode === undefined ? before.mode : parseMode(change.mode);
      const isWanted = forwarded ?? this.isForwarded(before);
      const specs = isWanted ? specsFor({ ...before, name: change.name ?? before.name }, mode) : [];
      this.#refuse(specs, permit);
      const had = this.#held(before).map(({ spec }) => spec);
      await this.#lead(before, specs, actor);
      try {
        const peer = await vpn.change(before.id, change, actor);
        await followPeers();
        return peer;
      } catch (error) {
        await this.#lead(before, had, actor);
        throw error;
      }
    });
  }

  rotate(nameOrId: string, keys: VpnKeys, actor?: string): Promise<StoredVpnPeer> {
    return this.#inTurn(async () => {
      const peer = await this.#view.vpn.rotate(nameOrId, keys, actor);
      await this.#view.followPeers();
      return peer;
    });
  }

  /** With what leads to it. */
  remove(nameOrId: string, actor?: string): Promise<{ readonly peer: StoredVpnPeer; readonly forwards: number }> {
    return this.#inTurn(async () => {
      const { vpn, book, mappings, followPeers } = this.#view;
      const peer = await vpn.find(nameOrId);
      const held = book.ofDevice(deviceOf(peer.id));
      await mappings.remove(held, "forgotten", actor);
      await vpn.remove(peer, actor);
      await followPeers();
      return { peer, forwards: held.length };
    });
  }

  #held(peer: StoredVpnPeer): HeldMapping[] {
    return this.#view.book.ofDevice(deviceOf(peer.id)).filter(isPeersOwn);
  }

  #refuse(specs: readonly MappingSpec[], permit: PeerWish["permit"]): void {
    for (const spec of specs) {
      permit?.(spec);
      const refusal = portRefusal(this.#view, spec);
      if (refusal !== null) throw refusal;
      const taken = this.#view.book.refusal(spec, this.#view.nowMs());
      if (taken !== null) throw new GatewayRefused("taken", takenText(taken));
    }
  }

  /** Makes what leads a peer's ports to it exactly this; or rejects, and it is as it was. */
  async #lead(peer: StoredVpnPeer, specs: readonly MappingSpec[], actor: string | undefined): Promise<void> {
    const before = this.#held(peer).map(({ spec }) => spec);
    try {
      await this.#set(peer, specs, actor);
    } catch (error) {
      await this.#set(peer, before, actor);
      throw error;
    }
  }

  async #set(peer: StoredVpnPeer, specs: readonly MappingSpec[], actor: string | undefined): Promise<void> {
    const gone = this.#held(peer).filter(({ spec }) => !specs.some(({ id }) => id === spec.id));
    await this.#view.mappings.remove(gone, "forgotten", actor);
    for (const spec of specs) await putFixed(this.#view, spec, actor);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    // Whoever asked hears of a failure; the next one begins all the same.
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** What leads the ports of a mode to a peer; none in other modes. */
function specsFor({ name, v4, v6 }: Pick<StoredVpnPeer, "name" | "v4" | "v6">, mode: VpnMode): MappingSpec[] {
  if (mode.kind !== "only") return [];
  const draft = { name, lifetimeSec: null, allow: [], deny: [], limits: {}, enabled: true };
  const ports = settleProtocol(mode.ports, "tcp+udp");
  const mapping = specOf({ ...draft, id: FORWARDED.v4, ports }, v4, "api");
  // Where outside has a way to it at all. Nothing is translated there: a port that leads to another has no pinhole.
  const own =
    classifyAddress(v6) === "public" ? ports.filter(({ first, internalFirst }) => first === internalFirst) : [];
  return own.length === 0 ? [mapping] : [mapping, specOf({ ...draft, id: FORWARDED.v6, ports: own }, v6, "api")];
}
