import { resolve } from "node:path";
import { readPrivateText } from "../../os/files.ts";
import { ControlError } from "../../servers/local/error.ts";
import { classifyAddress, parseAddress } from "../../wire/address.ts";
import type { Context, GlobalOptions } from "../context.ts";

/** How the relay's console is known to be the one that is meant. */
export type RemoteTrust =
  /** By the CAs that everybody trusts, or by those in this PEM alone; and by its name. */
  | { readonly kind: "verified"; readonly ca: string | null }
  /** By its key, whoever signed it and whatever it is called: SHA-256 of the SubjectPublicKeyInfo. */
  | { readonly kind: "pinned"; readonly fingerprint: Uint8Array };

/** A relay elsewhere, as --remote and the options beside it name it. */
export interface Remote {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string;
  readonly trust: RemoteTrust;
}

const STDIN = "-";
const VISIBLE = /^[\x21-\x7e]{1,1024}$/;
const FINGERPRINT_BYTES = 32;

/** Reads --remote, --token-file, --ca and --fingerprint. Throws ControlError `usage`; no message holds a part of the token. */
export async function readRemote({ io, options }: Context): Promise<Remote> {
  const url = remoteUrl(options.remote ?? "");
  const trust = await trustOf(options);
  if (options.tokenFile === undefined) {
    throw usage("--remote needs --token-file FILE: the console makes tokens, under People and tokens.");
  }
  const text = options.tokenFile === STDIN ? await io.stdin() : await readToken(options.tokenFile);
  const token = text.trim();
  if (!VISIBLE.test(token)) throw usage("--token-file holds no token: it is one word, as the console showed it once.");
  return { url, token, trust };
}

/** `https://relay.example:8443`; plain HTTP to this machine alone, because the token would be there to read. */
function remoteUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    const hint = URL.canParse(`https://${text}`) ? `https://${text}` : "https://relay.example:8443";
    throw usage(`--remote is the address of the relay's console, such as ${hint}.`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== "") {
    throw usage(`--remote has no path and no password: write ${url.origin}.`);
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw usage(
      "--remote by plain HTTP would show the token to everybody on the way: use https, or a tunnel to the console on its loopback address.",
    );
  }
  return url.origin;
}

function isLoopback(hostname: string): boolean {
  if (hostname === "localhost") return true;
  const address = parseAddress(hostname.replace(/^\[|\]$/g, ""));
  return address.ok && classifyAddress(address.value) === "loopback";
}

async function readToken(file: string): Promise<string> {
  const read = await readPrivateText(resolve(file));
  if (!read.ok) throw usage(read.error.message, read.error.cause);
  if (read.value === null) throw usage(`There is no file ${file} with a token.`);
  return read.value;
}

async function trustOf({ ca, fingerprint }: GlobalOptions): Promise<RemoteTrust> {
  if (ca !== undefined && fingerprint !== undefined) throw usage("Give --ca or --fingerprint, and not both.");
  if (fingerprint !== undefined) return { kind: "pinned", fingerprint: fingerprintOf(fingerprint) };
  if (ca === undefined) return { kind: "verified", ca: null };
  const { readPem } = await import("../../roles/certificates.ts");
  return { kind: "verified", ca: await readPem(resolve(ca)) };
}

/** As `hatchway serve` and `status` show it, with colons or without. */
function fingerprintOf(text: string): Uint8Array {
  const hex = text.replace(/^sha-?256[: ]/i, "").replaceAll(":", "");
  if (/^[0-9a-f]*$/i.test(hex) && hex.length === 2 * FINGERPRINT_BYTES) return new Uint8Array(Buffer.from(hex, "hex"));
  throw usage("--fingerprint is 64 hexadecimal digits: `hatchway status` shows them on the relay's machine.");
}

function usage(message: string, cause?: unknown): ControlError {
  return new ControlError("usage", message, cause === undefined ? undefined : { cause });
}
