import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { parseKey } from "ssh2/lib/protocol/keyParser.js";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { loadOrCreateDeviceKey } from "../os/device-key.ts";
import { openAgentState } from "../store/agent-state.ts";
import { encodeEd25519 } from "../wire/ssh/public-key.ts";
import { exportSshKey } from "./ssh-export.ts";

/** A data directory as an agent leaves it that has joined. */
async function joinedDirectory() {
  const directory = await temporaryDirectory();
  const key = await loadOrCreateDeviceKey(directory.path);
  const state = await openAgentState(directory.path);
  if (!key.ok || !state.ok) throw new Error("the directory takes no files");
  const relay = { host: "relay.example", port: 7_443 };
  await state.value.enrol({ relay, trust: "public-ca", fingerprint: null, deviceName: "attic" });
  return { ...directory, path: directory.path, key: key.value, [Symbol.asyncDispose]: directory[Symbol.asyncDispose] };
}

describe("a device's key for ssh", () => {
  test("is its own, in a file that nobody else reads", async () => {
    await using directory = await joinedDirectory();
    const file = join(directory.path, "attic-ssh");
    const exported = await exportSshKey(directory.path, file, 7);
    expect(exported).toMatchObject({ device: "attic", host: "relay.example" });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = await Bun.file(file).text();
    const parsed = parseKey(text);
    if (parsed instanceof Error) throw parsed;
    expect(parsed.getPublicSSH().toString("base64")).toBe(encodeEd25519(directory.key.publicKey).toBase64());
    expect(`${parsed.type} ${parsed.getPublicSSH().toString("base64")}`).toBe(exported.publicKey);
    // What is told has nothing of it.
    expect(JSON.stringify(exported)).not.toContain("PRIVATE");
  });

  test("takes no file's place, and is none before the device joined", async () => {
    await using directory = await joinedDirectory();
    const file = join(directory.path, "there");
    await Bun.write(file, "mine");
    const taken = exportSshKey(directory.path, file, 7);
    await expect(taken).rejects.toMatchObject({ kind: "usage", message: expect.stringContaining("is there already") });
    expect(await Bun.file(file).text()).toBe("mine");
    await using empty = await temporaryDirectory();
    const early = exportSshKey(empty.path, join(empty.path, "key"), 7);
    await expect(early).rejects.toMatchObject({
      kind: "usage",
      message: expect.stringContaining("has joined a relay"),
    });
    expect(await Bun.file(join(empty.path, "key")).exists()).toBe(false);
  });
});
