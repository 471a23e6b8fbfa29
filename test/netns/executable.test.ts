import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ownTarget } from "../../src/roles/upgrade/check.ts";
import { copyProject, makeRelease } from "../fixtures/release.ts";
import { doesItsJob, linkOrCopy, PROGRAM, SERVICE_PORT } from "./executable-kit.ts";
import { nft } from "./gateway-kit.ts";
import { newHome } from "./hatchway.ts";
import { curl, startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";

setDefaultTimeout(60_000);

/** The executable as a release has it, made twice, and run where nothing else is. */
const TARGET = ownTarget();
const releases = mkdtempSync(join(tmpdir(), "hatchway-release-"));
/** One deeper than the other: no path may be in what is made. */
const MADE = [join(releases, "a/out"), join(releases, "b/deeper/out")] as const;
let lab: Lab;
let executable: string;

beforeAll(async () => {
  const [one, other] = MADE.map((out) => join(dirname(out), "project")) as [string, string];
  await copyProject(one);
  mkdirSync(dirname(other), { recursive: true });
  tool(["cp", "--archive", "--link", one, other]);
  await Promise.all([makeRelease(one, MADE[0], TARGET), makeRelease(other, MADE[1], TARGET)]);
  const [name] = readdirSync(MADE[0]).filter((file) => file.endsWith(TARGET));
  executable = join(MADE[0], name ?? "");
  lab = createLab({ natRules: false });
}, 180_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  rmSync(releases, { recursive: true, force: true });
});

test("two builds in two places are the same bytes", () => {
  const [one, other] = MADE.map((out) => readFileSync(join(out, "SHA256SUMS"), "utf8"));
  expect(one?.split("\n").map((line) => line.slice(66))).toEqual([
    expect.stringMatching(new RegExp(`^hatchway-[0-9.]+-${TARGET}$`)),
    expect.stringMatching(/^hatchway-[0-9.]+\.cdx\.json$/),
    "release.json",
    "",
  ]);
  expect(other).toBe(one ?? "");
  expect(tool(["sh", "-c", 'cd "$0" && sha256sum --check --quiet SHA256SUMS', MADE[1]])).toBe("");
});

/** A root directory with the executable and the five files of Debian's libc6 that it names, and no other program. */
function makeRoot(): string {
  const root = mkdtempSync(join(lab.directory, "root-"));
  linkOrCopy(executable, join(root, PROGRAM));
  for (const [library = ""] of tool(["ldd", executable]).matchAll(/\/\S+/g)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    cpSync(library, join(root, library), { dereference: true });
  }
  mkdirSync(join(root, "proc"));
  // What ssh2 asks for, and does without: nothing is taken from the folder that the program is started in.
  const foreign = join(root, "node_modules/cpu-features");
  mkdirSync(foreign, { recursive: true });
  writeFileSync(join(foreign, "index.js"), 'console.error("taken from outside");\n');
  return root;
}

test("where nothing else is, a visitor reaches a service through it, and the console has its pages", async () => {
  await doesItsJob(lab, makeRoot());
});

test("as a gateway it starts itself again, as the helper that keeps root", async () => {
  await startService(lab, lab.agent, "--host", lab.agent.v4, `peer:tcp:${SERVICE_PORT}`);
  const home = newHome(lab, lab.nat, `[[mapping]]\nports = ${SERVICE_PORT}\nto = "${lab.agent.v4}"\n`);
  for (const folder of [lab.directory, dirname(home.config)]) chmodSync(folder, 0o755);
  const interfaces = ["--wan", "wan", "--lan", "lan1", "--lan", "lan2"];
  const argv = [executable, "gateway", ...interfaces, "--data", home.data];
  const gateway = lab.spawn(lab.nat, [...argv, "--config", home.config, "--json"]);
  await gateway.event("ready");
  expect((await nft(lab, "list", "tables")).stdout).toContain("hatchway");
  const { stdout: answer } = await curl(lab, lab.visitor, "--http0.9", `${lab.nat.v4}:${SERVICE_PORT}`);
  expect(answer).toMatch(/^203\.0\.113\.10 \d+$/);
  gateway.signal("SIGTERM");
  expect(await gateway.exited).toBe(0);
});
