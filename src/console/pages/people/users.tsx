import { type FormEvent, useState } from "react";
import { sentenceOf, type User } from "../../api.ts";
import { count, formatAgo } from "../../format.ts";
import { bandwidthText } from "../../forwards/draft.ts";
import { PortField, readPorts } from "../../forwards/port-field.tsx";
import { useAction } from "../../state/action.ts";
import { FormProblem } from "../../state/form-problem.ts";
import { useList, useNow } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Failure, Loading, Notice, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { Confirm, Modal } from "../../ui/dialog.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import { Icon } from "../../ui/icons.tsx";
import { Switch } from "../../ui/switch.tsx";
import { useSay } from "../../ui/toaster.tsx";
import { ROLE_NAMES, ROLES } from "./roles.ts";

export function Users() {
  const { api, me } = useServices();
  const users = useList(api.listUsers);
  const nowMs = useNow();
  const say = useSay();
  const [editing, setEditing] = useState<User | null>(null);
  const [removing, setRemoving] = useState<User | null>(null);
  const replace = (user: User) => users.set(users.value?.map((one) => (one.id === user.id ? user : one)) ?? []);
  const disable = async (user: User, disabled: boolean) => {
    replace({ ...user, disabled });
    try {
      replace(await api.changeUser(user.id, { disabled }));
    } catch (error) {
      replace(user);
      say({ title: `${user.name} was not changed`, description: sentenceOf(error), bad: true });
    }
  };
  const columns: readonly Column<User>[] = [
    {
      id: "name",
      title: "Person",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: ({ id, name, account }) => (
        <>
          <strong className="name">
            {name}
            {id === me.id ? " (you)" : ""}
          </strong>
          {account.name === name ? null : <span className="sub quiet">account {account.name}</span>}
        </>
      ),
    },
    { id: "role", title: "Role", sortBy: ({ role }) => role, cell: ({ role }) => ROLE_NAMES[role] },
    {
      id: "second",
      title: "Signs in by",
      cell: ({ hasTotp, passkeys }) => (
        <span className="quiet">
          password{hasTotp ? ", one-time code" : ""}
          {passkeys === 0 ? "" : `, ${count(passkeys, "passkey")}`}
        </span>
      ),
    },
    { id: "quota", title: "May open", cell: ({ quota }) => <span>{quotaWords(quota)}</span> },
    {
      id: "seen",
      title: "Seen",
      sortBy: ({ lastSeenMs }) => lastSeenMs,
      cell: ({ lastSeenMs }) => formatAgo(lastSeenMs, nowMs),
    },
    {
      id: "enabled",
      kind: "switch",
      title: "May sign in",
      sortBy: ({ disabled }) => !disabled,
      cell: (user) =>
        user.id === me.id ? (
          <Pill tone="ok">Yes</Pill>
        ) : (
          <Switch
            label={`${user.name} may sign in`}
            checked={!user.disabled}
            onChecked={(may) => void disable(user, !may)}
          />
        ),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (user) => (
        <div className="row-actions">
          <Button
            look="quiet"
            className="icon-only"
            title="Edit"
            aria-label={`Edit ${user.name}`}
            onClick={() => setEditing(user)}
          >
            <Icon name="edit" />
          </Button>
          {user.id === me.id ? null : (
            <Button
              look="quiet"
              className="icon-only"
              title="Remove"
              aria-label={`Remove ${user.name}`}
              onClick={() => setRemoving(user)}
            >
              <Icon name="remove" />
            </Button>
          )}
        </div>
      ),
    },
  ];
  return (
    <Card title="People" className="card-table">
      {users.failure === null ? null : <Failure message={users.failure} onRetry={() => void users.reload()} />}
      {users.value === null ? (
        users.failure === null ? (
          <Loading what="the people" />
        ) : null
      ) : (
        <DataTable label="People" rows={users.value} columns={columns} rowId={({ id }) => id} />
      )}
      {editing === null ? null : <EditUser user={editing} onClose={() => setEditing(null)} onSaved={replace} />}
      <Confirm
        title={`Remove ${removing?.name ?? "the person"}?`}
        description="With the person go the devices, forwards and tokens that are theirs alone. This cannot be undone; to keep them out for a while, turn off “may sign in”."
        act="Remove person"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeUser(removing.id);
          users.set(users.value?.filter(({ id }) => id !== removing.id) ?? []);
          say({ title: `Removed ${removing.name}` });
        }}
      />
    </Card>
  );
}

function quotaWords({ ports, maxForwards, maxPorts, maxDevices, bandwidthBytesPerSec }: User["quota"]): string {
  const limits = [
    ports,
    maxForwards === null ? null : `at most ${count(maxForwards, "forward")}`,
    maxPorts === null ? null : `at most ${count(maxPorts, "port")}`,
    maxDevices === null ? null : `at most ${count(maxDevices, "device")}`,
    bandwidthBytesPerSec === null ? null : `${bandwidthText(bandwidthBytesPerSec)} together`,
  ].filter((limit) => limit !== null);
  return limits.length === 0 ? "any port" : limits.join(", ");
}

interface EditUserProps {
  readonly user: User;
  readonly onClose: () => void;
  readonly onSaved: (user: User) => void;
}

function EditUser({ user, onClose, onSaved }: EditUserProps) {
  const { api, me } = useServices();
  const [role, setRole] = useState(user.role);
  const [ports, setPorts] = useState(user.quota.ports ?? "");
  const [maxForwards, setMaxForwards] = useState(user.quota.maxForwards?.toString() ?? "");
  const [maxPorts, setMaxPorts] = useState(user.quota.maxPorts?.toString() ?? "");
  const [maxDevices, setMaxDevices] = useState(user.quota.maxDevices?.toString() ?? "");
  const [bandwidth, setBandwidth] = useState(bandwidthText(user.quota.bandwidthBytesPerSec));
  const numberOf = (text: string, path: string): number | null => {
    if (text.trim() === "") return null;
    const message = "Write a whole number, or nothing for no limit.";
    if (!/^\d{1,9}$/.test(text.trim())) throw new FormProblem(message, [{ path, message }]);
    return Number(text);
  };
  const saving = useAction(async () => {
    const saved = await api.changeUser(user.id, {
      ...(role === user.role ? {} : { role }),
      quota: {
        ports: ports.trim() === "" ? null : ports.trim(),
        maxForwards: numberOf(maxForwards, "quota.maxForwards"),
        maxPorts: numberOf(maxPorts, "quota.maxPorts"),
        maxDevices: numberOf(maxDevices, "quota.maxDevices"),
        bandwidth: bandwidth.trim() === "" ? null : bandwidth.trim(),
      },
    });
    onSaved(saved);
    onClose();
  });
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (!saving.busy && readPorts(ports)?.ok !== false) void saving.run();
  };
  return (
    <Modal title={`Edit ${user.name}`} open onClose={onClose}>
      <form noValidate onSubmit={save} className="stack">
        {user.id === me.id ? null : <SelectField label="Role" value={role} onValue={setRole} options={ROLES} />}
        <PortField
          label="Ports of the account"
          value={ports}
          onValue={setPorts}
          error={saving.problem?.of("quota.ports") ?? null}
          asked={false}
          hint="Nothing: every port of the relay."
          placeholder="any"
        />
        <TextField
          label="Forwards at most"
          inputMode="numeric"
          value={maxForwards}
          onValue={setMaxForwards}
          error={saving.problem?.of("quota.maxForwards")}
          placeholder="no limit"
        />
        <TextField
          label="Ports at most"
          inputMode="numeric"
          value={maxPorts}
          onValue={setMaxPorts}
          error={saving.problem?.of("quota.maxPorts")}
          placeholder="no limit"
        />
        <TextField
          label="Devices at most"
          inputMode="numeric"
          value={maxDevices}
          onValue={setMaxDevices}
          error={saving.problem?.of("quota.maxDevices")}
          placeholder="no limit"
        />
        <TextField
          label="Bandwidth of all its forwards"
          value={bandwidth}
          onValue={setBandwidth}
          error={saving.problem?.of("quota.bandwidth")}
          hint="As 10 MB/s or 100 Mbit/s, both directions together."
          placeholder="no limit"
        />
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
