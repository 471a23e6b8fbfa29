import { ApiFailure, type Principal, type SettingsBackend } from "./backend.ts";
import { FAKE_NOW_MS } from "./fake-data.ts";
import type { RestoreInfo } from "./schema.ts";

export class FakeSettings implements SettingsBackend {
  restore: RestoreInfo | null = {
    state: "checked",
    madeMs: FAKE_NOW_MS,
    version: "0.1.0",
    counts: { accounts: 1, people: 1, devices: 2, forwards: 3 },
    parts: ["hatchway.db"],
  };
  /** Of the last upload. */
  uploaded = { bytes: 0, passphrase: "" };

  async backup(_who: Principal, passphrase: string) {
    return (async function* () {
      yield new TextEncoder().encode(`sealed with ${passphrase.length} letters`);
    })();
  }
  async pendingRestore() {
    return { restore: this.restore };
  }
  async checkRestore(_who: Principal, source: AsyncIterable<Uint8Array>, passphrase: string) {
    let bytes = 0;
    for await (const piece of source) bytes += piece.length;
    this.uploaded = { bytes, passphrase };
    return this.#pending();
  }
  async stageRestore() {
    this.restore = { ...this.#pending(), state: "staged" };
    return this.restore;
  }
  async discardRestore() {
    this.#pending();
    this.restore = null;
  }
  #pending(): RestoreInfo {
    if (this.restore === null) throw new ApiFailure("not-found", "No backup waits to be restored.");
    return this.restore;
  }

  async settings() {
    return {
      version: "0.1.0",
      bunVersion: "1.4.5",
      license: "Apache-2.0",
      startedMs: FAKE_NOW_MS,
      dataDirectory: "/var/lib/hatchway",
      dataBytes: 250_000,
      configFile: "/var/lib/hatchway/hatchway.toml",
      relay: {
        publicHost: "relay.example",
        listen: "0.0.0.0:7744",
        ports: "8000-9000",
        stun: true,
        ownCertificate: false,
        clientCa: false,
      },
      console: { url: "https://relay.example:7780", listen: "*:7780", tls: true, hosts: [], trustedProxies: [] },
    };
  }

  async reload() {
    return {
      v: 1,
      added: [],
      changed: ["relay.ports"],
      removed: [],
      unchanged: 2,
      refused: [],
      needRestart: [],
    } as const;
  }
}
