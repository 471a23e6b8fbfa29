import { useState } from "react";
import type { VpnPeer, VpnPeerReply } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Modal } from "../../ui/dialog.tsx";
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

interface RotatePeerProps {
  readonly peer: VpnPeer;
  readonly keyFault: ReturnType<typeof useKeyFault>;
  readonly onClose: () => void;
  readonly onGiven: (reply: VpnPeerReply, keys: PeerKeys | null) => void;
}

/** Asks before the old keys are of no use any more, and where the new ones come from. */
export function RotatePeer({ peer, keyFault, onClose, onGiven }: RotatePeerProps) {
  const { api, live } = useServices();
  const [choice, setChoice] = useState<KeyChoice>(KEYS_HERE);
  const [asked, setAsked] = useState(false);
  const settled = settleKeys(choice, keyFault);
  const rotating = useAction(async () => {
    const { made, sent } = await takeKeys(settled);
    const reply = await api.rotateVpnPeer(peer.id, sent);
    live.show({ event: "vpn-peer", peer: reply.peer });
    onClose();
    onGiven(reply, made);
  });
  return (
    <Modal
      title={`New keys for ${peer.name}`}
      description="Its old file opens nothing any more: it is cut off until it has the new one."
      open
      onClose={onClose}
    >
      <form
        noValidate
        aria-label={`New keys for ${peer.name}`}
        onSubmit={(event) => {
          event.preventDefault();
          const isReady = areKeysReady(settled);
          setAsked(!isReady);
          if (!rotating.busy && isReady) void rotating.run();
        }}
      >
        <KeyFields
          choice={choice}
          onChoice={setChoice}
          fault={keyFault}
          asked={asked}
          error={rotating.problem?.of("publicKey") ?? null}
        />
        {rotating.problem === null || rotating.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{rotating.problem.message}</Notice>
        )}
        <div className="buttons buttons-end">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="danger" busy={rotating.busy}>
            Give new keys
          </Button>
        </div>
      </form>
    </Modal>
  );
}
