import { DEFAULT_OPTIONS } from "../../../core/forward.ts";
import type { ByteEnd } from "../../../dataplanes/io/ends.ts";
import { join } from "../../../dataplanes/io/join.ts";
import { refusedEnd } from "../../../dataplanes/io/refused.ts";
import type { Sweeper } from "../../../dataplanes/io/sweeper.ts";
import { Visits } from "../../../dataplanes/io/visits.ts";
import type { Pipe, PipeEvents, PipeShared } from "../../../dataplanes/tunnel/pipe.ts";
import { openPipe } from "../../../dataplanes/tunnel/pipe-sockets.ts";
import {
  CARRIED_VERSION,
  type CarriedMessage,
  decodeCarried,
  encodeCarried,
  MAX_TEXT_CHARS,
  MAX_WHY_CHARS,
} from "../../../wire/carried.ts";
import type { HostPort } from "../../../wire/endpoint.ts";
import type { ReasonName } from "../../../wire/reason.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import type { OpenRequest } from "../../../wire/tunnel/open.ts";
import { type Asked, SOCKET_PORT } from "./carried.ts";
import type { Behind } from "./model.ts";
import type { MovableClient } from "./movable.ts";

export interface FollowingOptions {
  /** Of the socket where the process that is the relay takes clients in. */
  readonly path: string;
  readonly shared: PipeShared;
  readonly sweeper: Pick<Sweeper, "nowMs">;
  /** The clients of this process. */
  clients(): Iterable<MovableClient>;
  /** For numbers of forwards that are open there. */
  nextHandle(): number;
}

/** The process that is the relay takes clients in within this, or their connections are of no use. */
const WITHIN_MS = 15_000;
const RETRY_MS = 50;
const NOBODY = "the relay takes no SSH clients in now";

/**
 * The clients of a process that is the relay no more: their connections go on here, and what they ask, and who visits them,
 * passes through the process that is (decision 0042). When a further one takes over from that, they follow it.
 */
export class Following {
  /** What passes through here: the other process counts it, and ends what is idle. */
  readonly visits = new Visits(DEFAULT_OPTIONS);
  readonly #options: FollowingOptions;
  readonly #links = new Set<Link>();
  /** Where clients are taken in; null = nobody does now. */
  #present: Link | null = null;
  #sinceMs = 0;
  #retry: Timer | null = null;
  #hasGivenUp = false;
  #isClosed = false;

  constructor(options: FollowingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sinceMs = this.#options.sweeper.nowMs();
    this.#tryNow();
  }

  /** A client proved who it is when its connection had been accepted here before. */
  came(movable: MovableClient): void {
    if (this.#hasGivenUp) movable.client.connection.close(NOBODY);
    else this.#present?.register(movable);
  }

  left(client: MovableClient, why: string): void {
    for (const link of this.#links) link.left(client, why);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    for (const link of [...this.#links]) link.close("the process ends");
  }

  #tryNow(): void {
    const { path, shared } = this.#options;
    this.#retry = null;
    const link = new Link(this.#options, this.visits, {
      opened: () => {
        this.#links.add(link);
        this.#present = link;
        for (const client of this.#options.clients()) link.register(client);
      },
      moved: () => this.#lost(link),
      closed: () => {
        this.#links.delete(link);
        this.#lost(link);
      },
    });
    // The socket may be that of the process before it, which is about to go.
    openPipe(path, shared, link).catch(() => this.#later());
  }

  #later(): void {
    if (this.#isClosed) return;
    if (this.#options.sweeper.nowMs() - this.#sinceMs < WITHIN_MS) {
      this.#retry = setTimeout(() => this.#tryNow(), RETRY_MS);
      return;
    }
    this.#hasGivenUp = true;
    for (const { client } of [...this.#options.clients()]) client.connection.close(NOBODY);
  }

  #lost(link: Link): void {
    if (this.#isClosed || this.#present !== link) return;
    this.#present = null;
    // One that turns clients away at once is not asked for ever.
    if (link.isGood) this.#sinceMs = this.#options.sweeper.nowMs();
    this.#later();
  }
}

interface LinkEvents {
  opened(): void;
  moved(): void;
  closed(): void;
}

type Opened = { readonly id: string; readonly port: number };
/** `again`: another process is the relay, and has not been asked. */
type Answer = Result<Opened | "done" | "again", string>;

type Question<T extends Asked = Asked> = T extends Asked ? Omit<T, "request"> : never;

/** The way to one process that is the relay, or was it when it began. */
class Link implements PipeEvents {
  readonly #options: FollowingOptions;
  readonly #visits: Visits;
  readonly #events: LinkEvents;
  readonly #clients = new Map<number, MovableClient>();
  readonly #unanswered = new Map<number, PromiseWithResolvers<Answer>>();
  /** Those that are there with all that was open for them. */
  readonly #ready = new Map<MovableClient, Behind>();
  #pipe: Pipe | null = null;
  #isWhole = false;
  #lastRequest = 0;
  #isMoved = false;
  #isGood = false;

  constructor(options: FollowingOptions, visits: Visits, events: LinkEvents) {
    this.#options = options;
    this.#visits = visits;
    this.#events = events;
  }

  /** It has taken clients in. */
  get isGood(): boolean {
    return this.#isGood;
  }

  close(why: string): void {
    this.#pipe?.close(why);
  }

  onOpen(pipe: Pipe): void {
    this.#pipe = pipe;
    this.#send({ t: "hello", v: CARRIED_VERSION });
    this.#events.opened();
    this.#send({ t: "all" });
  }

  register(movable: MovableClient): void {
    const { client, number, sockets } = movable;
    const { connection, device, keyFingerprint } = client;
    this.#clients.set(number, movable);
    this.#send({
      t: "here",
      client: number,
      device: device.peer.deviceId,
      key: keyFingerprint,
      ...connection.ends,
      forwards: [...client.forwards.values()].map(({ id, port, bindHost }) => ({ id, port, bind: bindHost })),
      sockets: [...sockets],
    });
  }

  left(movable: MovableClient, why: string): void {
    const { number } = movable;
    this.#ready.delete(movable);
    if (this.#clients.delete(number)) this.#send({ t: "gone", client: number, why: why.slice(0, MAX_WHY_CHARS) });
  }

  #send(message: CarriedMessage): void {
    this.#pipe?.send(encodeCarried(message));
  }

  onMessage(pipe: Pipe, bytes: Uint8Array): void {
    const message = decodeCarried(bytes);
    if (message.ok) this.#heard(pipe, message.value);
    else pipe.close(message.error.message);
  }

  #heard(pipe: Pipe, message: CarriedMessage): void {
    switch (message.t) {
      case "ready": {
        const movable = this.#clients.get(message.client);
        this.#isGood = true;
        if (movable === undefined) return;
        const behind = this.#behind(movable, message.counts === true);
        movable.move(behind);
        this.#ready.set(movable, behind);
        if (this.#isWhole) movable.moveDials(behind);
        return;
      }
      case "counted":
        if (!this.#isMoved) this.#clients.get(message.client)?.counted(message);
        return;
      case "whole":
        this.#isWhole = true;
        for (const [movable, behind] of this.#ready) movable.moveDials(behind);
        return;
      case "opened":
        this.#answered(message.request, ok({ id: message.id, port: message.port }));
        return;
      case "done":
        this.#answered(message.request, ok("done"));
        return;
      case "refused":
        this.#answered(message.request, err(message.message));
        return;
      case "lost":
        this.#clients.get(message.client)?.client.lose(message.port);
        return;
      case "end": {
        const ended = this.#clients.get(message.client);
        this.#clients.delete(message.client);
        ended?.client.connection.close(message.why);
        return;
      }
      case "moved":
        this.#isGood = true;
        this.#moveOn();
        this.#events.moved();
        return;
      case "hello":
      case "here":
      case "all":
      case "forward":
      case "cancel":
      case "socket":
      case "cancelSocket":
      case "count":
      case "gone":
        pipe.close(`the other process sent ${message.t}, which is not its to send`);
        return;
      default:
        message satisfies never;
    }
  }

  #answered(request: number, answer: Answer): void {
    this.#unanswered.get(request)?.resolve(answer);
    this.#unanswered.delete(request);
  }

  #moveOn(): void {
    if (this.#isMoved) return;
    this.#isMoved = true;
    for (const movable of this.#clients.values()) movable.hold();
    for (const request of [...this.#unanswered.keys()]) this.#answered(request, ok("again"));
  }

  /** What this client asks for, asked there. */
  #behind(movable: MovableClient, counts: boolean): Behind {
    const { client, number } = movable;
    const dial = (host: string, port: number, channel: ByteEnd) => {
      const { ends } = client.connection;
      const request = { kind: "dial", device: String(number), host, port, ...ends } as const;
      this.#pass(channel, this.#pipe?.openStream(request, null) ?? "deviceAway", request);
    };
    return {
      forward: async (bind) => {
        const { host, port } = bind;
        if (host.length > MAX_TEXT_CHARS) return err("No address is that long.");
        const answer = await this.#ask({ t: "forward", client: number, bind: host, port });
        if (!answer.ok) return answer;
        if (answer.value === "again" || answer.value === "done") return movable.forward(bind);
        client.adopt({ ...answer.value, handle: this.#options.nextHandle(), bindHost: host });
        return ok(answer.value.port);
      },
      cancelForward: async (bind) => {
        const { host, port } = bind;
        if (host.length > MAX_TEXT_CHARS) return false;
        const answer = await this.#ask({ t: "cancel", client: number, bind: host, port });
        if (isAgain(answer)) return movable.cancelForward(bind);
        if (answer.ok) client.lose(port);
        return answer.ok;
      },
      forwardSocket: async (path) => {
        if (path.length > MAX_TEXT_CHARS) return err("No socket's path is that long.");
        const answer = await this.#ask({ t: "socket", client: number, path });
        if (isAgain(answer)) return movable.forwardSocket(path);
        return answer.ok ? ok(null) : answer;
      },
      cancelSocket: async (path) => {
        if (path.length > MAX_TEXT_CHARS) return false;
        const answer = await this.#ask({ t: "cancelSocket", client: number, path });
        return isAgain(answer) ? movable.cancelSocket(path) : answer.ok;
      },
      dial: ({ host, port }, channel) => {
        // 0 would be a socket's.
        if (port === SOCKET_PORT) channel.reset("hostNotFound");
        else dial(host, port, channel);
      },
      dialSocket: (path, channel) => dial(path, SOCKET_PORT, channel),
      ...(counts && { count: () => this.#send({ t: "count", client: number }) }),
    };
  }

  #ask(question: Question): Promise<Answer> {
    if (this.#isMoved) return Promise.resolve(ok("again"));
    this.#lastRequest += 1;
    const answer = Promise.withResolvers<Answer>();
    this.#unanswered.set(this.#lastRequest, answer);
    this.#send({ ...question, request: this.#lastRequest });
    return answer.promise;
  }

  onStream(_pipe: Pipe, request: OpenRequest, stream: ByteEnd): void {
    this.#pass(stream, this.#towards(request), request);
  }

  /** The channel of a client that a visitor is for. */
  #towards(request: OpenRequest): ByteEnd | ReasonName {
    if (request.kind === "dial") {
      const { client } = this.#clients.get(Number(request.device)) ?? {};
      return client?.connection.openForwardedSocket(request.host, null) ?? "deviceAway";
    }
    const { client } = this.#clients.get(request.handle) ?? {};
    const served = client?.forwards.get(request.externalPort);
    if (client === undefined || served === undefined) return "deviceAway";
    const bound: HostPort = { host: served.bindHost, port: served.port };
    return client.connection.openForwarded(bound, request.visitor, null);
  }

  #pass(from: ByteEnd, to: ByteEnd | ReasonName, { visitor, entry }: OpenRequest): void {
    join(
      from,
      typeof to === "string" ? refusedEnd(to) : to,
      { visitor, entry, externalPort: entry.port },
      this.#visits,
    );
  }

  onClose(): void {
    this.#moveOn();
    this.#clients.clear();
    this.#ready.clear();
    this.#events.closed();
  }
}

function isAgain(answer: Answer): boolean {
  return answer.ok && answer.value === "again";
}
