import { readdirSync } from "node:fs";
import { openCLibrary } from "../../os/c-library.ts";
import { foreignFunctions } from "../../os/foreign-functions.ts";
import { addressBytes } from "../../wire/address.ts";

/** What Bun 1.4.5 does not offer for sockets, by the C library: it does tell the descriptors of those that it opens as such. */
export interface SystemSockets {
  /** setsockopt(2). False: the system refused it, or cannot be asked. */
  setOption(socket: object, level: number, option: number, value: Uint8Array | Int32Array): boolean;
  /** setsockopt(2) with a program of classic BPF, its instructions as the kernel has them. */
  attachProgram(socket: object, level: number, option: number, instructions: Uint8Array): boolean;
  /**
   * This process's socket that listens there, by TCP: Bun.serve tells none. The descriptor is good until that is closed. Null:
   * there is none, or the system cannot be asked.
   */
  listenerAt(address: string, port: number): { readonly fd: number } | null;
  /**
   * if_nametoindex(3): another number when the interface was removed and made again under its name. Null: there is none,
   * or the system cannot be asked.
   */
  interfaceIndex(name: string): number | null;
}

const SYMBOLS = {
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  if_nametoindex: { args: ["ptr"], returns: "u32" },
} as const;

/** `struct sock_fprog` of a 64-bit Linux: u16 number of instructions, padding, their address (linux/filter.h). */
const PROGRAM = { bytes: 16, length: 0, address: 8, instructionBytes: 8 } as const;

/** Of Linux (asm-generic/socket.h). */
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
/** `struct sockaddr_in` and `sockaddr_in6` of Linux: u16 family, u16 port in network order, the address. */
const SOCKADDR = { bytes: 28, family: 0, port: 2, v4: 4, v6: 8 } as const;
const AF_INET6 = 10;
const V4_BYTES = 4;
const OWN_DESCRIPTORS = "/proc/self/fd";

const encoder = new TextEncoder();

/** The library is opened at the first use. */
export function systemSockets(): SystemSockets {
  const load = () => {
    const calls = openCLibrary(SYMBOLS);
    const foreign = foreignFunctions();
    return calls === null || foreign === null ? null : { ...calls, ptr: foreign.ptr };
  };
  let loaded: ReturnType<typeof load> | undefined;
  const symbols = () => {
    if (loaded === undefined) loaded = load();
    return loaded;
  };
  const setOption: SystemSockets["setOption"] = (socket, level, option, value) => {
    const descriptor: unknown = "fd" in socket ? socket.fd : null;
    if (typeof descriptor !== "number" || descriptor < 0) return false;
    const system = symbols();
    return system?.setsockopt(descriptor, level, option, system.ptr(value), value.byteLength) === 0;
  };
  return {
    setOption,
    attachProgram(socket, level, option, instructions) {
      const system = symbols();
      if (system === null) return false;
      const program = new Uint8Array(PROGRAM.bytes);
      const view = new DataView(program.buffer);
      view.setUint16(PROGRAM.length, instructions.byteLength / PROGRAM.instructionBytes, true);
      view.setBigUint64(PROGRAM.address, BigInt(system.ptr(instructions)), true);
      return setOption(socket, level, option, program);
    },
    listenerAt(address, port) {
      const system = symbols();
      const wanted = addressBytes(address);
      if (system === null || wanted === null || process.platform !== "linux") return null;
      const isListening = new Int32Array(1);
      const name = new Uint8Array(SOCKADDR.bytes);
      const view = new DataView(name.buffer);
      for (const fd of readdirSync(OWN_DESCRIPTORS).map(Number)) {
        const lengths = Uint32Array.of(isListening.byteLength, name.byteLength);
        const [optionLength, nameLength] = [lengths.subarray(0, 1), lengths.subarray(1)];
        isListening[0] = 0;
        const { ptr } = system;
        // What is no socket fails here.
        system.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, ptr(isListening), ptr(optionLength));
        if (isListening[0] === 0 || system.getsockname(fd, ptr(name), ptr(nameLength)) !== 0) continue;
        const isV6 = view.getUint16(SOCKADDR.family, true) === AF_INET6;
        const at = isV6 ? SOCKADDR.v6 : SOCKADDR.v4;
        const isThere = wanted.every((byte, index) => name[at + index] === byte);
        if (isThere && isV6 === wanted.length > V4_BYTES && view.getUint16(SOCKADDR.port) === port) return { fd };
      }
      return null;
    },
    interfaceIndex: (name) => {
      const system = symbols();
      return system?.if_nametoindex(system.ptr(cString(name))) || null;
    },
  };
}

export function cString(text: string): Uint8Array {
  return encoder.encode(`${text}\0`);
}
