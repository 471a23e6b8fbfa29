import { SQLiteError } from "bun:sqlite";

/**
 * locked: another program holds the file. damaged: it is no database, or a broken one. newer: a newer program made it.
 * cannot-open: no such directory, or not allowed.
 */
export type StoreFailureKind =
  | "disk-full"
  | "locked"
  | "damaged"
  | "newer"
  | "cannot-open"
  | "read-only"
  | "io"
  | "unexpected";

/**
 * The storage does not work: the one exception of the store. Every method may reject with it, and what it asked for was
 * then not stored. It is an exception and not a Result because no caller can do anything about it but tell: the API
 * catches it in one place. What a caller can decide on (a name is taken, a code is not valid) is a Result.
 */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  constructor(
    readonly kind: StoreFailureKind,
    /** One sentence that says what to do. */
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * Does what is nice to have written, and not worth refusing anything for: that somebody was seen. False: the store takes
 * nothing now; whoever only reads is served all the same.
 */
export async function tryToStore(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (cause) {
    if (cause instanceof StoreFailure) return false;
    throw cause;
  }
}

/** Primary result codes of SQLite (sqlite.org/rescode.html); extended codes carry more in the higher bits. */
const SQLITE = {
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  CONSTRAINT: 19,
  AUTH: 23,
  NOTADB: 26,
} as const;
const PRIMARY_CODE_MASK = 0xff;

/** Classifies what SQLite threw, once, where it enters. A broken constraint stays as it is: that is a fault of ours. */
export function classifyFailure(cause: unknown, path: string): unknown {
  if (!(cause instanceof SQLiteError)) return cause;
  switch (cause.errno & PRIMARY_CODE_MASK) {
    case SQLITE.FULL:
      return new StoreFailure("disk-full", `The disk that holds ${path} is full: make room and try again.`, { cause });
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return new StoreFailure("locked", `Another program holds ${path} locked: end it and try again.`, { cause });
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB: {
      const message = `${path} is damaged or not a Hatchway database: put it back from a backup, or move it away to start anew.`;
      return new StoreFailure("damaged", message, { cause });
    }
    case SQLITE.READONLY:
      return new StoreFailure("read-only", `${path} cannot be written: check its owner and its disk.`, { cause });
    case SQLITE.PERM:
    case SQLITE.AUTH:
    case SQLITE.CANTOPEN: {
      const message = `Cannot open ${path}: check that its directory exists and that this user may write there.`;
      return new StoreFailure("cannot-open", message, { cause });
    }
    case SQLITE.IOERR:
      return new StoreFailure("io", `Reading or writing ${path} failed: check its disk.`, { cause });
    case SQLITE.CONSTRAINT:
      return cause;
    default: {
      const message = `The database ${path} failed: ${cause.message}; please report this.`;
      return new StoreFailure("unexpected", message, { cause });
    }
  }
}
