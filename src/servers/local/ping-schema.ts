import { LOSS_WORDS, PING_MEASURES, PING_PATHS, type PingLoss } from "../../core/ping/model.ts";
import { MAX_PAYLOAD_BYTES } from "../../core/ping/payload.ts";
import type { PingVia as Via } from "../../core/ping/target.ts";
import { hostSchema } from "../../wire/spec-schema.ts";
import { z } from "../../wire/zod.ts";
import { CONTROL_VERSION } from "./protocol.ts";

const v = z.literal(CONTROL_VERSION);
const port = z.int().min(1).max(65_535);
const protocol = z.enum(["tcp", "udp"]);
const name = z.string().min(1).max(255);
const path = z.enum(PING_PATHS);

/** What `ping` takes at most, and at least. */
export const PING_LIMITS = {
  count: { min: 1, max: 1_000 },
  intervalMs: { min: 10, max: 60_000 },
  /** A dial is given up after 10 s, whoever waits. */
  timeoutMs: { min: 50, max: 10_000 },
} as const;

const within = ({ min, max }: { readonly min: number; readonly max: number }) => z.number().min(min).max(max);

const target = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("host"), host: hostSchema, port, protocol }),
  /** A forward of this agent, by its id, at one of its entry's ports. */
  z.strictObject({ kind: z.literal("forward"), id: name, port, protocol }),
]);

const via: z.ZodType<Via> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("relay") }),
  z.strictObject({ kind: z.literal("agent"), device: name }),
  z.strictObject({ kind: z.literal("socks5"), proxy: z.strictObject({ host: hostSchema, port }) }),
]);

export const PingRequest = z.strictObject({
  target,
  /** How the forwarded path to a host leaves; a forward has its own way, and takes null. */
  via: via.nullable(),
  /** One path alone; null = both. */
  only: path.nullable(),
  /** Base64; null = none for TCP, and for UDP a text that an echo sends back. */
  payload: z
    .base64()
    .min(1)
    .max(Math.ceil(MAX_PAYLOAD_BYTES / 3) * 4)
    .nullable(),
  count: z.int().min(PING_LIMITS.count.min).max(PING_LIMITS.count.max),
  intervalMs: within(PING_LIMITS.intervalMs),
  timeoutMs: within(PING_LIMITS.timeoutMs),
});
export type PingRequest = z.infer<typeof PingRequest>;

const started = z.object({
  event: z.literal("started"),
  v,
  protocol,
  paths: z
    .array(
      z.object({
        path,
        /** `here`; or `relay`, `agent:NAME`, `socks5://…`, `entry` (the forward's own). */
        via: z.string(),
        /** `host:port` that is dialled at the end of it. */
        to: z.string(),
        measure: z.enum(PING_MEASURES),
      }),
    )
    .readonly(),
});
const probe = z.object({
  event: z.literal("probe"),
  v,
  path,
  /** From 1, for each path. */
  seq: z.int(),
  /** When it was sent, since the first was due. */
  atMs: z.number(),
  /** Null = lost. */
  ms: z.number().nullable(),
  /** Why; null = it was answered. */
  lost: z.enum(Object.keys(LOSS_WORDS) as [PingLoss, ...PingLoss[]]).nullable(),
});

/** First `started`, when it is known what can be measured; then a `probe` each, as the answers come. */
export const PingEvent = z.discriminatedUnion("event", [started, probe]);
export type PingEvent = z.infer<typeof PingEvent>;
