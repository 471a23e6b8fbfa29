/** How long a peer may connect, in seconds; for ever = no end. */
export const LIFETIMES = [
  { value: "forever", label: "For ever" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
  { value: "2592000", label: "30 days" },
  { value: "31536000", label: "1 year" },
] as const;
export type Lifetime = (typeof LIFETIMES)[number]["value"];
