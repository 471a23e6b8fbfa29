import type { ForwardEvent } from "../../core/events.ts";
import type { ForwardSpec as Spec } from "../../core/forward.ts";
import { ROUTER_PROTOCOLS } from "../../core/router/model.ts";
import { mappingSpecSchema, triggerRuleSchema } from "../../wire/mapping-schema.ts";
import { Reason, type ReasonName } from "../../wire/reason.ts";
import { forwardSpecSchema, hostSchema, MAX_NAME_CHARS, remoteSpecSchema } from "../../wire/spec-schema.ts";
import { z } from "../../wire/zod.ts";
import { CONTROL_VERSION } from "./protocol.ts";

const v = z.literal(CONTROL_VERSION);

const MAX_PORT = 65_535;
const MAX_SPECS = 1_000;
const port = z.int().min(1).max(MAX_PORT);
const text = z.string().min(1).max(255);
const positive = z.number().positive();
const protocol = z.enum(["tcp", "udp"]);
const reasonName = z.enum(Object.keys(Reason) as [ReasonName, ...ReasonName[]]);
/** Milliseconds since the epoch. */
const timeMs = z.number();

/** As core/forward.ts has it. */
export const ForwardSpec: z.ZodType<Spec> = forwardSpecSchema;
export type ForwardSpec = Spec;

/** An entry that is open. A range is one endpoint: `port` to `lastPort`, and `port + n` reaches `internalPort + n`. */
export const Endpoint = z.object({
  protocol,
  /** What a visitor types: the relay's public name or address, or the bind address on this machine. */
  host: z.string(),
  port,
  lastPort: port,
  /** Null for a dynamic forward: the destination is chosen per connection. */
  internalHost: z.string().nullable(),
  internalPort: port.nullable(),
  /** Of a site, which is reached by name: what a visitor types. */
  url: z.string().exactOptional(),
});
export type Endpoint = z.infer<typeof Endpoint>;

/** Since the forward (or the process) started. A visitor is one TCP connection or one UDP flow. */
export const Counters = z.object({
  visitorsTotal: z.number(),
  visitorsOpen: z.number(),
  /** From visitors towards the service, payload only. */
  bytesIn: z.number(),
  /** From the service towards visitors, payload only. */
  bytesOut: z.number(),
  /** Visitors refused or cut, by reason; reasons that never happened are absent. */
  refused: z.partialRecord(reasonName, z.number()),
  /** Datagrams that could not be passed on: a queue was full, or the forward's bandwidth was used up. */
  datagramsDropped: z.number(),
  /** From the visitor's arrival to the service's answer, milliseconds, over the recent visits; null = none yet. */
  answerMs: z.object({ p50: z.number(), p90: z.number() }).nullable(),
});
export type Counters = z.infer<typeof Counters>;

/** The router that holds an upstream mapping. `model`: null = it does not say. */
export const RouterName = z.object({ protocol: z.enum(ROUTER_PROTOCOLS), address: text, model: z.string().nullable() });
export type RouterName = z.infer<typeof RouterName>;

export const ForwardState = z.enum(["open", "waiting", "refused", "disabled", "away", "unhealthy"]);
/**
 * open: entries accept. waiting: asked for, and the relay (or the router) is not reachable now, or a site's certificate is being
 * ordered. refused: see `message`. disabled: by its owner. away: (on the relay) the device is not connected, the ports are reserved. unhealthy: the service fails its check.
 */
export type ForwardState = z.infer<typeof ForwardState>;

/** A forward that is reached by name, on the relay's ports for HTTP and TLS. */
export const SiteInfo = z.object({
  hosts: z.array(z.string()).readonly(),
  /** end: the relay has the certificate. pass: the service has it. off: plain HTTP. */
  tls: z.enum(["end", "pass", "off"]),
  /** The service speaks HTTP/2 without TLS. */
  http2: z.boolean(),
  /** Who may come in; empty = everybody. */
  users: z.array(z.string()).readonly(),
});
export type SiteInfo = z.infer<typeof SiteInfo>;

export const ForwardInfo = z.object({
  id: z.string(),
  name: z.string(),
  type: z.enum(["remote", "local", "dynamic", "direct", "mapping", "upstream"]),
  origin: z.enum(["cli", "config", "api", "natpmp", "pcp", "igd"]),
  /** On the relay: the device's name. On an agent: null. */
  device: z.string().nullable(),
  group: z.string().nullable(),
  state: ForwardState,
  /** One sentence when the state is not `open`, else null. */
  message: z.string().nullable(),
  endpoints: z.array(Endpoint).readonly(),
  /** Absent = it is reached by ports. */
  site: SiteInfo.exactOptional(),
  /** `here`, `relay`, `agent:NAME` or `router`. */
  via: z.string(),
  /** The reservation of a device that is away, or the router's lease, ends then; null = not running out. */
  leaseEndsMs: timeMs.nullable(),
  /** Of an upstream mapping that is open. */
  router: RouterName.exactOptional(),
  counters: Counters,
});
export type ForwardInfo = z.infer<typeof ForwardInfo>;

export const DeviceInfo = z.object({
  id: z.string(),
  name: z.string(),
  account: z.string(),
  connected: z.boolean(),
  /** `address:port` it connects from; null when it is away. */
  address: z.string().nullable(),
  version: z.string().nullable(),
  enrolledMs: timeMs,
  lastSeenMs: timeMs.nullable(),
  rttMs: z.number().nullable(),
  forwards: z.number(),
  revoked: z.boolean(),
});
export type DeviceInfo = z.infer<typeof DeviceInfo>;

export const VisitInfo = z.object({
  id: z.string(),
  forwardId: z.string(),
  forwardName: z.string(),
  device: z.string().nullable(),
  protocol,
  /** `address:port`. */
  visitor: z.string(),
  entry: z.string(),
  /** Null: it is a gateway's, whose kernel did not write that down when it began. */
  openedMs: timeMs.nullable(),
  /** Payload; of a gateway's, packets with their headers. Null as `openedMs`. */
  bytesIn: z.number().nullable(),
  bytesOut: z.number().nullable(),
});
export type VisitInfo = z.infer<typeof VisitInfo>;

const processFields = {
  v,
  version: z.string(),
  pid: z.int(),
  startedMs: timeMs,
  /** Resident; null when the system does not say (out of descriptors). */
  memoryBytes: z.number().nullable(),
  forwardsOpen: z.number(),
  counters: Counters,
};

export const RelayStatus = z.object({
  role: z.literal("relay"),
  ...processFields,
  /** The agent port, `host:port`, as it is bound. */
  listen: z.string(),
  publicHost: z.string(),
  /** The pool of public ports, as a port set. */
  ports: z.string(),
  /** SHA-256 of the relay's certificate, hexadecimal: what join codes pin. */
  fingerprint: z.string(),
  devicesConnected: z.number(),
  devicesEnrolled: z.number(),
  draining: z.boolean(),
  /** Of the console's HTTPS; null = it has none. `problem`: why ACME brought none the last time. */
  consoleCertificate: z.object({ untilMs: timeMs, problem: z.string().nullable() }).nullable().default(null),
});
export type RelayStatus = z.infer<typeof RelayStatus>;

/** `reason`: one of the router client's (docs/router.md); `count`: since the agent started. */
export const IgnoredCount = z.object({ protocol: text, reason: text, count: z.number() });
export type IgnoredCount = z.infer<typeof IgnoredCount>;

export const AgentStatus = z.object({
  role: z.literal("agent"),
  ...processFields,
  name: z.string(),
  deviceId: z.string(),
  /** `host:port` of the relay's agent port; null = it has no relay, and `link` is none. */
  relay: z.string().nullable(),
  link: z.enum(["up", "connecting", "down", "none"]),
  /** Why the link is not up, one sentence; null when it is. */
  message: z.string().nullable(),
  connectedMs: timeMs.nullable(),
  rttMs: z.number().nullable(),
  carriers: z.number(),
  /** What came where routers answer, and was no answer of theirs. */
  ignored: z.array(IgnoredCount).readonly(),
  /** Of the relay's program, and its clock as it is now; null = the link is not up, or the relay does not say. */
  relayVersion: z.string().nullable().exactOptional(),
  relayTimeMs: timeMs.nullable().exactOptional(),
});
export type AgentStatus = z.infer<typeof AgentStatus>;

export const GatewayStatus = z.object({
  role: z.literal("gateway"),
  ...processFields,
  wan: z.array(text).readonly(),
  lan: z.array(text).readonly(),
  /** What visitors type; null while the WAN interface has no IPv4 address. */
  externalAddress: z.string().nullable(),
  mappings: z.number(),
  /** What listens for the clients' requests: NAT-PMP and PCP, UPnP-IGD. */
  servers: z.array(z.object({ name: z.string(), listening: z.boolean(), message: z.string().nullable() })).readonly(),
  /** Null = there is no VPN. */
  vpn: z
    .object({
      interface: z.string(),
      listenPort: port,
      endpointHost: z.string(),
      peers: z.number(),
      /** The interface is as it should be; what else is in `warnings`. */
      up: z.boolean(),
    })
    .nullable(),
  /** Packets from outside that were dropped, by why. */
  dropped: z.record(z.string(), z.number()),
  /** What keeps forwards from working, one sentence each that says what to do. */
  warnings: z.array(z.string()).readonly(),
});
export type GatewayStatus = z.infer<typeof GatewayStatus>;

export const TriggerInfo = z.object({
  name: z.string(),
  origin: z.enum(["cli", "config"]),
  /** Port sets. */
  out: z.string(),
  in: z.string(),
  timeoutSec: z.number(),
  secondHost: z.enum(["refused", "takesOver"]),
  state: z.enum(["armed", "open"]),
  /** To whom it is open; null while armed. */
  host: z.string().nullable(),
  /** When it closes if nothing more passes. */
  closesMs: timeMs.nullable(),
});
export type TriggerInfo = z.infer<typeof TriggerInfo>;

/** A mapping as a person asks a gateway for it. `to`: an address, or the name of a VPN peer. */
export const MappingDraft = mappingSpecSchema
  .pick({ id: true, name: true, ports: true, lifetimeSec: true, allow: true, deny: true, limits: true, enabled: true })
  .extend({ to: hostSchema });
export type MappingDraft = z.infer<typeof MappingDraft>;

export const TriggerDraft = triggerRuleSchema;
export type TriggerDraft = z.infer<typeof TriggerDraft>;

export const Status = z.discriminatedUnion("role", [RelayStatus, AgentStatus, GatewayStatus]);
export type Status = z.infer<typeof Status>;

export const JoinCodeRequest = z.strictObject({
  /** The device's name; unique within the account. */
  name: z.string().min(1).max(MAX_NAME_CHARS),
  /** Absent: the only account, or the first. */
  account: text.exactOptional(),
  /** A port set: what the device may open; absent = the whole pool. */
  ports: z.string().min(1).max(4_096).exactOptional(),
  lifetimeSec: positive,
});
export type JoinCodeRequest = z.infer<typeof JoinCodeRequest>;

/** Names of forwards by what the reload did to them. `refused`: sentences about what could not be applied. */
export const ReloadReport = z.object({
  v,
  added: z.array(z.string()).readonly(),
  changed: z.array(z.string()).readonly(),
  removed: z.array(z.string()).readonly(),
  unchanged: z.number(),
  refused: z.array(z.string()).readonly(),
  /** Settings that changed and need a restart, by their key (`relay.listen`). */
  needRestart: z.array(z.string()).readonly(),
});
export type ReloadReport = z.infer<typeof ReloadReport>;

/** The program that is to take over: what starts it, without the arguments, which are those of the running one. */
export const UpgradeRequest = z.strictObject({
  program: z.array(z.string().min(1).max(4_096)).min(1).max(16).readonly(),
});
export type UpgradeRequest = z.infer<typeof UpgradeRequest>;

/** The process that is the relay now. `tookMs`: from its start until it was. */
export const UpgradeReply = z.object({ v, pid: z.number(), version: z.string(), tookMs: z.number() });
export type UpgradeReply = z.infer<typeof UpgradeReply>;

/** A remote forward for a device of a relay; `to` is the host that the device dials. */
export const AssignRequest = z.strictObject({
  /** Name or id. */
  device: z.string().min(1).max(255),
  spec: remoteSpecSchema,
  to: hostSchema,
});
export type AssignRequest = z.infer<typeof AssignRequest>;

export const AddReply = z.object({ v, forward: ForwardInfo });
export type AddReply = z.infer<typeof AddReply>;

export const RefusalKind = z.enum(["usage", "policy", "conflict", "credentials", "unreachable", "failed"]);
/**
 * usage: the request makes no sense. policy: the relay's rules say no. conflict: the port is held by someone else or in
 * use on this machine. credentials: the device is not (or no longer) known. unreachable: the relay or the far agent is away.
 */
export type RefusalKind = z.infer<typeof RefusalKind>;

const exposed = z.object({
  event: z.literal("exposed"),
  v,
  id: z.string(),
  name: z.string(),
  type: z.enum(["remote", "local", "dynamic", "direct", "upstream"]),
  via: z.string(),
  endpoints: z.array(Endpoint).readonly(),
  /** These two with `upstream` only; it comes again when the lease is renewed. */
  router: RouterName.exactOptional(),
  leaseEndsMs: timeMs.nullable().exactOptional(),
  /** One sentence, such as why visitors cannot use it yet; it comes again when there is another. */
  note: z.string().nullable().exactOptional(),
});
const refused = z.object({
  event: z.literal("refused"),
  v,
  id: z.string(),
  name: z.string(),
  kind: RefusalKind,
  /** One sentence that says what to do. */
  message: z.string(),
});
/** The router does not hold it any more, or says nothing; it goes on being asked, and `exposed` comes again. */
const lost = z.object({ event: z.literal("lost"), v, id: z.string(), name: z.string(), message: z.string() });
const counters = z.object({
  event: z.literal("counters"),
  v,
  atMs: timeMs,
  /** Round trip to the relay; null for direct forwards and while the link is down. */
  rttMs: z.number().nullable(),
  forwards: z.array(Counters.extend({ id: z.string() })).readonly(),
});
const down = z.object({
  event: z.literal("down"),
  v,
  message: z.string(),
  retryInMs: z.number().nullable(),
});
const up = z.object({
  event: z.literal("up"),
  v,
  rttMs: z.number().nullable(),
});

/** What a foreground command hears of its forwards. `down` and `up` are about the link to the relay. */
export const AttachEvent = z.discriminatedUnion("event", [exposed, refused, lost, counters, down, up]);
export type AttachEvent = z.infer<typeof AttachEvent>;

export const AttachRequest = z.strictObject({
  specs: z.array(ForwardSpec).min(1).max(MAX_SPECS).readonly(),
});

export const EventsRequest = z.strictObject({ since: z.int().min(0), follow: z.boolean() });
export type EventsRequest = z.infer<typeof EventsRequest>;

/** As core/events.ts has it; only what tells the kinds apart is checked. */
export type FollowedEvent = ForwardEvent | { readonly v: 1; readonly event: "missed"; readonly count: number };
const eventHead = z.object({ v, event: z.enum(["opened", "changed", "closed", "missed"]) });
export const FollowedEvent = z.custom<FollowedEvent>((value) => eventHead.safeParse(value).success);

/** What the local socket answers instead of a result; on a stream: the last line. */
export const ErrorReply = z.object({
  event: z.literal("error"),
  v,
  kind: z.enum(["usage", "refused", "unreachable", "failed"]),
  message: z.string(),
});
export type ErrorReply = z.infer<typeof ErrorReply>;
