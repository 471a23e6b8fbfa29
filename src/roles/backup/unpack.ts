import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE } from "../../os/files.ts";
import { SealedError, unseal } from "../../os/sealed.ts";
import { type BackupManifest, decodeManifest } from "../../wire/backup.ts";

/** Writes what a backup holds into `directory`, which is there and empty; all of it is on the disk when this resolves. Rejects with SealedError. */
export async function unpack(
  source: AsyncIterable<Uint8Array>,
  passphrase: string,
  directory: string,
): Promise<BackupManifest> {
  const unpacker = new Unpacker(directory);
  try {
    for await (const bytes of unseal(source, passphrase)) await unpacker.take(bytes);
    return await unpacker.finish();
  } finally {
    await unpacker.close();
  }
}

const DAMAGED = "What is in the backup does not fit its own list: take another copy of it.";

class Unpacker {
  readonly #directory: string;
  #head: Uint8Array = new Uint8Array();
  #manifest: BackupManifest | null = null;
  /** The part that is being written: its place in the manifest, and how much of it is to come. */
  #at = -1;
  #left = 0;
  #file: FileHandle | null = null;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async take(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    if (this.#manifest === null) {
      this.#head = Buffer.concat([this.#head, bytes]);
      const decoded = decodeManifest(this.#head);
      if (!decoded.ok) throw new SealedError("damaged", decoded.error.message);
      if (decoded.value === null) return;
      this.#manifest = decoded.value.value;
      rest = this.#head.subarray(decoded.value.length);
      await this.#next();
    }
    while (rest.length > 0) {
      if (this.#file === null) throw new SealedError("damaged", DAMAGED);
      const taken = rest.subarray(0, this.#left);
      await this.#file.writeFile(taken);
      this.#left -= taken.length;
      rest = rest.subarray(taken.length);
      if (this.#left === 0) await this.#next();
    }
  }

  async finish(): Promise<BackupManifest> {
    if (this.#manifest === null || this.#file !== null) throw new SealedError("damaged", DAMAGED);
    return this.#manifest;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  /** Goes on to the next part that has a byte; empty ones are made on the way. */
  async #next(): Promise<void> {
    for (;;) {
      await this.#file?.sync();
      await this.close();
      this.#at++;
      const part = this.#manifest?.parts[this.#at];
      if (part === undefined) return;
      const path = join(this.#directory, part.name);
      await mkdir(dirname(path), { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
      this.#file = await open(path, "wx", PRIVATE_FILE_MODE);
      this.#left = part.bytes;
      if (this.#left > 0) return;
    }
  }
}
