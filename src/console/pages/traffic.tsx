import { useCallback, useMemo, useState } from "react";
import type { TrafficReport } from "../api.ts";
import { count, formatBytes } from "../format.ts";
import { useNow, useResource } from "../state/resource.ts";
import { useLive, useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, PageHead } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { type Column, DataTable } from "../ui/data-table.tsx";
import { SelectField } from "../ui/field.tsx";
import { Plot } from "./traffic/plot.tsx";
import { everySlot, firstSlotMs, PERIODS, type Period, sumOf } from "./traffic/slots.ts";

type Carried = TrafficReport["forwards"][number];

/** The relay writes it down once a minute. */
const EVERY_MS = 60_000;
const EVERY_DEVICE = "";

/** What forwards carried: all together, a device's, or one alone. */
export function TrafficPage() {
  const { api } = useServices();
  const [period, setPeriod] = useState<Period>("2 days");
  const [alone, setAlone] = useState<Carried | null>(null);
  const [device, setDevice] = useState(EVERY_DEVICE);
  const { devices } = useLive();
  const nowMs = useNow(EVERY_MS);
  const { span } = PERIODS[period];
  const sinceMs = firstSlotMs(period, nowMs);
  const id = alone?.id ?? null;
  const traffic = useResource(
    useCallback(
      () =>
        api.getTraffic({
          span,
          sinceMs,
          ...(id === null ? {} : { forward: id }),
          ...(device === EVERY_DEVICE ? {} : { device }),
        }),
      [api, span, sinceMs, id, device],
    ),
    EVERY_MS,
  );
  const report = traffic.value?.span === span ? traffic.value : null;
  const slots = useMemo(() => everySlot(period, nowMs, report?.slots ?? []), [period, nowMs, report]);
  const sum = sumOf(slots);
  const total = `${formatBytes(sum.bytesIn)} in, ${formatBytes(sum.bytesOut)} out, ${count(sum.visitors, "visitor")}`;
  return (
    <>
      <PageHead
        title="Traffic"
        lead="What came in and went out, by the hour and by the day (UTC), up to a minute ago."
      />
      <fieldset className="choices">
        <legend className="visually-hidden">How far back</legend>
        {(Object.keys(PERIODS) as Period[]).map((choice) => (
          <button key={choice} type="button" aria-pressed={choice === period} onClick={() => setPeriod(choice)}>
            {choice}
          </button>
        ))}
      </fieldset>
      {devices === null || devices.length < 2 ? null : (
        <SelectField
          label="Device"
          value={device}
          onValue={(next) => {
            setAlone(null);
            setDevice(next);
          }}
          options={[
            { value: EVERY_DEVICE, label: "All devices" },
            ...devices
              .map(({ id: value, name: label }) => ({ value, label }))
              .toSorted((a, b) => a.label.localeCompare(b.label, "en", { numeric: true })),
          ]}
        />
      )}
      {traffic.failure === null ? null : <Failure message={traffic.failure} onRetry={() => void traffic.reload()} />}
      {report === null ? (
        traffic.failure === null ? (
          <Loading what="what passed" />
        ) : null
      ) : (
        <>
          <Card
            title={titleOf(alone, devices?.find(({ id: known }) => known === device)?.name ?? null)}
            actions={alone === null ? null : <Button onClick={() => setAlone(null)}>Show all</Button>}
          >
            <p>{total}</p>
            <Plot slots={slots} span={span} label={`Traffic by the ${span}: ${total}`} />
          </Card>
          <Card className="card-table">
            {report.forwards.length === 0 ? (
              <Empty icon="traffic" title="Nothing passed">
                <p>What visitors send and get is written down here once a minute.</p>
              </Empty>
            ) : (
              <DataTable
                label="What each forward carried"
                rows={report.forwards}
                columns={columnsOf(id, setAlone)}
                rowId={(row) => row.id}
                initialSort={{ column: "out", descending: true }}
              />
            )}
          </Card>
        </>
      )}
    </>
  );
}

function titleOf(alone: Carried | null, device: string | null): string {
  if (alone !== null) return `${alone.name} on ${alone.device.name}`;
  return device === null ? "All forwards" : `All forwards of ${device}`;
}

function columnsOf(alone: string | null, show: (forward: Carried) => void): readonly Column<Carried>[] {
  return [
    {
      id: "name",
      title: "Forward",
      kind: "main",
      sortBy: ({ name }) => name,
      cell: ({ name }) => <strong className="name">{name}</strong>,
    },
    { id: "device", title: "Device", sortBy: ({ device }) => device.name, cell: ({ device }) => device.name },
    {
      id: "visitors",
      title: "Visitors",
      kind: "number",
      sortBy: ({ visitors }) => visitors,
      cell: ({ visitors }) => visitors.toLocaleString("en"),
    },
    {
      id: "in",
      title: "In",
      kind: "number",
      sortBy: ({ bytesIn }) => bytesIn,
      cell: ({ bytesIn }) => formatBytes(bytesIn),
    },
    {
      id: "out",
      title: "Out",
      kind: "number",
      sortBy: ({ bytesOut }) => bytesOut,
      cell: ({ bytesOut }) => formatBytes(bytesOut),
    },
    {
      id: "actions",
      title: "",
      kind: "actions",
      cell: (row) =>
        alone === row.id ? null : (
          <Button onClick={() => show(row)} aria-label={`Show alone: ${row.name}`}>
            Show alone
          </Button>
        ),
    },
  ];
}
