import { loadReflection } from "../../os/reflection.ts";
import type { CertificateSource } from "../certificate/source.ts";
import type { WatchedFiles } from "../certificate/watched.ts";
import type { GatewayBeside } from "../console/beside.ts";
import type { OpenConsole } from "../console/open.ts";
import { COUNTRY_KEY, openCountries } from "../console/open-countries.ts";
import type { ConsoleReady, ConsoleSettings } from "../control.ts";
import type { RelayConsoleOptions } from "./console.ts";
import type { LentServers, ServerPorts } from "./lent-servers.ts";

type Made = "beside" | "settings" | "certificate" | "countries" | "beforeListening";

export interface OwnConsoleOptions extends Omit<RelayConsoleOptions, Made> {
  /** As they are now; null = no console. */
  settings(): ConsoleSettings | null;
  /** Of a gateway that this process is as well. */
  readonly gatewayBeside: (() => Promise<GatewayBeside>) | null;
  /** What the console shows that has none of its own. */
  readonly fallback: CertificateSource;
  /** Its own certificate and what else a reload looks at come to these. */
  readonly files: WatchedFiles;
}

/** A relay's console, which many relays do not have: it is loaded by those that do. */
export class OwnConsole implements LentServers {
  readonly #options: OwnConsoleOptions;
  #open: OpenConsole | null = null;
  /** Of a gateway in this process, once the console shows both. */
  #beside: GatewayBeside | null = null;
  /** It outlives the console: what was carried is written down at the very end. */
  #record: (() => Promise<void>) | null = null;

  constructor(options: OwnConsoleOptions) {
    this.#options = options;
  }

  /** Nothing happens without settings. `free`: see RelayConsoleOptions.beforeListening. Rejects with ControlError. */
  async start(free: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const { gatewayBeside, fallback, files: watched } = this.#options;
    const settings = this.#options.settings();
    if (settings === null) return;
    // It takes a moment to load.
    await loadReflection();
    const { openRelayConsole } = await import("./console.ts");
    const { certificate: files } = settings;
    const shown = files === null ? fallback : await watched.load("console.certificate", files);
    this.#beside = (await gatewayBeside?.()) ?? null;
    const countries = await openCountries(settings);
    if (countries !== null) watched.add(COUNTRY_KEY, countries);
    const opened = await openRelayConsole({
      ...this.#options,
      beside: this.#beside,
      settings: () => this.#options.settings() ?? settings,
      certificate: shown,
      countries,
      beforeListening: free,
    });
    this.#open = opened;
    this.#record = opened.record;
    if (opened.acme !== null) watched.add("acme", opened.acme.certificate);
  }

  /** Null = it does not listen. */
  get listener(): OpenConsole | null {
    return this.#open;
  }

  ready(): ConsoleReady | null {
    return this.#open === null ? null : { url: this.#open.url, setupLink: this.#open.setupLink };
  }

  async accountChanged(accountId: string): Promise<void> {
    await this.#beside?.accountChanged(accountId);
  }

  /** Writes down what was carried until now. */
  async record(): Promise<void> {
    await this.#record?.();
  }

  get openPorts(): ServerPorts {
    return { tcp: this.#open?.ports ?? [], udp: [] };
  }

  setShared(shared: boolean): boolean {
    return this.#open?.setShared(shared) ?? true;
  }

  leave(): void {
    this.#open?.leave();
  }

  async retire(): Promise<void> {
    await this.#open?.retire();
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.close();
  }
}
