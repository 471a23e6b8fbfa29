import type { UpstreamSpec } from "../core/forward.ts";
import { MapEntry, mapSpec } from "../roles/config/map.ts";
import { ok } from "../wire/result.ts";
import { type Checking, checked, signalProblem } from "./checked.ts";
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
/** Whom nobody keeps a list of needs no id of its own. */
const ID = "library";

const usage = (message: string) => new OpenPortError("usage", message);

const CHECKING: Checking<MapEntry, UpstreamSpec> = {
  schema: MapEntry,
  keys: KEYS,
  others: ["signal"],
  values: { lifetimeSec: durationOf },
  specOf: (entry) => {
    const made = mapSpec(entry, ID);
    return made.ok ? ok(made.value.upstream) : made;
  },
  usage,
};

/** What an app asks for, checked as the command line's and the config file's is. Throws OpenPortError `usage`. */
export function specOf(ports: number | string, options: OpenPortOptions): UpstreamSpec {
  const problem = signalProblem(options.signal);
  const spec = checked(options, { ports }, CHECKING);
  if (problem !== null) throw usage(problem);
  return spec;
}

function durationOf(seconds: unknown): string {
  if (typeof seconds === "number" && Number.isSafeInteger(seconds) && seconds >= 0) return `${seconds}s`;
  throw usage("lifetimeSec must be a whole number of seconds.");
}
