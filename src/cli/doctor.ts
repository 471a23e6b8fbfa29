import { join, resolve } from "node:path";
import type { Command } from "commander";
import { type Finding, summaryOf, worstOf } from "../core/doctor/model.ts";
import { nowMs } from "../os/clock.ts";
import { createFile } from "../os/files.ts";
import { lookAtPath } from "../os/look.ts";
import type { Doctor } from "../roles/control.ts";
import { ControlError, EXIT_CODES } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { findPlace, type Place, SYSTEM_DIRECTORY } from "./data-dir.ts";
import { doctorView } from "./doctor-view.ts";

interface DoctorOptions {
  /** True: with the name that it gets by itself. */
  readonly bundle?: string | true;
}

export function defineDoctor(program: Command, run: Run): void {
  program
    .command("doctor")
    .summary("look at everything here, and say what is wrong and how to mend it")
    .description(
      "Looks at this machine, its data directory, the link to the relay, the forwards and their services, the router, and the relay and gateway that run here. It changes nothing, and opens no port.",
    )
    .option("--bundle [FILE]", "write a report for a bug report as well, without secrets (FILE in .json: as JSON)")
    .addHelpText(
      "after",
      `
Marks: ✓ right, • good to know, ! a warning, ✗ a failure, – skipped (with --verbose). Behind → stands what to do.
Exit code 0: nothing is wrong, 1: at least one failure, 5: warnings only.
With --json, one line: {"v":1,"checks":[{"id":…,"section":"machine"|"data"|"link"|"forwards"|"router"|"gateway"|"relay",
  "state":"ok"|"warning"|"failure"|"skipped","sentence":…,"remedy":…|null}],"worst":"ok"|"warning"|"failure"},
  and with --bundle also "bundle":FILE. Several of a kind have a name in their id: "forward:web".
The report has the checks, versions, this system, the status of what runs, the forwards, the config, the router's answers
and the last log lines. Keys, codes and passwords are not in it; public addresses and names are replaced by words such
as address-1. Read it before you send it.

Examples:
  hatchway doctor
  hatchway doctor --verbose --data /srv/hatchway
  hatchway doctor --bundle`,
    )
    .action(async (given: DoctorOptions, command: Command) => run(command, (context) => doctor(context, given)));
}

async function doctor(context: Context, { bundle }: DoctorOptions): Promise<number> {
  const { io, options } = context;
  const { place, isConfigNamed, configPath } = await placeOf(context);
  const bundlePath = bundle === undefined ? null : await newPath(bundle);
  // A log line would tear the line that says what is being looked at.
  if (!options.verbose) await io.startLog("error");
  const open = await io.roles.doctor();
  const subject = open({
    dataDir: place.paths.directory,
    configPath,
    isConfigNamed,
    systemDir: place.paths.directory === SYSTEM_DIRECTORY ? null : SYSTEM_DIRECTORY,
    isRoot: io.isRoot,
    signal: io.stop,
  });
  const findings = await examined(context, subject);
  const worst = worstOf(findings);
  const written = bundlePath === null ? null : await writeBundle(subject, findings, bundlePath);
  if (options.json) {
    const checks = findings.map(({ id, section, state, sentence, remedy }) => ({
      id,
      section,
      state,
      sentence,
      remedy,
    }));
    io.out(`${JSON.stringify({ v: 1, checks, worst, ...(written === null ? {} : { bundle: written }) })}\n`);
  } else {
    io.out(`\n${summaryOf(findings)}${options.verbose ? "" : skippedText(findings)}\n`);
    if (written !== null) io.err(bundleText(written));
  }
  return EXITS[worst];
}

const EXITS = { ok: EXIT_CODES.ok, warning: EXIT_CODES.warnings, failure: EXIT_CODES.failed } as const;

function skippedText(findings: readonly Finding[]): string {
  const count = findings.filter(({ state }) => state === "skipped").length;
  if (count === 0) return "";
  return count === 1
    ? " 1 check does not apply here; --verbose lists it."
    : ` ${count} checks do not apply here; --verbose lists them.`;
}

/** Shows each finding as it comes. */
async function examined({ io, options }: Context, subject: Doctor): Promise<Finding[]> {
  const view = options.json ? null : doctorView(io, options.verbose === true);
  const findings: Finding[] = [];
  try {
    for await (const event of subject.examine()) {
      if (event.kind === "checking") view?.checking(event.doing);
      else {
        findings.push(event.finding);
        view?.found(event.finding);
      }
    }
  } finally {
    view?.clear();
  }
  if (io.stop.aborted) throw new ControlError("failed", "Stopped before every check was made.");
  return findings;
}

/**
 * Where the data is. A config file with a mistake, or one that is not there, is a finding and no reason to give up: then
 * the directory is the one that it would be without that file.
 */
async function placeOf(
  context: Context,
): Promise<{ readonly place: Place; readonly isConfigNamed: boolean; readonly configPath: string }> {
  const named = context.options.config;
  const { config: _, ...others } = context.options;
  const unnamed = { ...context, options: others };
  const found = await findPlace(context, await roleOf(context)).catch((error: unknown) => {
    if (error instanceof ControlError && named !== undefined) return findPlace(unnamed, "agent");
    throw error;
  });
  const configPath = named === undefined ? join(found.paths.directory, "hatchway.toml") : resolve(named);
  return { place: found, isConfigNamed: named !== undefined, configPath };
}

/** The role whose section of the named config file says where the data is. */
async function roleOf({ options }: Context): Promise<"agent" | "relay" | "gateway"> {
  if (options.config === undefined || options.data !== undefined) return "agent";
  const { loadConfig } = await import("../roles/config/load.ts");
  const { file } = await loadConfig(resolve(options.config), true).catch(() => ({ file: null }));
  return (["agent", "relay", "gateway"] as const).find((role) => file?.[role]?.data !== undefined) ?? "agent";
}

/** Where the report goes; ControlError `usage` when something is there: it is seen before the checks are made. */
async function newPath(given: string | true): Promise<string> {
  const day = new Date(nowMs()).toISOString().slice(0, "2026-01-01".length);
  const path = resolve(given === true ? `hatchway-report-${day}.txt` : given);
  if ((await lookAtPath(path)).kind !== "missing") throw isThere(path);
  return path;
}

/** Which nobody else may read. */
async function writeBundle(subject: Doctor, findings: readonly Finding[], path: string): Promise<string> {
  const text = await subject.report(findings, path.endsWith(".json") ? "json" : "text");
  const made = await createFile(path, text);
  if (!made.ok) throw new ControlError("failed", made.error.message, { cause: made.error.cause });
  if (made.value === "created") return path;
  throw isThere(path);
}

function isThere(path: string): ControlError {
  return new ControlError("usage", `${path} is there already: name another with --bundle FILE, or remove it.`);
}

function bundleText(path: string): string {
  return `
The report is in ${path}
In it are the checks above, versions, this system, the status of what runs here, the
forwards, the config, the router's answers and the last log lines. Keys, codes and
passwords are left out; public addresses and names are replaced, by address-1 and so
on. Read it before you send it.
`;
}
