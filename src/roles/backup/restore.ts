import type { Stats } from "node:fs";
import { lstat, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../os/errors.ts";
import { PRIVATE_DIRECTORY_MODE, replaceFile, syncDirectory } from "../../os/files.ts";
import type { DataPaths } from "../../os/paths.ts";
import { giveFiles } from "../../os/privileges.ts";
import { SealedError } from "../../os/sealed.ts";
import { ControlError } from "../../servers/local/error.ts";
import { examineDatabase, prepareRestored } from "../../store/snapshot.ts";
import { BackupManifest, type BackupPart } from "../../wire/backup.ts";
import { parseJson } from "../../wire/json.ts";
import { WORK_PREFIX } from "./make.ts";
import { DATABASE, DATABASE_LOGS, PRIVILEGED, pathOf } from "./parts.ts";
import { unpack } from "./unpack.ts";

/**
 * A restore goes through these directories of the data directory, by renames, so that a crash leaves it in one of them:
 * unpacking (nothing is certain yet), checked (somebody looks at what it is), staged (the next start takes it), applying (the
 * start that takes it; from here on the new state wins), before-restore-TIME (what was there before, kept).
 */
export const PLACES = {
  unpacking: "restore-unpacking",
  checked: "restore-checked",
  staged: "restore-staged",
  applying: "restore-applying",
  /** Until all of it is there. */
  leaving: "before-restore",
} as const;
const MANIFEST = "manifest.json";
const ROOT_UID = 0;

/** A restore that waits. `staged`: the next start takes it. */
export interface PendingRestore {
  readonly state: "checked" | "staged";
  readonly manifest: BackupManifest;
}

/** Called at each step of a restore, for tests that end there. */
export type AtStep = (step: string) => void;

/**
 * Unpacks a backup beside what is in use and looks whether it could be: it opens, it is whole, its database is sound and not
 * newer than this program. What was checked before gives way. Rejects with SealedError and StoreFailure.
 */
export async function checkRestore(
  paths: DataPaths,
  source: AsyncIterable<Uint8Array>,
  passphrase: string,
  by: { readonly actor: string; readonly nowMs: number },
): Promise<PendingRestore> {
  const unpacking = pathOf(paths, PLACES.unpacking);
  await rm(unpacking, { recursive: true, force: true });
  await mkdir(unpacking, { mode: PRIVATE_DIRECTORY_MODE });
  try {
    const manifest = await unpack(source, passphrase, unpacking);
    const database = join(unpacking, DATABASE);
    if (!manifest.parts.some(({ name }) => name === DATABASE)) {
      throw new SealedError("damaged", "There is no database in this backup: take one that a relay or gateway made.");
    }
    examineDatabase(database);
    const { madeMs, version } = manifest;
    const event = { actor: by.actor, action: "backup.restored", subject: "relay", detail: { madeMs, version } };
    await prepareRestored(database, event, by.nowMs);
    const written = await replaceFile(join(unpacking, MANIFEST), JSON.stringify(manifest));
    if (!written.ok) throw new Error(written.error.message, { cause: written.error.cause });
    await syncDirectory(unpacking);
    await discardRestore(paths);
    await rename(unpacking, pathOf(paths, PLACES.checked));
    await syncDirectory(paths.directory);
    return { state: "checked", manifest };
  } catch (error) {
    await rm(unpacking, { recursive: true, force: true });
    throw error;
  }
}

/** A start has one to take, or to go on with. */
export async function isRestoreDue(paths: DataPaths): Promise<boolean> {
  return (await exists(pathOf(paths, PLACES.staged))) || (await exists(pathOf(paths, PLACES.applying)));
}

/** Null = none waits. */
export async function pendingRestore(paths: DataPaths): Promise<PendingRestore | null> {
  for (const state of ["staged", "checked"] as const) {
    const manifest = await manifestIn(pathOf(paths, PLACES[state]));
    if (manifest !== null) return { state, manifest };
  }
  return null;
}

/** False: none was checked. */
export async function stageRestore(paths: DataPaths): Promise<boolean> {
  if ((await manifestIn(pathOf(paths, PLACES.checked))) === null) return false;
  await rename(pathOf(paths, PLACES.checked), pathOf(paths, PLACES.staged));
  await syncDirectory(paths.directory);
  return true;
}

/** False: none waited. */
export async function discardRestore(paths: DataPaths): Promise<boolean> {
  const waited = (await pendingRestore(paths)) !== null;
  for (const place of [PLACES.staged, PLACES.checked]) {
    // Out of the way at once, and then bit by bit.
    const gone = pathOf(paths, PLACES.unpacking);
    if (!(await moved(pathOf(paths, place), `${gone}-discarded`))) continue;
    await rm(`${gone}-discarded`, { recursive: true, force: true });
  }
  await syncDirectory(paths.directory);
  return waited;
}

export interface AppliedRestore {
  readonly manifest: BackupManifest;
  /** Where what was there before is now; null = there was nothing. */
  readonly before: string | null;
}

/**
 * Takes a staged restore, or goes on with one that a crash interrupted. Only while nothing else has the data directory, and
 * before its database is opened. Null = there is none.
 */
export async function applyRestore(
  paths: DataPaths,
  nowMs: number,
  atStep: AtStep = () => undefined,
): Promise<AppliedRestore | null> {
  const applying = pathOf(paths, PLACES.applying);
  const leaving = pathOf(paths, PLACES.leaving);
  await sweep(paths);
  atStep("begin");
  if (await moved(pathOf(paths, PLACES.staged), applying)) await syncDirectory(paths.directory);
  const manifest = await manifestIn(applying);
  if (manifest === null) {
    await rm(applying, { recursive: true, force: true });
    return null;
  }
  atStep("decided");
  await mkdir(leaving, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
  for (const { name } of manifest.parts) {
    if (name.includes("/")) await mkdir(join(leaving, name, ".."), { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
    await takePart(paths, name, atStep);
  }
  await syncDirectory(paths.directory);
  const before = pathOf(paths, `${PLACES.leaving}-${stamp(nowMs)}`);
  // Empty: a start that was cut short had named it already, or nothing was here before.
  const wasEmpty = (await readdir(leaving)).length === 0;
  if (wasEmpty) await rm(leaving, { recursive: true });
  else await rename(leaving, before);
  await syncDirectory(paths.directory);
  atStep("kept");
  await rm(applying, { recursive: true, force: true });
  return { manifest, before: wasEmpty ? null : before };
}

/** What is not in `applying` any more is in its place already. */
async function takePart(paths: DataPaths, name: BackupPart, atStep: AtStep): Promise<void> {
  const from = join(pathOf(paths, PLACES.applying), name);
  if (!(await exists(from))) return;
  const leaving = pathOf(paths, PLACES.leaving);
  for (const folder of foldersOf(name)) await makeFolder(paths, folder);
  // The old database's log first goes beside it: the new one must not read it.
  for (const old of name === DATABASE ? [...DATABASE_LOGS, name] : [name]) {
    await moved(pathOf(paths, old), join(leaving, old));
    atStep(`left ${old}`);
  }
  await syncDirectory(leaving);
  await rename(from, pathOf(paths, name));
  atStep(`took ${name}`);
}

/** `names`, `names/a.example.org` of `names/a.example.org/acme.json`. */
function foldersOf(name: string): string[] {
  const steps = name.split("/").slice(0, -1);
  return steps.map((_, at) => steps.slice(0, at + 1).join("/"));
}

/** What has its name and is none (a link that leads elsewhere, say) is put beside what was there before. */
async function makeFolder(paths: DataPaths, folder: string): Promise<void> {
  const path = join(paths.directory, folder);
  const found = await stateOf(path);
  if (found?.isDirectory() === true) return;
  if (found !== null) await rename(path, join(pathOf(paths, PLACES.leaving), `${folder}~`));
  await mkdir(path, { mode: PRIVATE_DIRECTORY_MODE });
  // Root restores for whoever runs the server; its own part stays its own.
  if (process.getuid?.() !== ROOT_UID || folder === PRIVILEGED) return;
  const given = giveFiles([path], await stat(paths.directory));
  if (!given.ok) throw new ControlError("failed", given.error);
}

async function stateOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** What a crash left of a backup or of an upload: nothing that anybody waits for. */
async function sweep(paths: DataPaths): Promise<void> {
  const names = await readdir(paths.directory);
  const left = names.filter((name) => name.startsWith(WORK_PREFIX) || name.startsWith(PLACES.unpacking));
  for (const name of left) await rm(pathOf(paths, name), { recursive: true, force: true });
}

async function manifestIn(directory: string): Promise<BackupManifest | null> {
  try {
    const text = await readFile(join(directory, MANIFEST), "utf8");
    return BackupManifest.safeParse(parseJson(text)).data ?? null;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** False: there is nothing at `from`. */
async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** `20261128-221127`, UTC. */
function stamp(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}
