import { useState } from "react";
import type { VpnPeer, VpnPeerPatch } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useIsAdmin, useServices } from "../../state/services.tsx";
import { Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Modal } from "../../ui/dialog.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import { LIFETIMES, type Lifetime } from "../../vpn/lifetimes.ts";
import { isReachReady, ReachFields, type ReachFieldsValue, reachOf } from "../../vpn/reach-fields.tsx";

interface EditPeerProps {
  readonly peer: VpnPeer;
  readonly onClose: () => void;
}

const KEEP = { value: "keep", label: "As it is" } as const;

/** What reaches it is for its account to say; its name and how long it may connect, for administrators. */
export function EditPeer({ peer, onClose }: EditPeerProps) {
  const { api, live } = useServices();
  const isAdmin = useIsAdmin();
  const [name, setName] = useState(peer.name);
  const [reach, setReach] = useState<ReachFieldsValue>(() => reachFieldsOf(peer));
  const [lifetime, setLifetime] = useState<Lifetime | "keep">("keep");
  const [asked, setAsked] = useState(false);
  const saving = useAction(async () => {
    const patch = patchOf(peer, name.trim(), reach, lifetime);
    if (Object.keys(patch).length > 0) live.show({ event: "vpn-peer", peer: await api.changeVpnPeer(peer.id, patch) });
    onClose();
  });
  const errorOf = (path: string) => saving.problem?.of(path) ?? null;
  return (
    <Modal title={`Edit ${peer.name}`} open onClose={onClose}>
      <form
        noValidate
        aria-label={`Edit ${peer.name}`}
        onSubmit={(event) => {
          event.preventDefault();
          const isReady = isReachReady(reach) && name.trim() !== "";
          setAsked(!isReady);
          if (!saving.busy && isReady) void saving.run();
        }}
      >
        {isAdmin ? (
          <TextField label="Name" value={name} onValue={setName} error={errorOf("name")} maxLength={64} required />
        ) : null}
        <ReachFields value={reach} onValue={setReach} asked={asked} errorOf={errorOf} />
        {isAdmin ? (
          <SelectField
            label="It may connect, from now on"
            value={lifetime}
            onValue={setLifetime}
            options={[KEEP, ...LIFETIMES]}
            error={errorOf("lifetimeSec")}
          />
        ) : null}
        {saving.problem === null || saving.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{saving.problem.message}</Notice>
        )}
        <div className="buttons buttons-end">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={saving.busy}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function reachFieldsOf({ mode, ports, forwarded }: VpnPeer): ReachFieldsValue {
  return { mode, ports: ports ?? "", forwarded: mode === "only" ? forwarded : true };
}

function patchOf(peer: VpnPeer, name: string, reach: ReachFieldsValue, lifetime: Lifetime | "keep"): VpnPeerPatch {
  const before = reachFieldsOf(peer);
  const isSame =
    before.mode === reach.mode &&
    (reach.mode !== "only" || (before.ports === reach.ports && before.forwarded === reach.forwarded));
  return {
    ...(name === peer.name ? {} : { name }),
    ...(isSame ? {} : reachOf(reach)),
    ...(lifetime === "keep" ? {} : { lifetimeSec: lifetime === "forever" ? null : Number(lifetime) }),
  };
}
