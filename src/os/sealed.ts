import { createCipheriv, createDecipheriv, randomBytes, type ScryptOptions, scrypt } from "node:crypto";
import {
  BACKUP_COST,
  type BackupHeader,
  CHUNK_BYTES,
  chunkNonce,
  decodeBackupHeader,
  encodeBackupHeader,
  SALT_BYTES,
  TAG_BYTES,
} from "../wire/backup.ts";

/** What cannot be opened: the sentence is for people. wrong: the passphrase, or the file's beginning. damaged: the rest of it. */
export class SealedError extends Error {
  override readonly name = "SealedError";
  constructor(
    readonly kind: "not-a-backup" | "version" | "wrong" | "damaged",
    message: string,
  ) {
    super(message);
  }
}

type Cost = Pick<BackupHeader, "logN" | "r" | "p">;

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
/** Chunks are numbered by 32 bits. */
const MAX_CHUNKS = 2 ** 32;

/** The sealed file of what `source` gives (wire/backup.ts): as much in memory as a chunk. */
export async function* seal(
  source: AsyncIterable<Uint8Array>,
  passphrase: string,
  cost: Cost = BACKUP_COST,
): AsyncGenerator<Uint8Array, void, void> {
  const header: BackupHeader = { ...cost, salt: randomBytes(SALT_BYTES) };
  const clear = encodeBackupHeader(header);
  const key = await keyOf(passphrase, header);
  yield clear;
  let index = 0;
  for await (const { bytes, isLast } of chunksOf(source, CHUNK_BYTES)) {
    if (index >= MAX_CHUNKS) throw new RangeError("more chunks than a backup can number");
    const cipher = createCipheriv(CIPHER, key, chunkNonce(index, isLast)).setAAD(clear);
    yield Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    index++;
  }
}

/** What was sealed, each chunk given out only after it was proven whole. Throws SealedError. */
export async function* unseal(
  source: AsyncIterable<Uint8Array>,
  passphrase: string,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const { header, clear, rest } = await readHeader(iterator);
    const key = await keyOf(passphrase, header);
    let index = 0;
    for await (const { bytes, isLast } of chunksOf(continued(rest, iterator), CHUNK_BYTES + TAG_BYTES)) {
      yield openChunk(bytes, { key, clear, index, isLast });
      index++;
    }
  } finally {
    await iterator.return?.();
  }
}

interface ChunkPlace {
  readonly key: Buffer;
  readonly clear: Uint8Array;
  readonly index: number;
  readonly isLast: boolean;
}

function openChunk(bytes: Uint8Array, { key, clear, index, isLast }: ChunkPlace): Uint8Array {
  if (bytes.length < TAG_BYTES) throw damaged(index);
  const tagAt = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, chunkNonce(index, isLast)).setAAD(clear);
  decipher.setAuthTag(bytes.subarray(tagAt));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, tagAt)), decipher.final()]);
  } catch {
    // The only failure of a decipher with a tag is that it does not fit.
    throw damaged(index);
  }
}

function damaged(index: number): SealedError {
  return index === 0
    ? new SealedError(
        "wrong",
        "The passphrase is wrong, or the file is damaged: try again, or take another copy of it.",
      )
    : new SealedError("damaged", "The file is damaged, or its end is missing: take another copy of it.");
}

async function readHeader(iterator: AsyncIterator<Uint8Array>) {
  let bytes: Uint8Array = new Uint8Array();
  for (;;) {
    const decoded = decodeBackupHeader(bytes);
    if (!decoded.ok) {
      const { kind, message } = decoded.error;
      throw new SealedError(kind === "invalid" ? "damaged" : kind, message);
    }
    if (decoded.value !== null) {
      const { value: header, length } = decoded.value;
      return { header, clear: bytes.subarray(0, length), rest: bytes.subarray(length) };
    }
    const { done, value } = await iterator.next();
    if (done === true) {
      throw new SealedError("not-a-backup", "The file is too short to be a backup: choose another one.");
    }
    bytes = Buffer.concat([bytes, value]);
  }
}

async function* continued(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (;;) {
    const { done, value } = await iterator.next();
    if (done === true) return;
    yield value;
  }
}

/** Pieces of exactly `size`, the last one up to that, and empty when there is nothing. */
async function* chunksOf(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isLast: boolean }> {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  for await (const piece of source) {
    let rest = piece;
    while (rest.length > 0) {
      // Only when another byte is there is a full chunk known not to be the last.
      if (waitingBytes === size) {
        yield { bytes: Buffer.concat(waiting), isLast: false };
        waiting = [];
        waitingBytes = 0;
      }
      const taken = rest.subarray(0, size - waitingBytes);
      // A copy: the source may use its buffer again.
      waiting.push(taken.slice());
      waitingBytes += taken.length;
      rest = rest.subarray(taken.length);
    }
  }
  yield { bytes: Buffer.concat(waiting), isLast: true };
}

/** On a thread of its own: half a second of work. */
function keyOf(passphrase: string, { logN, r, p, salt }: BackupHeader): Promise<Buffer> {
  const N = 2 ** logN;
  // scrypt's own need (RFC 7914 §2), and a little.
  const options: ScryptOptions = { N, r, p, maxmem: 128 * r * (N + p + 2) + 1_024 * 1_024 };
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  scrypt(passphrase.normalize("NFC"), salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)));
  return promise;
}
