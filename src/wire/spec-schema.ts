import { type Cidr, parseAddress, parseCidr } from "./address.ts";
import { isPasswordHash } from "./password-hash.ts";
import { parseSitePattern } from "./site-name.ts";
import { z } from "./zod.ts";

/**
 * Forwards as they travel and are kept: in PUT messages, over the local socket, in the store and in the agent's state.
 * One source, so that what one of them takes no other refuses. Equal in shape to what core/forward.ts has.
 */
const MAX_PORT = 65_535;
const MAX_ID_CHARS = 64;
/** Of forwards, groups and devices. */
export const MAX_NAME_CHARS = 64;
const MAX_HOST_CHARS = 255;
const MAX_SECRET_CHARS = 255;
const MAX_RANGES = 1_000;
const MAX_NETWORKS = 1_000;

const id = z.string().min(1).max(MAX_ID_CHARS);
const name = z.string().max(MAX_NAME_CHARS);
export const hostSchema = z.string().min(1).max(MAX_HOST_CHARS);
const portNumber = z.number().int().min(1).max(MAX_PORT);
const portOrAny = z.number().int().min(0).max(MAX_PORT);
const count = z.number().int().positive();
const positive = z.number().positive();

/** An IP literal; the value is its canonical text. */
export const addressSchema = z.string().transform((value, context): string => {
  const parsed = parseAddress(value);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: "not an address" });
  return z.NEVER;
});

export const cidrSchema = z.string().transform((value, context): Cidr => {
  const parsed = parseCidr(value);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: "not a network" });
  return z.NEVER;
});

interface Mapping {
  readonly first: number;
  readonly last: number;
  readonly internalFirst: number;
}

function isRange({ first, last, internalFirst }: Mapping): boolean {
  return first <= last && internalFirst + last - first <= MAX_PORT;
}

const remotePort = z
  .object({
    protocol: z.enum(["tcp", "udp"]),
    /** 0 = any free port of the pool. */
    first: portOrAny,
    last: portOrAny,
    internalFirst: portNumber,
  })
  .refine(isRange, "the port range is not a range");

/** External:internal, both settled. */
export const mappedPortSchema = z
  .object({ protocol: z.enum(["tcp", "udp"]), first: portNumber, last: portNumber, internalFirst: portNumber })
  .refine(isRange, "the port range is not a range");

/** An entry on this machine may ask the system for a free port, and a dynamic forward has no internal one. */
const localPort = z
  .object({ protocol: z.enum(["tcp", "udp"]), first: portOrAny, last: portOrAny, internalFirst: portOrAny })
  .refine(isRange, "the port range is not a range");

const forwardOptions = z.object({
  source: z.object({
    allow: z.array(cidrSchema).max(MAX_NETWORKS).readonly(),
    deny: z.array(cidrSchema).max(MAX_NETWORKS).readonly(),
  }),
  limits: z.object({
    connections: count.exactOptional(),
    connectionsPerSource: count.exactOptional(),
    newPerSourcePerSec: positive.exactOptional(),
    bandwidthBytesPerSec: count.exactOptional(),
  }),
  proxyProtocol: z.enum(["v1", "v2"]).nullable(),
  tcpIdleSec: positive.nullable(),
  halfCloseIdleSec: positive,
  udpIdleSec: positive,
  healthCheck: z.object({ intervalSec: positive, timeoutSec: positive, failures: count }).nullable(),
});

const MAX_SITE_NAMES = 100;
const MAX_LOGINS = 100;

const sitePattern = z.string().transform((value, context): string => {
  const parsed = parseSitePattern(value);
  if (parsed.ok && parsed.value === value) return value;
  context.addIssue({ code: "custom", message: "not the name of a site" });
  return z.NEVER;
});

const siteSchema = z.object({
  hosts: z.array(sitePattern).min(1).max(MAX_SITE_NAMES).readonly(),
  tls: z.enum(["off", "end", "pass"]),
  service: z.enum(["http1", "h2c"]),
  logins: z
    .array(
      z.object({
        user: z
          .string()
          .min(1)
          .max(MAX_SECRET_CHARS)
          .regex(/^[^:\p{Cc}]+$/u),
        hash: z.string().refine(isPasswordHash, "not a hash of a password"),
      }),
    )
    .max(MAX_LOGINS)
    .readonly(),
});

export const remoteSpecSchema = z.object({
  id,
  name,
  group: name.nullable(),
  ports: z.array(remotePort).min(1).max(MAX_RANGES).readonly(),
  options: forwardOptions,
  enabled: z.boolean(),
  lifetimeSec: count.nullable(),
  site: siteSchema.exactOptional(),
});

export const localSpecSchema = z.object({
  id,
  name,
  type: z.enum(["local", "dynamic", "direct"]),
  bind: hostSchema,
  ports: z.array(localPort).min(1).max(MAX_RANGES).readonly(),
  to: hostSchema.nullable(),
  via: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("here") }),
    z.object({ kind: z.literal("relay") }),
    z.object({ kind: z.literal("agent"), device: name.min(1) }),
  ]),
  credentials: z
    .object({ username: z.string().min(1).max(MAX_SECRET_CHARS), password: z.string().min(1).max(MAX_SECRET_CHARS) })
    .nullable(),
  options: forwardOptions,
  enabled: z.boolean(),
});

export const upstreamSpecSchema = z.object({
  id,
  name,
  ports: z.array(remotePort).min(1).max(MAX_RANGES).readonly(),
  to: addressSchema.nullable(),
  families: z.enum(["both", "ipv4", "ipv6"]),
  only: z.enum(["pcp", "nat-pmp", "igd", "igd2", "igd1"]).nullable(),
  gateway: addressSchema.nullable(),
  samePort: z.boolean(),
  lifetimeSec: count,
  enabled: z.boolean(),
});

/** A forward as a person asks an agent for it; `to` of a remote one: the host the agent dials, which the relay never learns. */
export const forwardSpecSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("remote"), remote: remoteSpecSchema, to: hostSchema }),
  z.object({ kind: z.literal("local"), local: localSpecSchema }),
  z.object({ kind: z.literal("upstream"), upstream: upstreamSpecSchema }),
]);
