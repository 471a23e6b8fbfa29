import { decodeBase32, encodeBase32 } from "./base32.ts";
import { type HostPort, MAX_PORT, parseHost } from "./endpoint.ts";
import { FINGERPRINT_BYTES } from "./join-code.ts";
import { parseJson } from "./json.ts";
import { err, ok, type Result } from "./result.ts";
import { z } from "./zod.ts";

/**
 * An enrolled device as one text, for an app that keeps it in its own secret store: `hatchwaykey1-` and the base32 (RFC 4648,
 * lower case, no padding) of JSON. Whoever has it is the device, like whoever has an agent's data directory.
 */
export interface DeviceIdentity {
  readonly relay: HostPort;
  readonly trust: "pinned" | "public-ca";
  /** SHA-256 of the relay certificate's SPKI; null only with `public-ca`. */
  readonly fingerprint: Uint8Array | null;
  readonly deviceName: string;
  /** The Ed25519 private key (RFC 8032 section 5.1.5). */
  readonly seed: Uint8Array;
}

export const SEED_BYTES = 32;
const PREFIX = "hatchwaykey1-";
const MAX_NAME_CHARS = 64;
/** A relay's name and a device's at their longest come to less than half of it. */
const MAX_CHARS = 2_048;
const HEX_PER_BYTE = 2;
const HEX_DIGITS = 16;

const hex = (bytes: number) =>
  z
    .string()
    .length(bytes * HEX_PER_BYTE)
    .regex(/^[0-9a-f]*$/)
    .transform((text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, HEX_DIGITS)));

const schema = z
  .object({
    host: z.string().refine((host) => {
      const parsed = parseHost(host);
      return parsed.ok && parsed.value === host;
    }),
    port: z.int().min(1).max(MAX_PORT),
    trust: z.enum(["pinned", "public-ca"]),
    fingerprint: hex(FINGERPRINT_BYTES).nullable(),
    name: z.string().min(1).max(MAX_NAME_CHARS),
    seed: hex(SEED_BYTES),
  })
  .refine(({ trust, fingerprint }) => trust === "public-ca" || fingerprint !== null);

export function encodeDeviceIdentity({ relay, trust, fingerprint, deviceName, seed }: DeviceIdentity): string {
  const json = JSON.stringify({
    ...relay,
    trust,
    fingerprint: fingerprint === null ? null : toHex(fingerprint),
    name: deviceName,
    seed: toHex(seed),
  });
  return PREFIX + encodeBase32(new TextEncoder().encode(json));
}

/** The message is one sentence, and holds no part of the text. */
export function decodeDeviceIdentity(text: string): Result<DeviceIdentity, { readonly message: string }> {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX))
    return err({ message: `A key is the text that enrol gave: it begins with ${PREFIX}.` });
  const decoded = trimmed.length > MAX_CHARS ? null : decodeBase32(trimmed.slice(PREFIX.length));
  const parsed = schema.safeParse(decoded?.exact === true ? parseJson(textOf(decoded.bytes)) : undefined);
  if (!parsed.success)
    return err({ message: "The key is damaged or cut off: take it from where it was kept, or enrol again." });
  const { host, port, trust, fingerprint, name, seed } = parsed.data;
  return ok({ relay: { host, port }, trust, fingerprint, deviceName: name, seed });
}

/** What is no UTF-8 is no JSON either. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(HEX_DIGITS).padStart(HEX_PER_BYTE, "0")).join("");
}
