import { PROTOCOL_NAMES } from "../../core/router/ladder.ts";
import { routerName, spokenWords } from "../../core/router/report-words.ts";
import { verdictSentence } from "../../core/router/verdict-titles.ts";
import type { After } from "../../os/timers.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { RouterReport } from "../../servers/api/schema.ts";
import type { RouterReport as Inspected, InspectRouter } from "../control.ts";

export const ASK_ROUTER_MS = 20_000;
/** It mostly takes 3 s. */
const RETRY_SEC = 5;

/** What this machine's router says. Rejects with ApiFailure `limited` while another question is under way. */
export type AskRouter = (signal: AbortSignal) => Promise<RouterReport>;

export interface RouterAskerOptions {
  readonly inspect: InspectRouter;
  readonly after: After;
  readonly wallMs: () => number;
}

/**
 * Routers take badly to being asked by several at once (some answer nobody for a while), so one question goes at a time.
 * Nobody outside is asked: the server would have to know a STUN server that is not itself.
 */
export function routerAsker({ inspect, after, wallMs }: RouterAskerOptions): AskRouter {
  let isAsking = false;
  return async (signal) => {
    if (isAsking) {
      const message = "Somebody asks the router already: try again in a few seconds.";
      throw new ApiFailure("limited", message, { retryAfterSec: RETRY_SEC });
    }
    isAsking = true;
    const late = new AbortController();
    const cancel = after(ASK_ROUTER_MS, () => late.abort());
    const ended = AbortSignal.any([signal, late.signal]);
    try {
      const found = await inspect({ stunServer: null, router: null, signal: ended });
      // Whatever was silent until then is no verdict.
      if (ended.aborted) throw unanswered();
      return shownRouter(found, wallMs());
    } catch (error) {
      throw ended.aborted ? unanswered() : error;
    } finally {
      cancel();
      isAsking = false;
    }
  };
}

function unanswered(): ApiFailure {
  return new ApiFailure(
    "unavailable",
    `The router was not through with its answers in ${ASK_ROUTER_MS / 1_000} s: try again, or run "hatchway router" on the server.`,
  );
}

function shownRouter(found: Inspected, atMs: number): RouterReport {
  const { routers, identity, protocols, externalAddress, uptimeSec, verdict } = found;
  const { kind, sure, evidence, advice } = verdict;
  return {
    atMs,
    routers: routers.map(({ family, address, interfaceName, ownAddress }) => ({
      family,
      address,
      interfaceName,
      ownAddress,
    })),
    name: routerName(identity),
    page: identity?.page ?? null,
    protocols: protocols.map(({ protocol, router, failure }) => ({
      name: PROTOCOL_NAMES[protocol],
      router,
      failure: failure?.message ?? null,
    })),
    speaks: spokenWords(protocols),
    externalAddress,
    uptimeSec,
    verdict: { kind, sure, sentence: verdictSentence(verdict), evidence, advice },
  };
}
