import { unmapped } from "../../dataplanes/io/bind-address.ts";
import { bindToDevice } from "../../dataplanes/io/bind-to-device.ts";
import { type EntryErrorKind, entryError } from "../../dataplanes/io/entry-error.ts";
import type { SystemSockets } from "../../dataplanes/io/system-sockets.ts";
import { bindUdp, type UdpSocket } from "../../dataplanes/io/udp-socket.ts";
import { errorCode } from "../../os/errors.ts";
import { addressBytes, addressFromBytes } from "../../wire/address.ts";
import { type Endpoint, formatEndpoint } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";

/** Why one address of an interface cannot be served. `message` is one sentence that says what to do. */
export interface PortMapBindFailure {
  readonly interfaceName: string;
  readonly address: string;
  readonly kind: EntryErrorKind;
  readonly message: string;
}

/** Where a listener of another kind would be told to use another port, or every address. */
const OWN_SENTENCES: Partial<Record<EntryErrorKind, (interfaceName: string, endpoint: Endpoint) => string>> = {
  inUse: (_, endpoint) =>
    `Another program (miniupnpd?) has ${formatEndpoint(endpoint)}/udp; stop it, or turn NAT-PMP and PCP off in [gateway].`,
  noAddress: (interfaceName, { address }) =>
    `${address} is not an address of this machine; serve ${interfaceName} at one that "ip address" shows.`,
};

/** Loopback is for tests: there is no other side to it. */
const LOOPBACK = "lo";

/**
 * One address of one inside interface. Only what came in by this interface is heard, and answers leave by it from the
 * address that was asked: RFC 6886 §3.1 lets clients drop any other, and 1.2 million devices once answered on their
 * outside (CERT VU#184540).
 */
export class PortMapSocket {
  readonly #socket: UdpSocket;

  private constructor(
    readonly interfaceName: string,
    /** Null where interfaces have no numbers. */
    readonly interfaceIndex: number | null,
    readonly endpoint: Endpoint,
    socket: UdpSocket,
  ) {
    this.#socket = socket;
  }

  static open(
    interfaceName: string,
    address: string,
    port: number,
    system: SystemSockets,
    received: (datagram: Uint8Array, from: Endpoint, socket: PortMapSocket) => void,
  ): Result<PortMapSocket, PortMapBindFailure> {
    const failure = (kind: EntryErrorKind, message: string) => err({ interfaceName, address, kind, message });
    let opened: PortMapSocket | null = null;
    const bound = bindUdp(address, port, {
      data: (_socket, datagram, fromPort, from) => {
        if (opened !== null) received(datagram, { address: canonical(from), port: fromPort }, opened);
      },
      // An ICMP answer to an earlier answer: that client has gone.
      error: () => undefined,
    });
    if (!bound.ok) {
      const { kind, message } = entryError(bound.error, "udp", address, port);
      return failure(kind, OWN_SENTENCES[kind]?.(interfaceName, { address, port }) ?? message);
    }
    const { value: socket } = bound;
    const index = system.interfaceIndex(interfaceName);
    if (interfaceName !== LOOPBACK && !bindToDevice(socket, interfaceName, system)) {
      socket.close();
      return index === null
        ? failure("noAddress", `There is no interface ${interfaceName}; name one that "ip link" shows.`)
        : failure("notPermitted", `No socket can be tied to ${interfaceName}; use Linux 5.7 or grant CAP_NET_RAW.`);
    }
    opened = new PortMapSocket(interfaceName, index, { address, port: socket.port }, socket);
    return ok(opened);
  }

  /** False when the operating system would not take it: the client, or a later announcement, tries again. */
  send(bytes: Uint8Array, to: Endpoint): boolean {
    if (this.#socket.closed) return false;
    // An error may be the answer to an earlier datagram (ICMP), told in place of sending this one: once more, then.
    return this.#trySend(bytes, to) || this.#trySend(bytes, to);
  }

  #trySend(bytes: Uint8Array, { address, port }: Endpoint): boolean {
    try {
      return this.#socket.send(bytes, port, address);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      return false;
    }
  }

  close(): void {
    this.#socket.close();
  }
}

/** Without a zone, and IPv4-mapped addresses as IPv4. */
function canonical(address: string): string {
  const bytes = addressBytes(unmapped(address));
  return (bytes === null ? null : addressFromBytes(bytes)) ?? address;
}
