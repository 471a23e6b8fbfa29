import { seesAll } from "../../core/access/rights.ts";
import type { VpnMode } from "../../core/vpn/peers.ts";
import {
  ApiFailure,
  type GatewayBackend,
  type Page,
  type PageRequest,
  type Principal,
} from "../../servers/api/backend.ts";
import type {
  Trigger,
  TriggerDraft,
  VpnChange,
  VpnPeer,
  VpnPeerDraft,
  VpnPeerPatch,
  VpnPeerReply,
  VpnServer,
} from "../../servers/api/schema.ts";
import { VpnKeys } from "../../servers/api/schema.ts";
import { VpnInitRequest } from "../../servers/local/vpn-schema.ts";
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import { parsePortSet, settleProtocol } from "../../wire/port-set.ts";
import type { TriggerInfo } from "../control.ts";
import type { GatewayView } from "../gateway/control.ts";
import { formatMode } from "../gateway/vpn-mode.ts";
import { actorOf } from "./access/context.ts";
import { triggerOf } from "./gateway-drafts.ts";
import { rethrow } from "./gateway-failures.ts";
import { type Quota, quotaOf } from "./gateway-quota.ts";
import { peerShown } from "./gateway-shown.ts";
import { accountNames, type KernelSight, seesPeer } from "./gateway-sight.ts";
import { pageOf } from "./pages.ts";

export interface ConsoleGatewayOptions {
  readonly gateway: GatewayView;
  readonly sight: KernelSight;
}

/** What whoever is no administrator may change of a peer. */
const OWN_FIELDS: readonly string[] = ["mode", "ports", "forwarded"];
const MS_PER_SEC = 1_000;

/** The VPN and the port triggers of a gateway, as the API shows and changes them. */
export class ConsoleGateway implements GatewayBackend {
  readonly #options: ConsoleGatewayOptions;
  readonly #gateway: GatewayView;

  constructor(options: ConsoleGatewayOptions) {
    this.#options = options;
    this.#gateway = options.gateway;
  }

  async vpn(): Promise<VpnServer | null> {
    return this.#gateway.vpn.serverInfo();
  }

  async changeVpn(who: Principal, change: VpnChange): Promise<VpnServer> {
    const { vpn, followPeers } = this.#gateway;
    await vpn.init(VpnInitRequest.parse(change), actorOf(who)).catch(rethrow);
    await followPeers().catch(rethrow);
    return this.#server();
  }

  async listVpnPeers(who: Principal, page: PageRequest): Promise<Page<VpnPeer>> {
    return pageOf(await this.peers(who), ({ name, id }) => `${name.toLowerCase()}\0${id}`, page);
  }

  async getVpnPeer(who: Principal, id: string): Promise<VpnPeer> {
    const [peer] = await this.#shown([this.#peer(who, id)]);
    if (peer === undefined) throw noPeer();
    return peer;
  }

  async addVpnPeer(who: Principal, draft: VpnPeerDraft): Promise<VpnPeerReply> {
    const { name, maxPorts = null, lifetimeSec, account = who.accountId } = draft;
    const owner = await this.#gateway.store.accounts.find(account).catch(rethrow);
    if (owner === null) throw wrong("invalid", "account", `There is no account "${account}".`);
    const mode = modeOf(draft, null);
    const peer = await this.#gateway.peers
      .add(
        {
          ...VpnKeys.parse({ publicKey: draft.publicKey, presharedKey: draft.presharedKey }),
          name,
          mode: formatMode(mode),
          maxPorts,
          expiresMs: this.#endMs(lifetimeSec ?? null),
        },
        { account: owner.id, actor: actorOf(who), forwarded: mode.kind === "only" && draft.forwarded !== false },
      )
      .catch(rethrow);
    return this.#reply(who, peer);
  }

  async changeVpnPeer(who: Principal, id: string, patch: VpnPeerPatch): Promise<VpnPeer> {
    const before = this.#peer(who, id);
    refuseForeign(who, patch);
    const mode = patch.mode === undefined && patch.ports === undefined ? before.mode : modeOf(patch, before.mode);
    if (patch.forwarded === true && mode.kind !== "only") throw onlyWith("forwarded");
    const quota = await quotaOf(this.#gateway, who);
    const isNew = mode.kind === "only" && before.mode.kind !== "only";
    const forwarded = mode.kind === "only" ? (patch.forwarded ?? (isNew ? true : undefined)) : false;
    if (patch.mode !== undefined || patch.ports !== undefined) permitMode(mode, quota);
    await this.#gateway.peers
      .change(
        id,
        {
          ...(patch.name === undefined ? {} : { name: patch.name }),
          ...(mode === before.mode ? {} : { mode: formatMode(mode) }),
          ...(patch.maxPorts === undefined ? {} : { maxPorts: patch.maxPorts }),
          ...(patch.lifetimeSec === undefined ? {} : { expiresMs: this.#endMs(patch.lifetimeSec) }),
          ...(patch.disabled === undefined ? {} : { disabled: patch.disabled }),
        },
        {
          actor: actorOf(who),
          permit: (spec) => quota.permit(spec),
          ...(forwarded === undefined ? {} : { forwarded }),
        },
      )
      .catch(rethrow);
    return this.getVpnPeer(who, id);
  }

  async rotateVpnPeer(who: Principal, id: string, keys: VpnKeys): Promise<VpnPeerReply> {
    const { id: own } = this.#peer(who, id);
    return this.#reply(who, await this.#gateway.peers.rotate(own, keys, actorOf(who)).catch(rethrow));
  }

  async removeVpnPeer(who: Principal, id: string): Promise<void> {
    await this.#gateway.peers.remove(this.#peer(who, id).id, actorOf(who)).catch(rethrow);
  }

  async listTriggers(who: Principal): Promise<Trigger[]> {
    if (!seesAll(who)) return [];
    const { triggers } = this.#gateway;
    const open = triggers.rules().length === 0 ? [] : await this.#options.sight.triggers.get();
    return triggers.infos(open).map(triggerShown);
  }

  async addTrigger(who: Principal, draft: TriggerDraft): Promise<Trigger> {
    const { triggers } = this.#gateway;
    const rule = triggerOf(draft);
    if (triggers.rules().some(({ name }) => name === rule.name)) {
      throw wrong("conflict", "name", `There is a trigger "${rule.name}" already: choose another name.`);
    }
    await triggers.add(rule, actorOf(who)).catch(rethrow);
    const added = triggers.infos([]).find(({ name }) => name === rule.name);
    if (added === undefined) throw new ApiFailure("changed", "Somebody removed the trigger meanwhile.");
    return triggerShown(added);
  }

  async removeTrigger(who: Principal, id: string): Promise<void> {
    const { triggers } = this.#gateway;
    if (!triggers.rules().some(({ name }) => name === id)) {
      throw new ApiFailure("not-found", "There is no such trigger.");
    }
    await triggers.remove(id, actorOf(who)).catch(rethrow);
  }

  /** All that they may see. */
  async peers(who: Principal): Promise<VpnPeer[]> {
    return this.#shown(this.#gateway.vpn.all().filter((peer) => seesPeer(who, peer)));
  }

  async #shown(peers: readonly StoredVpnPeer[]): Promise<VpnPeer[]> {
    const [status, names] = [await this.#options.sight.peers.get(), await accountNames(this.#gateway.store)];
    return peers.map((peer) => peerShown(this.#gateway, peer, { status, names }));
  }

  #peer(who: Principal, id: string): StoredVpnPeer {
    const peer = this.#gateway.vpn.all().find((one) => one.id === id) ?? null;
    if (peer === null || !seesPeer(who, peer)) throw noPeer();
    return peer;
  }

  async #reply(who: Principal, { id }: StoredVpnPeer): Promise<VpnPeerReply> {
    return { peer: await this.getVpnPeer(who, id), server: this.#server() };
  }

  #server(): VpnServer {
    const server = this.#gateway.vpn.serverInfo();
    if (server === null) throw new ApiFailure("unavailable", "The VPN was removed meanwhile.");
    if (server.message !== null) throw new ApiFailure("unavailable", server.message);
    return server;
  }

  #endMs(lifetimeSec: number | null): number | null {
    return lifetimeSec === null ? null : this.#gateway.wallMs() + lifetimeSec * MS_PER_SEC;
  }
}

function noPeer(): ApiFailure {
  return new ApiFailure("not-found", "There is no such VPN peer.");
}

function triggerShown(info: TriggerInfo): Trigger {
  return { ...info, id: info.name, removable: info.origin !== "config" };
}

/** The mode that a draft or a patch comes to. `before`: of the peer; null = it is new. */
function modeOf(
  { mode, ports, forwarded }: Pick<VpnPeerPatch, "mode" | "ports" | "forwarded">,
  before: VpnMode | null,
): VpnMode {
  const wanted = mode ?? (before?.kind === "only" ? "only" : "block-all");
  if (wanted !== "only") {
    if (ports !== undefined) throw onlyWith("ports");
    if (forwarded === true) throw onlyWith("forwarded");
    return { kind: wanted === "open-all" ? "openAll" : "blockAll" };
  }
  if (ports === undefined) {
    if (before?.kind === "only") return before;
    throw wrong("invalid", "ports", "Say which ports: 8840, 8820 or 8810-8815, for instance.");
  }
  const parsed = parsePortSet(ports);
  if (!parsed.ok) throw wrong("invalid", "ports", parsed.error.message);
  return { kind: "only", ports: parsed.value };
}

/** Without an administrator's say nobody gives their peer more than their account may have. */
function permitMode(mode: VpnMode, quota: Quota): void {
  if (mode.kind === "only") quota.permitPorts(settleProtocol(mode.ports, "tcp+udp"));
  if (mode.kind !== "openAll" || quota.isUnlimited) return;
  throw wrong("forbidden", "mode", "Your account may not have every port: choose only some of its own.");
}

function refuseForeign(who: Principal, patch: VpnPeerPatch): void {
  if (seesAll(who)) return;
  const [field] = Object.keys(patch).filter((key) => !OWN_FIELDS.includes(key));
  if (field !== undefined) throw wrong("forbidden", field, `An administrator changes ${field}: ask one of them.`);
}

function onlyWith(path: string): ApiFailure {
  return wrong("invalid", path, 'This goes with the mode "only": choose that, or leave it out.');
}

function wrong(kind: "invalid" | "conflict" | "forbidden", path: string, message: string): ApiFailure {
  return new ApiFailure(kind, message, { errors: [{ path, message }] });
}
