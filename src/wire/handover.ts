import { err, ok, type Result } from "./result.ts";
import { z } from "./zod.ts";

/**
 * What two processes of one relay say to each other while one takes over from the other: a JSON object a line, over a socket
 * in the data directory. Unknown keys are ignored, so that a newer program can add some; an unknown type ends it.
 */
export const HANDOVER_VERSION = 1;

export const MAX_REFUSAL_CHARS = 2_000;
const text = z.string().max(255);
const port = z.int().min(1).max(65_535);

/** The new process is there. */
const hello = z.object({ t: z.literal("hello"), v: z.int(), pid: z.int().positive(), version: text });
/** The old one holds still: the data directory and the database are the new one's, until it goes away. */
const yours = z.object({
  t: z.literal("yours"),
  v: z.int(),
  version: text,
  /** Where it listens, and lets the other listen beside it. */
  agentPort: port,
  ports: z
    .array(z.object({ protocol: z.enum(["tcp", "udp"]), first: port, last: port }))
    .max(131_072)
    .readonly(),
  /** The devices whose agents are connected to it, by their ids; and those that are by SSH, which a version before left out. */
  devices: z.array(text).max(100_000).readonly(),
  bySsh: z.array(text).max(100_000).readonly().exactOptional(),
  /** Among `ports` are those of console, check page, metrics and STUN, which a version before did not lend. */
  servers: z.literal(true).exactOptional(),
});
/** Of the old one: it cannot be handed over now. Of the new one: why it cannot take over. One sentence. */
const refused = z.object({ t: z.literal("refused"), message: z.string().max(MAX_REFUSAL_CHARS) });
/** The new process is the relay from now on. */
const serving = z.object({ t: z.literal("serving") });
/**
 * It is ready to open a console, check page, metrics and STUN, whose ports are to be free for it. With `beside`: they were lent, and it
 * has opened them beside the old one's.
 */
const free = z.object({ t: z.literal("free"), beside: z.literal(true).exactOptional() });
/** The old one's console, check page, metrics and STUN have freed their ports, or need them no more. */
const freed = z.object({ t: z.literal("freed") });
/** The new process serves the visitors of this forward. */
const opened = z.object({ t: z.literal("opened"), device: text, id: text });
/** This forward is no more: its visitors are cut. */
const closed = z.object({ t: z.literal("closed"), device: text, id: text });
/** The device was revoked. */
const cut = z.object({ t: z.literal("cut"), device: text });
/** The new process serves all that there is to serve. */
const done = z.object({ t: z.literal("done") });
/** The old one listens nowhere any more; its streams go on. */
const released = z.object({ t: z.literal("released") });
/** The new process ends: the old one ends within the same time. */
const stop = z.object({ t: z.literal("stop"), drainMs: z.number().nonnegative() });

const messageSchema = z.discriminatedUnion("t", [
  hello,
  yours,
  refused,
  serving,
  free,
  freed,
  opened,
  closed,
  cut,
  done,
  released,
  stop,
]);
export type HandoverMessage = z.infer<typeof messageSchema>;
export type HandoverOf<T extends HandoverMessage["t"]> = Extract<HandoverMessage, { t: T }>;

/** A line is at most this long: 131,072 runs of ports take 7 MB, which no relay has. */
export const MAX_HANDOVER_LINE_BYTES = 16 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** With its line end. */
export function encodeHandover(message: HandoverMessage): Uint8Array {
  return encoder.encode(`${JSON.stringify(message)}\n`);
}

/** A line without its end. */
export function decodeHandover(line: Uint8Array): Result<HandoverMessage, { readonly message: string }> {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(line));
  } catch (error) {
    return err({ message: error instanceof Error ? error.message : "not JSON" });
  }
  const parsed = messageSchema.safeParse(json);
  return parsed.success ? ok(parsed.data) : err({ message: z.prettifyError(parsed.error) });
}
