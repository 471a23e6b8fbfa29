import { chmodSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { join as joinPath } from "node:path";
import type { UnixSocketListener } from "bun";
import type { ByteEnd, Visit } from "../../../dataplanes/io/ends.ts";
import { join } from "../../../dataplanes/io/join.ts";
import { refusedEnd } from "../../../dataplanes/io/refused.ts";
import type { Sweeper } from "../../../dataplanes/io/sweeper.ts";
import { type Acceptor, TcpEnd } from "../../../dataplanes/io/tcp-end.ts";
import type { Visits } from "../../../dataplanes/io/visits.ts";
import { errorCode, messageOf } from "../../../os/errors.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import type { ConnectedClient } from "./model.ts";

/** A socket that a client exposes. */
interface OpenSocket {
  readonly client: ConnectedClient;
  /** As the client wrote it: its visitors are told to it by these words. */
  readonly path: string;
  readonly name: string;
  /** In the file system; null = only devices of the account reach it. */
  readonly listener: UnixSocketListener<Acceptor> | null;
}

export interface SshSocketsOptions {
  /** `[ssh] sockets`, asked each time; null = there are no socket files. */
  directory(): string | null;
  readonly sweeper: Sweeper;
  readonly visits: Visits;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;
const MOST_SOCKETS = 32;
/** Its account's directory is for the relay's user and group. */
const DIRECTORY_MODE = 0o750;
const SOCKET_MODE = 0o660;
/** Who comes by a socket file has no address. */
const HERE = { address: "127.0.0.1", port: 0 };

/**
 * Unix sockets of SSH clients (`-R /web:localhost:80`, `-L 8080:/web`): names within an account, through which its devices
 * reach each other without a public port. A file is there only where the operator names a directory for them: a client
 * chooses a name in it and nothing else.
 */
export class SshSockets {
  readonly #options: SshSocketsOptions;
  readonly #open = new Map<string, OpenSocket>();

  constructor(options: SshSocketsOptions) {
    this.#options = options;
  }

  async open(client: ConnectedClient, path: string): Promise<Result<null, string>> {
    const name = this.nameIn(client, path);
    if (name === null) {
      return err("A socket of the relay has a name of letters, digits, dots and dashes: -R /web:localhost:80.");
    }
    await client.device.begun;
    if (this.namesOf(client).length >= MOST_SOCKETS) return err(`A connection has ${MOST_SOCKETS} sockets at most.`);
    const key = keyOf(client, name);
    const present = this.#open.get(key);
    if (present !== undefined && present.client.device !== client.device) {
      return err(`Another device of the account has the socket /${name}: choose another name.`);
    }
    // A connection that is lost and not known to be: its device comes back.
    if (present !== undefined) this.#close(key, present);
    const listener = this.#listen(client, name, key);
    if (!listener.ok) return listener;
    this.#open.set(key, { client, path, name, listener: listener.value });
    return ok(null);
  }

  close(client: ConnectedClient, path: string): boolean {
    const name = this.nameIn(client, path);
    const key = name === null ? "" : keyOf(client, name);
    const open = this.#open.get(key);
    if (open?.client !== client) return false;
    this.#close(key, open);
    return true;
  }

  closeAll(client: ConnectedClient): void {
    for (const [key, open] of this.#open) if (open.client === client) this.#close(key, open);
  }

  #close(key: string, { listener }: OpenSocket): void {
    this.#open.delete(key);
    // Bun takes the file away with it.
    listener?.stop();
  }

  namesOf(client: ConnectedClient): string[] {
    return [...this.#open.values()].filter((open) => open.client === client).map(({ name }) => name);
  }

  /** `-L PORT:/NAME`: only what a device of the same account exposes. */
  dial(client: ConnectedClient, path: string, channel: ByteEnd): void {
    const name = this.nameIn(client, path);
    const { visitor, entry } = client.connection.ends;
    this.#serve(name === null ? "" : keyOf(client, name), channel, { visitor, entry, externalPort: 0 });
  }

  #serve(key: string, end: ByteEnd, visit: Visit): void {
    const open = this.#open.get(key);
    const opened = open?.client.connection.openForwardedSocket(open.path, null) ?? "noForward";
    join(end, typeof opened === "string" ? refusedEnd(opened) : opened, visit, this.#options.visits);
  }

  /** The name in `/web`, `web`, or the file's own path; null = none. */
  nameIn(client: ConnectedClient, path: string): string | null {
    const directory = this.#directoryOf(client);
    const inside = directory !== null && path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : null;
    const name = inside ?? (path.startsWith("/") ? path.slice(1) : path);
    return NAME.test(name) ? name : null;
  }

  #directoryOf({ device }: ConnectedClient): string | null {
    const directory = this.#options.directory();
    return directory === null ? null : joinPath(directory, device.peer.account);
  }

  #listen(client: ConnectedClient, name: string, key: string): Result<UnixSocketListener<Acceptor> | null, string> {
    const directory = this.#directoryOf(client);
    if (directory === null) return ok(null);
    const file = joinPath(directory, name);
    const acceptor: Acceptor = {
      isUnix: true,
      accepted: (end) => this.#serve(key, end, { visitor: HERE, entry: HERE, externalPort: 0 }),
      turnstile: this.#options.sweeper.turnstile,
      descriptors: this.#options.sweeper.descriptors,
    };
    try {
      mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
      removeStale(file);
      const listener = Bun.listen<Acceptor>({
        unix: file,
        allowHalfOpen: true,
        data: acceptor,
        socket: TcpEnd.ACCEPT_HANDLERS,
      });
      chmodSync(file, SOCKET_MODE);
      return ok(listener);
    } catch (error) {
      return err(`The relay could not make the socket ${file}: ${messageOf(error)}.`);
    }
  }
}

/** A socket that a crash left there. Anything else that has the name stays, and is in the way. */
function removeStale(file: string): void {
  try {
    if (lstatSync(file).isSocket()) unlinkSync(file);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

function keyOf({ device }: ConnectedClient, name: string): string {
  return JSON.stringify([device.peer.account, name]);
}
