import type Protocol from "ssh2/lib/protocol/Protocol.js";
import { Fields } from "../../wire/ssh/fields.ts";
import { FIRST_KEX } from "./algorithms.ts";

/** RFC 4250 §4.1.2 */
const Message = {
  serviceAccept: 6,
  kexInit: 20,
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

/** RFC 4253 §7.1: the type, and a cookie. */
const KEX_INIT_LISTS_AT = 17;
const KEX_INIT_LISTS = 10;

/**
 * RFC 4253 §7: a client may send its part of a key exchange together with the algorithms that it would like, as dropbear does;
 * that part counts when both sides like the same ones best. ssh2 1.17.0 drops it each time (it compares with the first letter
 * of its own choice), and then both sides wait for ever. To be called for each decipher that a key exchange may begin in.
 */
export function heedGuesses(peer: Protocol, decipher: Pick<Protocol, "_onPayload">, hostKeyType: string): void {
  const read = decipher._onPayload;
  decipher._onPayload = (payload) => {
    const result = read(payload);
    if (payload[0] === Message.kexInit) peer._skipNextInboundPacket = isGuessWrong(payload, hostKeyType);
    return result;
  };
}

function isGuessWrong(kexInit: Uint8Array, hostKeyType: string): boolean {
  const fields = new Fields(kexInit.subarray(KEX_INIT_LISTS_AT));
  const [kex, hostKey] = Array.from({ length: KEX_INIT_LISTS }, () => fields.text());
  const firstPacketFollows = kexInit[KEX_INIT_LISTS_AT + fields.at] === 1;
  return firstPacketFollows && !(kex?.split(",")[0] === FIRST_KEX && hostKey?.split(",")[0] === hostKeyType);
}
