import { err, ok, type Result } from "../result.ts";
import { hostSchema, remoteSpecSchema } from "../spec-schema.ts";
import { z } from "../zod.ts";
import { checkOutcome, checkTarget, MAX_PAD_CHARS } from "./check.ts";

/**
 * Messages of CONTROL frames: one JSON object each. They set the tunnel up and manage forwards; nothing per visitor
 * passes here. Unknown keys are ignored, so that a newer peer can add some; unknown types are an error.
 */
export const TUNNEL_VERSION = 1;
/** ALPN protocol name, static (RFC 7301). */
export const ALPN = "hatchway/1";
/** RFC 5705 label of the exported key that a device signs: binds its proof to this one TLS session. */
export const EXPORTER_LABEL = "EXPORTER-hatchway-device-v1";
export const EXPORTER_BYTES = 32;

/** Features of a relay, as its welcome names them. */
export const CHECK_FEATURE = "check";
export const ASSIGN_FEATURE = "assign";
/** Of a device, as its hello names it: it follows its relay to another process of it. */
export const HANDOVER_FEATURE = "handover";
export const NAMES_FEATURE = "names";

const text = (most: number) => z.string().max(most);
const portNumber = z.number().int().min(1).max(65_535);

export const carrierRole = z.enum(["control", "light", "bulk", "datagram"]);
export type CarrierRole = z.infer<typeof carrierRole>;

/** The carrier's index travels in one byte, and nobody gains from more connections than this. */
const carrierCount = z.number().int().min(1).max(16);

const rid = z.number().int().nonnegative();

const hello = z.object({
  t: z.literal("hello"),
  v: z.number().int(),
  role: carrierRole,
  /** Device public key, Ed25519, base64url of 32 bytes. */
  key: text(64),
  /** Signature of the exported keying material, base64url of 64 bytes. */
  sig: text(128),
  /** First contact only: the join code's one-time secret. */
  join: text(128).exactOptional(),
  /** Carriers after the first: the session they belong to, and their index in it. */
  session: text(64).exactOptional(),
  index: z.number().int().min(0).max(255).exactOptional(),
  /** On the control carrier: what this device understands beyond the messages of version 1. */
  features: z.array(text(32)).max(64).readonly().exactOptional(),
  /** Program version, for lists. */
  version: text(64),
});
const put = z.object({
  t: z.literal("put"),
  rid,
  handle: z.number().int().min(1).max(0xffff_ffff),
  spec: remoteSpecSchema,
});
const remove = z.object({ t: z.literal("remove"), rid, id: text(64) });
/** After (re)connecting: the ids this device still wants; the relay drops its others. */
const sync = z.object({ t: z.literal("sync"), rid, ids: z.array(text(64)).max(10_000) });
const stats = z.object({ t: z.literal("stats"), rid, ids: z.array(text(64)).max(1000) });
/** Only to a relay that has the feature "check". */
const check = z.object({ t: z.literal("check"), rid, target: checkTarget, pad: text(MAX_PAD_CHARS).exactOptional() });
/** Asks for the forwards that people at the relay assign to this device, now and whenever they change. Feature "assign". */
const assignments = z.object({
  t: z.literal("assignments"),
  rid,
  /** Whether this device's owner lets it take any up. */
  managed: z.boolean(),
});
/** Why this device does not run a forward that was assigned to it. */
const declined = z.object({ t: z.literal("declined"), id: text(64), message: text(500) });
/** The service behind a forward changed health. */
const health = z.object({ t: z.literal("health"), id: text(64), healthy: z.boolean() });

const welcome = z.object({
  t: z.literal("welcome"),
  v: z.number().int(),
  session: text(64),
  device: text(64),
  account: text(64),
  /** Host name or address visitors use. */
  publicHost: text(255),
  /** How many carriers of each role the relay expects after the control carrier. */
  carriers: z.object({ light: carrierCount, bulk: carrierCount, datagram: carrierCount }),
  /** What this relay understands beyond the messages of version 1: a device asks for nothing else. */
  features: z.array(text(32)).max(64).readonly().exactOptional(),
  /** Of the relay's program, for lists; and its clock, in milliseconds since the epoch, for who compares it with its own. */
  version: text(64).exactOptional(),
  timeMs: z.number().nonnegative().exactOptional(),
});
/** Same words for every wrong credential. */
const denied = z.object({ t: z.literal("denied"), retrySec: z.number().nonnegative() });
export const endpointSchema = z.object({
  protocol: z.enum(["tcp", "udp"]),
  host: text(255),
  port: portNumber,
  lastPort: portNumber,
  internalPort: portNumber,
  /** Of a site: what visitors type. */
  url: text(300).exactOptional(),
});
/** Why the visitors of a forward that is open are not let in: `waiting` passes by itself. */
const trouble = z.object({ state: z.enum(["waiting", "refused"]), message: text(400) });
export const refusalKind = z.enum(["policy", "conflict", "failed"]);
const result = z.object({
  t: z.literal("result"),
  rid,
  outcome: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("open"),
      endpoints: z.array(endpointSchema).readonly(),
      trouble: trouble.exactOptional(),
    }),
    z.object({ kind: z.literal("done") }),
    z.object({ kind: z.literal("refused"), why: refusalKind, message: text(2000) }),
    z.object({
      kind: z.literal("stats"),
      forwards: z.array(
        z.object({
          id: text(64),
          visitors: z.number(),
          open: z.number(),
          bytesIn: z.number(),
          bytesOut: z.number(),
          refused: z.record(z.string(), z.number()),
          trouble: trouble.exactOptional(),
        }),
      ),
    }),
    checkOutcome,
  ]),
});
export const assignedForward = z.object({
  spec: remoteSpecSchema,
  /** The host that the device dials. */
  to: hostSchema,
});
export type AssignedForward = z.infer<typeof assignedForward>;
/** Everything that is assigned to the device, in parts: from `part` 0 on until `last`. What is left out is assigned no more. */
const assigned = z.object({
  t: z.literal("assigned"),
  part: z.number().int().min(0).max(10_000),
  last: z.boolean(),
  forwards: z.array(assignedForward).max(1_000).readonly(),
});
/**
 * Another process of this relay serves new sessions from now on: the device connects again, and this session goes on until
 * its streams have ended. Only to a device that has the feature "handover".
 */
const handover = z.object({ t: z.literal("handover") });
/** The relay is about to end the session: drained for an upgrade, taken over by a newer connection, or revoked. */
const bye = z.object({ t: z.literal("bye"), why: z.enum(["shutdown", "takeover", "revoked"]) });

const messageSchema = z.discriminatedUnion("t", [
  hello,
  put,
  remove,
  sync,
  stats,
  check,
  assignments,
  declined,
  health,
  welcome,
  denied,
  result,
  assigned,
  handover,
  bye,
]);
export type ControlMessage = z.infer<typeof messageSchema>;
export type ControlOf<T extends ControlMessage["t"]> = Extract<ControlMessage, { t: T }>;
export type TunnelEndpoint = z.infer<typeof endpointSchema>;
export type ResultOutcome = ControlOf<"result">["outcome"];

export type ControlError = { readonly kind: "not-json" | "not-a-message"; readonly message: string };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeControl(message: ControlMessage): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

export function decodeControl(bytes: Uint8Array): Result<ControlMessage, ControlError> {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes), withoutMinusZero);
  } catch (error) {
    return err({ kind: "not-json", message: error instanceof Error ? error.message : "not JSON" });
  }
  const parsed = messageSchema.safeParse(json);
  if (parsed.success) return ok(parsed.data);
  return err({ kind: "not-a-message", message: z.prettifyError(parsed.error) });
}

/** JSON can say -0, and numbers that are equal must be the same here: a spec is compared with the one that is held. */
function withoutMinusZero(_key: string, value: unknown): unknown {
  return value === 0 ? 0 : value;
}
