import { err, ok, type Result } from "../../wire/result.ts";
import type { TextError } from "../../wire/text-error.ts";

/** One datagram that no path splits (RFC 8085 §3.2, with IPv6's least MTU of 1,280 bytes and its headers). */
export const MAX_PAYLOAD_BYTES = 1_200;
const HEX_PREFIX = "hex:";
const ESCAPES: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, "0": 0x00, "\\": 0x5c };
const FORM = "Write a text, in which \\r \\n \\t \\0 \\\\ and \\xFF stand for bytes, or hex: and hexadecimal digits.";

/** What a probe sends: `hex:fffe0107`, or a text with escapes, in UTF-8. From 1 to MAX_PAYLOAD_BYTES bytes. */
export function parsePayload(text: string): Result<Uint8Array, TextError> {
  const parsed = text.startsWith(HEX_PREFIX) ? parseHex(text) : parseText(text);
  if (!parsed.ok || (parsed.value.length > 0 && parsed.value.length <= MAX_PAYLOAD_BYTES)) return parsed;
  const message = parsed.value.length === 0 ? FORM : `A payload has at most ${MAX_PAYLOAD_BYTES} bytes.`;
  return err({ message, offset: 0, length: text.length });
}

function parseHex(text: string): Result<Uint8Array, TextError> {
  const digits = text.slice(HEX_PREFIX.length).replaceAll(/[\s:]/g, "");
  const wrong = /[^0-9a-f]/i.exec(text.slice(HEX_PREFIX.length).replaceAll(/[\s:]/g, "0"));
  if (wrong !== null) {
    return err({ message: "This is no hexadecimal digit.", offset: HEX_PREFIX.length + wrong.index, length: 1 });
  }
  if (digits.length % 2 === 1) {
    const message = "A byte is two hexadecimal digits: one is missing.";
    return err({ message, offset: text.length - 1, length: 1 });
  }
  return ok(Uint8Array.fromHex(digits));
}

function parseText(text: string): Result<Uint8Array, TextError> {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let at = 0; at < text.length; ) {
    if (text[at] !== "\\") {
      const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
      bytes.push(...encoder.encode(character));
      at += character.length;
      continue;
    }
    const code = /^\\x([0-9a-f]{2})/i.exec(text.slice(at, at + 4))?.[1];
    const byte = ESCAPES[text[at + 1] ?? ""];
    if (code !== undefined) bytes.push(Number.parseInt(code, 16));
    else if (byte !== undefined) bytes.push(byte);
    else return err({ message: FORM, offset: at, length: Math.min(2, text.length - at) });
    at += code === undefined ? 2 : 4;
  }
  return ok(Uint8Array.from(bytes));
}
