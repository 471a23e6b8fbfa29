import { describe, expect, test } from "bun:test";
import { chmod, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { formatKey, parseKey } from "../wire/wireguard/key.ts";
import { generatePresharedKey, generateWgKeyPair, loadOrCreateWgKey, publicKeyOf } from "./wireguard-key.ts";

const hexKey = (hex: string) => formatKey(Uint8Array.from(Buffer.from(hex, "hex")));

describe("WireGuard keys", () => {
  test("the public key is X25519's (RFC 7748 section 6.1)", () => {
    const alice = hexKey("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    expect(publicKeyOf(alice)).toBe(hexKey("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
  });

  test("are new each time, and fit together", () => {
    const one = generateWgKeyPair();
    const two = generateWgKeyPair();
    expect(publicKeyOf(one.privateKey)).toBe(one.publicKey);
    const psk = generatePresharedKey();
    expect(new Set([one.privateKey, one.publicKey, two.privateKey, two.publicKey, psk]).size).toBe(5);
    expect(parseKey(psk).ok).toBe(true);
  });

  test("the server's is made once, mode 0600, in wg genkey's form, by eight at once too", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "wg.key");
    const loaded = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateWgKey(path)));
    const [first] = loaded;
    if (first?.ok !== true) throw new Error("not made");
    for (const one of loaded) expect(one).toEqual(first);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await Bun.file(path).text()).toBe(`${first.value.privateKey}\n`);
  });

  test("one that belongs to another user is refused", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "wg.key");
    await loadOrCreateWgKey(path);
    const owner = (await stat(path)).uid;
    const loaded = await loadOrCreateWgKey(path, owner + 1);
    expect(loaded.ok ? null : loaded.error.kind).toBe("exposed");
    expect(loaded.ok ? null : loaded.error.message).toContain(`another user (${owner})`);
  });

  test.each<[string, (path: string) => Promise<unknown>, string, string]>([
    ["others may read", (path) => chmod(path, 0o640), "exposed", "chmod 600"],
    ["is something else", (path) => writeFile(path, "hello\n"), "damaged", "not a WireGuard key"],
  ])("one that %s is refused", async (_what, spoil, kind, words) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "wg.key");
    await loadOrCreateWgKey(path);
    await spoil(path);
    const loaded = await loadOrCreateWgKey(path);
    if (loaded.ok) throw new Error("it was taken");
    expect<string>(loaded.error.kind).toBe(kind);
    expect(loaded.error.message).toContain(words);
  });
});
