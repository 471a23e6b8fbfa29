import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode } from "../../os/errors.ts";
import { fileError, PRIVATE_FILE_MODE } from "../../os/files.ts";
import type { DataPaths } from "../../os/paths.ts";
import { giveFiles } from "../../os/privileges.ts";
import { SealedError } from "../../os/sealed.ts";
import { ControlError } from "../../servers/local/error.ts";
import { OPERATOR } from "../../store/audit.ts";
import { StoreFailure } from "../../store/failure.ts";
import type { BackupManifest } from "../../wire/backup.ts";
import { makeBackup } from "./make.ts";
import { isPrivileged, PRIVILEGED, pathOf } from "./parts.ts";
import { applyRestore, checkRestore, discardRestore, PLACES, stageRestore } from "./restore.ts";
import { withDirectory } from "./start.ts";

export interface BackupRequest {
  readonly paths: DataPaths;
  readonly file: string;
  readonly passphrase: string;
  readonly isRoot: boolean;
  readonly nowMs: number;
}

/** Writes a backup of a data directory to a file that is not there yet. Rejects with ControlError. */
export async function backUp({ file, ...request }: BackupRequest): Promise<BackupManifest> {
  try {
    const backup = await makeBackup({ ...request, workDir: dirname(file) });
    try {
      if (backup.manifest.parts.length === 0) {
        const message = `There is nothing to back up in ${request.paths.directory}: name the data directory with --data.`;
        throw new ControlError("usage", message);
      }
      const target = await open(file, "wx", PRIVATE_FILE_MODE);
      try {
        for await (const bytes of backup.bytes) await target.writeFile(bytes);
        await target.sync();
      } finally {
        await target.close();
      }
      return backup.manifest;
    } finally {
      await backup.close();
    }
  } catch (error) {
    throw controlErrorOf(error, file);
  }
}

/**
 * Puts a backup in the place of what a data directory holds; what was there is kept aside. `checkOnly`: it is opened and
 * checked, and nothing changes. Rejects with ControlError, `usage` while something runs on that directory.
 */
export async function restore(
  request: BackupRequest & { readonly checkOnly: boolean },
): Promise<{ readonly manifest: BackupManifest; readonly before: string | null }> {
  const { paths, file, passphrase, isRoot, nowMs, checkOnly } = request;
  try {
    return await withDirectory(paths, [], async () => {
      const by = { actor: OPERATOR, nowMs };
      const source: AsyncIterable<Uint8Array> = createReadStream(file);
      const { manifest } = await checkRestore(paths, source, passphrase, by);
      if (!isRoot && manifest.parts.some(({ name }) => isPrivileged(name))) {
        await discardRestore(paths);
        throw new ControlError("usage", "This backup has root's part of a gateway in it: restore it as root.");
      }
      if (checkOnly) {
        await discardRestore(paths);
        return { manifest, before: null };
      }
      if (isRoot) await giveToOwner(paths);
      await stageRestore(paths);
      return { manifest, before: (await applyRestore(paths, nowMs))?.before ?? null };
    });
  } catch (error) {
    throw controlErrorOf(error, file);
  }
}

/** Who runs the server owns its directory; root's own part stays root's. Before it is staged: a crash leaves no file out of reach. */
async function giveToOwner(paths: DataPaths): Promise<void> {
  const given = giveFiles([pathOf(paths, PLACES.checked)], await stat(paths.directory), new Set([PRIVILEGED]));
  if (!given.ok) throw new ControlError("failed", given.error);
}

function controlErrorOf(error: unknown, file: string): unknown {
  if (error instanceof SealedError)
    return new ControlError(error.kind === "wrong" ? "refused" : "usage", error.message);
  if (error instanceof StoreFailure) return new ControlError("failed", error.message, { cause: error });
  const code = errorCode(error);
  if (code === null || error instanceof ControlError) return error;
  if (code === "EEXIST") return new ControlError("usage", `${file} is there already: name another file.`);
  return new ControlError("failed", fileError(error, "read", file).message, { cause: error });
}
