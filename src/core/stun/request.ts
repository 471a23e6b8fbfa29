import { encodeStun, type StunMessage } from "../../wire/stun/message.ts";

/** Which of the server's addresses and ports the answer shall come from (RFC 5780 §7.2). */
export interface ChangeWish {
  readonly address: boolean;
  readonly port: boolean;
}
export const NO_CHANGE: ChangeWish = { address: false, port: false };

/** Room for the longest answer: a header and four IPv6 addresses. A server that sends no more than it got sends it all. */
export const REQUEST_BYTES = 20 + 4 * 24;
/**
 * Fills the request. SOFTWARE, because every server ignores what it says; PADDING makes servers of RFC 8489 alone refuse,
 * and those of RFC 5780 answer with as much.
 */
const FILLER = "hatchway, with room for the answer ".padEnd(REQUEST_BYTES, ".");

/** A Binding request of REQUEST_BYTES. `transactionId`: 24 hexadecimal digits by chance. */
export function bindingRequest(transactionId: string, change: ChangeWish): Uint8Array {
  const wish = { kind: "change-request", ...change } as const;
  const attributes = change.address || change.port ? [wish] : [];
  const bare: StunMessage = {
    kind: "request",
    transactionId,
    attributes: [...attributes, { kind: "software", text: "" }],
    fingerprint: false,
  };
  const text = FILLER.slice(0, REQUEST_BYTES - encodeStun(bare).length);
  return encodeStun({ ...bare, attributes: [...attributes, { kind: "software", text }] });
}
