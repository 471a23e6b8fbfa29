import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import {
  createFile,
  type FileErrorKind,
  fileError,
  readPrivateText,
  readText,
  replaceFile,
  replacePublicFile,
} from "./files.ts";

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe("replaceFile", () => {
  test("makes a file of mode 0600, replaces it, and leaves nothing beside it", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "a.json");
    expect(await replaceFile(path, "one")).toEqual({ ok: true, value: undefined });
    expect(await replaceFile(path, "two")).toEqual({ ok: true, value: undefined });
    expect(await readText(path)).toEqual({ ok: true, value: "two" });
    expect(await modeOf(path)).toBe(0o600);
    expect(await readdir(directory.path)).toEqual(["a.json"]);
  });

  test("and one that everybody may read, whatever the umask is", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "a.service");
    const before = process.umask(0o077);
    const written = await replacePublicFile(path, "one").finally(() => process.umask(before));
    expect(written.ok).toBe(true);
    expect(await modeOf(path)).toBe(0o644);
  });

  test("leaves nothing behind when it fails", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "taken");
    await mkdir(join(path, "inside"), { recursive: true });
    expect((await replaceFile(path, "text")).ok).toBe(false);
    expect(await readdir(directory.path)).toEqual(["taken"]);
  });

  test("names the missing directory", async () => {
    await using directory = await temporaryDirectory();
    const written = await replaceFile(join(directory.path, "no", "a"), "text");
    expect(written.ok ? null : written.error.kind).toBe("missing");
  });
});

describe("createFile", () => {
  test("of many at once, one creates and all see its text", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "key");
    const writers = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
    const made = await Promise.all(writers.map((text) => createFile(path, text)));
    const winners = writers.filter((_, i) => made[i]?.ok && made[i].value === "created");
    expect(winners).toHaveLength(1);
    expect(made.every((result) => result.ok)).toBe(true);
    expect(await readText(path)).toEqual({ ok: true, value: winners[0] ?? "" });
    expect(await readdir(directory.path)).toEqual(["key"]);
    expect(await modeOf(path)).toBe(0o600);
  });
});

describe("reading", () => {
  test("a file that is not there is null", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "none");
    expect(await readText(path)).toEqual({ ok: true, value: null });
    expect(await readPrivateText(path)).toEqual({ ok: true, value: null });
  });

  test("a private file that others may read is refused", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "key");
    await replaceFile(path, "text");
    await chmod(path, 0o640);
    const read = await readPrivateText(path);
    expect(read.ok ? null : read.error.kind).toBe("exposed");
  });
});

test.each<[string, FileErrorKind, string]>([
  ["ENOENT", "missing", "no such"],
  ["EACCES", "permission", "not allowed"],
  ["EROFS", "permission", "read-only"],
  ["ENOSPC", "disk-full", "make room"],
  ["EDQUOT", "disk-full", "make room"],
  ["ENOTDIR", "io", "where a directory should be"],
  ["EIO", "io", "broken"],
])("%s is %s", (code, kind, words) => {
  const error = fileError(Object.assign(new Error("broken"), { code }), "write", "/data/x");
  expect(error.kind).toBe(kind);
  expect(error.message).toContain(words);
  expect(error.message).toContain("/data/x");
});
