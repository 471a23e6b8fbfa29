import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { followCommand, MAX_LINE_CHARS, runCommand } from "./command.ts";

const sh = (script: string): string[] => ["sh", "-c", script];
/** It is waited for in full: no less than a shell takes to start on a busy machine. */
const STARTED_BY_MS = 2_000;

describe("runCommand", () => {
  test.each([
    [
      "output and exit code",
      sh("echo out; echo err >&2; exit 3"),
      "",
      { exitCode: 3, stdout: "out\n", stderr: "err\n" },
    ],
    ["standard input", ["cat"], "both\nlines\n", { exitCode: 0, stdout: "both\nlines\n", stderr: "" }],
    ["no standard input is an empty one", ["cat"], undefined, { exitCode: 0, stdout: "", stderr: "" }],
    [
      "arguments are not read by a shell",
      ["printf", "%s", "$HOME; `id`"],
      "",
      { exitCode: 0, stdout: "$HOME; `id`", stderr: "" },
    ],
    ["the language is C", sh("echo $LC_ALL"), "", { exitCode: 0, stdout: "C\n", stderr: "" }],
    ["a signal is 128 + its number", sh("kill -TERM $$"), "", { exitCode: 143, stdout: "", stderr: "" }],
  ])("%s", async (_name, argv, input, expected) => {
    expect(await runCommand(argv, { input })).toEqual({ ok: true, value: expected });
  });

  test("a program that reads nothing of a large input still ends", async () => {
    const result = await runCommand(["true"], { input: "x".repeat(4 << 20) });
    expect(result).toMatchObject({ ok: true, value: { exitCode: 0 } });
  });

  test("a large input comes back whole", async () => {
    const input = "0123456789abcdef".repeat(1 << 17);
    const result = await runCommand(["cat"], { input });
    expect(result.ok && result.value.stdout === input).toBe(true);
  });

  test("nothing of this process's environment but PATH", async () => {
    const result = await runCommand(["env"]);
    const names = result.ok
      ? result.value.stdout
          .trim()
          .split("\n")
          .map((line) => line.split("=")[0])
      : [];
    expect(names.sort()).toEqual(["LC_ALL", "PATH", "TZ"]);
    expect(result.ok && result.value.stdout).toContain("/usr/sbin");
  });

  test.each([
    [
      "no such program",
      ["hatchway-has-no-such-program"],
      "missing",
      "There is no program hatchway-has-no-such-program",
    ],
    ["not executable", [import.meta.path], "permission", "may not be run by this user"],
  ] as const)("%s", async (_name, argv, kind, message) => {
    const result = await runCommand(argv);
    expect(result).toMatchObject({ ok: false, error: { kind } });
    expect(result.ok ? "" : result.error.message).toContain(message);
  });

  test("a program that does not end is killed with all that it started", async () => {
    await using directory = await temporaryDirectory();
    const held = join(directory.path, "held");
    expect(Bun.spawnSync(["mkfifo", held]).exitCode).toBe(0);
    const running = runCommand(sh(`{ echo up; exec sleep 1000; } > ${held} & wait`), { timeoutMs: STARTED_BY_MS });
    const reader = Bun.file(held).stream().getReader();
    expect((await reader.read()).done).toBe(false);
    expect(await running).toMatchObject({ ok: false, error: { kind: "timeout" } });
    // The pipe ends when the one in the background does.
    expect((await reader.read()).done).toBe(true);
  });

  test("what it leaves behind with its output open is ended in time, too", async () => {
    const result = await runCommand(sh("sleep 1000 & echo started"), { timeoutMs: STARTED_BY_MS });
    expect(result).toMatchObject({ ok: true, value: { exitCode: 0, stdout: "started\n" } });
  });

  test("an abort ends it; an earlier one does not start it", async () => {
    const abort = new AbortController();
    const running = runCommand(["sleep", "30"], { signal: abort.signal });
    abort.abort();
    expect(await running).toMatchObject({ ok: false, error: { kind: "aborted" } });
    const never = await runCommand(["hatchway-has-no-such-program"], { signal: abort.signal });
    expect(never).toMatchObject({ ok: false, error: { kind: "aborted" } });
  });
});

describe("followCommand", () => {
  test("hands on every line, the last without a newline too", async () => {
    const lines: string[] = [];
    const followed = followCommand(sh("echo one; echo two; printf three; exit 4"), {
      signal: new AbortController().signal,
      onLine: (line) => void lines.push(line),
    });
    if (!followed.ok) throw new Error(followed.error.message);
    expect(await followed.value.exited).toBe(4);
    expect(lines).toEqual(["one", "two", "three"]);
  });

  test("a line without an end is cut, told at once, and costs no more than its length", async () => {
    const lines: string[] = [];
    const script = "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo next";
    const followed = followCommand(sh(script), {
      signal: new AbortController().signal,
      onLine: (line) => void lines.push(line),
    });
    if (!followed.ok) throw new Error(followed.error.message);
    expect(await followed.value.exited).toBe(0);
    expect(lines.map((line) => line.length)).toEqual([MAX_LINE_CHARS, "next".length]);
  });

  test("ends with its signal", async () => {
    const abort = new AbortController();
    const followed = followCommand(sh("echo ready; sleep 30"), { signal: abort.signal, onLine: () => abort.abort() });
    if (!followed.ok) throw new Error(followed.error.message);
    expect(await followed.value.exited).toBe(137);
  });

  test("says that there is no such program", () => {
    const followed = followCommand(["hatchway-has-no-such-program"], {
      signal: new AbortController().signal,
      onLine: () => undefined,
    });
    expect(followed).toMatchObject({ ok: false, error: { kind: "missing" } });
  });
});
