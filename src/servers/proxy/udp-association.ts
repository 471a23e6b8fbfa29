import type { PortSocket } from "../../dataplanes/io/datagram-socket.ts";
import { bindPort } from "../../dataplanes/io/datagram-sockets.ts";
import type { ByteEnd, ByteSink, FlowEnd, FlowSink, Visit } from "../../dataplanes/io/ends.ts";
import type { EntryHost } from "../../dataplanes/io/entry.ts";
import type { Admission, IdleLimits, OpenVisit } from "../../dataplanes/io/visits.ts";
import { errorCode } from "../../os/errors.ts";
import { parseAddress } from "../../wire/address.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { decodeSocksDatagram, encodeSocks5Reply, encodeSocksUdpHeader, Socks5Reply } from "../../wire/socks.ts";

/** Destinations one association may talk to at a time: each costs a flow at the exit. */
const MAX_FLOWS = 256;
const ANY_PORT = 0;

export interface AssociationSpec {
  readonly host: EntryHost;
  /** The TCP connection that asked: the association lives as long as it (RFC 1928 §7). */
  readonly client: ByteEnd;
  readonly visit: Visit;
  readonly admission: Admission;
  /** Where the client says it will send from; port 0 = it does not know yet. */
  readonly from: HostPort;
}

/**
 * SOCKS 5 UDP ASSOCIATE: a UDP socket on the address the client reached. Answers the client and returns null, or
 * returns why there is no socket and leaves the client alone.
 */
export function openAssociation(spec: AssociationSpec): ReasonName | null {
  const association = new Association(spec);
  return association.open() ? null : "resources";
}

class Association implements OpenVisit, ByteSink {
  readonly protocol = "udp";
  readonly sinceMs = Date.now();
  readonly visit: Visit;
  bytesIn = 0;
  bytesOut = 0;
  #id = 0;
  #socket: PortSocket | null = null;
  /** The client's port: as it said, or that of its first datagram. */
  #clientPort: number;
  /** As the socket gives it: what replies are sent to. */
  #clientAddress = "";
  readonly #flows = new Map<string, DestinationFlow>();
  #closed = false;

  constructor(readonly spec: AssociationSpec) {
    this.visit = spec.visit;
    this.#clientPort = spec.from.port;
  }

  open(): boolean {
    const { client, host, visit } = this.spec;
    const socket = bindPort(visit.entry.address, ANY_PORT, {
      data: (_socket, datagram, port, from) => this.#fromClient(datagram, port, from),
      // An ICMP error of the client's own port: its TCP connection tells when it is gone.
      error: () => undefined,
    });
    if (!socket.ok) return false;
    this.#socket = socket.value;
    this.#id = host.visits.add(this);
    client.sink = this;
    client.write(encodeSocks5Reply(Socks5Reply.succeeded, { address: visit.entry.address, port: socket.value.port }));
    return true;
  }

  onOpen(): void {}
  onDrain(): void {}

  /** Nothing more is to be said on the TCP connection (RFC 1928 §7); what is sent is forgotten. */
  onData(): void {}

  onEnd(): void {
    this.spec.client.end();
  }

  onClose(reason: ReasonName | null): void {
    this.#finish(reason);
  }

  cut(reason: ReasonName): void {
    this.spec.client.reset(reason);
    this.#finish(reason);
  }

  sweep(nowMs: number, limits: IdleLimits): void {
    for (const flow of this.#flows.values()) flow.sweep(nowMs, limits);
  }

  #fromClient(datagram: Uint8Array, port: number, from: string): void {
    const { counters } = this.spec.host.visits;
    const payload = this.#isClient(port, from) ? decodeSocksDatagram(datagram) : null;
    if (payload === null || !payload.ok) {
      counters.datagramsDropped += 1;
      return;
    }
    const { destination, payload: bytes } = payload.value;
    const flow = this.#flowTo(destination);
    if (flow?.send(bytes, this.spec.host)) {
      this.bytesIn += bytes.length;
      counters.bytesIn += bytes.length;
    } else counters.datagramsDropped += 1;
  }

  /** RFC 1928 §7: what comes from any other source is dropped. */
  #isClient(port: number, from: string): boolean {
    const address = parseAddress(from);
    if (!address.ok || address.value !== this.visit.visitor.address) return false;
    if (this.#clientPort === ANY_PORT) this.#clientPort = port;
    if (this.#clientPort !== port) return false;
    this.#clientAddress = from;
    return true;
  }

  #flowTo(destination: HostPort): DestinationFlow | null {
    const key = formatHostPort(destination.host, destination.port);
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    const header = encodeSocksUdpHeader(destination);
    if (this.#flows.size >= MAX_FLOWS || !header.ok) return null;
    const end = this.spec.host.openFlow({ ...this.visit, destination });
    const flow = new DestinationFlow(end, header.value, {
      toClient: (datagram) => this.#toClient(datagram, header.value.length),
      lost: (bytes) => {
        this.bytesIn -= bytes;
        this.spec.host.visits.counters.bytesIn -= bytes;
        this.spec.host.visits.counters.datagramsDropped += 1;
      },
      gone: (reason) => {
        this.#flows.delete(key);
        if (reason !== null && reason !== "idle") this.spec.host.visits.counters.countRefused(reason);
      },
    });
    this.#flows.set(key, flow);
    return flow;
  }

  #toClient(datagram: Uint8Array, headerBytes: number): void {
    const { counters } = this.spec.host.visits;
    const payloadBytes = datagram.length - headerBytes;
    if (!this.spec.host.allows(payloadBytes) || !this.#transmit(datagram)) {
      counters.datagramsDropped += 1;
      return;
    }
    this.bytesOut += payloadBytes;
    counters.bytesOut += payloadBytes;
  }

  #transmit(datagram: Uint8Array): boolean {
    try {
      return this.#socket?.send(datagram, this.#clientPort, this.#clientAddress) ?? false;
    } catch (error) {
      // EMSGSIZE: the header made a datagram that filled its packet too long. Others: UDP may lose datagrams.
      if (errorCode(error) === null) throw error;
      return false;
    }
  }

  #finish(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.close();
    this.#socket = null;
    for (const flow of [...this.#flows.values()]) flow.close(reason);
    this.#flows.clear();
    // A client that resets its connection has only ended its association.
    this.spec.host.visits.remove(this.#id, reason === "reset" ? null : reason);
    this.spec.admission.leave(this.visit.visitor.address);
  }
}

interface FlowListener {
  toClient(datagram: Uint8Array): void;
  /** A datagram that the exit had taken did not leave after all. */
  lost(bytes: number): void;
  gone(reason: ReasonName | null): void;
}

/** The flow to one destination, with the header its replies get. */
class DestinationFlow implements FlowSink {
  #datagrams = 0;
  #sweptDatagrams = 0;
  #lastActiveMs = performance.now();

  constructor(
    readonly end: FlowEnd,
    readonly header: Uint8Array,
    readonly listener: FlowListener,
  ) {
    end.sink = this;
  }

  send(datagram: Uint8Array, host: EntryHost): boolean {
    this.#datagrams += 1;
    if (!host.allows(datagram.length)) return false;
    return this.end.send(datagram);
  }

  onDatagram(datagram: Uint8Array): void {
    this.#datagrams += 1;
    this.listener.toClient(Buffer.concat([this.header, datagram]));
  }

  onDropped(bytes: number): void {
    this.listener.lost(bytes);
  }

  onClose(reason: ReasonName | null): void {
    this.listener.gone(reason);
  }

  sweep(nowMs: number, limits: IdleLimits): void {
    if (this.#datagrams !== this.#sweptDatagrams) {
      this.#sweptDatagrams = this.#datagrams;
      this.#lastActiveMs = nowMs;
    } else if (nowMs - this.#lastActiveMs >= limits.udpIdleSec * 1_000) {
      this.end.close("idle");
      this.listener.gone("idle");
    }
  }

  close(reason: ReasonName | null): void {
    this.end.close(reason);
  }
}
