import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { nodeProgram } from "./node.ts";

/** The parts of the library that are another code on Node: programs are started where routes are no files. */
const SRC = join(import.meta.dir, "../../src");
const ENTRY = `
  export { runCommand } from "${SRC}/os/command.ts";
  export { readRoutes } from "${SRC}/os/routes.ts";
`;

/** What a program on Node prints, as JSON. */
async function onNode(directory: string, body: string, path = ""): Promise<unknown> {
  writeFileSync(join(directory, "entry.ts"), ENTRY);
  await Bun.build({ entrypoints: [join(directory, "entry.ts")], outdir: directory, naming: "os.mjs", target: "node" });
  const program = `import { readRoutes, runCommand } from "./os.mjs";\n${body}`;
  writeFileSync(join(directory, "program.mjs"), program);
  const env = { ...process.env, PATH: `${path}:${process.env["PATH"]}` };
  const { stdout, stderr } = spawnSync(nodeProgram(), ["program.mjs"], { cwd: directory, encoding: "utf8", env });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test("programs: output, input, exit code, signal, and why one does not start or was ended", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(join(directory.path, "no-program"), "");
  const results = await onNode(
    directory.path,
    `
    const kind = (result) => result.ok ? result.value : result.error.kind;
    const sh = (script, options) => runCommand(["sh", "-c", script], options).then(kind);
    const stop = new AbortController();
    const results = [
      await sh("echo out; echo err >&2; exit 3"),
      await sh("cat", { input: "in" }),
      await sh("kill -TERM $$"),
      await sh("sleep 60 & sleep 60", { timeoutMs: 50 }),
      kind(await runCommand(["hatchway-has-no-such-program"])),
      kind(await runCommand([process.cwd() + "/no-program"])),
      kind(await runCommand(["true"], { input: "x".repeat(4 << 20) })),
      await sh("echo $LC_ALL; env | wc -l"),
      await sh("sleep 60", { signal: (setTimeout(() => stop.abort(), 50), stop.signal) }),
    ];
    console.log(JSON.stringify(results));
  `,
  );
  const ended = (exitCode: number, stdout = "", stderr = "") => ({ exitCode, stdout, stderr });
  expect(results).toEqual([
    ended(3, "out\n", "err\n"),
    ended(0, "in"),
    ended(143),
    "timeout",
    "missing",
    "permission",
    ended(0),
    expect.objectContaining({ exitCode: 0, stdout: expect.stringMatching(/^C\n/) }),
    "aborted",
  ]);
}, 20_000);

test("routes, where programs tell them", async () => {
  await using directory = await temporaryDirectory();
  const programs = join(directory.path, "programs");
  mkdirSync(programs);
  const netstat =
    '#!/bin/sh\n[ "$3" = inet ] && printf "Destination Gateway Flags Netif\\ndefault 192.168.1.1 UGSc en0\\n"\nexit 0\n';
  writeFileSync(join(programs, "netstat"), netstat);
  chmodSync(join(programs, "netstat"), 0o755);
  const body = `
    const { signal } = new AbortController();
    const { routes, problem } = await readRoutes({ signal, system: "freebsd" });
    console.log(JSON.stringify({ routes, problem }));
  `;
  expect(await onNode(directory.path, body, programs)).toEqual({
    routes: [{ family: 4, gateway: "192.168.1.1", interface: { kind: "name", name: "en0" }, metric: 0 }],
    problem: null,
  });
}, 20_000);
