import { rmSync } from "node:fs";
import { WindowBudget } from "../../../core/tunnel/window.ts";
import type { ByteEnd } from "../../../dataplanes/io/ends.ts";
import type { Pipe, PipeEvents, PipeShared } from "../../../dataplanes/tunnel/pipe.ts";
import { listenForPipes } from "../../../dataplanes/tunnel/pipe-sockets.ts";
import { boundBeside } from "../../../servers/local/socket-file.ts";
import {
  CARRIED_VERSION,
  type CarriedMessage,
  type CarriedOf,
  decodeCarried,
  encodeCarried,
  MAX_REFUSAL_CHARS,
  MAX_WHY_CHARS,
} from "../../../wire/carried.ts";
import { type Endpoint, formatEndpoint, type HostPort } from "../../../wire/endpoint.ts";
import type { ReasonName } from "../../../wire/reason.ts";
import type { OpenRequest } from "../../../wire/tunnel/open.ts";
import type { Gate } from "../gate.ts";
import type { SshPrincipal } from "./authority.ts";
import type { SshClient } from "./client.ts";
import type { ClientConnection } from "./model.ts";

export interface CarriedClientsOptions {
  /** Of the socket where processes come that carry clients. */
  readonly path: string;
  readonly shared: PipeShared;
  /** What changes the store waits for it. */
  readonly gate: Pick<Gate, "passed">;
  /** Who proved that to the other process; null = nobody that may be here. */
  find(device: string, key: string | null): Promise<SshPrincipal | null>;
  open(principal: SshPrincipal, connection: ClientConnection): SshClient;
  /** All that was open for the clients of this device, as one process carries them, is open here. */
  arrived(device: string): void;
  failed(error: unknown): void;
}

/** Windows beyond the first 256 KiB of every stream between two processes. */
export const PIPE_BUDGET_BYTES = 64 * 1024 * 1024;

export function pipeBudget(): WindowBudget {
  return new WindowBudget(PIPE_BUDGET_BYTES);
}

/**
 * SSH clients whose connections processes carry that were the relay before this one (decision 0042): to the hub they are clients as
 * those of this process are.
 */
export class CarriedClients {
  readonly #options: CarriedClientsOptions;
  readonly #carriers = new Set<ClientCarrier>();
  #listener: { stop(): void } | null = null;
  #isWhole = false;

  constructor(options: CarriedClientsOptions) {
    this.#options = options;
  }

  /** Throws the system's error. */
  listen(): void {
    const { path, shared } = this.#options;
    this.#listener = boundBeside(path, (name) => listenForPipes(name, shared, () => this.#accept()));
  }

  /** The processes that carry any. */
  get carriers(): number {
    return this.#carriers.size;
  }

  /** Those that they carry. */
  get clients(): number {
    return [...this.#carriers].reduce((sum, { size }) => sum + size, 0);
  }

  #accept(): PipeEvents {
    const carrier = new ClientCarrier(
      this.#options,
      () => this.#carriers.delete(carrier),
      () => this.#isWhole,
    );
    this.#carriers.add(carrier);
    return carrier;
  }

  /** Whoever was connected to the process before is connected here, or away. */
  whole(): void {
    this.#isWhole = true;
    for (const carrier of this.#carriers) carrier.send({ t: "whole" });
  }

  /** Another process is the relay: whoever carries clients goes there. */
  moved(): void {
    this.#listener?.stop();
    this.#listener = null;
    for (const carrier of this.#carriers) carrier.send({ t: "moved" });
  }

  /** Nobody comes in here for them any more: whoever has no stream open needs this process no more. */
  letGo(): void {
    for (const carrier of [...this.#carriers]) {
      if (carrier.openStreams === 0) carrier.close("another process is the relay, and nothing is open here");
    }
  }

  close(): void {
    // After `moved` the name is another process's.
    if (this.#listener !== null) rmSync(this.#options.path, { force: true });
    this.#listener?.stop();
    this.#listener = null;
    for (const carrier of [...this.#carriers]) carrier.close("the relay is shutting down");
  }
}

/** One process that carries clients. */
class ClientCarrier implements PipeEvents {
  readonly #options: CarriedClientsOptions;
  readonly #left: () => void;
  readonly #isWhole: () => boolean;
  readonly #clients = new Map<number, CarriedConnection>();
  /** Clients that were named before `all`. */
  readonly #coming: Promise<string>[] = [];
  #pipe: Pipe | null = null;
  #isGreeted = false;

  constructor(options: CarriedClientsOptions, left: () => void, isWhole: () => boolean) {
    this.#options = options;
    this.#left = left;
    this.#isWhole = isWhole;
  }

  /** Its clients. */
  get size(): number {
    return this.#clients.size;
  }

  get openStreams(): number {
    return this.#pipe?.openStreams ?? 0;
  }

  send(message: CarriedMessage): void {
    this.#pipe?.send(encodeCarried(message));
  }

  close(why: string): void {
    this.#pipe?.close(why);
  }

  onOpen(pipe: Pipe): void {
    this.#pipe = pipe;
  }

  onMessage(pipe: Pipe, bytes: Uint8Array): void {
    const message = decodeCarried(bytes);
    if (message.ok) this.#heard(pipe, message.value);
    // Another program's words: it carries nothing that could be served here.
    else pipe.close(message.error.message);
  }

  #heard(pipe: Pipe, message: CarriedMessage): void {
    if (message.t === "hello") {
      this.#isGreeted = message.v === CARRIED_VERSION;
      if (this.#isGreeted && this.#isWhole()) this.send({ t: "whole" });
      if (!this.#isGreeted) pipe.close(`version ${message.v} of the other process is not ${CARRIED_VERSION}`);
      return;
    }
    if (!this.#isGreeted) {
      pipe.close("it did not begin with a hello");
      return;
    }
    switch (message.t) {
      case "here":
        if (this.#clients.has(message.client)) {
          pipe.close(`client ${message.client} is here already`);
          return;
        }
        this.#coming.push(this.#come(pipe, message));
        return;
      case "all":
        void Promise.all(this.#coming.splice(0)).then((devices) => {
          for (const device of new Set(devices)) this.#options.arrived(device);
        });
        return;
      case "forward":
      case "cancel":
      case "socket":
      case "cancelSocket":
        this.#answer(message);
        return;
      case "count":
        this.#count(message.client);
        return;
      case "gone":
        this.#clients.get(message.client)?.gone(message.why);
        return;
      case "ready":
      case "counted":
      case "opened":
      case "done":
      case "refused":
      case "lost":
      case "end":
      case "whole":
      case "moved":
        pipe.close(`the other process sent ${message.t}, which is not its to send`);
        return;
      default:
        message satisfies never;
    }
  }

  /** Whose it is, when all is done for it that can be. */
  async #come(pipe: Pipe, message: CarriedOf<"here">): Promise<string> {
    try {
      await this.#register(pipe, message);
    } catch (error) {
      this.#options.failed(error);
      this.#clients.get(message.client)?.close("the relay could not carry out a request");
    }
    return message.device;
  }

  async #register(pipe: Pipe, message: CarriedOf<"here">): Promise<void> {
    const { gate, find, open } = this.#options;
    const connection = new CarriedConnection(pipe, message, () => this.#clients.delete(message.client));
    this.#clients.set(message.client, connection);
    await gate.passed();
    // What was removed while the processes changed is not to come back by them.
    const principal = await find(message.device, message.key);
    if (connection.isClosed) return;
    if (principal === null) {
      connection.close("its device was revoked");
      return;
    }
    const client = open(principal, connection);
    connection.client = client;
    for (const { id, port, bind } of message.forwards) {
      const resumed = await client.resume({ id, port, bindHost: bind });
      if (resumed.ok) continue;
      // It learns that only when it asks again.
      connection.close(resumed.error);
      return;
    }
    for (const path of message.sockets) await client.forwardSocket(path);
    if (connection.isClosed) return;
    this.send({ t: "ready", client: message.client, counts: true });
  }

  #count(number: number): void {
    const client = this.#clients.get(number)?.client ?? null;
    if (client !== null) this.send({ t: "counted", client: number, ...client.traffic() });
  }

  #answer(asked: Asked): void {
    const { gate, failed } = this.#options;
    const connection = this.#clients.get(asked.client);
    const client = connection?.client ?? null;
    // It ended, or has not been told that it is here: whoever carries it knows.
    if (connection === undefined || client === null) return;
    gate
      .passed()
      .then(() => carryOut(client, asked))
      .then((answer) => this.send(answer))
      .catch((error: unknown) => {
        failed(error);
        connection.close("the relay could not carry out a request");
      });
  }

  onStream(_pipe: Pipe, request: OpenRequest, stream: ByteEnd): void {
    const client = request.kind === "dial" ? this.#clients.get(Number(request.device))?.client : undefined;
    if (request.kind !== "dial" || client == null) stream.reset("deviceAway");
    else if (request.port === SOCKET_PORT) client.dialSocket(request.host, stream);
    else client.dial({ host: request.host, port: request.port }, stream);
  }

  onClose(_pipe: Pipe, why: string): void {
    this.#left();
    for (const connection of [...this.#clients.values()]) connection.gone(why);
  }
}

/** In a request to dial: the host is the path of a socket. */
export const SOCKET_PORT = 0;

/** A client's connection, as far as this process sees it. */
class CarriedConnection implements ClientConnection {
  client: SshClient | null = null;
  isClosed = false;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly ends: { readonly visitor: Endpoint; readonly entry: Endpoint };
  /** Only who carries it knows. */
  readonly measuredRttMs = null;
  readonly #pipe: Pipe;
  readonly #number: number;
  readonly #forget: () => void;

  constructor(pipe: Pipe, { client, visitor, entry }: CarriedOf<"here">, forget: () => void) {
    this.#pipe = pipe;
    this.#number = client;
    this.#forget = forget;
    this.remoteAddress = formatEndpoint(visitor);
    this.localAddress = entry.address;
    this.ends = { visitor, entry };
  }

  openForwarded({ port }: HostPort, visitor: Endpoint, onGone: (() => void) | null): ByteEnd | ReasonName {
    const { entry } = this.ends;
    const request = { kind: "forward", handle: this.#number, externalPort: port, visitor, entry } as const;
    return this.isClosed ? "deviceAway" : this.#pipe.openStream(request, onGone);
  }

  openForwardedSocket(path: string, onGone: (() => void) | null): ByteEnd | ReasonName {
    const request = {
      kind: "dial",
      device: String(this.#number),
      host: path,
      port: SOCKET_PORT,
      ...this.ends,
    } as const;
    return this.isClosed ? "deviceAway" : this.#pipe.openStream(request, onGone);
  }

  /** What a session shows of it, its own process says. */
  say(): void {}

  lost(port: number): void {
    this.#send({ t: "lost", client: this.#number, port });
  }

  close(why: string): void {
    if (this.isClosed) return;
    this.#send({ t: "end", client: this.#number, why: why.slice(0, MAX_WHY_CHARS) });
    this.gone(why);
  }

  gone(why: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#forget();
    this.client?.closed(why);
  }

  #send(message: CarriedMessage): void {
    this.#pipe.send(encodeCarried(message));
  }
}

/** What a client asks of the relay. */
export type Asked = CarriedOf<"forward" | "cancel" | "socket" | "cancelSocket">;

async function carryOut(client: SshClient, asked: Asked): Promise<CarriedMessage> {
  const to = { client: asked.client, request: asked.request };
  const refused = (message: string) => ({ ...to, t: "refused", message: message.slice(0, MAX_REFUSAL_CHARS) }) as const;
  const done = (isDone: boolean) => (isDone ? ({ ...to, t: "done" } as const) : refused(""));
  switch (asked.t) {
    case "forward": {
      const opened = await client.forward({ host: asked.bind, port: asked.port });
      if (!opened.ok) return refused(opened.error);
      const served = client.forwards.get(opened.value);
      return served === undefined ? refused("") : { ...to, t: "opened", id: served.id, port: served.port };
    }
    case "cancel":
      return done(await client.cancelForward({ host: asked.bind, port: asked.port }));
    case "socket": {
      const opened = await client.forwardSocket(asked.path);
      return opened.ok ? done(true) : refused(opened.error);
    }
    case "cancelSocket":
      return done(await client.cancelSocket(asked.path));
    default:
      return asked satisfies never;
  }
}
