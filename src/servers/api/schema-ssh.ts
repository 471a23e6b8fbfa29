import { z } from "../../wire/zod.ts";
import { SshHostInfo } from "../local/ssh-schema.ts";
import { id, name, portSet, timeMs } from "./shapes.ts";

/** Plain ssh: how a relay is known to its clients, and by which keys they are its devices. As schema.ts otherwise. */

/** Null = SSH clients are not served: `[ssh]` is not in the relay's hatchway.toml, or this server is no relay. */
export const Ssh = z.object({ server: SshHostInfo.nullable() });

/** A public key by which an SSH client is a device. */
export const SshKey = z.object({
  /** `SHA256:…`, as ssh-keygen -l shows it: its id. */
  fingerprint: z.string(),
  /** `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256` … */
  type: z.string(),
  comment: z.string(),
  device: z.object({ id, name: z.string() }),
  account: z.object({ id, name: z.string() }),
  /** What its device may open, as a port set; null = its account's whole pool. */
  ports: z.string().nullable(),
  addedMs: timeMs,
  lastUsedMs: timeMs.nullable(),
  /** It is the last key of a device without an agent: removing it ends the device, and its ports are free. */
  endsDevice: z.boolean(),
});
export type SshKey = z.infer<typeof SshKey>;

const MAX_KEY_CHARS = 32_768;

export const SshKeyDraft = z.strictObject({
  /** As it stands in the file that ends in .pub: `ssh-ed25519 AAAA… comment`. */
  key: z.string().min(1).max(MAX_KEY_CHARS),
  /** The device that its holder is: the id of one that is there, or a name in the account: one is made if there is none. */
  device: name,
  /** Of a new device: what it may open; absent = all of its account's. */
  ports: portSet.exactOptional(),
  /** Name or id of the account that `device` is a name in; absent = one's own. Others' are for administrators. */
  account: id.exactOptional(),
});
export type SshKeyDraft = z.infer<typeof SshKeyDraft>;
