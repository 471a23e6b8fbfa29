import { count } from "../format.ts";
import { useNow, useResource } from "../state/resource.ts";
import { useHasRole, useLive, useServices } from "../state/services.tsx";
import { Failure, Loading, PageHead } from "../ui/bits.tsx";
import { isHeard } from "../vpn/peer-words.ts";
import { Agents } from "./devices/agents.tsx";
import { SshPart } from "./devices/ssh.tsx";
import { VpnPart } from "./devices/vpn.tsx";

/** What forwards lead to: a relay's agents and SSH clients, a gateway's VPN peers. */
export function DevicesPage() {
  const { api, live } = useServices();
  const { devices, peers, failure } = useLive();
  const isRelay = useHasRole("relay");
  const isGateway = useHasRole("gateway");
  const ssh = useResource(api.getSsh);
  const nowMs = useNow();
  const parts = [
    isRelay && devices !== null
      ? `${count(devices.length, "device")}, ${devices.filter(({ connected }) => connected).length} connected.`
      : null,
    peers === null
      ? null
      : `${count(peers.length, "VPN peer")}, ${peers.filter((peer) => isHeard(peer, nowMs)).length} connected.`,
  ].filter((part) => part !== null);
  return (
    <>
      <PageHead title="Devices" lead={parts.length === 0 ? undefined : parts.join(" ")} />
      {failure === null ? null : <Failure message={failure} onRetry={live.retryNow} />}
      {devices === null || (isGateway && peers === null) ? (
        failure === null ? (
          <Loading what="the devices" />
        ) : null
      ) : (
        <>
          {isRelay ? <Agents devices={devices} ssh={ssh.value?.server ?? null} /> : null}
          {isRelay ? <SshPart ssh={ssh} devices={devices} /> : null}
          {isGateway && peers !== null ? <VpnPart peers={peers} /> : null}
        </>
      )}
    </>
  );
}
