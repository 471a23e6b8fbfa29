import type { FailedTries } from "../core/acme/plan.ts";
import { type FileError, readPrivateText, replaceFile } from "../os/files.ts";
import { dataPaths } from "../os/paths.ts";
import { parseJson } from "../wire/json.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { z } from "../wire/zod.ts";

/** What certificates are asked for, and where. What is kept for another wish is not this one's. */
export interface AcmeWish {
  readonly directory: string;
  readonly hosts: readonly string[];
}

/**
 * What a relay remembers of ACME: one file (`acme.json`, mode 0600), replaced whole, so that a certificate and its key
 * are never of two orders.
 */
export interface AcmeRecord {
  readonly account: { readonly directory: string; readonly keyPem: string } | null;
  readonly certificate: {
    readonly wish: AcmeWish;
    /** Leaf first. */
    readonly chainPem: string;
    readonly keyPem: string;
    readonly renewAtMs: number;
  } | null;
  readonly failed: (FailedTries & { readonly wish: AcmeWish }) | null;
}

const FILE_VERSION = 1;
/** Far more than an hour's. */
const MOST_TIMES = 1_000;
const wish = z.object({ directory: z.string(), hosts: z.array(z.string()) });
const fileSchema = z.object({
  version: z.literal(FILE_VERSION),
  account: z.object({ directory: z.string(), keyPem: z.string() }).nullable(),
  certificate: z.object({ wish, chainPem: z.string(), keyPem: z.string(), renewAtMs: z.number() }).nullable(),
  failed: z
    .object({
      wish,
      count: z.int().positive(),
      lastMs: z.number(),
      retryAtMs: z.number(),
      limited: z.boolean(),
      // A relay of before wrote neither.
      notBeforeMs: z.number().nullable().default(null),
      refusedMs: z.array(z.number()).max(MOST_TIMES).default([]),
      message: z.string(),
    })
    .nullable(),
});

export const NO_ACME: AcmeRecord = { account: null, certificate: null, failed: null };

export async function readAcme(directory: string): Promise<Result<AcmeRecord, FileError>> {
  const path = dataPaths(directory).acmeState;
  const text = await readPrivateText(path);
  if (!text.ok) return text;
  if (text.value === null) return ok(NO_ACME);
  const file = fileSchema.safeParse(parseJson(text.value));
  if (file.success) {
    const { version: _, ...record } = file.data;
    return ok(record);
  }
  const message = `${path} is damaged, or of a newer version: move it away, and a new certificate is asked for.`;
  return err({ kind: "damaged", message });
}

export function writeAcme(directory: string, record: AcmeRecord): Promise<Result<void, FileError>> {
  return replaceFile(dataPaths(directory).acmeState, `${JSON.stringify({ version: FILE_VERSION, ...record })}\n`);
}
