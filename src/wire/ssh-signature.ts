import { err, ok, type Result } from "./result.ts";

/**
 * The signature of a file as `ssh-keygen -Y sign` writes it (OpenSSH's PROTOCOL.sshsig), by an Ed25519 key: every system
 * has the program that makes and checks it. Other kinds of keys are refused.
 */
export interface SshSignature {
  /** Who signed; 32 bytes. */
  readonly publicKey: Uint8Array;
  /** What the signature is for, so that one for something else is not taken for it. */
  readonly namespace: string;
  readonly hash: "sha256" | "sha512";
  /** Over `signedBytes`; 64 bytes. */
  readonly signature: Uint8Array;
}

export interface SshSignatureError {
  readonly kind: "form" | "key-type" | "version" | "hash";
}

const MAGIC = "SSHSIG";
const VERSION = 1;
const KEY_TYPE = "ssh-ed25519";
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const LENGTH_BYTES = 4;
const BEGIN = "-----BEGIN SSH SIGNATURE-----";
const END = "-----END SSH SIGNATURE-----";
/** As ssh-keygen breaks its lines. */
const LINE_CHARS = 70;
/** An Ed25519 signature has some 300. */
const MAX_CHARS = 4_096;

const HASHES = ["sha256", "sha512"] as const;

export function decodeSshSignature(text: string): Result<SshSignature, SshSignatureError> {
  const malformed = err({ kind: "form" } as const);
  const armour = text.trim();
  if (armour.length > MAX_CHARS || !armour.startsWith(BEGIN) || !armour.endsWith(END)) return malformed;
  const bytes = fromBase64(armour.slice(BEGIN.length, armour.length - END.length));
  if (bytes === null) return malformed;
  const reader = new Reader(bytes);
  if (reader.ascii(MAGIC.length) !== MAGIC) return malformed;
  const version = reader.uint32();
  if (version === null) return malformed;
  if (version !== VERSION) return err({ kind: "version" });
  const key = reader.string();
  const namespace = reader.text();
  const reserved = reader.string();
  const hash = reader.text();
  const signature = reader.string();
  if (key === null || !namespace || reserved?.length !== 0 || hash === null || signature === null || !reader.isAtEnd) {
    return malformed;
  }
  const known = HASHES.find((name) => name === hash);
  if (known === undefined) return err({ kind: "hash" });
  const publicKey = typed(key, PUBLIC_KEY_BYTES);
  const signed = typed(signature, SIGNATURE_BYTES);
  if (!publicKey.ok) return publicKey;
  if (!signed.ok) return signed;
  return ok({ publicKey: publicKey.value, namespace, hash: known, signature: signed.value });
}

export function encodeSshSignature({ publicKey, namespace, hash, signature }: SshSignature): string {
  const bytes = Uint8Array.from([
    ...ascii(MAGIC),
    ...uint32(VERSION),
    ...string([...string(ascii(KEY_TYPE)), ...string(publicKey)]),
    ...string(ascii(namespace)),
    ...string([]),
    ...string(ascii(hash)),
    ...string([...string(ascii(KEY_TYPE)), ...string(signature)]),
  ]);
  const lines = bytes.toBase64().match(new RegExp(`.{1,${LINE_CHARS}}`, "g")) ?? [];
  return `${[BEGIN, ...lines, END].join("\n")}\n`;
}

/** What the key signs of a file whose digest, by `hash`, is given. */
export function signedBytes(
  { namespace, hash }: Pick<SshSignature, "namespace" | "hash">,
  digest: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...ascii(MAGIC),
    ...string(ascii(namespace)),
    ...string([]),
    ...string(ascii(hash)),
    ...string(digest),
  ]);
}

/** The 32 bytes of a line such as `ssh-ed25519 AAAA… comment`, as a .pub file has it; null when it is none. */
export function decodeSshEd25519Key(line: string): Uint8Array | null {
  const [type, encoded = ""] = line.trim().split(/\s+/, 2);
  if (type !== KEY_TYPE || encoded.length > MAX_CHARS) return null;
  const bytes = fromBase64(encoded);
  const key = bytes === null ? null : typed(bytes, PUBLIC_KEY_BYTES);
  return key?.ok === true ? key.value : null;
}

export function encodeSshEd25519Key(key: Uint8Array): string {
  return `${KEY_TYPE} ${Uint8Array.from([...string(ascii(KEY_TYPE)), ...string(key)]).toBase64()}`;
}

/** A key or a signature: its type, then its bytes. */
function typed(bytes: Uint8Array, length: number): Result<Uint8Array, SshSignatureError> {
  const reader = new Reader(bytes);
  const type = reader.text();
  if (type === null) return err({ kind: "form" });
  if (type !== KEY_TYPE) return err({ kind: "key-type" });
  const value = reader.string();
  return value?.length === length && reader.isAtEnd ? ok(value) : err({ kind: "form" });
}

/** Null once the bytes do not have what is asked. */
class Reader {
  #at = 0;
  constructor(readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length;
  }

  uint32(): number | null {
    const bytes = this.#take(LENGTH_BYTES);
    return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }

  string(): Uint8Array | null {
    const length = this.uint32();
    return length === null ? null : this.#take(length);
  }

  text(): string | null {
    const length = this.uint32();
    return length === null ? null : this.ascii(length);
  }

  ascii(length: number): string | null {
    const bytes = this.#take(length);
    if (bytes === null || bytes.some((byte) => byte < 0x20 || byte > 0x7e)) return null;
    return String.fromCharCode(...bytes);
  }

  #take(length: number): Uint8Array | null {
    if (length > this.bytes.length - this.#at) return null;
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function uint32(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

function string(bytes: Uint8Array | readonly number[]): number[] {
  return [...uint32(bytes.length), ...bytes];
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return null; // a SyntaxError: not base64
  }
}
