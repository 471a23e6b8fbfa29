import type { Column, Results, Row } from "./results.ts";

/** Maps as objects, so that every sample can be read back by any program. */
export function asJson(results: Results): string {
  return JSON.stringify(results, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value), 2);
}

/** What `asJson` wrote. */
export function fromJson(text: string): Results {
  const read = JSON.parse(text) as Results;
  const map = <T>(object: ReadonlyMap<string, T>) => new Map(Object.entries(object)) as ReadonlyMap<string, T>;
  return { ...read, absent: map(read.absent), rows: read.rows.map((row) => ({ ...row, cells: map(row.cells) })) };
}

const sameColumn = (a: Column, b: Column) => a.peer === b.peer && a.plane === b.plane;

/**
 * `now`, and of `kept` the measures that were not taken now, in the order of `measures`. Throws with one sentence when
 * the two cannot stand in one table.
 */
export function withKept(now: Results, kept: Results, measures: readonly string[]): Results {
  if (kept.machine !== now.machine) throw new Error(`the kept samples are from another machine: ${kept.machine}`);
  for (const column of kept.columns) {
    const other = now.columns.find((present) => sameColumn(present, column));
    if (other !== undefined && other.version !== column.version)
      throw new Error(`the kept samples are of ${column.peer} ${column.version}, not ${other.version}`);
  }
  const taken = new Set(now.runs.flatMap((run) => run.measures));
  const earlier = kept.runs.map((run) => ({ ...run, measures: run.measures.filter((name) => !taken.has(name)) }));
  const rows: Row[] = [...now.rows, ...kept.rows.filter((row) => !taken.has(row.measure))];
  const columns = kept.columns.map((column) => now.columns.find((present) => sameColumn(present, column)) ?? column);
  const added = now.columns.filter((column) => !kept.columns.some((present) => sameColumn(present, column)));
  return {
    ...now,
    runs: [...now.runs, ...earlier.filter((run) => run.measures.length > 0)],
    columns: [...columns, ...added],
    absent: new Map([...kept.absent, ...now.absent]),
    rows: rows.toSorted((a, b) => measures.indexOf(a.measure) - measures.indexOf(b.measure)),
  };
}
