import { parseAddress } from "./address.ts";
import { err, ok, type Result } from "./result.ts";
import { z } from "./zod.ts";

/**
 * What a process that carries SSH connections says to the process that is the relay now, and hears from it: a JSON object each,
 * beside its streams (decision 0042). A client has a number, of the process that carries it. Unknown keys are
 * ignored, so that a newer program can add some; an unknown type ends it.
 */
export const CARRIED_VERSION = 1;

/** As many as a connection may have of each. */
const MOST_FORWARDS = 256;
const MOST_SOCKETS = 32;
/** Who sends more would end the way for all: longer names are refused before. */
export const MAX_TEXT_CHARS = 255;
export const MAX_WHY_CHARS = 1_000;
export const MAX_REFUSAL_CHARS = 2_000;
const text = z.string().max(MAX_TEXT_CHARS);
const port = z.int().min(1).max(65_535);
const endpoint = z.object({
  address: z.string().refine((address) => parseAddress(address).ok, "no IP address"),
  port: z.int().min(0).max(65_535),
});
const client = z.int().min(1).max(0xffff_ffff);
const request = z.int().nonnegative();

// ——— to the relay ———

const hello = z.object({ t: z.literal("hello"), v: z.int() });
/** A client that proved who it is, with what is open for it. */
const here = z.object({
  t: z.literal("here"),
  client,
  device: text,
  /** The key that it proved, by its fingerprint; null = no key of `ssh-key add`. */
  key: text.nullable(),
  visitor: endpoint,
  entry: endpoint,
  forwards: z
    .array(z.object({ id: text, port, bind: text }))
    .max(MOST_FORWARDS)
    .readonly(),
  sockets: z.array(text).max(MOST_SOCKETS).readonly(),
});
/** Those were all: who is named after this came later. */
const all = z.object({ t: z.literal("all") });
/** `-R`; `port` 0 = any. */
const forward = z.object({ t: z.literal("forward"), client, request, bind: text, port: z.int().min(0).max(65_535) });
const cancel = z.object({ t: z.literal("cancel"), client, request, bind: text, port: z.int().min(0).max(65_535) });
const socket = z.object({ t: z.literal("socket"), client, request, path: text });
const cancelSocket = z.object({ t: z.literal("cancelSocket"), client, request, path: text });
/** What was counted for it there, of a relay that says so. */
const count = z.object({ t: z.literal("count"), client });
/** Its connection ended. */
const gone = z.object({ t: z.literal("gone"), client, why: z.string().max(MAX_WHY_CHARS) });

// ——— from the relay ———

/** All that was open for it is open there. `counts`: it answers `count`, which a program of before it does not know. */
const ready = z.object({ t: z.literal("ready"), client, counts: z.boolean().optional() });
const total = z.int().nonnegative();
/** Of all forwards of the client, since they are open there. */
const counted = z.object({
  t: z.literal("counted"),
  client,
  visitorsTotal: total,
  visitorsOpen: total,
  bytesIn: total,
  bytesOut: total,
});
const opened = z.object({ t: z.literal("opened"), client, request, id: text, port });
const done = z.object({ t: z.literal("done"), client, request });
const refused = z.object({ t: z.literal("refused"), client, request, message: z.string().max(MAX_REFUSAL_CHARS) });
/** Another connection of the device has the port now. */
const lost = z.object({ t: z.literal("lost"), client, port });
/** Its connection is to end. */
const end = z.object({ t: z.literal("end"), client, why: z.string().max(MAX_WHY_CHARS) });
/** Whoever was connected to the process before is connected to this one, or away: what a client dials is dialled here from now on. */
const whole = z.object({ t: z.literal("whole") });
/** Another process is the relay: what is new goes there. */
const moved = z.object({ t: z.literal("moved") });

const messageSchema = z.discriminatedUnion("t", [
  hello,
  here,
  all,
  forward,
  cancel,
  socket,
  cancelSocket,
  count,
  gone,
  ready,
  counted,
  opened,
  done,
  refused,
  lost,
  end,
  whole,
  moved,
]);
export type CarriedMessage = z.infer<typeof messageSchema>;
export type CarriedOf<T extends CarriedMessage["t"]> = Extract<CarriedMessage, { t: T }>;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeCarried(message: CarriedMessage): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

export function decodeCarried(bytes: Uint8Array): Result<CarriedMessage, { readonly message: string }> {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    return err({ message: error instanceof Error ? error.message : "not JSON" });
  }
  const parsed = messageSchema.safeParse(json);
  return parsed.success ? ok(parsed.data) : err({ message: z.prettifyError(parsed.error) });
}
