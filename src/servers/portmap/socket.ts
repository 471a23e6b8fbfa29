import { canonicalPeer } from "../../dataplanes/io/bind-address.ts";
import { sendDatagram } from "../../dataplanes/io/send-datagram.ts";
import type { SystemSockets } from "../../dataplanes/io/system-sockets.ts";
import { udpBuffers } from "../../dataplanes/io/udp-buffers.ts";
import { bindUdp, type UdpSocket } from "../../dataplanes/io/udp-socket.ts";
import { type Endpoint, formatHostPort } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type InsideBindFailure, insideBindFailure, keepInside } from "../inside-bind.ts";

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
  ): Result<PortMapSocket, InsideBindFailure> {
    let opened: PortMapSocket | null = null;
    const bound = bindUdp(address, port, {
      data: (_socket, datagram, fromPort, from) => {
        if (opened !== null) received(datagram, { address: canonicalPeer(from), port: fromPort }, opened);
      },
      // An ICMP answer to an earlier answer: that client has gone.
      error: () => undefined,
    });
    if (!bound.ok) {
      const inUse = `Another program (miniupnpd?) has ${formatHostPort(address, port)}/udp; stop it, or turn NAT-PMP and PCP off in [upnp].`;
      return err(insideBindFailure(bound.error, "udp", { interfaceName, address, port }, { inUse }));
    }
    const { value: socket } = bound;
    const index = system.interfaceIndex(interfaceName);
    const stray = keepInside(socket, interfaceName, system);
    if (stray !== null) {
      socket.close();
      return err(stray);
    }
    // All clients at once, after a power cut: what does not fit comes again after 250 ms, 500 and more (RFC 6886 §3.1).
    udpBuffers(system)(socket);
    opened = new PortMapSocket(interfaceName, index, { address, port: socket.port }, socket);
    return ok(opened);
  }

  /** False when the operating system would not take it: the client, or a later announcement, tries again. */
  send(bytes: Uint8Array, to: Endpoint): boolean {
    return sendDatagram(this.#socket, bytes, to);
  }

  close(): void {
    this.#socket.close();
  }
}
