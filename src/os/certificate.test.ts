import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { chmod, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { certificateZoo, spkiFingerprint, type TestCertificate } from "../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { loadCertificatePair, loadOrCreateRelayCertificate } from "./certificate.ts";
import { replaceFile } from "./files.ts";
import { dataPaths } from "./paths.ts";

const NOW_MS = Date.now();
const YEAR_MS = 365 * 86_400_000;
const unwrap = async (directory: string, names: string[], nowMs = NOW_MS) => {
  const loaded = await loadOrCreateRelayCertificate(directory, names, nowMs);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.value;
};

describe("the relay's own certificate", () => {
  test("is made once, with its names, for ten years, the key mode 0600", async () => {
    await using directory = await temporaryDirectory();
    const names = ["relay.example.com", "192.0.2.1", "2001:db8::1"];
    const made = await unwrap(directory.path, names);
    const again = await unwrap(directory.path, names);
    expect(again.certificatePem).toBe(made.certificatePem);
    expect((await stat(dataPaths(directory.path).relayKey)).mode & 0o777).toBe(0o600);

    const certificate = new X509Certificate(made.certificatePem);
    expect(certificate.checkHost("relay.example.com")).toBe("relay.example.com");
    expect(certificate.checkHost("other.example.com")).toBeUndefined();
    expect(certificate.checkIP("2001:db8::1")).toBe("2001:db8::1");
    expect(made.notAfterMs - NOW_MS).toBeGreaterThan(9.9 * YEAR_MS);
    expect(made.fingerprint).toHaveLength(32);
    expect(spkiFingerprint(certificate.raw)).toEqual(made.fingerprint);
  });

  test.each<[string, string[], number]>([
    ["another name", ["new.example.com"], NOW_MS],
    ["its end is near", ["old.example.com"], NOW_MS + 9.99 * YEAR_MS],
    ["it has ended", ["old.example.com"], NOW_MS + 11 * YEAR_MS],
  ])("%s: it is issued again for the same key, so that pins hold", async (_what, names, nowMs) => {
    await using directory = await temporaryDirectory();
    const old = await unwrap(directory.path, ["old.example.com"]);
    const renewed = await unwrap(directory.path, names, nowMs);
    expect(renewed.certificatePem).not.toBe(old.certificatePem);
    expect(renewed.fingerprint).toEqual(old.fingerprint);
    expect(renewed.notAfterMs).toBeGreaterThan(nowMs + 9 * YEAR_MS);
  });

  test("a lost certificate is made again for the key", async () => {
    await using directory = await temporaryDirectory();
    const old = await unwrap(directory.path, ["a.example.com"]);
    await rm(dataPaths(directory.path).relayCertificate);
    expect((await unwrap(directory.path, ["a.example.com"])).fingerprint).toEqual(old.fingerprint);
  });

  test.each<[string, (directory: string) => Promise<unknown>, string, string]>([
    ["a lost key", (d) => rm(dataPaths(d).relayKey), "missing", "backup"],
    ["a key others may read", (d) => chmod(dataPaths(d).relayKey, 0o644), "exposed", "chmod 600"],
    ["a broken key", (d) => replaceFile(dataPaths(d).relayKey, "x"), "damaged", "private key"],
    ["a broken certificate", (d) => replaceFile(dataPaths(d).relayCertificate, "x"), "damaged", "certificate"],
  ])("%s is refused, never quietly replaced", async (_what, spoil, kind, words) => {
    await using directory = await temporaryDirectory();
    await unwrap(directory.path, ["a.example.com"]);
    await spoil(directory.path);
    const loaded = await loadOrCreateRelayCertificate(directory.path, ["a.example.com"], NOW_MS);
    expect<string | null>(loaded.ok ? null : loaded.error.kind).toBe(kind);
    expect(loaded.ok ? "" : loaded.error.message).toContain(words);
  });
});

describe("an operator's own certificate", async () => {
  const zoo = await certificateZoo();
  const load = async (certificate: string, key: string) => {
    await using directory = await temporaryDirectory();
    const certificatePath = join(directory.path, "cert.pem");
    const keyPath = join(directory.path, "key.pem");
    await replaceFile(certificatePath, certificate);
    await replaceFile(keyPath, key);
    return await loadCertificatePair(certificatePath, keyPath, NOW_MS);
  };

  test("is taken with its chain", async () => {
    const chain = zoo.good.certificatePem + zoo.authority.certificatePem;
    const loaded = await load(chain, zoo.good.keyPem);
    if (!loaded.ok) throw new Error(loaded.error.message);
    expect(loaded.value.certificatePem).toBe(chain);
    expect(loaded.value.fingerprint).toEqual(zoo.good.fingerprint);
  });

  test.each<[string, TestCertificate, TestCertificate, string]>([
    ["an expired one", zoo.expired, zoo.expired, "expired"],
    ["one that is not valid yet", zoo.notYetValid, zoo.notYetValid, "not-yet-valid"],
    ["one with another's key", zoo.good, zoo.rogue, "key-mismatch"],
  ])("%s is refused", async (_what, certificate, key, kind) => {
    const loaded = await load(certificate.certificatePem, key.keyPem);
    expect<string | null>(loaded.ok ? null : loaded.error.kind).toBe(kind);
    expect(loaded.ok ? "" : loaded.error.message).toMatch(/^[A-Z].*\.$/);
  });

  test.each([
    ["certificate", "no.pem", "key.pem"],
    ["key", "cert.pem", "no.pem"],
  ])("a missing %s is named", async (_what, certificate, key) => {
    await using directory = await temporaryDirectory();
    await replaceFile(join(directory.path, "cert.pem"), zoo.good.certificatePem);
    await replaceFile(join(directory.path, "key.pem"), zoo.good.keyPem);
    const loaded = await loadCertificatePair(join(directory.path, certificate), join(directory.path, key), NOW_MS);
    expect(loaded.ok ? "" : loaded.error.message).toContain("no.pem");
  });
});
