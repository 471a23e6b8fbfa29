import type { Protocol } from "../../wire/port-set.ts";
import type { MappingRefusal } from "./refusal.ts";

/** A NAT-PMP or PCP request with lifetime 0. The external side it names counts for nothing. */
export interface DeleteRequest {
  readonly via: "natPmp" | "pcp";
  /** Null = both (PCP's protocol 0). */
  readonly protocol: Protocol | null;
  /** 0 = every port of the protocol. */
  readonly internalPort: number;
  /** Null = the protocol has none (NAT-PMP). */
  readonly nonce: string | null;
}

/** A mapping to the internal address that the delete is for. */
export interface DeletableMapping {
  readonly protocol: Protocol;
  readonly internalPort: number;
  /** Made by the operator, not by a mapping protocol. */
  readonly fixed: boolean;
  /** Null unless it was made by PCP. */
  readonly nonce: string | null;
}

export interface DeleteDecision<M> {
  readonly remove: readonly M[];
  /** What to answer; null = success. There may be something to remove all the same. */
  readonly refusal: MappingRefusal | null;
}

/**
 * Which of a client's mappings go (RFC 6886 §3.4, RFC 6887 §15.1). None is a success: a delete whose answer was lost
 * comes again. One that names a mapping it may not delete is refused. One for every port takes what it may; NAT-PMP
 * then still answers with an error when something is left, PCP does not. `strictNonce`: see MappingPolicy.
 */
export function decideDelete<M extends DeletableMapping>(
  request: DeleteRequest,
  mappings: readonly M[],
  strictNonce: boolean,
): DeleteDecision<M> {
  const { via, protocol, internalPort, nonce } = request;
  const everyPort = internalPort === 0;
  if (protocol === null && !everyPort) {
    const message = `A delete names port ${internalPort} of no protocol.`;
    return { remove: [], refusal: { kind: "malformed", message } };
  }
  const named = mappings.filter(
    (one) => (protocol === null || one.protocol === protocol) && (everyPort || one.internalPort === internalPort),
  );
  const isForeign = (one: M) => strictNonce && nonce !== null && one.nonce !== null && one.nonce !== nonce;
  const remove = named.filter((one) => !one.fixed && !isForeign(one));
  const silent = everyPort ? via === "pcp" : remove.length > 0;
  return { remove, refusal: silent ? null : refusalOf(named.filter((one) => !remove.includes(one))) };
}

function refusalOf(kept: readonly DeletableMapping[]): MappingRefusal | null {
  const first = kept.find((one) => one.fixed) ?? kept[0];
  if (first === undefined) return null;
  const name = `${first.internalPort}/${first.protocol}`;
  return first.fixed
    ? { kind: "fixedMapping", message: `A delete names port ${name}, whose mapping the operator made.` }
    : { kind: "otherNonce", message: `A delete names port ${name} without its nonce.` };
}
