import { useState } from "react";
import type { VpnPeer, VpnPeerReply, VpnServer } from "../../api.ts";
import { useResource } from "../../state/resource.ts";
import { useIsAdmin, useServices } from "../../state/services.tsx";
import { Card, Empty, Failure, Loading, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Modal } from "../../ui/dialog.tsx";
import { useKeyFault } from "../../vpn/key-fields.tsx";
import type { PeerKeys } from "../../vpn/keys.ts";
import { AddPeer } from "./add-peer.tsx";
import { type Given, PeerFilePanel } from "./peer-file-panel.tsx";
import { PeerTable } from "./peer-table.tsx";
import { VpnForm } from "./vpn-form.tsx";

/** The gateway's VPN: the server itself, its peers, and the files that are shown once. */
export function VpnPart({ peers }: { readonly peers: readonly VpnPeer[] }) {
  const { api } = useServices();
  const isAdmin = useIsAdmin();
  const keyFault = useKeyFault();
  const [given, setGiven] = useState<Given | null>(null);
  const vpn = useResource(api.getVpn);
  const onGiven = (reply: VpnPeerReply, keys: PeerKeys | null) => setGiven({ reply, keys });
  if (vpn.value === null) {
    return vpn.failure === null ? (
      <Loading what="the VPN" />
    ) : (
      <Failure message={vpn.failure} onRetry={() => void vpn.reload()} />
    );
  }
  const { server } = vpn.value;
  if (server === null) return <NoVpn onMade={(made) => vpn.set({ server: made })} />;
  return (
    <>
      <Server server={server} onServer={(changed) => vpn.set({ server: changed })} />
      {isAdmin ? <AddPeer server={server} keyFault={keyFault} onGiven={onGiven} /> : null}
      {given === null ? null : (
        <PeerFilePanel key={given.reply.peer.publicKey} given={given} onClose={() => setGiven(null)} />
      )}
      <PeerTable peers={peers} keyFault={keyFault} onGiven={onGiven} />
    </>
  );
}

function NoVpn({ onMade }: { readonly onMade: (server: VpnServer | null) => void }) {
  const isAdmin = useIsAdmin();
  return (
    <Card title={isAdmin ? "Make the VPN" : "VPN"}>
      {isAdmin ? (
        <>
          <p>
            With a VPN, machines anywhere get ports of this gateway, also from behind CGNAT: they connect to it, and
            what comes to their ports outside goes to them alone.
          </p>
          <VpnForm server={null} onSaved={onMade} />
        </>
      ) : (
        <Empty icon="devices" title="There is no VPN yet">
          <p>An administrator makes it here.</p>
        </Empty>
      )}
    </Card>
  );
}

interface ServerProps {
  readonly server: VpnServer;
  readonly onServer: (server: VpnServer | null) => void;
}

function Server({ server, onServer }: ServerProps) {
  const isAdmin = useIsAdmin();
  const [changing, setChanging] = useState(false);
  const { endpointHost, listenPort, network4, network6, dns, backend, publicKey, message } = server;
  return (
    <Card
      title="VPN"
      {...(isAdmin ? { actions: <Button onClick={() => setChanging(true)}>Change settings</Button> } : {})}
    >
      {message === null ? null : <Notice kind="bad">{message}</Notice>}
      <dl className="facts">
        <dt>Peers connect to</dt>
        <dd className="ports">
          {endpointHost} port {listenPort}/udp
        </dd>
        <dt>Its networks</dt>
        <dd className="ports">
          {network4}, {network6}
        </dd>
        <dt>Names are asked of</dt>
        <dd className="ports">{dns.length === 0 ? "what each peer asked before" : dns.join(", ")}</dd>
        <dt>WireGuard</dt>
        <dd>{backend === null ? "not up" : backend === "kernel" ? "of the kernel" : "wireguard-go"}</dd>
        {publicKey === null ? null : (
          <>
            <dt>Its public key</dt>
            <dd className="ports">{publicKey}</dd>
          </>
        )}
      </dl>
      <Modal title="Settings of the VPN" open={changing} onClose={() => setChanging(false)}>
        <Notice kind="warn">
          Files of peers say what was before: give each peer new keys afterwards, and with them a new file.
        </Notice>
        <VpnForm
          server={server}
          onSaved={(changed) => {
            onServer(changed);
            setChanging(false);
          }}
        />
      </Modal>
    </Card>
  );
}
