import { encode } from "uqr";
import { err, ok, type Result } from "../wire/result.ts";

export interface QrError {
  /** One sentence that says what to do. */
  readonly message: string;
}

/** ISO/IEC 18004 §9.1: four modules of light around the code, or readers do not find it. */
const QUIET_MODULES = 4;
/** A terminal's usual width. */
const DEFAULT_COLUMNS = 80;
/** What is below the last row, which has no partner: the number of modules is odd. */
const LIGHT = false;
/** The largest code (version 40, level L) holds 2,953 bytes; no terminal shows one. */
const MAX_TEXT_BYTES = 2_000;
/** Black on white by number in the cube of 256 colours: themes redefine the first 16, and these not. */
const BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m";
const RESET = "\x1b[0m";

/**
 * A QR code for a terminal: two rows of modules a line, by half blocks. In colour it is black on white whatever the
 * terminal's own colours are. Without, the blocks are the light modules, which is right on a dark terminal; on a light
 * one it is the negative, which most readers take too.
 */
export function renderQr(
  text: string,
  { color, columns = DEFAULT_COLUMNS }: { readonly color: boolean; readonly columns?: number },
): Result<string, QrError> {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MAX_TEXT_BYTES) {
    return err({ message: `A QR code of ${bytes.length} bytes fits no terminal; use the file.` });
  }
  // Level L, for the smallest code: a screen is neither torn nor dirty.
  const { data: rows, size } = encode([...bytes], { ecc: "L", boostEcc: false, border: QUIET_MODULES });
  if (size > columns) {
    return err({
      message: `The QR code needs ${size} columns and the terminal has ${columns}; widen it, or use the file.`,
    });
  }
  const lines: string[] = [];
  for (let y = 0; y < size; y += 2) {
    const upper = rows[y] ?? [];
    const lower = rows[y + 1] ?? [];
    let line = "";
    for (let x = 0; x < size; x++) line += block(upper[x] === color, (lower[x] ?? LIGHT) === color);
    lines.push(color ? `${BLACK_ON_WHITE}${line}${RESET}` : line);
  }
  return ok(`${lines.join("\n")}\n`);
}

function block(upper: boolean, lower: boolean): string {
  if (upper) return lower ? "█" : "▀";
  return lower ? "▄" : " ";
}
