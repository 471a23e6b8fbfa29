import { useState } from "react";
import type { VpnPeerReply, VpnServer } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import {
  areKeysReady,
  KEYS_HERE,
  type KeyChoice,
  KeyFields,
  settleKeys,
  takeKeys,
  type useKeyFault,
} from "../../vpn/key-fields.tsx";
import type { PeerKeys } from "../../vpn/keys.ts";
import { LIFETIMES, type Lifetime } from "../../vpn/lifetimes.ts";
import { isReachReady, ReachFields, type ReachFieldsValue, reachOf } from "../../vpn/reach-fields.tsx";

interface AddPeerProps {
  readonly server: VpnServer;
  readonly keyFault: ReturnType<typeof useKeyFault>;
  readonly onGiven: (reply: VpnPeerReply, keys: PeerKeys | null) => void;
}

const REACH: ReachFieldsValue = { mode: "block-all", ports: "", forwarded: true };

export function AddPeer({ server, keyFault, onGiven }: AddPeerProps) {
  const { api, live } = useServices();
  const [name, setName] = useState("");
  const [reach, setReach] = useState(REACH);
  const [lifetime, setLifetime] = useState<Lifetime>("forever");
  const [keyChoice, setKeyChoice] = useState<KeyChoice>(KEYS_HERE);
  const [asked, setAsked] = useState(false);
  const settled = settleKeys(keyChoice, keyFault);
  const isReady = isReachReady(reach) && areKeysReady(settled);
  const adding = useAction(async () => {
    const { made, sent } = await takeKeys(settled);
    const reply = await api.addVpnPeer({
      name: name.trim(),
      ...sent,
      ...reachOf(reach),
      ...(lifetime === "forever" ? {} : { lifetimeSec: Number(lifetime) }),
    });
    live.show({ event: "vpn-peer", peer: reply.peer });
    onGiven(reply, made);
    setName("");
    setReach(REACH);
    setLifetime("forever");
    setKeyChoice(KEYS_HERE);
    setAsked(false);
  });
  const errorOf = (path: string) => adding.problem?.of(path) ?? null;
  return (
    <Card title="Add a VPN peer">
      <form
        noValidate
        aria-label="New VPN peer"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(!isReady);
          if (!adding.busy && isReady) void adding.run();
        }}
      >
        <div className="form-row">
          <TextField
            label="Name of the peer"
            value={name}
            onValue={setName}
            error={errorOf("name")}
            maxLength={64}
            autoComplete="off"
            placeholder="phone"
            required
          />
          <SelectField label="It may connect" value={lifetime} onValue={setLifetime} options={LIFETIMES} />
          <KeyFields
            choice={keyChoice}
            onChoice={setKeyChoice}
            fault={keyFault}
            asked={asked}
            error={errorOf("publicKey")}
          />
        </div>
        <div className="form-row form-row-even">
          <ReachFields value={reach} onValue={setReach} asked={asked} errorOf={errorOf} />
        </div>
        {adding.problem === null || adding.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{adding.problem.message}</Notice>
        )}
        <div className="buttons">
          <Button
            type="submit"
            look="primary"
            busy={adding.busy}
            disabled={name.trim() === "" || server.publicKey === null}
          >
            Add peer
          </Button>
        </div>
      </form>
    </Card>
  );
}
