import type Protocol from "ssh2/lib/protocol/Protocol.js";

/** RFC 4250 §4.1.2 */
const Message = {
  serviceAccept: 6,
  userAuthRequest: 50,
  userAuthFailure: 51,
  /** Up to 79: what servers say of a proof, and what single methods need beside the request; `publickey` needs nothing. */
  lastOfUserAuth: 79,
} as const;

export interface InboundOptions {
  isClosed(): boolean;
  isAuthenticated(): boolean;
  violated(why: string): void;
}

/**
 * Keeps messages from ssh2 that no client has to send. Its readers are for both sides, and are trusting: an answer to prompts
 * that nobody asked makes it allocate as many places as a stranger writes (800 MB and two seconds for 21 bytes), and each
 * request to log in adds to a list that is emptied by answers only.
 */
export function guardInbound(peer: Protocol, { isClosed, isAuthenticated, violated }: InboundOptions): void {
  const read = peer._onPayload;
  peer._onPayload = (payload) => {
    if (isClosed()) return;
    const type = payload[0] ?? 0;
    // RFC 4252 §5.1: after success they are to be ignored.
    if (type === Message.userAuthRequest && isAuthenticated()) return;
    if (type === Message.serviceAccept || (type >= Message.userAuthFailure && type <= Message.lastOfUserAuth)) {
      violated("it says what only a server says");
      return;
    }
    return read(payload);
  };
}
