import { OPERATOR } from "../../../store/audit.ts";
import type { KeyOfDevice } from "../../../store/ssh-keys.ts";
import type { Store } from "../../../store/store.ts";
import { formatKnownHosts, keyProblem, parseKeyText } from "../../../wire/ssh/public-key.ts";
import { ControlError, type SshKeyInfo, type SshKeysControl, type SshReady } from "../../control.ts";
import type { DeviceLink } from "../device-link.ts";
import type { RelayForwards } from "../forwards.ts";

export interface SshKeysView {
  readonly store: Pick<Store, "sshKeys" | "accounts">;
  readonly forwards: Pick<RelayForwards, "removeDevice">;
  /** Its SSH server; undefined = it has none. */
  ssh(): SshReady | undefined;
  publicHost(link: Pick<DeviceLink, "localAddress"> | undefined): string;
  /** Cuts a revoked device's connections. */
  cut(deviceId: string): void;
  /** Cuts those that proved this key. */
  cutSshKey(deviceId: string, fingerprint: string): void;
  wallMs(): number;
}

/** What a running relay offers for the keys of SSH clients. */
export function sshKeysControl(relay: SshKeysView): SshKeysControl {
  const { store } = relay;
  return {
    async listSshKeys() {
      const names = await accountNames(relay);
      return (await store.sshKeys.list()).map((found) => info(found, names));
    },
    async addSshKey({ key: text, name, account, ports }) {
      const parsed = parseKeyText(text);
      if (!parsed.ok) throw new ControlError("usage", keyProblem(parsed.error));
      const added = await store.sshKeys.add(
        {
          ...parsed.value,
          deviceName: name,
          actor: OPERATOR,
          ...(account === undefined ? {} : { account }),
          ...(ports === undefined ? {} : { ports }),
        },
        relay.wallMs(),
      );
      if (!added.ok) throw new ControlError("usage", added.error.message);
      return info(added.value, await accountNames(relay));
    },
    async removeSshKey(fingerprintOrComment) {
      const removed = await store.sshKeys.remove(fingerprintOrComment, relay.wallMs(), OPERATOR);
      if (!removed.ok) throw new ControlError("usage", removed.error.message);
      const { key, device, deviceRevoked } = removed.value;
      if (deviceRevoked) {
        relay.cut(device.id);
        await relay.forwards.removeDevice(device.id);
      } else relay.cutSshKey(device.id, key.fingerprint);
      return { key: info(removed.value, await accountNames(relay)), deviceRevoked };
    },
    async sshHost() {
      const ssh = relay.ssh();
      if (ssh === undefined) {
        throw new ControlError(
          "usage",
          "This relay has no SSH server: add [ssh] to its hatchway.toml and start it again.",
        );
      }
      return { ...hostOf(relay, ssh), fingerprint: ssh.fingerprint };
    },
  };
}

function hostOf(relay: SshKeysView, { listen, hostKey }: SshReady) {
  const host = relay.publicHost(undefined);
  return { host, port: listen.port, knownHosts: formatKnownHosts(host, listen.port, hostKey) };
}

async function accountNames({ store }: SshKeysView): Promise<ReadonlyMap<string, string>> {
  return new Map((await store.accounts.list()).map(({ id, name }) => [id, name]));
}

function info({ key, device }: KeyOfDevice, accounts: ReadonlyMap<string, string>): SshKeyInfo {
  const { fingerprint, type, comment, createdMs, lastUsedMs } = key;
  const account = accounts.get(device.accountId) ?? device.accountId;
  return {
    fingerprint,
    type,
    comment,
    device: device.name,
    account,
    ports: device.ports,
    addedMs: createdMs,
    lastUsedMs,
  };
}
