import { useState } from "react";
import type { Trigger } from "../../api.ts";
import { count } from "../../format.ts";
import { PortField, readPorts } from "../../forwards/port-field.tsx";
import { useAction } from "../../state/action.ts";
import { useNow } from "../../state/resource.ts";
import { useLive, useServices } from "../../state/services.tsx";
import { Card, Empty, Notice, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Countdown } from "../../ui/countdown.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";
import { Icon } from "../../ui/icons.tsx";
import { useSay } from "../../ui/toaster.tsx";

const SECOND_MS = 1_000;

/** Ports that a client's own packet opens to it, for as long as it uses them. */
export function Triggers() {
  const { api, live } = useServices();
  const { triggers } = useLive();
  const say = useSay();
  const [removing, setRemoving] = useState<Trigger | null>(null);
  if (triggers === null) return null;
  return (
    <>
      <Card title="Port triggering" className="card-table">
        {triggers.length === 0 ? (
          <Empty icon="triggers" title="No port is triggered yet">
            <p>
              A trigger keeps ports closed until a client sends something out to a port that you name: then they open to
              that client alone. When nothing has passed for a while they close again, so nothing stays open that nobody
              uses.
            </p>
          </Empty>
        ) : (
          <TriggerTable triggers={triggers} onRemove={setRemoving} />
        )}
      </Card>
      <AddTrigger />
      <Confirm
        title={`Remove ${removing?.name ?? "the trigger"}?`}
        description={
          removing?.host === null
            ? `${removing.in} opens to nobody any more.`
            : `It is open to ${removing?.host ?? "a client"}: what passes is cut off.`
        }
        act="Remove trigger"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeTrigger(removing.id);
          live.show({ event: "trigger-gone", id: removing.id });
          say({ title: `Removed ${removing.name}` });
        }}
      />
    </>
  );
}

interface TriggerTableProps {
  readonly triggers: readonly Trigger[];
  readonly onRemove: (trigger: Trigger) => void;
}

const ports = (text: string) => <span className="ports">{text.replaceAll(/,\s*/g, ", ")}</span>;

function TriggerTable({ triggers, onRemove }: TriggerTableProps) {
  const nowMs = useNow(SECOND_MS);
  const columns: readonly Column<Trigger>[] = [
    {
      id: "name",
      title: "Name",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: ({ name }) => <strong className="name">{name}</strong>,
    },
    { id: "out", title: "A client sends to", sortBy: ({ out }) => out, cell: ({ out }) => ports(out) },
    { id: "in", title: "Opens to it", sortBy: (trigger) => trigger.in, cell: (trigger) => ports(trigger.in) },
    {
      id: "state",
      title: "State",
      sortBy: ({ state }) => state,
      cell: ({ state, host, closesMs }) => (
        <>
          <Pill tone={state === "open" ? "ok" : "quiet"}>{state === "open" ? "Open" : "Armed"}</Pill>
          {host === null ? null : <span className="sub">to {host}</span>}
          {state === "armed" || closesMs === null ? null : (
            <span className="sub quiet">
              closes in <Countdown untilMs={closesMs} nowMs={nowMs} />
            </span>
          )}
        </>
      ),
    },
    {
      id: "timeout",
      title: "Closes after",
      sortBy: ({ timeoutSec }) => timeoutSec,
      cell: ({ timeoutSec, secondHost }) => (
        <>
          <span>{timeoutWords(timeoutSec)}</span>
          <span className="sub quiet">a second client {secondHost === "refused" ? "is refused" : "takes over"}</span>
        </>
      ),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (trigger) =>
        trigger.removable ? (
          <div className="row-actions">
            <Button
              look="quiet"
              className="icon-only"
              title="Remove"
              aria-label={`Remove the trigger ${trigger.name}`}
              onClick={() => onRemove(trigger)}
            >
              <Icon name="remove" />
            </Button>
          </div>
        ) : (
          <span className="sub quiet">
            in <code>hatchway.toml</code>
          </span>
        ),
    },
  ];
  return <DataTable label="Port triggers" rows={triggers} columns={columns} rowId={({ id }) => id} />;
}

/** `10 minutes`, `45 seconds`. */
function timeoutWords(seconds: number): string {
  if (seconds % 3_600 === 0) return count(seconds / 3_600, "hour");
  return seconds % 60 === 0 ? count(seconds / 60, "minute") : count(seconds, "second");
}

const SECOND_HOSTS = [
  { value: "takesOver", label: "Takes over" },
  { value: "refused", label: "Is refused" },
] as const satisfies readonly { readonly value: Trigger["secondHost"]; readonly label: string }[];

const DEFAULT_TIMEOUT_SEC = "600";
const NOTHING = { name: "", out: "", in: "", timeoutSec: DEFAULT_TIMEOUT_SEC, secondHost: "takesOver" } as const;
interface TriggerFields {
  readonly name: string;
  readonly out: string;
  readonly in: string;
  readonly timeoutSec: string;
  readonly secondHost: Trigger["secondHost"];
}

function AddTrigger() {
  const { api, live } = useServices();
  const say = useSay();
  const [fields, setFields] = useState<TriggerFields>(NOTHING);
  const [asked, setAsked] = useState(false);
  const change = (part: Partial<TriggerFields>) => setFields({ ...fields, ...part });
  const adding = useAction(async () => {
    const trigger = await api.addTrigger({
      name: fields.name.trim(),
      out: fields.out.trim(),
      in: fields.in.trim(),
      secondHost: fields.secondHost,
      ...(fields.timeoutSec === "" ? {} : { timeoutSec: Number(fields.timeoutSec) }),
    });
    live.show({ event: "trigger", trigger });
    say({ title: `Armed ${trigger.name}`, description: `${trigger.out} opens ${trigger.in}.` });
    setFields(NOTHING);
    setAsked(false);
  });
  const isReady = readPorts(fields.out)?.ok === true && readPorts(fields.in)?.ok === true;
  const errorOf = (path: string) => adding.problem?.of(path) ?? null;
  return (
    <Card title="Add a trigger">
      <form
        noValidate
        aria-label="New trigger"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(!isReady);
          if (!adding.busy && isReady) void adding.run();
        }}
      >
        <div className="form-row">
          <TextField
            label="Name of the trigger"
            value={fields.name}
            onValue={(name) => change({ name })}
            error={errorOf("name")}
            maxLength={64}
            autoComplete="off"
            placeholder="irc"
            required
          />
          <PortField
            label="When a client sends to"
            value={fields.out}
            onValue={(out) => change({ out })}
            error={errorOf("out")}
            asked={asked}
            hint="Ports out there, of any host."
            placeholder="6667"
          />
          <PortField
            label="Open to it"
            value={fields.in}
            onValue={(text) => change({ in: text })}
            error={errorOf("in")}
            asked={asked}
            hint="Ports here, as they are."
            placeholder="113"
          />
        </div>
        <div className="form-row form-row-even">
          <TextField
            label="Close after seconds without traffic"
            inputMode="numeric"
            value={fields.timeoutSec}
            onValue={(text) => change({ timeoutSec: text.replace(/\D/g, "").slice(0, 5) })}
            error={errorOf("timeoutSec")}
            hint={fields.timeoutSec === "" ? "10 minutes" : timeoutWords(Number(fields.timeoutSec))}
          />
          <SelectField
            label="A second client, meanwhile"
            value={fields.secondHost}
            onValue={(secondHost) => change({ secondHost })}
            options={SECOND_HOSTS}
          />
        </div>
        {adding.problem === null || adding.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{adding.problem.message}</Notice>
        )}
        <div className="buttons">
          <Button type="submit" look="primary" busy={adding.busy} disabled={fields.name.trim() === ""}>
            Add trigger
          </Button>
        </div>
      </form>
    </Card>
  );
}
