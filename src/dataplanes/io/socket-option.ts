import { dlopen, ptr } from "bun:ffi";

const SETSOCKOPT = { setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } } as const;

const LIBRARIES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`],
  darwin: ["libSystem.B.dylib"],
};

/** setsockopt(2) on a socket of Bun's. False: the system refused it, or cannot be asked. */
export type SetSocketOption = (
  socket: object,
  level: number,
  option: number,
  value: Uint8Array | Int32Array,
) => boolean;

/** Bun 1.4.5 has few socket options, but tells a UDP socket's descriptor: the C library is called directly. */
export function socketOptions(): SetSocketOption {
  let setsockopt: ReturnType<typeof load> | undefined;
  return (socket, level, option, value) => {
    const descriptor: unknown = "fd" in socket ? socket.fd : null;
    if (typeof descriptor !== "number" || descriptor < 0) return false;
    if (setsockopt === undefined) setsockopt = load();
    return setsockopt?.(descriptor, level, option, ptr(value), value.byteLength) === 0;
  };
}

/** Null where no such library is. */
function load() {
  for (const library of LIBRARIES[process.platform] ?? []) {
    try {
      return dlopen(library, SETSOCKOPT).symbols.setsockopt;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return null;
}
