import { useState } from "react";
import type { SshKey } from "../../api.ts";
import { formatAgo } from "../../format.ts";
import { useNow } from "../../state/resource.ts";
import { useMayChange, useServices } from "../../state/services.tsx";
import { Button } from "../../ui/button.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Icon } from "../../ui/icons.tsx";
import { useSay } from "../../ui/toaster.tsx";

interface SshKeysProps {
  readonly keys: readonly SshKey[];
  readonly onRemoved: () => Promise<void>;
}

/** Whose keys come in, and how one is let in no more. */
export function SshKeys({ keys, onRemoved }: SshKeysProps) {
  const { api, live, me } = useServices();
  const mayChange = useMayChange();
  const say = useSay();
  const nowMs = useNow();
  const [removing, setRemoving] = useState<SshKey | null>(null);
  const columns: readonly Column<SshKey>[] = [
    {
      id: "key",
      title: "Key",
      kind: "main",
      sortBy: ({ comment, fingerprint }) => comment || fingerprint,
      cell: ({ comment, fingerprint, type }) => (
        <>
          <strong className="name">{comment === "" ? type : comment}</strong>
          <span className="sub quiet fingerprint">{fingerprint}</span>
        </>
      ),
    },
    {
      id: "device",
      title: "Device",
      sortBy: ({ device }) => device.name,
      cell: ({ device, account }) => (
        <>
          {device.name}
          {account.id === me.account.id ? null : <span className="sub quiet">of {account.name}</span>}
        </>
      ),
    },
    {
      id: "ports",
      title: "May open",
      sortBy: ({ ports }) => ports,
      cell: ({ ports }) => (ports === null ? "all of its account" : <span className="ports">{ports}</span>),
    },
    {
      id: "used",
      title: "Used",
      sortBy: ({ lastUsedMs }) => lastUsedMs,
      cell: ({ lastUsedMs }) => formatAgo(lastUsedMs, nowMs),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (key) =>
        mayChange ? (
          <div className="row-actions">
            <Button
              look="quiet"
              className="icon-only"
              title="Remove"
              aria-label={`Remove the key ${nameOf(key)}`}
              onClick={() => setRemoving(key)}
            >
              <Icon name="remove" />
            </Button>
          </div>
        ) : null,
    },
  ];
  return (
    <>
      {keys.length === 0 ? (
        <p className="quiet">No SSH key is let in yet.</p>
      ) : (
        <DataTable label="SSH keys" rows={keys} columns={columns} rowId={({ fingerprint }) => fingerprint} />
      )}
      <Confirm
        title={`Remove the key ${removing === null ? "" : nameOf(removing)}?`}
        description={removing === null ? "" : consequence(removing)}
        act="Remove key"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeSshKey(removing.fingerprint);
          if (removing.endsDevice) live.show({ event: "device-gone", id: removing.device.id });
          say({ title: `Removed ${nameOf(removing)}` });
          await onRemoved();
        }}
      />
    </>
  );
}

function nameOf({ comment, fingerprint }: SshKey): string {
  return comment === "" ? fingerprint : comment;
}

function consequence({ device, endsDevice }: SshKey): string {
  const ends = "Connections that came in by it end at once, with their ports.";
  return endsDevice
    ? `${ends} It is the last key of ${device.name}, which has no agent: the device goes with it, and its ports are free.`
    : `${ends} ${device.name} stays, with what else it comes in by.`;
}
