import { useEffect, useRef, useState } from "react";
import type { VpnPeerReply } from "../../api.ts";
import { useLive } from "../../state/services.tsx";
import { Notice, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { CopyLine } from "../../ui/copy.tsx";
import { SelectField } from "../../ui/field.tsx";
import { Icon } from "../../ui/icons.tsx";
import { Qr } from "../../ui/qr.tsx";
import type { PeerKeys } from "../../vpn/keys.ts";
import { type FileRoutes, fileName, peerFile } from "../../vpn/peer-file.ts";
import { saveFile } from "../../vpn/save-file.ts";

/** A peer that just got its keys. */
export interface Given {
  readonly reply: VpnPeerReply;
  /** Null: they were made elsewhere. */
  readonly keys: PeerKeys | null;
}

interface PeerFilePanelProps {
  readonly given: Given;
  readonly onClose: () => void;
}

/** What the peer needs to connect. It is in this page's memory only, so it is shown once. */
export function PeerFilePanel({ given, onClose }: PeerFilePanelProps) {
  const { name } = given.reply.peer;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
    heading.current?.scrollIntoView({ block: "start" });
  }, []);
  return (
    <section className="made" aria-label={`File of ${name}`}>
      <h2 ref={heading} tabIndex={-1} className="name">
        {given.keys === null ? `${name} is added` : `The file of ${name}`}
      </h2>
      {given.keys === null ? <OwnKeys reply={given.reply} /> : <FileOfPeer reply={given.reply} keys={given.keys} />}
      <Connected reply={given.reply} />
      <Button onClick={onClose}>Done</Button>
    </section>
  );
}

const ROUTES = [
  { value: "full", label: "All of its traffic" },
  { value: "ownTable", label: "All of it, on Linux with a routing table of its own" },
  { value: "split", label: "Only what is for the VPN (split)" },
] as const satisfies readonly { readonly value: FileRoutes; readonly label: string }[];

function FileOfPeer({ reply, keys }: { readonly reply: VpnPeerReply; readonly keys: PeerKeys }) {
  const [routes, setRoutes] = useState<FileRoutes>("full");
  const file = peerFile(reply, keys, routes);
  const { name } = reply.peer;
  if (!file.ok) return <Notice kind="bad">{file.error}</Notice>;
  const { text, compact, advice } = file.value;
  return (
    <>
      <p>
        <strong>This is shown once.</strong> Its private key was made in this page, and is kept nowhere: scan the code,
        or save the file and bring it to {name}. If it is lost, give {name} new keys.
      </p>
      <div className="peer-file">
        <Qr text={compact} label={`QR code of the file of ${name}, for WireGuard's app`} large />
        <div className="stack">
          <SelectField label="Through the VPN goes" value={routes} onValue={setRoutes} options={ROUTES} />
          <CopyLine text={text} label={`the file of ${name}`} lines />
          <Button look="primary" onClick={() => saveFile(fileName(name), text)}>
            <Icon name="save" />
            Save {fileName(name)}
          </Button>
        </div>
      </div>
      {advice.length === 0 ? null : (
        <ul className="advice quiet">
          {advice.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      )}
    </>
  );
}

/** Its owner writes these into what the device has already. */
function OwnKeys({ reply: { peer, server } }: { readonly reply: VpnPeerReply }) {
  return (
    <>
      <p>{peer.name} keeps its private key. Write these into its WireGuard:</p>
      <dl className="facts">
        <dt>Address</dt>
        <dd className="ports">
          {peer.v4}/32, {peer.v6}/128
        </dd>
        <dt>PublicKey of the peer</dt>
        <dd className="ports">{server.publicKey ?? "not known: the VPN never came up"}</dd>
        <dt>AllowedIPs</dt>
        <dd className="ports">0.0.0.0/0, ::/0</dd>
        <dt>Endpoint</dt>
        <dd className="ports">
          {server.endpointHost.includes(":") ? `[${server.endpointHost}]` : server.endpointHost}:{server.listenPort}
        </dd>
        <dt>PersistentKeepalive</dt>
        <dd className="ports">25</dd>
      </dl>
    </>
  );
}

/** Not by the time of the handshake: it is in whole seconds of the gateway's clock, which is not this browser's. */
function Connected({ reply }: { readonly reply: VpnPeerReply }) {
  const { peers } = useLive();
  const { publicKey, latestHandshakeMs } = reply.peer;
  const peer = peers?.find((one) => one.publicKey === publicKey);
  const isHeard = peer !== undefined && peer.latestHandshakeMs !== null && peer.latestHandshakeMs !== latestHandshakeMs;
  return (
    <p role="status" className="waiting">
      {isHeard ? (
        <Pill tone="ok">{reply.peer.name} has connected</Pill>
      ) : (
        <>
          <span className="pulse" aria-hidden="true" />
          Waiting for {reply.peer.name} to connect.
        </>
      )}
    </p>
  );
}
