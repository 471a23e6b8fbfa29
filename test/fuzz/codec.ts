import { deepEquals } from "bun";
import type { Result } from "../../src/wire/result.ts";
import type { TextError } from "../../src/wire/text-error.ts";
import { hashOf, newRandom } from "./random.ts";

/** One parser under test. */
export interface FuzzCodec {
  readonly name: string;
  /** Well-formed inputs, and ones that broke other implementations: what mutation starts from. */
  readonly seeds: readonly Uint8Array[];
  /**
   * Runs the codec on one input and throws when an invariant does not hold. Deterministic: an input that failed fails
   * again. True = the input was taken, so that it is worth mutating further.
   */
  check(input: Uint8Array): boolean;
}

/** What a codec makes of an input may be this much larger, and no more. */
const GROWTH_FACTOR = 4;
const GROWTH_BYTES = 512;
const MAX_CHUNKS = 8;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function text(...seeds: string[]): Uint8Array[] {
  return seeds.map((seed) => encoder.encode(seed));
}

/** Every character is one byte: for protocols in ASCII with binary parts. */
export function latin1(...seeds: string[]): Uint8Array[] {
  return seeds.map((seed) => Uint8Array.from(Buffer.from(seed, "latin1")));
}

export function hex(...seeds: string[]): Uint8Array[] {
  return seeds.map((seed) => Uint8Array.from(Buffer.from(seed.replaceAll(" ", ""), "hex")));
}

export function must(holds: boolean, invariant: string): asserts holds {
  if (!holds) throw new Error(invariant);
}

export function mustEqual(actual: unknown, expected: unknown, invariant: string): void {
  if (deepEquals(actual, expected, true)) return;
  throw new Error(`${invariant}: ${Bun.inspect(actual)} is not ${Bun.inspect(expected)}`);
}

export function mustBeSmall(size: number, inputSize: number): void {
  must(size <= GROWTH_FACTOR * inputSize + GROWTH_BYTES, `output of ${size} for an input of ${inputSize}`);
}

/** The result is a value, or an error that says what it is. */
export function mustBeResult(result: Result<unknown, { readonly kind: string } | { readonly message: string }>): void {
  if (result.ok) return;
  const name = "kind" in result.error ? result.error.kind : result.error.message;
  must(typeof name === "string" && name !== "", "an error says what it is");
}

/** The input in a few pieces, some empty; where it is cut follows from its bytes. */
export function cut(input: Uint8Array): Uint8Array[] {
  const random = newRandom(hashOf(input));
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (let left = random.below(MAX_CHUNKS); left > 0; left--) {
    const to =
      from + random.below(random.below(4) === 0 ? input.length - from + 1 : Math.min(4, input.length - from + 1));
    chunks.push(input.slice(from, to));
    from = to;
  }
  chunks.push(input.slice(from));
  return chunks;
}

/** A codec of text that people write: parse, print, and errors with a place. */
export function textCodec<T>(codec: {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly parse: (text: string) => Result<T, TextError>;
  readonly print: (value: T) => string;
  readonly more?: (value: T, text: string) => void;
}): FuzzCodec {
  return {
    name: codec.name,
    seeds: codec.seeds,
    check(input) {
      const written = decoder.decode(input);
      const parsed = codec.parse(written);
      if (!parsed.ok) {
        const { message, offset, length } = parsed.error;
        must(offset >= 0 && length >= 0 && offset + length <= written.length, "the place of an error lies in the text");
        must(message.length > 0 && message.length < GROWTH_BYTES, "a message is one short sentence");
        return false;
      }
      const printed = codec.print(parsed.value);
      mustBeSmall(printed.length, input.length);
      const again = codec.parse(printed);
      mustEqual(again, parsed, `parsing ${JSON.stringify(printed)} again`);
      codec.more?.(parsed.value, written);
      return true;
    },
  };
}

/** A codec of one message at the start of the bytes; null = more bytes are needed. */
export function messageCodec<T>(codec: {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly decode: (
    bytes: Uint8Array,
  ) => Result<{ readonly value: T; readonly length: number } | null, { readonly kind: string }>;
  /** Null = this value cannot be encoded. */
  readonly encode: (value: T) => Uint8Array | null;
}): FuzzCodec {
  return {
    name: codec.name,
    seeds: codec.seeds,
    check(input) {
      const decoded = codec.decode(input);
      mustBeResult(decoded);
      if (!decoded.ok || decoded.value === null) return false;
      const { value, length } = decoded.value;
      must(length > 0 && length <= input.length, "the length lies in the input");
      mustEqual(codec.decode(input.slice(0, length)), decoded, "what follows the message does not matter");
      const shorter = codec.decode(input.subarray(0, length - 1));
      must(shorter.ok && shorter.value === null, "a message that lacks a byte needs more");
      const encoded = codec.encode(value);
      if (encoded === null) return true;
      mustBeSmall(encoded.length, length);
      const again = codec.decode(encoded);
      mustEqual(again, { ok: true, value: { value, length: encoded.length } }, "decoding what was encoded");
      return true;
    },
  };
}

/** An incremental parser: the outcome of feeding it must not depend on how the bytes were cut. */
export function streamCodec(codec: {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  /** Feeds a new parser; a plain value that tells all that came out, and whether the input was taken. */
  readonly feed: (chunks: readonly Uint8Array[]) => { readonly accepted: boolean; readonly outcome: unknown };
}): FuzzCodec {
  return {
    name: codec.name,
    seeds: codec.seeds,
    check(input) {
      const whole = codec.feed([input]);
      const pieces = codec.feed(cut(input));
      mustEqual(pieces, whole, "fed in pieces");
      return whole.accepted;
    },
  };
}
