export type SortValue = string | number | boolean | null;

export interface Sort {
  readonly column: string;
  readonly descending: boolean;
}

export interface Sortable<T> {
  readonly id: string;
  readonly sortBy?: ((row: T) => SortValue) | undefined;
}

/** `web 2` before `web 10`; what is not known comes last either way. */
const TEXT_ORDER = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function compare(a: SortValue, b: SortValue): number {
  if (typeof a === "string" && typeof b === "string") return TEXT_ORDER.compare(a, b);
  return Number(a) - Number(b);
}

export function sortRows<T>(rows: readonly T[], columns: readonly Sortable<T>[], sort: Sort | null): readonly T[] {
  const sortBy = columns.find(({ id }) => id === sort?.column)?.sortBy;
  if (sort === null || sortBy === undefined) return rows;
  const sign = sort.descending ? -1 : 1;
  return rows
    .map((row) => ({ row, key: sortBy(row) }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null);
      return sign * compare(a.key, b.key);
    })
    .map(({ row }) => row);
}

/** Every word must be somewhere in the row's text. */
export function filterRows<T>(rows: readonly T[], textOf: (row: T) => string, wanted: string): readonly T[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => {
    const text = textOf(row).toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export interface TablePage<T> {
  readonly rows: readonly T[];
  /** Counted from 0; within what there is, also when rows went away meanwhile. */
  readonly page: number;
  readonly pages: number;
  /** Of the first and the last row shown, counted from 1; 0 of none. */
  readonly first: number;
  readonly last: number;
}

export function pageOf<T>(rows: readonly T[], wanted: number, size: number): TablePage<T> {
  const pages = Math.max(1, Math.ceil(rows.length / size));
  const page = Math.min(Math.max(0, wanted), pages - 1);
  const shown = rows.slice(page * size, (page + 1) * size);
  return {
    rows: shown,
    page,
    pages,
    first: shown.length === 0 ? 0 : page * size + 1,
    last: page * size + shown.length,
  };
}
