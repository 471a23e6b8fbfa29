import { ProxyGate, type ProxyRefusal } from "../../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";

/** A balancer that is set up wrong is refused at each connection; one line a minute and kind tells it. */
const TELL_EVERY_MS = 60_000;

export interface ProxyRefusalsOptions {
  /** Monotonic. */
  nowMs(): number;
  /** The list that it is about, as the config calls it. */
  readonly list: string;
  warn(message: string): void;
}

interface Told {
  untilMs: number;
  /** Refused since the last line. */
  silent: number;
}

/** Tells, now and then, whose PROXY protocol header was refused or missing, and what to do. */
export class ProxyRefusals {
  readonly #options: ProxyRefusalsOptions;
  readonly #told = new Map<ProxyRefusal, Told>();

  constructor(options: ProxyRefusalsOptions) {
    this.#options = options;
  }

  add(refusal: ProxyRefusal, address: string): void {
    const { nowMs, list, warn } = this.#options;
    const now = nowMs();
    const told = this.#told.get(refusal);
    if (told !== undefined && now < told.untilMs) {
      told.silent += 1;
      return;
    }
    const more = told?.silent ?? 0;
    this.#told.set(refusal, { untilMs: now + TELL_EVERY_MS, silent: 0 });
    warn(
      `${sentence(refusal, address, list)}${more === 0 ? "" : ` ${more} more were refused since this was last told.`}`,
    );
  }
}

function sentence(refusal: ProxyRefusal, address: string, list: string): string {
  switch (refusal) {
    case "missing":
      return `A visitor by ${address} was refused: it is in ${list} and sent no PROXY protocol header. Turn it on there (HAProxy: send-proxy-v2, nginx: proxy_protocol on), or take ${address} out of the list.`;
    case "wrong":
      return `A visitor by ${address} was refused: the PROXY protocol header that it sent is wrong. Set it to send version 1 or 2 for TCP, and version 2 for UDP.`;
    case "unlisted":
      return `A visitor from ${address} was refused: it sent a PROXY protocol header. If ${address} is a load balancer of yours, add it to ${list}.`;
    default:
      return refusal satisfies never;
  }
}

/** A gate that believes nobody yet, and tells what it refuses. `list`: see ProxyRefusalsOptions. */
export function openProxyGate(
  sweeper: Sweeper,
  warn: (message: string) => void,
  list = "[relay] proxy-protocol-from",
): ProxyGate {
  const nowMs = () => sweeper.nowMs();
  const refusals = new ProxyRefusals({ nowMs, list, warn });
  const gate = new ProxyGate({ nowMs, onRefused: (refusal, address) => refusals.add(refusal, address) });
  sweeper.add(gate);
  return gate;
}
