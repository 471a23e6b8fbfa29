import type { HostPort } from "../../wire/endpoint.ts";
import { ok, type Result } from "../../wire/result.ts";

/** What the client asks of the connection as a whole (RFC 4254 §7.1, OpenSSH's PROTOCOL §2.4). */
export interface ForwardRequests {
  /** `-R`: the port that is open, or why none is. `bind.port` 0 = any. */
  forward(bind: HostPort): Promise<Result<number, string>>;
  /** False when there is no such forward. */
  cancelForward(bind: HostPort): Promise<boolean>;
  forwardSocket(path: string): Promise<Result<null, string>>;
  cancelSocket(path: string): Promise<boolean>;
}

export interface RequestAnswers {
  requestSuccess(data?: Buffer): void;
  requestFailure(): void;
}

export interface GlobalRequestsOptions {
  readonly handler: ForwardRequests;
  readonly answers: RequestAnswers;
  isClosed(): boolean;
  /** Why a forward was refused, one sentence: SSH's answer has no place for it. */
  refused(message: string): void;
  /** Ends the connection. */
  giveUp(why: string): void;
  failed(error: unknown): void;
}

const MOST_WAITING = 256;
const MAX_PORT = 65_535;
const PORT_BYTES = 4;
const CUT_OFF = "The request is cut off.";

/** Answers global requests in their order, as RFC 4254 §4 wants: the answers carry no number. */
export class GlobalRequests {
  readonly #options: GlobalRequestsOptions;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(options: GlobalRequestsOptions) {
    this.#options = options;
  }

  request(name: string, wantReply: boolean, data: unknown): void {
    const { giveUp, failed } = this.#options;
    if (this.#waiting >= MOST_WAITING) {
      giveUp("it asks faster than it can be answered");
      return;
    }
    this.#waiting++;
    this.#turn = this.#turn
      .then(() => this.#answer(name, wantReply, data))
      .catch((error: unknown) => {
        failed(error);
        giveUp("the relay could not carry out a request");
      })
      .finally(() => {
        this.#waiting--;
      });
  }

  async #answer(name: string, wantReply: boolean, data: unknown): Promise<void> {
    const { isClosed, answers, refused } = this.#options;
    // What a connection that ended still wanted, it asks for again on its next one.
    if (isClosed()) return;
    const done = await this.#carryOut(name, data);
    if (isClosed()) return;
    if (!done.ok) refused(done.error);
    if (!wantReply) return;
    if (done.ok) answers.requestSuccess(done.value ?? undefined);
    else answers.requestFailure();
  }

  async #carryOut(name: string, data: unknown): Promise<Result<Buffer | null, string>> {
    const { handler } = this.#options;
    switch (name) {
      case "tcpip-forward": {
        const bind = hostPortOf(data);
        if (bind === null) return { ok: false, error: CUT_OFF };
        if (bind.port > MAX_PORT) return { ok: false, error: `There is no port ${bind.port}.` };
        const opened = await handler.forward(bind);
        if (!opened.ok) return opened;
        // RFC 4254 §7.1: the port is told where the client left the choice.
        return ok(bind.port === 0 ? portBytes(opened.value) : null);
      }
      case "cancel-tcpip-forward": {
        const bind = hostPortOf(data);
        return doneOr(bind !== null && (await handler.cancelForward(bind)), "There is no such forward to end.");
      }
      case "streamlocal-forward@openssh.com":
        return handler.forwardSocket(pathOf(data));
      case "cancel-streamlocal-forward@openssh.com":
        return doneOr(await handler.cancelSocket(pathOf(data)), "There is no such socket to close.");
      default:
        return { ok: false, error: "" };
    }
  }
}

function doneOr(done: boolean, message: string): Result<null, string> {
  return done ? ok(null) : { ok: false, error: message };
}

/** As ssh2 reads these requests; null = the address is cut off. */
function hostPortOf(data: unknown): HostPort | null {
  const { bindAddr, bindPort } = data as { readonly bindAddr: string | undefined; readonly bindPort: number };
  return bindAddr === undefined ? null : { host: bindAddr, port: bindPort };
}

function pathOf(data: unknown): string {
  return (data as { readonly socketPath: string }).socketPath;
}

function portBytes(port: number): Buffer {
  const bytes = Buffer.alloc(PORT_BYTES);
  bytes.writeUInt32BE(port);
  return bytes;
}
