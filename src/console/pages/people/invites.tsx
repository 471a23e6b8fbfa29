import { type FormEvent, useState } from "react";
import type { Invite, MadeInvite, Role } from "../../api.ts";
import { formatAge } from "../../format.ts";
import { useAction } from "../../state/action.ts";
import { useList, useNow } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Failure, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { CopyLine } from "../../ui/copy.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import { ROLE_NAMES, ROLES } from "./roles.ts";

const LIFETIMES = [
  { value: "3600", label: "1 hour" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
] as const;
type Lifetime = (typeof LIFETIMES)[number]["value"];

export function Invites() {
  const { api } = useServices();
  const invites = useList(api.listInvites);
  const nowMs = useNow();
  const [role, setRole] = useState<Role>("user");
  const [account, setAccount] = useState("");
  const [lifetime, setLifetime] = useState<Lifetime>("86400");
  const [made, setMade] = useState<MadeInvite | null>(null);
  const [removing, setRemoving] = useState<Invite | null>(null);
  const making = useAction(async () => {
    setMade(
      await api.makeInvite({
        role,
        lifetimeSec: Number(lifetime),
        ...(account.trim() === "" ? {} : { account: account.trim() }),
      }),
    );
    await invites.reload();
  });
  const make = (event: FormEvent) => {
    event.preventDefault();
    if (!making.busy) void making.run();
  };
  const columns: readonly Column<Invite>[] = [
    {
      id: "role",
      title: "Invitation",
      kind: "main",
      cell: ({ role: of, account: shared }) =>
        `${ROLE_NAMES[of]}, ${shared === null ? "with an account of their own" : `shares the account ${shared.name}`}`,
    },
    {
      id: "ends",
      title: "Ends",
      sortBy: ({ expiresMs }) => expiresMs,
      cell: ({ expiresMs }) => (expiresMs > nowMs ? `in ${formatAge(expiresMs - nowMs)}` : "has ended"),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (invite) => (
        <div className="row-actions">
          <Button look="quiet" onClick={() => setRemoving(invite)}>
            Take back
          </Button>
        </div>
      ),
    },
  ];
  return (
    <Card title="Invite somebody">
      <form noValidate aria-label="New invitation" onSubmit={make}>
        <div className="form-row">
          <SelectField label="Role" value={role} onValue={setRole} options={ROLES} />
          <TextField
            label="Shares the account"
            value={account}
            onValue={setAccount}
            error={making.problem?.of("account")}
            autoComplete="off"
            placeholder="gets one of their own"
          />
          <SelectField label="The link is good for" value={lifetime} onValue={setLifetime} options={LIFETIMES} />
        </div>
        {making.problem === null || making.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{making.problem.message}</Notice>
        )}
        <div className="buttons">
          <Button type="submit" look="primary" busy={making.busy}>
            Make a link
          </Button>
        </div>
      </form>
      {made === null ? null : (
        <section className="made" aria-label="Invitation link">
          <p>Give this link to the person, and to nobody else. It is shown once, and works once.</p>
          <CopyLine text={made.link} label="the invitation link" />
          <Button onClick={() => setMade(null)}>Done</Button>
        </section>
      )}
      {invites.failure === null ? null : <Failure message={invites.failure} onRetry={() => void invites.reload()} />}
      {invites.value === null || invites.value.length === 0 ? null : (
        <DataTable label="Invitations" rows={invites.value} columns={columns} rowId={({ id }) => id} />
      )}
      <Confirm
        title="Take the invitation back?"
        description="Its link stops working."
        act="Take back"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeInvite(removing.id);
          await invites.reload();
        }}
      />
    </Card>
  );
}
