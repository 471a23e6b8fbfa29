import { useCallback, useMemo, useState } from "react";
import { sentenceOf, type Visit } from "../api.ts";
import { count, formatAge, formatBytes } from "../format.ts";
import { useNow, useResource } from "../state/resource.ts";
import { useMayChange, useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, PageHead } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { type Column, DataTable, FilterBar } from "../ui/data-table.tsx";
import { filterRows } from "../ui/table-view.ts";
import { useSay } from "../ui/toaster.tsx";

const EVERY_MS = 2_000;
/** The most that one answer has. */
const PAGE_LIMIT = 500;
const SECOND_MS = 1_000;

const COUNTRY_NAMES = new Intl.DisplayNames("en", { type: "region" });

function countryName({ country }: Visit): string {
  return country === undefined || country === null ? "" : (COUNTRY_NAMES.of(country) ?? country);
}

const COUNTRY: Column<Visit> = {
  id: "country",
  title: "Country",
  sortBy: countryName,
  cell: (visit) => countryName(visit) || <span className="quiet">–</span>,
};

/** Only a server with a database of countries tells them. */
function hasCountries(visits: readonly Visit[]): boolean {
  return visits.some(({ country }) => country !== undefined);
}

/** The kernel of a gateway did not write it down when the connection began. */
function NotTold() {
  return (
    <span className="quiet" title="The kernel does not tell">
      –
    </span>
  );
}

/** Who is connected now. The newest pages of the list are asked for again and again, as many as are shown. */
export function VisitsPage() {
  const { api } = useServices();
  const mayChange = useMayChange();
  const say = useSay();
  const nowMs = useNow(SECOND_MS);
  const [text, setText] = useState("");
  const [pages, setPages] = useState(1);
  const [killed, setKilled] = useState<ReadonlySet<string>>(new Set());
  const read = useCallback(async () => {
    const items: Visit[] = [];
    let next: string | null = null;
    for (let page = 0; page < pages; page++) {
      const found = await api.listVisits({ limit: PAGE_LIMIT, cursor: next });
      items.push(...found.items);
      next = found.next;
      if (next === null) break;
    }
    return { items, more: next !== null };
  }, [api, pages]);
  const visits = useResource(read, EVERY_MS);
  const all = useMemo(() => visits.value?.items.filter(({ id }) => !killed.has(id)) ?? [], [visits.value, killed]);
  const rows = useMemo(
    () =>
      filterRows(
        all,
        (visit) =>
          `${visit.visitor} ${countryName(visit)} ${visit.forwardName} ${visit.device ?? ""} ${visit.entry} ${visit.protocol}`,
        text,
      ),
    [all, text],
  );
  const kill = async (visit: Visit) => {
    try {
      await api.endVisit(visit.id);
      setKilled((now) => new Set([...now, visit.id]));
      say({ title: `Cut ${visit.visitor}`, description: "It may connect again: to keep it out, name who may come." });
    } catch (error) {
      say({ title: `${visit.visitor} was not cut`, description: sentenceOf(error), bad: true });
    }
  };
  const columns: readonly Column<Visit>[] = [
    {
      id: "visitor",
      title: "Visitor",
      kind: "main",
      sortBy: ({ visitor }) => visitor,
      cell: ({ visitor }) => <span className="ports name">{visitor}</span>,
    },
    ...(hasCountries(all) ? [COUNTRY] : []),
    {
      id: "forward",
      title: "Forward",
      sortBy: ({ forwardName }) => forwardName,
      cell: ({ forwardName, device }) => (
        <>
          <span>{forwardName}</span>
          {device === null ? null : <span className="sub quiet">{device}</span>}
        </>
      ),
    },
    {
      id: "entry",
      title: "Came to",
      sortBy: ({ entry }) => entry,
      cell: ({ entry, protocol }) => (
        <>
          <span className="ports">{entry}</span>
          <span className="sub quiet">{protocol.toUpperCase()}</span>
        </>
      ),
    },
    {
      id: "age",
      title: "Since",
      kind: "number",
      sortBy: ({ openedMs }) => -(openedMs ?? 0),
      cell: ({ openedMs }) => (openedMs === null ? <NotTold /> : formatAge(nowMs - openedMs)),
    },
    {
      id: "bytes",
      title: "Traffic",
      kind: "number",
      sortBy: ({ bytesIn, bytesOut }) => (bytesIn ?? 0) + (bytesOut ?? 0),
      cell: ({ bytesIn, bytesOut }) =>
        bytesIn === null || bytesOut === null ? (
          <NotTold />
        ) : (
          <>
            <span>{formatBytes(bytesIn)} in</span>
            <span className="sub quiet">{formatBytes(bytesOut)} out</span>
          </>
        ),
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (visit) =>
        mayChange ? (
          <div className="row-actions">
            <Button look="quiet" aria-label={`Cut ${visit.visitor}`} onClick={() => void kill(visit)}>
              Cut
            </Button>
          </div>
        ) : null,
    },
  ];
  return (
    <>
      <PageHead
        title="Live connections"
        lead={
          visits.value === null
            ? undefined
            : `${count(all.length, "visitor")}${visits.value.more ? ", and more," : ""} connected now.`
        }
      />
      {visits.failure === null ? null : <Failure message={visits.failure} onRetry={() => void visits.reload()} />}
      {visits.value === null ? (
        visits.failure === null ? (
          <Loading what="the connections" />
        ) : null
      ) : (
        <Card className="card-table">
          {all.length === 0 ? (
            <Empty icon="visits" title="Nobody is connected">
              <p>Visitors of open ports stand here while they are connected.</p>
            </Empty>
          ) : (
            <>
              <FilterBar
                label="Filter by address, forward, port"
                value={text}
                onValue={setText}
                found={text.trim() === "" ? null : `${rows.length} of ${count(all.length, "visitor")}`}
              />
              <DataTable
                label="Live connections"
                rows={rows}
                columns={columns}
                rowId={({ id }) => id}
                initialSort={{ column: "age", descending: false }}
              />
              {visits.value.more ? (
                <div className="pager">
                  <Button onClick={() => setPages(pages + 1)}>Read more</Button>
                </div>
              ) : null}
            </>
          )}
        </Card>
      )}
    </>
  );
}
