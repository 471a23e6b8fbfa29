import type { After } from "../../os/timers.ts";
import { Refusal, Status } from "./problem.ts";
import { JSON_TYPE } from "./protocol.ts";

/** The rest of the request is not waited for. */
const CLOSE = { headers: { connection: "close" } } as const;

export interface BodyLimits {
  readonly maxBytes: number;
  /** From the head to the body's last byte. */
  readonly deadlineMs: number;
  readonly after: After;
}

/** The request's body, if it is said to be JSON and as we take it. */
export async function readJsonBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== JSON_TYPE) throw new Refusal(Status.unsupportedType, `Send the body as ${JSON_TYPE}.`, CLOSE);
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new Refusal(Status.unsupportedType, "Send the body without Content-Encoding.", CLOSE);
  }
  return await readBytes(request, limits);
}

/**
 * Takes what is left of a small body: a connection that is closed on bytes nobody read is reset, and the answer can be lost
 * with it (RFC 9112 section 9.6). A large one is not waited for.
 */
export async function takeRest(request: Request, limits: BodyLimits): Promise<void> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (request.body === null || request.bodyUsed || !(length > 0 && length <= limits.maxBytes)) return;
  try {
    await readBytes(request, limits);
  } catch (error) {
    // It was refused already: that is the answer, and not that the rest of it came late or never.
    if (!(error instanceof Refusal) && !request.signal.aborted) throw error;
  }
}

async function readBytes(request: Request, { maxBytes, deadlineMs, after }: BodyLimits): Promise<Uint8Array> {
  const tooLarge = () => new Refusal(Status.tooLarge, `Send at most ${maxBytes / 1_024} KiB.`, CLOSE);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const late = Promise.withResolvers<"late">();
  const cancel = after(deadlineMs, () => late.resolve("late"));
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let done = false;
  try {
    while (!done) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === "late") throw new Refusal(Status.requestTimeout, "Send the whole request sooner.", CLOSE);
      done = read.done;
      bytes += read.value?.byteLength ?? 0;
      if (bytes > maxBytes) throw tooLarge();
      if (read.value !== undefined) chunks.push(read.value);
    }
  } finally {
    cancel();
    if (!done) await reader.cancel();
  }
  return Buffer.concat(chunks);
}
