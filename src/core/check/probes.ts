import type { Protocol } from "../../wire/port-set.ts";

/** Bytes of chance that a probe is made of: what it asks with, and knows its own answer by. */
export const NONCE_BYTES = 16;

/**
 * A datagram that a protocol's server answers. `silent`: it may well not, to strangers or by design, so that no answer
 * says nothing.
 */
export interface UdpProbe {
  readonly id: string;
  /** For a sentence: "a DNS server". */
  readonly service: string;
  /** Where it is sent when nobody says what to send. */
  readonly ports: readonly number[];
  readonly silent: boolean;
  /** Where the format is written down. */
  readonly source: string;
  /** `nonce`: NONCE_BYTES of chance. */
  payload(nonce: Uint8Array): Uint8Array;
  /** Whether the datagram is the protocol's answer to `payload(nonce)`. Never throws. */
  fits(answer: Uint8Array, nonce: Uint8Array): boolean;
}

const ASCII = new TextEncoder();

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function holds(datagram: Uint8Array, at: number, expected: Uint8Array): boolean {
  return datagram.length >= at + expected.length && expected.every((byte, index) => datagram[at + index] === byte);
}

// ——— Minecraft Bedrock: RakNet's unconnected ping ———

const RAKNET = {
  ping: Uint8Array.of(0x01),
  pong: Uint8Array.of(0x1c),
  magic: bytes("00ffff00 fefefefe fdfdfdfd 12345678"),
  timeAt: 1,
  timeBytes: 8,
  /** Of the pong: id, time, server's id. */
  magicAt: 17,
} as const;

// ——— Valve's A2S_INFO ———

const SOURCE = {
  header: bytes("ffffffff"),
  split: bytes("feffffff"),
  question: ASCII.encode("TSource Engine Query\0"),
  typeAt: 4,
  /** S2C_CHALLENGE, S2A_INFO, and GoldSource's S2A_INFO. */
  answers: [0x41, 0x49, 0x6d] as readonly number[],
} as const;

// ——— DNS: who is responsible for the root? RFC 1035 section 4.1 ———

const DNS = {
  headerBytes: 12,
  /** Recursion desired, one question: `. IN SOA`. A refusal is an answer, too. */
  question: bytes("0100 0001 0000 0000 0000 00 0006 0001"),
  idBytes: 2,
  flagsAt: 2,
  response: 0x80,
} as const;

// ——— QUIC: a version that nobody has (RFC 9000 section 15), in a datagram that may be answered (section 14.1) ———

const QUIC = {
  longHeader: Uint8Array.of(0xc0),
  version: bytes("1a2a3a4a"),
  connectionIdBytes: 8,
  /** A server answers no shorter one with Version Negotiation (section 6.1). */
  datagramBytes: 1200,
  /** Version Negotiation has version 0 (section 17.2.1) and gives the asker's source id back as destination. */
  negotiation: bytes("00000000"),
  versionAt: 1,
  answerIdAt: 5,
} as const;

// ——— STUN: a binding request (RFC 8489 section 5) ———

const STUN = {
  request: bytes("0001 0000"),
  cookie: bytes("2112a442"),
  cookieAt: 4,
  transactionAt: 8,
  transactionBytes: 12,
  /** Binding, success and error response. */
  answers: [bytes("0101"), bytes("0111")],
} as const;

// ——— NTP: a client's question (RFC 5905 section 7.3) ———

const NTP = {
  bytes: 48,
  /** No warning, version 4, mode 3 (client). */
  client: 0x23,
  modeMask: 0x07,
  server: 4,
  originAt: 24,
  transmitAt: 40,
  stampBytes: 8,
} as const;

// ——— OpenVPN: the first packet of a client without tls-auth (OpenVPN's security overview, "packet format") ———

const OPENVPN = {
  /** P_CONTROL_HARD_RESET_CLIENT_V2 and _SERVER_V2 in the upper five bits. */
  clientReset: Uint8Array.of(7 << 3),
  serverReset: 8,
  opcodeShift: 3,
  sessionBytes: 8,
  /** No acknowledgements, packet 0. */
  rest: bytes("00 00000000"),
} as const;

// ——— Mumble: the ping of server lists ———

const MUMBLE = { request: bytes("00000000"), identAt: 4, identBytes: 8, answerBytes: 24 } as const;

/** What our own two ends say to each other: nobody else's protocol begins so. */
const ECHO = ASCII.encode("hatchway check ");

function echoPayload(nonce: Uint8Array): Uint8Array {
  return concat(ECHO, ASCII.encode(Array.from(nonce, (byte) => byte.toString(16).padStart(2, "0")).join("")));
}

export const ECHO_ID = "echo";

/** Sent where nothing better is known; our own stand-in for a service answers it with the same bytes. */
const ECHO_PROBE: UdpProbe = {
  id: ECHO_ID,
  service: "any service",
  ports: [],
  silent: true,
  source: "ours",
  payload: echoPayload,
  fits: (answer, nonce) => {
    const payload = echoPayload(nonce);
    return answer.length === payload.length && holds(answer, 0, payload);
  },
};

export const UDP_PROBES: readonly UdpProbe[] = [
  {
    id: "minecraft-bedrock",
    service: "a Minecraft Bedrock server",
    ports: [19_132, 19_133],
    silent: false,
    source: "RakNet, unconnected ping (wiki.bedrock.dev/servers/raknet-and-mcpe)",
    payload: (nonce) => concat(RAKNET.ping, nonce.subarray(0, RAKNET.timeBytes), RAKNET.magic, nonce.subarray(8, 16)),
    fits: (answer, nonce) =>
      holds(answer, 0, RAKNET.pong) &&
      holds(answer, RAKNET.timeAt, nonce.subarray(0, RAKNET.timeBytes)) &&
      holds(answer, RAKNET.magicAt, RAKNET.magic),
  },
  {
    id: "source",
    service: "a Source or Steam game server",
    // Valheim answers at its game port + 1.
    ports: [27_015, 27_016, 2_457],
    silent: false,
    source: "Valve Developer Community, Server queries, A2S_INFO",
    payload: () => concat(SOURCE.header, SOURCE.question),
    fits: (answer) =>
      holds(answer, 0, SOURCE.split) ||
      (holds(answer, 0, SOURCE.header) && SOURCE.answers.includes(answer[SOURCE.typeAt] ?? -1)),
  },
  {
    id: "dns",
    service: "a DNS server",
    ports: [53],
    silent: false,
    source: "RFC 1035 section 4.1",
    payload: (nonce) => concat(nonce.subarray(0, DNS.idBytes), DNS.question),
    fits: (answer, nonce) =>
      answer.length >= DNS.headerBytes &&
      holds(answer, 0, nonce.subarray(0, DNS.idBytes)) &&
      ((answer[DNS.flagsAt] ?? 0) & DNS.response) !== 0,
  },
  {
    id: "quic",
    service: "a QUIC or HTTP/3 server",
    ports: [443, 8_443],
    silent: false,
    source: "RFC 9000 sections 6.1, 14.1, 15 and 17.2.1",
    payload: (nonce) => {
      const id = Uint8Array.of(QUIC.connectionIdBytes);
      const [to, from] = [nonce.subarray(0, 8), nonce.subarray(8, 16)];
      const datagram = new Uint8Array(QUIC.datagramBytes);
      datagram.set(concat(QUIC.longHeader, QUIC.version, id, to, id, from));
      return datagram;
    },
    fits: (answer, nonce) =>
      ((answer[0] ?? 0) & 0x80) !== 0 &&
      holds(answer, QUIC.versionAt, QUIC.negotiation) &&
      holds(answer, QUIC.answerIdAt, concat(Uint8Array.of(QUIC.connectionIdBytes), nonce.subarray(8, 16))),
  },
  {
    id: "stun",
    service: "a STUN or TURN server",
    ports: [3_478],
    silent: false,
    source: "RFC 8489 section 5",
    payload: (nonce) => concat(STUN.request, STUN.cookie, nonce.subarray(0, STUN.transactionBytes)),
    fits: (answer, nonce) =>
      STUN.answers.some((type) => holds(answer, 0, type)) &&
      holds(answer, STUN.cookieAt, STUN.cookie) &&
      holds(answer, STUN.transactionAt, nonce.subarray(0, STUN.transactionBytes)),
  },
  {
    id: "ntp",
    service: "an NTP server",
    ports: [123],
    silent: false,
    source: "RFC 5905 section 7.3",
    payload: (nonce) => {
      const packet = new Uint8Array(NTP.bytes);
      packet[0] = NTP.client;
      packet.set(nonce.subarray(0, NTP.stampBytes), NTP.transmitAt);
      return packet;
    },
    fits: (answer, nonce) =>
      answer.length >= NTP.bytes &&
      ((answer[0] ?? 0) & NTP.modeMask) === NTP.server &&
      holds(answer, NTP.originAt, nonce.subarray(0, NTP.stampBytes)),
  },
  {
    id: "mumble",
    service: "a Mumble server",
    ports: [64_738],
    silent: false,
    source: "Mumble protocol, UDP ping packet",
    payload: (nonce) => concat(MUMBLE.request, nonce.subarray(0, MUMBLE.identBytes)),
    fits: (answer, nonce) =>
      answer.length === MUMBLE.answerBytes && holds(answer, MUMBLE.identAt, nonce.subarray(0, MUMBLE.identBytes)),
  },
  {
    id: "openvpn",
    service: "an OpenVPN server",
    ports: [1_194],
    // With tls-auth or tls-crypt, which most have, a packet without their key is dropped.
    silent: true,
    source: "OpenVPN's wire protocol, P_CONTROL_HARD_RESET_CLIENT_V2",
    payload: (nonce) => concat(OPENVPN.clientReset, nonce.subarray(0, OPENVPN.sessionBytes), OPENVPN.rest),
    fits: (answer) => answer.length >= 14 && (answer[0] ?? 0) >>> OPENVPN.opcodeShift === OPENVPN.serverReset,
  },
  {
    ...ECHO_PROBE,
    id: "wireguard",
    service: "a WireGuard interface",
    ports: [51_820],
    source: "WireGuard's white paper, section 5.1: nothing is sent to who has not proved a key",
  },
  ECHO_PROBE,
];

export const PROBE_IDS: readonly string[] = UDP_PROBES.map(({ id }) => id);

export function udpProbe(id: string): UdpProbe | null {
  return UDP_PROBES.find((probe) => probe.id === id) ?? null;
}

/** What a UDP port of that number is asked when nobody says what. */
export function usualProbe(port: number): UdpProbe {
  return UDP_PROBES.find(({ ports }) => ports.includes(port)) ?? ECHO_PROBE;
}

/** Of IP and UDP, or of IP and a SYN with its options (measured: 60 bytes over IPv4, 80 over IPv6). */
const HEADER_BYTES = { udp: { 4: 28, 6: 48 }, tcp: { 4: 60, 6: 80 } } as const;
/** Linux sends a SYN again after 1, 2 and 3 s (tcp_syn_linear_timeouts, 6.5), before that after 1 and 3 s. */
export const TCP_PROBE_MS = 3_500;
const SYNS = 4;
/** A datagram that gets no answer is sent again, so often in all. */
export const UDP_TRIES = 3;

/** The most bytes, headers of IP included, that one attempt of a probe puts on the wire. For TCP all SYNs are one attempt. */
export function probeCostBytes(protocol: Protocol, family: 4 | 6, payloadBytes: number): number {
  const header = HEADER_BYTES[protocol][family];
  return protocol === "tcp" ? header * SYNS : header + payloadBytes;
}
