import { useMemo, useState } from "react";
import { ApiProblem } from "../api.ts";
import { count } from "../format.ts";
import { APP_PROTOCOLS, type AppForward, isByApp } from "../forwards/origin.ts";
import { TRAFFIC_COLUMN } from "../forwards/traffic-column.tsx";
import { STATE_WORDS } from "../forwards/words.ts";
import { useNow, useResource } from "../state/resource.ts";
import { useLive, useMayChange, useServices } from "../state/services.tsx";
import { useSettled } from "../state/settled.ts";
import { Card, Empty, Failure, Loading, Notice, PageHead, Pill } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { Countdown } from "../ui/countdown.tsx";
import { type Column, DataTable, FilterBar } from "../ui/data-table.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { filterRows } from "../ui/table-view.ts";
import { useSay } from "../ui/toaster.tsx";

const SECOND_MS = 1_000;
/** A program that starts asks for several: they are told of together. */
const CALM_MS = 2_000;
const NOT_FOUND = 404;

/** What programs asked the gateway for. Their names are what those programs wrote. */
export function AppPortsPage() {
  const { api, live } = useServices();
  const { forwards, failure } = useLive();
  const say = useSay();
  const overview = useResource(api.getOverview);
  const [closing, setClosing] = useState<AppForward | null>(null);
  const asked = useMemo(() => forwards?.filter(isByApp) ?? null, [forwards]);
  const close = async (forward: AppForward) => {
    try {
      await api.removeForward(forward.id);
    } catch (error) {
      // It went by itself while the question stood there.
      if (!(error instanceof ApiProblem) || error.problem.status !== NOT_FOUND) throw error;
    }
    live.show({ event: "forward-gone", id: forward.id });
    say({ title: `Closed ${forward.ports}`, description: `${forward.device.name} does not have it any more.` });
  };
  return (
    <>
      <PageHead title="App-opened ports" lead={asked === null ? undefined : leadOf(asked)} />
      <Announcement text={asked === null ? "" : leadOf(asked)} />
      {failure === null ? null : <Failure message={failure} onRetry={live.retryNow} />}
      {overview.value?.gateway?.servers
        .filter(({ listening }) => !listening)
        .map(({ name, message }) => (
          <Notice key={name} kind="warn">
            No program can ask by {name}: {message ?? "it is turned off in hatchway.toml."}
          </Notice>
        ))}
      {asked === null ? (
        failure === null ? (
          <Loading what="what programs asked for" />
        ) : null
      ) : (
        <Card className="card-table">
          {asked.length === 0 ? (
            <Empty icon="apps" title="No program has asked for a port">
              <p>
                Consoles, games and torrent clients open ports by UPnP, NAT-PMP or PCP while they need them. What they
                open stands here, and can be closed.
              </p>
            </Empty>
          ) : (
            <AppPortsTable asked={asked} onClose={setClosing} />
          )}
        </Card>
      )}
      <Confirm
        title={`Close ${closing?.ports ?? "the port"}?`}
        description={`Who is connected through it is cut off, and there is no undo. A program on ${closing?.device.name ?? "the device"} asked for it, and may ask again.`}
        act="Close port"
        open={closing !== null}
        onClose={() => setClosing(null)}
        onAct={async () => {
          if (closing !== null) await close(closing);
        }}
      />
    </>
  );
}

function leadOf(asked: readonly AppForward[]): string {
  if (asked.length === 0) return "No program has a port open now.";
  const hosts = new Set(asked.map(({ device }) => device.id)).size;
  return `${count(asked.length, "port")} opened by programs on ${count(hosts, "device")}.`;
}

/** Tells a screen reader that some came or went, after it has become calm; not of each second of a lease. */
function Announcement({ text }: { readonly text: string }) {
  return (
    <p role="status" className="visually-hidden">
      {useSettled(text, CALM_MS)}
    </p>
  );
}

interface AppPortsTableProps {
  readonly asked: readonly AppForward[];
  readonly onClose: (forward: AppForward) => void;
}

function AppPortsTable({ asked, onClose }: AppPortsTableProps) {
  const mayChange = useMayChange();
  const nowMs = useNow(SECOND_MS);
  const [text, setText] = useState("");
  const rows = useMemo(() => filterRows(asked, searchText, text), [asked, text]);
  const columns: readonly Column<AppForward>[] = [
    {
      id: "name",
      title: "Program",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: ({ name, origin }) => (
        <>
          <strong className="name">{name}</strong>
          <span className="sub quiet">asked by {APP_PROTOCOLS[origin]}</span>
        </>
      ),
    },
    {
      id: "device",
      title: "On",
      sortBy: ({ device }) => device.name,
      cell: (forward) => <HostCell forward={forward} />,
    },
    {
      id: "ports",
      title: "Ports",
      sortBy: ({ ports }) => ports,
      cell: ({ ports, endpoints }) => (
        <>
          <span className="ports">{ports.replaceAll(/,\s*/g, ", ")}</span>
          {ports.includes("/") ? null : <span className="sub quiet">{protocolsOf(endpoints)}</span>}
        </>
      ),
    },
    {
      id: "state",
      title: "State",
      sortBy: ({ state }) => STATE_WORDS[state].word,
      cell: ({ state, message }) => (
        <>
          <Pill tone={STATE_WORDS[state].tone}>{STATE_WORDS[state].word}</Pill>
          {message === null ? null : <span className="sub quiet">{message}</span>}
        </>
      ),
    },
    {
      id: "lease",
      title: "Ends in",
      kind: "number",
      sortBy: ({ leaseEndsMs }) => leaseEndsMs,
      cell: ({ leaseEndsMs }) =>
        leaseEndsMs === null ? (
          <span className="quiet">never by itself</span>
        ) : (
          <Countdown untilMs={leaseEndsMs} nowMs={nowMs} />
        ),
    },
    TRAFFIC_COLUMN,
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (forward) =>
        mayChange && forward.removable ? (
          <div className="row-actions">
            <Button
              look="quiet"
              aria-label={`Close ${forward.ports} of ${forward.name}`}
              onClick={() => onClose(forward)}
            >
              Close
            </Button>
          </div>
        ) : null,
    },
  ];
  return (
    <>
      <FilterBar
        label="Filter by program, device, port"
        value={text}
        onValue={setText}
        found={text.trim() === "" ? null : `${rows.length} of ${count(asked.length, "port")}`}
      />
      <DataTable label="App-opened ports" rows={rows} columns={columns} rowId={({ id }) => id} />
    </>
  );
}

function protocolsOf(endpoints: AppForward["endpoints"]): string {
  return [...new Set(endpoints.map(({ protocol }) => protocol.toUpperCase()))].toSorted().join(" and ");
}

function searchText({ name, device, ports, origin, endpoints }: AppForward): string {
  return `${name} ${device.name} ${ports} ${APP_PROTOCOLS[origin]} ${endpoints[0]?.internalHost ?? ""}`;
}

function HostCell({ forward: { device, endpoints } }: { readonly forward: AppForward }) {
  const address = endpoints[0]?.internalHost ?? null;
  return (
    <>
      <span className="name">{device.name}</span>
      {address === null || address === device.name ? null : <span className="sub quiet ports">{address}</span>}
    </>
  );
}
