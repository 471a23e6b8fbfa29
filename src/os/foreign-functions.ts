import type * as ffi from "bun:ffi";

/** Bun's calls into C libraries; null on Node, where the library runs too and nothing may import them. */
export function foreignFunctions(): Pick<typeof ffi, "dlopen" | "ptr"> | null {
  if (typeof Bun === "undefined") return null;
  return process.getBuiltinModule("bun:ffi") as typeof ffi;
}
