import { connect, type Socket } from "node:net";
import type { RouterFailure } from "../../core/router/model.ts";
import { errorCode } from "../../os/errors.ts";
import type { After } from "../../os/timers.ts";
import { encodeHttpRequest, type HttpCall, type HttpReply, newHttpReplyReader } from "../../wire/igd/http-reply.ts";
import { err, type Result } from "../../wire/result.ts";
import { calledOff, garbled, noAnswer, socketFailure } from "./failures.ts";

export interface Exchange<T> {
  readonly call: HttpCall;
  /** The router's address, with the zone when it is a link-local one of IPv6. */
  readonly host: string;
  /** Of this machine, which the router takes for who asks; one that is not there, or null: the system chooses. */
  readonly localAddress: string | null;
  readonly maxBodyBytes: number;
  readonly signal: AbortSignal;
  readonly after: After;
  /** What the reply says. It is asked again with more of the reply when it has made nothing of what came. */
  readonly read: (reply: HttpReply) => Result<T, RouterFailure>;
}

/** From the first packet to the last: a slow router takes half a second, and a person waits. */
export const EXCHANGE_DEADLINE_MS = 3000;
/**
 * A reply of no length on a connection that stays open, or of a wrong one: nothing came for so long, and what came is
 * whole in itself.
 */
export const QUIET_MS = 300;

/** One HTTP request on a connection of its own. No redirect is followed, and every size and time is bounded. */
export async function exchange<T>(options: Exchange<T>): Promise<Result<T, RouterFailure>> {
  const { call, signal, localAddress } = options;
  const router = call.url.address;
  if (signal.aborted) return err(calledOff(router));
  const { promise, resolve } = Promise.withResolvers<Result<T, RouterFailure>>();
  const start = (from: string | null): Attempt<T> =>
    new Attempt(options, from, resolve, () => {
      attempt = start(null);
    });
  let attempt = start(localAddress);
  const cancelDeadline = options.after(EXCHANGE_DEADLINE_MS, () => attempt.giveUp());
  const abort = (): void => attempt.end(err(calledOff(router)));
  signal.addEventListener("abort", abort, { once: true });
  const result = await promise;
  cancelDeadline();
  signal.removeEventListener("abort", abort);
  return result;
}

class Attempt<T> {
  readonly #options: Exchange<T>;
  readonly #settle: (result: Result<T, RouterFailure>) => void;
  readonly #reader: ReturnType<typeof newHttpReplyReader>;
  readonly #socket: Socket;
  #cancelQuiet: () => void = () => {};
  #whole = false;
  #ended = false;

  constructor(
    options: Exchange<T>,
    localAddress: string | null,
    settle: (result: Result<T, RouterFailure>) => void,
    /** This machine does not have `localAddress`: it has gone, or is another host's, whom ports are mapped to. */
    withoutLocalAddress: () => void,
  ) {
    this.#options = options;
    this.#settle = settle;
    this.#reader = newHttpReplyReader({ maxBodyBytes: options.maxBodyBytes });
    const { host, call } = options;
    const local = localAddress === null ? {} : { localAddress };
    this.#socket = connect({ host, port: call.url.port, ...local });
    this.#socket.on("connect", () => this.#socket.write(encodeHttpRequest(call)));
    this.#socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    this.#socket.on("end", () => this.#finish());
    this.#socket.on("close", () => this.#finish());
    this.#socket.on("error", (error) => {
      if (localAddress !== null && errorCode(error) === "EADDRNOTAVAIL" && !this.#ended) {
        this.#close();
        withoutLocalAddress();
      } else this.end(this.#lastWord(socketFailure(error, call.url.address)));
    });
  }

  #take(chunk: Uint8Array): void {
    if (this.#ended) return;
    const reply = this.#reader.push(chunk);
    if (!reply.ok) {
      this.end(err(unreadable(reply.error.kind, this.#options.call.url.address)));
      return;
    }
    if (reply.value !== null && !this.#whole) {
      this.#whole = true;
      const read = this.#options.read(reply.value);
      if (read.ok) {
        this.end(read);
        return;
      }
    }
    this.#cancelQuiet();
    this.#cancelQuiet = this.#options.after(QUIET_MS, () => {
      const read = this.#readSoFar();
      if (read?.ok === true || (read !== null && this.#whole)) this.end(read);
    });
  }

  /** Null = not even the head is there. */
  #readSoFar(): Result<T, RouterFailure> | null {
    const reply = this.#reader.end();
    return reply.ok ? this.#options.read(reply.value) : null;
  }

  /** Some routers reset the connection behind their reply. */
  #lastWord(otherwise: RouterFailure): Result<T, RouterFailure> {
    const read = this.#readSoFar();
    return read?.ok === true ? read : err(otherwise);
  }

  #finish(): void {
    if (this.#ended) return;
    const router = this.#options.call.url.address;
    const empty = garbled(
      `The router at ${router} ended the connection without an answer; restart it if this goes on.`,
    );
    this.end(this.#readSoFar() ?? err(empty));
  }

  giveUp(): void {
    if (this.#ended) return;
    this.end(this.#readSoFar() ?? err(noAnswer(this.#options.call.url.address)));
  }

  end(result: Result<T, RouterFailure>): void {
    if (this.#ended) return;
    this.#close();
    this.#settle(result);
  }

  #close(): void {
    this.#ended = true;
    this.#cancelQuiet();
    this.#socket.destroy();
  }
}

function unreadable(kind: string, router: string): RouterFailure {
  const what = kind.endsWith("too-long") ? "answered with more than any router has to say" : "answered with no HTTP";
  return garbled(`The router at ${router} ${what}; restart it if this goes on.`);
}
