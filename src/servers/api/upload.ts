import type { BodyLimits } from "./body.ts";
import type { Upload } from "./operation.ts";
import { Refusal, Status } from "./problem.ts";
import { BYTES_TYPE, PASSPHRASE_HEADER } from "./protocol.ts";

/** The rest of the request is not waited for. */
const CLOSE = { headers: { connection: "close" } } as const;
const MAX_PASSPHRASE_CHARS = 8_192;
/** Without a byte. */
const PIECE_DEADLINE_MS = 30_000;
/** From the first byte to the last: 256 MiB by a line of 10 Mbit/s take four minutes. */
const WHOLE_DEADLINE_MS = 900_000;

export interface UploadLimits extends Pick<BodyLimits, "after"> {
  /** The connection may be without a byte for a while from now on. */
  keepOpen(): void;
}

/** A file that a request carries, read as fast as it is taken, with the passphrase that opens it. */
export function uploadOf(request: Request, maxBytes: number, limits: UploadLimits): Upload {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== BYTES_TYPE) throw new Refusal(Status.unsupportedType, `Send the file as ${BYTES_TYPE}.`, CLOSE);
  const passphrase = decoded(request.headers.get(PASSPHRASE_HEADER) ?? "");
  if (passphrase === null) {
    throw new Refusal(Status.badRequest, `Send the passphrase in ${PASSPHRASE_HEADER}, in base64url.`, CLOSE);
  }
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  return { bytes: piecesOf(request, maxBytes, limits), passphrase };
}

async function* piecesOf(
  request: Request,
  maxBytes: number,
  { after, keepOpen }: UploadLimits,
): AsyncGenerator<Uint8Array, void, void> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  const late = Promise.withResolvers<"late">();
  const cancelWhole = after(WHOLE_DEADLINE_MS, () => late.resolve("late"));
  let bytes = 0;
  let done = false;
  try {
    for (;;) {
      keepOpen();
      const cancelPiece = after(PIECE_DEADLINE_MS, () => late.resolve("late"));
      const read = await Promise.race([reader.read(), late.promise]).finally(cancelPiece);
      if (read === "late") throw new Refusal(Status.requestTimeout, "Send the whole file sooner.", CLOSE);
      done = read.done;
      if (read.value === undefined) return;
      bytes += read.value.byteLength;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      yield read.value;
    }
  } finally {
    cancelWhole();
    if (!done) await reader.cancel();
  }
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(Status.tooLarge, `Send at most ${maxBytes / 1_024 / 1_024} MiB.`, CLOSE);
}

/** Null: it is none. */
function decoded(text: string): string | null {
  if (text === "" || text.length > MAX_PASSPHRASE_CHARS || !/^[\w-]+$/.test(text)) return null;
  const found = Buffer.from(text, "base64url").toString("utf8");
  return found === "" ? null : found;
}
