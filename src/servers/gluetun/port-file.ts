import { randomBytes } from "node:crypto";
import { rename, unlink, writeFile } from "node:fs/promises";
import { type FileError, fileError } from "../../os/files.ts";

/** As gluetun's: other users' programs read it (docker's containers, above all). */
const MODE = 0o644;

export interface PortFileOptions {
  readonly path: string;
  readonly ports: () => readonly number[];
  /** Told once until a write succeeds again. */
  readonly onError: (error: FileError) => void;
}

/**
 * The status file of gluetun (VPN_PORT_FORWARDING_STATUS_FILE): the ports, one a line without an end to the last, and
 * empty while there are none (internal/portforward/service/fs.go at b119325). It is replaced whole, so that nobody reads
 * half a number; and not synced, because it says what is now and is written again at the next start.
 */
export class PortFile {
  readonly #options: PortFileOptions;
  /** Null: not known; an earlier run may have left something. */
  #written: string | null = null;
  #stale = false;
  #closed = false;
  #failing = false;
  #running: Promise<void> | null = null;

  constructor(options: PortFileOptions) {
    this.#options = options;
  }

  /** The ports may have changed. Returns at once; a burst of changes costs one or two writes. */
  update(): void {
    this.#stale = true;
    this.#running ??= this.#run();
  }

  /** Resolves when the file says what is now, or could not be written. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Empties it, as gluetun does when its ports are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.update();
    await this.settled();
  }

  async #run(): Promise<void> {
    // What failed is not tried again until the next change: a full disk is not made better by trying.
    while (this.#stale) {
      await nextTurn();
      this.#stale = false;
      const text = this.#closed ? "" : this.#options.ports().join("\n");
      if (text === this.#written) continue;
      const error = await replace(this.#options.path, text);
      if (error === null) this.#written = text;
      else if (!this.#failing) this.#options.onError(error);
      this.#failing = error !== null;
    }
    this.#running = null;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Null = done. */
async function replace(path: string, text: string): Promise<FileError | null> {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    // `wx`: in a directory for everybody (/tmp), no link that another user put there is followed.
    await writeFile(temporary, text, { mode: MODE, flag: "wx" });
    await rename(temporary, path);
    return null;
  } catch (cause) {
    // The first error is the one to tell; when the temporary file is gone or stays behind, nothing reads it.
    await unlink(temporary).catch(() => undefined);
    return fileError(cause, "write", path);
  }
}
