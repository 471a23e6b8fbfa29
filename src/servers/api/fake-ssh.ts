import { ApiFailure, type PageRequest, type Principal, type SshBackend } from "./backend.ts";
import { FAKE_NOW_MS } from "./fake-data.ts";
import type { FakeForwards } from "./fake-forwards.ts";
import { pageOf } from "./fake-page.ts";
import type { Device, SshKey, SshKeyDraft } from "./schema.ts";

const HOST = {
  host: "relay.example",
  port: 2_222,
  fingerprint: "SHA256:host",
  knownHosts: "[relay.example]:2222 ssh-ed25519 AAAA",
};

/** Keys in memory: one of each device of `forwards`, called by its comment. Any text is a key. */
export class FakeSsh implements SshBackend {
  isOn = true;
  readonly #forwards: FakeForwards;
  readonly keys = new Map<string, SshKey>();

  constructor(forwards: FakeForwards) {
    this.#forwards = forwards;
    for (const device of forwards.devices.values()) this.#put(`${device.name}@home`, device);
  }

  async server() {
    return this.isOn ? HOST : null;
  }
  async listKeys(who: Principal, page: PageRequest, { device }: { readonly device: string | null }) {
    const found = [...this.keys.values()].filter(
      (key) => sees(who, key) && (device === null || key.device.id === device || key.device.name === device),
    );
    return pageOf(found, page);
  }
  async addKey(who: Principal, { key, device: nameOrId }: SshKeyDraft) {
    const comment = key.split(" ")[2] ?? "";
    if (this.keys.has(fingerprintOf(comment))) throw new ApiFailure("conflict", "This key is in use already.");
    return this.#put(comment, await this.#forwards.getDevice(who, nameOrId));
  }
  async removeKey(who: Principal, fingerprint: string) {
    const key = this.keys.get(fingerprint);
    if (key === undefined || !sees(who, key)) throw new ApiFailure("not-found", "There is no such SSH key.");
    this.keys.delete(fingerprint);
  }

  #put(comment: string, { id, name, account }: Device): SshKey {
    const fingerprint = fingerprintOf(comment);
    const [addedMs, lastUsedMs] = [FAKE_NOW_MS, null];
    const device = { id, name };
    const key = { fingerprint, type: "ssh-ed25519", comment, device, account, ports: null, addedMs, lastUsedMs };
    this.keys.set(fingerprint, { ...key, endsDevice: false });
    return { ...key, endsDevice: false };
  }
}

function fingerprintOf(comment: string): string {
  // Real ones have slashes, too.
  return `SHA256:${comment}/+`;
}

function sees(who: Principal, { account }: SshKey): boolean {
  return who.role === "admin" || who.accountId === account.id;
}
