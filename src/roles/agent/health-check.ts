import type { HealthCheck } from "../../core/forward.ts";
import { type Health, probed, serves, startHealth } from "../../core/health.ts";
import type { Dials } from "../../dataplanes/direct/dial.ts";
import { type Allows, directExit } from "../../dataplanes/direct/exit.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import type { ByteEnd, Visit } from "../../dataplanes/io/ends.ts";
import type { Sweepable } from "../../dataplanes/io/sweeper.ts";
import type { HostPort } from "../../wire/endpoint.ts";

export interface HealthCheckerOptions {
  readonly check: HealthCheck;
  readonly service: HostPort;
  readonly allows: Allows;
  readonly dials: Dials;
  readonly resolver: Resolver;
  random(): number;
  /** The service began or ceased to answer. */
  onChange(healthy: boolean): void;
}

const NOBODY: Visit = {
  visitor: { address: "127.0.0.1", port: 0 },
  entry: { address: "127.0.0.1", port: 0 },
  externalPort: 0,
};

/** Connects to a service now and then, and tells when it begins or ceases to answer. Driven by the sweeper. */
export class HealthChecker implements Sweepable {
  readonly #options: HealthCheckerOptions;
  readonly #exit: ReturnType<typeof directExit>;
  #health: Health;
  #probe: { readonly end: ByteEnd; readonly deadlineMs: number } | null = null;

  constructor(options: HealthCheckerOptions) {
    this.#options = options;
    this.#health = startHealth(options.dials.sweeper.nowMs(), options.random());
    this.#exit = directExit({
      target: () => options.service,
      allows: options.allows,
      resolver: options.resolver,
      dials: options.dials,
      proxyProtocol: () => null,
    });
    options.dials.sweeper.add(this);
  }

  get healthy(): boolean {
    return serves(this.#health);
  }

  sweep(nowMs: number): void {
    if (this.#probe !== null) {
      if (nowMs >= this.#probe.deadlineMs) this.#probe.end.reset("serviceTimeout");
    } else if (nowMs >= this.#health.nextProbeMs) {
      this.#start(nowMs);
    }
  }

  #start(nowMs: number): void {
    const end = this.#exit.connect(NOBODY);
    this.#probe = { end, deadlineMs: nowMs + this.#options.check.timeoutSec * 1_000 };
    let open = false;
    end.sink = {
      onOpen: () => {
        open = true;
        end.reset("shutdown");
      },
      onData: () => undefined,
      onDrain: () => undefined,
      onEnd: () => undefined,
      onClose: () => this.#settled(open),
    };
  }

  #settled(success: boolean): void {
    this.#probe = null;
    const before = this.healthy;
    const { check, dials, random } = this.#options;
    this.#health = probed(this.#health, check, success, dials.sweeper.nowMs(), random());
    if (this.healthy !== before) this.#options.onChange(this.healthy);
  }

  close(): void {
    this.#options.dials.sweeper.remove(this);
    this.#probe?.end.reset("shutdown");
  }
}
