import type { Forward } from "../api.ts";
import { formatBytes } from "../format.ts";
import type { Column } from "../ui/data-table.tsx";

/** What a forward carried, either way. */
export const TRAFFIC_COLUMN: Column<Forward> = {
  id: "bytes",
  title: "Traffic",
  kind: "number",
  sortBy: ({ counters }) => counters.bytesIn + counters.bytesOut,
  cell: ({ counters }) => (
    <>
      <span>{formatBytes(counters.bytesIn)} in</span>
      <span className="sub quiet">{formatBytes(counters.bytesOut)} out</span>
    </>
  ),
};
