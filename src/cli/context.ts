import type { Command } from "commander";
import type { LogFormat } from "../os/log.ts";
import type {
  Backups,
  ExposeByBestWay,
  FindVpnGateway,
  InspectRouter,
  OpenDoctor,
  OpenServices,
  StartAgent,
  StartGateway,
  StartPing,
  StartRelay,
  StartStandalone,
  StartSuccessor,
} from "../roles/control.ts";

/** What a command has of the world: given by main.ts, and by tests. Commands touch nothing of `process` themselves. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Only results go here. */
  out(text: string): void;
  /** Sentences for people, and logs. */
  err(text: string): void;
  readonly stdin: () => Promise<string>;
  /** Standard output is a terminal that understands cursor movements. */
  readonly isTerminal: boolean;
  readonly columns: number;
  /** Effective user 0. */
  readonly isRoot: boolean;
  /** What starts this program, without arguments; absent = nobody could start it again. */
  readonly program?: readonly string[];
  /** Starts `program` with the arguments of this process and `more`; it lives on when this one ends. Throws the system's error. */
  startAgain?(program: readonly string[], more: readonly string[]): ReturnType<StartSuccessor>;
  /** Aborts on the first Ctrl-C or SIGTERM: end in order. */
  readonly stop: AbortSignal;
  /** Aborts on the second: end now. */
  readonly stopNow: AbortSignal;
  /** Calls `reload` at each SIGHUP from now on, until the returned function is called. Without it SIGHUP is a stop. */
  onHangup(reload: () => void): () => void;
  /** `format`: absent = human. */
  startLog(level: LogLevel, format?: LogFormat): Promise<void>;
  /** Loaded when a command needs them, so that `--help` costs nothing. */
  readonly roles: Roles;
}

export type LogLevel = "debug" | "info" | "warning" | "error";

export interface Roles {
  relay(): Promise<StartRelay>;
  agent(): Promise<StartAgent>;
  standalone(): Promise<StartStandalone>;
  gateway(): Promise<StartGateway>;
  ping(): Promise<StartPing>;
  inspectRouter(): Promise<InspectRouter>;
  exposeByBestWay(): Promise<ExposeByBestWay>;
  findVpnGateway(): Promise<FindVpnGateway>;
  doctor(): Promise<OpenDoctor>;
  backups(): Promise<Backups>;
  services(): Promise<OpenServices>;
}

/** The options that every command takes. */
export interface GlobalOptions {
  readonly json?: true;
  readonly data?: string;
  readonly config?: string;
  readonly verbose?: true;
  readonly logFormat?: LogFormat;
  /** The address of a relay's console elsewhere; the next three go with it. */
  readonly remote?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly fingerprint?: string;
}

/** What an action gets: the world and the parsed global options. */
export interface Context {
  readonly io: Io;
  readonly options: GlobalOptions;
}

/** What a command does; a number is the exit code of an answer that is no failure, but not a yes either. */
export type Action = ((context: Context) => Promise<void>) | ((context: Context) => Promise<number>);

/** How a command's action is run: with its context, and with its failure as an exit code. */
export type Run = (command: Command, action: Action) => Promise<void>;
