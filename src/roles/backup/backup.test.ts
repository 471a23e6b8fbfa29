import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { type DataPaths, dataPaths } from "../../os/paths.ts";
import { SealedError, seal } from "../../os/sealed.ts";
import { StoreFailure } from "../../store/failure.ts";
import { openStore } from "../../store/store.ts";
import { encodeManifest } from "../../wire/backup.ts";
import { restore } from "./command.ts";
import { makeBackup } from "./make.ts";
import { applyRestore, checkRestore, discardRestore, PLACES, pendingRestore, stageRestore } from "./restore.ts";

const PASSPHRASE = "correct horse battery staple";
const CHILD = join(import.meta.dir, "../../../test/fixtures/restore-child.ts");
/** The cheapest that is read. */
const CHEAP = { logN: 14, r: 8, p: 1 };
const NOBODY = 65_534;
const BY = { actor: "user:ann", nowMs: 2_000 };
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let paths: DataPaths;

beforeEach(async () => {
  directory = await temporaryDirectory();
  paths = dataPaths(directory.path);
});
afterEach(() => directory[Symbol.asyncDispose]());

/** A data directory whose database has an account of this name, and whose files say it. */
async function furnish(name: string): Promise<void> {
  const store = await openStore(paths.database);
  await store.accounts.create({ name, role: "user" }, 1);
  await store.joinCodes.create({ deviceName: name }, 1);
  await store.close();
  writeFileSync(paths.relayKey, `key of ${name}`, { mode: 0o600 });
}

async function accountsNow(): Promise<readonly string[]> {
  const store = await openStore(paths.database);
  const accounts = await store.accounts.list();
  await store.close();
  return accounts.map(({ name }) => name);
}

async function made(): Promise<Uint8Array> {
  const options = { paths, passphrase: PASSPHRASE, isRoot: false, workDir: directory.path, nowMs: 1_000, cost: CHEAP };
  const { bytes, close } = await makeBackup(options);
  const file = Buffer.concat(await Array.fromAsync(bytes));
  await close();
  return file;
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 5_000) yield bytes.subarray(at, at + 5_000);
}

const check = (bytes: Uint8Array, passphrase = PASSPHRASE) => checkRestore(paths, inPieces(bytes), passphrase, BY);

/** A backup of "old", in a directory that is "new" by now. */
async function staged(): Promise<void> {
  await furnish("old");
  const bytes = await made();
  await furnish("new");
  await check(bytes);
  expect(await stageRestore(paths)).toBe(true);
}

const names = () => readdirSync(directory.path).toSorted();

describe("a backup", () => {
  test("is made while the database is written to, and says what is in it", async () => {
    await furnish("old");
    const writer = await openStore(paths.database);
    await writer.accounts.create({ name: "also", role: "user" }, 1);
    const options = {
      paths,
      passphrase: PASSPHRASE,
      isRoot: false,
      workDir: directory.path,
      nowMs: 1_000,
      cost: CHEAP,
    };
    const { manifest, bytes, close } = await makeBackup(options);
    await writer.accounts.create({ name: "too late", role: "user" }, 1);
    const file = Buffer.concat(await Array.fromAsync(bytes));
    await writer.close();
    await close();
    expect(manifest.parts.map(({ name }) => name)).toEqual(["hatchway.db", "relay-key.pem"]);
    expect(manifest.counts.accounts).toBeGreaterThanOrEqual(2);
    expect(file.includes("key of old")).toBe(false);
    expect(names().filter((name) => name.startsWith("backup-"))).toEqual([]);
  });

  test("holds what ACME gave, for the console and for each site, and nothing else of that directory", async () => {
    await furnish("old");
    const names = join(directory.path, "names");
    for (const host of ["a.example.org", "b.example.org", "Not-a-Name"])
      mkdirSync(join(names, host), { recursive: true });
    const files = ["acme.json", "names/acme.json", "names/a.example.org/acme.json"];
    for (const file of files) writeFileSync(join(directory.path, file), `secret of ${file}`, { mode: 0o600 });
    writeFileSync(join(names, "a.example.org", "acme.json.tmp"), "half");
    writeFileSync(join(names, "Not-a-Name", "acme.json"), "{}");
    const bytes = await made();
    rmSync(names, { recursive: true });
    rmSync(join(directory.path, "acme.json"));
    expect((await check(bytes)).manifest.parts.map(({ name }) => String(name)).toSorted()).toEqual(
      ["hatchway.db", "relay-key.pem", ...files].toSorted(),
    );
    await stageRestore(paths);
    await applyRestore(paths, 3_000);
    for (const file of files) {
      const path = join(directory.path, file);
      expect([file, readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual([
        file,
        `secret of ${file}`,
        0o600,
      ]);
    }
    expect([names, join(names, "a.example.org")].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700]);
  });

  test.if(process.getuid?.() === 0)(
    "that root restores is whoever's the directory is, and follows no link there",
    async () => {
      await furnish("old");
      const names = join(directory.path, "names");
      mkdirSync(join(names, "a.example.org"), { recursive: true });
      writeFileSync(join(names, "a.example.org", "acme.json"), "secret", { mode: 0o600 });
      const bytes = await made();
      const elsewhere = mkdtempSync(join(tmpdir(), "hatchway-elsewhere-"));
      rmSync(names, { recursive: true });
      symlinkSync(elsewhere, names);
      chownSync(directory.path, NOBODY, NOBODY);
      const file = join(elsewhere, "backup");
      writeFileSync(file, bytes);
      const request = { paths, file, passphrase: PASSPHRASE, isRoot: true, nowMs: 3_000, checkOnly: false };
      const { before } = await restore(request);
      const restored = ["hatchway.db", "names", "names/a.example.org", "names/a.example.org/acme.json"];
      const found = restored.map((name) => lstatSync(join(directory.path, name)));
      expect(found.map(({ uid }) => uid)).toEqual(restored.map(() => NOBODY));
      expect(found[1]?.isDirectory()).toBe(true);
      expect(readdirSync(elsewhere)).toEqual(["backup"]);
      expect(lstatSync(join(before ?? "", "names~")).isSymbolicLink()).toBe(true);
      rmSync(elsewhere, { recursive: true });
    },
  );

  test("that nobody reads to its end leaves nothing behind", async () => {
    await furnish("old");
    const options = {
      paths,
      passphrase: PASSPHRASE,
      isRoot: false,
      workDir: directory.path,
      nowMs: 1_000,
      cost: CHEAP,
    };
    const { bytes, close } = await makeBackup(options);
    await bytes.next();
    await close();
    expect(names().filter((name) => name.startsWith("backup-"))).toEqual([]);
  });
});

describe("a restore", () => {
  test("is checked, staged, and taken by the next start; what was there is kept", async () => {
    await furnish("old");
    const bytes = await made();
    await furnish("new");
    expect(await check(bytes)).toMatchObject({ state: "checked", manifest: { madeMs: 1_000 } });
    expect(await accountsNow()).toContain("new");
    // What was only looked at is not taken.
    expect(await applyRestore(paths, 3_000)).toBeNull();
    expect(await stageRestore(paths)).toBe(true);
    expect(await pendingRestore(paths)).toMatchObject({ state: "staged" });
    const applied = await applyRestore(paths, Date.UTC(2026, 10, 28, 22, 11, 27));
    expect(applied?.before).toBe(join(directory.path, "before-restore-20261128-221127"));
    expect(await accountsNow()).not.toContain("new");
    expect(readFileSync(paths.relayKey, "utf8")).toBe("key of old");
    expect(readFileSync(join(applied?.before ?? "", "relay-key.pem"), "utf8")).toBe("key of new");
    expect(statSync(paths.database).mode & 0o777).toBe(0o600);
    expect([await pendingRestore(paths), await applyRestore(paths, 4_000)]).toEqual([null, null]);
  });

  test("brings no session, invitation or join code back, and is in the audit log", async () => {
    await staged();
    await applyRestore(paths, 3_000);
    const store = await openStore(paths.database);
    const [entry] = await store.audit.list();
    await store.close();
    expect(entry).toMatchObject({ actor: "user:ann", action: "backup.restored", detail: { madeMs: 1_000 } });
    const { Database } = await import("bun:sqlite");
    const database = new Database(paths.database, { readonly: true });
    for (const table of ["sessions", "invites", "join_codes"]) {
      expect([table, database.query(`select count(*) as n from ${table}`).get()]).toEqual([table, { n: 0 }]);
    }
    database.close();
  });

  test("can be discarded, checked or staged", async () => {
    await staged();
    expect(await discardRestore(paths)).toBe(true);
    expect([await discardRestore(paths), await pendingRestore(paths), await stageRestore(paths)]).toEqual([
      false,
      null,
      false,
    ]);
    expect(await applyRestore(paths, 3_000)).toBeNull();
    expect(await accountsNow()).toContain("new");
  });

  const kindOf = async (work: Promise<unknown>) => {
    try {
      await work;
      return "taken";
    } catch (error) {
      if (error instanceof SealedError || error instanceof StoreFailure) return error.kind;
      throw error;
    }
  };
  const MANIFEST = {
    madeMs: 1,
    version: "0.1.0",
    databaseVersion: 1,
    counts: { accounts: 0, people: 0, devices: 0, forwards: 0 },
  };
  async function* forged(database: Uint8Array, bytes = database.length): AsyncGenerator<Uint8Array> {
    yield encodeManifest({ ...MANIFEST, parts: [{ name: "hatchway.db", bytes }] });
    yield database;
  }
  const sealedOf = async (source: AsyncIterable<Uint8Array>) =>
    new Uint8Array(Buffer.concat(await Array.fromAsync(seal(source, PASSPHRASE, { logN: 14, r: 8, p: 1 }))));

  test("is refused when it is not whole, and nothing is left of it", async () => {
    await furnish("old");
    const bytes = await made();
    expect(await kindOf(check(bytes, "another passphrase"))).toBe("wrong");
    expect(await kindOf(check(bytes.subarray(0, bytes.length - 1)))).toBe("damaged");
    expect(await kindOf(check(new TextEncoder().encode("something else")))).toBe("not-a-backup");
    const database = new Uint8Array(readFileSync(paths.database));
    expect(await kindOf(check(await sealedOf(forged(new TextEncoder().encode("no database")))))).toBe("damaged");
    expect(await kindOf(check(await sealedOf(forged(database, database.length + 1))))).toBe("damaged");
    expect(await kindOf(check(await sealedOf(forged(database, database.length - 1))))).toBe("damaged");
    const { Database } = await import("bun:sqlite");
    const newer = new Database(paths.database);
    newer.run("insert into schema_versions (version, applied_ms) values (9999, 1)");
    newer.close();
    expect(await kindOf(check(await made()))).toBe("newer");
    expect(names().filter((name) => name.startsWith("restore-"))).toEqual([]);
    expect(await pendingRestore(paths)).toBeNull();
  }, 30_000);
});

describe("killed while a restore is taken", () => {
  const steps = [
    "begin",
    "decided",
    "left hatchway.db-wal",
    "left hatchway.db-shm",
    "left hatchway.db",
    "took hatchway.db",
    "left relay-key.pem",
    "took relay-key.pem",
    "kept",
  ];

  test.each(steps)(
    "at: %s",
    async (step) => {
      await staged();
      // A log that its process left, as a crash does: the new database must not read it.
      writeFileSync(`${paths.database}-wal`, "the old log");
      const child = Bun.spawn([process.execPath, CHILD, directory.path, step], { stderr: "inherit" });
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
      if (step === "begin") {
        // Before it is decided all of the old is in its place.
        expect(readFileSync(paths.relayKey, "utf8")).toBe("key of new");
        expect(existsSync(join(directory.path, PLACES.staged))).toBe(true);
      }
      expect(await applyRestore(paths, 5_000)).not.toBeNull();
      expect(await accountsNow()).not.toContain("new");
      expect(readFileSync(paths.relayKey, "utf8")).toBe("key of old");
      expect(names().filter((name) => name.startsWith("restore-"))).toEqual([]);
      const kept = names().filter((name) => name.startsWith("before-restore"));
      expect(kept).toHaveLength(1);
      expect(readFileSync(join(directory.path, kept[0] ?? "", "relay-key.pem"), "utf8")).toBe("key of new");
    },
    20_000,
  );
});
