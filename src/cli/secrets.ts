import { resolve } from "node:path";
import { readText } from "../os/files.ts";
import { ControlError } from "../servers/local/error.ts";
import { decodeJoinCode } from "../wire/join-code.ts";
import type { Io } from "./context.ts";

const STDIN = "-";

/**
 * The join code from --join, --join-file (a file, or `-` for standard input) or $HATCHWAY_JOIN; null = none was given.
 * Throws ControlError `usage` when it is not a code; the message never holds a part of it.
 */
export async function readJoinCode(
  io: Io,
  given: { readonly join?: string; readonly joinFile?: string },
): Promise<string | null> {
  if (given.join !== undefined && given.joinFile !== undefined) {
    throw new ControlError("usage", "Give the join code once: by --join or by --join-file.");
  }
  const file = given.join === STDIN ? STDIN : given.joinFile;
  const text = file === undefined ? (given.join ?? (io.env["HATCHWAY_JOIN"] || null)) : await readSecret(io, file);
  if (text === null) return null;
  const decoded = decodeJoinCode(text);
  if (!decoded.ok) throw new ControlError("usage", decoded.error.message);
  return text.trim();
}

async function readSecret(io: Io, file: string): Promise<string> {
  if (file === STDIN) return io.stdin();
  const read = await readText(resolve(file));
  if (!read.ok) throw new ControlError("usage", read.error.message, { cause: read.error.cause });
  if (read.value === null) throw new ControlError("usage", `There is no file ${file} with a join code.`);
  return read.value;
}
