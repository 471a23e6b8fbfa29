import { type ReactNode, useMemo, useState } from "react";
import type { Forward } from "../api.ts";
import { count, formatAge } from "../format.ts";
import { useNow } from "../state/resource.ts";
import { useMayChange, useServices } from "../state/services.tsx";
import { Empty, Pill } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { type Column, DataTable, FilterBar } from "../ui/data-table.tsx";
import { Icon } from "../ui/icons.tsx";
import { Switch } from "../ui/switch.tsx";
import { filterRows } from "../ui/table-view.ts";
import { CheckPanel } from "./check-panel.tsx";
import { siteWords } from "./site-draft.ts";
import { TRAFFIC_COLUMN } from "./traffic-column.tsx";
import type { Checks } from "./use-checks.ts";
import { STATE_WORDS, sourcesWords } from "./words.ts";

interface ForwardTableProps {
  readonly forwards: readonly Forward[];
  /** False: more are being read. */
  readonly complete: boolean;
  readonly checks: Checks;
  /** Marked for a while: they were just saved. */
  readonly fresh: string | null;
  readonly onEdit: (forward: Forward) => void;
  readonly onRemove: (forward: Forward) => void;
  readonly onEnabled: (forward: Forward, enabled: boolean) => void;
  readonly empty: ReactNode;
}

/** Where a device's own services are. */
const LOOPBACK = "127.0.0.1";

type Which = "all" | "open" | "trouble" | "off";
const WHICH: readonly { readonly value: Which; readonly label: string }[] = [
  { value: "all", label: "All" },
  { value: "open", label: "Open" },
  { value: "trouble", label: "Not open" },
  { value: "off", label: "Off" },
];

function isWanted(forward: Forward, which: Which): boolean {
  switch (which) {
    case "all":
      return true;
    case "open":
      return forward.state === "open";
    case "trouble":
      return forward.state !== "open" && forward.state !== "disabled";
    case "off":
      return forward.state === "disabled";
    default:
      return which satisfies never;
  }
}

function searchText(forward: Forward): string {
  // A site is found by its names: they are its endpoints' hosts.
  const hosts = forward.endpoints.map(({ host, port }) => `${host}:${port}`).join(" ");
  return `${forward.name} ${forward.ports} ${forward.device.name} ${forward.account.name} ${forward.to ?? ""} ${forward.state} ${hosts}`;
}

export function ForwardTable(props: ForwardTableProps) {
  const { forwards, complete, checks, fresh, onEdit, onRemove, onEnabled, empty } = props;
  const { me } = useServices();
  const mayChange = useMayChange();
  const nowMs = useNow();
  const [text, setText] = useState("");
  const [which, setWhich] = useState<Which>("all");
  const rows = useMemo(
    () =>
      filterRows(
        forwards.filter((forward) => isWanted(forward, which)),
        searchText,
        text,
      ),
    [forwards, which, text],
  );
  const columns: readonly Column<Forward>[] = [
    {
      id: "name",
      title: "Name",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: (forward) => (
        <>
          <strong className="name">{forward.name}</strong>
          {me.role === "admin" && forward.account.id !== me.account.id ? (
            <span className="sub quiet">of {forward.account.name}</span>
          ) : null}
        </>
      ),
    },
    {
      id: "ports",
      title: "Ports",
      sortBy: ({ ports }) => ports,
      cell: (forward) => <PortsCell forward={forward} />,
    },
    {
      id: "device",
      title: "Leads to",
      sortBy: ({ device }) => device.name,
      cell: (forward) => <TargetCell forward={forward} />,
    },
    {
      id: "state",
      title: "State",
      sortBy: ({ state }) => STATE_WORDS[state].word,
      cell: (forward) => <StateCell forward={forward} nowMs={nowMs} />,
    },
    {
      id: "visitors",
      title: "Visitors",
      kind: "number",
      sortBy: ({ counters }) => counters.visitorsOpen,
      cell: ({ counters }) => (
        <>
          <span>{counters.visitorsOpen} now</span>
          <span className="sub quiet">{counters.visitorsTotal.toLocaleString("en")} in all</span>
        </>
      ),
    },
    TRAFFIC_COLUMN,
    {
      id: "enabled",
      kind: "switch",
      title: "On",
      sortBy: ({ enabled }) => enabled,
      cell: (forward) => (
        <Switch
          label={`${forward.name} is on`}
          checked={forward.enabled}
          disabled={!mayChange || !forward.editable}
          {...(forward.editable ? {} : { title: changeItThere(forward) })}
          onChecked={(enabled) => onEnabled(forward, enabled)}
        />
      ),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (forward) => (
        <div className="row-actions">
          <Button
            look="quiet"
            busy={checks.of(forward.id)?.kind === "running"}
            aria-label={`Test now: ${forward.name}`}
            onClick={() => void checks.run(forward.id)}
          >
            Test now
          </Button>
          {mayChange && forward.editable ? (
            <Button
              look="quiet"
              className="icon-only"
              title="Edit"
              aria-label={`Edit ${forward.name}`}
              onClick={() => onEdit(forward)}
            >
              <Icon name="edit" />
            </Button>
          ) : null}
          {mayChange && forward.removable ? (
            <Button
              look="quiet"
              className="icon-only"
              title="Remove"
              aria-label={`Remove ${forward.name}`}
              onClick={() => onRemove(forward)}
            >
              <Icon name="remove" />
            </Button>
          ) : null}
        </div>
      ),
    },
  ];
  if (forwards.length === 0 && complete) return empty;
  const filtered = text.trim() !== "" || which !== "all";
  return (
    <>
      <FilterBar
        label="Filter by name, port, device"
        value={text}
        onValue={setText}
        found={filtered ? `${rows.length} of ${count(forwards.length, "forward")}` : complete ? null : "Reading more …"}
      >
        <fieldset className="choices">
          <legend className="visually-hidden">Show</legend>
          {WHICH.map(({ value, label }) => (
            <button key={value} type="button" aria-pressed={which === value} onClick={() => setWhich(value)}>
              {label}
            </button>
          ))}
        </fieldset>
      </FilterBar>
      {rows.length === 0 ? (
        <Empty icon="forwards" title="No forward is like that">
          <Button
            onClick={() => {
              setText("");
              setWhich("all");
            }}
          >
            Show all
          </Button>
        </Empty>
      ) : (
        <DataTable
          label="Forwards"
          rows={rows}
          columns={columns}
          rowId={({ id }) => id}
          rowClass={({ id }) => (id === fresh ? "fresh" : undefined)}
          detail={(forward) => {
            const check = checks.of(forward.id);
            return check === null ? null : (
              <CheckPanel
                name={forward.name}
                check={check}
                onAgain={() => void checks.run(forward.id)}
                onClose={() => checks.forget(forward.id)}
              />
            );
          }}
        />
      )}
    </>
  );
}

function PortsCell({ forward }: { readonly forward: Forward }) {
  // A site has no port of its own.
  const urls = forward.endpoints.flatMap(({ url }) => (url === undefined ? [] : [url]));
  if (urls.length > 0) {
    return (
      <>
        {urls.map((url) => (
          <a key={url} className="address sub" href={url} target="_blank" rel="noreferrer">
            {url}
          </a>
        ))}
        {forward.site === null ? null : <span className="sub quiet">{siteWords(forward.site)}</span>}
      </>
    );
  }
  const protocols = [...new Set(forward.endpoints.map(({ protocol }) => protocol.toUpperCase()))].sort();
  return (
    <>
      <span className="ports">{portsOf(forward.ports, protocols.length === 1)}</span>
      {protocols.length === 0 ? null : <span className="sub quiet">{protocols.join(" and ")}</span>}
    </>
  );
}

/** Each port with its protocol only where they differ: else it stands below. */
function portsOf(text: string, isOneProtocol: boolean): string {
  const spaced = text.replaceAll(/,\s*/g, ", ");
  return isOneProtocol ? spaced.replaceAll(/\/(tcp|udp)\b/g, "") : spaced;
}

function changeItThere({ device, way }: Forward): string {
  return way === "relay"
    ? `Made on ${device.name}: change it there.`
    : "Made at the gateway, by a command or in hatchway.toml: change it there.";
}

function TargetCell({ forward }: { readonly forward: Forward }) {
  const { device, to, editable, way, endpoints, site, ports } = forward;
  if (way === "kernel") {
    const address = endpoints[0]?.internalHost ?? to;
    return (
      <>
        <span className="address">{device.name}</span>
        {address === null || address === device.name ? null : <span className="sub quiet">{address}</span>}
      </>
    );
  }
  return (
    <>
      <span>{device.name}</span>
      <span className="sub quiet">
        {to === null || to === LOOPBACK ? (editable ? "itself" : "as the device says") : to}
        {site === null ? "" : `, port ${ports}`}
      </span>
    </>
  );
}

function StateCell({ forward, nowMs }: { readonly forward: Forward; readonly nowMs: number }) {
  const { word, tone } = STATE_WORDS[forward.state];
  const host = forward.endpoints[0]?.host;
  const limited = forward.allow.length > 0 || forward.deny.length > 0;
  return (
    <div className="state">
      <Pill tone={tone}>{word}</Pill>
      {forward.message === null ? null : <span className="sub quiet">{forward.message}</span>}
      {forward.state === "open" && forward.site !== null && limited ? (
        <span className="sub quiet">to {sourcesWords(forward)}</span>
      ) : null}
      {forward.state === "open" && forward.site === null && host !== undefined ? (
        <span className="sub quiet">
          at {host}
          {limited ? `, to ${sourcesWords(forward)}` : ""}
        </span>
      ) : null}
      {forward.leaseEndsMs === null || forward.leaseEndsMs <= nowMs ? null : (
        <span className="sub quiet">kept for {formatAge(forward.leaseEndsMs - nowMs)}</span>
      )}
    </div>
  );
}
