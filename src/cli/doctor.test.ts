import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRoles } from "../../test/fixtures/no-roles.ts";
import { type Finding, failure, fine, skipped, warning } from "../core/doctor/model.ts";
import type { OpenDoctorOptions } from "../roles/control.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-doctor-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const GOOD: Finding = { id: "clock", section: "machine", ...fine("It is noon.") };
const NOTE: Finding = { id: "joined", section: "link", ...fine("Nothing is set up.", "one\ntwo") };
const SKIPPED: Finding = { id: "vpn", section: "gateway", ...skipped("There is none.") };
const WARNING: Finding = { id: "disk", section: "data", ...warning("It is nearly full.", "Make room.") };
const FAILURE: Finding = { id: "forward:web", section: "forwards", ...failure("It is\u001b[2J dead.", "Mend it.") };

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly opened: OpenDoctorOptions | null;
}

async function doctor(
  findings: readonly Finding[],
  args: readonly string[] = [],
  parts: {
    readonly terminal?: boolean;
    readonly columns?: number;
    readonly stopAt?: number;
    readonly env?: Io["env"];
  } = {},
): Promise<Outcome> {
  let out = "";
  let err = "";
  let opened: OpenDoctorOptions | null = null;
  const stop = new AbortController();
  const io: Io = {
    env: { HATCHWAY_DATA: "/d", ...parts.env },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stdin: async () => "",
    isTerminal: parts.terminal ?? false,
    columns: parts.columns ?? 80,
    isRoot: true,
    stop: stop.signal,
    stopNow: new AbortController().signal,
    onHangup: () => () => {},
    startLog: async () => {},
    roles: noRoles({
      doctor: async () => (options) => {
        opened = options;
        return {
          async *examine() {
            for (const [index, finding] of findings.entries()) {
              if (index === parts.stopAt) stop.abort();
              if (options.signal.aborted) return;
              yield { kind: "checking", section: finding.section, doing: `Looking at ${finding.id}` };
              yield { kind: "found", finding };
            }
          },
          report: async (found, format) => `${format} of ${found.length}\n`,
        };
      },
    }),
  };
  const code = await runProgram(["doctor", ...args], io);
  return { code, out, err, opened };
}

describe("exit code by the worst", () => {
  test.each([
    ["well", [GOOD, SKIPPED], 0, "Nothing is wrong."],
    ["good to know", [GOOD, NOTE], 0, "Nothing is wrong."],
    ["warnings only", [GOOD, WARNING], 5, "1 warning."],
    ["a failure", [WARNING, FAILURE], 1, "1 problem, 1 warning."],
  ] as const)("%s", async (_name, findings, code, summary) => {
    const outcome = await doctor(findings);
    expect(outcome.code).toBe(code);
    expect(outcome.out).toContain(summary);
    expect(outcome.err).toBe("");
  });
});

test("a line a check under its section, then what to do; skipped ones are counted", async () => {
  const { out } = await doctor([GOOD, WARNING, NOTE, FAILURE, SKIPPED]);
  expect(out).toBe(`Machine
  ✓ clock           It is noon.

Data directory
  ! disk            It is nearly full.
                    → Make room.

Link to the relay
  • joined          Nothing is set up.
                    → one
                      two

Forwards
  ✗ web             It is?[2J dead.
                    → Mend it.

1 problem, 1 warning. 1 check does not apply here; --verbose lists it.
`);
  const verbose = await doctor([GOOD, SKIPPED], ["--verbose"]);
  expect(verbose.out).toContain("Gateway of this machine\n  – vpn             There is none.\n\nNothing is wrong.\n");
});

describe("on a terminal", () => {
  test("what runs is shown and written over; lines are broken between words; colours but with NO_COLOR", async () => {
    const long: Finding = { ...GOOD, sentence: "one two three four five six seven eight nine ten eleven." };
    const { out } = await doctor([long], [], { terminal: true, columns: 50, env: { NO_COLOR: "1" } });
    expect(out).toBe(
      [
        "\r\u001b[2K  Looking at clock …\r\u001b[2KMachine\n",
        "  ✓ clock           one two three four five six\n",
        "                    seven eight nine ten eleven.\n",
        "\nNothing is wrong.\n",
      ].join(""),
    );
    expect((await doctor([GOOD], [], { terminal: true })).out).toContain("\u001b[32m✓");
    expect((await doctor([GOOD])).out).not.toContain("\u001b");
  });

  test("the last progress line is gone at the end", async () => {
    const { out } = await doctor([SKIPPED], [], { terminal: true, env: { NO_COLOR: "1" } });
    expect(out).toContain("Looking at vpn …\r\u001b[2K\n");
  });
});

test("--json: one object, skipped ones too", async () => {
  const { out, code } = await doctor([FAILURE, SKIPPED], ["--json"], { terminal: true });
  expect(code).toBe(1);
  expect(JSON.parse(out)).toEqual({ v: 1, checks: [FAILURE, SKIPPED], worst: "failure" });
  expect(out.split("\n")).toHaveLength(2);
});

test("Ctrl-C: what was found stands, and it is no success", async () => {
  const { out, err, code } = await doctor([GOOD, FAILURE], [], { stopAt: 1 });
  expect(code).toBe(1);
  expect(out).toContain("It is noon.");
  expect(err).toContain("Stopped before every check was made.");
});

describe("--bundle", () => {
  test("writes a file for its owner alone, replaces none, and says what is in it", async () => {
    const file = join(root, "report.txt");
    const { err, code } = await doctor([WARNING], ["--bundle", file]);
    expect(code).toBe(5);
    expect(err).toContain(file);
    expect(err).toContain("Read it before you send it");
    expect(readFileSync(file, "utf8")).toBe("text of 1\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await doctor([WARNING], ["--bundle", file]);
    expect(again).toMatchObject({ code: 2, err: expect.stringContaining("is there already") });
  });

  test("as JSON, by its name; with --json its path is in the answer", async () => {
    const file = join(root, "report.json");
    const { out } = await doctor([], ["--bundle", file, "--json"]);
    expect(JSON.parse(out)).toEqual({ v: 1, checks: [], worst: "ok", bundle: file });
    expect(readFileSync(file, "utf8")).toBe("json of 0\n");
  });
});

describe("whose data", () => {
  test("the directory of the section that names it", async () => {
    const config = join(root, "relay.toml");
    writeFileSync(config, '[relay]\ndata = "there"\n');
    const { opened } = await doctor([], ["--config", config], { env: { HATCHWAY_DATA: "" } });
    expect(opened).toMatchObject({ dataDir: join(root, "there"), configPath: config, isConfigNamed: true });
  });

  test("a config file with a mistake is a finding, and no reason to give up", async () => {
    const config = join(root, "broken.toml");
    writeFileSync(config, "[relay\n");
    const { opened, code } = await doctor([GOOD], ["--config", config], { env: { HATCHWAY_DATA: "" } });
    expect(code).toBe(0);
    expect(opened).toMatchObject({ dataDir: "/var/lib/hatchway", configPath: config, systemDir: null });
  });
});
