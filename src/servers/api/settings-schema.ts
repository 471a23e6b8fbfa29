import { z } from "../../wire/zod.ts";

/** The server itself, for administrators (schema.ts says how the API writes things). */

export const MIN_PASSPHRASE_CHARS = 12;
const passphrase = z.string().min(MIN_PASSPHRASE_CHARS).max(1_024);
export const BackupDraft = z.strictObject({ passphrase });
export type BackupDraft = z.infer<typeof BackupDraft>;

/** A backup that was uploaded, opened and found whole. */
export const RestoreInfo = z.object({
  /** checked: nothing happens with it. staged: the next start takes it. */
  state: z.enum(["checked", "staged"]),
  madeMs: z.number(),
  /** Of the program that made it. */
  version: z.string(),
  counts: z.object({ accounts: z.int(), people: z.int(), devices: z.int(), forwards: z.int() }),
  /** Names of the files in it. */
  parts: z.array(z.string()).readonly(),
});
export type RestoreInfo = z.infer<typeof RestoreInfo>;
export const PendingRestore = z.object({ /** Null = none waits. */ restore: RestoreInfo.nullable() });
export type PendingRestore = z.infer<typeof PendingRestore>;

/** What is in force, and where it comes from. Nothing of it is secret. */
export const Settings = z.object({
  version: z.string(),
  bunVersion: z.string(),
  license: z.string(),
  startedMs: z.number(),
  dataDirectory: z.string(),
  /** Of everything in the data directory. */
  dataBytes: z.number(),
  /** Null = there is none: every setting is the default, or an option of the command. */
  configFile: z.string().nullable(),
  /** Null = this server is no relay. */
  relay: z
    .object({
      publicHost: z.string(),
      /** The agent port, `host:port`. */
      listen: z.string(),
      /** The pool of public ports. */
      ports: z.string(),
      /** It answers STUN. */
      stun: z.boolean(),
      /** Own: by an authority's certificate. Else agents pin its key. */
      ownCertificate: z.boolean(),
      /** Agents need a certificate of the operator's CA. */
      clientCa: z.boolean(),
    })
    .nullable(),
  console: z.object({
    url: z.string(),
    listen: z.string(),
    tls: z.boolean(),
    hosts: z.array(z.string()).readonly(),
    trustedProxies: z.array(z.string()).readonly(),
  }),
});
export type Settings = z.infer<typeof Settings>;
export { ReloadReport } from "../local/schema.ts";
