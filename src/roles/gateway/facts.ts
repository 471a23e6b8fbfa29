import { randomUUID } from "node:crypto";
import type { Store } from "../../store/store.ts";

export interface GatewayFactsOptions {
  readonly store: Pick<Store, "mappings">;
  wallMs(): number;
}

const SEED = "igd-seed";
const HTTP_PORT = "igd-http-port";

/** What control points know the gateway by from start to start: made once, and kept with the data. */
export class GatewayFacts {
  readonly #options: GatewayFactsOptions;
  #httpPort: number | null = null;

  constructor(options: GatewayFactsOptions) {
    this.#options = options;
  }

  async igdSeed(): Promise<string> {
    const kept = await this.#options.store.mappings.fact(SEED);
    if (kept !== null) return kept;
    const seed = randomUUID();
    await this.#keep(SEED, seed);
    return seed;
  }

  /** The port that IGD had last; null = it never had one. */
  async httpPort(): Promise<number | null> {
    const kept = Number(await this.#options.store.mappings.fact(HTTP_PORT));
    this.#httpPort = Number.isInteger(kept) && kept > 0 ? kept : null;
    return this.#httpPort;
  }

  /** Null = it has none now; the one before is kept. */
  async keepHttpPort(port: number | null): Promise<void> {
    if (port === null || port === this.#httpPort) return;
    this.#httpPort = port;
    await this.#keep(HTTP_PORT, `${port}`);
  }

  async #keep(name: string, value: string): Promise<void> {
    await this.#options.store.mappings.apply([{ kind: "fact", name, value }], this.#options.wallMs());
  }
}
