import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { consoleFolder, ownCommand, ownProgram } from "./own-program.ts";

/** As an executable: test/netns/executable.test.ts. */
const ROOT = join(import.meta.dir, "../..");

test("from its sources it is the package that they are in", () => {
  expect(ownProgram()).toEqual({ kind: "package", root: ROOT });
  expect(consoleFolder()).toBe(join(ROOT, "dist/console"));
});

test("it is started again by the Bun that runs it, with nothing of the folder it is started in", () => {
  const [bun, ...rest] = ownCommand();
  expect(bun).toBe(process.execPath);
  expect(rest.slice(0, -1)).toEqual(["--no-env-file", "--no-install", "--config=/dev/null"]);
  expect(existsSync(rest.at(-1) ?? "")).toBe(true);
});
