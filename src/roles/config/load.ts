import { dirname, resolve } from "node:path";
import { PUBLIC_ONLY } from "../../core/exit-rule.ts";
import { partOf } from "../../core/forward.ts";
import { messageOf } from "../../os/errors.ts";
import { readPrivateText, readText } from "../../os/files.ts";
import { ControlError } from "../../servers/local/control.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { settleProtocol } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";
import type {
  AgentSettings,
  CertificateFiles,
  CheckSettings,
  ConsoleSettings,
  ForwardSpec,
  RelaySettings,
} from "../control.ts";
import { acmeSettings, httpsProblems, isConsoleTls, plainProblems } from "./acme.ts";
import { gatewayLists } from "./gateway.ts";
import { mapToml, type TomlMap } from "./locate.ts";
import { loginsOf } from "./logins.ts";
import { mapSpec } from "./map.ts";
import { metricsProblem, metricsSettings } from "./metrics.ts";
import { namesProblems, namesSettings } from "./names.ts";
import { type Problem, problemsOf, renderProblem } from "./problem.ts";
import { ConfigFile, keysAt } from "./schema.ts";
import { exposeSpec, forwardSpec, socksSpec } from "./specs.ts";
import { sshSettings } from "./ssh.ts";

/** Bytes of text above which a file is not a configuration. */
const MAX_CONFIG_CHARS = 1_000_000;
const MAX_PROBLEMS = 20;

/** A config file that is right: typed, with the forwards it lists. */
export interface Config {
  /** Null = there is no file: everything is at its default. */
  readonly path: string | null;
  readonly file: ConfigFile;
  readonly forwards: readonly ForwardSpec[];
}

export const EMPTY_CONFIG: Config = { path: null, file: {}, forwards: [] };

/**
 * Reads hatchway.toml. Rejects with ControlError `usage`: each problem on a line of its own that begins with
 * `FILE:LINE:COLUMN:`. `required`: the file was named by a person, so it must be there.
 */
export async function loadConfig(path: string, required: boolean): Promise<Config> {
  const read = await readText(path);
  if (!read.ok) throw new ControlError("usage", read.error.message, { cause: read.error.cause });
  if (read.value === null) {
    if (required) throw new ControlError("usage", `There is no config file ${path}.`);
    return EMPTY_CONFIG;
  }
  return readConfig(read.value, path);
}

/** The config in `text`; `path` names it in messages, and password files are found beside it. */
export async function readConfig(text: string, path: string): Promise<Config> {
  if (text.length > MAX_CONFIG_CHARS) throw new ControlError("usage", `${path} is too big to be a config file.`);
  const map = mapToml(text);
  const raw = parseToml(text, path, map);
  const parsed = ConfigFile.safeParse(raw);
  if (!parsed.success) throw report(path, map, problemsOf(parsed.error.issues, raw, keysAt));
  const { forwards, problems } = await specsOf(parsed.data, path);
  problems.push(...gatewayLists(parsed.data, (file) => resolve(dirname(path), file)).problems);
  problems.push(...httpsProblems(parsed.data));
  problems.push(...namesProblems(parsed.data));
  const ofMetrics = metricsProblem(parsed.data.metrics);
  if (ofMetrics !== null) problems.push(ofMetrics);
  if (problems.length > 0) throw report(path, map, problems);
  return { path, file: parsed.data, forwards };
}

function parseToml(text: string, path: string, map: TomlMap): unknown {
  try {
    return Bun.TOML.parse(text);
  } catch (cause) {
    // The parser does not say where; the first cut between statements that does not parse does.
    const { statementEnds } = map;
    let good = -1;
    let bad = statementEnds.length - 1;
    while (good + 1 < bad) {
      const middle = (good + 1 + bad) >> 1;
      if (tomlError(text.slice(0, statementEnds[middle])) === null) good = middle;
      else bad = middle;
    }
    const { line, column } = map.at(statementEnds[good] ?? 0);
    const detail = tomlError(text.slice(0, statementEnds[bad])) ?? cause;
    const message = messageOf(detail).replace(/^TOML Parse error: /, "");
    const sentence = /[.?!]$/.test(message) ? message : `${message}.`;
    throw new ControlError("usage", `${path}:${line}:${column}: This is not TOML: ${sentence}`, { cause });
  }
}

function tomlError(text: string): unknown {
  try {
    Bun.TOML.parse(text);
    return null;
  } catch (error) {
    return error;
  }
}

function report(path: string, map: TomlMap, problems: readonly Problem[]): ControlError {
  const lines = problems
    .map((problem) => ({ problem, at: map.find(problem.path) }))
    .sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
    .map(({ problem, at }) => `${path}:${at.line}:${at.column}: ${renderProblem(subjectOf(problem.path), problem)}`);
  const more = lines.length - MAX_PROBLEMS;
  const shown = more > 0 ? [...lines.slice(0, MAX_PROBLEMS), `${path}: ${more} more problems.`] : lines;
  return new ControlError("usage", shown.join("\n"));
}

function subjectOf(path: readonly PropertyKey[]): string {
  const key = path.findLast((part) => typeof part === "string");
  return key === undefined ? "The file" : `"${key}"`;
}

async function specsOf(
  file: ConfigFile,
  path: string,
): Promise<{ readonly forwards: ForwardSpec[]; readonly problems: Problem[] }> {
  const forwards: ForwardSpec[] = [];
  const problems: Problem[] = [];
  const names = new Map<string, string>();
  const ids = new Set<string>();
  const add = (section: string, index: number, name: string | undefined, made: Result<ForwardSpec, Problem>) => {
    if (!made.ok) {
      problems.push({ ...made.error, path: [section, index, ...made.error.path] });
      return;
    }
    const { id } = partOf(made.value);
    const holder = name === undefined ? undefined : names.get(name);
    if (holder !== undefined) {
      problems.push({
        path: [section, index, "name"],
        message: `is used by ${holder} already: give each forward its own name`,
      });
    } else if (ids.has(id)) {
      problems.push({ path: [section, index], message: "is listed twice: remove one of the two" });
    }
    if (name !== undefined) names.set(name, `an entry of [[${section}]]`);
    ids.add(id);
    forwards.push(made.value);
  };
  for (const [index, entry] of (file.expose ?? []).entries()) {
    const logins = await loginsOf(entry, (name) => resolve(dirname(path), name));
    if (logins.ok) add("expose", index, entry.name, exposeSpec(entry, undefined, logins.value));
    else problems.push({ ...logins.error, path: ["expose", index, "basic-auth-file"] });
  }
  for (const [index, entry] of (file.forward ?? []).entries()) add("forward", index, entry.name, forwardSpec(entry));
  for (const [index, entry] of (file.map ?? []).entries()) add("map", index, entry.name, mapSpec(entry));
  for (const [index, entry] of (file.socks ?? []).entries()) {
    const passwordFile = entry["password-file"];
    const password = passwordFile === undefined ? null : await readPassword(resolve(dirname(path), passwordFile));
    if (password !== null && typeof password !== "string") {
      problems.push({ ...password, path: ["socks", index, "password-file"] });
    } else {
      add("socks", index, entry.name, socksSpec(entry, password));
    }
  }
  return { forwards, problems };
}

/** The first line of a password file, or what is wrong with it. The message never holds a part of it. */
export async function readPassword(path: string): Promise<string | Problem> {
  const read = await readPrivateText(path);
  if (!read.ok) return { path: [], message: read.error.message };
  if (read.value === null) return { path: [], message: `There is no password file ${path}.` };
  const password = read.value.split(/\r?\n/, 1)[0] ?? "";
  if (password === "" || Buffer.byteLength(password) > 255) {
    return { path: [], message: `The first line of ${path} must be a password of 1 to 255 bytes.` };
  }
  return password;
}

/** Throws ControlError `usage` when one is named without the other. */
function certificateFiles(
  config: Config,
  section: "relay" | "agent" | "console",
  given: { readonly certificate?: string; readonly key?: string },
): CertificateFiles | null {
  const certificate = besideConfig(config, given.certificate);
  const key = besideConfig(config, given.key);
  if (certificate !== null && key !== null) return { certificate, key };
  if (certificate === null && key === null) return null;
  const lacking = certificate === null ? "certificate" : "key";
  throw new ControlError("usage", `[${section}] has no ${lacking}: certificate and key go together.`);
}

/** An absolute path for one that the config file names. */
export function pathBeside(config: Config): (path: string) => string {
  return (path) => besideConfig(config, path) ?? path;
}

function besideConfig(config: Config, path: string | undefined): string | null {
  if (path === undefined) return null;
  return config.path === null ? resolve(path) : resolve(dirname(config.path), path);
}

const DEFAULT_LISTEN = { host: "0.0.0.0", port: 7744 } as const;
const DEFAULT_POOL = { protocol: null, first: 1_024, last: 65_535, internalFirst: 1_024 } as const;

/** `[relay]` with its defaults. */
export function relaySettings(config: Config): RelaySettings {
  const relay = config.file.relay ?? {};
  return {
    listen: relay.listen ?? DEFAULT_LISTEN,
    publicHost: relay.public ?? null,
    ports: settleProtocol(relay.ports ?? { ranges: [DEFAULT_POOL] }, "tcp+udp"),
    allow: relay.allow ?? PUBLIC_ONLY,
    certificate: certificateFiles(config, "relay", relay),
    clientCa: besideConfig(config, relay["client-ca"]),
    stun: relay.stun ?? true,
    proxyProtocolFrom: relay["proxy-protocol-from"] ?? [],
    check: checkSettings(config.file.check ?? {}),
    console: consoleSettings(config),
    metrics: metricsSettings(config.file.metrics, pathBeside(config)),
    ...sshSettings(config.file.ssh, pathBeside(config)),
    ...(relay["upgrade-drain"] === undefined ? {} : { upgradeDrainSec: relay["upgrade-drain"] }),
    ...namesSettings(config.file.names, pathBeside(config)),
  };
}

/** `[console]` with its defaults; null = there is none. */
export function consoleSettings(config: Config): ConsoleSettings | null {
  const listen = config.file.console?.listen;
  return listen === undefined ? null : consoleAt(config, listen);
}

/** `[console]` with its defaults, at another place than it says. */
export function consoleAt(config: Config, listen: HostPort): ConsoleSettings {
  const section = config.file.console ?? {};
  const acme = acmeSettings(config.file, pathBeside(config));
  const countries = besideConfig(config, section["country-database"]);
  // The place may be of the command line: the file alone was in order.
  const [plain] = plainProblems(config.file, listen);
  if (plain !== undefined) throw new ControlError("usage", renderProblem(subjectOf(plain.path), plain));
  return {
    listen,
    hosts: section.hosts ?? [],
    certificate: certificateFiles(config, "console", section),
    tls: isConsoleTls(config.file, listen),
    trustedProxies: section["trusted-proxies"] ?? [],
    ...(acme === null ? {} : { acme }),
    ...(countries === null ? {} : { countryDatabase: countries }),
    ...(section["proxy-protocol-from"] === undefined ? {} : { proxyProtocolFrom: section["proxy-protocol-from"] }),
    ...(section.hsts === undefined ? {} : { hstsSec: section.hsts }),
  };
}

/** `[check]` with its defaults. */
function checkSettings(check: NonNullable<ConfigFile["check"]>): CheckSettings {
  return {
    listen: check.listen ?? null,
    hosts: check.hosts ?? [],
    private: check.private ?? false,
    trustedProxies: check["trusted-proxies"] ?? [],
  };
}

/** `[agent]` with its defaults, and what the file lists. */
export function agentSettings(config: Config): AgentSettings {
  const agent = config.file.agent ?? {};
  return {
    name: agent.name ?? null,
    relay: agent.relay ?? null,
    allow: agent.allow ?? [],
    managed: agent.managed ?? null,
    certificate: certificateFiles(config, "agent", agent),
    ca: besideConfig(config, agent.ca),
    forwards: config.forwards,
  };
}
