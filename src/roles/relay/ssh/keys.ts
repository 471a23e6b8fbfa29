import { OPERATOR } from "../../../store/audit.ts";
import type { KeyOfDevice, RemovedSshKey, SshKeyRefusal, SshKeyRemoval } from "../../../store/ssh-keys.ts";
import type { Store } from "../../../store/store.ts";
import type { Result } from "../../../wire/result.ts";
import { formatKnownHosts, keyProblem, parseKeyText } from "../../../wire/ssh/public-key.ts";
import { ControlError, type SshHostInfo, type SshKeyInfo, type SshKeysControl, type SshReady } from "../../control.ts";
import { sshKeyCalled } from "../../named.ts";
import type { DeviceLink } from "../device-link.ts";
import type { RelayForwards } from "../forwards.ts";

export interface SshKeysView {
  readonly store: Pick<Store, "sshKeys" | "devices" | "accounts">;
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
      const { fingerprint } = sshKeyCalled(
        fingerprintOrComment,
        (await store.sshKeys.list()).map(({ key }) => key),
      );
      const removed = await removeSshKey(relay, fingerprint);
      if (!removed.ok) throw new ControlError("usage", removed.error.message);
      return { key: info(removed.value, await accountNames(relay)), deviceRevoked: removed.value.deviceRevoked };
    },
    async sshHost() {
      const host = sshHostOf(relay);
      if (host !== null) return host;
      const message = "This relay has no SSH server: add [ssh] to its hatchway.toml and start it again.";
      throw new ControlError("usage", message);
    },
  };
}

/** Who came in by the key goes with it, and has no ports any more when this resolves. */
export async function removeSshKey(
  relay: SshKeysView,
  fingerprint: string,
  removal: SshKeyRemoval = {},
): Promise<Result<RemovedSshKey, SshKeyRefusal>> {
  const removed = await relay.store.sshKeys.remove(fingerprint, relay.wallMs(), removal);
  if (!removed.ok) return removed;
  const { key, device, deviceRevoked } = removed.value;
  if (deviceRevoked) {
    relay.cut(device.id);
    await relay.forwards.removeDevice(device.id);
  } else relay.cutSshKey(device.id, key.fingerprint);
  return removed;
}

/** How clients know the relay's SSH server; null = it has none. */
export function sshHostOf(relay: Pick<SshKeysView, "ssh" | "publicHost">): SshHostInfo | null {
  const ssh = relay.ssh();
  if (ssh === undefined) return null;
  const host = relay.publicHost(undefined);
  const { port } = ssh.listen;
  return { host, port, fingerprint: ssh.fingerprint, knownHosts: formatKnownHosts(host, port, ssh.hostKey) };
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
