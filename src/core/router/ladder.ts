import { setYoungest, trimOldest } from "../bounded-map.ts";
import { ROUTER_PROTOCOLS, type RouterFailure, type RouterFailureKind, type RouterProtocol } from "./model.ts";
import type { PortWish } from "./wish.ts";

/** What is known of a rung: whether the router speaks the protocol. */
export type Rung = "unknown" | "answers" | RouterFailure;
export type Rungs = Readonly<Record<RouterProtocol, Rung>>;

/** How protocols are called in sentences. */
export const PROTOCOL_NAMES: Readonly<Record<RouterProtocol, string>> = {
  pcp: "PCP",
  "nat-pmp": "NAT-PMP",
  igd2: "UPnP (IGD 2)",
  igd1: "UPnP (IGD 1)",
};

/** Of a protocol that is not to be spoken: nothing was asked, and nothing is known of the router. */
export const NOT_ALLOWED: RouterFailure = { kind: "unsupported", code: null, message: "It is not to be spoken here." };

export interface Climb {
  readonly wish: Pick<PortWish, "family" | "host">;
  /** Null = any. */
  readonly only: RouterProtocol | null;
  /** What opened such a port at this router last: it is tried first. */
  readonly preferred: RouterProtocol | null;
  readonly rungs: Rungs;
  /** What this wish met on its way up, by rung. */
  readonly met: ReadonlyMap<RouterProtocol, RouterFailure>;
  /** The router's address, for the sentence. */
  readonly router: string;
}

export type Step =
  /** Find out whether the router speaks it, and call again. */
  | { readonly kind: "probe"; readonly protocol: RouterProtocol }
  /** Ask for the port; on a failure put it into `met` and call again. */
  | { readonly kind: "ask"; readonly protocol: RouterProtocol }
  | { readonly kind: "give-up"; readonly failure: RouterFailure };

/**
 * Whether another protocol of the same router may do what this one did not. A port that is taken, a full table and a
 * line that is down are the same by every protocol. Who may ask is not: routers switch NAT-PMP off and leave UPnP on,
 * and few let a host ask for another one by PCP (THIRD_PARTY, RFC 6887 §13.1).
 */
export function anotherMayDo(kind: RouterFailureKind): boolean {
  switch (kind) {
    case "silent":
    case "closed":
    case "unsupported":
    case "refused":
    case "garbled":
      return true;
    case "conflict":
    case "exhausted":
    case "no-uplink":
      return false;
    default:
      return kind satisfies never;
  }
}

/** NAT-PMP knows IPv4, and no host but the asking one (RFC 6886 §3.3). Of the others the router itself tells. */
export function canServe(protocol: RouterProtocol, { family, host }: Climb["wish"]): boolean {
  return protocol !== "nat-pmp" || (family === 4 && host === null);
}

/** What to do next for a wish: the first rung, from the preferred one down, that has not failed it. */
export function nextStep(climb: Climb): Step {
  const { wish, only, preferred, rungs, met } = climb;
  for (const failure of met.values()) if (!anotherMayDo(failure.kind)) return { kind: "give-up", failure };
  for (const protocol of inOrder(only, preferred)) {
    const rung = rungs[protocol];
    if (!canServe(protocol, wish) || met.has(protocol)) continue;
    if (rung === "unknown") return { kind: "probe", protocol };
    if (rung === "answers") return { kind: "ask", protocol };
  }
  return { kind: "give-up", failure: summary(climb) };
}

function inOrder(only: RouterProtocol | null, preferred: RouterProtocol | null): readonly RouterProtocol[] {
  if (only !== null) return [only];
  if (preferred === null) return ROUTER_PROTOCOLS;
  return [preferred, ...ROUTER_PROTOCOLS.filter((protocol) => protocol !== preferred)];
}

/** The most telling first: a router that says no has more to say than one that says nothing. */
const TELLING: readonly RouterFailureKind[] = ["refused", "no-uplink", "unsupported", "garbled"];

function summary({ wish, only, rungs, met, router }: Climb): RouterFailure {
  if (only !== null && !canServe(only, wish))
    return { kind: "unsupported", code: null, message: cannotServe(only, wish) };
  const asked = [...met.values()];
  const probed = ROUTER_PROTOCOLS.flatMap((protocol) => {
    const rung = rungs[protocol];
    return typeof rung === "string" || !canServe(protocol, wish) || (only ?? protocol) !== protocol ? [] : [rung];
  });
  for (const failures of [asked, probed]) {
    for (const kind of TELLING) {
      const telling = failures.find((failure) => failure.kind === kind);
      // That one device lacks UPnP 2 and another PCP is no news while something else is silent.
      if (telling !== undefined && (kind !== "unsupported" || failures === asked)) return telling;
    }
  }
  const spoken = ROUTER_PROTOCOLS.filter(
    (protocol) => (only ?? protocol) === protocol && rungs[protocol] !== NOT_ALLOWED,
  );
  return { kind: "silent", code: null, message: silence(router, spoken) };
}

function cannotServe(only: RouterProtocol, wish: Climb["wish"]): string {
  const what = wish.family === 6 ? "IPv6 ports" : "ports of another host";
  return `${PROTOCOL_NAMES[only]} cannot open ${what}: let another protocol be used.`;
}

function silence(router: string, spoken: readonly RouterProtocol[]): string {
  if (spoken.length < ROUTER_PROTOCOLS.length) {
    const isAnyIgd = spoken.includes("igd2") && spoken.includes("igd1");
    const names = spoken.map((protocol) =>
      isAnyIgd && protocol.startsWith("igd") ? "UPnP" : PROTOCOL_NAMES[protocol],
    );
    return `The router at ${router} does not answer ${[...new Set(names)].join(" or ")}: turn it on in the router's settings, or let another protocol be used.`;
  }
  return `The router at ${router} answers neither PCP nor NAT-PMP nor UPnP: turn one on in its settings, forward the port there by hand, or use a relay (hatchway expose --via relay).`;
}

/** Laptops come back to the networks that they know; each is four small entries. */
const MAX_ROUTERS = 64;

/** Which rung opened what at which router, so that the next wish begins there. */
export class LadderMemory {
  readonly #worked = new Map<string, RouterProtocol>();

  /** `router`: whatever tells one router from another. */
  worked(router: string, wish: Climb["wish"], protocol: RouterProtocol): void {
    setYoungest(this.#worked, memoryKey(router, wish), protocol);
    trimOldest(this.#worked, MAX_ROUTERS * 4);
  }

  preferred(router: string, wish: Climb["wish"]): RouterProtocol | null {
    return this.#worked.get(memoryKey(router, wish)) ?? null;
  }
}

/** What one protocol does for this machine it need not do for another host, nor for IPv6. */
function memoryKey(router: string, { family, host }: Climb["wish"]): string {
  return `${router} ${family} ${host === null ? "own" : "other"}`;
}
