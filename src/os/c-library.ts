import type { FFIFunction } from "bun:ffi";
import { foreignFunctions } from "./foreign-functions.ts";

const LIBRARIES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`],
  darwin: ["libSystem.B.dylib"],
};

/** Functions of the C library; null where no such library is. */
export function openCLibrary<const S extends Record<string, FFIFunction>>(symbols: S) {
  const foreign = foreignFunctions();
  if (foreign === null) return null;
  for (const library of LIBRARIES[process.platform] ?? []) {
    try {
      return foreign.dlopen(library, symbols).symbols;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return null;
}
