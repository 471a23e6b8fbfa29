import { openCLibrary } from "../../os/c-library.ts";
import { foreignFunctions } from "../../os/foreign-functions.ts";

/** What Bun 1.4.5 does not offer for sockets, by the C library: it does tell a UDP socket's descriptor. */
export interface SystemSockets {
  /** setsockopt(2). False: the system refused it, or cannot be asked. */
  setOption(socket: object, level: number, option: number, value: Uint8Array | Int32Array): boolean;
  /** setsockopt(2) with a program of classic BPF, its instructions as the kernel has them. */
  attachProgram(socket: object, level: number, option: number, instructions: Uint8Array): boolean;
  /**
   * if_nametoindex(3): another number when the interface was removed and made again under its name. Null: there is none,
   * or the system cannot be asked.
   */
  interfaceIndex(name: string): number | null;
}

const SYMBOLS = {
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  if_nametoindex: { args: ["ptr"], returns: "u32" },
} as const;

/** `struct sock_fprog` of a 64-bit Linux: u16 number of instructions, padding, their address (linux/filter.h). */
const PROGRAM = { bytes: 16, length: 0, address: 8, instructionBytes: 8 } as const;

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
    interfaceIndex: (name) => {
      const system = symbols();
      return system?.if_nametoindex(system.ptr(cString(name))) || null;
    },
  };
}

export function cString(text: string): Uint8Array {
  return encoder.encode(`${text}\0`);
}
