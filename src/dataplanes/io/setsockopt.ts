import { dlopen } from "bun:ffi";

const LIBRARIES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`],
  darwin: ["libSystem.B.dylib"],
};
const SETSOCKOPT = { setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } } as const;

/** setsockopt(2), for options that Bun has no name for; null where no such library is. */
export function loadSetsockopt() {
  for (const library of LIBRARIES[process.platform] ?? []) {
    try {
      return dlopen(library, SETSOCKOPT).symbols.setsockopt;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return null;
}
