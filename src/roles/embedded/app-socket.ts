import { isIP } from "node:net";
import { Duplex } from "node:stream";
import type { Endpoint } from "../../wire/endpoint.ts";

/** Of each direction (`highWaterMark`). */
const BUFFER_BYTES = 64 * 1024;

export interface AppSocketPlace {
  /** Who is at the other end. */
  readonly remote: Endpoint;
  /** Where it came to, or was made. */
  readonly local: Endpoint;
}

export type Done = (error?: Error | null) => void;

/** Who does what the app wants of its socket. */
export interface AppSocketOwner {
  appReads(): void;
  appWrites(chunk: Buffer, done: Done): void;
  appEnds(): void;
  appCloses(): void;
}

/**
 * What the app sees of a connection: it half-closes as a TCP socket with `allowHalfOpen` does. It has what servers call of a
 * socket of node:net: one that lacks `setNoDelay` ends the program of whoever calls it, and one without `setTimeout` is
 * kept alive by a web server for good.
 */
export class AppSocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly connecting = false;
  bytesRead = 0;
  bytesWritten = 0;
  /** Milliseconds; 0 = no limit. */
  timeout = 0;
  readonly #owner: AppSocketOwner;
  #idle: NodeJS.Timeout | undefined;

  constructor(owner: AppSocketOwner, { remote, local }: AppSocketPlace) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#owner = owner;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.localAddress = local.address;
    this.localPort = local.port;
    // A visitor that goes away must not end a program that listens for no errors. (`pipe` listens, and then throws.)
    this.on("error", () => undefined);
  }

  get remoteFamily(): string {
    return familyOf(this.remoteAddress);
  }

  get localFamily(): string {
    return familyOf(this.localAddress);
  }

  address(): { readonly address: string; readonly family: string; readonly port: number } {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort };
  }

  /** `timeout` is emitted after so many milliseconds without a byte either way; that ends nothing. 0 = never. */
  setTimeout(idleMs: number, onTimeout?: () => void): this {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.timeout = idleMs;
    if (onTimeout !== undefined) {
      if (idleMs > 0) this.once("timeout", onTimeout);
      else this.off("timeout", onTimeout);
    }
    if (idleMs > 0 && !this.destroyed) {
      this.#idle = setTimeout(() => this.emit("timeout"), idleMs);
      this.#idle.unref();
    }
    return this;
  }

  /** The connection with the visitor is the relay's, who sends at once. */
  setNoDelay(_noDelay?: boolean): this {
    return this;
  }

  /** The tunnel finds out by itself who is gone. */
  setKeepAlive(_enable?: boolean, _initialDelayMs?: number): this {
    return this;
  }

  /** The connection to the relay is what keeps a program running. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** Null = the visitor has ended. */
  received(chunk: Buffer | null): void {
    this.bytesRead += chunk?.length ?? 0;
    this.#idle?.refresh();
    this.push(chunk);
  }

  /** As of any stream, but whoever has read it to its end may still write: the other direction is open. */
  override async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined> {
    let isRead = false;
    try {
      yield* this.iterator({ destroyOnReturn: false });
      isRead = true;
    } finally {
      if (!isRead) this.destroy();
    }
  }

  override _read(): void {
    this.#owner.appReads();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.bytesWritten += chunk.length;
    this.#idle?.refresh();
    this.#owner.appWrites(chunk, (error) => {
      this.#idle?.refresh();
      done(error);
    });
  }

  override _final(done: Done): void {
    this.#owner.appEnds();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#owner.appCloses();
    done(error);
  }
}

function familyOf(address: string): "IPv4" | "IPv6" {
  return isIP(address) === 6 ? "IPv6" : "IPv4";
}
