import { createHash, randomUUID } from "node:crypto";
import { type LocalForwardSpec, parseVia, type RemoteForwardSpec, type Via } from "../core/forward.ts";
import { ExposeEntry, ForwardEntry, SocksEntry } from "../roles/config/schema.ts";
import { exposeSpec, forwardSpec, socksSpec } from "../roles/config/specs.ts";
import type { HostPort } from "../wire/endpoint.ts";
import { MAX_PORT, parseHost } from "../wire/endpoint.ts";
import type { Protocol } from "../wire/port-set.ts";
import { type Checking, checked, checkObject, signalProblem } from "./checked.ts";
import { HatchwayError } from "./error.ts";
import type {
  Abortable,
  ConnectOptions,
  EntryOptions,
  ExposeOptions,
  ListenOptions,
  OnSocket,
  SocksOptions,
  VisitorHandlers,
} from "./hatchway.d.ts";

/** The config file's keys under the names that an app writes. */
const ENTRY_KEYS = {
  name: "name",
  allow: "allow",
  deny: "deny",
  connections: "connections",
  connectionsPerSource: "connections-per-source",
  newPerSource: "new-per-source",
  bandwidth: "bandwidth",
  idleSec: "idle",
  udpIdleSec: "udp-idle",
} as const satisfies Record<keyof EntryOptions, keyof SocksEntry>;
const EXPOSE_KEYS = {
  ...ENTRY_KEYS,
  ports: "ports",
  protocol: "protocol",
  externalPort: "as",
  to: "to",
  group: "group",
  lifetimeSec: "lifetime",
  proxyProtocol: "proxy-protocol",
  healthCheck: "health-check",
} as const satisfies Record<keyof ExposeOptions, keyof ExposeEntry>;
const LISTEN_KEYS = {
  ...ENTRY_KEYS,
  port: "listen",
  to: "to",
  protocol: "protocol",
  via: "via",
} as const satisfies Record<keyof ListenOptions, keyof ForwardEntry>;
const SOCKS_KEYS = {
  ...ENTRY_KEYS,
  port: "listen",
  via: "via",
  username: "username",
} as const satisfies Record<Exclude<keyof SocksOptions, "password">, keyof SocksEntry>;

/** What only a service outside of the app can have. */
const OF_A_SERVICE = ["to", "proxyProtocol", "healthCheck"] as const;
const VALUES = { idleSec: seconds("idleSec"), udpIdleSec: seconds("udpIdleSec") };
const DEFAULT_VIA = "relay";
const ID_CHARACTERS = 16;

const usage = (message: string) => new HatchwayError("usage", message);

const EXPOSE: Checking<ExposeEntry, RemoteForwardSpec> = {
  schema: ExposeEntry,
  keys: EXPOSE_KEYS,
  others: ["signal"],
  values: {
    ...VALUES,
    lifetimeSec: (value) => (value === null ? "permanent" : seconds("lifetimeSec")(value)),
    healthCheck: (value) => (typeof value === "number" ? seconds("healthCheck")(value) : value),
  },
  specOf: (entry) => exposeSpec(entry, idOf),
  usage,
};
const LISTEN: Checking<ForwardEntry, LocalForwardSpec> = {
  schema: ForwardEntry,
  keys: LISTEN_KEYS,
  others: ["signal"],
  values: VALUES,
  specOf: (entry) => forwardSpec(entry, localIdOf),
  usage,
};

/** All of these throw HatchwayError `usage`. `handlers`: the app's own functions for visitors; null = a service has them. */
export function exposeSpecOf(options: ExposeOptions & Abortable, handlers: VisitorHandlers | null): RemoteForwardSpec {
  checkOptions(options);
  checkSignal(options.signal);
  const misplaced = handlers !== null ? OF_A_SERVICE.find((name) => options[name] !== undefined) : undefined;
  if (misplaced !== undefined) {
    throw usage(`${misplaced} is for a service that visitors are led to: leave it out, or the function for visitors.`);
  }
  const spec = checked(options, {}, EXPOSE);
  for (const { protocol } of handlers === null ? [] : spec.remote.ports) {
    const name = OF_PROTOCOL[protocol];
    if (handlers?.[name] !== undefined) continue;
    const ports = `${protocol.toUpperCase()} ports`;
    throw usage(`ports has ${ports}: give a function for their visitors, { ${name}: … }, or leave those ports out.`);
  }
  return spec;
}

/** Which function hears of the visitors. */
const OF_PROTOCOL = { tcp: "socket", udp: "flow" } as const satisfies Record<Protocol, keyof VisitorHandlers>;

export function handlersOf(onVisitor: unknown): VisitorHandlers | null {
  if (onVisitor === undefined) return null;
  if (typeof onVisitor === "function") return { socket: onVisitor as OnSocket };
  const handlers = typeof onVisitor === "object" && onVisitor !== null ? onVisitor : {};
  const known: readonly string[] = Object.values(OF_PROTOCOL);
  const entries = Object.entries(handlers).filter(([, value]) => value !== undefined);
  if (entries.length > 0 && entries.every(([name, value]) => known.includes(name) && typeof value === "function")) {
    return handlers;
  }
  throw usage("What is done with visitors must be a function, or functions: { socket: … }, { flow: … }, or both.");
}

export function checkOptions(options: unknown): void {
  checkObject(options, usage);
}

export function listenSpecOf(options: ListenOptions & Abortable): LocalForwardSpec {
  checkOptions(options);
  checkSignal(options.signal);
  return checked(options, { via: DEFAULT_VIA }, LISTEN);
}

export function socksSpecOf(given: SocksOptions & Abortable): LocalForwardSpec {
  checkOptions(given);
  const { password, ...options } = given;
  checkSignal(options.signal);
  if (password !== undefined && typeof password !== "string") throw usage("password must be a text.");
  if ((password === undefined) !== (options.username === undefined)) {
    throw usage("username and password go together: give both, or neither.");
  }
  return checked<SocksEntry, LocalForwardSpec>(
    options,
    { via: DEFAULT_VIA },
    {
      schema: SocksEntry,
      keys: SOCKS_KEYS,
      others: ["signal"],
      values: VALUES,
      specOf: (entry) => socksSpec(entry, password ?? null, localIdOf),
      usage,
    },
  );
}

export interface Destination {
  readonly via: Exclude<Via, { kind: "here" }>;
  readonly to: HostPort;
}

export function destinationOf(given: ConnectOptions & Abortable): Destination {
  checkOptions(given);
  const { host, port, via = DEFAULT_VIA, signal, ...rest } = given;
  checkSignal(signal);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw usage(`There is no option ${JSON.stringify(unknown)}: they are host, port, via, signal.`);
  const parsed = typeof host === "string" ? parseHost(host) : null;
  if (parsed?.ok !== true) throw usage(`host: ${parsed?.error.message ?? "must be a name or an IP address."}`);
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT)
    throw usage(`port must be a whole number from 1 to ${MAX_PORT}.`);
  const exit = parseVia(String(via));
  if (exit === null) throw usage('via must be "relay" or "agent:NAME".');
  return { via: exit, to: { host: parsed.value, port } };
}

export function checkSignal(signal: unknown): void {
  const problem = signalProblem(signal);
  if (problem !== null) throw usage(problem);
}

function seconds(name: string): (value: unknown) => string {
  return (value) => {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return `${value}s`;
    throw usage(`${name} must be a whole number of seconds, at least 1.`);
  };
}

/** The same on every run, on Bun and on Node: by it the relay knows a forward again, and gives it the same ports. */
function idOf(kind: string, name: string | undefined, content: object): string {
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, ID_CHARACTERS);
  return `${kind}/${name ?? digest}`;
}

/** Nobody but this process knows its ports: without a name each is another one. */
function localIdOf(kind: string, name: string | undefined): string {
  return `${kind}/${name ?? randomUUID()}`;
}
