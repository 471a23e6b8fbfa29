import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { descriptorsOf, firstBytes, isWritable, listDirectory, lookAtPath, processStatus, roomAt } from "./look.ts";

test("what is at a path", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "file");
  writeFileSync(file, "hello");
  chmodSync(file, 0o640);
  symlinkSync(file, join(directory.path, "link"));
  expect(await lookAtPath(file)).toMatchObject({ kind: "file", mode: 0o640, uid: process.getuid?.() ?? 0 });
  expect(await lookAtPath(join(directory.path, "link"))).toMatchObject({ kind: "file", mode: 0o640 });
  expect((await lookAtPath(directory.path)).kind).toBe("directory");
  expect((await lookAtPath(join(directory.path, "none"))).kind).toBe("missing");
  expect((await lookAtPath(join(file, "below"))).kind).toBe("missing");
  expect((await lookAtPath("/dev/null")).kind).toBe("other");
});

test("beginnings, lists and what may be written", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "b");
  writeFileSync(file, "hello", { mode: 0o600 });
  mkdirSync(join(directory.path, "a"), { mode: 0o700 });
  expect(Buffer.from(await firstBytes(file, 3)).toString()).toBe("hel");
  expect(Buffer.from(await firstBytes(file, 30)).toString()).toBe("hello");
  const listed = await listDirectory(directory.path);
  expect(listed.map(({ name, mode }) => [name, mode])).toEqual([
    ["a", "700"],
    ["b", "600"],
  ]);
  expect(await listDirectory(join(directory.path, "none"))).toEqual([]);
  expect(await isWritable(file)).toBe(true);
  expect(await isWritable(join(directory.path, "none"))).toBe(false);
});

test("a disk's room", async () => {
  expect((await roomAt("/"))?.bytes).toBeGreaterThan(0);
  expect(await roomAt("/no/such/place")).toBeNull();
});

test.if(process.platform === "linux")("a process's descriptors and status", async () => {
  const own = await descriptorsOf(process.pid);
  expect(own?.limit).toBeGreaterThan(own?.open ?? Number.POSITIVE_INFINITY);
  expect(own?.open).toBeGreaterThan(2);
  expect(await descriptorsOf(0x7fff_fff0)).toBeNull();
  expect(await processStatus(process.pid)).toContain("CapEff:");
  expect(await processStatus(0x7fff_fff0)).toBe("");
});
