import { HOPS, PORT_STATES } from "../../core/check/evidence.ts";
import { hostSchema } from "../../wire/spec-schema.ts";
import { z } from "../../wire/zod.ts";
import { CONTROL_VERSION } from "./protocol.ts";

const port = z.int().min(1).max(65_535);
const protocol = z.enum(["tcp", "udp"]);

/** What is to be checked. `protocol`: null = that of the forward, else TCP. */
export const CheckRequest = z.strictObject({
  target: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("port"), host: hostSchema.nullable(), port, protocol: protocol.nullable() }),
    z.strictObject({ kind: z.literal("name"), name: z.string().min(1).max(255) }),
  ]),
  /** The id of what a UDP service is asked (core/check/probes.ts); null = what is usual at its port. */
  payload: z.string().min(1).max(32).nullable(),
  /** Where the service is, when no forward says it; null = at that port of this machine. */
  service: z.strictObject({ host: hostSchema, port }).nullable(),
});
export type CheckRequest = z.infer<typeof CheckRequest>;

export const CheckReport = z.object({
  v: z.literal(CONTROL_VERSION),
  target: z.object({
    protocol,
    /** What visitors type; null = it is not known here. */
    host: z.string().nullable(),
    port,
    /** The name of the forward; null = the port is of none. */
    forward: z.string().nullable(),
  }),
  /** open · closed · filtered · dead-service: the way is open, and nothing answers behind it · unknown. */
  state: z.enum(PORT_STATES),
  /** Where it fails, from outside inwards; none = nowhere. */
  hop: z.enum(HOPS),
  /** False: the likeliest of several. */
  sure: z.boolean(),
  /** The row of the table of verdicts that applied. */
  rule: z.string(),
  /** What is, in one sentence. */
  sentence: z.string(),
  /** What to do, in one sentence; null = nothing. */
  remedy: z.string().nullable(),
  /** What is known of each hop, from outside inwards. */
  evidence: z
    .array(z.object({ hop: z.enum(HOPS), mark: z.enum(["ok", "bad", "unknown"]), text: z.string() }))
    .readonly(),
});
export type CheckReport = z.infer<typeof CheckReport>;
