import { createReadStream } from "node:fs";
import { copyFile, mkdtemp, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { errorCode } from "../../os/errors.ts";
import type { DataPaths } from "../../os/paths.ts";
import { seal } from "../../os/sealed.ts";
import { VERSION } from "../../os/version.ts";
import { copyDatabase, type DatabaseFacts } from "../../store/snapshot.ts";
import { type BackupHeader, type BackupManifest, type BackupPart, encodeManifest } from "../../wire/backup.ts";
import { DATABASE, partsFor, pathOf, sitePartsIn } from "./parts.ts";

export interface MakeOptions {
  readonly paths: DataPaths;
  readonly passphrase: string;
  readonly isRoot: boolean;
  /** Where the copy of the database is until it is sealed: a directory of the same owner. */
  readonly workDir: string;
  readonly nowMs: number;
  /** Of the passphrase; the default is `BACKUP_COST`. */
  readonly cost?: Pick<BackupHeader, "logN" | "r" | "p">;
}

export interface Backup {
  readonly manifest: BackupManifest;
  /** The sealed file. */
  readonly bytes: AsyncGenerator<Uint8Array, void, void>;
  /** Takes away what was made for it; to be called whether it was read or not. */
  close(): Promise<void>;
}

const ACME_FILE = "acme.json";
export const WORK_PREFIX = "backup-making-";

/** A backup of a data directory, whether or not a relay runs on it. Rejects with StoreFailure, and with the system's own errors. */
export async function makeBackup(options: MakeOptions): Promise<Backup> {
  const { paths, isRoot, workDir, nowMs } = options;
  const work = await mkdtemp(join(workDir, WORK_PREFIX));
  const close = () => rm(work, { recursive: true, force: true });
  try {
    const copy = join(work, DATABASE);
    const facts = (await sizeOf(paths.database)) === null ? NO_DATABASE : copyDatabase(paths.database, copy);
    const sources: { readonly name: BackupPart; readonly path: string; readonly bytes: number }[] = [];
    for (const name of [...partsFor(isRoot), ...(await sitePartsIn(paths))]) {
      // What is replaced now and then is copied first: a part is of one piece.
      const path = name === DATABASE ? copy : await steadied(pathOf(paths, name), join(work, `${sources.length}`));
      const bytes = await sizeOf(path);
      if (bytes !== null) sources.push({ name, path, bytes });
    }
    const parts = sources.map(({ name, bytes }) => ({ name, bytes }));
    const manifest: BackupManifest = { madeMs: nowMs, version: VERSION, ...facts, parts };
    return { manifest, bytes: seal(content(manifest, sources), options.passphrase, options.cost), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const NO_DATABASE: DatabaseFacts = {
  databaseVersion: 0,
  counts: { accounts: 0, people: 0, devices: 0, forwards: 0 },
};

async function* content(
  manifest: BackupManifest,
  sources: readonly { readonly path: string; readonly bytes: number }[],
): AsyncGenerator<Uint8Array, void, void> {
  yield encodeManifest(manifest);
  for (const { path, bytes } of sources) {
    if (bytes === 0) continue;
    let left = bytes;
    // A file that grows meanwhile gives what it had; one that shrinks makes no backup.
    for await (const chunk of createReadStream(path, { end: bytes - 1 }) as AsyncIterable<Uint8Array>) {
      left -= chunk.length;
      yield chunk;
    }
    if (left !== 0) throw new Error(`${path} was changed while it was read: make the backup again.`);
  }
}

/** A copy of what ACME gave, which a relay that runs may renew while it is read; others as they are. */
async function steadied(path: string, copy: string): Promise<string> {
  if (basename(path) !== ACME_FILE) return path;
  try {
    await copyFile(path, copy);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "EACCES") throw error;
  }
  return copy;
}

/** Null = there is no such file. */
async function sizeOf(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : null;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "EACCES") return null;
    throw error;
  }
}
