import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { MappingRefusal } from "./refusal.ts";

/** A NAT-PMP or PCP request with lifetime 0. The external side it names counts for nothing. */
export interface DeleteRequest {
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

/**
 * Which of a client's mappings go (RFC 6886 §3.4, RFC 6887 §15.1). None is a success: a delete whose answer was lost
 * comes again. One that names a mapping it may not delete is refused; one for every port takes what it may and leaves
 * the rest. `strictNonce`: see MappingPolicy.
 */
export function decideDelete<M extends DeletableMapping>(
  request: DeleteRequest,
  mappings: readonly M[],
  strictNonce: boolean,
): Result<readonly M[], MappingRefusal> {
  const { protocol, internalPort, nonce } = request;
  if (protocol === null && internalPort !== 0) {
    return err({ kind: "malformed", message: `A delete names port ${internalPort} of no protocol.` });
  }
  const foreign = (one: M) => strictNonce && nonce !== null && one.nonce !== null && one.nonce !== nonce;
  const named = mappings.filter(
    (one) =>
      (protocol === null || one.protocol === protocol) && (internalPort === 0 || one.internalPort === internalPort),
  );
  const deletable = named.filter((one) => !one.fixed && !foreign(one));
  if (internalPort === 0 || deletable.length > 0 || named.length === 0) return ok(deletable);
  const name = `${internalPort}/${protocol}`;
  return named.some((one) => one.fixed)
    ? err({ kind: "fixedMapping", message: `A delete names port ${name}, whose mapping the operator made.` })
    : err({ kind: "otherNonce", message: `A delete names port ${name} without its nonce.` });
}
