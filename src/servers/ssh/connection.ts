import type { Socket } from "bun";
import type { KexInit } from "ssh2/lib/protocol/kex.js";
import type { ParsedKey } from "ssh2/lib/protocol/keyParser.js";
import Protocol, { type ChannelOpen, type MessageHandlers } from "ssh2/lib/protocol/Protocol.js";
import { Liveness } from "../../core/tunnel/liveness.ts";
import { INITIAL_WINDOW_BYTES, WindowBudget } from "../../core/tunnel/window.ts";
import type { ByteEnd } from "../../dataplanes/io/ends.ts";
import type { Reader, Turnstile } from "../../dataplanes/io/turnstile.ts";
import { messageOf } from "../../os/errors.ts";
import { type Endpoint, formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { type SshAuthority, UserAuth } from "./auth.ts";
import { MAX_PACKET_BYTES, type SshChannel } from "./channel.ts";
import { Channels, type ChannelsHost } from "./channels.ts";
import type { Gathered } from "./gathered.ts";
import { OpenFailure } from "./open-failure.ts";
import { Outbox, type OutboxGroup } from "./outbox.ts";
import { type ForwardRequests, GlobalRequests } from "./requests.ts";
import { TextSession, type TextView } from "./text-session.ts";

/** What a client that proved who it is may ask for; one a connection. */
export interface SshHandler extends ForwardRequests {
  /** `-L`, `-D`, `-J`, `-W`. Sets the channel's sink before it returns, or resets it. */
  dial(target: HostPort, channel: ByteEnd): void;
  /** `-L PORT:/PATH`. The same. */
  dialSocket(path: string, channel: ByteEnd): void;
  readonly view: TextView;
  /** The last call. */
  closed(why: string): void;
}

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
/** What a connection may hold by windows beyond the first: all connections have the server's budget together. */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024;
/** RFC 4344 §3.2: long before any counter of AES comes round. Clients mostly ask for new keys earlier themselves. */
const REKEY_AFTER_BYTES = 2 ** 36;
/**
 * Windows grow as if the round trip took this at least: a client on a busy machine answers late, and OpenSSH's own windows of
 * 2 MiB do not feel that.
 */
const LEAST_RTT_MS = 20;
const MAX_SESSIONS = 10;
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
  readonly #channels: Channels;
  readonly #sessions = new Map<number, TextSession>();
  #requests: GlobalRequests | null = null;
  #handler: SshHandler | null = null;
  #why: string | null = null;
  #lingerUntilMs = Number.POSITIVE_INFINITY;
  /** Its user ended it: most clients leave by themselves before. */
  #quitAtMs = Number.POSITIVE_INFINITY;
  #pingedAtMs: number | null = null;
  #bytesSinceKeys = 0;
  #noMoreSessions = false;

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
      onError: (error) => this.#fail(error.message),
      onHeader: ({ versions }) => {
        this.software = versions.software;
      },
      onHandshakeComplete: () => {
        this.#bytesSinceKeys = 0;
        this.#channels.turns();
      },
      messageHandlers: this.#handlers(),
    });
    this.#channels = new Channels(this);
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
    return this.#handler !== null;
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
    return this.#channels.size;
  }

  /** Towards the client, for a visitor of its `-R`. `bound`: as the client asked for it, with the port that it got. */
  openForwarded(bound: HostPort, visitor: Endpoint, onGone: (() => void) | null): ByteEnd | ReasonName {
    const channel = this.#open(onGone);
    if (typeof channel === "string") return channel;
    const from = { boundAddr: bound.host, boundPort: bound.port };
    const to = { remoteAddr: visitor.address, remotePort: visitor.port };
    this.peer.forwardedTcpip(channel.id, INITIAL_WINDOW_BYTES, MAX_PACKET_BYTES, { ...from, ...to });
    return channel;
  }

  /** The same for a socket of `-R /PATH`. */
  openForwardedSocket(path: string, onGone: (() => void) | null): ByteEnd | ReasonName {
    const channel = this.#open(onGone);
    if (typeof channel === "string") return channel;
    this.peer.openssh_forwardedStreamLocal(channel.id, INITIAL_WINDOW_BYTES, MAX_PACKET_BYTES, { socketPath: path });
    return channel;
  }

  #open(onGone: (() => void) | null): SshChannel | ReasonName {
    if (this.isClosed) return "deviceAway";
    const channel = this.#channels.open();
    if (channel === null) return "resources";
    channel.onGone = onGone;
    return channel;
  }

  /** Said in every session that shows text. */
  say(lines: readonly string[]): void {
    for (const session of this.#sessions.values()) session.changed(lines);
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
    const kept = this.isAuthenticated ? bytes : Buffer.from(bytes);
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

  #countForKeys(bytes: number): void {
    this.#bytesSinceKeys += bytes;
    if (this.#bytesSinceKeys < REKEY_AFTER_BYTES || this.isClosed) return;
    this.#bytesSinceKeys = 0;
    this.peer.rekey();
  }

  drain(): void {
    if (!this.#outbox.drain()) return;
    if (this.isClosed) this.#socket.end();
    else this.#channels.turns();
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
    if (!this.isAuthenticated) return;
    if (nowMs >= this.#quitAtMs) {
      this.close("its user ended it");
      return;
    }
    for (const session of this.#sessions.values()) session.tick();
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
    this.#handler = this.#shared.open(principal, this);
    this.#requests = new GlobalRequests({
      handler: this.#handler,
      answers: this.peer,
      isClosed: () => this.isClosed,
      refused: (message) => {
        if (message !== "") this.say([`Refused: ${message}`]);
      },
      giveUp: (why) => this.violated(why),
      failed: (error) => this.#shared.failed(error),
    });
    this.#shared.settled(this, "accepted");
  }

  /** Each message that comes before its time ends the connection: none of them is answered to who is not known. */
  #handlers(): MessageHandlers {
    const { gathered } = this.#shared;
    const served = <A extends unknown[]>(handle: (...args: A) => void) => {
      return (_: Protocol, ...args: A): void => {
        // What follows data is heard after it.
        gathered.flush();
        if (this.isClosed) return;
        if (this.isAuthenticated) handle(...args);
        else this.violated("it asks before it has proved who it is");
      };
    };
    const onChannel = <A extends unknown[]>(handle: (channel: SshChannel, ...args: A) => void) =>
      served((recipient: number, ...args: A) => {
        const channel = this.#channels.get(recipient);
        if (channel === undefined) this.violated("it names a channel that is not there");
        else handle(channel, ...args);
      });
    const pong = () => {
      if (this.#pingedAtMs !== null) this.#liveness.pong(this.#pingedAtMs, this.#shared.nowMs());
    };
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
      GLOBAL_REQUEST: served((name: string, wantReply: boolean, data: unknown) => {
        if (name === "no-more-sessions@openssh.com") this.#noMoreSessions = true;
        this.#requests?.request(name, wantReply, data);
      }),
      REQUEST_SUCCESS: served(pong),
      REQUEST_FAILURE: served(pong),
      CHANNEL_OPEN: served((info: ChannelOpen) => this.#channelOpen(info)),
      CHANNEL_OPEN_CONFIRMATION: served((info) => this.#channels.confirmed(info)),
      CHANNEL_OPEN_FAILURE: onChannel((channel, code: number) => channel.receiveFailure(code)),
      CHANNEL_WINDOW_ADJUST: onChannel((channel, bytes: number) => channel.receiveWindow(bytes)),
      CHANNEL_DATA: (_, recipient, data) => {
        if (this.isClosed) return;
        const channel = this.isAuthenticated ? this.#channels.get(recipient) : undefined;
        if (channel === undefined) this.violated("it sends data to a channel that is not there");
        else gathered.add(channel, data);
      },
      // Only servers have a second stream (RFC 4254 §5.2 knows stderr alone).
      CHANNEL_EXTENDED_DATA: onChannel((channel, data: Buffer) => channel.receiveUnwanted(data.length)),
      CHANNEL_EOF: onChannel((channel) => channel.receiveEnd()),
      CHANNEL_CLOSE: onChannel((channel) => channel.receiveClose()),
      CHANNEL_REQUEST: onChannel((channel, type: string, wantReply: boolean) => {
        const session = this.#sessions.get(channel.id);
        if (session !== undefined) session.request(type, wantReply);
        else if (wantReply && channel.remoteId !== null) this.peer.channelFailure(channel.remoteId);
      }),
    };
  }

  #channelOpen(info: ChannelOpen): void {
    const { type, sender, data } = info;
    const handler = this.#handler;
    if (handler === null) return;
    switch (type) {
      case "session": {
        if (this.#noMoreSessions || this.#sessions.size >= MAX_SESSIONS) {
          this.peer.channelOpenFail(sender, OpenFailure.prohibited, "no more sessions");
          return;
        }
        this.#accept(info, (channel) => this.#openSession(channel, handler));
        return;
      }
      case "direct-tcpip":
        this.#accept(info, (channel) => handler.dial({ host: data.destIP ?? "", port: data.destPort ?? 0 }, channel));
        return;
      case "direct-streamlocal@openssh.com":
        this.#accept(info, (channel) => handler.dialSocket(data.socketPath ?? "", channel));
        return;
      default:
        this.peer.channelOpenFail(sender, OpenFailure.unknownType, "there is no such kind of channel here");
    }
  }

  #accept(info: ChannelOpen, serve: (channel: SshChannel) => void): void {
    const channel = this.#channels.accept(info);
    if (channel !== null) serve(channel);
  }

  #openSession(channel: SshChannel, { view }: SshHandler): void {
    const session = new TextSession({
      channel,
      answers: this.peer,
      view,
      quit: () => {
        this.#quitAtMs = this.nowMs() + LINGER_MS;
      },
      ended: () => this.#sessions.delete(channel.id),
    });
    this.#sessions.set(channel.id, session);
  }

  /** Tells the client, and lets it read that for a moment. */
  #end(why: string, code: number): void {
    if (this.isClosed) return;
    try {
      this.peer.disconnect(code);
    } catch (error) {
      this.#shared.failed(error);
    }
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
    this.#channels.cutAll();
    this.#sessions.clear();
    if (this.#handler === null) this.#shared.settled(this, "left");
    this.#handler?.closed(why);
    this.#shared.closed(this, why);
  }
}
