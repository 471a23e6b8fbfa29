import { resolve } from "node:path";
import { type Command, Option } from "commander";
import type { Problem } from "../roles/config/problem.ts";
import type { ExposeEntry } from "../roles/config/schema.ts";
import type { ForwardSpec, MappingDraft, RemoteForwardSpec, UpstreamForwardSpec } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Result } from "../wire/result.ts";

/** A command-line option that is a key of hatchway.toml as well: same name, same values, same checks. */
export interface EntryOption {
  readonly flags: string;
  readonly text: string;
  readonly kind: "text" | "number" | "list" | "flag" | "flag-or-text";
}

const SERVICE: readonly EntryOption[] = [
  {
    flags: "--protocol <PROTOCOL>",
    text: "tcp, udp or tcp+udp, for ports that do not say it (default: tcp)",
    kind: "text",
  },
  {
    flags: "--proxy-protocol <VERSION>",
    text: "tell the service who the visitor is: v1 or v2 (UDP: v2)",
    kind: "text",
  },
  {
    flags: "--health-check [INTERVAL]",
    text: "refuse visitors while the TCP service is down (default interval: 10s)",
    kind: "flag-or-text",
  },
];
const ADMISSION: readonly EntryOption[] = [
  { flags: "--name <NAME>", text: "a name for lists and commands (default: the ports)", kind: "text" },
  { flags: "--allow <CIDR>", text: "only these sources may connect; repeat for more", kind: "list" },
  { flags: "--deny <CIDR>", text: "these sources may not connect; wins over --allow; repeat for more", kind: "list" },
  { flags: "--connections <N>", text: "connections and flows open at once", kind: "number" },
  { flags: "--connections-per-source <N>", text: "the same, for one source address (IPv6: its /64)", kind: "number" },
  { flags: "--new-per-source <RATE>", text: "new connections for one source: 5/s, 300/m", kind: "number" },
  { flags: "--bandwidth <RATE>", text: 'both directions together: "10 MB/s", "100 Mbit/s"', kind: "text" },
  { flags: "--idle <DURATION>", text: "end a silent TCP connection: 90s, 10m, never (default: never)", kind: "text" },
  { flags: "--udp-idle <DURATION>", text: "end a silent UDP flow (default: 120s)", kind: "text" },
];
const EXPOSE: readonly EntryOption[] = [
  { flags: "--to <HOST>", text: "the host of the service (default: 127.0.0.1)", kind: "text" },
  {
    flags: "--as <PORTSET>",
    text: "the public ports, one for one; any = free ones of the pool (default: the same)",
    kind: "text",
  },
  ...SERVICE,
  ...ADMISSION,
  {
    flags: "--host <NAME>",
    text: "a site of this name on the relay's ports for HTTP and TLS, instead of ports of its own; repeat for more",
    kind: "list",
  },
  {
    flags: "--tls <MODE>",
    text: "with --host: end (the relay has the certificate, the default), pass (the service has it) or off (plain HTTP)",
    kind: "text",
  },
  { flags: "--http2", text: "with --host: the service speaks HTTP/2 without TLS, such as gRPC", kind: "flag" },
  {
    flags: "--basic-auth-file <FILE>",
    text: "with --host: who may come in, a line USER:PASSWORD for each",
    kind: "text",
  },
  { flags: "--group <NAME>", text: "share the entry, and its visitors, with devices of the same group", kind: "text" },
  {
    flags: "--lifetime <DURATION>",
    text: "keep the ports reserved while this agent is away: 10m, permanent (default: 10m)",
    kind: "text",
  },
];

const MAP: readonly EntryOption[] = [
  {
    flags: "--to <ADDRESS>",
    text: "the host of the local network to send them to (default: this machine)",
    kind: "text",
  },
  {
    flags: "--as <PORTSET>",
    text: "the outside ports, one for one; any = whichever the router likes (default: the same)",
    kind: "text",
  },
  {
    flags: "--protocol <PROTOCOL>",
    text: "tcp, udp or tcp+udp, for ports that do not say it (default: tcp)",
    kind: "text",
  },
  { flags: "--lifetime <DURATION>", text: "the lease to ask for, renewed at its half (default: 1h)", kind: "text" },
  { flags: "--same-port", text: "the wanted outside port or none; ranges are so always", kind: "flag" },
  { flags: "--family <FAMILY>", text: "ipv4, ipv6 or both (default: both, where there are both)", kind: "text" },
  {
    flags: "--protocol-only <PROTOCOL>",
    text: "ask the router in pcp, nat-pmp, igd, igd2 or igd1 only (default: the best it speaks)",
    kind: "text",
  },
  { flags: "--router <ADDRESS>", text: "the router to ask (default: this machine's gateway)", kind: "text" },
  { flags: "--name <NAME>", text: "a name for lists, the router's too (default: the ports)", kind: "text" },
];

export const EXPOSE_OPTIONS = EXPOSE;
export const MAP_OPTIONS = MAP;
export const DIRECT_OPTIONS: readonly EntryOption[] = [...SERVICE, ...ADMISSION];

export function addEntryOptions(command: Command, options: readonly EntryOption[]): Command {
  for (const { flags, text, kind } of options) {
    const option = new Option(flags, text);
    if (kind === "list") option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
  }
  return command;
}

/** The options a person gave, as a table of hatchway.toml. */
export function entryOf(
  given: Readonly<Record<string, unknown>>,
  options: readonly EntryOption[],
): Record<string, unknown> {
  const entry: Record<string, unknown> = {};
  for (const { flags, kind } of options) {
    const key = keyOf(flags);
    const value = given[camelCase(key)];
    if (value === undefined) continue;
    entry[key] = kind === "number" && typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  }
  return entry;
}

/** Throws ControlError `usage` with every problem, each under the option's or argument's name. */
export function failWith(
  problems: readonly Problem[],
  names: Readonly<Record<string, string>>,
  render: (subject: string, problem: Problem) => string,
): never {
  const lines = problems.map((problem) => {
    const key = problem.path.find((part) => typeof part === "string");
    return render(key === undefined ? "The request" : (names[key] ?? `--${key}`), problem);
  });
  throw new ControlError("usage", lines.join("\n"));
}

/** A remote forward from `expose`'s and `forward add`'s arguments. */
export async function exposeSpecOf(
  ports: string,
  given: Readonly<Record<string, unknown>>,
): Promise<RemoteForwardSpec> {
  const { exposeSpec } = await import("../roles/config/specs.ts");
  const { loginsOf } = await import("../roles/config/logins.ts");
  return remoteSpecOf(ports, given, async (entry) => {
    const logins = await loginsOf(entry, (path) => resolve(path));
    return logins.ok ? exposeSpec(entry, undefined, logins.value) : logins;
  });
}

async function remoteSpecOf(
  ports: string,
  given: Readonly<Record<string, unknown>>,
  make: (entry: ExposeEntry) => Promise<Result<RemoteForwardSpec, Problem>> | Result<RemoteForwardSpec, Problem>,
): Promise<RemoteForwardSpec> {
  const { ExposeEntry, keysAt } = await import("../roles/config/schema.ts");
  const { problemsOf, renderProblem } = await import("../roles/config/problem.ts");
  const entry = { ...entryOf(given, EXPOSE), ports };
  const names = { ports: "PORTSET" };
  const parsed = ExposeEntry.safeParse(entry);
  if (!parsed.success)
    failWith(
      problemsOf(parsed.error.issues, entry, () => keysAt(["expose"])),
      names,
      renderProblem,
    );
  return unwrap(await make(parsed.data), names, renderProblem);
}

/** The same for a device of a relay, from `forward add --device`. */
export async function assignedSpecOf(
  ports: string,
  given: Readonly<Record<string, unknown>>,
): Promise<RemoteForwardSpec> {
  const { assignedSpec } = await import("../roles/config/specs.ts");
  const { loginsOf } = await import("../roles/config/logins.ts");
  return remoteSpecOf(ports, given, async (entry) => {
    const logins = await loginsOf(entry, (path) => resolve(path));
    return logins.ok ? assignedSpec(entry, logins.value) : logins;
  });
}

/** An upstream mapping from `map`'s arguments. */
export async function mapSpecOf(ports: string, given: Readonly<Record<string, unknown>>): Promise<UpstreamForwardSpec> {
  const { MapEntry, mapSpec } = await import("../roles/config/map.ts");
  const { problemsOf, renderProblem } = await import("../roles/config/problem.ts");
  const entry = { ...entryOf(given, MAP), ports };
  const names = { ports: "PORTSET" };
  const parsed = MapEntry.safeParse(entry);
  if (!parsed.success)
    failWith(
      problemsOf(parsed.error.issues, entry, () => Object.keys(MapEntry.shape)),
      names,
      renderProblem,
    );
  return unwrap(mapSpec(parsed.data), names, renderProblem);
}

/** A direct forward from `direct`'s arguments. */
export async function directSpecOf(
  listen: string,
  to: string,
  given: Readonly<Record<string, unknown>>,
): Promise<ForwardSpec> {
  const { ForwardEntry, keysAt } = await import("../roles/config/schema.ts");
  const { forwardSpec } = await import("../roles/config/specs.ts");
  const { problemsOf, renderProblem } = await import("../roles/config/problem.ts");
  const entry = { ...entryOf(given, DIRECT_OPTIONS), listen, to };
  const names = { listen: "LISTEN", to: "TARGET" };
  const parsed = ForwardEntry.safeParse(entry);
  if (!parsed.success)
    failWith(
      problemsOf(parsed.error.issues, entry, () => keysAt(["forward"])),
      names,
      renderProblem,
    );
  return unwrap(forwardSpec(parsed.data), names, renderProblem);
}

/** A mapping from `forward add`'s arguments, when it is for a gateway. */
export async function mappingDraftOf(ports: string, given: Readonly<Record<string, unknown>>): Promise<MappingDraft> {
  const { MappingEntry } = await import("../roles/config/gateway-schema.ts");
  const { mappingDraft } = await import("../roles/config/gateway.ts");
  const { problemsOf, renderProblem } = await import("../roles/config/problem.ts");
  const names = { ports: "PORTSET" };
  const entry = { ...entryOf(given, EXPOSE), ports };
  const foreign = Object.keys(entry).find((key) => !Object.hasOwn(MappingEntry.shape, key));
  if (foreign === "as") {
    throw new ControlError("usage", "A gateway takes no --as: write the ports as OUTSIDE:INSIDE, such as 9001:9000.");
  }
  if (foreign !== undefined) {
    throw new ControlError(
      "usage",
      `--${foreign} is for the forwards of an agent; a gateway's kernel has no such thing.`,
    );
  }
  if (given["to"] === undefined) {
    const message = "Say which client the ports lead to: --to and its address, its name, or a VPN peer's.";
    throw new ControlError("usage", message);
  }
  const parsed = MappingEntry.safeParse(entry);
  const draft = parsed.success
    ? mappingDraft(parsed.data)
    : failWith(
        problemsOf(parsed.error.issues, entry, () => Object.keys(MappingEntry.shape)),
        names,
        renderProblem,
      );
  return draft.ok ? draft.value : failWith([draft.error], names, renderProblem);
}

function unwrap<Spec extends ForwardSpec>(
  made: Result<Spec, Problem>,
  names: Readonly<Record<string, string>>,
  render: (subject: string, problem: Problem) => string,
): Spec {
  return made.ok ? made.value : failWith([made.error], names, render);
}

function keyOf(flags: string): string {
  return (flags.split(" ")[0] ?? "").replace(/^--/, "");
}

function camelCase(key: string): string {
  return key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
