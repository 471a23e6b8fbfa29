import type { OpenPort, OpenPortOptions, PortEvent } from "../../src/library/hatchway.d.ts";
import { openPortBy } from "../../src/library/open-port.ts";
import type { RouterAccess } from "../../src/router/access.ts";
import type { SystemAccessOptions } from "../../src/router/system-access.ts";
import { FakeRouter, type FakeRouterOptions } from "../fixtures/fake-router/mapper.ts";
import { ManualClock } from "../fixtures/manual-clock.ts";

const STEP_MS = 100;

/** `openPort` with a router in memory, by a clock that the test turns. */
export class LibraryLab implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly router: FakeRouter;
  /** By what the last call meant to reach its router. */
  means: SystemAccessOptions | null = null;
  readonly openPort: (ports: number | string, options?: OpenPortOptions) => Promise<OpenPort>;
  readonly #open: OpenPort[] = [];

  constructor(options: Omit<FakeRouterOptions, "nowMs" | "after"> = {}) {
    const { nowMs, after } = this.clock;
    this.router = new FakeRouter({ nowMs, after, ...options });
    const open = openPortBy({ access: (means) => this.#access(means), nowMs, wallMs: nowMs, after });
    this.openPort = async (ports, given) => {
      const port = await this.passing(open(ports, given));
      this.#open.push(port);
      return port;
    };
  }

  /** Lets time pass until it is there. */
  async passing<T>(coming: Promise<T>): Promise<T> {
    let isThere = false;
    const settled = coming.finally(() => {
      isThere = true;
    });
    settled.catch(() => {});
    for (await this.clock.settle(); !isThere; await this.clock.settle()) await this.clock.advance(STEP_MS);
    return settled;
  }

  #access(means: SystemAccessOptions): RouterAccess {
    this.means = means;
    return {
      gateway: (family) => this.router.gateway(family),
      probe: async (protocols, gateway, signal) => {
        const probed = await this.router.probe(protocols, gateway, signal);
        for (const one of probed) if (one.result.ok) means.onFound?.(one, gateway);
        return probed;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.passing(Promise.all(this.#open.map((port) => port.close())));
  }
}

/** What happens to a port, in turn, from the call on. */
export class Events {
  readonly #events: AsyncGenerator<PortEvent, void, undefined>;
  #coming: Promise<IteratorResult<PortEvent, void>>;

  constructor(port: OpenPort) {
    this.#events = port.events();
    // It hears from the first `next` on.
    this.#coming = this.#events.next();
  }

  /** Null = the end. */
  async next(): Promise<PortEvent | null> {
    const { value } = await this.#coming;
    this.#coming = this.#events.next();
    return value ?? null;
  }

  /** The next that is no renewal. */
  async news(): Promise<PortEvent | null> {
    for (;;) {
      const event = await this.next();
      if (event?.type !== "renewed") return event;
    }
  }
}
