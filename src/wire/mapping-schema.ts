import { addressSchema, cidrSchema, MAX_NAME_CHARS, mappedPortSchema } from "./spec-schema.ts";
import { z } from "./zod.ts";

/** Of an IPv6 client and its port: longer than an agent's. */
const MAX_ID_CHARS = 200;
const MAX_PEERS = 1_000;
const MAX_RANGES = 1_000;

const remotePeer = z.object({ network: cidrSchema, port: z.int().min(1).max(65_535).nullable() });

const port = z.int().min(1).max(65_535);
const spans = z
  .array(z.object({ first: port, last: port }).refine(({ first, last }) => first <= last, "not a range"))
  .max(MAX_RANGES)
  .readonly();
const byProtocol = z.object({ tcp: spans, udp: spans });

/** A port trigger. Equal in shape to TriggerRule of the kernel's data plane. */
export const triggerRuleSchema = z.object({
  name: z.string().min(1).max(MAX_NAME_CHARS),
  out: byProtocol,
  in: byProtocol,
  timeoutSec: z.number().int().positive(),
  secondHost: z.enum(["refused", "takesOver"]),
});

/** Mappings as they are kept and travel over local sockets. Equal in shape to core's MappingSpec. */
export const mappingSpecSchema = z.object({
  id: z.string().min(1).max(MAX_ID_CHARS),
  name: z.string().max(MAX_NAME_CHARS),
  group: z.null(),
  ports: z.array(mappedPortSchema).min(1).max(MAX_RANGES).readonly(),
  lifetimeSec: z.number().int().positive().nullable(),
  to: addressSchema,
  requester: addressSchema.nullable(),
  origin: z.enum(["cli", "config", "api", "natpmp", "pcp", "igd"]),
  askedInternalPort: z.int().min(0).max(65_535),
  nonce: z.string().max(MAX_NAME_CHARS).nullable(),
  allow: z.array(remotePeer).max(MAX_PEERS).readonly(),
  deny: z.array(cidrSchema).max(MAX_PEERS).readonly(),
  limits: z.object({
    connectionsPerSource: z.number().int().positive().exactOptional(),
    newPerSourcePerSec: z.number().positive().exactOptional(),
  }),
  enabled: z.boolean(),
});
