import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../os/errors.ts";
import { BUN_VERSION, LICENSE, VERSION } from "../../os/version.ts";
import { ApiFailure, type Principal, type SettingsBackend } from "../../servers/api/backend.ts";
import type { ReloadReport, Settings } from "../../servers/api/schema.ts";
import type { Store } from "../../store/store.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { type ConsoleSettings, ControlError } from "../control.ts";
import { actorOf } from "./access/context.ts";
import { Backups } from "./backups.ts";

/** Where a relay or a gateway keeps what it knows, and reads what it is told. */
export interface ConsolePlace {
  readonly dataDir: string;
  /** Null = there is no config file. */
  readonly configFile: string | null;
}

export interface ConsoleServerOptions {
  readonly store: Store;
  readonly place: ConsolePlace;
  wallMs(): number;
  /** Of this run. */
  readonly startedMs: number;
  /** In the audit log: `relay`, `gateway`. */
  readonly subject: string;
  /** In force now; null = there is no relay. */
  relay(): Promise<Settings["relay"]>;
  /** In force now; null = it is being closed. */
  console(): ConsoleSettings | null;
  consoleUrl(): string;
  reload(): Promise<ReloadReport>;
}

/** The server itself, as administrators see and handle it. */
export class ConsoleServer implements SettingsBackend {
  readonly #options: ConsoleServerOptions;
  readonly #backups: Backups;

  constructor(options: ConsoleServerOptions) {
    this.#options = options;
    const { store, place, wallMs } = options;
    this.#backups = new Backups({ dataDir: place.dataDir, store, wallMs });
  }

  backup(who: Principal, passphrase: string) {
    return this.#backups.make(who, passphrase);
  }
  async pendingRestore(_who: Principal) {
    return { restore: await this.#backups.pending() };
  }
  checkRestore(who: Principal, source: AsyncIterable<Uint8Array>, passphrase: string) {
    return this.#backups.check(who, source, passphrase);
  }
  stageRestore(who: Principal) {
    return this.#backups.stage(who);
  }
  discardRestore(who: Principal) {
    return this.#backups.discard(who);
  }

  async settings(_who: Principal): Promise<Settings> {
    const { place, startedMs, consoleUrl, relay } = this.#options;
    const section = this.#options.console();
    if (section === null) throw new ApiFailure("unavailable", "The console is being closed.");
    const { host, port } = section.listen;
    return {
      version: VERSION,
      bunVersion: BUN_VERSION,
      license: LICENSE,
      startedMs,
      dataDirectory: place.dataDir,
      dataBytes: await bytesIn(place.dataDir),
      configFile: place.configFile,
      relay: await relay(),
      console: {
        url: consoleUrl(),
        listen: formatHostPort(host, port),
        tls: section.tls,
        hosts: section.hosts,
        trustedProxies: section.trustedProxies,
      },
    };
  }

  async reload(who: Principal): Promise<ReloadReport> {
    const { store, wallMs, subject, reload } = this.#options;
    try {
      const report = await reload();
      const { changed, needRestart } = report;
      const event = {
        actor: actorOf(who),
        action: "settings.reloaded",
        subject,
        detail: { changed, needRestart },
      };
      await store.audit.append(event, wallMs());
      return report;
    } catch (error) {
      if (error instanceof ControlError && error.kind === "usage") throw new ApiFailure("conflict", error.message);
      throw error;
    }
  }
}

/** Of all files below; one that went meanwhile, or that is another user's, counts nothing. */
async function bytesIn(directory: string): Promise<number> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    const sizes = entries.map(async (entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return bytesIn(path);
      return entry.isFile() ? (await stat(path)).size : 0;
    });
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return 0;
  }
}
