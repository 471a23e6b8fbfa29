import type { NatVerdict } from "../stun/verdict.ts";
import { PROTOCOL_NAMES } from "./ladder.ts";
import type { RouterIdentity, RouterProtocol } from "./model.ts";

/** Of what a router answered in one protocol: null = it speaks it. */
interface Spoken {
  readonly protocol: RouterProtocol;
  readonly failure: object | null;
}

/** Maker and model, or what it calls itself; null = it says neither. */
export function routerName(identity: RouterIdentity | null): string | null {
  if (identity === null) return null;
  const parts = [identity.manufacturer, identity.model ?? identity.name].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(" ");
}

/** `PCP, UPnP (IGD 2); not NAT-PMP`: of what it was asked in, what opens ports. */
export function spokenWords(protocols: readonly Spoken[]): string {
  const names = (found: readonly Spoken[]) => [...new Set(found.map(({ protocol }) => PROTOCOL_NAMES[protocol]))];
  const yes = names(protocols.filter(({ failure }) => failure === null));
  const no = names(protocols.filter(({ failure }) => failure !== null)).filter((name) => !yes.includes(name));
  if (yes.length === 0) return "nothing that opens ports";
  return no.length === 0 ? yes.join(", ") : `${yes.join(", ")}; not ${no.join(", ")}`;
}

/** In the words of RFC 4787 §4.1 and 5. */
export interface NatWords {
  readonly mapping: NatVerdict;
  readonly filtering: NatVerdict;
}

/** `mapping endpoint-independent, filtering not known`. */
export function natSentence({ mapping, filtering }: NatWords): string {
  const word = (verdict: NatVerdict) => (verdict === "unknown" ? "not known" : verdict);
  return `mapping ${word(mapping)}, filtering ${word(filtering)}`;
}
