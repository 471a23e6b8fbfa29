import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testAuthority } from "../../../test/fixtures/certificates.ts";
import { VERSION } from "../../os/version.ts";
import { encodeRelease, type Release } from "../../wire/release.ts";
import { encodeSshEd25519Key, encodeSshSignature, signedBytes } from "../../wire/ssh-signature.ts";
import { comparedWithOwn, findRelease, ownTarget, placeOf, SIGNATURE_NAMESPACE, type Tools } from "./check.ts";

const FILE = { bytes: 1, sha256: "0a".repeat(32) };
const RELEASE: Release = {
  v: 1,
  name: "hatchway",
  version: "9.0.0",
  bun: "1.4.5",
  files: [{ ...FILE, name: "hatchway-9.0.0-linux-x64", target: "linux-x64" }],
  sbom: { ...FILE, name: "hatchway-9.0.0.cdx.json" },
};
const TEXT = encodeRelease(RELEASE);
const root = mkdtempSync(join(tmpdir(), "hatchway-upgrade-"));
const signal = new AbortController().signal;
const tools: Tools = { fetch, signal };
const OWN = generateKeyPairSync("ed25519");
const OTHER = generateKeyPairSync("ed25519");

function rawKey({ publicKey }: { publicKey: KeyObject }): Uint8Array {
  const { x = "" } = publicKey.export({ format: "jwk" });
  return Uint8Array.fromBase64(x, { alphabet: "base64url" });
}
const KEY = encodeSshEd25519Key(rawKey(OWN));

function signatureOf(text: string, by = OWN, namespace = SIGNATURE_NAMESPACE, says = by): string {
  const about = { namespace, hash: "sha512" } as const;
  const bytes = signedBytes(about, createHash("sha512").update(text).digest());
  return encodeSshSignature({ ...about, publicKey: rawKey(says), signature: sign(null, bytes, by.privateKey) });
}

/** A manifest in a folder of its own, with its signature. */
function written(text: string, signature: string | null = null): string {
  const path = join(mkdtempSync(join(root, "release-")), "release.json");
  writeFileSync(path, text);
  if (signature !== null) writeFileSync(`${path}.sig`, signature);
  return path;
}
const problem = async (manifest: string, key: string | null = null, with_ = tools) => {
  const found = await findRelease({ manifest, key }, with_);
  return found.ok ? "none" : `${found.error.kind}: ${found.error.message.replace(manifest, "IT")}`;
};

let server: ReturnType<typeof Bun.serve>;
let ca: string;
beforeAll(async () => {
  const authority = await testAuthority("Downloads");
  ca = authority.certificatePem;
  const { certificatePem, keyPem } = await authority.issue({ names: ["127.0.0.1"] });
  const texts: Record<string, string> = {
    "/release.json": TEXT,
    "/release.json.sig": signatureOf(TEXT),
    "/big": " ".repeat(1_000_000),
  };
  const redirects: Record<string, string> = {
    "/moved": "/release.json",
    "/round": "/round",
    "/plain": "http://127.0.0.1:1/",
  };
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: certificatePem, key: keyPem },
    fetch(request) {
      const { pathname } = new URL(request.url);
      const location = redirects[pathname];
      if (location !== undefined) return new Response(null, { status: 302, headers: { location } });
      const text = texts[pathname];
      return text === undefined ? new Response("", { status: 404 }) : new Response(text);
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(root, { recursive: true, force: true });
});

describe("a manifest in a file", () => {
  test("is the release, when nobody must have signed it", async () => {
    expect(await findRelease({ manifest: written(TEXT), key: null }, tools)).toEqual({ ok: true, value: RELEASE });
  });

  test("is the release, when the right key signed it", async () => {
    const manifest = written(TEXT, signatureOf(TEXT));
    expect(await findRelease({ manifest, key: KEY }, tools)).toEqual({ ok: true, value: RELEASE });
  });

  test.each([
    ["another text", signatureOf(`${TEXT} `), "is not what was signed"],
    ["another key", signatureOf(TEXT, OTHER), "is signed by another key than the one you trust"],
    ["another key that says it is the right one", signatureOf(TEXT, OTHER, undefined, OWN), "is not what was signed"],
    ["another purpose", signatureOf(TEXT, OWN, "file"), "has a signature that is meant for something else"],
    ["no signature", "nothing", "has a signature of another form than ssh-keygen's of an Ed25519 key"],
  ])("a signature of %s is refused", async (_, signature, why) => {
    expect(await problem(written(TEXT, signature), KEY)).toBe(`refused: IT ${why}: do not install what it names.`);
  });

  test("without its signature it is not taken", async () => {
    expect(await problem(written(TEXT), KEY)).toBe("usage: There is no file IT.sig.");
  });

  test.each([
    [
      "what is no manifest",
      written("{}"),
      "refused: The manifest IT is not one of Hatchway's at v: see that it is a release.json.",
    ],
    ["no file", join(root, "none"), "usage: There is no file IT."],
  ])("%s is told", async (_, path, said) => {
    expect(await problem(path)).toBe(said);
  });
});

describe("a manifest at a URL", () => {
  const trusting: Tools = {
    signal,
    fetch: (url: string, init: RequestInit) => fetch(url, { ...init, tls: { ca } }),
  };
  const at = (path: string) => `https://127.0.0.1:${server.port}${path}`;

  test.each(["/release.json", "/moved"])("%s is read", async (path) => {
    expect(await findRelease({ manifest: at(path), key: null }, trusting)).toEqual({ ok: true, value: RELEASE });
  });

  test("has its signature beside it, whatever is asked of it", async () => {
    const found = await findRelease({ manifest: at("/release.json?channel=stable"), key: KEY }, trusting);
    expect(found.ok).toBe(true);
  });

  test.each([
    ["/none", "unreachable: IT was not read: its server answered with status 404."],
    ["/round", "unreachable: IT was not read: its server sends from place to place."],
    ["/plain", "unreachable: IT was not read: its server sends to a place without https."],
    ["/big", "refused: IT is too big to be a manifest."],
  ])("%s is told", async (path, said) => {
    expect(await problem(at(path), null, trusting)).toBe(said);
  });

  test("a server whose certificate is not trusted is not believed", async () => {
    expect(await problem(at("/release.json"))).toStartWith("unreachable: IT was not read: ");
  });

  test("without https nothing is asked", async () => {
    expect(await problem("http://127.0.0.1:1/release.json")).toBe(
      "usage: IT is no https URL: give one, or the path of a file.",
    );
  });
});

test.each([
  [VERSION, "current"],
  ["99.0.0", "newer"],
  ["99.0.0-rc.1", "newer"],
  [`${VERSION}-rc.1`, "older"],
  ["0.0.1", "older"],
])("%s is %s", (version, state) => {
  expect(comparedWithOwn({ ...RELEASE, version })).toBe(state as ReturnType<typeof comparedWithOwn>);
});

test.each([
  ["linux", "x64", "linux-x64"],
  ["darwin", "arm64", "macos-arm64"],
  ["win32", "x64", "windows-x64"],
])("%s on %s is %s", (platform, arch, target) => {
  expect(ownTarget(platform, arch)).toBe(target);
});

test("a path in the config is beside it", () => {
  expect(placeOf("release.json", "/etc/hatchway")).toBe("/etc/hatchway/release.json");
  expect(placeOf("https://example.com/release.json", "/etc")).toBe("https://example.com/release.json");
});
