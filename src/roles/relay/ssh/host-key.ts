import { generateKeyPairSync } from "ssh2/lib/keygen.js";
import { parseKey } from "ssh2/lib/protocol/keyParser.js";
import { createFile, readPrivateText } from "../../../os/files.ts";
import { dataPaths } from "../../../os/paths.ts";
import { ControlError } from "../../control.ts";

/** The relay's key for SSH, from its data directory; made at the first start (mode 0600). Throws ControlError `failed`. */
export async function loadHostKey(dataDir: string): Promise<string> {
  const path = dataPaths(dataDir).sshHostKey;
  const present = await readPrivateText(path);
  if (!present.ok) throw new ControlError("failed", present.error.message, { cause: present.error.cause });
  if (present.value !== null) return present.value;
  const made = makeSshKey("hatchway").private;
  const created = await createFile(path, made.endsWith("\n") ? made : `${made}\n`);
  if (!created.ok) throw new ControlError("failed", created.error.message, { cause: created.error.cause });
  return created.value === "created" ? made : loadHostKey(dataDir);
}

/** A new key pair, Ed25519: the private one in OpenSSH's format, the public one as a line. */
export function makeSshKey(comment: string): { readonly private: string; readonly public: string } {
  for (;;) {
    const pair = generateKeyPairSync("ed25519", { comment });
    // ssh2 1.17.0 leaves a leading zero of the public key out: one pair in 256 is none.
    if (!(parseKey(pair.private) instanceof Error)) return pair;
  }
}
