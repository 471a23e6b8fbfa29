import type { Socket } from "bun";
import type { KexInit } from "ssh2/lib/protocol/kex.js";
import type { ParsedKey } from "ssh2/lib/protocol/keyParser.js";
import Protocol, { type MessageHandlers } from "ssh2/lib/protocol/Protocol.js";
import { Liveness } from "../../core/tunnel/liveness.ts";
import { WindowBudget } from "../../core/tunnel/window.ts";
import type { ByteEnd } from "../../dataplanes/io/ends.ts";
import type { Reader, Turnstile } from "../../dataplanes/io/turnstile.ts";
import { messageOf } from "../../os/errors.ts";
import { type Endpoint, formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { type SshAuthority, UserAuth } from "./auth.ts";
import type { ChannelsHost } from "./channels.ts";
import type { Gathered } from "./gathered.ts";
import { guardInbound, heedGuesses } from "./inbound.ts";
import { sayGoodbye } from "./outbound.ts";
import { Outbox, type OutboxGroup } from "./outbox.ts";
import { ConnectionService, type SshHandler, serviceMessages } from "./service.ts";

/** The client and what it came to, as a visit tells them: by the socket, or by what a load balancer says. */
export interface SshEnds {
  readonly visitor: Endpoint;
  readonly entry: Endpoint;
}

/** What all connections of a server share. */
export interface ConnectionShared<P> {
  readonly hostKey: ParsedKey;
  readonly offer: KexInit;
  readonly ident: string;
  readonly group: OutboxGroup;
  readonly turnstile: Turnstile;
  readonly gathered: Gathered;
  readonly budget: WindowBudget;
  readonly authority: SshAuthority<P>;
  nowMs(): number;
  open(principal: P, connection: SshConnection<P>): SshHandler;
  /** Who it is is known, or the connection is gone: once. */
  settled(connection: SshConnection<P>, outcome: "accepted" | "left"): void;
  closed(connection: SshConnection<P>, why: string): void;
  failed(error: unknown): void;
}

/** RFC 4253 §11.1 */
const Disconnect = { protocolError: 2, byApplication: 11 } as const;
/** RFC 4253 §4.2 */
const MAX_GREETING_BYTES = 255;
const NEW_LINE = 0x0a;
/** What a connection may hold by windows beyond the first: all connections have the server's budget together. */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024;
/** RFC 4344 §3.2: long before any counter of AES comes round. Clients mostly ask for new keys earlier themselves. */
const REKEY_AFTER_BYTES = 2 ** 36;
/**
 * Windows grow as if the round trip took this at least: a client on a busy machine answers late, and OpenSSH's own windows of
 * 2 MiB do not feel that.
 */
const LEAST_RTT_MS = 20;
/** After the last words the client may take this long to read them. */
const LINGER_MS = 2_000;

/** One SSH connection, from its first byte. */
export class SshConnection<P> implements Reader, ChannelsHost {
  /** As the client calls its program. */
  software = "";
  readonly peer: Protocol;
  readonly budget: WindowBudget;
  readonly #socket: Socket<unknown>;
  readonly #shared: ConnectionShared<P>;
  readonly #outbox: Outbox;
  readonly #liveness: Liveness;
  readonly #auth: UserAuth<P>;
  /** Null until the client has proved who it is. */
  #service: ConnectionService | null = null;
  /** What came of the client's greeting; null = all of it did. */
  #greeting: Buffer | null = Buffer.alloc(0);
  #why: string | null = null;
  #lingerUntilMs = Number.POSITIVE_INFINITY;
  /** Its user ended it: most clients leave by themselves before. */
  #quitAtMs = Number.POSITIVE_INFINITY;
  #pingedAtMs: number | null = null;
  #bytesSinceKeys = 0;

  constructor(
    socket: Socket<unknown>,
    shared: ConnectionShared<P>,
    readonly ends: SshEnds,
    /** Monotonic. */
    readonly sinceMs: number,
  ) {
    this.#socket = socket;
    this.#shared = shared;
    this.#outbox = new Outbox(socket, shared.group);
    this.#liveness = new Liveness(sinceMs);
    this.budget = new WindowBudget(WINDOW_BUDGET_BYTES, shared.budget);
    this.peer = new Protocol({
      server: true,
      hostKeys: { [shared.hostKey.type]: shared.hostKey },
      ident: shared.ident,
      offer: shared.offer,
      onWrite: (bytes) => this.#outbox.write(bytes),
      // It has told the client.
      onError: (error) => this.#leave(error.message),
      onHeader: ({ versions }) => {
        this.software = versions.software;
        heedGuesses(this.peer, this.peer._decipher, shared.hostKey.type);
      },
      onHandshakeComplete: () => {
        this.#bytesSinceKeys = 0;
        this.#service?.channels.turns();
      },
      messageHandlers: this.#handlers(),
    });
    heedGuesses(this.peer, this.peer, shared.hostKey.type);
    guardInbound(this.peer, {
      isClosed: () => this.isClosed,
      isAuthenticated: () => this.isAuthenticated,
      violated: (why) => this.violated(why),
    });
    this.#auth = new UserAuth({
      authority: shared.authority,
      answers: this.peer,
      address: ends.visitor.address,
      isClosed: () => this.isClosed,
      accepted: (principal) => this.#accepted(principal),
      giveUp: (why) => this.violated(why),
      failed: (error) => shared.failed(error),
    });
    this.peer.start();
  }

  // ——— what whoever serves it sees ———

  get isClosed(): boolean {
    return this.#why !== null;
  }

  get isAuthenticated(): boolean {
    return this.#service !== null;
  }

  /** Of the client, an IP literal. */
  get address(): string {
    return this.ends.visitor.address;
  }

  /** `address:port` of the client. */
  get remoteAddress(): string {
    return formatHostPort(this.address, this.ends.visitor.port);
  }

  /** The address that the client reached. */
  get localAddress(): string {
    return this.ends.entry.address;
  }

  get measuredRttMs(): number | null {
    return this.#liveness.rttMs;
  }

  get channelCount(): number {
    return this.#service?.channels.size ?? 0;
  }

  /** See ConnectionService. */
  openForwarded(bound: HostPort, visitor: Endpoint, onGone: (() => void) | null): ByteEnd | ReasonName {
    return this.#service?.openForwarded(bound, visitor, onGone) ?? "deviceAway";
  }

  /** See ConnectionService. */
  openForwardedSocket(path: string, onGone: (() => void) | null): ByteEnd | ReasonName {
    return this.#service?.openForwardedSocket(path, onGone) ?? "deviceAway";
  }

  /** Said in every session that shows text. */
  say(lines: readonly string[]): void {
    this.#service?.say(lines);
  }

  /** Ends it in order: the client is told. */
  close(why: string): void {
    this.#end(why, Disconnect.byApplication);
  }

  violated(why: string): void {
    this.#end(`the client broke the protocol: ${why}`, Disconnect.protocolError);
  }

  // ——— of its channels ———

  get rttMs(): number {
    return Math.max(this.measuredRttMs ?? 0, LEAST_RTT_MS);
  }

  get ready(): boolean {
    return this.#outbox.ready && !this.isClosed && this.peer._kexinit === undefined;
  }

  nowMs(): number {
    return this.#shared.nowMs();
  }

  // ——— of its socket ———

  receive(bytes: Buffer): void {
    if (this.isClosed) return;
    this.#liveness.heard(this.#shared.nowMs());
    // Before keys are there, ssh2 keeps views of what it was given, and Bun uses its buffer again.
    const kept = this.isAuthenticated ? bytes : this.#withGreeting(bytes);
    if (kept === null) return;
    try {
      this.peer.parse(kept, 0, kept.length);
      this.#shared.gathered.flush();
    } catch (error) {
      this.#shared.gathered.drop();
      this.#fail(messageOf(error));
      return;
    }
    this.#countForKeys(bytes.length);
    this.#shared.turnstile.passed(this, bytes.length);
    if (this.#outbox.overflows) this.#fail("the client does not read what it asks for");
  }

  /** A copy, from the greeting on; null = the greeting is not whole yet. In three pieces, ssh2 1.17.0 would lose the second. */
  #withGreeting(bytes: Buffer): Buffer | null {
    const begun = this.#greeting;
    if (begun === null) return Buffer.from(bytes);
    const whole = Buffer.concat([begun, bytes]);
    const isWhole = whole.includes(NEW_LINE) || whole.length > MAX_GREETING_BYTES;
    this.#greeting = isWhole ? null : whole;
    return isWhole ? whole : null;
  }

  #countForKeys(bytes: number): void {
    this.#bytesSinceKeys += bytes;
    if (this.#bytesSinceKeys < REKEY_AFTER_BYTES || this.isClosed) return;
    this.#bytesSinceKeys = 0;
    this.peer.rekey();
  }

  drain(): void {
    if (!this.#outbox.drain()) return;
    if (this.isClosed) this.#socket.end();
    else this.#service?.channels.turns();
  }

  standStill(): void {
    if (!this.isClosed) this.#socket.pause();
  }

  goOn(): void {
    if (!this.isClosed) this.#socket.resume();
  }

  socketClosed(error: Error | undefined): void {
    this.#lingerUntilMs = Number.POSITIVE_INFINITY;
    this.#fail(error === undefined ? "the connection was closed" : messageOf(error));
  }

  /** Finds a dead peer, and keeps the counters of sessions going. */
  sweep(nowMs: number): void {
    if (this.isClosed) {
      if (nowMs >= this.#lingerUntilMs) this.#socket.terminate();
      return;
    }
    if (this.#service === null) return;
    if (nowMs >= this.#quitAtMs) {
      this.close("its user ended it");
      return;
    }
    this.#service.tick();
    switch (this.#liveness.tick(nowMs)) {
      case "ping":
        this.#liveness.pinged(nowMs);
        this.#pingedAtMs = nowMs;
        this.peer.ping();
        return;
      case "dead":
        this.#fail("the client does not answer any more");
        return;
      default:
        return;
    }
  }

  // ——— what it is made of ———

  #accepted(principal: P): void {
    this.#service = new ConnectionService(this, {
      handler: this.#shared.open(principal, this),
      quit: () => {
        this.#quitAtMs = this.nowMs() + LINGER_MS;
      },
      failed: (error) => this.#shared.failed(error),
    });
    this.#shared.settled(this, "accepted");
  }

  /** Each message that comes before its time ends the connection: none of them is answered to who is not known. */
  #handlers(): MessageHandlers {
    return {
      DISCONNECT: () => this.#fail("the client said goodbye"),
      SERVICE_REQUEST: (_, name) => {
        if (this.isClosed) return;
        if (name === "ssh-userauth" && !this.isAuthenticated) this.peer.serviceAccept(name);
        else this.violated(`it asks for a service that there is none of`);
      },
      USERAUTH_REQUEST: (_, user, service, method, data) => {
        if (!this.isClosed && !this.isAuthenticated) this.#auth.request(user, service, method, data);
      },
      ...serviceMessages({
        gathered: this.#shared.gathered,
        isClosed: () => this.isClosed,
        service: () => this.#service,
        answered: () => {
          if (this.#pingedAtMs !== null) this.#liveness.pong(this.#pingedAtMs, this.#shared.nowMs());
        },
        violated: (why) => this.violated(why),
      }),
    };
  }

  /** Tells the client. */
  #end(why: string, code: number): void {
    if (this.isClosed) return;
    try {
      sayGoodbye(this.peer, code, `The relay ends the connection: ${why.replace(/\.$/, "")}.`);
    } catch (error) {
      this.#shared.failed(error);
    }
    this.#leave(why);
  }

  /** Lets the client read for a moment what it was told. */
  #leave(why: string): void {
    if (this.isClosed) return;
    this.#outbox.flush();
    this.#lingerUntilMs = this.#shared.nowMs() + LINGER_MS;
    const isSent = this.#outbox.isEmpty;
    this.#closed(why);
    if (isSent) this.#socket.end();
  }

  #fail(why: string): void {
    if (this.isClosed) return;
    this.#outbox.close();
    this.#closed(why);
    this.#socket.terminate();
  }

  #closed(why: string): void {
    this.#why = why;
    this.peer.cleanup();
    if (this.#service === null) this.#shared.settled(this, "left");
    this.#service?.end(why);
    this.#shared.closed(this, why);
  }
}
