import { describe, expect, test } from "bun:test";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { ManualTimers } from "../../test/fixtures/manual-timers.ts";
import { type ProgramEnd, type ProgramRun, runProgram } from "./run-program.ts";
import { after } from "./timers.ts";

const NEVER = new AbortController().signal;
const TIMEOUT_MS = 30_000;

function run(changes: Partial<ProgramRun> & { readonly argv: readonly string[] }): Promise<ProgramEnd> {
  return runProgram({
    environment: { PATH: "/usr/bin:/bin" },
    timeoutMs: TIMEOUT_MS,
    after,
    signal: NEVER,
    ...changes,
  });
}

const sh = (script: string) => ["/bin/sh", "-c", script];

/** A pipe that scripts write a word to when they have come to a place; reading it waits for that. */
async function namedPipe(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

describe("runProgram", () => {
  test("both outputs, the code, the directory, and an environment with nothing else in it", async () => {
    const end = await run({
      argv: sh('pwd; env | cut -d= -f1 | grep -v -e "^_$" -e "^PWD$" -e "^SHLVL$" | sort; echo bad >&2; exit 3'),
      environment: { PATH: "/usr/bin:/bin", HATCHWAY_A: "1" },
    });
    expect(end).toMatchObject({ kind: "exited", code: 3 });
    if (end.kind !== "exited") return;
    expect(end.output.text.split("\n").toSorted().join(" ").trim()).toBe("/ HATCHWAY_A PATH bad");
  });

  test("arguments go as they are: no shell reads them", async () => {
    const argv = ["printf", "%s|", "a b", "$(id)", "", "*", "; reboot", 'q"q'];
    expect(await run({ argv })).toMatchObject({ output: { text: 'a b|$(id)||*|; reboot|q"q|' } });
  });

  test("its input is empty", async () => {
    expect(await run({ argv: ["cat"] })).toMatchObject({ kind: "exited", code: 0, output: { text: "" } });
  });

  test("one that ends itself by a signal", async () => {
    expect(await run({ argv: sh("kill -SEGV $$") })).toMatchObject({ kind: "killed", signal: "SIGSEGV" });
  });

  test("output is bounded, and read to its end all the same", async () => {
    const end = await run({ argv: sh("head -c 1000000 /dev/zero | tr '\\0' x; exit 0") });
    expect(end).toMatchObject({ kind: "exited", code: 0, output: { droppedBytes: 1_000_000 - 16_384 } });
    expect(end.kind === "exited" && end.output.text.length).toBe(16_384);
  });

  test("what it leaves in the background may hold its outputs: nobody waits for that", async () => {
    await using directory = await temporaryDirectory();
    const pipe = await namedPipe(directory.path, "pipe");
    // The child in the background lives until somebody writes into the pipe.
    const end = await run({ argv: sh(`cat ${pipe} & echo started`) });
    expect(end).toMatchObject({ kind: "exited", code: 0, output: { text: "started\n" } });
    await writeFile(pipe, "");
  });

  test.each<[string, (directory: string) => Promise<string>, RegExp]>([
    ["no such file", async (directory) => join(directory, "none"), /^There is no program .*none/],
    ["nothing of that name in PATH", async () => "hatchway-no-such-program", /^There is no program hatchway-no/],
    [
      "not executable",
      async (directory) => {
        await writeFile(join(directory, "script"), "#!/bin/sh\n");
        return join(directory, "script");
      },
      /script may not be run by this user: make it executable/,
    ],
    [
      "its interpreter is missing",
      async (directory) => {
        await writeFile(join(directory, "script"), "#!/no/such/sh\n");
        await chmod(join(directory, "script"), 0o755);
        return join(directory, "script");
      },
      /or what its first line names is missing/,
    ],
  ])("not started: %s", async (_what, make, message) => {
    await using directory = await temporaryDirectory();
    const end = await run({ argv: [await make(directory.path)] });
    expect(end.kind).toBe("notStarted");
    if (end.kind === "notStarted") expect(end.message).toMatch(message);
  });

  test("an argument that is too long for the system", async () => {
    expect(await run({ argv: ["true", "x".repeat(200_000)] })).toMatchObject({ kind: "notStarted" });
  });

  test("after its time it is ended with all that it started", async () => {
    await using directory = await temporaryDirectory();
    const held = await namedPipe(directory.path, "held");
    const timers = new ManualTimers();
    const ending = run({ argv: sh(`{ echo up; exec sleep 1000; } > ${held} & wait`), after: timers.after });
    const reader = Bun.file(held).stream().getReader();
    expect((await reader.read()).done).toBe(false);
    await timers.fire(TIMEOUT_MS);
    expect(await ending).toMatchObject({ kind: "timedOut" });
    // The pipe ends when the one in the background does.
    expect((await reader.read()).done).toBe(true);
    expect(timers.count()).toBe(0);
  });

  test("one that does not listen to SIGTERM gets SIGKILL", async () => {
    await using directory = await temporaryDirectory();
    const ready = await namedPipe(directory.path, "ready");
    const timers = new ManualTimers();
    const ending = run({
      argv: sh(`trap '' TERM; echo up > ${ready}; while :; do sleep 1000; done`),
      after: timers.after,
    });
    await readFile(ready, "utf8");
    await timers.fire(TIMEOUT_MS);
    await timers.fire(2_000);
    expect(await ending).toMatchObject({ kind: "timedOut" });
  });

  test("a program may end in order when it is told to stop", async () => {
    await using directory = await temporaryDirectory();
    const ready = await namedPipe(directory.path, "ready");
    const stop = new AbortController();
    const ending = run({
      argv: sh(`trap 'echo bye; exit 0' TERM; echo up > ${ready}; while :; do sleep 1000 & wait; done`),
      signal: stop.signal,
    });
    await readFile(ready, "utf8");
    stop.abort();
    expect(await ending).toMatchObject({ kind: "stopped", output: { text: "bye\n" } });
  });

  test("nothing is started once it is too late", async () => {
    expect(await run({ argv: ["false"], signal: AbortSignal.abort() })).toMatchObject({ kind: "stopped" });
  });
});
