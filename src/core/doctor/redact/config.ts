import { HIDDEN, type TextRedactor } from "./text.ts";
import { redactHostPort, redactVia } from "./value.ts";

/** How the value of a key of hatchway.toml is shown. What is not listed here is hidden: it may be a slip of the hand. */
type Treatment = "plain" | "host" | "via" | "name" | "file" | "count" | "networks";

const KEYS: Readonly<Record<string, Treatment>> = {
  listen: "host",
  public: "host",
  relay: "host",
  to: "host",
  hosts: "host",
  endpoint: "host",
  router: "host",
  dns: "host",
  via: "via",
  name: "name",
  device: "name",
  forward: "name",
  group: "name",
  user: "name",
  data: "file",
  certificate: "file",
  key: "file",
  ca: "file",
  "client-ca": "file",
  "password-file": "file",
  "key-file": "file",
  "status-file": "file",
  allow: "networks",
  deny: "networks",
  client: "networks",
  "trusted-proxies": "networks",
  "proxy-protocol-from": "networks",
  rules: "networks",
  network: "networks",
  network6: "networks",
  run: "count",
  ...plainKeys(
    "ports as protocol proxy-protocol protocol-only family same-port lifetime enabled log stun private connections",
    "connections-per-source new-per-source bandwidth idle udp-idle interval timeout failures on out in first-wins",
    "wan lan masquerade snat-ports firewall interface listen-port mtu clients-meet igd nat-pmp pcp secure strict-nonce",
    "port-zero max-mappings http-port health-check",
  ),
};

/** Tables of the file: their keys are shown. */
const TABLES = new Set([
  ...["relay", "agent", "check", "expose", "forward", "socks", "map", "gateway", "upnp", "vpn", "mapping", "trigger"],
  ...["hook", "gluetun", "health-check"],
]);
const MAX_ITEMS = 1_000;

function plainKeys(...lines: readonly string[]): Record<string, Treatment> {
  return Object.fromEntries(lines.flatMap((line) => line.split(" ")).map((key) => [key, "plain" as const]));
}

/** The values of a config file, as TOML has them, made safe: what a key is known to hold is shown, and nothing else. */
export function redactConfig(text: TextRedactor, file: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(file)) {
    if (TABLES.has(name)) shown[name] = redactTable(text, value);
    else shown[HIDDEN] = HIDDEN;
  }
  return shown;
}

function redactTable(text: TextRedactor, value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redactTable(text, item));
  if (value === null || typeof value !== "object") return HIDDEN;
  const shown: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const treatment = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (treatment === undefined) shown[key === "url" || key === "username" ? key : HIDDEN] = HIDDEN;
    else
      shown[key] =
        key === "health-check" && typeof inner === "object"
          ? redactTable(text, inner)
          : redactKnown(text, treatment, inner);
  }
  return shown;
}

function redactKnown(text: TextRedactor, treatment: Treatment, value: unknown): unknown {
  if (treatment === "count") return Array.isArray(value) ? `(${value.length} words)` : HIDDEN;
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redactKnown(text, treatment, item));
  if (typeof value !== "string") return HIDDEN;
  switch (treatment) {
    case "plain":
      return value.length <= MAX_PLAIN_CHARS && PLAIN.test(value) ? text.redact(value) : HIDDEN;
    case "host":
      return redactHostPort(text, value);
    case "via":
      return redactVia(text, value);
    case "name":
      return text.name("name", value);
    case "file":
      return "(file)";
    case "networks":
      return value.replace(/[^\s]+/g, (word) => redactNetwork(text, word));
    default:
      return treatment satisfies never;
  }
}

/** Numbers with units, port sets, words of a list: nothing that could be a sentence. */
const PLAIN = /^(?:[\d\s,:./+a-z-]{1,}|[a-z][a-z0-9_.-]*)$/i;
const MAX_PLAIN_CHARS = 64;
const RULE_WORDS = /^(?:allow|deny|any|public|\*|[\d,-]+)$/;

/** A network, a host, a host and its ports, or a word of a rule. */
function redactNetwork(text: TextRedactor, word: string): string {
  if (RULE_WORDS.test(word)) return word;
  return /^[0-9a-f:.[\]/,-]+$/i.test(word) ? text.redact(word) : redactHostPort(text, word);
}
