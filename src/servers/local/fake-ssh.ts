import type { SshKeysControl } from "./control.ts";
import { ControlError } from "./error.ts";
import type { SshKeyInfo, SshKeyRemoved, SshKeyRequest } from "./ssh-schema.ts";

/** The SSH keys of a relay for tests. Each is called by its device. */
export function fakeSshKeys(): SshKeysControl {
  const keys = new Map<string, SshKeyInfo>();
  return {
    listSshKeys: async () => [...keys.values()],
    async addSshKey({
      name,
      account = "owner",
      ports = null,
    }: Omit<SshKeyRequest, "ports"> & { ports?: string | null }) {
      const made = { type: "ssh-ed25519", comment: `${name}@home`, addedMs: 0, lastUsedMs: null };
      const key: SshKeyInfo = { fingerprint: `SHA256:${name}`, device: name, account, ports, ...made };
      keys.set(key.fingerprint, key);
      return key;
    },
    async removeSshKey(fingerprintOrComment): Promise<SshKeyRemoved> {
      const key = keys.get(fingerprintOrComment);
      if (key === undefined) throw new ControlError("usage", `There is no SSH key "${fingerprintOrComment}".`);
      keys.delete(key.fingerprint);
      return { key, deviceRevoked: true };
    },
    sshHost: async () => ({
      host: "relay.example",
      port: 2222,
      fingerprint: "SHA256:host",
      knownHosts: "[relay.example]:2222 ssh-ed25519 AAAA",
    }),
  };
}
