import type { RemoteSpec } from "../../core/forward.ts";
import type { Trouble } from "../../core/names/certificates.ts";
import { RisingCounts } from "../../core/rising-counts.ts";
import { same } from "../../core/same.ts";
import type { Dials } from "../../dataplanes/direct/dial.ts";
import { type Allows, directExit, mappedTarget } from "../../dataplanes/direct/exit.ts";
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
  /** What it may lead to. */
  readonly allows: Allows;
  readonly dials: Dials;
  readonly resolver: Resolver;
  /** Where visitors go instead of to `to`: into the app that this agent is a part of. Null = they are dialled out. */
  readonly exit: Exit | null;
  random(): number;
  onHealth(forward: RemoteForward, healthy: boolean): void;
}

/** One put, to know its answer by: an older answer must not hide a newer one. */
export interface Question {
  readonly setting: RemoteSetting;
}

/** A forward whose entry is on the relay and whose exit is this agent. */
export class RemoteForward {
  readonly visits: Visits;
  /** Visitors that the relay turned away; it counts from zero when its entry is opened again. */
  readonly refusedAtRelay = new RisingCounts();
  answer: RemoteAnswer = { kind: "waiting" };
  /** Why the relay lets no visitors in although it is open, as it told last; null = it does. */
  trouble: Trouble | null = null;
  /** What is wanted; the relay may not have heard of it, or have refused it. */
  setting: RemoteSetting;
  readonly #options: RemoteForwardOptions;
  readonly #exit: Exit;
  /** What visits go by: as the relay accepted it last. A change that it refuses leaves this as it was. */
  #serving: RemoteSetting;
  /** With the external ports as the relay settled them. */
  #ports: readonly PortMapping[];
  #latest: Question | null = null;
  #checker: HealthChecker | null = null;

  constructor(
    /** What OPEN calls this forward on every session. */
    readonly handle: number,
    setting: RemoteSetting,
    options: RemoteForwardOptions,
  ) {
    this.setting = setting;
    this.#serving = setting;
    this.#options = options;
    this.#ports = setting.spec.ports;
    this.visits = new Visits(setting.spec.options);
    options.dials.sweeper.add(this.visits);
    this.#exit =
      options.exit ??
      directExit({
        target: (visit, protocol) => mappedTarget(this.#serving.to, this.#ports)(visit, protocol),
        allows: options.allows,
        resolver: options.resolver,
        dials: options.dials,
        proxyProtocol: () => this.#serving.spec.options.proxyProtocol,
      });
    this.#startCheck();
  }

  get spec(): RemoteSpec {
    return this.setting.spec;
  }

  /** Whether visitors leave this process, by a connection to `to`. */
  get dialsOut(): boolean {
    return this.#options.exit === null;
  }

  get healthy(): boolean {
    return this.#checker?.healthy ?? true;
  }

  get accepts(): boolean {
    return this.#serving.spec.enabled;
  }

  /** The relay is about to be asked for the present setting. */
  asks(): Question {
    this.#latest = { setting: this.setting };
    return this.#latest;
  }

  /** Null = no answer: the link broke. */
  answered(question: Question, outcome: ResultOutcome | null): void {
    if (outcome?.kind === "open") this.#serve(question.setting, outcome.endpoints);
    if (question !== this.#latest) return;
    this.trouble = outcome?.kind === "open" ? (outcome.trouble ?? null) : null;
    if (outcome === null) this.answer = { kind: "waiting" };
    else if (outcome.kind === "open" || outcome.kind === "refused") this.answer = outcome;
  }

  /** Another setting of the same forward; connections live on. */
  #serve(setting: RemoteSetting, endpoints: readonly TunnelEndpoint[]): void {
    const before = this.#serving;
    this.#serving = setting;
    this.#ports = endpoints.map(({ protocol, port, lastPort, internalPort }) => ({
      protocol,
      first: port,
      last: lastPort,
      internalFirst: internalPort,
    }));
    this.visits.limits = setting.spec.options;
    if (same(checked(before), checked(setting))) return;
    this.#checker?.close();
    this.#checker = null;
    this.#startCheck();
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
    const { check, service } = checked(this.#serving);
    if (check === null || service === null) return;
    this.#checker = new HealthChecker({
      check,
      service,
      allows: this.#options.allows,
      dials: this.#options.dials,
      resolver: this.#options.resolver,
      random: this.#options.random,
      onChange: (healthy) => this.#options.onHealth(this, healthy),
    });
  }
}

/** What a health check is made of. */
function checked({ spec, to }: RemoteSetting) {
  const tcp = spec.ports.find(({ protocol }) => protocol === "tcp");
  const service = tcp === undefined ? null : { host: to, port: tcp.internalFirst };
  return { check: spec.enabled ? spec.options.healthCheck : null, service };
}

function visitOf({ visitor, entry, externalPort }: OpenRequest & { kind: "forward" }): Visit {
  return { visitor, entry, externalPort };
}
