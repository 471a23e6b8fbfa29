import { z } from "../../wire/zod.ts";

/** What is measured when somebody asks (schema.ts says how the API writes things). */

/** Of `GET /v1/forwards/{id}/ping`. */
export const PingEvent = z.discriminatedUnion("event", [
  z.object({
    event: z.literal("started"),
    /** The port outside that is measured: the forward's first. */
    port: z.int(),
    samples: z.int(),
    everyMs: z.int(),
  }),
  z.object({
    event: z.literal("sample"),
    /** From 1. */
    seq: z.int(),
    atMs: z.number(),
    /** The round trip between the relay and the device; null = no answer came. */
    linkMs: z.number().nullable(),
    /** From the relay until the device is connected to the service, as for a visitor; null = it was not. */
    serviceMs: z.number().nullable(),
    /** Why `serviceMs` is null, in a few words; else null. */
    lost: z.string().nullable(),
  }),
  z.object({ event: z.literal("done") }),
]);
export type PingEvent = z.infer<typeof PingEvent>;
