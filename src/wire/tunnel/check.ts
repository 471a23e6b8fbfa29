import { z } from "../zod.ts";

/**
 * What control messages say of a port check. The relay looks at a port of the address that the session comes from, or
 * tells what it knows of a forward of the device.
 */
const text = (most: number) => z.string().max(most);
const portNumber = z.number().int().min(1).max(65_535);
const protocol = z.enum(["tcp", "udp"]);

/** Of an IPv6 address with an IPv4 one in it, the longest there is (RFC 4291 section 2.2). */
const ADDRESS_CHARS = 45;
/** 16 bytes, base64url. */
const NONCE_CHARS = 22;
/** Padding, so that a request is never smaller than the probe it causes. */
export const MAX_PAD_CHARS = 8_192;

export const checkTarget = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("own"),
    /** The addresses that the person named; none = the session's own. */
    addresses: z.array(text(ADDRESS_CHARS)).max(16).readonly(),
    protocol,
    port: portNumber,
    /** UDP: which of the datagrams that the relay knows is sent. Never bytes of the asker's choice. */
    probe: text(32).nullable(),
    /** What the datagram is made of, so that both ends know it. */
    nonce: z.string().length(NONCE_CHARS),
  }),
  z.object({ kind: z.literal("forward"), id: text(64), protocol, port: portNumber }),
]);

export const checkOutcome = z.object({
  kind: z.literal("check"),
  /** The asker's address as the relay sees it. */
  address: text(ADDRESS_CHARS),
  /** What the relay saw; null = it was asked for a forward. */
  probe: z
    .object({
      saw: z.enum(["open", "ended", "closed", "filtered", "silent", "unreachable", "failed"]),
      /** Where the probe came from; null = it could not be made. */
      from: text(ADDRESS_CHARS).nullable(),
      elapsedMs: z.number(),
      /** UDP: whether the answer was the protocol's. */
      fits: z.boolean().nullable(),
    })
    .nullable(),
  /** What the relay knows of the forward; null = it was asked for a port. */
  entry: z
    .object({
      state: z.enum(["open", "refused", "disabled", "away", "unhealthy", "none"]),
      /** Whether its source lists let the asker's address in. */
      allowsAsker: z.boolean(),
      visitors: z.number(),
      refused: z.record(z.string(), z.number()),
    })
    .nullable(),
});
