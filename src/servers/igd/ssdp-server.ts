import type { SystemSockets } from "../../dataplanes/io/system-sockets.ts";
import { udpBuffers } from "../../dataplanes/io/udp-buffers.ts";
import { bindSharedUdp, type UdpSocket, udpErrorOf } from "../../dataplanes/io/udp-socket.ts";
import { errorCode, messageOf } from "../../os/errors.ts";
import type { After } from "../../os/timers.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { MAX_AGE_SEC, SSDP_GROUP_V4 } from "../../wire/igd/ssdp.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type InsideBindFailure, type InsidePlace, insideBindFailure, keepInside } from "../inside-bind.ts";
import type { Inside } from "./inside.ts";
import type { SsdpAnswers } from "./ssdp-answers.ts";

export interface SsdpOptions {
  readonly inside: Inside;
  readonly port: number;
  readonly answers: SsdpAnswers;
  readonly system: SystemSockets;
  readonly after: After;
  readonly nowMs: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
  /** A datagram did not leave, or the system tells of a fault. The next ones may do. */
  readonly onError: (error: unknown) => void;
}

export interface Ssdp {
  /** Says farewell to the group, and ends. */
  close(): void;
}

/** UPnP Device Architecture 1.1 §1.2.2 and §1.1.2: what is announced passes two routers at most. */
const HOPS = 2;
/** §1.2.2: the first announcement within 100 ms, said again soon because datagrams get lost. */
const FIRST_ANNOUNCEMENT_MS = 100;
const SECOND_ANNOUNCEMENT_MS = 400;
const MS_PER_SEC = 1000;
/** Answers that wait for their moment. More are given at once: forged searches must not keep others from an answer. */
const MAX_WAITING = 256;

/** Opens the sockets of one interface, all of them, or none and returns why. */
export function openSsdp(options: SsdpOptions): Result<Ssdp, InsideBindFailure> {
  const server = new SsdpServer(options);
  const error = server.open();
  if (error !== null) {
    server.abandon();
    return err(error);
  }
  server.begin();
  return ok(server);
}

class SsdpServer implements Ssdp {
  readonly #sockets: UdpSocket[] = [];
  /** By the address of ours that they speak from. */
  readonly #voices = new Map<string, UdpSocket>();
  readonly #waiting = new Set<() => void>();
  readonly #group: string;
  #calledOff: () => void = () => {};
  #closed = false;

  constructor(readonly options: SsdpOptions) {
    this.#group = formatHostPort(SSDP_GROUP_V4, options.port);
  }

  /** Null = opened. */
  open(): InsideBindFailure | null {
    const { inside } = this.options;
    for (const address of inside.v4) {
      const socket = this.#bind(address);
      if (!socket.ok) return socket.error;
      this.#voices.set(address, socket.value);
      try {
        socket.value.setTTL(HOPS);
        socket.value.setMulticastTTL(HOPS);
        socket.value.setMulticastInterface(address);
      } catch (error) {
        return groupFailure(inside.name, error);
      }
    }
    const [first] = inside.v4;
    if (first === undefined) return null;
    // Bound to the group, so that it hears nothing else: the searches of this interface, and not their answers.
    const group = this.#bind(SSDP_GROUP_V4);
    if (!group.ok) return group.error;
    try {
      group.value.addMembership(SSDP_GROUP_V4, first);
    } catch (error) {
      return groupFailure(inside.name, error);
    }
    return null;
  }

  #bind(address: string): Result<UdpSocket, InsideBindFailure> {
    const { inside, port, system, onError } = this.options;
    const multicast = address === SSDP_GROUP_V4;
    const bound = bindSharedUdp(address, port, {
      data: (_socket, datagram, fromPort, from, flags) => {
        if (!flags.truncated) this.#hear(datagram, from, fromPort, multicast);
      },
      error: (first: unknown, second: unknown) => onError(udpErrorOf(first, second)),
    });
    if (!bound.ok) return err(ssdpFailure(bound.error, { interfaceName: inside.name, address, port }));
    this.#sockets.push(bound.value);
    udpBuffers(system)(bound.value);
    const stray = keepInside(bound.value, inside.name, system);
    return stray === null ? bound : err(stray);
  }

  #hear(datagram: Uint8Array, from: string, fromPort: number, multicast: boolean): void {
    const address = this.options.inside.addressFor(from);
    const socket = address === null ? undefined : this.#voices.get(address);
    // Nobody is at port 0.
    if (this.#closed || fromPort === 0 || address === null || socket === undefined) return;
    const answer = this.options.answers.answer(datagram, from, address, multicast, this.options.nowMs());
    if (answer === null) return;
    const send = () => this.#send(socket, answer.datagrams, fromPort, from);
    if (answer.delayMs === 0 || this.#waiting.size >= MAX_WAITING) {
      send();
      return;
    }
    const callOff = this.options.after(answer.delayMs, () => {
      this.#waiting.delete(callOff);
      send();
    });
    this.#waiting.add(callOff);
  }

  #send(socket: UdpSocket, datagrams: readonly Uint8Array[], port: number, to: string): void {
    for (const datagram of datagrams) {
      // What finds the socket full is lost, as datagrams may be: control points ask again.
      const error = trySend(socket, datagram, port, to);
      // It may be about an earlier datagram (ICMP), told in place of sending this one: once more, then.
      const again = error === null ? null : trySend(socket, datagram, port, to);
      if (again !== null) {
        this.options.onError(again);
        return;
      }
    }
  }

  begin(): void {
    const { after, random } = this.options;
    this.#calledOff = after(Math.floor(random() * FIRST_ANNOUNCEMENT_MS), () => {
      this.#announce();
      this.#announceAfter(Math.floor((1 + random()) * (SECOND_ANNOUNCEMENT_MS / 2)));
    });
  }

  /** §1.2.2: again before half of the time that they hold has passed, at no fixed moment. */
  #announceAfter(delayMs: number): void {
    this.#calledOff = this.options.after(delayMs, () => {
      this.#announce();
      const share = 0.3 + 0.15 * this.options.random();
      this.#announceAfter(Math.floor(share * MAX_AGE_SEC * MS_PER_SEC));
    });
  }

  #announce(): void {
    for (const [address, socket] of this.#voices) {
      const datagrams = this.options.answers.alive(this.#group, address);
      this.#send(socket, datagrams, this.options.port, SSDP_GROUP_V4);
    }
  }

  close(): void {
    if (this.#closed) return;
    for (const [address, socket] of this.#voices) {
      const datagrams = this.options.answers.byebye(this.#group, address);
      this.#send(socket, datagrams, this.options.port, SSDP_GROUP_V4);
    }
    this.abandon();
  }

  /** Ends without a word: nothing was announced. */
  abandon(): void {
    this.#closed = true;
    this.#calledOff();
    for (const callOff of this.#waiting) callOff();
    this.#waiting.clear();
    for (const socket of this.#sockets) socket.close();
  }
}

/** DLNA servers share the port of the searches; a program that does not is most likely another gateway server. */
export function ssdpFailure(error: unknown, place: InsidePlace): InsideBindFailure {
  const { address, port } = place;
  const inUse = `UDP port ${port} is in use on ${address} by a program that does not share it; stop the one that "ss -ulpn sport = :${port}" shows.`;
  return insideBindFailure(error, "udp", place, { inUse });
}

function groupFailure(interfaceName: string, error: unknown): InsideBindFailure {
  const message = `Interface ${interfaceName} takes no multicast (${messageOf(error)}); leave it out of the interfaces that UPnP serves.`;
  return { interfaceName, message };
}

/** The operating system's error; null = sent. */
function trySend(socket: UdpSocket, datagram: Uint8Array, port: number, to: string): unknown {
  try {
    socket.send(datagram, port, to);
    return null;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return error;
  }
}
