import type { Result } from "./result.ts";

/** Why bytes are not the SOCKS message that was due. */
export type SocksError =
  | { readonly kind: "version"; readonly version: number }
  | { readonly kind: "credentials-version"; readonly version: number }
  | { readonly kind: "command"; readonly command: number }
  | { readonly kind: "address-type"; readonly addressType: number }
  /** The destination is neither an address nor a host name. */
  | { readonly kind: "host" }
  /** User name or password is not UTF-8. */
  | { readonly kind: "text" }
  /** A field is longer than the protocol, or this parser, lets it be. */
  | { readonly kind: "too-long" }
  /** A datagram ends inside its header. */
  | { readonly kind: "truncated" }
  /** A UDP request with FRAG ≠ 0: fragments are dropped (RFC 1928 §7 allows it). */
  | { readonly kind: "fragment"; readonly fragment: number };

/** A message at the start of the bytes, and how many bytes it takes. */
export interface Decoded<T> {
  readonly value: T;
  readonly length: number;
}

/** Null = the message may go on: more bytes are needed. */
export type DecodeStep<T> = Result<Decoded<T> | null, SocksError>;
