import type { UpstreamSpec } from "../core/forward.ts";
import { MapEntry, mapSpec } from "../roles/config/map.ts";
import { type Problem, problemsOf, renderProblem } from "../roles/config/problem.ts";
import { closest } from "../roles/config/suggest.ts";
import { OpenPortError } from "./error.ts";
import type { OpenPortOptions } from "./hatchway.d.ts";

/** The keys of a `[[map]]` entry under the names that an app writes. */
const KEYS = {
  protocol: "protocol",
  externalPort: "as",
  samePort: "same-port",
  to: "to",
  family: "family",
  lifetimeSec: "lifetime",
  protocolOnly: "protocol-only",
  router: "router",
  name: "name",
} as const satisfies Record<Exclude<keyof OpenPortOptions, "signal">, keyof MapEntry>;
const NAMES = new Map<string, string>(Object.entries(KEYS).map(([name, key]) => [key, name]));
const KNOWN = [...Object.keys(KEYS), "signal"];
/** Whom nobody keeps a list of needs no id of its own. */
const ID = "library";

/** What an app asks for, checked as the command line's and the config file's is. Throws OpenPortError `usage`. */
export function specOf(ports: number | string, options: OpenPortOptions): UpstreamSpec {
  const entry: Record<string, unknown> = { ports };
  for (const [name, value] of Object.entries(options)) {
    if (!KNOWN.includes(name)) throw unknownOption(name);
    if (value === undefined || name === "signal") continue;
    entry[KEYS[name as keyof typeof KEYS]] = name === "lifetimeSec" ? durationOf(value) : value;
  }
  checkSignal(options.signal);
  const parsed = MapEntry.safeParse(entry);
  const [problem] = parsed.success ? [] : problemsOf(parsed.error.issues, entry, () => []);
  if (problem !== undefined) throw usage(problem);
  const spec = parsed.success ? mapSpec(parsed.data, ID) : null;
  if (spec?.ok !== true) throw usage(spec?.error ?? { path: [], message: "is not understood" });
  return spec.value.upstream;
}

function durationOf(seconds: unknown): string {
  if (typeof seconds === "number" && Number.isSafeInteger(seconds) && seconds >= 0) return `${seconds}s`;
  throw new OpenPortError("usage", "lifetimeSec must be a whole number of seconds.");
}

function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new OpenPortError("usage", "signal must be an AbortSignal: the `signal` of an AbortController.");
}

function unknownOption(name: string): OpenPortError {
  const meant = closest(name, KNOWN);
  const rest = meant === null ? `the options are ${KNOWN.join(", ")}.` : `did you mean ${meant}?`;
  return new OpenPortError("usage", `There is no option ${JSON.stringify(name)}: ${rest}`);
}

/** In one line: nobody reads a caret below an error's message. */
function usage({ path, message, place, suggestion = place?.error.suggestion }: Problem): OpenPortError {
  const key = String(path[0] ?? "ports");
  const said = { path, message, ...(suggestion === undefined ? {} : { suggestion }) };
  return new OpenPortError("usage", renderProblem(NAMES.get(key) ?? key, said));
}
