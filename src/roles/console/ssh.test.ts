import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { FINGERPRINTS, PUBLIC_KEYS, USER_CERTIFICATE } from "../../../test/fixtures/ssh-keys.ts";
import { enrolDevice, temporaryStore, testKey } from "../../../test/fixtures/store.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { SshKeyDraft } from "../../servers/api/schema.ts";
import { encodeEd25519, formatKey } from "../../wire/ssh/public-key.ts";
import type { SshKeysView } from "../relay/ssh/keys.ts";
import { ConsoleSsh } from "./ssh.ts";

const PAGE = { limit: 100, cursor: null };
const ALL = { device: null };
const READY = { listen: { host: "*", port: 2_222 }, hostKey: "ssh-ed25519 AAAA", fingerprint: "SHA256:host" };
const ids = { owner: "", others: "" };
const cut: string[] = [];
let fixture: Awaited<ReturnType<typeof temporaryStore>>;
let ssh: ConsoleSsh;
let isOn = true;

const who = (name: string, role: Principal["role"], accountId: string): Principal => ({
  userId: name,
  name,
  role,
  accountId,
  scopes: null,
  credentialId: "s",
});
const ada = () => who("ada", "admin", ids.owner);
const uwe = () => who("uwe", "user", ids.owner);
const otto = () => who("otto", "user", ids.others);

beforeEach(async () => {
  fixture = await temporaryStore();
  const { store } = fixture;
  const [owner] = await store.accounts.list();
  const others = await store.accounts.create({ name: "others", role: "user" }, 1_000);
  if (owner === undefined || !others.ok) throw new Error("two accounts are wanted");
  Object.assign(ids, { owner: owner.id, others: others.value.id });
  cut.length = 0;
  isOn = true;
  const view: SshKeysView = {
    store,
    forwards: {
      removeDevice: async (id) => {
        cut.push(`ports of ${await nameOf(id)}`);
      },
    },
    ssh: () => (isOn ? READY : undefined),
    publicHost: () => "relay.example",
    cut: () => cut.push("the device"),
    cutSshKey: (_, fingerprint) => cut.push(fingerprint),
    wallMs: () => 5_000,
  };
  ssh = new ConsoleSsh(view);
});
afterEach(() => fixture[Symbol.asyncDispose]());

async function nameOf(id: string): Promise<string> {
  const devices = await fixture.store.devices.list({ revoked: true });
  return devices.find((device) => device.id === id)?.name ?? "nobody";
}

async function refused(doing: Promise<unknown>): Promise<{ kind: string; message: string; paths: string[] }> {
  try {
    await doing;
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    return { kind: error.kind, message: error.message, paths: error.errors.map(({ path }) => path) };
  }
  throw new Error("it was done");
}

const devicesOf = async (asker: Principal, device: string | null = null) =>
  (await ssh.listKeys(asker, PAGE, { device })).items.map((key) => key.device.name);

test("says how clients know the relay, and that it does not serve them", async () => {
  expect(await ssh.server()).toEqual({
    host: "relay.example",
    port: 2_222,
    fingerprint: "SHA256:host",
    knownHosts: "[relay.example]:2222 ssh-ed25519 AAAA",
  });
  isOn = false;
  expect(await ssh.server()).toBeNull();
});

describe("adding a key", () => {
  test("makes a device of the asker's own account, in the audit log under their name", async () => {
    const added = await ssh.addKey(otto(), { key: PUBLIC_KEYS.ed25519, device: "laptop", ports: "8000-8099" });
    expect(added).toMatchObject({
      fingerprint: FINGERPRINTS.ed25519,
      type: "ssh-ed25519",
      comment: "ada@ed25519",
      device: { name: "laptop" },
      account: { id: ids.others, name: "others" },
      ports: "8000-8099",
      addedMs: 5_000,
      lastUsedMs: null,
      endsDevice: true,
    });
    const [last] = await fixture.store.audit.list();
    expect(last).toMatchObject({ action: "ssh-key.added", actor: "user:otto", detail: { device: "laptop" } });
  });

  test("gives a device that is there one more, by name or by id", async () => {
    const den = await enrolDevice(fixture.store, "den", 1);
    expect((await ssh.addKey(uwe(), { key: PUBLIC_KEYS.ed25519, device: "den" })).device.id).toBe(den.id);
    expect((await ssh.addKey(uwe(), { key: PUBLIC_KEYS.rsa, device: den.id })).device.id).toBe(den.id);
    const { items } = await ssh.listKeys(uwe(), PAGE, ALL);
    // Its agent is another way in.
    expect(items.map(({ endsDevice }) => endsDevice)).toEqual([false, false]);
  });

  test("an administrator adds to others' devices, by id and by account", async () => {
    const shed = await enrolDevice(fixture.store, "shed", 1, "others");
    expect((await ssh.addKey(ada(), { key: PUBLIC_KEYS.rsa, device: shed.id })).account.name).toBe("others");
    const draft = { key: PUBLIC_KEYS.ed25519, device: "laptop", account: "others" };
    expect((await ssh.addKey(ada(), draft)).account.id).toBe(ids.others);
  });

  test("another account's device is not there, and its id is a name like any", async () => {
    const shed = await enrolDevice(fixture.store, "shed", 1, "others");
    const added = await ssh.addKey(uwe(), { key: PUBLIC_KEYS.ed25519, device: shed.id });
    expect([added.device.id === shed.id, added.account.id]).toEqual([false, ids.owner]);
    const draft = { key: PUBLIC_KEYS.rsa, device: "laptop", account: "others" };
    expect(await refused(ssh.addKey(uwe(), draft))).toMatchObject({ kind: "not-found" });
  });

  const BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n";
  const laptop = { device: "laptop" };
  test.each<[string, SshKeyDraft, string, string, RegExp]>([
    ["a private key", { ...laptop, key: BEGIN }, "invalid", "key", /private key.*\.pub/],
    ["a type that is not known", { ...laptop, key: "ssh-dss AAAAB3NzaC1kc3M=" }, "invalid", "key", /ssh-dss.*ed25519/],
    ["no key", { ...laptop, key: "hello" }, "invalid", "key", /\.pub/],
    ["a certificate", { ...laptop, key: USER_CERTIFICATE }, "invalid", "key", /certificate/],
    ["a weak key", { ...laptop, key: PUBLIC_KEYS.weak }, "invalid", "key", /1024 bits/],
    ["options", { ...laptop, key: `command="id" ${PUBLIC_KEYS.rsa}` }, "invalid", "key", /without options/],
    ["ports that are none", { ...laptop, key: PUBLIC_KEYS.rsa, ports: "x" }, "invalid", "ports", /./],
    ["other ports", { device: "tablet", key: PUBLIC_KEYS.rsa, ports: "80" }, "conflict", "ports", /leave the ports/],
    ["a duplicate", { ...laptop, key: PUBLIC_KEYS.ed25519 }, "conflict", "key", /"tablet" has this key already/],
    ["another account's key", { ...laptop, key: PUBLIC_KEYS.ecdsa }, "conflict", "key", /^This key is in use already/],
    [
      "another's agent's key",
      { ...laptop, key: formatKey({ type: "ssh-ed25519", blob: encodeEd25519(testKey(9)) }) },
      "conflict",
      "key",
      /^This key is in use already/,
    ],
  ])("refuses %s, in one sentence by its field", async (_, draft, kind, path, words) => {
    await ssh.addKey(uwe(), { key: PUBLIC_KEYS.ed25519, device: "tablet" });
    await ssh.addKey(otto(), { key: PUBLIC_KEYS.ecdsa, device: "secret-name" });
    await enrolDevice(fixture.store, "secret-name-too", 9, "others");
    const found = await refused(ssh.addKey(uwe(), draft));
    expect(found).toEqual({ kind, message: expect.stringMatching(words), paths: [path] });
    expect(found.message).not.toContain("secret");
  });
});

describe("the list", () => {
  beforeEach(async () => {
    await ssh.addKey(uwe(), { key: PUBLIC_KEYS.ed25519, device: "laptop" });
    await ssh.addKey(uwe(), { key: PUBLIC_KEYS.rsa, device: "tablet" });
    await ssh.addKey(otto(), { key: PUBLIC_KEYS.ecdsa, device: "shed" });
  });

  test("an administrator sees every account's, others their own's", async () => {
    expect(await devicesOf(ada())).toEqual(["laptop", "shed", "tablet"]);
    expect(await devicesOf(uwe())).toEqual(["laptop", "tablet"]);
    expect(await devicesOf(otto())).toEqual(["shed"]);
  });

  test("of one device, and in pages", async () => {
    expect(await devicesOf(ada(), "tablet")).toEqual(["tablet"]);
    expect(await devicesOf(otto(), "tablet")).toEqual([]);
    const first = await ssh.listKeys(ada(), { limit: 2, cursor: null }, ALL);
    const rest = await ssh.listKeys(ada(), { limit: 2, cursor: first.next }, ALL);
    expect([...first.items, ...rest.items].map((key) => key.device.name)).toEqual(["laptop", "shed", "tablet"]);
    expect(rest.next).toBeNull();
  });
});

describe("removing a key", () => {
  test("one of several: its connections are cut, and its device stays", async () => {
    await ssh.addKey(uwe(), { key: PUBLIC_KEYS.ed25519, device: "laptop" });
    await ssh.addKey(uwe(), { key: PUBLIC_KEYS.rsa, device: "laptop" });
    await ssh.removeKey(uwe(), FINGERPRINTS.rsa);
    expect(cut).toEqual([FINGERPRINTS.rsa]);
    expect(await devicesOf(uwe())).toEqual(["laptop"]);
    const [last] = await fixture.store.audit.list();
    expect(last).toMatchObject({ action: "ssh-key.removed", actor: "user:uwe" });
  });

  test("the last one of a device without an agent: the device goes, with its ports", async () => {
    await ssh.addKey(uwe(), { key: PUBLIC_KEYS.ed25519, device: "laptop" });
    await ssh.removeKey(ada(), FINGERPRINTS.ed25519);
    expect(cut).toEqual(["the device", "ports of laptop"]);
    expect(await fixture.store.devices.list()).toEqual([]);
  });

  test.each([
    ["another account's", FINGERPRINTS.ecdsa],
    ["one that is called by its comment alone", "ada@ecdsa"],
    ["one that is not there", "SHA256:nobody"],
  ])("%s is not there", async (_, id) => {
    await ssh.addKey(otto(), { key: PUBLIC_KEYS.ecdsa, device: "shed" });
    expect(await refused(ssh.removeKey(uwe(), id))).toMatchObject({ kind: "not-found" });
    expect([cut, await devicesOf(otto())]).toEqual([[], ["shed"]]);
  });
});
