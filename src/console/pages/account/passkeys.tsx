import { type FormEvent, useState } from "react";
import type { Passkey } from "../../api.ts";
import { formatAgo } from "../../format.ts";
import { hasPasskeys, makePasskey } from "../../passkey.ts";
import { useAction } from "../../state/action.ts";
import { useList, useNow } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Failure, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { TextField } from "../../ui/field.tsx";

export function Passkeys() {
  const { api, refreshMe } = useServices();
  const passkeys = useList(api.listPasskeys);
  const nowMs = useNow();
  const [name, setName] = useState("");
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const adding = useAction(async () => {
    await api.addPasskey(await makePasskey(await api.beginPasskey(), name.trim()));
    setName("");
    await Promise.all([passkeys.reload(), refreshMe()]);
  });
  const add = (event: FormEvent) => {
    event.preventDefault();
    if (!adding.busy) void adding.run();
  };
  const columns: readonly Column<Passkey>[] = [
    {
      id: "name",
      title: "Passkey",
      kind: "main",
      cell: ({ name: of }) => <strong className="name">{of}</strong>,
    },
    { id: "made", title: "Made", cell: ({ createdMs }) => formatAgo(createdMs, nowMs) },
    { id: "used", title: "Used", cell: ({ lastUsedMs }) => formatAgo(lastUsedMs, nowMs) },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (passkey) => (
        <div className="row-actions">
          <Button look="quiet" aria-label={`Remove the passkey ${passkey.name}`} onClick={() => setRemoving(passkey)}>
            Remove
          </Button>
        </div>
      ),
    },
  ];
  return (
    <Card title="Passkeys">
      <p className="quiet">Signs you in with your fingerprint, face or security key, instead of the password.</p>
      {hasPasskeys() ? (
        <form noValidate onSubmit={add} aria-label="New passkey">
          <div className="form-row form-row-tight">
            <TextField
              label="Name of the passkey"
              value={name}
              onValue={setName}
              error={adding.problem?.of("name")}
              maxLength={64}
              autoComplete="off"
              placeholder="laptop"
            />
            <Button type="submit" busy={adding.busy} disabled={name.trim() === ""}>
              Add a passkey
            </Button>
          </div>
          {adding.problem === null || adding.problem.errors.length > 0 ? null : (
            <Notice kind="bad">{adding.problem.message}</Notice>
          )}
        </form>
      ) : (
        <Notice kind="info">Passkeys need this console over HTTPS, and a browser that has them.</Notice>
      )}
      {passkeys.failure === null ? null : <Failure message={passkeys.failure} onRetry={() => void passkeys.reload()} />}
      {passkeys.value === null || passkeys.value.length === 0 ? null : (
        <DataTable label="Passkeys" rows={passkeys.value} columns={columns} rowId={({ id }) => id} />
      )}
      <Confirm
        title={`Remove the passkey ${removing?.name ?? ""}?`}
        description="It signs nobody in any more."
        act="Remove passkey"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removePasskey(removing.id);
          await Promise.all([passkeys.reload(), refreshMe()]);
        }}
      />
    </Card>
  );
}
