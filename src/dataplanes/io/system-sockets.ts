import { ptr } from "bun:ffi";
import { openCLibrary } from "../../os/c-library.ts";

/** What Bun 1.4.5 does not offer for sockets, by the C library: it does tell a UDP socket's descriptor. */
export interface SystemSockets {
  /** setsockopt(2). False: the system refused it, or cannot be asked. */
  setOption(socket: object, level: number, option: number, value: Uint8Array | Int32Array): boolean;
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

const encoder = new TextEncoder();

/** The library is opened at the first use. */
export function systemSockets(): SystemSockets {
  const load = () => openCLibrary(SYMBOLS);
  let loaded: ReturnType<typeof load> | undefined;
  const symbols = () => {
    if (loaded === undefined) loaded = load();
    return loaded;
  };
  return {
    setOption(socket, level, option, value) {
      const descriptor: unknown = "fd" in socket ? socket.fd : null;
      if (typeof descriptor !== "number" || descriptor < 0) return false;
      return symbols()?.setsockopt(descriptor, level, option, ptr(value), value.byteLength) === 0;
    },
    interfaceIndex: (name) => symbols()?.if_nametoindex(ptr(cString(name))) || null,
  };
}

export function cString(text: string): Uint8Array {
  return encoder.encode(`${text}\0`);
}
