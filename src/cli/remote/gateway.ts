import { nowMs } from "../../os/clock.ts";
import type { TriggerInfo, VpnInfo, VpnPeerInfo, VpnPeerReply } from "../../roles/control.ts";
import { portsText } from "../../roles/gateway/triggers.ts";
import { type Client, everything, type Trigger, type VpnPeer } from "../../servers/api/client.ts";
import { ControlError } from "../../servers/local/error.ts";
import { CONTROL_VERSION } from "../../servers/local/protocol.ts";
import type { AskedGateway } from "../asked-gateway.ts";

const V = { v: CONTROL_VERSION } as const;
const PAGE = { limit: 500 };
const MS_PER_SEC = 1_000;
const ONLY = "only ";

/** A gateway that is asked over its API, as if it ran on this machine: what its token's owner may see and change. */
export function remoteGateway(client: Client): AskedGateway {
  const peers = async (): Promise<VpnPeer[]> => {
    const found: VpnPeer[] = [];
    for await (const peer of everything((ask) => client.listVpnPeers({ ...PAGE, ...ask }))) found.push(peer);
    return found;
  };
  const peer = async (nameOrId: string): Promise<VpnPeer> => {
    const all = await peers();
    const called = ({ name }: VpnPeer) => name.toLowerCase() === nameOrId.toLowerCase();
    const found = all.find(({ id }) => id === nameOrId) ?? all.find(called);
    if (found !== undefined) return found;
    throw new ControlError("usage", `There is no VPN peer "${nameOrId}": see \`hatchway vpn ls\`.`);
  };
  const server = async () => {
    const { server: found } = await client.getVpn();
    if (found !== null) return found;
    throw new ControlError("usage", "There is no VPN yet: make it with `hatchway vpn init`.");
  };
  const list = async (): Promise<VpnInfo> => ({
    ...V,
    server: (await client.getVpn()).server,
    peers: (await peers()).map(peerInfo),
  });
  const reply = async (of: VpnPeer): Promise<VpnPeerReply> => ({ ...V, peer: peerInfo(of), server: await server() });
  return {
    async vpnInit({ mtu, ...change }) {
      if (mtu !== undefined) throw new ControlError("usage", "The MTU is set in [vpn] on the gateway's own machine.");
      const { dns, ...rest } = change;
      await client.changeVpn({ ...rest, ...(dns === undefined ? {} : { dns: [...dns] }) });
      return await list();
    },
    vpnList: list,
    async vpnAdd({ mode, expiresMs, ...draft }) {
      // As on the gateway's own machine: `forward add` opens ports, or a program there asks for them.
      const made = await client.addVpnPeer({
        ...draft,
        ...modeOf(mode),
        ...(mode.startsWith(ONLY) ? { forwarded: false } : {}),
        ...(expiresMs === null ? {} : { lifetimeSec: secondsUntil(expiresMs) }),
      });
      return { ...V, peer: peerInfo(made.peer), server: made.server };
    },
    async vpnChange(nameOrId, { mode, expiresMs, ...rest }) {
      const { id } = await peer(nameOrId);
      return reply(
        await client.changeVpnPeer(id, {
          ...rest,
          ...(mode === undefined ? {} : modeOf(mode)),
          ...(expiresMs === undefined ? {} : { lifetimeSec: expiresMs === null ? null : secondsUntil(expiresMs) }),
        }),
      );
    },
    async vpnRotate(nameOrId, keys) {
      const { id } = await peer(nameOrId);
      const rotated = await client.rotateVpnPeer(id, keys);
      return { ...V, peer: peerInfo(rotated.peer), server: rotated.server };
    },
    async vpnRemove(nameOrId) {
      const found = await peer(nameOrId);
      await client.removeVpnPeer(found.id);
      return peerInfo(found);
    },
    listTriggers: async () => (await client.listTriggers()).items.map(triggerInfo),
    async addTrigger({ out, in: into, ...draft }) {
      return triggerInfo(await client.addTrigger({ ...draft, out: portsText(out), in: portsText(into) }));
    },
    async removeTrigger(name) {
      const found = (await client.listTriggers()).items.find((trigger) => trigger.name === name);
      if (found === undefined) {
        throw new ControlError("usage", `There is no trigger "${name}": see \`hatchway trigger ls\`.`);
      }
      await client.removeTrigger(found.id);
      return triggerInfo(found);
    },
  };
}

/** `only 8840, 8810-8815`, as commands have it, in the API's two fields. */
function modeOf(text: string): { readonly mode: VpnPeer["mode"]; readonly ports?: string } {
  if (text.startsWith(ONLY)) return { mode: "only", ports: text.slice(ONLY.length) };
  if (text === "block-all" || text === "open-all") return { mode: text };
  throw new ControlError("usage", `A peer's mode is block-all, open-all or only PORTSET, not "${text}".`);
}

function peerInfo({ account: _, forwarded: __, mode, ports, ...peer }: VpnPeer): VpnPeerInfo {
  return { ...peer, mode: mode === "only" ? `${ONLY}${ports ?? ""}` : mode };
}

function triggerInfo({ id: _, removable: __, ...trigger }: Trigger): TriggerInfo {
  return trigger;
}

function secondsUntil(atMs: number): number {
  return Math.round((atMs - nowMs()) / MS_PER_SEC);
}
