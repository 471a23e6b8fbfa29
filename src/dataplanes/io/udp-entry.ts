import { errorCode } from "../../os/errors.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { bindCandidates, entryAddress, unmapped } from "./bind-address.ts";
import type { PortSocket } from "./datagram-socket.ts";
import { bindPort } from "./datagram-sockets.ts";
import type { Descriptors } from "./descriptors.ts";
import type { FlowEnd, FlowSink, Visit } from "./ends.ts";
import { type EntryError, entryError } from "./entry-error.ts";
import { joinFlows, type Shaping } from "./join-flows.ts";
import { type Listener, Listeners } from "./listeners.ts";
import type { PortSharing } from "./port-sharing.ts";
import { type GatedDatagram, type ProxyGate, visitOf } from "./proxy-gate.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { type EnlargeBuffers, udpBuffers } from "./udp-buffers.ts";
import { CONNECTED, type Sender, type UdpOutbox, UdpQueue, UNCONNECTED } from "./udp-outbox.ts";
import { bindBesideUdp, type ConnectedUdpSocket, connectBesideUdp } from "./udp-socket.ts";
import type { Admission, Visits } from "./visits.ts";

/** How many flows one UDP port may have open, whatever the forward's own limit: a flow may cost a socket. */
const MAX_FLOWS_PER_PORT = 16_384;

/** What a UDP entry asks for each new flow. */
export interface FlowHost extends Shaping {
  readonly visits: Visits;
  readonly gate: ProxyGate | null;
  /** The admission that hears `leave` when the flow ends, or why the visitor may not come in. */
  admit(visitor: Endpoint): Admission | ReasonName;
  openFlow(visit: Visit): FlowEnd;
}

/** One UDP port of a forward. Closing it ends its flows. */
export interface UdpListener extends Listener {
  /** Answers no new visitor; flows go on. */
  drain(): void;
  /** Another process has the port: flows that have a socket of their own go on, the others are its. */
  retire(): void;
}

/**
 * The UDP ports of one forward at `bind` (an IP literal, or `*` for every address). Flows are keyed by the visitor's
 * address and port; datagrams keep their bounds; replies leave from the port the visitor wrote to.
 */
export function udpListeners(
  bind: string,
  host: FlowHost,
  { outbox, descriptors }: Pick<Shared, "outbox" | "descriptors">,
  sharing: PortSharing | null,
): Listeners<UdpListener> {
  const shared: Shared = { outbox, descriptors, enlarge: udpBuffers(), sharing };
  return new Listeners((port) => openPort(bind, port, host, shared));
}

/** What the sockets of one entry have in common. */
interface Shared {
  readonly outbox: UdpOutbox;
  readonly descriptors: Descriptors;
  readonly enlarge: EnlargeBuffers;
  readonly sharing: PortSharing | null;
}

function openPort(bind: string, number: number, host: FlowHost, shared: Shared): Result<UdpPort, EntryError> {
  let failure: unknown = null;
  for (const address of bindCandidates(bind)) {
    const port = new UdpPort(number, host, shared);
    const error = port.listen(address);
    if (error === null) return ok(port);
    failure = error;
    if (errorCode(error) === "EADDRINUSE") break;
  }
  return err(entryError(failure, "udp", bind, number));
}

class UdpPort implements UdpListener {
  endpoint: Endpoint = { address: "", port: 0 };
  #draining = false;
  #socket: PortSocket | null = null;
  #queue: UdpQueue | null = null;
  /** Each flow has a socket of its own: another process may have the others' datagrams. */
  #keepsFlows = false;
  readonly #flows = new Map<string, UdpFlow>();
  /** Datagrams come in runs: the flow of the last one saves most look-ups. */
  #last: UdpFlow | null = null;

  constructor(
    readonly externalPort: number,
    readonly host: FlowHost,
    readonly shared: Shared,
  ) {}

  /** Null when the socket is bound, else the operating system's error. */
  listen(address: string): unknown {
    const { outbox, enlarge, sharing } = this.shared;
    const beside = sharing?.isBeside("udp", this.externalPort) ?? false;
    const socket = (beside ? bindBesideUdp : bindPort)(address, this.externalPort, {
      data: (_socket, datagram, port, from) => this.#received(datagram, port, from),
      // An ICMP error of a visitor that went away (IP_RECVERR): its flow ends by its idle timeout.
      error: () => undefined,
    });
    if (!socket.ok) return socket.error;
    this.#socket = socket.value;
    if (beside) sharing?.steerHere(socket.value);
    this.#queue = new UdpQueue(outbox, socket.value, UNCONNECTED);
    enlarge(socket.value);
    this.endpoint = { address, port: socket.value.port };
    return null;
  }

  #received(datagram: Uint8Array, port: number, from: string): void {
    const { gate, visits } = this.host;
    if (gate?.active === true) {
      const passed = gate.datagram(datagram, unmapped(from), visits.counters);
      if (passed !== null) this.#passed(passed, port, from);
      return;
    }
    const last = this.#last;
    const flow =
      last !== null && last.port === port && last.address === from
        ? last
        : this.#flowOf(flowKey(from, port), from, port, null);
    if (flow === null) return;
    this.#last = flow;
    flow.sink.onDatagram(datagram);
  }

  /** A balancer may send for many visitors from one port: the header is a part of what tells flows apart. */
  #passed({ header, payload }: GatedDatagram, port: number, from: string): void {
    const direct = flowKey(from, port);
    const key = header === null ? direct : `${direct} ${flowKey(header.source.address, header.source.port)}`;
    this.#flowOf(key, from, port, header)?.sink.onDatagram(payload);
  }

  #flowOf(key: string, from: string, port: number, header: GatedDatagram["header"]): UdpFlow | null {
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    if (this.#draining) return null;
    const { host } = this;
    const address = unmapped(from);
    const visit = visitOf(header, {
      visitor: { address, port },
      entry: { address: entryAddress(this.endpoint.address, address), port: this.endpoint.port },
      externalPort: this.externalPort,
    });
    if (this.#flows.size >= MAX_FLOWS_PER_PORT) return this.#refuse("resources");
    const admitted = host.admit(visit.visitor);
    if (typeof admitted === "string") return this.#refuse(admitted);
    const flow = new UdpFlow(this, key, from, port);
    this.#flows.set(key, flow);
    if (this.#keepsFlows) this.#keep(flow);
    joinFlows(flow, host.openFlow(visit), visit, host.visits, admitted, host);
    return flow;
  }

  #refuse(reason: ReasonName): null {
    this.host.visits.counters.countRefused(reason);
    return null;
  }

  /** What its visitor sends comes by a socket of its own from now on. Where there is no room for one, it is as it was. */
  #keep(flow: UdpFlow): void {
    const { descriptors, outbox, enlarge } = this.shared;
    // A balancer's port may be many visitors', and new ones are the other process's.
    if (flow.own !== null || descriptors.scarce || this.host.gate?.active === true) return;
    const { address, port } = this.endpoint;
    // Between bind(2) and connect(2) it hears whoever writes to the port.
    const socket = connectBesideUdp(address, port, flow, {
      data: (_socket, datagram, fromPort, from) => this.#received(datagram, fromPort, from),
      error: () => undefined,
    });
    if (!socket.ok) return;
    enlarge(socket.value);
    flow.own = { socket: socket.value, queue: new UdpQueue(outbox, socket.value, CONNECTED) };
  }

  /** False when the port is closed. */
  reply(flow: UdpFlow, datagram: Uint8Array): boolean {
    if (flow.own !== null) {
      flow.own.queue.push(flow, datagram, null);
      return true;
    }
    if (this.#queue === null) return false;
    this.#queue.pushTo(flow, datagram, flow.port, flow.address);
    return true;
  }

  forget(flow: UdpFlow): void {
    this.#flows.delete(flow.key);
    flow.own?.queue.flush();
    flow.own?.socket.close();
    flow.own = null;
    if (this.#last === flow) this.#last = null;
  }

  setShared(shared: boolean): boolean {
    if (this.#socket === null) return true;
    if (this.shared.sharing?.setSharedUdp(this.#socket, shared) !== true) return false;
    this.#keepsFlows = shared;
    if (shared) for (const flow of this.#flows.values()) this.#keep(flow);
    return true;
  }

  drain(): void {
    this.#draining = true;
  }

  retire(): void {
    this.drain();
    for (const flow of [...this.#flows.values()]) if (flow.own === null) flow.sink.onClose("shutdown");
    this.#free();
  }

  close(): void {
    this.drain();
    for (const flow of [...this.#flows.values()]) flow.sink.onClose("shutdown");
    this.#free();
  }

  #free(): void {
    this.#queue?.flush();
    this.#queue = null;
    this.#socket?.close();
    this.#socket = null;
  }
}

function flowKey(address: string, port: number): string {
  return `${address} ${port}`;
}

/** The visitor's side of one flow through one port. */
class UdpFlow implements FlowEnd, Sender {
  sink: FlowSink = SILENT_SINK;
  /** Its own socket at the port, when another process is about to have the port's. */
  own: { readonly socket: ConnectedUdpSocket; readonly queue: UdpQueue } | null = null;

  constructor(
    readonly from: UdpPort,
    readonly key: string,
    /** As the socket gives it: what replies are sent to. */
    readonly address: string,
    readonly port: number,
  ) {}

  send(datagram: Uint8Array): boolean {
    return this.from.reply(this, datagram);
  }

  dropped(bytes: number): void {
    this.sink.onDropped?.(bytes);
  }

  /** The visitor hears nothing; its next datagram asks for a new flow. */
  close(_reason: ReasonName | null): void {
    this.from.forget(this);
  }
}
