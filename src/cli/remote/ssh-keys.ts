import type { SshKeyInfo, SshKeysControl } from "../../roles/control.ts";
import { sshKeyCalled } from "../../roles/named.ts";
import { ApiProblem, type Client, everything, type SshKey } from "../../servers/api/client.ts";
import { ControlError } from "../../servers/local/error.ts";

const LIMIT = 500;
const CONFLICT = 409;

/** The keys of a relay's SSH clients, over its API. */
export function remoteSshKeys(client: Client): SshKeysControl {
  const keys = async () => {
    const all: SshKey[] = [];
    for await (const key of everything((ask) => client.listSshKeys({ limit: LIMIT, ...ask }))) all.push(key);
    return all;
  };
  return {
    listSshKeys: async () => (await keys()).map(keyInfo),
    async addSshKey({ name, ...request }) {
      try {
        return keyInfo(await client.addSshKey({ ...request, device: name }));
      } catch (error) {
        // No port is somebody else's: what was asked for is wrong, as on the relay's machine.
        if (error instanceof ApiProblem && error.problem.status === CONFLICT) {
          throw new ControlError("usage", error.problem.detail, { cause: error });
        }
        throw error;
      }
    },
    async removeSshKey(fingerprintOrComment) {
      const key = sshKeyCalled(fingerprintOrComment, await keys());
      await client.removeSshKey(key.fingerprint);
      return { key: keyInfo(key), deviceRevoked: key.endsDevice };
    },
    async sshHost() {
      const { server } = await client.getSsh();
      if (server !== null) return server;
      const message = "That relay has no SSH server: add [ssh] to its hatchway.toml and start it again.";
      throw new ControlError("usage", message);
    },
  };
}

function keyInfo({ device, account, endsDevice: _, ...key }: SshKey): SshKeyInfo {
  return { ...key, device: device.name, account: account.name };
}
