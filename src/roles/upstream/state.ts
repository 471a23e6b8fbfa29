import { compactEndpoints } from "../../core/router/endpoints.ts";
import type { KeptPort } from "../../core/router/keeper-model.ts";
import type { RouterFailure, RouterFailureKind } from "../../core/router/model.ts";
import { classifyAddress } from "../../wire/address.ts";
import type { Endpoint, RefusalKind, RouterName } from "../control.ts";
import type { UpstreamNote, UpstreamState } from "./forward.ts";

/** Where visitors come to when the router does not tell its address: it forwards all the same. */
export const UNTOLD_HOST = "router";

export interface StateFacts {
  /** Of one forward. */
  readonly kept: readonly KeptPort[];
  /** The router that a protocol was found at. */
  readonly routerOf: (via: RouterName["protocol"], family: 4 | 6) => RouterName | null;
  /** It was open before: a family that is being asked for holds nothing up any more. */
  readonly wasOpen: boolean;
  /** From the keeper's clock to the clock of day. */
  readonly wallOf: (ms: number) => number;
}

/**
 * What became of a forward's mappings. IPv4 decides where it is wanted: routers that open IPv6 pinholes are few, and
 * their absence is no news. A family is open when each of its ports is.
 */
export function stateOf(facts: StateFacts): UpstreamState {
  const v4 = facts.kept.filter(({ wish }) => wish.family === 4);
  const v6 = facts.kept.filter(({ wish }) => wish.family === 6);
  const [first, second] = [v4, v6].filter((kept) => kept.length > 0).map(familyState);
  if (first === undefined) return { kind: "asking" };
  if (!facts.wasOpen && (first === "asking" || second === "asking")) return { kind: "asking" };
  if (first === "open") return open(facts, second === "open" ? facts.kept : v4.length > 0 ? v4 : v6);
  if (second === undefined) return failed(first);
  if (second === "open") return { ...open(facts, v6), note: ipv6Alone(first) };
  return second === "asking" ? { kind: "asking" } : failed(first);
}

type FamilyState = "open" | "asking" | { readonly failure: RouterFailure; readonly wasOpen: boolean };

function familyState(kept: readonly KeptPort[]): FamilyState {
  let state: FamilyState = "open";
  for (const { state: port } of kept) {
    switch (port.kind) {
      case "held":
        break;
      case "retrying":
      case "lost":
      case "refused":
        return { failure: port.why, wasOpen: port.kind === "lost" };
      case "asking":
      case "leaving":
      case "gone":
        state = "asking";
        break;
      default:
        port satisfies never;
    }
  }
  return state;
}

function open({ routerOf, wallOf }: StateFacts, kept: readonly KeptPort[]): UpstreamState & { kind: "open" } {
  const endpoints = compactEndpoints(kept).map((range): Endpoint => {
    const held = kept.find(({ wish }) => wish.family === range.family && wish.host === range.host)?.state;
    const inside = held?.kind === "held" ? held.mapping.internalAddress : null;
    return {
      protocol: range.protocol,
      host: range.address ?? UNTOLD_HOST,
      port: range.first,
      lastPort: range.last,
      internalHost: range.host ?? inside,
      internalPort: range.internalFirst,
    };
  });
  const ends = kept.flatMap(({ state }) =>
    state.kind === "held" && state.mapping.endsMs !== null ? [state.mapping.endsMs] : [],
  );
  const [first] = kept;
  const via = first?.state.kind === "held" ? first.state.mapping.via : "pcp";
  const router = routerOf(via, first?.wish.family ?? 4) ?? { protocol: via, address: "unknown", model: null };
  return {
    kind: "open",
    endpoints,
    router,
    leaseEndsMs: ends.length === 0 ? null : wallOf(Math.min(...ends)),
    note: noteOn(kept),
  };
}

function noteOn(kept: readonly KeptPort[]): UpstreamNote | null {
  for (const { wish, state } of kept) {
    if (wish.family === 6 || state.kind !== "held") continue;
    const { externalAddress } = state.mapping;
    if (externalAddress === null) {
      const advice = "`hatchway router --stun HOST` finds it.";
      return { kind: "address-untold", message: "The router does not tell its address outside.", advice };
    }
    if (classifyAddress(externalAddress) !== "public") {
      const message = `The router's address outside, ${externalAddress}, is not one of the internet: nobody there reaches it.`;
      const advice = "`hatchway router` says why, and `hatchway expose` works all the same.";
      return { kind: "not-public", message, advice };
    }
  }
  const moved = kept.find(
    ({ wish, state }) =>
      state.kind === "held" && wish.externalPort !== 0 && state.mapping.externalPort !== wish.externalPort,
  );
  if (moved === undefined || moved.state.kind !== "held") return null;
  const wanted = `${moved.wish.externalPort}/${moved.wish.protocol}`;
  return {
    kind: "other-port",
    message: `Port ${wanted} is taken at the router, so it is ${moved.state.mapping.externalPort} outside.`,
    advice: "With --same-port it would be that one or none.",
  };
}

function ipv6Alone(v4: FamilyState): UpstreamNote {
  const message =
    typeof v4 === "string"
      ? "IPv6 visitors alone can come in so far."
      : `IPv6 visitors alone can come in: ${v4.failure.message}`;
  return { kind: "ipv6-only", message, advice: null };
}

const REFUSED_AS: Readonly<Record<RouterFailureKind, RefusalKind>> = {
  silent: "unreachable",
  closed: "unreachable",
  unsupported: "failed",
  conflict: "conflict",
  refused: "policy",
  exhausted: "failed",
  "no-uplink": "unreachable",
  garbled: "failed",
};

function failed(state: FamilyState): UpstreamState {
  if (typeof state === "string") return { kind: "asking" };
  const { failure, wasOpen } = state;
  if (wasOpen) return { kind: "lost", failure: failure.kind, message: failure.message };
  return { kind: "refused", why: REFUSED_AS[failure.kind], failure: failure.kind, message: failure.message };
}
