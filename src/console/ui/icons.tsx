/** Drawn here: no web font, no request. Each stands beside a word or in a button with a name. */
const SHAPES = {
  overview: "M3 12l7-8 7 8M5 10v7h10v-7",
  forwards: "M3 7h11l-3-3M17 13H6l3 3",
  devices: "M3 4h14v9H3zM7 17h6M10 13v4",
  apps: "M3 3h5v5H3zM12 3h5v5h-5zM3 12h5v5H3zM14.5 11.5v6M11.5 14.5h6",
  triggers: "M11 2L4 11h5l-1 7 8-10h-5z",
  visits: "M2 10h4l2-6 4 12 2-6h4",
  traffic: "M4 17V9M8 17V4M12 17v-6M16 17V7",
  checks: "M3 5l2 2 3-4M3 13l2 2 3-4M11 5h6M11 13h6",
  settings: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
  people: "M10 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 17c0-3.5 2.5-6 6-6s6 2.5 6 6",
  audit: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2",
  account: "M10 2l7 3v5c0 4-3 7-7 8-4-1-7-4-7-8V5z",
  keys: "M7 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM10 9l7-6M14 5.5l2.5 2.5",
  save: "M10 3v9M6 8.5l4 4 4-4M4 16h12",
  copy: "M7 7h9v10H7zM4 13V3h9",
  check: "M4 10.5l4 4 8-9",
  cross: "M5 5l10 10M15 5L5 15",
  question: "M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1 1-1.1 1.8M10 15v.1",
  menu: "M3 5h14M3 10h14M3 15h14",
  up: "M5 12l5-5 5 5",
  down: "M5 8l5 5 5-5",
  edit: "M4 16l1-4 8-8 3 3-8 8z",
  remove: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  warning: "M10 3l8 14H2zM10 8v4M10 14.5v.1",
  arrow: "M3 10h13M12 6l4 4-4 4",
} as const;
export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} />
    </svg>
  );
}

export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
        <rect className="brand-tile" width="32" height="32" rx="8" />
        <path className="brand-arch" d="M9 25V12a7 7 0 0 1 14 0v13" />
        <path className="brand-way" d="M12 19h8m-3-3 3 3-3 3" />
      </svg>
      Hatchway
    </span>
  );
}
