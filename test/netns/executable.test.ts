import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ownTarget } from "../../src/roles/upgrade/check.ts";
import { copyProject, makeRelease } from "../fixtures/release.ts";
import type { Child } from "./child.ts";
import { nft } from "./gateway-kit.ts";
import { AGENT_PORT, newHome } from "./hatchway.ts";
import { curl, startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";

setDefaultTimeout(60_000);

/** The executable as a release has it, made twice, and run where nothing else is. */
const TARGET = ownTarget();
const SERVICE_PORT = 8_000;
const CONSOLE = "127.0.0.1:7780";
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
  linkOrCopy(executable, join(root, "hatchway"));
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

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to); // another file system
  }
}

/** With /proc, which every system has: Bun finds its stack there. It goes with the program. */
const inRoot = (root: string, ...args: readonly string[]): string[] => [
  "unshare",
  `--mount-proc=${join(root, "proc")}`,
  "chroot",
  root,
  "/hatchway",
  ...args,
];

async function joinCode(root: string): Promise<string> {
  const made = await lab.exec(lab.relay, inRoot(root, "join-code", "create", "--name", "attic", "--data", "/relay"));
  expect(made.stderr).toBe("");
  return made.stdout.trim();
}

test("where nothing else is, a visitor reaches a service through it, and the console has its pages", async () => {
  const root = makeRoot();
  await startService(lab, lab.nat, "--host", "127.0.0.1", `peer:tcp:${SERVICE_PORT}`);
  const spawn = (host: Host, ...args: string[]): Child => lab.spawn(host, inRoot(root, ...args, "--json"));
  const places = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", lab.relay.v4, "--console", CONSOLE];
  const relay = spawn(lab.relay, "serve", ...places, "--data", "/relay");
  await relay.event("ready");

  const agent = spawn(lab.nat, "agent", "--join", await joinCode(root), "--data", "/agent");
  await agent.event("connected");
  const exposed = spawn(lab.nat, "expose", `${SERVICE_PORT}`, "--data", "/agent");
  await exposed.event("exposed");
  const { stdout: answer } = await curl(lab, lab.visitor, "--http0.9", `${lab.relay.v4}:${SERVICE_PORT}`);
  expect(answer).toMatch(/^127\.0\.0\.1 \d+$/);

  const page = await curl(lab, lab.relay, `http://${CONSOLE}/`);
  expect(page.stdout).toStartWith("<!doctype html>");
  const assets = [...page.stdout.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = ""]) => path);
  expect(assets.map((path) => path.slice(path.lastIndexOf(".")))).toEqual([".svg", ".css", ".js"]);
  for (const path of [...assets, "/docs/api"]) {
    const { stdout } = await curl(lab, lab.relay, "-o", "/dev/null", "-w", "%{http_code}", `http://${CONSOLE}${path}`);
    expect({ path, status: stdout }).toEqual({ path, status: "200" });
  }
  for (const child of [exposed, agent, relay]) {
    child.signal("SIGTERM");
    expect(await child.exited).toBe(0);
  }
  expect(relay.stderr).toEqual([]);
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
