import { dataPaths } from "../../os/paths.ts";
import { SealedError } from "../../os/sealed.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { RestoreInfo } from "../../servers/api/schema.ts";
import { StoreFailure } from "../../store/failure.ts";
import type { Store } from "../../store/store.ts";
import { type Backup, makeBackup } from "../backup/make.ts";
import { shownParts } from "../backup/parts.ts";
import { checkRestore, discardRestore, type PendingRestore, pendingRestore, stageRestore } from "../backup/restore.ts";
import { actorOf } from "./access/context.ts";

export interface BackupsOptions {
  readonly dataDir: string;
  readonly store: Store;
  wallMs(): number;
}

/** Backups that are made at the console, and one that waits there to be restored. One thing at a time. */
export class Backups {
  readonly #options: BackupsOptions;
  readonly #paths;
  #busy = false;

  constructor(options: BackupsOptions) {
    this.#options = options;
    this.#paths = dataPaths(options.dataDir);
  }

  async make(who: Principal, passphrase: string): Promise<AsyncIterable<Uint8Array>> {
    const leave = this.#enter();
    try {
      const { dataDir, wallMs } = this.#options;
      // What is root's own is not this user's to read, and not the network's to ask for.
      const about = { paths: this.#paths, passphrase, isRoot: false, workDir: dataDir, nowMs: wallMs() };
      const backup = await makeBackup(about);
      try {
        await this.#note(who, "backup.made", { parts: shownParts(backup.manifest.parts) });
      } catch (error) {
        await backup.close();
        throw error;
      }
      return closing(backup, leave);
    } catch (error) {
      leave();
      throw failureOf(error);
    }
  }

  async pending(): Promise<RestoreInfo | null> {
    const found = await pendingRestore(this.#paths);
    return found === null ? null : infoOf(found);
  }

  async check(who: Principal, source: AsyncIterable<Uint8Array>, passphrase: string): Promise<RestoreInfo> {
    const leave = this.#enter();
    try {
      const by = { actor: actorOf(who), nowMs: this.#options.wallMs() };
      const checked = await checkRestore(this.#paths, source, passphrase, by);
      const { madeMs, version } = checked.manifest;
      await this.#note(who, "restore.checked", { madeMs, version });
      return infoOf(checked);
    } catch (error) {
      throw failureOf(error);
    } finally {
      leave();
    }
  }

  async stage(who: Principal): Promise<RestoreInfo> {
    const leave = this.#enter();
    try {
      const staged = await stageRestore(this.#paths);
      const info = await this.pending();
      if (info === null || (!staged && info.state !== "staged")) throw nothingWaits();
      await this.#note(who, "restore.staged", { madeMs: info.madeMs, version: info.version });
      return info;
    } finally {
      leave();
    }
  }

  async discard(who: Principal): Promise<void> {
    const leave = this.#enter();
    try {
      if (!(await discardRestore(this.#paths))) throw nothingWaits();
      await this.#note(who, "restore.discarded", {});
    } finally {
      leave();
    }
  }

  #enter(): () => void {
    if (this.#busy) {
      throw new ApiFailure("limited", "Another backup or restore is under way: wait for it.", { retryAfterSec: 10 });
    }
    this.#busy = true;
    return () => {
      this.#busy = false;
    };
  }

  #note(who: Principal, action: string, detail: Readonly<Record<string, unknown>>): Promise<void> {
    const { store, wallMs } = this.#options;
    return store.audit.append({ actor: actorOf(who), action, subject: "relay", detail }, wallMs());
  }
}

/** No generator: one that was never begun does nothing when it is left. */
function closing({ bytes, close }: Backup, leave: () => void): AsyncIterable<Uint8Array> {
  const end = async () => {
    await close();
    leave();
  };
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        try {
          const result = await bytes.next();
          if (result.done === true) await end();
          return result;
        } catch (error) {
          await end();
          throw error;
        }
      },
      async return() {
        await bytes.return();
        await end();
        return { done: true, value: undefined };
      },
    }),
  };
}

function infoOf({ state, manifest: { madeMs, version, counts, parts } }: PendingRestore): RestoreInfo {
  return { state, madeMs, version, counts, parts: shownParts(parts) };
}

function nothingWaits(): ApiFailure {
  return new ApiFailure("not-found", "No backup waits to be restored.");
}

function failureOf(error: unknown): unknown {
  if (error instanceof SealedError) {
    const path = error.kind === "wrong" ? "passphrase" : "file";
    return new ApiFailure("invalid", error.message, { errors: [{ path, message: error.message }] });
  }
  if (!(error instanceof StoreFailure)) return error;
  const isFiles = error.kind === "damaged" || error.kind === "newer";
  return new ApiFailure(isFiles ? "invalid" : "storage", error.message, { cause: error });
}
