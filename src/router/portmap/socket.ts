import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { platform } from "node:os";
import type { Gateway, RouterFailure } from "../../core/router/model.ts";
import { closed, routerFailure } from "../../core/router/portmap-faults.ts";
import { errorCode, messageOf } from "../../os/errors.ts";
import { zoneOf } from "../../os/interfaces.ts";
import { classifyAddress, parseAddress } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { Ignored } from "./ignored.ts";

export interface PortMapSocketOptions {
  readonly gateway: Gateway;
  readonly port: number;
  readonly ignored: Ignored;
  /** From the gateway's address and that port. */
  readonly onDatagram: (datagram: Uint8Array) => void;
  /** The system could not send, or the gateway's machine said that nothing listens there. */
  readonly onFailure: (failure: RouterFailure) => void;
}

const TRANSIENT = new Set(["EAGAIN", "ENOBUFS", "ENOMEM", "EINTR"]);

/**
 * A socket at the own address towards the router, connected to the port that is asked: so the kernel itself drops what
 * anybody else sends, and tells when nothing listens there. What it drops comes to a second socket of the same port, which
 * only counts it: Linux and macOS give a datagram to the socket that is connected to its sender, if there is one.
 */
export class PortMapSocket {
  readonly #options: PortMapSocketOptions;
  readonly #socket: Socket;
  #strays: Socket | null = null;
  #closed = false;

  private constructor(options: PortMapSocketOptions) {
    this.#options = options;
    this.#socket = newSocket(options.gateway);
    this.#socket.on("message", (datagram, from) => this.#received(datagram, from));
  }

  static async open(options: PortMapSocketOptions): Promise<Result<PortMapSocket, RouterFailure>> {
    const opened = new PortMapSocket(options);
    const error = await opened.#connect();
    if (error !== null) {
      opened.close();
      return err(socketFailure(error, options.gateway));
    }
    opened.#hearStrays();
    return ok(opened);
  }

  /** Null, or the system's error. */
  #connect(): Promise<unknown> {
    const { gateway, port } = this.#options;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const socket = this.#socket;
    socket.on("error", (error) => {
      resolve(error);
      this.#fail(error);
    });
    socket.bind({ address: gateway.ownAddress, port: 0 }, () => {
      try {
        // Node hands an error to this function, though its types know of none.
        socket.connect(port, scopedAddress(gateway), (error?: Error) => resolve(error ?? null));
      } catch (error) {
        resolve(error);
      }
    });
    return promise;
  }

  /** On a system that gives strays to the wrong socket there are none to count. */
  #hearStrays(): void {
    const { gateway, ignored } = this.#options;
    if (platform() === "win32") return;
    const strays = newSocket(gateway);
    this.#strays = strays;
    strays.on("error", () => strays === this.#strays && this.#closeStrays());
    strays.on("message", (_datagram, { address }) => {
      const from = withoutZone(address);
      ignored.note(from === gateway.address ? "other-port" : "other-host", from);
    });
    strays.bind({ address: gateway.ownAddress, port: this.#socket.address().port }, () => strays.unref());
  }

  send(datagram: Uint8Array): void {
    // An error may be the answer to an earlier datagram (ICMP), told in place of sending this one: once more, then.
    this.#trySend(datagram, () => this.#trySend(datagram, (error) => this.#fail(error)));
  }

  #trySend(datagram: Uint8Array, failed: (error: Error) => void): void {
    if (this.#closed) return;
    // Without a function an error would be an event of a socket that is in order.
    this.#socket.send(datagram, (error) => {
      if (error !== null) failed(error);
    });
  }

  /** Whether it alone keeps the process running: while answers are due. */
  hold(answersAreDue: boolean): void {
    if (this.#closed) return;
    if (answersAreDue) this.#socket.ref();
    else this.#socket.unref();
  }

  #received(datagram: Uint8Array, { address, port }: RemoteInfo): void {
    const { gateway, ignored, onDatagram } = this.#options;
    if (this.#closed) return;
    const from = withoutZone(address);
    // Between binding and connecting anything may have come.
    if (from === gateway.address && port === this.#options.port) onDatagram(datagram);
    else ignored.note(from === gateway.address ? "other-port" : "other-host", from);
  }

  #fail(error: unknown): void {
    // A full buffer is empty again when the question is sent the next time.
    if (TRANSIENT.has(errorCode(error) ?? "")) return;
    if (!this.#closed) this.#options.onFailure(socketFailure(error, this.#options.gateway));
  }

  #closeStrays(): void {
    this.#strays?.close();
    this.#strays = null;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeStrays();
    this.#socket.close();
  }
}

function newSocket({ family }: Gateway): Socket {
  // Both have the port. Windows would let any other program take it over.
  const reuseAddr = platform() !== "win32";
  return family === 6
    ? createSocket({ type: "udp6", reuseAddr, ipv6Only: true })
    : createSocket({ type: "udp4", reuseAddr });
}

function scopedAddress({ address, interfaceName }: Gateway): string {
  return classifyAddress(address) === "link-local" && address.includes(":")
    ? `${address}%${zoneOf(interfaceName)}`
    : address;
}

/** Canonical, as a gateway's address is. */
export function withoutZone(address: string): string {
  const parsed = parseAddress(address.split("%")[0] ?? "");
  return parsed.ok ? parsed.value : address;
}

/** Classifies an errno of bind(2), connect(2), sendmsg(2) and recvmsg(2) once. */
function socketFailure(error: unknown, gateway: Gateway): RouterFailure {
  const { address, ownAddress } = gateway;
  const silent = (message: string): RouterFailure => routerFailure("silent", null, message);
  switch (errorCode(error)) {
    case "ECONNREFUSED":
    case "ECONNRESET":
      return closed(gateway);
    case "EADDRNOTAVAIL":
    case "EINVAL":
      return silent(`This machine does not have the address ${ownAddress} any more; look for the router again.`);
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
    case "EHOSTDOWN":
    // Bun 1.4.5 gives no code for a connect that failed, or goes on and then has nowhere to send to (IPv6).
    case null:
    case "EDESTADDRREQ":
      return silent(`The router at ${address} cannot be reached; look whether this machine is still on its network.`);
    case "EPERM":
    case "EACCES":
      return silent(`A firewall on this machine does not let UDP out to port 5351 of ${address}; allow it.`);
    case "EMFILE":
    case "ENFILE":
      return silent(`This machine has no room for another socket to ask ${address}; raise its limit of open files.`);
    default:
      return silent(`The router at ${address} cannot be asked: ${messageOf(error)}.`);
  }
}
