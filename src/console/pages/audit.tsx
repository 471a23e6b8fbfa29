import { useMemo, useState } from "react";
import { type AuditEntry, sentenceOf } from "../api.ts";
import { useAction } from "../state/action.ts";
import { useResource } from "../state/resource.ts";
import { useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, Notice, PageHead } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { type Column, DataTable, FilterBar } from "../ui/data-table.tsx";
import { filterRows } from "../ui/table-view.ts";

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function detailText(detail: AuditEntry["detail"]): string {
  return Object.entries(detail)
    .map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

const COLUMNS: readonly Column<AuditEntry>[] = [
  {
    id: "time",
    title: "Time",
    sortBy: ({ id }) => id,
    cell: ({ atMs }) => <time dateTime={new Date(atMs).toISOString()}>{TIME.format(atMs)}</time>,
  },
  { id: "actor", title: "Who", sortBy: ({ actor }) => actor, cell: ({ actor }) => actor },
  {
    id: "action",
    title: "What",
    kind: "main",
    sortBy: ({ action }) => action,
    cell: ({ action }) => <strong className="name">{action}</strong>,
  },
  { id: "subject", title: "Of what", sortBy: ({ subject }) => subject, cell: ({ subject }) => subject },
  {
    id: "detail",
    title: "Detail",
    cell: ({ detail }) => <span className="quiet detail-text">{detailText(detail)}</span>,
  },
];

/** Who did what, and when: newest first, more on demand. */
export function AuditPage() {
  const { api } = useServices();
  const first = useResource(api.listAudit);
  const [older, setOlder] = useState<readonly AuditEntry[]>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const [text, setText] = useState("");
  const cursor = next === undefined ? (first.value?.next ?? null) : next;
  const reading = useAction(async () => {
    const page = await api.listAudit({ cursor });
    setOlder([...older, ...page.items]);
    setNext(page.next);
  });
  const all = useMemo(() => [...(first.value?.items ?? []), ...older], [first.value, older]);
  const rows = useMemo(
    () =>
      filterRows(
        all,
        ({ actor, action, subject, detail }) => `${actor} ${action} ${subject} ${detailText(detail)}`,
        text,
      ),
    [all, text],
  );
  return (
    <>
      <PageHead title="Audit" lead="Who did what, and when. Nothing here can be changed." />
      {first.failure === null ? null : <Failure message={first.failure} onRetry={() => void first.reload()} />}
      {first.value === null ? (
        first.failure === null ? (
          <Loading what="the audit log" />
        ) : null
      ) : (
        <Card className="card-table">
          {all.length === 0 ? (
            <Empty icon="audit" title="Nothing has been done yet">
              <p>Sign-ins, changes and who had which port when are written down here.</p>
            </Empty>
          ) : (
            <>
              <FilterBar
                label="Filter by person, action, subject"
                value={text}
                onValue={setText}
                found={text.trim() === "" ? null : `${rows.length} of ${all.length} that were read`}
              />
              <DataTable
                label="Audit log"
                rows={rows}
                columns={COLUMNS}
                rowId={({ id }) => String(id)}
                initialSort={{ column: "time", descending: true }}
              />
              {reading.problem === null ? null : <Notice kind="bad">{sentenceOf(reading.problem)}</Notice>}
              {cursor === null ? null : (
                <div className="pager">
                  <Button busy={reading.busy} onClick={() => void reading.run()}>
                    Read older ones
                  </Button>
                </div>
              )}
            </>
          )}
        </Card>
      )}
    </>
  );
}
