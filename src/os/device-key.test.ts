import { describe, expect, test } from "bun:test";
import { chmod, stat } from "node:fs/promises";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { deviceIdOf, loadOrCreateDeviceKey, verifyDeviceSignature } from "./device-key.ts";
import { replaceFile } from "./files.ts";
import { dataPaths } from "./paths.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const unwrap = async (directory: string) => {
  const loaded = await loadOrCreateDeviceKey(directory);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.value;
};

describe("the device key", () => {
  test("is made once, mode 0600, and signs what its public key verifies", async () => {
    await using directory = await temporaryDirectory();
    const first = await unwrap(directory.path);
    const second = await unwrap(directory.path);
    expect(second.publicKey).toEqual(first.publicKey);
    expect(first.publicKey).toHaveLength(32);
    expect(first.deviceId).toMatch(/^[0-9a-f]{16}$/);
    expect((await stat(dataPaths(directory.path).deviceKey)).mode & 0o777).toBe(0o600);

    const message = new TextEncoder().encode("keying material");
    expect(verifyDeviceSignature(first.publicKey, message, second.sign(message))).toBe(true);
    expect(verifyDeviceSignature(first.publicKey, message.subarray(1), first.sign(message))).toBe(false);
  });

  test("made by eight at once, it is one key", async () => {
    await using directory = await temporaryDirectory();
    const keys = await Promise.all(Array.from({ length: 8 }, () => unwrap(directory.path)));
    expect(new Set(keys.map((key) => key.deviceId)).size).toBe(1);
  });

  test("one that others may read is refused", async () => {
    await using directory = await temporaryDirectory();
    await unwrap(directory.path);
    await chmod(dataPaths(directory.path).deviceKey, 0o644);
    const loaded = await loadOrCreateDeviceKey(directory.path);
    expect(loaded.ok ? null : loaded.error.kind).toBe("exposed");
  });

  test.each([
    ["an empty file", ""],
    ["other text", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
    [
      "another kind of key",
      `-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIBCMVQJUuCEZ6rrVv8rqTVZ0jYvPMJ1pCqlhQjJ7yVhH\n-----END PRIVATE KEY-----\n`,
    ],
  ])("%s in its place is refused and left alone", async (_what, text) => {
    await using directory = await temporaryDirectory();
    const path = dataPaths(directory.path).deviceKey;
    await replaceFile(path, text);
    const loaded = await loadOrCreateDeviceKey(directory.path);
    expect(loaded.ok ? null : loaded.error.kind).toBe("damaged");
    expect(await Bun.file(path).text()).toBe(text);
  });

  test("RFC 8032 section 7.1, test 1: an empty message", () => {
    const publicKey = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    const signature = hex(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    expect(verifyDeviceSignature(publicKey, new Uint8Array(0), signature)).toBe(true);
    expect(deviceIdOf(publicKey)).toBe("21fe31dfa154a261");
  });

  test.each([
    ["a short key", new Uint8Array(31), new Uint8Array(64)],
    ["a short signature", new Uint8Array(32), new Uint8Array(63)],
    ["a key that is no point of the curve", new Uint8Array(32).fill(0xff), new Uint8Array(64)],
    ["nothing", new Uint8Array(0), new Uint8Array(0)],
  ])("%s verifies nothing", (_what, key, signature) => {
    expect(verifyDeviceSignature(key, new Uint8Array(1), signature)).toBe(false);
  });
});
