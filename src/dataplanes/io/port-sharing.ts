import type { Protocol } from "../../wire/port-set.ts";
import type { SystemSockets } from "./system-sockets.ts";

/** Of Linux (asm-generic/socket.h). */
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const SO_ATTACH_REUSEPORT_CBPF = 51;

/** One instruction of classic BPF, `struct sock_filter`: u16 code, u8 jt, u8 jf, u32 k (linux/filter.h). */
const INSTRUCTION_BYTES = 8;
const OFFSET = { code: 0, constant: 4 } as const;
/** BPF_RET | BPF_K. */
const RETURN_CONSTANT = 0x06;

/** What Bun.listen takes (1.4.5), and its types do not name: SO_REUSEPORT from the beginning. */
export const BESIDE: object = { reusePort: true };

/** A port's sockets are numbered as they came: the one that was there, and the one that is to take its place. */
const NEWCOMER = 1;

/**
 * Two processes of this program at one port, while one takes over from the other. Ports are bound alone, so that a second
 * program is told that they are in use. The process that goes lets one more in, which Linux allows at any time, and only to
 * sockets of the same user that ask for it; who comes takes everything that is new from its first moment on, and what the
 * kernel had given to the other before is the other's to accept (decision 0038).
 */
export class PortSharing {
  readonly #system: SystemSockets;
  readonly #beside = new Set<string>();

  constructor(system: SystemSockets) {
    this.#system = system;
  }

  /** At these another process listens, and lets this one in. */
  expect(ports: Iterable<{ readonly protocol: Protocol; readonly port: number }>): void {
    for (const { protocol, port } of ports) this.#beside.add(keyOf(protocol, port));
  }

  /** Nobody lets this process in any more. */
  forget(): void {
    this.#beside.clear();
  }

  isBeside(protocol: Protocol, port: number): boolean {
    return this.#beside.has(keyOf(protocol, port));
  }

  /** Of a server that does not tell its socket: what the others take. Good until that is closed. Null: it cannot be found. */
  listenerAt(address: string, port: number): object | null {
    return this.#system.listenerAt(address, port);
  }

  /** Lets another process in at a listener's port, or nobody more. False: this system cannot. */
  setShared(listener: object, shared: boolean): boolean {
    return this.#set(listener, SO_REUSEPORT, shared);
  }

  /** The same of a UDP socket, and of the sockets of this process's own that flows get (connectBesideUdp). */
  setSharedUdp(socket: object, shared: boolean): boolean {
    return this.#set(socket, SO_REUSEPORT, shared) && this.#set(socket, SO_REUSEADDR, shared);
  }

  #set(socket: object, option: number, isOn: boolean): boolean {
    return this.#system.setOption(socket, SOL_SOCKET, option, Int32Array.of(isOn ? 1 : 0));
  }

  /**
   * What is new at the port comes to the newest of its two sockets, `socket`. When one of them is closed the number means
   * none, and the kernel gives everything to the one that is left. False: both get some.
   */
  steerHere(socket: object): boolean {
    const program = new Uint8Array(INSTRUCTION_BYTES);
    const view = new DataView(program.buffer);
    view.setUint16(OFFSET.code, RETURN_CONSTANT, true);
    view.setUint32(OFFSET.constant, NEWCOMER, true);
    return this.#system.attachProgram(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program);
  }
}

function keyOf(protocol: Protocol, port: number): string {
  return `${protocol} ${port}`;
}
