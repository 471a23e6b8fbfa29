import { judgeStates } from "../../core/doctor/forwards.ts";
import {
  judgeForwarding,
  judgeGatewayRuns,
  judgeNft,
  judgeServer,
  judgeVpn,
  judgeWarning,
  type NftSight,
} from "../../core/doctor/gateway.ts";
import { fine, skipped } from "../../core/doctor/model.ts";
import { runCommand } from "../../os/command.ts";
import { readForwarding } from "../../os/forwarding.ts";
import type { GatewayStatus } from "../control.ts";
import type { Check } from "./checks.ts";
import type { World } from "./world.ts";

const NOT_HERE = skipped("No gateway runs on this machine.");
const NFT_MS = 5_000;

export const GATEWAY_CHECKS: readonly Check[] = [
  {
    id: "gateway",
    section: "gateway",
    doing: "Asking the gateway",
    look: async (world) => {
      const gateway = await world.gateway();
      if (gateway.kind === "odd") return skipped("The gateway here cannot be asked.");
      const running = gateway.kind === "runs" ? { externalAddress: gateway.status.externalAddress } : null;
      return judgeGatewayRuns({ isSetUp: await world.isGatewaySetUp(), running });
    },
  },
  {
    id: "forwarding",
    section: "gateway",
    doing: "Asking the kernel whether it forwards",
    look: async (world) => {
      const status = await running(world);
      if (status === null) return NOT_HERE;
      const read = readForwarding({ wan: status.wan, ipv6: false });
      return judgeForwarding(read.ok ? read.value.ipv4 : null);
    },
  },
  {
    id: "nftables",
    section: "gateway",
    doing: "Trying nftables",
    look: async (world, signal) => {
      const isHere = (await running(world)) !== null || (await world.isGatewaySetUp());
      return isHere ? judgeNft(await tryNft(world.isRoot, signal)) : NOT_HERE;
    },
  },
  {
    id: "surroundings",
    section: "gateway",
    doing: "Looking at what is in the gateway's way",
    look: async (world) => {
      const status = await running(world);
      if (status === null) return NOT_HERE;
      const servers = status.servers.map(({ name, listening, message }) => judgeServer(name, listening, message));
      const found = [...status.warnings.map(judgeWarning), ...servers.filter((one) => one !== null)];
      return found.length > 0 ? found : fine("Nothing is in its way: no other firewall, and every server listens.");
    },
  },
  {
    id: "vpn",
    section: "gateway",
    doing: "Asking for the VPN",
    look: async (world) => {
      const status = await running(world);
      return status === null ? NOT_HERE : judgeVpn(status.vpn);
    },
  },
  {
    id: "mapping",
    section: "gateway",
    doing: "Asking the gateway for its forwards",
    look: async (world) => {
      if ((await running(world)) === null) return NOT_HERE;
      const forwards = await world.forwardsOf("gateway");
      const wrong = judgeStates(forwards, true);
      return wrong.length > 0
        ? wrong
        : fine(`It holds ${forwards.length === 1 ? "1 forward" : `${forwards.length} forwards`}.`);
    },
  },
];

async function running(world: World): Promise<GatewayStatus | null> {
  const gateway = await world.gateway();
  return gateway.kind === "runs" ? gateway.status : null;
}

/** Lists the tables' names: it changes nothing, and needs what changing needs. */
async function tryNft(isRoot: boolean, signal: AbortSignal): Promise<NftSight> {
  const ran = await runCommand(["nft", "list", "tables"], { timeoutMs: NFT_MS, signal });
  if (!ran.ok)
    return ran.error.kind === "missing" ? { kind: "missing" } : { kind: "failed", message: ran.error.message };
  if (ran.value.exitCode === 0) return { kind: "works" };
  if (!isRoot) return { kind: "not-root" };
  return { kind: "failed", message: ran.value.stderr.trim().split("\n")[0] ?? "" };
}
