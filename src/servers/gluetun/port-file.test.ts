import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import type { FileError } from "../../os/files.ts";
import { PortFile } from "./port-file.ts";

test.each<[string, number[], string]>([
  ["none", [], ""],
  ["one", [51413], "51413"],
  ["several, one a line", [80, 443, 9000], "80\n443\n9000"],
])("as gluetun writes it: %s", async (_what, ports, text) => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "forwarded_port");
  const file = new PortFile({ path, ports: () => ports, onError: (error) => expect(error).toBeNull() });
  file.update();
  await file.settled();
  expect(await readFile(path, "utf8")).toBe(text);
  expect((await stat(path)).mode & 0o777).toBe(0o644 & ~process.umask());
  expect(await readdir(directory.path)).toEqual(["forwarded_port"]);
});

test("what an earlier run left is replaced, changes follow, and it is emptied at the end", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "forwarded_port");
  await writeFile(path, "1\n2\n3");
  let ports: number[] = [];
  const file = new PortFile({ path, ports: () => ports, onError: (error) => expect(error).toBeNull() });
  const texts: string[] = [];
  for (const next of [[], [80], [80, 81], [81]]) {
    ports = next;
    file.update();
    await file.settled();
    texts.push(await readFile(path, "utf8"));
  }
  await file.close();
  texts.push(await readFile(path, "utf8"));
  expect(texts).toEqual(["", "80", "80\n81", "81", ""]);
});

test("a burst of changes costs one look at the ports", async () => {
  await using directory = await temporaryDirectory();
  let looks = 0;
  const ports = () => [++looks];
  const file = new PortFile({ path: join(directory.path, "port"), ports, onError: () => {} });
  for (let n = 0; n < 1_000; n++) file.update();
  await file.settled();
  expect(looks).toBe(1);
});

test("a change during a write is written too", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "port");
  let port = 1;
  const file = new PortFile({
    path,
    ports: () => {
      // Comes when the text is made and not yet written.
      if (port < 3) queueMicrotask(() => file.update());
      return [port++];
    },
    onError: () => {},
  });
  file.update();
  await file.settled();
  expect(await readFile(path, "utf8")).toBe("3");
});

test("trouble is told once until it is over, and the next change tries again", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "later", "port");
  const errors: FileError[] = [];
  let port = 1;
  const file = new PortFile({ path, ports: () => [port], onError: (error) => errors.push(error) });
  const update = async () => {
    port++;
    file.update();
    await file.settled();
  };
  await update();
  await update();
  expect(errors.map(({ kind }) => kind)).toEqual(["missing"]);
  await mkdir(join(directory.path, "later"));
  await update();
  expect(await readFile(path, "utf8")).toBe("4");
  await rm(join(directory.path, "later"), { recursive: true });
  await update();
  expect(errors).toHaveLength(2);
});

test("a link at its place is replaced, not followed", async () => {
  await using directory = await temporaryDirectory();
  const victim = join(directory.path, "victim");
  const path = join(directory.path, "port");
  await writeFile(victim, "mine");
  await symlink(victim, path);
  const file = new PortFile({ path, ports: () => [80], onError: (error) => expect(error).toBeNull() });
  file.update();
  await file.settled();
  expect([await readFile(victim, "utf8"), await readFile(path, "utf8")]).toEqual(["mine", "80"]);
});
