import { createHash, createPublicKey, verify } from "node:crypto";
import { resolve } from "node:path";
import { errorCode } from "../../os/errors.ts";
import { readText } from "../../os/files.ts";
import { boundedText } from "../../os/response-text.ts";
import { VERSION } from "../../os/version.ts";
import { decodeRelease, MAX_RELEASE_BYTES, type Release } from "../../wire/release.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { decodeSshEd25519Key, decodeSshSignature, signedBytes } from "../../wire/ssh-signature.ts";

/** What `ssh-keygen -Y sign -n` was given, so that a signature of something else is not taken for a release's. */
export const SIGNATURE_NAMESPACE = "hatchway-release";
/** Beside what it signs. */
export const SIGNATURE_SUFFIX = ".sig";
const FETCH_MS = 15_000;
const MAX_REDIRECTS = 5;

export interface UpgradeSource {
  /** A path, or an https URL: of a release.json. */
  readonly manifest: string;
  /** `ssh-ed25519 AAAA…`: who must have signed it; null = nobody must. */
  readonly key: string | null;
}

/** `refused`: it is there, and cannot be trusted. */
export interface UpgradeFailure {
  readonly kind: "usage" | "refused" | "unreachable";
  readonly message: string;
}

export interface Tools {
  readonly signal: AbortSignal;
  /** The runtime's own one, but in tests. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** The release that the source has, when it is to be trusted. Nothing else is asked, and nothing is sent. */
export async function findRelease(source: UpgradeSource, tools: Tools): Promise<Result<Release, UpgradeFailure>> {
  const { manifest, key } = source;
  const text = await textOf(manifest, tools);
  if (!text.ok) return text;
  if (key !== null) {
    const signature = await textOf(signatureOf(manifest), tools);
    if (!signature.ok) return signature;
    const wrong = signatureProblem(text.value, signature.value, key);
    if (wrong !== null) return refused(`${manifest} ${wrong}: do not install what it names.`);
  }
  const release = decodeRelease(text.value);
  return release.ok
    ? release
    : refused(`The manifest ${manifest} ${release.error.message}: see that it is a release.json.`);
}

/** Continues "The file …"; null = this key signed the text. */
function signatureProblem(text: string, signature: string, key: string): string | null {
  const known = decodeSshEd25519Key(key);
  if (known === null) return "cannot be checked, because the key is none";
  const decoded = decodeSshSignature(signature);
  if (!decoded.ok) return `has a signature of another form than ssh-keygen's of an Ed25519 key`;
  const { publicKey, namespace, hash } = decoded.value;
  if (namespace !== SIGNATURE_NAMESPACE) return "has a signature that is meant for something else";
  if (!Buffer.from(publicKey).equals(known)) return "is signed by another key than the one you trust";
  const digest = createHash(hash).update(text).digest();
  const x = Buffer.from(known).toString("base64url");
  const verifier = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const isRight = verify(null, signedBytes(decoded.value, digest), verifier, decoded.value.signature);
  return isRight ? null : "is not what was signed";
}

/** Where the signature of a file is: a URL's question stays behind its path. */
function signatureOf(place: string): string {
  if (!isUrl(place)) return `${place}${SIGNATURE_SUFFIX}`;
  const url = URL.parse(place);
  if (url !== null) url.pathname += SIGNATURE_SUFFIX;
  return url?.href ?? place;
}

/** A path made absolute; a URL as it is. */
export function placeOf(manifest: string, base: string): string {
  return isUrl(manifest) ? manifest : resolve(base, manifest);
}

function isUrl(place: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(place);
}

async function textOf(place: string, tools: Tools): Promise<Result<string, UpgradeFailure>> {
  if (isUrl(place)) return fetched(place, tools);
  const read = await readText(place);
  if (!read.ok) return err({ kind: "usage", message: read.error.message });
  return read.value === null ? err({ kind: "usage", message: `There is no file ${place}.` }) : ok(read.value);
}

async function fetched(url: string, { fetch, signal }: Tools): Promise<Result<string, UpgradeFailure>> {
  const unreachable = (why: string) => err({ kind: "unreachable", message: `${url} was not read: ${why}.` } as const);
  const ends = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]);
  let at = url;
  try {
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      // On the way somebody could say that there is nothing newer.
      if (URL.parse(at)?.protocol !== "https:") {
        if (at !== url) return unreachable("its server sends to a place without https");
        return err({ kind: "usage", message: `${url} is no https URL: give one, or the path of a file.` });
      }
      const response = await fetch(at, {
        headers: { "user-agent": "hatchway" },
        redirect: "manual",
        signal: ends,
      });
      const location = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && location !== null) {
        await response.body?.cancel();
        at = URL.parse(location, at)?.href ?? location;
        continue;
      }
      if (!response.ok) return unreachable(`its server answered with status ${response.status}`);
      const text = await boundedText(response, MAX_RELEASE_BYTES);
      return text === null ? refused(`${url} is too big to be a manifest.`) : ok(text);
    }
    return unreachable("its server sends from place to place");
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    return unreachable(isLate ? "no answer in time" : (errorCode(error) ?? "no connection"));
  }
}

function refused(message: string): { readonly ok: false; readonly error: UpgradeFailure } {
  return err({ kind: "refused", message });
}

/** Of a release against this program. */
export function comparedWithOwn({ version }: Release): "newer" | "current" | "older" {
  const order = Bun.semver.order(version, VERSION);
  if (order === 0) return "current";
  return order > 0 ? "newer" : "older";
}

/** The name that releases have for this machine: `linux-x64`. */
export function ownTarget(platform: string = process.platform, arch: string = process.arch): string {
  const systems: Readonly<Record<string, string>> = { darwin: "macos", win32: "windows" };
  return `${systems[platform] ?? platform}-${arch}`;
}
