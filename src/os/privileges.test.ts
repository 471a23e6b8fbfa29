import { describe, expect, test } from "bun:test";
import { chownSync, linkSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { giveDirectory, giveFiles, makeRootDirectory } from "./privileges.ts";

const isRoot = process.getuid?.() === 0;
const USER = { name: "nobody", uid: 65_534, gid: 65_534 };

test("what cannot be made or given away is a sentence", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "file");
  writeFileSync(file, "");
  for (const refused of [makeRootDirectory(join(file, "privileged")), giveDirectory(join(file, "data"), USER)]) {
    expect(refused).toMatchObject({ ok: false, error: expect.stringMatching(/^Cannot write .*: a file is where/) });
  }
});

describe.if(isRoot)("as root", () => {
  test("a directory of root's is given away with its files, and nothing that a link leads to", async () => {
    await using directory = await temporaryDirectory();
    const [own, outside] = [join(directory.path, "own"), join(directory.path, "outside")];
    mkdirSync(own);
    writeFileSync(outside, "");
    writeFileSync(join(own, "file"), "");
    symlinkSync(outside, join(own, "soft"));
    linkSync(outside, join(own, "hard"));
    for (const folder of ["named", "other"]) mkdirSync(join(own, folder, "deep"), { recursive: true });
    writeFileSync(join(own, "named", "deep", "file"), "");
    giveDirectory(own, USER, [join(own, "named"), join(own, "absent")]);
    const given = [".", "file", "named", "named/deep", "named/deep/file"];
    expect(given.map((name) => lstatSync(join(own, name)).uid)).toEqual(given.map(() => USER.uid));
    expect([outside, join(own, "other")].map((path) => lstatSync(path).uid)).toEqual([0, 0]);
    writeFileSync(join(own, "later"), "");
    giveDirectory(own, USER);
    expect(lstatSync(join(own, "later")).uid).toBe(0);
  });

  test("files of root's in a user's directory are given away, and nothing that a link or another name leads to", async () => {
    await using directory = await temporaryDirectory();
    const [own, outside] = [join(directory.path, "own"), join(directory.path, "outside")];
    mkdirSync(own);
    chownSync(own, USER.uid, USER.gid);
    writeFileSync(outside, "");
    for (const name of ["file", "unnamed"]) writeFileSync(join(own, name), "");
    symlinkSync(outside, join(own, "soft"));
    linkSync(outside, join(own, "hard"));
    mkdirSync(join(own, "folder", "kept"), { recursive: true });
    mkdirSync(join(own, "theirs"));
    for (const name of ["folder/file", "folder/kept/file", "theirs/file"]) writeFileSync(join(own, name), "");
    symlinkSync(outside, join(own, "folder", "soft"));
    chownSync(join(own, "theirs"), USER.uid, USER.gid);
    const names = ["file", "soft", "hard", "folder", "theirs", "absent"];
    const paths = names.map((name) => join(own, name));
    expect(giveFiles(paths, USER, new Set(["kept"]))).toEqual({ ok: true, value: 3 });
    const given = ["file", "folder", "folder/file"].map((name) => lstatSync(join(own, name)).uid);
    expect(given).toEqual([USER.uid, USER.uid, USER.uid]);
    const left = ["unnamed", "folder/kept", "folder/kept/file", "theirs/file"].map((name) => join(own, name));
    expect([...left, outside].map((path) => lstatSync(path).uid)).toEqual([0, 0, 0, 0, 0]);
    expect(giveFiles(paths, USER)).toEqual({ ok: true, value: 0 });
  });

  test.each([
    [{}, "0000000000000000"],
    [{ lowPorts: true }, "0000000000000400"],
  ])("a process that became another user (%p) has no way back and no other capability", async (options, capability) => {
    const code = `
      const { becomeUser } = await import(${JSON.stringify(join(import.meta.dir, "privileges.ts"))});
      const became = becomeUser(${JSON.stringify(USER)}, ${JSON.stringify(options)});
      const main = require("fs").readFileSync("/proc/thread-self/status", "utf8").match(/^CapEff:\\s+(\\S+)$/m)[1];
      const tasks = require("fs").readdirSync("/proc/self/task").flatMap((task) => {
        const status = "/proc/self/task/" + task + "/status";
        // One that has ended meanwhile has no rights.
        try { return require("fs").readFileSync(status, "utf8").match(/^(Uid|CapEff|Groups):.*$/gm).join(" ").replace(/\\s+/g, " ").trim(); }
        catch { return []; }
      });
      console.log(JSON.stringify({ became, main, tasks: [...new Set(tasks.filter((task) => !task.endsWith(main)))] }));`;
    const { stdout } = Bun.spawnSync([process.execPath, "-e", code]);
    expect(JSON.parse(stdout.toString())).toEqual({
      became: { ok: true, value: null },
      main: capability,
      tasks: "lowPorts" in options ? ["Uid: 65534 65534 65534 65534 Groups: CapEff: 0000000000000000"] : [],
    });
  });
});
