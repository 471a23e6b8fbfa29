import type { Kind } from "./placeholders.ts";
import { HIDDEN, type TextRedactor } from "./text.ts";

/** How a value is made safe, by the key that it stands under. */
export type Treatment = Kind | "hidden" | "host-port" | "via" | "text";

const SECRET_KEY = /secret|passw|token|psk|preshared|private|credential|authorization|cookie|join-?code|key-?pem/i;

/** Keys of what the roles and the router say of themselves (servers/local/schema.ts, roles/router/report.ts). */
const BY_KEY: Readonly<Record<string, Treatment>> = {
  deviceName: "device",
  device: "device",
  account: "name",
  group: "name",
  owner: "name",
  deviceId: "id",
  id: "id",
  fingerprint: "key",
  publicKey: "key",
  host: "host",
  publicHost: "host",
  internalHost: "host",
  endpointHost: "host",
  externalHosts: "host",
  to: "host",
  hostname: "host",
  via: "via",
  relay: "host-port",
  listen: "host-port",
  stunServer: "host-port",
  visitor: "host-port",
  entry: "host-port",
  address: "host-port",
  // A router may bear its owner's name, and its mappings those of who asked for them.
  description: "hidden",
  page: "hidden",
};
const MAX_DEPTH = 12;
const MAX_ITEMS = 1_000;

/** A copy of plain JSON values without secrets, public addresses and names. `name`: what stands under that key here. */
export function redactValue(text: TextRedactor, value: unknown, name: Treatment, key = "", depth = 0): unknown {
  if (value === null || typeof value === "number" || typeof value === "boolean") {
    return value !== null && SECRET_KEY.test(key) ? HIDDEN : value;
  }
  if (SECRET_KEY.test(key)) return HIDDEN;
  if (typeof value === "string") return redactString(text, value, key === "name" ? name : (BY_KEY[key] ?? "text"));
  if (typeof value !== "object" || depth >= MAX_DEPTH) return HIDDEN;
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ITEMS).map((item) => redactValue(text, item, name, key, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([inside, inner]) => [text.redact(inside), redactValue(text, inner, name, inside, depth + 1)]),
  );
}

function redactString(text: TextRedactor, value: string, treatment: Treatment): string {
  switch (treatment) {
    case "text":
      return text.redact(value);
    case "hidden":
      return HIDDEN;
    case "host":
      return text.host(value);
    case "host-port":
      return redactHostPort(text, value);
    case "via":
      return redactVia(text, value);
    case "address":
    case "device":
    case "forward":
    case "name":
    case "id":
    case "key":
    case "mac":
    case "path":
      return value === "" ? "" : text.name(treatment, value);
    default:
      return treatment satisfies never;
  }
}

/** `host:port`, `[v6]:port`, a host alone, or another text. */
export function redactHostPort(text: TextRedactor, value: string): string {
  const [, bracketed, plain, port = ""] = /^(?:\[([^\]]+)\]|([^\s:/[\]]+))(:[\d-]+(?:\/[a-z+]+)?)?$/.exec(value) ?? [];
  if (bracketed !== undefined) return `[${text.host(bracketed)}]${port}`;
  // A port alone is no host.
  if (plain !== undefined) return /^\d+$/.test(plain) ? value : `${text.host(plain)}${port}`;
  return text.address(value) ?? text.redact(value);
}

/** `here`, `relay`, `router`, or `agent:NAME`. */
export function redactVia(text: TextRedactor, value: string): string {
  return value.startsWith(AGENT) ? `${AGENT}${text.name("device", value.slice(AGENT.length))}` : text.redact(value);
}
const AGENT = "agent:";
