import type { SettingsBackend } from "./backend.ts";
import { FAKE_NOW_MS } from "./fake-data.ts";

export class FakeSettings implements SettingsBackend {
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
