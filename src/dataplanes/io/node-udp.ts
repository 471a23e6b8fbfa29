import type * as dgram from "node:dgram";
import { isIpv6 } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { FlowHandlers, FlowSocket, PortHandlers, PortSocket } from "./datagram-socket.ts";

/** What one socket's kernel buffer has no room for Node keeps; beyond this it is dropped, as a full buffer drops. */
const MAX_KEPT_BYTES = 256 * 1024;

/** As `bindPort` says (contract: test/contract/datagrams.ts). */
export function bindNodeUdp(address: string, port: number, handlers: PortHandlers): Result<PortSocket, unknown> {
  const raw = newSocket(address);
  let failure: unknown = null;
  const failed = (error: Error) => {
    failure = error;
  };
  raw.once("error", failed);
  // In a worker of node:cluster the port is this process's alone, as it is on Bun.
  raw.bind({ address, port, exclusive: true });
  raw.off("error", failed);
  if (failure !== null) {
    raw.close();
    return err(failure);
  }
  return ok(new NodePortSocket(raw, handlers));
}

/** As `connectFlow` says. That there is no route is told by `error`. */
export function connectNodeUdp(address: string, port: number, handlers: FlowHandlers): FlowSocket {
  const raw = newSocket(address);
  raw.on("message", (datagram) => handlers.data(datagram));
  raw.on("error", (error) => handlers.error(error));
  raw.connect(port, address);
  return new NodeFlowSocket(raw, (error) => handlers.error(error));
}

function newSocket(address: string): dgram.Socket {
  // Not imported: Bun, which never comes here, would load it at its start.
  const { createSocket } = process.getBuiltinModule("node:dgram");
  return createSocket({ type: isIpv6(address) ? "udp6" : "udp4", lookup: literal });
}

/** Addresses are literals: answered within the call, Node binds, connects and sends within the call as well. */
const literal: NonNullable<dgram.SocketOptions["lookup"]> = (address, _options, done) =>
  done(null, address, isIpv6(address) ? 6 : 4);

export abstract class NodeUdp {
  constructor(protected readonly raw: dgram.Socket) {}

  /** As far as the operating system lets this user. */
  enlarge(bytes: number): void {
    for (const act of [() => this.raw.setRecvBufferSize(bytes), () => this.raw.setSendBufferSize(bytes)]) {
      try {
        act();
      } catch {
        // More than its maximum, where the system says so instead of giving that (Darwin): the default stays.
      }
    }
  }

  protected get isFull(): boolean {
    return this.raw.getSendQueueSize() > MAX_KEPT_BYTES;
  }

  close(): void {
    this.raw.removeAllListeners("message");
    this.raw.close();
  }
}

class NodePortSocket extends NodeUdp implements PortSocket {
  readonly port: number;

  constructor(raw: dgram.Socket, handlers: PortHandlers) {
    super(raw);
    this.port = raw.address().port;
    raw.on("message", (datagram, { port, address }) => handlers.data(this, datagram, port, address));
    raw.on("error", () => handlers.error());
  }

  send(datagram: Uint8Array, port: number, address: string): boolean {
    if (this.isFull) return false;
    // Whoever writes from port 0 wants no answer (RFC 768), and Node throws.
    if (port === 0) return true;
    // What could not leave at once is kept by Node, and the caller's memory is reused.
    this.raw.send(Buffer.from(datagram), port, address, ignoreError);
    return true;
  }

  sendMany(packets: readonly unknown[]): number {
    let sent = 0;
    for (let at = 0; at + 2 < packets.length; at += 3, sent += 1) {
      const [datagram, port, address] = [packets[at], packets[at + 1], packets[at + 2]];
      if (!(datagram instanceof Uint8Array)) continue;
      if (!this.send(datagram, Number(port), String(address))) break;
    }
    return sent;
  }
}

/** Of one datagram (EMSGSIZE, no route): UDP may lose it. */
function ignoreError(): void {}

class NodeFlowSocket extends NodeUdp implements FlowSocket {
  constructor(
    raw: dgram.Socket,
    readonly failed: (error: Error) => void,
  ) {
    super(raw);
  }

  sendMany(packets: readonly unknown[]): number {
    let sent = 0;
    for (const datagram of packets) {
      if (this.isFull) break;
      // ICMP errors come as events; of one datagram alone the call tells.
      if (datagram instanceof Uint8Array) this.raw.send(Buffer.from(datagram), (error) => error && this.failed(error));
      sent += 1;
    }
    return sent;
  }
}
