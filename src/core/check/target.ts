import { ANY_HOST, parseHostPort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { TextError } from "../../wire/text-error.ts";

/** What a person asks to have checked. `protocol`: null = they did not say. */
export type CheckTarget =
  | { readonly kind: "port"; readonly host: string | null; readonly port: number; readonly protocol: Protocol | null }
  /** A forward, by its name or id. */
  | { readonly kind: "name"; readonly name: string };

const SUFFIX = /\/([a-zA-Z]*)$/;
const MAX_NAME_CHARS = 255;

/** `[HOST:]PORT[/udp|/tcp]`, `[v6]:PORT/udp`, or the name of a forward. */
export function parseCheckTarget(text: string): Result<CheckTarget, TextError> {
  const suffix = SUFFIX.exec(text);
  const place = suffix === null ? text : text.slice(0, suffix.index);
  if (suffix === null && !/^[0-9]+$|:/.test(text)) return nameOf(text);
  const protocol = suffix === null ? null : suffix[1]?.toLowerCase();
  if (protocol !== null && protocol !== "tcp" && protocol !== "udp") {
    return err({ message: 'Write tcp or udp after "/".', offset: place.length, length: text.length - place.length });
  }
  const parsed = parseHostPort(place, { defaultHost: ANY_HOST });
  if (!parsed.ok) return parsed;
  const { host, port } = parsed.value;
  return ok({ kind: "port", host: host === ANY_HOST ? null : host, port, protocol });
}

function nameOf(text: string): Result<CheckTarget, TextError> {
  if (text.trim() !== "" && text.length <= MAX_NAME_CHARS) return ok({ kind: "name", name: text });
  return err({
    message: "Write [HOST:]PORT, [HOST:]PORT/udp or the name of a forward.",
    offset: 0,
    length: text.length,
  });
}
