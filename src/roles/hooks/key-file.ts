import { readPrivateText } from "../../os/files.ts";
import { err, ok, type Result } from "../../wire/result.ts";

/** What nobody guesses: 16 random letters have 80 bits, and gluetun's own keys have 22. */
const MIN_KEY_BYTES = 16;
const MAX_KEY_BYTES = 1_024;

/** The first line of a key file that only its owner may read. The message never holds a part of it. */
export async function readKeyFile(path: string): Promise<Result<string, string>> {
  const read = await readPrivateText(path);
  if (!read.ok) return err(read.error.message);
  if (read.value === null) return err(`There is no key file ${path}.`);
  const key = read.value.split(/\r?\n/, 1)[0] ?? "";
  const bytes = Buffer.byteLength(key);
  if (bytes >= MIN_KEY_BYTES && bytes <= MAX_KEY_BYTES) return ok(key);
  return err(`The first line of ${path} must be a key of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes.`);
}
