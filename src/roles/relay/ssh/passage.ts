import { join } from "node:path";
import type { Sweeper } from "../../../dataplanes/io/sweeper.ts";
import type { Visits } from "../../../dataplanes/io/visits.ts";
import { monotonicMs } from "../../../os/clock.ts";
import { CarriedClients, type CarriedClientsOptions, pipeBudget } from "./carried.ts";
import { Following } from "./following.ts";
import type { SshHub } from "./hub.ts";

export interface PassageOptions extends Omit<CarriedClientsOptions, "path" | "shared"> {
  readonly dataDir: string;
  readonly hub: SshHub;
  readonly sweeper: Sweeper;
}

/** In the data directory: where processes come that carry clients. */
const CLIENTS_SOCKET = "ssh.sock";

/** How clients get from one process of a relay to the next: those of before come in here, and those of this one go on. */
export class Passage {
  readonly #hub: SshHub;
  readonly #gate: PassageOptions["gate"];
  readonly #carried: CarriedClients;
  readonly #following: Following;
  readonly #given = Promise.withResolvers<void>();
  #isGiven = false;

  constructor({ dataDir, hub, sweeper, ...options }: PassageOptions) {
    const path = join(dataDir, CLIENTS_SOCKET);
    const shared = { budget: pipeBudget(), turnstile: sweeper.turnstile, nowMs: monotonicMs };
    this.#hub = hub;
    this.#gate = options.gate;
    this.#carried = new CarriedClients({ ...options, path, shared });
    this.#following = new Following({
      path,
      shared,
      sweeper,
      clients: () => hub.own,
      nextHandle: () => hub.nextHandle(),
    });
  }

  /** Throws the system's error. */
  listen(): void {
    // Elsewhere no process takes over from another (decision 0038).
    if (process.platform === "linux") this.#carried.listen();
  }

  /** See CarriedClients. */
  whole(): void {
    this.#carried.whole();
  }

  /** Another process is the relay. */
  get isGiven(): boolean {
    return this.#isGiven;
  }

  /** Resolves when it is clear which process is the relay. */
  async decided(): Promise<void> {
    await Promise.race([this.#gate.passed(), this.#given.promise]);
  }

  /** Processes before this one that carry clients of its. */
  get carriers(): number {
    return this.#carried.carriers;
  }

  /** The clients that they carry. */
  get carriedClients(): number {
    return this.#carried.clients;
  }

  /** See Following. */
  get passing(): Visits {
    return this.#following.visits;
  }

  give(): void {
    this.#isGiven = true;
    this.#carried.moved();
    this.#hub.follow(this.#following);
    this.#given.resolve();
  }

  /** See CarriedClients. */
  letGo(): void {
    this.#carried.letGo();
  }

  close(): void {
    this.#carried.close();
    this.#following.close();
  }
}
