import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dataPaths } from "../../src/os/paths.ts";
import { backUp, restore } from "../../src/roles/backup/command.ts";
import { ApiProblem, type Client } from "../../src/servers/api/client.ts";
import { ControlError } from "../../src/servers/local/error.ts";
import { type Browsing, ConsolePeople } from "../fixtures/console-people.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { failureOf, type RolesLab, rolesLab } from "../fixtures/roles-lab.ts";

/** A relay that is backed up at its console, changes, and is brought back. */
const PASSPHRASE = "pässword of the backup";
let lab: RolesLab;
let ann: Browsing;
let bob: Client;

beforeAll(async () => {
  lab = await rolesLab({ console: ConsolePeople.settings });
  const people = new ConsolePeople(lab);
  ann = await people.first("ann");
  bob = (await people.invited(ann.client, "user", "bob")).client;
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

const whole = async (stream: ReadableStream<Uint8Array>) => new Uint8Array(await new Response(stream).arrayBuffer());
const statusOf = async (work: Promise<unknown>) => {
  const error = await failureOf(work);
  if (!(error instanceof ApiProblem)) throw error;
  return error.problem.status;
};
const actions = async (client: Client) => (await client.listAudit()).items.map(({ action }) => action);

test("a backup is downloaded, checked, staged, and taken by the next start; the cookie of before is worth nothing", async () => {
  const { client } = ann;
  await client.makeJoinCode({ name: "den" });
  const file = await whole(await client.makeBackup({ passphrase: PASSPHRASE }));
  expect(Buffer.from(file).includes("PRIVATE KEY")).toBe(false);
  const { name } = (await client.makeToken({ name: "made after it", scopes: ["read"], lifetimeSec: null })).token;
  expect(await client.getRestore()).toEqual({ restore: null });
  expect(await statusOf(client.checkRestore(file, "not the passphrase"))).toBe(400);
  expect(await statusOf(client.checkRestore(file.slice(0, -1), PASSPHRASE))).toBe(400);
  const checked = await client.checkRestore(file, PASSPHRASE);
  expect(checked).toMatchObject({ state: "checked", counts: { people: 2 }, version: expect.any(String) });
  expect(checked.parts).toEqual(["hatchway.db", "relay-key.pem", "relay-cert.pem"]);
  expect(await client.stageRestore()).toMatchObject({ state: "staged" });
  // What runs is as it was.
  expect((await client.listTokens()).items.map((token) => token.name)).toEqual([name]);
  expect((await actions(client)).slice(0, 3)).toEqual(["restore.staged", "restore.checked", "token.created"]);
  const { fingerprint } = lab.relay.ready;
  const before = ann.headers();
  await lab.restartRelay();
  expect(lab.relay.ready.fingerprint).toBe(fingerprint);
  const { url } = new ConsolePeople(lab);
  expect((await fetch(`${url}/v1/me`, { headers: before })).status).toBe(401);
  const again = await new ConsolePeople(lab).signedIn("ann");
  expect((await again.client.listTokens()).items).toEqual([]);
  expect(await actions(again.client)).toContain("backup.restored");
  expect(await again.client.getRestore()).toEqual({ restore: null });
  expect(readdirSync(lab.relayDirectory).filter((one) => one.startsWith("before-restore-"))).toHaveLength(1);
  expect(readdirSync(lab.relayDirectory).filter((one) => one.startsWith("restore-"))).toEqual([]);
  ann = again;
}, 60_000);

test("what waits can be discarded; without one there is nothing to stage", async () => {
  const { client } = ann;
  await client.checkRestore(await whole(await client.makeBackup({ passphrase: PASSPHRASE })), PASSPHRASE);
  await client.discardRestore();
  expect([await statusOf(client.discardRestore()), await statusOf(client.stageRestore())]).toEqual([404, 404]);
}, 30_000);

test("one at a time; one that nobody reads makes room and leaves no file", async () => {
  const { client } = ann;
  // Together: one that has been answered may be over, unread, in the buffers between.
  const asked = [1, 2].map(() => client.makeBackup({ passphrase: PASSPHRASE }));
  const settled = await Promise.allSettled(asked);
  const [made] = settled.filter((one) => one.status === "fulfilled");
  const [refused] = settled.filter((one) => one.status === "rejected");
  expect(await statusOf(Promise.reject(refused?.reason))).toBe(429);
  await made?.value.cancel();
  const work = () => readdirSync(lab.relayDirectory).filter((name) => name.startsWith("backup-making-"));
  while (work().length > 0) await Bun.sleep(10);
  await whole(await client.makeBackup({ passphrase: PASSPHRASE }));
}, 30_000);

test("it is for administrators, as persons; a short passphrase is refused", async () => {
  bob = (await new ConsolePeople(lab).signedIn("bob")).client;
  for (const ask of [
    () => bob.makeBackup({ passphrase: PASSPHRASE }),
    () => bob.getRestore(),
    () => bob.checkRestore(new Uint8Array(10), PASSPHRASE),
    () => bob.stageRestore(),
    () => bob.discardRestore(),
  ]) {
    expect(await statusOf(ask())).toBe(403);
  }
  expect(await statusOf(ann.client.makeBackup({ passphrase: "too short" }))).toBe(400);
  expect(await statusOf(ann.client.checkRestore(new Uint8Array(10), PASSPHRASE))).toBe(400);
});

describe("on the command line", () => {
  const request = (directory: string, file: string) => ({
    paths: dataPaths(directory),
    file,
    passphrase: PASSPHRASE,
    isRoot: false,
    nowMs: Date.now(),
  });

  test("a running relay is backed up, and restored elsewhere; never over one that runs", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "relay.backup");
    const manifest = await backUp(request(lab.relayDirectory, file));
    expect(manifest.counts.people).toBe(2);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory.path)).toEqual(["relay.backup"]);
    const twice = await failureOf(backUp(request(lab.relayDirectory, file)));
    expect(twice instanceof ControlError && twice.message).toContain("there already");
    const running = await failureOf(restore({ ...request(lab.relayDirectory, file), checkOnly: false }));
    expect(running instanceof ControlError && running.message).toContain("already running");
    const empty = join(directory.path, "empty");
    await Bun.write(join(empty, "hatchway.toml"), "");
    const looked = await restore({ ...request(empty, file), checkOnly: true });
    expect([looked.before, existsSync(join(empty, "hatchway.db"))]).toEqual([null, false]);
    const { before } = await restore({ ...request(empty, file), checkOnly: false });
    expect([before, existsSync(join(empty, "hatchway.db")), existsSync(join(empty, "relay-key.pem"))]).toEqual([
      null,
      true,
      true,
    ]);
    writeFileSync(file, "no backup");
    const wrong = await failureOf(restore({ ...request(empty, file), checkOnly: true }));
    expect(wrong instanceof ControlError && wrong.message).toContain("no backup of Hatchway");
  }, 30_000);
});
