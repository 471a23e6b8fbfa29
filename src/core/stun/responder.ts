import { sourceKey } from "../../wire/address.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import { AttributeType, type StunAttribute } from "../../wire/stun/attributes.ts";
import { attributeOf, decodeStun, encodeStun, type StunMessage } from "../../wire/stun/message.ts";
import { SourceRate } from "../source-rate.ts";
import { TokenBucket } from "../token-bucket.ts";
import { ByteCredit } from "./byte-credit.ts";

/** A socket of the server's, and where else it can answer from (RFC 5780 §6). */
export interface StunPlace {
  readonly self: Endpoint;
  /** Its second address, with the same two ports; null = it has one. */
  readonly otherAddress: string | null;
  /** The second port of every address; null = it has one. */
  readonly otherPort: number | null;
}

/** ignored: no request that has an answer. tooMany: over a rate. short: any answer would be longer than what came. */
export type StunSilence = "ignored" | "tooMany" | "short";

export type StunReply =
  /** `from` is `self`, or made of `otherAddress` and `otherPort`. It goes to where the request came from. */
  | { readonly kind: "answer"; readonly bytes: Uint8Array; readonly from: Endpoint }
  | { readonly kind: "silence"; readonly why: StunSilence };

/** A client that looks at its NAT sends some 20 datagrams in ten seconds; a household or a carrier's NAT has many. */
const REQUESTS_PER_SOURCE_PER_SEC = 20;
/** Sources are easily made up: what is remembered of them stays small. */
const MAX_SOURCES = 4096;
/** 124 kB/s at most, and 2 % of a processor (20 µs each, measured), whoever asks: a relay has other things to do. */
const ANSWERS_PER_SEC = 1000;

const UNKNOWN_ATTRIBUTE = 420;

/**
 * A STUN server's decisions (RFC 8489 §6.3, RFC 5780 §6), for clients that did not prove their address: it is sent no
 * more bytes than came from it (decision 0023). What does not fit is left out, the least useful first.
 */
export class StunResponder {
  readonly #credit = new ByteCredit();
  readonly #perSource = new SourceRate(REQUESTS_PER_SOURCE_PER_SEC, MAX_SOURCES);
  readonly #total: TokenBucket;

  /** `nowMs`: of a monotonic clock, as in `answer`. */
  constructor(nowMs: number) {
    this.#total = new TokenBucket(ANSWERS_PER_SEC, ANSWERS_PER_SEC, nowMs);
  }

  /** `from`: canonical text. `place`: the socket that the datagram came to. */
  answer(datagram: Uint8Array, from: Endpoint, place: StunPlace, nowMs: number): StunReply {
    if (from.port === 0) return silence("ignored");
    if (!this.#perSource.take(sourceKey(from.address), nowMs)) return silence("tooMany");
    const answer = answerTo(datagram, from, place);
    if (answer === null) return silence("ignored");
    const room = this.#credit.received(from.address, datagram.length, nowMs);
    const bytes = fitting(answer.fullestFirst, room);
    if (bytes === null) return silence("short");
    if (!this.#total.take(1, nowMs)) return silence("tooMany");
    this.#credit.sent(from.address, bytes.length, nowMs);
    return { kind: "answer", bytes, from: answer.from };
  }
}

interface Answer {
  readonly from: Endpoint;
  /** The same answer with less and less in it. */
  readonly fullestFirst: readonly StunMessage[];
}

/** The first that has room, encoded; null = none has. */
function fitting(messages: readonly StunMessage[], room: number): Uint8Array | null {
  for (const message of messages) {
    const bytes = encodeStun(message);
    if (bytes.length <= room) return bytes;
  }
  return null;
}

function silence(why: StunSilence): StunReply {
  return { kind: "silence", why };
}

/** Null = it gets none: indications, answers, other protocols and what is broken. */
function answerTo(datagram: Uint8Array, from: Endpoint, place: StunPlace): Answer | null {
  const decoded = decodeStun(datagram);
  if (!decoded.ok) {
    const { error } = decoded;
    if (error.kind !== "unknown-attributes" || error.message !== "request") return null;
    return refusal({ transactionId: error.transactionId, fingerprint: false }, error.types, place.self);
  }
  const request = decoded.value;
  if (request.kind !== "request") return null;
  const change = attributeOf(request, "change-request") ?? { address: false, port: false };
  const source = changed(place, change);
  const unsupported = [
    ...(source === null ? [AttributeType.changeRequest] : []),
    // It would send to a port that did not ask (RFC 5780 §5: support is optional).
    ...(attributeOf(request, "response-port") === null ? [] : [AttributeType.responsePort]),
  ];
  if (source === null || unsupported.length > 0) return refusal(request, unsupported, place.self);
  return { from: source, fullestFirst: successes(request, from, source, place) };
}

/** RFC 5780 §6.1, table 1. Null = this server cannot. */
function changed(
  { self, otherAddress, otherPort }: StunPlace,
  change: { readonly address: boolean; readonly port: boolean },
): Endpoint | null {
  const address = change.address ? otherAddress : self.address;
  const port = change.port ? otherPort : self.port;
  return address === null || port === null ? null : { address, port };
}

/**
 * XOR-MAPPED-ADDRESS is the answer; then what discovery needs. MAPPED-ADDRESS comes last: it shows an ALG that rewrites
 * addresses, and nothing else. PADDING is not returned, though RFC 5780 §6.1 asks for it: as long as the request, it has
 * no room beside the rest, and nothing here looks at fragments.
 */
function successes(
  { transactionId, fingerprint }: StunMessage,
  client: Endpoint,
  source: Endpoint,
  { otherAddress, otherPort }: StunPlace,
): readonly StunMessage[] {
  const attributes: StunAttribute[] = [{ kind: "xor-mapped-address", endpoint: client }];
  // RFC 5780 §6: never of a server with one address, whose clients would take the same address for another.
  if (otherAddress !== null && otherPort !== null) {
    attributes.push({ kind: "other-address", endpoint: { address: otherAddress, port: otherPort } });
  }
  attributes.push({ kind: "response-origin", endpoint: source }, { kind: "mapped-address", endpoint: client });
  return fullestFirst({ kind: "success", transactionId, attributes, fingerprint });
}

function refusal(
  { transactionId, fingerprint }: Pick<StunMessage, "transactionId" | "fingerprint">,
  types: readonly number[],
  from: Endpoint,
): Answer {
  const attributes: StunAttribute[] = [
    { kind: "error-code", code: UNKNOWN_ATTRIBUTE, reason: "" },
    { kind: "unknown-attributes", types },
  ];
  return { from, fullestFirst: fullestFirst({ kind: "error", transactionId, attributes, fingerprint }) };
}

/** The whole message, then without its last attribute, and so on; FINGERPRINT goes last, the first attribute never. */
function fullestFirst(message: StunMessage): readonly StunMessage[] {
  const { attributes } = message;
  const shorter = attributes.map((_, n) => ({ ...message, attributes: attributes.slice(0, attributes.length - n) }));
  const shortest = { ...message, attributes: attributes.slice(0, 1), fingerprint: false };
  return message.fingerprint ? [...shorter, shortest] : shorter;
}
