import type { ChannelConfirmation, ChannelOpen } from "ssh2/lib/protocol/Protocol.js";
import type { WindowBudget } from "../../core/tunnel/window.ts";
import { type ChannelHost, type ChannelPeer, type RemoteSide, SshChannel } from "./channel.ts";
import { OpenFailure } from "./open-failure.ts";

/** Opened by the client: `-L`, `-D`, `-J`, sessions. */
const MOST_ACCEPTED = 2_000;
/** Opened towards it: visitors. As many as a tunnel session has. */
const MOST_OPENED = 20_000;
/** With those that ended here and that the client has not closed: one that never does gets no more. */
const MOST_KEPT = MOST_ACCEPTED + MOST_OPENED;

export type ChannelsHost = Omit<ChannelHost, "forget" | "await" | "abandoned" | "ended">;

/** The channels of one connection, by this side's numbers. */
export class Channels implements ChannelHost {
  readonly peer: ChannelPeer;
  readonly budget: WindowBudget;
  readonly #host: ChannelsHost;
  readonly #all = new Map<number, SshChannel>();
  /** Closed by the client, and have no number any more. */
  readonly #abandoned = new Set<SshChannel>();
  readonly #waiting: SshChannel[] = [];
  #accepted = 0;
  #nextId = 0;

  constructor(host: ChannelsHost) {
    this.#host = host;
    this.peer = host.peer;
    this.budget = host.budget;
  }

  get rttMs(): number {
    return this.#host.rttMs;
  }

  get ready(): boolean {
    return this.#host.ready;
  }

  nowMs(): number {
    return this.#host.nowMs();
  }

  violated(why: string): void {
    this.#host.violated(why);
  }

  await(channel: SshChannel): void {
    this.#waiting.push(channel);
  }

  forget(channel: SshChannel): void {
    this.#all.delete(channel.id);
  }

  abandoned(channel: SshChannel): void {
    this.#abandoned.add(channel);
  }

  ended(channel: SshChannel): void {
    this.#abandoned.delete(channel);
  }

  get size(): number {
    return this.#all.size;
  }

  get(id: number): SshChannel | undefined {
    return this.#all.get(id);
  }

  /** One that the client asks for; null = it has too many, and was told so. */
  accept({ sender, window, packetSize }: ChannelOpen): SshChannel | null {
    if (this.#accepted >= MOST_ACCEPTED || this.#all.size >= MOST_KEPT) {
      this.#host.peer.channelOpenFail(sender, OpenFailure.shortage, "too many connections");
      return null;
    }
    // A packet of no bytes would never carry any.
    if (packetSize === 0) {
      this.#host.violated("it wants packets of no length");
      return null;
    }
    const channel = this.#add({ id: sender, windowBytes: window, packetBytes: packetSize });
    this.#accepted++;
    channel.onGone = () => {
      this.#accepted--;
    };
    return channel;
  }

  /** For one that this side asks for, by `open`; null = there are too many. */
  open(): SshChannel | null {
    return this.#all.size >= MOST_OPENED ? null : this.#add(null);
  }

  #add(remote: RemoteSide | null): SshChannel {
    const channel = new SshChannel(this, this.#takeId(), remote);
    this.#all.set(channel.id, channel);
    return channel;
  }

  #takeId(): number {
    for (;;) {
      const id = this.#nextId;
      this.#nextId = (this.#nextId + 1) >>> 0;
      if (!this.#all.has(id)) return id;
    }
  }

  confirmed({ recipient, sender, window, packetSize }: ChannelConfirmation): void {
    const channel = this.#all.get(recipient);
    if (channel === undefined || packetSize === 0) this.#host.violated("it confirmed a channel that nobody asked for");
    else channel.receiveConfirmation({ id: sender, windowBytes: window, packetBytes: packetSize });
  }

  /** The connection takes packets again: each that waits has its turn, the one that waits longest first. */
  turns(): void {
    while (this.#host.ready) {
      const channel = this.#waiting.shift();
      if (channel === undefined) return;
      channel.turn();
    }
  }

  cutAll(): void {
    const all = [...this.#all.values(), ...this.#abandoned];
    this.#all.clear();
    this.#waiting.length = 0;
    for (const channel of all) channel.cut("carrierLost");
  }
}
