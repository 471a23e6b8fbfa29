import type Protocol from "ssh2/lib/protocol/Protocol.js";
import type { ChannelOpen, MessageHandlers } from "ssh2/lib/protocol/Protocol.js";
import { INITIAL_WINDOW_BYTES } from "../../core/tunnel/window.ts";
import type { ByteEnd } from "../../dataplanes/io/ends.ts";
import type { Endpoint, HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { MAX_PACKET_BYTES, type SshChannel } from "./channel.ts";
import { Channels, type ChannelsHost } from "./channels.ts";
import type { Gathered } from "./gathered.ts";
import { OpenFailure } from "./open-failure.ts";
import { sayDebug } from "./outbound.ts";
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

/** The connection that it is a service of. */
export interface ServiceHost extends ChannelsHost {
  readonly peer: Protocol;
  readonly isClosed: boolean;
}

export interface ServiceOptions {
  readonly handler: SshHandler;
  /** The user of a session wants the connection to end. */
  quit(): void;
  failed(error: unknown): void;
}

const MAX_SESSIONS = 10;
const MOST_UNTOLD = 32;

/** "ssh-connection" (RFC 4254), of one client that proved who it is: its channels, and what it asks for as a whole. */
export class ConnectionService {
  readonly channels: Channels;
  readonly #host: ServiceHost;
  readonly #options: ServiceOptions;
  readonly #requests: GlobalRequests;
  readonly #sessions = new Map<number, TextSession>();
  /** Refusals that nobody has read yet. */
  readonly #untold: string[] = [];
  #noMoreSessions = false;

  constructor(host: ServiceHost, options: ServiceOptions) {
    this.#host = host;
    this.#options = options;
    this.channels = new Channels(host);
    this.#requests = new GlobalRequests({
      handler: options.handler,
      answers: host.peer,
      isClosed: () => host.isClosed,
      refused: (message) => {
        if (message !== "") this.#refused(`Refused: ${message}`);
      },
      giveUp: (why) => host.violated(why),
      failed: options.failed,
    });
  }

  // ——— what this side opens ———

  /** Towards the client, for a visitor of its `-R`. `bound`: as the client asked for it, with the port that it got. */
  openForwarded(bound: HostPort, visitor: Endpoint, onGone: (() => void) | null): ByteEnd | ReasonName {
    const channel = this.#open(onGone);
    if (typeof channel === "string") return channel;
    const from = { boundAddr: bound.host, boundPort: bound.port };
    const to = { remoteAddr: visitor.address, remotePort: visitor.port };
    this.#host.peer.forwardedTcpip(channel.id, INITIAL_WINDOW_BYTES, MAX_PACKET_BYTES, { ...from, ...to });
    return channel;
  }

  /** The same for a socket of `-R /PATH`. */
  openForwardedSocket(path: string, onGone: (() => void) | null): ByteEnd | ReasonName {
    const channel = this.#open(onGone);
    if (typeof channel === "string") return channel;
    const { peer } = this.#host;
    peer.openssh_forwardedStreamLocal(channel.id, INITIAL_WINDOW_BYTES, MAX_PACKET_BYTES, { socketPath: path });
    return channel;
  }

  #open(onGone: (() => void) | null): SshChannel | ReasonName {
    if (this.#host.isClosed) return "deviceAway";
    const channel = this.channels.open();
    if (channel === null) return "resources";
    channel.onGone = onGone;
    return channel;
  }

  /** SSH's answer has no place for the reason. Clients ask for ports before they open the session that would show it. */
  #refused(line: string): void {
    sayDebug(this.#host.peer, line);
    this.say([line]);
    if (this.#sessions.size === 0 && this.#untold.length < MOST_UNTOLD) this.#untold.push(line);
  }

  /** Said in every session that shows text. */
  say(lines: readonly string[]): void {
    for (const session of this.#sessions.values()) session.changed(lines);
  }

  /** Keeps the counters of sessions going. */
  tick(): void {
    for (const session of this.#sessions.values()) session.tick();
  }

  /** The connection is gone. */
  end(why: string): void {
    this.channels.cutAll();
    this.#sessions.clear();
    this.#options.handler.closed(why);
  }

  // ——— what the client asks ———

  global(name: string, wantReply: boolean, data: unknown): void {
    if (name === "no-more-sessions@openssh.com") this.#noMoreSessions = true;
    this.#requests.request(name, wantReply, data);
  }

  channelRequest(channel: SshChannel, type: string, wantReply: boolean, data: unknown): void {
    const session = this.#sessions.get(channel.id);
    if (session !== undefined) session.request(type, wantReply, data);
    else if (wantReply && channel.remoteId !== null) this.#host.peer.channelFailure(channel.remoteId);
  }

  channelClosed(channel: SshChannel): void {
    // A session has nothing to say to a client that hears it no more.
    if (this.#sessions.has(channel.id)) channel.end();
    channel.receiveClose();
  }

  channelOpen(info: ChannelOpen): void {
    const { type, sender, data } = info;
    const { handler } = this.#options;
    const { peer } = this.#host;
    switch (type) {
      case "session": {
        if (this.#noMoreSessions || this.#sessions.size >= MAX_SESSIONS) {
          peer.channelOpenFail(sender, OpenFailure.prohibited, "no more sessions");
          return;
        }
        this.#accept(info, (channel) => this.#openSession(channel));
        return;
      }
      case "direct-tcpip":
        this.#accept(info, (channel) => handler.dial({ host: data.destIP ?? "", port: data.destPort ?? 0 }, channel));
        return;
      case "direct-streamlocal@openssh.com":
        this.#accept(info, (channel) => handler.dialSocket(data.socketPath ?? "", channel));
        return;
      default:
        peer.channelOpenFail(sender, OpenFailure.unknownType, "there is no such kind of channel here");
    }
  }

  #accept(info: ChannelOpen, serve: (channel: SshChannel) => void): void {
    const channel = this.channels.accept(info);
    if (channel !== null) serve(channel);
  }

  #openSession(channel: SshChannel): void {
    const { handler, quit } = this.#options;
    const session = new TextSession({
      channel,
      answers: this.#host.peer,
      view: handler.view,
      untold: () => this.#untold.splice(0),
      quit,
      ended: () => this.#sessions.delete(channel.id),
    });
    this.#sessions.set(channel.id, session);
  }
}

export interface ServiceMessagesOptions {
  readonly gathered: Gathered;
  isClosed(): boolean;
  /** Null until the client has proved who it is. */
  service(): ConnectionService | null;
  /** To a ping. */
  answered(): void;
  violated(why: string): void;
}

/** All but those of the transport (RFC 4253), and of the proof who it is (RFC 4252). */
type ServiceMessages = Omit<MessageHandlers, "DISCONNECT" | "SERVICE_REQUEST" | "USERAUTH_REQUEST">;

/** The messages of the service, of one connection: none is heard of a client that is not known. */
export function serviceMessages(options: ServiceMessagesOptions): ServiceMessages {
  const { gathered, isClosed, violated, answered } = options;
  const served = <A extends unknown[]>(handle: (service: ConnectionService, ...args: A) => void) => {
    return (_: Protocol, ...args: A): void => {
      // What follows data is heard after it.
      gathered.flush();
      if (isClosed()) return;
      const service = options.service();
      if (service !== null) handle(service, ...args);
      else violated("it asks before it has proved who it is");
    };
  };
  const onChannel = <A extends unknown[]>(
    handle: (channel: SshChannel, service: ConnectionService, ...args: A) => void,
  ) =>
    served((service: ConnectionService, recipient: number, ...args: A) => {
      const channel = service.channels.get(recipient);
      if (channel === undefined) violated("it names a channel that is not there");
      else handle(channel, service, ...args);
    });
  return {
    GLOBAL_REQUEST: served((service, name: string, wantReply: boolean, data: unknown) =>
      service.global(name, wantReply, data),
    ),
    REQUEST_SUCCESS: served(() => answered()),
    REQUEST_FAILURE: served(() => answered()),
    CHANNEL_OPEN: served((service, { type, sender, window, packetSize, data }: Partial<ChannelOpen>) => {
      if (type === undefined || sender === undefined || window === undefined || packetSize === undefined) {
        violated("its request for a channel is cut off");
      } else service.channelOpen({ type, sender, window, packetSize, data: data ?? {} });
    }),
    CHANNEL_OPEN_CONFIRMATION: served((service, info) => service.channels.confirmed(info)),
    CHANNEL_OPEN_FAILURE: onChannel((channel, _service, code: number) => channel.receiveFailure(code)),
    CHANNEL_WINDOW_ADJUST: onChannel((channel, _service, bytes: number) => channel.receiveWindow(bytes)),
    CHANNEL_DATA: (_, recipient, data) => {
      if (isClosed()) return;
      const channel = options.service()?.channels.get(recipient);
      if (channel === undefined) violated("it sends data to a channel that is not there");
      else gathered.add(channel, data);
    },
    // Only servers have a second stream (RFC 4254 §5.2 knows stderr alone).
    CHANNEL_EXTENDED_DATA: onChannel((channel, _service, data: Buffer) => channel.receiveUnwanted(data.length)),
    CHANNEL_EOF: onChannel((channel) => channel.receiveEnd()),
    CHANNEL_CLOSE: onChannel((channel, service) => service.channelClosed(channel)),
    CHANNEL_REQUEST: onChannel((channel, service, type: string, wantReply: boolean, data: unknown) =>
      service.channelRequest(channel, type, wantReply, data),
    ),
  };
}
