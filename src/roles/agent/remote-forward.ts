import type { RemoteSpec } from "../../core/forward.ts";
import type { Dials } from "../../dataplanes/direct/dial.ts";
import { ALLOWS_ALL, directExit, mappedTarget } from "../../dataplanes/direct/exit.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import { joinFlows } from "../../dataplanes/io/join-flows.ts";
import { Visits } from "../../dataplanes/io/visits.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import type { ResultOutcome, TunnelEndpoint } from "../../wire/tunnel/control.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import { HealthChecker } from "./health-check.ts";

export interface RemoteSetting {
  readonly spec: RemoteSpec;
  /** The host this agent dials. */
  readonly to: string;
}

/** What the relay last said of a forward. */
export type RemoteAnswer =
  | { readonly kind: "waiting" }
  | { readonly kind: "open"; readonly endpoints: readonly TunnelEndpoint[] }
  | Extract<ResultOutcome, { kind: "refused" }>;

export interface RemoteForwardOptions {
  readonly dials: Dials;
  readonly resolver: Resolver;
  random(): number;
  onHealth(forward: RemoteForward, healthy: boolean): void;
}

/** A forward whose entry is on the relay and whose exit is this agent. */
export class RemoteForward {
  readonly visits: Visits;
  answer: RemoteAnswer = { kind: "waiting" };
  readonly #options: RemoteForwardOptions;
  readonly #exit: Exit;
  #setting: RemoteSetting;
  /** With the external ports as the relay settled them. */
  #ports: readonly PortMapping[];
  #checker: HealthChecker | null = null;

  constructor(
    /** What OPEN calls this forward on every session. */
    readonly handle: number,
    setting: RemoteSetting,
    options: RemoteForwardOptions,
  ) {
    this.#setting = setting;
    this.#options = options;
    this.#ports = setting.spec.ports;
    this.visits = new Visits(setting.spec.options);
    options.dials.sweeper.add(this.visits);
    this.#exit = directExit({
      target: (visit, protocol) => mappedTarget(this.#setting.to, this.#ports)(visit, protocol),
      // Its own person exposed it: that is the permission.
      allows: ALLOWS_ALL,
      resolver: options.resolver,
      dials: options.dials,
      proxyProtocol: () => this.#setting.spec.options.proxyProtocol,
    });
    this.#startCheck();
  }

  get setting(): RemoteSetting {
    return this.#setting;
  }

  get spec(): RemoteSpec {
    return this.#setting.spec;
  }

  get healthy(): boolean {
    return this.#checker?.healthy ?? true;
  }

  /** Another specification of the same id; connections live on. */
  change(setting: RemoteSetting): void {
    this.#setting = setting;
    this.#ports = setting.spec.ports;
    this.visits.limits = setting.spec.options;
    this.#checker?.close();
    this.#checker = null;
    this.#startCheck();
  }

  answered(outcome: ResultOutcome | null): void {
    if (outcome === null) {
      this.answer = { kind: "waiting" };
    } else if (outcome.kind === "open") {
      this.answer = outcome;
      this.#ports = outcome.endpoints.map(({ protocol, port, lastPort, internalPort }) => ({
        protocol,
        first: port,
        last: lastPort,
        internalFirst: internalPort,
      }));
    } else if (outcome.kind === "refused") {
      this.answer = outcome;
    }
  }

  onStream(request: OpenRequest & { kind: "forward" }, stream: ByteEnd): void {
    const visit = visitOf(request);
    join(stream, this.#exit.connect(visit), visit, this.visits);
  }

  onFlow(request: OpenRequest & { kind: "forward" }, flow: FlowEnd): void {
    const visit = visitOf(request);
    joinFlows(flow, this.#exit.openFlow(visit), visit, this.visits);
  }

  close(): void {
    this.#checker?.close();
    this.visits.cutAll("shutdown");
    this.#options.dials.sweeper.remove(this.visits);
  }

  #startCheck(): void {
    const { spec, to } = this.#setting;
    const tcp = spec.ports.find(({ protocol }) => protocol === "tcp");
    if (spec.options.healthCheck === null || tcp === undefined || !spec.enabled) return;
    this.#checker = new HealthChecker({
      check: spec.options.healthCheck,
      service: { host: to, port: tcp.internalFirst },
      dials: this.#options.dials,
      resolver: this.#options.resolver,
      random: this.#options.random,
      onChange: (healthy) => this.#options.onHealth(this, healthy),
    });
  }
}

function visitOf({ visitor, entry, externalPort }: OpenRequest & { kind: "forward" }): Visit {
  return { visitor, entry, externalPort };
}
