import { deviceKeyOfSeed, readDeviceSeed } from "../os/device-key.ts";
import { createFile, type FileError } from "../os/files.ts";
import { dataPaths } from "../os/paths.ts";
import { sshFingerprint } from "../os/ssh-key.ts";
import { openAgentState } from "../store/agent-state.ts";
import { encodePrivateKey } from "../wire/ssh/private-key.ts";
import { encodeEd25519, formatKey } from "../wire/ssh/public-key.ts";
import { ControlError } from "./control.ts";

export interface ExportedSshKey {
  readonly device: string;
  /** Of the relay that it joined. */
  readonly host: string;
  /** `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
  readonly fingerprint: string;
}

/**
 * Writes the key of the device of this data directory to a new file (mode 0600), as ssh takes it with -i. Rejects with
 * ControlError: `usage` when there is no such device, or there is a file of that name. `check`: any number of 32 bits.
 */
export async function exportSshKey(dataDir: string, file: string, check: number): Promise<ExportedSshKey> {
  const state = await openAgentState(dataDir);
  if (!state.ok) throw unreadable(state.error);
  const enrolment = state.value.enrolment();
  const seed = await readDeviceSeed(dataDir);
  if (!seed.ok) throw unreadable(seed.error);
  if (enrolment === null || seed.value === null) {
    const { directory } = dataPaths(dataDir);
    const message = `No device of ${directory} has joined a relay: run hatchway agent --join CODE first, or name its --data.`;
    throw new ControlError("usage", message);
  }
  const { publicKey } = deviceKeyOfSeed(seed.value);
  const text = encodePrivateKey({ seed: seed.value, publicKey }, enrolment.deviceName, check);
  const made = await createFile(file, text);
  if (!made.ok) throw new ControlError("failed", made.error.message, { cause: made.error.cause });
  if (made.value === "exists") throw new ControlError("usage", `${file} is there already: name a new file.`);
  const blob = encodeEd25519(publicKey);
  return {
    device: enrolment.deviceName,
    host: enrolment.relay.host,
    publicKey: formatKey({ type: "ssh-ed25519", blob }),
    fingerprint: sshFingerprint(blob),
  };
}

function unreadable({ message, cause }: FileError): ControlError {
  return new ControlError("failed", message, { cause });
}
