import type { Endpoint } from "../../wire/endpoint.ts";
import {
  STUN_TIMING,
  StunExchange,
  type StunIgnored,
  type StunOutcome,
  type StunSend,
  type StunSocketName,
  type StunTiming,
} from "./exchange.ts";
import { type OtherPlace, otherPlaceOf } from "./other-place.ts";
import { type ChangeWish, NO_CHANGE } from "./request.ts";
import { judgeFiltering, judgeMapping, type NatTest, type NatVerdict } from "./verdict.ts";

/** One test that was made. */
export interface NatEvidence {
  readonly test: NatTest;
  readonly to: Endpoint;
  readonly outcome: StunOutcome;
}

/** What a STUN server shows of the way to it. */
export interface NatBehaviour {
  readonly server: Endpoint;
  /** The first socket's own address and port; null = not known. */
  readonly local: Endpoint | null;
  /** By which the server sees it; null = no answer. */
  readonly mapped: Endpoint | null;
  readonly mapping: NatVerdict;
  /** One sentence when `mapping` is unknown, else null. */
  readonly mappingWhy: string | null;
  readonly filtering: NatVerdict;
  readonly filteringWhy: string | null;
  /** In the order in which they ended. */
  readonly evidence: readonly NatEvidence[];
  readonly ignored: StunIgnored;
}

export type DiscoveryAction =
  | ({ readonly kind: "send" } & StunSend)
  /** Nothing comes after it. */
  | { readonly kind: "done"; readonly behaviour: NatBehaviour };

export interface DiscoveryOptions {
  /** The address and port to ask. */
  readonly server: Endpoint;
  /** The first socket's own; null = not known. */
  readonly local: Endpoint | null;
  /** mapped: ends with the first answer, and uses one socket. behaviour: all tests that this server makes possible. */
  readonly goal: "mapped" | "behaviour";
  /** 24 hexadecimal digits that nobody can guess. */
  newTransactionId(): string;
  readonly timing?: StunTiming;
}

type Phase = "primary" | "filtering" | "mapping" | "done";

const UNASKED: OtherPlace = { address: null, port: null, whyNoAddress: "it was not asked for" };

/**
 * RFC 5780 §4.3 and 4.4 as one run. Filtering comes first, while nothing has been sent to the server's other places yet;
 * plain questions put to these afterwards tell the mapping, and whether silence before meant anything. They come from
 * another socket: Linux counts what it kept out as a connection of the port's, and gives whoever sends to that place from
 * the same port another one, which would look like a mapping that depends on where it leads.
 *
 * At most 9 s with STUN_TIMING, 3 s when the server is silent. Time is a monotonic clock in milliseconds.
 */
export class NatDiscovery {
  readonly #options: DiscoveryOptions;
  readonly #exchange: StunExchange<NatTest>;
  readonly #asked = new Map<NatTest, Endpoint>();
  readonly #outcomes = new Map<NatTest, StunOutcome>();
  #other: OtherPlace = UNASKED;
  #phase: Phase = "primary";

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#exchange = new StunExchange(options.timing ?? STUN_TIMING, options.newTransactionId);
  }

  /** Once, before anything else. */
  start(nowMs: number): DiscoveryAction[] {
    this.#ask("primary", "first", this.#options.server, NO_CHANGE, nowMs);
    return this.onTime(nowMs);
  }

  /** `from`: canonical text. `socket`: that it came to. */
  onDatagram(bytes: Uint8Array, from: Endpoint, socket: StunSocketName, nowMs: number): DiscoveryAction[] {
    if (this.#phase === "done") return [];
    const answer = this.#exchange.onDatagram(bytes, from, socket, nowMs);
    if (answer === null) return [];
    this.#outcomes.set(answer.key, answer.outcome);
    // From another address and port nothing less can be filtered: the other test would tell nothing more.
    if (answer.key === "filter-both" && answer.outcome.kind === "success") this.#exchange.cancel("filter-port");
    return this.onTime(nowMs);
  }

  /** At `nextDeadlineMs()`, or later. */
  onTime(nowMs: number): DiscoveryAction[] {
    const actions: DiscoveryAction[] = [];
    if (this.#phase === "done") return actions;
    do {
      const { sends, silent } = this.#exchange.due(nowMs);
      for (const send of sends) actions.push({ kind: "send", ...send });
      for (const test of silent) this.#outcomes.set(test, { kind: "silence" });
      if (this.#exchange.size > 0) return actions;
      this.#phase = this.#nextPhase(nowMs);
    } while (this.#phase !== "done");
    actions.push({ kind: "done", behaviour: this.#behaviour() });
    return actions;
  }

  nextDeadlineMs(): number | null {
    return this.#exchange.nextDeadlineMs();
  }

  /** All questions of the present phase are answered, or will not be. */
  #nextPhase(nowMs: number): Phase {
    switch (this.#phase) {
      case "primary": {
        const primary = this.#outcomes.get("primary");
        if (primary?.kind !== "success" || this.#options.goal === "mapped") return "done";
        this.#other = otherPlaceOf(this.#options.server, primary);
        this.#askFiltering(nowMs);
        return "filtering";
      }
      case "filtering":
        this.#askMapping(nowMs);
        return "mapping";
      case "mapping":
      case "done":
        return "done";
      default:
        return this.#phase satisfies never;
    }
  }

  #askFiltering(nowMs: number): void {
    const { server } = this.#options;
    const { address, port } = this.#other;
    if (port === null) return;
    const both = { address: true, port: true };
    if (address !== null) this.#ask("filter-both", "first", server, both, nowMs, { address, port });
    const elsewhere = { address: server.address, port: null };
    this.#ask("filter-port", "first", server, { address: false, port: true }, nowMs, elsewhere);
  }

  #askMapping(nowMs: number): void {
    const { server, local } = this.#options;
    const { address, port } = this.#other;
    const { verdict } = judgeFiltering(this.#outcomes, { server, local, other: this.#other });
    // Without a NAT and a filter there is nothing left to tell; without another place nothing can be.
    if (verdict === "none" || (address === null && port === null)) return;
    const ask = (test: NatTest, to: Endpoint) => this.#ask(test, "second", to, NO_CHANGE, nowMs);
    ask("map-primary", server);
    if (address !== null) ask("map-address", { address, port: server.port });
    if (address !== null && port !== null) ask("map-both", { address, port });
    if (port !== null) ask("map-port", { address: server.address, port });
  }

  /** The place that is asked may always answer: with an error, or because it does not do what is asked of it. */
  #ask(
    test: NatTest,
    socket: StunSocketName,
    to: Endpoint,
    change: ChangeWish,
    nowMs: number,
    elsewhere?: { readonly address: string; readonly port: number | null },
  ): void {
    this.#asked.set(test, to);
    const answersFrom = elsewhere === undefined ? [to] : [to, elsewhere];
    this.#exchange.ask({ key: test, socket, to, change, answersFrom }, nowMs);
  }

  #behaviour(): NatBehaviour {
    const { server, local } = this.#options;
    const setting = { server, local, other: this.#other };
    const primary = this.#outcomes.get("primary");
    const mapping = judgeMapping(this.#outcomes, setting);
    const filtering = judgeFiltering(this.#outcomes, setting);
    return {
      server,
      local,
      mapped: primary?.kind === "success" ? primary.mapped : null,
      mapping: mapping.verdict,
      mappingWhy: mapping.why,
      filtering: filtering.verdict,
      filteringWhy: filtering.why,
      evidence: [...this.#outcomes].map(([test, outcome]) => ({
        test,
        to: this.#asked.get(test) ?? server,
        outcome,
      })),
      ignored: this.#exchange.ignored,
    };
  }
}
