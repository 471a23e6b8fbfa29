import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import { parseKey } from "ssh2/lib/protocol/keyParser.js";
import { Penalties, type PenaltyOptions, SOURCE_PENALTIES } from "../../core/penalty.ts";
import { Pending } from "../../core/pending.ts";
import { WindowBudget } from "../../core/tunnel/window.ts";
import { canonicalPeer } from "../../dataplanes/io/bind-address.ts";
import { GatedPort, GatedSocket } from "../../dataplanes/io/gated-port.ts";
import { BESIDE, type PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import type { Sweepable, Sweeper } from "../../dataplanes/io/sweeper.ts";
import { hasGone } from "../../dataplanes/io/tcp-end.ts";
import { sshFingerprint } from "../../os/ssh-key.ts";
import { parseAddress, sourceKey } from "../../wire/address.ts";
import { formatKey } from "../../wire/ssh/public-key.ts";
import { offerOf } from "./algorithms.ts";
import type { SshAuthority } from "./auth.ts";
import { type ConnectionShared, SshConnection, type SshEnds } from "./connection.ts";
import { Gathered } from "./gathered.ts";
import { OutboxGroup } from "./outbox.ts";
import type { SshHandler } from "./service.ts";

export interface SshServerOptions<P> {
  /** An IP literal. */
  readonly hostname: string;
  readonly port: number;
  /** A private key in OpenSSH's format or PEM. */
  readonly hostKey: string;
  /** Of this program, as clients are told it. */
  readonly version: string;
  readonly sweeper: Sweeper;
  /** How its port passes from one process to the next; absent = it does not. */
  readonly sharing?: PortSharing;
  /** Where load balancers say who the clients are; absent = clients are whom sockets show. */
  readonly gate?: ProxyGate;
  /** Monotonic. */
  nowMs(): number;
  random(): number;
  /** Who may come in. */
  find: SshAuthority<P>["find"];
  /** False = nobody is let in now. */
  serving(): boolean;
  /** Somebody proved who they are: what they may ask for is the handler's. */
  open(principal: P, connection: SshConnection<P>): SshHandler;
  /** A wrong credential, for the log: where from, how long its answer waits. */
  onDenied(address: string, afterMs: number): void;
  onUnexpected(error: unknown): void;
}

/** From the connection to the proof. */
const GRACE_MS = 30_000;
/** As at the agent port (roles/relay/auth.ts): a wrong credential is answered later each time, and at most 30 s late. */
const DENIALS: PenaltyOptions = {
  ...SOURCE_PENALTIES,
  baseSec: { noAuth: 0, failed: 1, graceExceeded: 1 },
  maxSec: 30,
  minSec: 0,
};
/** Windows beyond the first 256 KiB of every channel, all channels of the process together. */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024;

/** The `data` of a socket; undefined = it was cut before it was anybody's. */
type Client<P> = SshConnection<P> | GatedSocket<SshConnection<P>> | undefined;

/** An SSH server that forwards, and does nothing else: it listens, and knows nothing of what its handlers do. */
export class SshServer<P> implements Sweepable {
  /** `ssh-ed25519 AAAA…`, to pin. */
  readonly hostKey: string;
  readonly fingerprint: string;
  readonly #options: SshServerOptions<P>;
  readonly #shared: ConnectionShared<P>;
  readonly #gated: GatedPort | null;
  #listener: TCPSocketListener<Client<P>> | null = null;
  readonly #connections = new Set<SshConnection<P>>();
  /** Those that said their last words, until their sockets are closed. */
  readonly #leaving = new Set<SshConnection<P>>();
  readonly #pending = new Pending();
  readonly #penalties = new Penalties(DENIALS);
  readonly #answering = new Set<Timer>();

  /** Throws an Error that says what to do when the host key is none. */
  constructor(options: SshServerOptions<P>) {
    this.#options = options;
    this.#gated = options.gate === undefined ? null : new GatedPort(options.gate);
    const hostKey = parseKey(options.hostKey);
    if (hostKey instanceof Error || hostKey.getPrivatePEM() === null) {
      throw new Error(
        "The SSH host key is none that ssh-keygen makes: put it back, or remove it and a new one is made.",
      );
    }
    const blob = hostKey.getPublicSSH();
    this.hostKey = formatKey({ type: hostKey.type, blob });
    this.fingerprint = sshFingerprint(blob);
    this.#shared = {
      hostKey,
      offer: offerOf(hostKey.type),
      ident: `Hatchway_${options.version}`,
      group: new OutboxGroup(),
      turnstile: options.sweeper.turnstile,
      gathered: new Gathered(),
      budget: new WindowBudget(WINDOW_BUDGET_BYTES),
      authority: { find: options.find, denied: (address) => this.#denied(address) },
      nowMs: options.nowMs,
      open: options.open,
      settled: ({ address }) => this.#pending.leave(keyOf(address)),
      closed: (connection) => {
        if (this.#connections.delete(connection)) this.#leaving.add(connection);
      },
      failed: options.onUnexpected,
    };
    options.sweeper.add(this);
  }

  /** Throws the system's error. */
  listen(): void {
    const { hostname, port, sharing } = this.#options;
    const beside = sharing?.isBeside("tcp", port) ?? false;
    const listener = Bun.listen<Client<P>>({
      hostname,
      port,
      data: undefined,
      socket: this.#socketHandler(),
      ...(beside ? BESIDE : {}),
    });
    if (beside) sharing?.steerHere(listener);
    this.#listener = listener;
  }

  /** Before it listens: the one that it was given. */
  get port(): number {
    return this.#listener?.port ?? this.#options.port;
  }

  /** Lets another process of this relay listen at its port too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    return this.#listener === null || (this.#options.sharing?.setShared(this.#listener, shared) ?? false);
  }

  /** Now: of those that proved who they are, and of others. */
  get counts(): { readonly sessions: number; readonly pending: number } {
    return { sessions: this.#connections.size - this.#pending.total, pending: this.#pending.total };
  }

  #socketHandler(): SocketHandler<Client<P>> {
    return {
      open: (socket) => this.#accept(socket),
      data: (socket, bytes) => socket.data?.receive(bytes),
      drain: (socket) => socket.data?.drain(),
      // SSH knows no half-closed connection.
      end: ({ data }) => (data instanceof GatedSocket ? data.ended() : data?.socketClosed(undefined)),
      close: (socket, error) => this.#gone(socket.data, error),
      // Reached only when a handler throws: a defect, which must not be silent nor leave the connection half alive.
      error: (socket, error) => {
        socket.terminate();
        this.#options.onUnexpected(error);
      },
    };
  }

  #accept(socket: Socket<Client<P>>): void {
    const { serving, sweeper } = this.#options;
    if (hasGone(socket) || !serving() || sweeper.descriptors.scarce) {
      socket.terminate();
      return;
    }
    if (this.#gated?.active === true) {
      sweeper.descriptors.taken();
      this.#gated.receive<SshConnection<P>>(socket, this.port, (ends) => this.#begin(socket, ends));
      return;
    }
    const connection = this.#begin(socket, endsOf(socket));
    if (connection === null) return;
    sweeper.descriptors.taken();
    socket.data = connection;
  }

  /** Null: too many have not proved yet who they are, and the connection was cut. */
  #begin(socket: Socket<Client<P>>, ends: SshEnds): SshConnection<P> | null {
    const { random, nowMs } = this.#options;
    if (this.#pending.enter(keyOf(ends.visitor.address), random()) !== null) {
      socket.terminate();
      return null;
    }
    socket.setNoDelay(true);
    const connection = new SshConnection<P>(socket, this.#shared, ends, nowMs());
    this.#connections.add(connection);
    return connection;
  }

  #gone(client: Client<P>, error: Error | undefined): void {
    if (client === undefined) return;
    this.#options.sweeper.descriptors.given();
    client.socketClosed(error);
    const connection = client instanceof GatedSocket ? client.owner : client;
    if (connection !== null) this.#leaving.delete(connection);
  }

  #denied(address: string): Promise<void> {
    const afterMs = this.#penalties.offend(keyOf(address), "failed", this.#options.nowMs());
    this.#options.onDenied(address, afterMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.#answering.delete(timer);
      resolve();
    }, afterMs);
    this.#answering.add(timer);
    return promise;
  }

  sweep(nowMs: number): void {
    for (const connection of this.#connections) {
      if (!connection.isAuthenticated && nowMs - connection.sinceMs >= GRACE_MS) {
        this.#penalties.offend(keyOf(connection.address), "graceExceeded", nowMs);
        connection.close("it did not prove who it is in time");
      } else connection.sweep(nowMs);
    }
    for (const connection of this.#leaving) connection.sweep(nowMs);
  }

  /** Connections go on. */
  stopListening(): void {
    this.#listener?.stop();
  }

  close(): void {
    this.#listener?.stop();
    this.#gated?.close();
    this.#options.sweeper.remove(this);
    for (const connection of [...this.#connections]) connection.close("the relay is shutting down");
    for (const timer of this.#answering) clearTimeout(timer);
    this.#answering.clear();
  }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket<unknown>): SshEnds {
  return {
    visitor: { address: canonicalPeer(remoteAddress), port: remotePort },
    entry: { address: canonicalPeer(localAddress), port: localPort },
  };
}

function keyOf(address: string): string {
  const parsed = parseAddress(address);
  return sourceKey(parsed.ok ? parsed.value : address);
}
