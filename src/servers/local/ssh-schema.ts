import { parsePortSet } from "../../wire/port-set.ts";
import { z } from "../../wire/zod.ts";

/** Milliseconds since the epoch. */
const timeMs = z.number();
const text = z.string().min(1).max(255);
const MAX_KEY_CHARS = 32_768;

/** A public key by which an SSH client is a device. */
export const SshKeyInfo = z.object({
  /** `SHA256:…`, as ssh-keygen -l shows it. */
  fingerprint: z.string(),
  type: z.string(),
  comment: z.string(),
  device: z.string(),
  account: z.string(),
  /** What the device may open, as a port set; null = its account's whole pool. */
  ports: z.string().nullable(),
  addedMs: timeMs,
  lastUsedMs: timeMs.nullable(),
});
export type SshKeyInfo = z.infer<typeof SshKeyInfo>;

export const SshKeyRequest = z.strictObject({
  /** As it stands in the file: `ssh-ed25519 AAAA… comment`. */
  key: z.string().min(1).max(MAX_KEY_CHARS),
  /** Of the device; one that the account has gets the key as well. */
  name: text,
  /** Name or id; absent = the first account. */
  account: z.string().min(1).max(512).exactOptional(),
  /** Of a new device; absent = the account's whole pool. */
  ports: z
    .string()
    .max(4_096)
    .refine((ports) => parsePortSet(ports).ok, "must be a port set")
    .exactOptional(),
});
export type SshKeyRequest = z.infer<typeof SshKeyRequest>;

export const SshKeyRemoval = z.strictObject({ fingerprintOrComment: z.string().min(1).max(512) });

export const SshKeyRemoved = z.object({
  key: SshKeyInfo,
  /** It was the last key of a device without an agent: its ports are free. */
  deviceRevoked: z.boolean(),
});
export type SshKeyRemoved = z.infer<typeof SshKeyRemoved>;

/** How clients know the relay's SSH server. */
export const SshHostInfo = z.object({
  host: z.string(),
  port: z.int(),
  fingerprint: z.string(),
  /** A line for known_hosts. */
  knownHosts: z.string(),
});
export type SshHostInfo = z.infer<typeof SshHostInfo>;
