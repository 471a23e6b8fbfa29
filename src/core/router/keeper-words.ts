import type { HeldGrant } from "./keeper-model.ts";
import type { RouterFailure } from "./model.ts";
import { type PortWish, wishText } from "./wish.ts";

export const FORGOT: RouterFailure = { kind: "silent", code: null, message: "The router lost its mappings." };

export const ELSEWHERE: RouterFailure = {
  kind: "silent",
  code: null,
  message: "This machine's network is another now.",
};

export const TAKEN_OVER: RouterFailure = {
  kind: "conflict",
  code: null,
  message: "The router lost this mapping, and gave its port to another one of this machine.",
};

export const NO_TIME: RouterFailure = {
  kind: "garbled",
  code: null,
  message: "The router opened the port for no time at all.",
};

/** Only one port would do, and the router opened another one. */
export function otherPortGranted({ externalPort, protocol }: PortWish, granted: number): RouterFailure {
  const message = `The router gives port ${granted}/${protocol} instead of ${externalPort}: choose another port, or free that one in the router's settings.`;
  return { kind: "conflict", code: null, message };
}

/** `met`: what the last renewal met. */
export function leaseEnded(wish: PortWish, met: RouterFailure | null): RouterFailure {
  const because = met?.message ?? "The router did not renew it in time.";
  const message = `The lease of port ${wishText(wish)} ended. ${because}`;
  return { kind: met?.kind ?? "silent", code: met?.code ?? null, message };
}

/** It could not be taken away. `held`: what is there; null = an answer was awaited, and `port` may be open. */
export function mayStayOpen(wish: PortWish, held: HeldGrant | null, port: number): string {
  const until = held?.grant.lifetimeSec === null ? "until it is removed there by hand" : "until its lease ends";
  const what = `${held?.grant.externalPort ?? port}/${wish.protocol}`;
  return `The router did not say that it closed port ${what}; it may stay open ${until}.`;
}
