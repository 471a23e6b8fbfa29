import { errorCode } from "../../os/errors.ts";

/** Datagrams that leave together at most, of all sockets: those of a long turn wait for no more than these. */
export const MAX_GATHERED = 128;
/** Room for their bytes: 128 full Ethernet frames, and some of the largest datagrams with a PROXY header. */
const HELD_BYTES = 256 * 1024;

/** A UDP socket of either kind. Returns how many left; throws the operating system's error when the first could not. */
export interface ManySender {
  sendMany(packets: readonly PacketPart[]): number;
}

type PacketPart = Bun.udp.Data | number;

/** How many parts `sendMany` wants of each datagram: its payload; on an unconnected socket port and address too. */
export const CONNECTED = 1;
export const UNCONNECTED = 3;
type Parts = typeof CONNECTED | typeof UNCONNECTED;

/**
 * Gathers the datagrams of one turn of the event loop and sends them at its end, each socket's with one system call:
 * sendmmsg(2) of eight takes 2.3 µs a datagram where eight of one take 3.1 (loopback). The first of a turn may be the
 * only one, and leaves at once. One for the whole process.
 */
export class UdpOutbox {
  /** Datagrams are copied here until they leave: what they came in may be reused. Made when there is a first one. */
  #held: Uint8Array | null = null;
  #heldBytes = 0;
  #gathered = 0;
  #queues: UdpQueue[] = [];
  #scheduled = false;
  readonly #turnEnds = () => {
    this.#scheduled = false;
    this.flush();
  };

  /** Returns `prefix` and `datagram` in memory that lasts until the next flush, which may come before it returns. */
  hold(datagram: Uint8Array, prefix: Uint8Array | null): Uint8Array {
    const prefixBytes = prefix === null ? 0 : prefix.length;
    const bytes = prefixBytes + datagram.length;
    if (this.#gathered >= MAX_GATHERED || this.#heldBytes + bytes > HELD_BYTES) this.flush();
    this.#held ??= new Uint8Array(HELD_BYTES);
    this.#gathered += 1;
    const start = this.#heldBytes;
    this.#heldBytes += bytes;
    if (prefix !== null) this.#held.set(prefix, start);
    this.#held.set(datagram, start + prefixBytes);
    return this.#held.subarray(start, this.#heldBytes);
  }

  /** `queue` was empty until now. */
  add(queue: UdpQueue): void {
    if (this.#scheduled) {
      this.#queues.push(queue);
      return;
    }
    queue.flush();
    this.#scheduled = true;
    setImmediate(this.#turnEnds);
  }

  /** Sends now what all queues hold. */
  flush(): void {
    const queues = this.#queues;
    this.#queues = [];
    for (const queue of queues) queue.flush();
    this.#gathered = 0;
    this.#heldBytes = 0;
  }
}

/** Whoever sent a datagram: hears when it could not leave after all, with its bytes (and those of its prefix). */
export interface Sender {
  dropped(bytes: number): void;
}

/** What one socket is to send at the end of this turn, in order. */
export class UdpQueue {
  readonly #packets: PacketPart[] = [];
  /** Whose each datagram is. */
  readonly #senders: Sender[] = [];

  constructor(
    readonly outbox: UdpOutbox,
    readonly socket: ManySender,
    readonly parts: Parts,
  ) {}

  /** For a connected socket. */
  push(sender: Sender, datagram: Uint8Array, prefix: Uint8Array | null): void {
    this.#packets.push(this.outbox.hold(datagram, prefix));
    this.#pushed(sender);
  }

  /** For any other. */
  pushTo(sender: Sender, datagram: Uint8Array, port: number, address: string): void {
    this.#packets.push(this.outbox.hold(datagram, null), port, address);
    this.#pushed(sender);
  }

  #pushed(sender: Sender): void {
    this.#senders.push(sender);
    if (this.#senders.length === 1) this.outbox.add(this);
  }

  /** Sends now what waits; to be called before the socket is closed. */
  flush(): void {
    const total = this.#senders.length;
    for (let next = 0; next < total; ) {
      const rest = next === 0 ? this.#packets : this.#packets.slice(next * this.parts);
      // An error may be the answer to an earlier datagram (ICMP), told in place of sending this one: once more, then.
      const sent = this.#send(rest) ?? this.#send(rest);
      next += sent ?? 0;
      // An error is this one's own (EMSGSIZE, no route). None left: the socket is full, and drops all that wait.
      const end = sent === null ? next + 1 : sent === 0 ? total : next;
      for (; next < end; next++) this.#drop(next);
    }
    this.#packets.length = 0;
    this.#senders.length = 0;
  }

  /** How many left, from the first; null = the operating system refused the first. */
  #send(packets: readonly PacketPart[]): number | null {
    try {
      return this.socket.sendMany(packets);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      return null;
    }
  }

  #drop(at: number): void {
    const payload = this.#packets[at * this.parts];
    this.#senders[at]?.dropped(payload instanceof Uint8Array ? payload.length : 0);
  }
}
