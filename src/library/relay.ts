import type { LocalForwardSpec } from "../core/forward.ts";
import type { EmbeddedAgent, EntryError } from "../roles/embedded/agent.ts";
import { ANY_PORT_TRIES, wantsOneNumber, withOneNumber } from "../roles/embedded/any-port.ts";
import { AppEnd } from "../roles/embedded/app-end.ts";
import { appExit } from "../roles/embedded/app-exit.ts";
import { formatHostPort } from "../wire/endpoint.ts";
import { abortedBy, HatchwayError } from "./error.ts";
import { Exposed } from "./exposed.ts";
import { connectionError, linkFailure, listenError, refusalError } from "./failures.ts";
import type * as declared from "./hatchway.d.ts";
import { Kept } from "./kept.ts";
import { Listening } from "./listening.ts";
import { destinationOf, exposeSpecOf, handlersOf, listenSpecOf, socksSpecOf } from "./relay-options.ts";

export interface RelayMeans {
  readonly agent: EmbeddedAgent;
  readonly device: declared.Relay["device"];
}

type LinkState = EmbeddedAgent["link"];

/** An app's connection to its relay, and what it opened by it. */
export class Relay extends Kept<declared.RelayEvent> implements declared.Relay {
  readonly device: declared.Relay["device"];
  readonly #agent: EmbeddedAgent;
  readonly #open = new Set<Exposed | Listening>();
  readonly #unwatch: () => void;
  #isDown = false;

  /** It is up now. */
  constructor({ agent, device }: RelayMeans, signal: AbortSignal | undefined) {
    super(signal);
    this.#agent = agent;
    this.device = device;
    this.#unwatch = agent.watchLink((state) => this.#linkIs(state));
  }

  get state(): declared.Relay["state"] {
    if (this.isClosed) return "closed";
    return this.#agent.link.kind === "up" ? "up" : "down";
  }

  get error(): HatchwayError | null {
    return this.failure ?? (this.isClosed ? null : linkFailure(this.#agent.link, this.address));
  }

  get address(): string {
    const { host, port } = this.#agent.relay;
    return formatHostPort(host, port);
  }

  async expose(
    options: declared.ExposeOptions & declared.Abortable,
    onVisitor?: declared.OnSocket | declared.VisitorHandlers,
  ): Promise<Exposed> {
    const handlers = handlersOf(onVisitor);
    const spec = exposeSpecOf(options, handlers);
    const { signal } = options;
    this.#checkOpen(signal);
    const exit = handlers === null ? null : appExit(handlers, (reason) => connectionError(reason, "the visitor"));
    const putting = this.#agent.put(spec, exit);
    if (putting === null) throw alreadyOpen(spec.remote.name);
    await this.#settled(putting, signal);
    const { id } = spec.remote;
    const held = this.#agent.forward(id);
    const answer = held?.kind === "remote" ? held.forward.answer : null;
    if (answer?.kind !== "open" || this.isClosed || signal?.aborted === true) {
      await this.#agent.giveBack(id);
      throw answer?.kind === "refused" ? refusalError(answer.why, answer.message) : this.#whyNot(signal);
    }
    const means = { agent: this.#agent, spec, signal, relayFailure: () => this.#lostNow() };
    return this.#kept(new Exposed(means));
  }

  async connect(options: declared.ConnectOptions & declared.Abortable): Promise<declared.TunnelSocket> {
    const { via, to } = destinationOf(options);
    const { signal } = options;
    this.#checkOpen(signal);
    const { promise, resolve, reject } = Promise.withResolvers<declared.TunnelSocket>();
    const place = { remote: { address: to.host, port: to.port }, local: { address: "", port: 0 } };
    const end = new AppEnd(
      place,
      (reason) => connectionError(reason, formatHostPort(to.host, to.port)),
      () => resolve(end.socket),
    );
    const abort = () => end.socket.destroy(abortedBy(signal));
    signal?.addEventListener("abort", abort, { once: true });
    // Whoever has the socket hears of its errors there.
    const failed = (error: Error) => reject(error);
    end.socket.once("error", failed);
    end.socket.once("close", () => {
      signal?.removeEventListener("abort", abort);
      reject(end.error ?? this.#whyNot(signal));
    });
    this.#agent.dial(end, via, to);
    const socket = await promise;
    end.socket.off("error", failed);
    return socket;
  }

  async listen(options: declared.ListenOptions & declared.Abortable): Promise<Listening> {
    return this.#listening(listenSpecOf(options), options.signal);
  }

  async socks(options: declared.SocksOptions & declared.Abortable): Promise<Listening> {
    return this.#listening(socksSpecOf(options), options.signal);
  }

  async #listening(wanted: LocalForwardSpec, signal: AbortSignal | undefined): Promise<Listening> {
    const oneNumber = wantsOneNumber(wanted);
    for (let left = oneNumber ? ANY_PORT_TRIES : 1; ; left--) {
      this.#checkOpen(signal);
      const spec = oneNumber ? withOneNumber(wanted) : wanted;
      const error = await this.#listensTo(spec);
      if (error === null && !this.isClosed && signal?.aborted !== true) {
        return this.#kept(new Listening(this.#agent, spec, signal));
      }
      await this.#agent.giveBack(spec.local.id);
      if (error === null) throw this.#whyNot(signal);
      if (error.kind !== "inUse" || left === 1) throw listenError(error);
    }
  }

  /** Null = it listens. */
  async #listensTo(spec: LocalForwardSpec): Promise<EntryError | null> {
    const putting = this.#agent.put(spec);
    if (putting === null) throw alreadyOpen(spec.local.name);
    const held = await putting;
    return held.kind === "local" ? (held.error ?? (await held.forward?.entry.bound()) ?? null) : null;
  }

  protected async end(): Promise<void> {
    this.#unwatch();
    await Promise.all([...this.#open].map((one) => one.ended()));
    await this.#agent.close();
  }

  #kept<One extends Exposed | Listening>(one: One): One {
    this.#open.add(one);
    one.alsoOnClose(async () => void this.#open.delete(one));
    return one;
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) throw abortedBy(signal);
    if (this.isClosed) throw this.failure ?? new HatchwayError("ended", "This relay is closed: open it again.");
  }

  /** Resolves when `putting` has; sooner where the app or the relay ends it. */
  async #settled(putting: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
    const called = Promise.withResolvers<void>();
    const stop = () => called.resolve();
    signal?.addEventListener("abort", stop, { once: true });
    await Promise.race([putting, called.promise]);
    signal?.removeEventListener("abort", stop);
  }

  #whyNot(signal: AbortSignal | undefined): HatchwayError {
    if (signal?.aborted === true) return abortedBy(signal);
    return this.failure ?? this.#lostNow() ?? new HatchwayError("ended", "The relay was closed meanwhile.");
  }

  /** A link that is being made again is as lost as one that waits. */
  #lostNow(): HatchwayError | null {
    const { link } = this.#agent;
    if (link.kind === "connecting")
      return new HatchwayError("lost", `The connection to the relay at ${this.address} was lost.`);
    return linkFailure(link, this.address);
  }

  #linkIs(state: LinkState): void {
    if (this.isClosed) return;
    switch (state.kind) {
      case "up":
        if (this.#isDown) this.tell({ type: "up" });
        this.#isDown = false;
        return;
      case "down": {
        const failure = linkFailure(state, this.address);
        if (!this.#isDown && failure !== null) {
          this.tell({ type: "down", kind: failure.kind as declared.RelayFailureKind, message: failure.message });
        }
        this.#isDown = true;
        return;
      }
      case "rejected": {
        const failure = new HatchwayError("denied", state.message);
        for (const one of this.#open) one.fail(failure);
        this.fail(failure);
        return;
      }
      case "connecting":
      case "none":
        return;
      default:
        state satisfies never;
    }
  }
}

function alreadyOpen(name: string): HatchwayError {
  return new HatchwayError("usage", `"${name}" is open already: close that first, or give this one another name.`);
}
