import { useMemo, useState } from "react";
import type { Device, MadeJoinCode, SshServer } from "../../api.ts";
import { count, formatAgo, formatMs } from "../../format.ts";
import { PortField, readPorts } from "../../forwards/port-field.tsx";
import { HostKey } from "../../ssh/host-key.tsx";
import { useAction } from "../../state/action.ts";
import { useNow } from "../../state/resource.ts";
import { useMayChange, useServices } from "../../state/services.tsx";
import { Card, Empty, Notice, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { CopyLine } from "../../ui/copy.tsx";
import { type Column, DataTable, FilterBar } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import { Icon } from "../../ui/icons.tsx";
import { filterRows } from "../../ui/table-view.ts";
import { useSay } from "../../ui/toaster.tsx";

interface AgentsProps {
  readonly devices: readonly Device[];
  /** Null = SSH clients are not served, as far as is known. */
  readonly ssh: SshServer | null;
}

/** The machines that run the agent, and how another one joins. */
export function Agents({ devices, ssh }: AgentsProps) {
  const { api, live, me } = useServices();
  const mayChange = useMayChange();
  const say = useSay();
  const nowMs = useNow();
  const [text, setText] = useState("");
  const [removing, setRemoving] = useState<Device | null>(null);
  const rows = useMemo(
    () =>
      filterRows(
        devices,
        ({ name, account, address, version }) => `${name} ${account.name} ${address ?? ""} ${version ?? ""}`,
        text,
      ),
    [devices, text],
  );
  const columns: readonly Column<Device>[] = [
    {
      id: "name",
      title: "Device",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: ({ name, account }) => (
        <>
          <strong className="name">{name}</strong>
          {account.id === me.account.id ? null : <span className="sub quiet">of {account.name}</span>}
        </>
      ),
    },
    {
      id: "state",
      title: "State",
      sortBy: ({ connected }) => connected,
      cell: ({ connected, lastSeenMs }) => (
        <>
          <Pill tone={connected ? "ok" : "warn"}>{connected ? "Connected" : "Away"}</Pill>
          {connected ? null : <span className="sub quiet">seen {formatAgo(lastSeenMs, nowMs)}</span>}
        </>
      ),
    },
    {
      id: "managed",
      title: "Forwards from here",
      sortBy: ({ managed }) => managed,
      cell: ({ managed, connected }) => <ManagedCell managed={managed} connected={connected} />,
    },
    {
      id: "address",
      title: "Connects from",
      sortBy: ({ address }) => address,
      cell: ({ address, version }) => (
        <>
          <span className="ports">{address ?? "–"}</span>
          {version === null ? null : <span className="sub quiet">version {version}</span>}
        </>
      ),
    },
    {
      id: "rtt",
      title: "Round trip",
      kind: "number",
      sortBy: ({ rttMs }) => rttMs,
      cell: ({ rttMs }) => formatMs(rttMs),
    },
    {
      id: "forwards",
      title: "Forwards",
      kind: "number",
      sortBy: ({ forwards }) => forwards,
      cell: ({ forwards }) => forwards,
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (device) =>
        mayChange ? (
          <div className="row-actions">
            <Button
              look="quiet"
              className="icon-only"
              title="Remove"
              aria-label={`Remove ${device.name}`}
              onClick={() => setRemoving(device)}
            >
              <Icon name="remove" />
            </Button>
          </div>
        ) : null,
    },
  ];
  return (
    <>
      {mayChange ? <AddDevice devices={devices} ssh={ssh} /> : null}
      <Card className="card-table">
        {devices.length === 0 ? (
          <Empty icon="devices" title="No device has joined yet">
            <p>A device is a machine that runs the agent: ports that you open lead to it.</p>
          </Empty>
        ) : (
          <>
            <FilterBar
              label="Filter by name, address"
              value={text}
              onValue={setText}
              found={text.trim() === "" ? null : `${rows.length} of ${count(devices.length, "device")}`}
            />
            <DataTable label="Devices" rows={rows} columns={columns} rowId={({ id }) => id} />
          </>
        )}
      </Card>
      <Confirm
        title={`Remove ${removing?.name ?? "the device"}?`}
        description={`Its ${count(removing?.forwards ?? 0, "forward")} close at once, and its key is forgotten. To come back it joins anew.`}
        act="Remove device"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeDevice(removing.id);
          live.show({ event: "device-gone", id: removing.id });
          say({ title: `Removed ${removing.name}` });
        }}
      />
    </>
  );
}

function ManagedCell({ managed, connected }: Pick<Device, "managed" | "connected">) {
  if (managed === null) return <span className="quiet">{connected ? "not by ssh" : "not known while it is away"}</span>;
  if (managed) return <Pill tone="ok">Taken</Pill>;
  return (
    <>
      <Pill tone="quiet">Not taken</Pill>
      <span className="sub quiet">
        start its agent with <code>--managed</code>
      </span>
    </>
  );
}

const LIFETIMES = [
  { value: "3600", label: "1 hour" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
] as const;
type Lifetime = (typeof LIFETIMES)[number]["value"];

function AddDevice({ devices, ssh }: AgentsProps) {
  const { api } = useServices();
  const [name, setName] = useState("");
  const [ports, setPorts] = useState("");
  const [lifetime, setLifetime] = useState<Lifetime>("3600");
  const [made, setMade] = useState<{ readonly name: string; readonly code: MadeJoinCode } | null>(null);
  const making = useAction(async () => {
    const wanted = name.trim();
    const code = await api.makeJoinCode({
      name: wanted,
      lifetimeSec: Number(lifetime),
      ...(ports.trim() === "" ? {} : { ports: ports.trim() }),
    });
    setMade({ name: wanted, code });
    setName("");
    setPorts("");
  });
  const read = readPorts(ports);
  return (
    <Card title="Add a device">
      <form
        noValidate
        aria-label="New device"
        onSubmit={(event) => {
          event.preventDefault();
          if (!making.busy && read?.ok !== false) void making.run();
        }}
      >
        <div className="form-row">
          <TextField
            label="Name of the device"
            value={name}
            onValue={setName}
            error={making.problem?.of("name")}
            maxLength={64}
            autoComplete="off"
            placeholder="den"
            required
          />
          <PortField
            label="Ports that it may open"
            value={ports}
            onValue={setPorts}
            error={making.problem?.of("ports") ?? null}
            asked={false}
            hint="Optional: all of your account."
            placeholder="all"
          />
          <SelectField label="The code is good for" value={lifetime} onValue={setLifetime} options={LIFETIMES} />
        </div>
        {making.problem === null || making.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{making.problem.message}</Notice>
        )}
        <div className="buttons">
          <Button type="submit" look="primary" busy={making.busy} disabled={name.trim() === ""}>
            Make a join command
          </Button>
        </div>
      </form>
      {made === null ? null : <JoinCommand made={made} devices={devices} ssh={ssh} onClose={() => setMade(null)} />}
    </Card>
  );
}

interface JoinCommandProps {
  readonly made: { readonly name: string; readonly code: MadeJoinCode };
  readonly devices: readonly Device[];
  readonly ssh: SshServer | null;
  readonly onClose: () => void;
}

function JoinCommand({ made, devices, ssh, onClose }: JoinCommandProps) {
  const nowMs = useNow();
  const joined = devices.find(({ name, connected }) => name === made.name && connected);
  const left = made.code.expiresMs - nowMs;
  return (
    <section className="made" aria-label={`Join command of ${made.name}`}>
      <p>
        On <strong>{made.name}</strong>, where Hatchway is installed, run this. It is shown once, and works once.
      </p>
      <CopyLine text={made.code.command} label="the join command" />
      <p className="quiet">
        With <code>--managed</code> the agent takes forwards that are made here. Without it, only its own machine
        chooses what it opens.
      </p>
      <p role="status" className="waiting">
        {joined === undefined ? (
          <>
            <span className="pulse" aria-hidden="true" />
            Waiting for {made.name} to join.{" "}
            {left > 0 ? `The code ends ${formatUntil(left)}.` : "The code has ended: make another."}
          </>
        ) : (
          <Pill tone="ok">{made.name} has joined</Pill>
        )}
      </p>
      {ssh === null ? null : <BySsh name={made.name} ssh={ssh} />}
      <Button onClick={onClose}>Done</Button>
    </section>
  );
}

/** For a machine on which nothing is to be installed. */
function BySsh({ name, ssh }: { readonly name: string; readonly ssh: SshServer }) {
  return (
    <div className="by-ssh">
      <p>
        <strong>If nothing can be installed there,</strong> ssh does as well: let the public key of {name} in under{" "}
        <em>Plain ssh</em> below, and leave this code unused.
      </p>
      <HostKey server={ssh} />
    </div>
  );
}

function formatUntil(leftMs: number): string {
  const minutes = Math.ceil(leftMs / 60_000);
  if (minutes < 120) return `in ${count(minutes, "minute")}`;
  return minutes < 2 * 1_440
    ? `in ${count(Math.round(minutes / 60), "hour")}`
    : `in ${count(Math.round(minutes / 1_440), "day")}`;
}
