import { useMemo, useState } from "react";
import { sentenceOf, type VpnPeer, type VpnPeerReply } from "../../api.ts";
import { count, formatAge, formatAgo, formatBytes } from "../../format.ts";
import { useNow } from "../../state/resource.ts";
import { useIsAdmin, useMayChange, useServices } from "../../state/services.tsx";
import { Card, Empty, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { type Column, DataTable, FilterBar } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Icon } from "../../ui/icons.tsx";
import { Switch } from "../../ui/switch.tsx";
import { filterRows } from "../../ui/table-view.ts";
import { useSay } from "../../ui/toaster.tsx";
import type { useKeyFault } from "../../vpn/key-fields.tsx";
import type { PeerKeys } from "../../vpn/keys.ts";
import { isHeard, reachWords } from "../../vpn/peer-words.ts";
import { EditPeer } from "./edit-peer.tsx";
import { RotatePeer } from "./rotate-peer.tsx";

interface PeerTableProps {
  readonly peers: readonly VpnPeer[];
  readonly keyFault: ReturnType<typeof useKeyFault>;
  readonly onGiven: (reply: VpnPeerReply, keys: PeerKeys | null) => void;
}

type Doing = { readonly what: "edit" | "rotate" | "remove"; readonly peer: VpnPeer };

export function PeerTable({ peers, keyFault, onGiven }: PeerTableProps) {
  const { api, live, me } = useServices();
  const isAdmin = useIsAdmin();
  const mayChange = useMayChange();
  const say = useSay();
  const nowMs = useNow();
  const [text, setText] = useState("");
  const [doing, setDoing] = useState<Doing | null>(null);
  const rows = useMemo(() => filterRows(peers, searchText, text), [peers, text]);
  const stop = () => setDoing(null);
  const enable = async (peer: VpnPeer, enabled: boolean) => {
    try {
      live.show({ event: "vpn-peer", peer: await api.changeVpnPeer(peer.id, { disabled: !enabled }) });
    } catch (error) {
      say({ title: `${peer.name} stays ${enabled ? "off" : "on"}`, description: sentenceOf(error), bad: true });
    }
  };
  const columns: readonly Column<VpnPeer>[] = [
    {
      id: "name",
      title: "Peer",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: ({ name, account, v4, v6 }) => (
        <>
          <strong className="name">{name}</strong>
          {account.id === me.account.id ? null : <span className="sub quiet">of {account.name}</span>}
          <span className="sub quiet ports">{v4}</span>
          <span className="sub quiet ports">{v6}</span>
        </>
      ),
    },
    {
      id: "reach",
      title: "What reaches it",
      sortBy: ({ mode }) => mode,
      cell: (peer) => <ReachCell peer={peer} />,
    },
    {
      id: "state",
      title: "State",
      sortBy: (peer) => (isHeard(peer, nowMs) ? 2 : peer.state === "active" ? 1 : 0),
      cell: (peer) => <StateCell peer={peer} nowMs={nowMs} />,
    },
    {
      id: "bytes",
      title: "Traffic",
      kind: "number",
      sortBy: ({ receivedBytes, sentBytes }) => receivedBytes + sentBytes,
      cell: ({ receivedBytes, sentBytes }) => (
        <>
          <span>{formatBytes(sentBytes)} to it</span>
          <span className="sub quiet">{formatBytes(receivedBytes)} from it</span>
        </>
      ),
    },
    {
      id: "forwards",
      title: "Forwards",
      kind: "number",
      sortBy: ({ forwards }) => forwards,
      cell: ({ forwards }) => forwards,
    },
    {
      id: "enabled",
      title: "On",
      kind: "switch",
      sortBy: ({ state }) => state !== "disabled",
      cell: (peer) => (
        <Switch
          label={`${peer.name} may connect`}
          checked={peer.state !== "disabled"}
          disabled={!isAdmin}
          onChecked={(enabled) => void enable(peer, enabled)}
        />
      ),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (peer) =>
        mayChange ? (
          <div className="row-actions">
            <Button
              look="quiet"
              className="icon-only"
              title="New keys"
              aria-label={`New keys for ${peer.name}`}
              onClick={() => setDoing({ what: "rotate", peer })}
            >
              <Icon name="keys" />
            </Button>
            <Button
              look="quiet"
              className="icon-only"
              title="Edit"
              aria-label={`Edit ${peer.name}`}
              onClick={() => setDoing({ what: "edit", peer })}
            >
              <Icon name="edit" />
            </Button>
            {isAdmin ? (
              <Button
                look="quiet"
                className="icon-only"
                title="Remove"
                aria-label={`Remove ${peer.name}`}
                onClick={() => setDoing({ what: "remove", peer })}
              >
                <Icon name="remove" />
              </Button>
            ) : null}
          </div>
        ) : null,
    },
  ];
  return (
    <Card title="VPN peers" className="card-table">
      {peers.length === 0 ? (
        <Empty icon="devices" title="No peer yet">
          <p>A peer is a machine that connects by WireGuard: ports that you open lead to it, wherever it is.</p>
        </Empty>
      ) : (
        <>
          <FilterBar
            label="Filter by name, address, port"
            value={text}
            onValue={setText}
            found={text.trim() === "" ? null : `${rows.length} of ${count(peers.length, "peer")}`}
          />
          <DataTable label="VPN peers" rows={rows} columns={columns} rowId={({ id }) => id} />
        </>
      )}
      {doing?.what === "edit" ? <EditPeer peer={doing.peer} onClose={stop} /> : null}
      {doing?.what === "rotate" ? (
        <RotatePeer peer={doing.peer} keyFault={keyFault} onClose={stop} onGiven={onGiven} />
      ) : null}
      <Confirm
        title={`Remove ${doing?.peer.name ?? "the peer"}?`}
        description={`It is cut off at once, and its ${count(doing?.peer.forwards ?? 0, "forward")} close. To come back it is added anew, with a new file.`}
        act="Remove peer"
        open={doing?.what === "remove"}
        onClose={stop}
        onAct={async () => {
          if (doing === null) return;
          await api.removeVpnPeer(doing.peer.id);
          live.show({ event: "vpn-peer-gone", id: doing.peer.id });
          say({ title: `Removed ${doing.peer.name}` });
        }}
      />
    </Card>
  );
}

function searchText(peer: VpnPeer): string {
  const { name, account, v4, v6, endpoint } = peer;
  return `${name} ${account.name} ${v4} ${v6} ${endpoint ?? ""} ${reachWords(peer)}`;
}

function ReachCell({ peer }: { readonly peer: VpnPeer }) {
  if (peer.mode !== "only") return <span className={peer.mode === "block-all" ? "quiet" : ""}>{reachWords(peer)}</span>;
  return (
    <>
      <span className="ports">{(peer.ports ?? "").replaceAll(/,\s*/g, ", ")}</span>
      <span className="sub quiet">{peer.forwarded ? "forwarded to it" : "when it asks"}</span>
    </>
  );
}

function StateCell({ peer, nowMs }: { readonly peer: VpnPeer; readonly nowMs: number }) {
  const { state, latestHandshakeMs, endpoint, expiresMs } = peer;
  const heard = isHeard(peer, nowMs);
  return (
    <div className="state">
      {state === "active" ? (
        <Pill tone={heard ? "ok" : "warn"}>
          {heard ? "Connected" : latestHandshakeMs === null ? "Not yet" : "Away"}
        </Pill>
      ) : (
        <Pill tone={state === "expired" ? "bad" : "quiet"}>{state === "expired" ? "Expired" : "Off"}</Pill>
      )}
      {heard && endpoint !== null ? <span className="sub quiet">from {endpoint.split(" ")[0]}</span> : null}
      <span className="sub quiet">
        {latestHandshakeMs === null ? "never connected" : `handshake ${formatAgo(latestHandshakeMs, nowMs)}`}
      </span>
      {expiresMs === null || expiresMs <= nowMs ? null : (
        <span className="sub quiet">for another {formatAge(expiresMs - nowMs)}</span>
      )}
    </div>
  );
}
