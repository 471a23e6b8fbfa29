import { formatPortSet, type PortMapping, type PortSet } from "../wire/port-set.ts";
import { type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
import type { EventForward, EventKind, ForwardEvent } from "./events.ts";
import { isOwnedBy, listPorts, type OwnerFilter } from "./open-ports.ts";
import { formatSpan, intersectSpans, mergeSpans, PROTOCOLS, spansOf } from "./port-spans.ts";

/** Which events a hook hears of: all that is said must hold. */
export interface HookFilter {
  readonly on: readonly EventKind[];
  /** A forward's name or id; null = every forward. */
  readonly forward: string | null;
  readonly owner: OwnerFilter;
  /** The forward has one of these external ports; null = any. */
  readonly ports: PortSet | null;
}

export function hookHears(filter: HookFilter, { event, forward }: ForwardEvent): boolean {
  if (!filter.on.includes(event)) return false;
  if (filter.forward !== null && filter.forward !== forward.name && filter.forward !== forward.id) return false;
  return isOwnedBy(forward, filter.owner) && (filter.ports === null || sharesPort(filter.ports, forward.ports));
}

function sharesPort(wanted: PortSet, ports: readonly PortMapping[]): boolean {
  return PROTOCOLS.some(
    (protocol) => intersectSpans(spansOf(wanted.ranges, protocol), spansOf(ports, protocol)).length > 0,
  );
}

/** What a hook is told besides the event. */
export interface HookContext {
  /** The network interface that the ports are on (`wg0`); empty = not one in particular. */
  readonly vpnInterface: string;
  /** Events just before this one that the hook did not take: it failed, or was too slow. */
  readonly missed: number;
}

/** A variable is absent rather than empty when there is nothing to say. Documented in docs/hooks.md. */
export interface HookVariables {
  readonly HATCHWAY_EVENT: EventKind;
  readonly HATCHWAY_EVENT_ID: string;
  readonly HATCHWAY_SEQ: string;
  /** Seconds since the epoch. */
  readonly HATCHWAY_TIME_SEC: string;
  readonly HATCHWAY_REASON?: string;
  readonly HATCHWAY_MISSED: string;
  readonly HATCHWAY_FORWARD_ID: string;
  readonly HATCHWAY_FORWARD_NAME: string;
  readonly HATCHWAY_FORWARD_TYPE: string;
  readonly HATCHWAY_FORWARD_ORIGIN: string;
  readonly HATCHWAY_DEVICE?: string;
  readonly HATCHWAY_CLIENT?: string;
  /** `tcp`, `udp` or `tcp+udp`. */
  readonly HATCHWAY_PROTOCOL: string;
  /** The whole port set, external:internal, as in the configuration: `8810-8815:9810-9815/tcp, 53/udp`. */
  readonly HATCHWAY_PORTS: string;
  /** The lowest. */
  readonly HATCHWAY_EXTERNAL_PORT: string;
  /** Numbers and ranges: `8810-8815,8820`. */
  readonly HATCHWAY_EXTERNAL_PORTS: string;
  readonly HATCHWAY_EXTERNAL_ADDRESS?: string;
  readonly HATCHWAY_INTERNAL_ADDRESS?: string;
  /** That of HATCHWAY_EXTERNAL_PORT. */
  readonly HATCHWAY_INTERNAL_PORT: string;
  readonly HATCHWAY_LIFETIME_SEC?: string;
  /** Seconds since the epoch. */
  readonly HATCHWAY_EXPIRES_SEC?: string;
  readonly HATCHWAY_INTERFACE?: string;
}

const MS_PER_SEC = 1_000;

/** For the environment of a hook's program. Values have no control characters, whatever a client called its mapping. */
export function hookVariables(event: ForwardEvent, context: HookContext): HookVariables {
  const { forward } = event;
  const lowest = lowestMapping(forward.ports);
  const { owner } = forward;
  return {
    HATCHWAY_EVENT: event.event,
    HATCHWAY_EVENT_ID: event.id,
    HATCHWAY_SEQ: `${event.seq}`,
    HATCHWAY_TIME_SEC: seconds(event.atMs),
    ...(event.reason === null ? {} : { HATCHWAY_REASON: event.reason }),
    HATCHWAY_MISSED: `${context.missed}`,
    HATCHWAY_FORWARD_ID: plain(forward.id),
    HATCHWAY_FORWARD_NAME: plain(forward.name),
    HATCHWAY_FORWARD_TYPE: forward.type,
    HATCHWAY_FORWARD_ORIGIN: forward.origin,
    ...(owner.kind === "device" ? { HATCHWAY_DEVICE: plain(owner.name) } : {}),
    ...(owner.kind === "client" ? { HATCHWAY_CLIENT: plain(owner.address) } : {}),
    HATCHWAY_PROTOCOL: PROTOCOLS.filter((one) => forward.ports.some(({ protocol }) => protocol === one)).join("+"),
    HATCHWAY_PORTS: formatPortSet({ ranges: forward.ports }),
    HATCHWAY_EXTERNAL_PORT: `${lowest?.first ?? ""}`,
    HATCHWAY_EXTERNAL_PORTS: mergeSpans(forward.ports).map(formatSpan).join(","),
    ...present("HATCHWAY_EXTERNAL_ADDRESS", forward.externalHosts[0]),
    ...present("HATCHWAY_INTERNAL_ADDRESS", forward.to),
    HATCHWAY_INTERNAL_PORT: `${lowest?.internalFirst ?? ""}`,
    ...present("HATCHWAY_LIFETIME_SEC", forward.lifetimeSec?.toString()),
    ...present("HATCHWAY_EXPIRES_SEC", forward.expiresMs === null ? null : seconds(forward.expiresMs)),
    ...present("HATCHWAY_INTERFACE", context.vpnInterface),
  };
}

function present<K extends keyof HookVariables>(
  name: K,
  value: string | null | undefined,
): { readonly [N in K]?: string } {
  return value === null || value === undefined || value === ""
    ? {}
    : ({ [name]: plain(value) } as { [N in K]: string });
}

function lowestMapping(ports: readonly PortMapping[]): PortMapping | null {
  return ports.reduce<PortMapping | null>(
    (lowest, one) => (lowest === null || one.first < lowest.first ? one : lowest),
    null,
  );
}

function seconds(ms: number): string {
  return `${Math.floor(ms / MS_PER_SEC)}`;
}

/** Names may come from whoever asked (IGD's description): no control, format or line-separating character goes on. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
}

/** Those of gluetun's up and down commands. */
export const TEMPLATES = ["PORT", "PORTS", "VPN_INTERFACE"] as const;
type Template = (typeof TEMPLATES)[number];
const TEMPLATE = /\{\{([A-Z][A-Z_]*)\}\}/g;

/** The names in `{{…}}` of a command that mean nothing here. Other things in braces are the program's own. */
export function unknownTemplates(argv: readonly string[]): string[] {
  const names = argv.flatMap((item) => [...item.matchAll(TEMPLATE)].map(([, name = ""]) => name));
  return names.filter((name) => !isTemplate(name));
}

function isTemplate(name: string): name is Template {
  return TEMPLATES.some((template) => template === name);
}

/**
 * The command with its templates filled in, as gluetun does. A value stays inside its item, and there is no shell. Only
 * numbers and the interface's name go in: what a client says of itself is in the environment alone, where it cannot be
 * read as an option.
 */
export function fillTemplates(argv: readonly string[], forward: EventForward, vpnInterface: string): string[] {
  const ports = listPorts([forward]);
  const values: Record<Template, string> = {
    PORT: `${ports[0] ?? ""}`,
    PORTS: ports.join(","),
    VPN_INTERFACE: plain(vpnInterface),
  };
  return argv.map((item) => item.replace(TEMPLATE, (whole, name: string) => (isTemplate(name) ? values[name] : whole)));
}

/**
 * Of one webhook's delivery. Ten tries span 5 minutes at most and half of that as a rule (full jitter): a receiver that
 * restarts is waited for, and one that is gone does not hold the events behind for long.
 */
export const WEBHOOK_BACKOFF: BackoffOptions = { ...DEFAULT_BACKOFF, baseMs: 1_000, maxMs: 60_000 };
export const WEBHOOK_ATTEMPTS = 10;

/** taken: 2xx. again: worth another try. refused: the receiver will say the same next time. */
export type Delivery = "taken" | "again" | "refused";

const STATUS_OK = 200;
const STATUS_MULTIPLE_CHOICES = 300;
const STATUS_SERVER_ERROR = 500;
/** RFC 9110 §15.5.9 (timeout), RFC 8470 (too early), RFC 6585 (too many requests). */
const TRY_AGAIN: readonly number[] = [408, 425, 429];

/** Redirects are not followed: the operator named one address. */
export function judgeStatus(status: number): Delivery {
  if (status >= STATUS_OK && status < STATUS_MULTIPLE_CHOICES) return "taken";
  return status >= STATUS_SERVER_ERROR || TRY_AGAIN.includes(status) ? "again" : "refused";
}
