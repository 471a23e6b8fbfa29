import { seesAll } from "../../core/access/rights.ts";
import { ApiFailure, type Page, type PageRequest, type Principal, type SshBackend } from "../../servers/api/backend.ts";
import type { SshKey, SshKeyDraft } from "../../servers/api/schema.ts";
import type { KeyOfDevice, SshKeyRefusal } from "../../store/ssh-keys.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import { keyProblem, parseKeyText } from "../../wire/ssh/public-key.ts";
import type { SshHostInfo } from "../control.ts";
import { removeSshKey, type SshKeysView, sshHostOf } from "../relay/ssh/keys.ts";
import { actorOf } from "./access/context.ts";
import { sees } from "./forwards.ts";
import { pageOf, shownPage } from "./pages.ts";

/** What the API shows and changes of the keys of a relay's SSH clients. */
export class ConsoleSsh implements SshBackend {
  readonly #relay: SshKeysView;

  constructor(relay: SshKeysView) {
    this.#relay = relay;
  }

  async server(): Promise<SshHostInfo | null> {
    return sshHostOf(this.#relay);
  }

  async listKeys(
    who: Principal,
    page: PageRequest,
    { device: wanted }: { readonly device: string | null },
  ): Promise<Page<SshKey>> {
    const all = await this.#relay.store.sshKeys.list();
    const theirs = all.filter(({ device }) => sees(who, device.accountId));
    const found = theirs.filter(({ device }) => wanted === null || device.id === wanted || device.name === wanted);
    const keyOf = ({ key, device }: KeyOfDevice) => [device.name, device.id, key.fingerprint].join("\0");
    const names = await this.#accountNames();
    return shownPage(pageOf(found, keyOf, page), (one) => shown(one, all, names));
  }

  async addKey(who: Principal, draft: SshKeyDraft): Promise<SshKey> {
    const { key: text, ports } = draft;
    const parsed = parseKeyText(text);
    if (!parsed.ok) throw wrong("key", keyProblem(parsed.error));
    const set = ports === undefined ? null : parsePortSet(ports);
    if (set?.ok === false) throw wrong("ports", set.error.message);
    const { deviceName, account } = await this.#deviceOf(who, draft);
    const { store, wallMs } = this.#relay;
    const request = { ...parsed.value, deviceName, account, ...(ports === undefined ? {} : { ports }) };
    const added = await store.sshKeys.add({ ...request, actor: actorOf(who) }, wallMs());
    if (!added.ok) throw await this.#failureOf(who, added.error, parsed.value.key.blob);
    return shown(added.value, await store.sshKeys.list(), await this.#accountNames());
  }

  async removeKey(who: Principal, fingerprint: string): Promise<void> {
    const removal = { actor: actorOf(who), ...(seesAll(who) ? {} : { accountId: who.accountId }) };
    const removed = await removeSshKey(this.#relay, fingerprint, removal);
    if (!removed.ok) throw new ApiFailure("not-found", "There is no such SSH key.");
  }

  /** By id among those that they may see, else by name in an account. */
  async #deviceOf(who: Principal, { device, account: nameOrId }: SshKeyDraft) {
    const { store } = this.#relay;
    const present = (await store.devices.list()).find(({ id, accountId }) => id === device && sees(who, accountId));
    if (present !== undefined) return { deviceName: present.name, account: present.accountId };
    if (nameOrId === undefined) return { deviceName: device, account: who.accountId };
    const account = await store.accounts.find(nameOrId);
    if (account === null || !sees(who, account.id)) {
      throw new ApiFailure("not-found", `There is no account "${nameOrId}".`);
    }
    return { deviceName: device, account: account.id };
  }

  /** In words for whoever asks, who may not learn what other accounts have. */
  async #failureOf(who: Principal, { kind, message }: SshKeyRefusal, blob: Uint8Array): Promise<ApiFailure> {
    switch (kind) {
      case "key-taken": {
        const holder = await this.#relay.store.sshKeys.find(blob);
        const isTheirs = holder !== null && sees(who, holder.device.accountId);
        return conflict(
          "key",
          isTheirs
            ? `The device "${holder.device.name}" has this key already: remove it there first, or give another one.`
            : "This key is in use already: make one for this device alone with ssh-keygen -t ed25519.",
        );
      }
      case "ports":
        return conflict("ports", "The device is there already, with other ports: leave the ports empty.");
      case "too-many":
      case "quota":
        return conflict("device", message);
      case "unknown-account":
      case "unknown":
        return new ApiFailure("not-found", message);
      default:
        return kind satisfies never;
    }
  }

  async #accountNames(): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.#relay.store.accounts.list()).map(({ id, name }) => [id, name]));
  }
}

/** `all`: every key there is. */
function shown(
  { key, device }: KeyOfDevice,
  all: readonly KeyOfDevice[],
  accounts: ReadonlyMap<string, string>,
): SshKey {
  const { fingerprint, type, comment, createdMs, lastUsedMs } = key;
  const hasAgent = device.publicKey.length > 0;
  return {
    fingerprint,
    type,
    comment,
    device: { id: device.id, name: device.name },
    account: { id: device.accountId, name: accounts.get(device.accountId) ?? "" },
    ports: device.ports,
    addedMs: createdMs,
    lastUsedMs,
    endsDevice:
      !hasAgent && !all.some((other) => other.device.id === device.id && other.key.fingerprint !== fingerprint),
  };
}

function wrong(path: string, message: string): ApiFailure {
  return new ApiFailure("invalid", message, { errors: [{ path, message }] });
}

function conflict(path: string, message: string): ApiFailure {
  return new ApiFailure("conflict", message, { errors: [{ path, message }] });
}
