import { type StunPlace, StunResponder } from "../../src/core/stun/responder.ts";
import { decodeStun, encodeStun, HEADER_BYTES, MAX_MESSAGE_BYTES } from "../../src/wire/stun/message.ts";
import { type FuzzCodec, hex, must, mustBeResult, mustEqual } from "./codec.ts";

const ID = "b7e7a701bc34d686fa87dfae";
const COOKIE = "2112a442";
const V6_ADDRESS = "0113a9faa5d3f179bc25f4b5bed2b9d9";
/** RFC 5769 §2.1: FINGERPRINT, and attributes that are not known here. */
const ICE = `8022 0010 5354554e207465737420636c69656e74 0024 0004 6e0001ff 8029 0008 932ff9b151263b36
  0006 0009 6576746a3a68367659202020 0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 8028 0004 e57a3bcf`.replaceAll(
  /\s/g,
  "",
);
const BODIES = [
  "",
  "0003 0004 00000006",
  "0027 0004 13880000 0026 0005 0000000000 000000",
  "0020 0008 0001a147e112a643 802b 0008 00010d96c6336402 802c 0008 00010d97c6336402",
  `0020 0014 0002a147 ${V6_ADDRESS} 0001 0014 00028055 20010db8123456780011223344556677`,
  "0009 000b 00000414 556e6b6e6f776e 00 000a 0006 00247fff0006 0000",
  "8022 000b 7465737420766563746f72 00",
  "8029 0001 ffabcdef 00240000 7fff0000",
  ICE,
].map((body) => body.replaceAll(" ", ""));

const head = (type: string, body: string) => `${type}${(body.length / 2).toString(16).padStart(4, "0")}${COOKIE}${ID}`;
const TYPES = ["0001", "0011", "0101", "0111"] as const;

/** A request around a body: a mutation of a whole datagram hardly ever has its right length. */
function datagramAround(body: Uint8Array, type: string): Uint8Array {
  const whole = new Uint8Array(HEADER_BYTES + body.length);
  whole.set(Uint8Array.fromHex(head(type, "00".repeat(body.length & 0xffff))));
  whole.set(body, HEADER_BYTES);
  return whole;
}

function check(datagram: Uint8Array): boolean {
  const decoded = decodeStun(datagram);
  mustBeResult(decoded);
  if (!decoded.ok) return decoded.error.kind === "unknown-attributes";
  must(datagram.length <= MAX_MESSAGE_BYTES, "a message has a bound");
  const encoded = encodeStun(decoded.value);
  must(encoded.length <= datagram.length, "nothing is added");
  mustEqual(decodeStun(encoded), decoded, "decoding what was encoded");
  return true;
}

const SELF = { address: "198.51.100.1", port: 3478 };
const PLACES: readonly StunPlace[] = [
  { self: SELF, otherAddress: "198.51.100.2", otherPort: 3479 },
  { self: SELF, otherAddress: null, otherPort: 3479 },
  { self: SELF, otherAddress: null, otherPort: null },
  { self: { address: "2001:db8::1", port: 3478 }, otherAddress: "2001:db8::2", otherPort: 3479 },
];
const TRIES = 4;

/** The same datagram again and again: no more comes back than went in, and it is an answer. */
function checkAnswers(place: StunPlace, datagram: Uint8Array): boolean {
  const responder = new StunResponder(0);
  const from = { address: place.self.address.includes(":") ? "2001:db8::9" : "203.0.113.9", port: 50_000 };
  let balance = 0;
  let answered = false;
  for (let n = 0; n < TRIES; n++) {
    const reply = responder.answer(datagram, from, place, n * 500);
    balance += datagram.length;
    if (reply.kind === "silence") continue;
    answered = true;
    balance -= reply.bytes.length;
    must(balance >= 0, "no amplification");
    const decoded = decodeStun(reply.bytes);
    must(decoded.ok && (decoded.value.kind === "success" || decoded.value.kind === "error"), "an answer is one");
    must([place.self.port, place.otherPort].includes(reply.from.port), "it leaves by a port of the server's");
    must([place.self.address, place.otherAddress].includes(reply.from.address), "and from an address of it");
  }
  return answered;
}

export const stun: readonly FuzzCodec[] = [
  { name: "stun", seeds: hex(...TYPES.flatMap((type) => BODIES.map((body) => head(type, body) + body))), check },
  {
    // The first byte is the type.
    name: "stun-body",
    seeds: hex(...BODIES.map((body, n) => `0${n % TYPES.length}${body}`)),
    check: (input) => check(datagramAround(input.subarray(1), TYPES[(input[0] ?? 0) % TYPES.length] ?? TYPES[0])),
  },
  {
    // The first byte is the place.
    name: "stun-answer",
    seeds: hex(...PLACES.flatMap((_, n) => BODIES.map((body) => `0${n}${body}`))),
    check(input) {
      const place = PLACES[(input[0] ?? 0) % PLACES.length] ?? PLACES[0];
      return place !== undefined && checkAnswers(place, datagramAround(input.subarray(1), "0001"));
    },
  },
];
