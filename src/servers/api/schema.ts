import { z } from "../../wire/zod.ts";
import { CheckReport } from "../local/check-schema.ts";
import { Counters, Endpoint, ForwardInfo, RelayStatus, VisitInfo } from "../local/schema.ts";
import { GATEWAY_EVENTS, GatewayOverview } from "./schema-gateway.ts";
import { id, name, portSet, timeMs } from "./shapes.ts";
import { SITE_DRAFT, Site, SiteOffer } from "./site-schema.ts";

/**
 * What the HTTP API takes and gives, under /v1: JSON, camelCase, times in milliseconds since the epoch (`…Ms`). The server
 * answers by these, its OpenAPI document is made of them, and its client and the console import their types.
 */
export * from "./checks-schema.ts";
export { ForwardPatch } from "./forward-patch.ts";
export { PROBLEM_TYPES } from "./protocol.ts";
export * from "./router-schema.ts";
export * from "./schema-gateway.ts";
export * from "./schema-people.ts";
export * from "./schema-ssh.ts";
export * from "./settings-schema.ts";
export { NameQuestion, NameReport, Site, SiteOffer } from "./site-schema.ts";

/** RFC 9457, as `application/problem+json`. */
export const Problem = z.object({
  /** `about:blank`, or one of `PROBLEM_TYPES`. */
  type: z.string(),
  title: z.string(),
  status: z.int(),
  /** One sentence that says what to do. */
  detail: z.string(),
  /** Which fields of the request are wrong, each in a sentence. */
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .readonly()
    .exactOptional(),
});
export type Problem = z.infer<typeof Problem>;

/** Lists come in pages: `?limit=` (1 to 500, default 100) and `?cursor=` of the page before. */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item).readonly(), /** Null = this was the last page. */ next: z.string().nullable() });
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(512).exactOptional(),
});

// ── What is forwarded ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A forward as people write it: the keys of `[[expose]]` in hatchway.toml, in camelCase, and the device. */
export const ForwardDraft = z.strictObject({
  /** Name or id; on a gateway, a VPN peer or the address or name of a LAN host. */
  device: id,
  /** `8840, 8820` · `8810-8815` · `80/tcp` · `8000:80` (outside:inside). */
  ports: portSet,
  /** The host that the device dials; default its own machine. */
  to: z.string().min(1).max(255).exactOptional(),
  /** For ports that do not say it; default tcp. */
  protocol: z.enum(["tcp", "udp", "tcp+udp"]).exactOptional(),
  name: name.exactOptional(),
  enabled: z.boolean().exactOptional(),
  allow: z.array(z.string().max(64)).max(1_000).exactOptional(),
  deny: z.array(z.string().max(64)).max(1_000).exactOptional(),
  connections: z.int().min(1).exactOptional(),
  connectionsPerSource: z.int().min(1).exactOptional(),
  /** `5/s`, `300/m`. */
  newPerSource: z.string().max(32).exactOptional(),
  /** `10 MB/s`, `100 Mbit/s`. */
  bandwidth: z.string().max(32).exactOptional(),
  proxyProtocol: z.enum(["v1", "v2"]).exactOptional(),
  healthCheck: z.union([z.boolean(), z.string().max(32)]).exactOptional(),
  /** The ports outside, one for one with `ports`; `any` = free ones of the pool. */
  as: portSet.exactOptional(),
  /** Devices of one account with the same group share the ports, and the visitors. */
  group: name.exactOptional(),
  /** When a silent TCP connection ends: `10m`, `never`; default never. */
  idle: z.string().max(32).exactOptional(),
  /** When a silent UDP flow ends; default 120s. */
  udpIdle: z.string().max(32).exactOptional(),
  /** How long the ports stay reserved while the device is away: `10m`, `permanent`; default permanent. */
  lifetime: z.string().max(32).exactOptional(),
  ...SITE_DRAFT,
});
export type ForwardDraft = z.infer<typeof ForwardDraft>;

export const Forward = z.object({
  /** Stable; of the API alone. */
  id,
  name: z.string(),
  device: z.object({ id, name: z.string() }),
  account: z.object({ id, name: z.string() }),
  /** Null = it shares its ports with nobody. */
  group: z.string().nullable(),
  /** As it would be written: `8840,8820` or `8000:80/tcp`; of a site the port of its service. */
  ports: z.string(),
  /** Null = the device made it itself, and the relay does not know where it leads. */
  to: z.string().nullable(),
  enabled: z.boolean(),
  origin: ForwardInfo.shape.origin,
  /** It was made here, and can be changed here. Else: on its device. */
  editable: z.boolean(),
  /** It can be removed here: also what an app asked a gateway for. */
  removable: z.boolean(),
  /** relay: through a device's tunnel. kernel: a gateway's mapping. */
  way: z.enum(["relay", "kernel"]),
  state: ForwardInfo.shape.state,
  message: z.string().nullable(),
  endpoints: z.array(Endpoint).readonly(),
  leaseEndsMs: timeMs.nullable(),
  allow: z.array(z.string()).readonly(),
  deny: z.array(z.string()).readonly(),
  limits: z.object({
    connections: z.int().nullable(),
    connectionsPerSource: z.int().nullable(),
    newPerSourcePerSec: z.number().nullable(),
    bandwidthBytesPerSec: z.int().nullable(),
  }),
  proxyProtocol: z.enum(["v1", "v2"]).nullable(),
  healthCheck: z.boolean(),
  /** Null = it is reached by ports of its own. */
  site: Site.nullable(),
  counters: Counters,
});
export type Forward = z.infer<typeof Forward>;

/** What a draft would do, before it is saved. Nothing is opened. */
export const ForwardPreview = z.object({
  /** Each run of ports in words: `TCP 8810 to 8815`. */
  meaning: z.array(z.string()).readonly(),
  /** Why it could not be saved; empty = it could. */
  problems: z.array(z.object({ path: z.string(), message: z.string() })).readonly(),
  /** What to think about: dangers of well-known services, privileged ports. */
  warnings: z.array(z.string()).readonly(),
});
export type ForwardPreview = z.infer<typeof ForwardPreview>;

export const Device = z.object({
  id,
  name: z.string(),
  account: z.object({ id, name: z.string() }),
  connected: z.boolean(),
  /** Its agent takes forwards that are made here; null = it is away, or does not say. */
  managed: z.boolean().nullable(),
  address: z.string().nullable(),
  version: z.string().nullable(),
  enrolledMs: timeMs,
  lastSeenMs: timeMs.nullable(),
  rttMs: z.number().nullable(),
  forwards: z.int(),
});
export type Device = z.infer<typeof Device>;
export const JoinCodeDraft = z.strictObject({
  name,
  /** What it may open, as a port set; absent = the account's pool. */
  ports: portSet.exactOptional(),
  lifetimeSec: z
    .int()
    .min(60)
    .max(7 * 86_400)
    .default(3_600),
  /** Name or id of the account that is to own the device; absent = one's own. Others' are for administrators. */
  account: id.exactOptional(),
});
export type JoinCodeDraft = z.infer<typeof JoinCodeDraft>;
/** `code` and the commands that carry it are shown once. */
export const MadeJoinCode = z.object({ code: z.string(), command: z.string(), expiresMs: timeMs });

/** The ports of a well-known program or console. `source` and `checked`: where they were found, and when (YYYY-MM). */
export const Preset = z.object({
  id,
  name: z.string(),
  /** Of several that differ, as Java and Bedrock; null = there is one. */
  variant: z.string().nullable(),
  ports: z
    .array(
      z.object({
        protocol: z.enum(["tcp", "udp"]),
        /** A port or a range, as a port set. */
        ports: z.string(),
        /** admin and lan-only: not for strangers; they are left out unless a person adds them. */
        role: z.enum(["required", "optional", "admin", "lan-only"]),
      }),
    )
    .readonly(),
  /** The port outside must be the one inside. */
  samePortRequired: z.boolean(),
  /** False: it works without any forward. */
  inboundNeeded: z.boolean(),
  risk: z.enum(["low", "caution", "danger"]),
  note: z.string().nullable(),
  source: z.string(),
  checked: z.string(),
});
export type Preset = z.infer<typeof Preset>;

export const Visit = VisitInfo.extend({
  /** Where the visitor's address is, ISO 3166-1 alpha-2; null = it is not known. Absent: the server has no database of countries. */
  country: z.string().nullable().exactOptional(),
});
export type Visit = z.infer<typeof Visit>;
export { CheckReport };

export const AuditEntry = z.object({
  id: z.int(),
  atMs: timeMs,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export const Overview = z.object({
  version: z.string(),
  startedMs: timeMs,
  /** What this server is; the rest of the API has what goes with it. */
  roles: z.array(z.enum(["relay", "gateway"])).readonly(),
  /** What visitors type; null while a gateway has no such address. */
  publicHost: z.string().nullable(),
  /** The agent port, `host:port`; null = no relay. */
  listen: z.string().nullable(),
  /** The pool of public ports. */
  ports: z.string(),
  /** Null: no gateway, or somebody who does not see all accounts. */
  gateway: GatewayOverview.nullable(),
  devices: z.object({ connected: z.int(), enrolled: z.int() }),
  forwards: z.object({ open: z.int(), all: z.int() }),
  counters: Counters,
  memoryBytes: z.number().nullable(),
  pid: z.int(),
  /** SHA-256 of the key of the certificate that the relay shows to agents, hexadecimal: what join codes pin. Null = no relay. */
  fingerprint: z.string().nullable(),
  /** It is being stopped, and lets visitors finish. */
  draining: z.boolean(),
  /** When the certificate of the console ends, and why it could not be renewed. Null: no HTTPS, or for others than administrators. */
  consoleCertificate: RelayStatus.shape.consoleCertificate.unwrap(),
  /** Null: it hands out no names, and so has no sites. */
  names: SiteOffer.nullable(),
});
export type Overview = z.infer<typeof Overview>;

const amount = { bytesIn: z.number(), bytesOut: z.number(), visitors: z.int() };

/** What was carried, kept by the hour for two weeks and by the day for 400: slots (UTC) without traffic are left out. */
export const TrafficReport = z.object({
  span: z.enum(["hour", "day"]),
  /** Oldest first. */
  slots: z.array(z.object({ slotMs: timeMs, ...amount })).readonly(),
  /** Those that carried the most, the first 100; a forward that is gone is told as it was called. */
  forwards: z
    .array(z.object({ id, name: z.string(), device: z.object({ id, name: z.string() }), ...amount }))
    .readonly(),
});
export type TrafficReport = z.infer<typeof TrafficReport>;

/** Of `GET /v1/events`: what a list must be asked for again, or the new state itself. */
export const LiveEvent = z.discriminatedUnion("event", [
  z.object({ event: z.literal("forward"), forward: Forward }),
  z.object({ event: z.literal("forward-gone"), id }),
  z.object({ event: z.literal("device"), device: Device }),
  z.object({ event: z.literal("device-gone"), id }),
  /** At the beginning and once a second: the forwards whose figures are others than a second ago. */
  z.object({
    event: z.literal("traffic"),
    atMs: timeMs,
    visitorsOpen: z.int(),
    forwards: z
      .array(z.object({ id, visitorsOpen: z.int(), visitorsTotal: z.int(), bytesIn: z.number(), bytesOut: z.number() }))
      .readonly(),
  }),
  ...GATEWAY_EVENTS,
]);
export type LiveEvent = z.infer<typeof LiveEvent>;
