import type { Result } from "../../wire/result.ts";

export const SERVICE_ROLES = ["relay", "agent", "gateway"] as const;
export type ServiceRole = (typeof SERVICE_ROLES)[number];

/** What keeps the program running: systemd on Linux, launchd on macOS, the Task Scheduler on Windows. */
export const SERVICE_MANAGERS = ["systemd", "launchd", "windows"] as const;
export type ServiceManager = (typeof SERVICE_MANAGERS)[number];

/** A service of the machine, or one of the person who installs it. */
export type ServiceScope = "system" | "user";

/** What a service file is made of. Paths are absolute. */
export interface ServiceSpec {
  readonly role: ServiceRole;
  readonly scope: ServiceScope;
  /** What starts the program, before the name of a command. */
  readonly program: readonly string[];
  readonly dataDir: string;
  /** Null: hatchway.toml in the data directory, if it is there. */
  readonly configFile: string | null;
  /** Whom it runs as. Null: whoever the manager takes, which for a user's own service is the user. */
  readonly user: string | null;
  /** A relay that is a gateway as well ([gateway] in its config): it starts as root, as a gateway does. */
  readonly withGateway: boolean;
  /** Of an agent: --no-relay. */
  readonly withoutRelay: boolean;
  /** The PATH that it gets; null = the manager's. Where Bun is not beside the program. */
  readonly path: string | null;
}

/** A file for a service manager. */
export interface ServiceFile {
  readonly name: string;
  readonly text: string;
}

/** A service file from a spec; an error is a sentence. */
export type RenderService = (spec: ServiceSpec) => Result<string, string>;

const COMMANDS: Readonly<Record<ServiceRole, string>> = { relay: "serve", agent: "agent", gateway: "gateway" };

/** The program with its arguments, as the service starts it. */
export function serviceArgv({ program, role, dataDir, configFile, withoutRelay }: ServiceSpec): string[] {
  return [
    ...program,
    COMMANDS[role],
    ...(withoutRelay ? ["--no-relay"] : []),
    "--data",
    dataDir,
    ...(configFile === null ? [] : ["--config", configFile]),
  ];
}

/** Root starts it, and it becomes another user by itself (docs/decisions/0014). */
export function startsAsRoot({ role, withGateway }: Pick<ServiceSpec, "role" | "withGateway">): boolean {
  return role === "gateway" || withGateway;
}

/** `hatchway-relay`: of the unit, and in sentences. */
export function serviceName(role: ServiceRole): string {
  return `hatchway-${role}`;
}

/** No service file has a place for a line's end in a path. */
export function unwritable({ program, dataDir, configFile, path }: ServiceSpec): string | null {
  const texts = [...program, dataDir, configFile ?? "", path ?? ""];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const bad = texts.find((text) => /[\x00-\x1f\x7f]/.test(text));
  return bad === undefined ? null : `A path with a control character cannot be in a service: ${JSON.stringify(bad)}.`;
}
