import { Fragment, type ReactNode, useMemo, useState } from "react";
import { Button } from "./button.tsx";
import { Icon } from "./icons.tsx";
import { pageOf, type Sort, type SortValue, sortRows } from "./table-view.ts";

export interface Column<T> {
  readonly id: string;
  readonly title: string;
  readonly cell: (row: T) => ReactNode;
  /** Absent: the column does not sort. */
  readonly sortBy?: (row: T) => SortValue;
  /** number: to the right. main: the heading of a card on a phone. switch and actions: without a title there. */
  readonly kind?: "number" | "main" | "switch" | "actions";
}

interface DataTableProps<T> {
  /** Its name, for screen readers. */
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly rowId: (row: T) => string;
  readonly initialSort?: Sort;
  /** Below a row, as wide as the table; null = nothing. */
  readonly detail?: (row: T) => ReactNode;
  readonly rowClass?: (row: T) => string | undefined;
}

/** So many rows that the page stays quick with thousands, and few enough to look through. */
const PAGE_SIZE = 50;

/**
 * A table that sorts, and becomes cards where the screen is narrow. The roles are written out: a browser forgets them
 * when CSS shows a row as something else.
 */
export function DataTable<T>(props: DataTableProps<T>) {
  const { label, rows, columns, rowId, initialSort, detail, rowClass } = props;
  const [sort, setSort] = useState<Sort | null>(initialSort ?? null);
  const [wantedPage, setPage] = useState(0);
  const sorted = useMemo(() => sortRows(rows, columns, sort), [rows, columns, sort]);
  const { rows: shown, page, pages, first, last } = pageOf(sorted, wantedPage, PAGE_SIZE);
  const sortOn = (column: string) => {
    setSort(sort?.column === column ? { column, descending: !sort.descending } : { column, descending: false });
    setPage(0);
  };
  return (
    <div className="table-block">
      <table className="table" role="table" aria-label={label} aria-rowcount={rows.length + 1}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <HeaderCell key={column.id} column={column} sort={sort} onSort={sortOn} />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {shown.map((row) => {
            const below = detail?.(row) ?? null;
            return (
              <Fragment key={rowId(row)}>
                <tr role="row" className={rowClass?.(row)}>
                  {columns.map((column) => (
                    <td key={column.id} role="cell" className={cellClass(column.kind)} data-title={column.title}>
                      {column.cell(row)}
                    </td>
                  ))}
                </tr>
                {below === null ? null : (
                  <tr role="row" className="detail-row">
                    <td role="cell" colSpan={columns.length}>
                      {below}
                    </td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
      {pages === 1 ? null : (
        <nav className="pager" aria-label={`Pages of ${label}`}>
          <span className="quiet">
            {first}–{last} of {sorted.length.toLocaleString("en")}
          </span>
          <Button onClick={() => setPage(page - 1)} disabled={page === 0}>
            Previous
          </Button>
          <Button onClick={() => setPage(page + 1)} disabled={page === pages - 1}>
            Next
          </Button>
        </nav>
      )}
    </div>
  );
}

interface HeaderCellProps<T> {
  readonly column: Column<T>;
  readonly sort: Sort | null;
  readonly onSort: (column: string) => void;
}

function HeaderCell<T>({ column, sort, onSort }: HeaderCellProps<T>) {
  const sorted = sort?.column === column.id;
  const order = sort?.descending === true ? "descending" : "ascending";
  return (
    <th role="columnheader" scope="col" aria-sort={sorted ? order : undefined} className={cellClass(column.kind)}>
      {column.sortBy === undefined ? (
        <span className={column.kind === "actions" ? "visually-hidden" : undefined}>{column.title}</span>
      ) : (
        <button type="button" className="sort" onClick={() => onSort(column.id)}>
          {column.title}
          <span className={sorted ? "sort-mark" : "sort-mark sort-mark-idle"}>
            <Icon name={sorted && order === "descending" ? "down" : "up"} />
          </span>
        </button>
      )}
    </th>
  );
}

function cellClass(kind: Column<unknown>["kind"]): string | undefined {
  return kind === undefined ? undefined : `cell-${kind}`;
}

interface FilterBarProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** How many rows are left, in words; null = nothing is filtered. */
  readonly found: string | null;
  readonly children?: ReactNode;
}

export function FilterBar({ label, value, onValue, found, children }: FilterBarProps) {
  return (
    <div className="filter-bar">
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        onChange={(event) => onValue(event.target.value)}
      />
      {children}
      <span className="quiet" role="status">
        {found ?? ""}
      </span>
    </div>
  );
}
