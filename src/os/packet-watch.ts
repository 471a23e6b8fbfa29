import { ptr } from "bun:ffi";
import { addressFromBytes } from "../wire/address.ts";
import { openCLibrary } from "./c-library.ts";

/** Where packets to a port of this machine come from, seen before a firewall here decides on them. */
export interface PacketWatch {
  /** The source addresses so far. */
  sources(): ReadonlySet<string>;
  /** Some were not looked at: more came than were taken. What is not among the sources may have come all the same. */
  readonly missed: boolean;
  close(): void;
}

/** packet(7), socket(7), linux/if_packet.h. */
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_ALL = 0x0003;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const PACKET_OUTGOING = 4;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const MSG_DONTWAIT = 0x40;
const SOCKADDR_LL_BYTES = 20;

/** linux/filter.h: classic BPF. Ancillary data stands at these negative offsets. */
const LOAD_BYTE = 0x30;
const LOAD_HALF = 0x28;
const LOAD_INDEX_V4_HEADER = 0xb1;
const LOAD_HALF_INDEXED = 0x48;
const LOAD_BYTE_INDEXED = 0x50;
const AND = 0x54;
const IF_EQUAL = 0x15;
const IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const ANCILLARY = 0xffff_f000;
const ANCILLARY_PROTOCOL = ANCILLARY;
const ANCILLARY_PACKET_TYPE = ANCILLARY + 4;

/** IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293). */
const V4 = { protocolAt: 9, fragmentAt: 6, fragmentMask: 0x1fff, sourceAt: 12, sourceBytes: 4 } as const;
const V6 = { nextHeaderAt: 6, headerBytes: 40, sourceAt: 8, sourceBytes: 16 } as const;
const DESTINATION_PORT_AT = 2;
const TCP_FLAGS_AT = 13;
const SYN = 0x02;
const SYN_AND_ACK = 0x12;
const IP_PROTOCOL = { tcp: 6, udp: 17 } as const;

const INSTRUCTION_BYTES = 8;
/** Enough for a source address. */
const SNAP_BYTES = 64;
const MAX_SOURCES = 1_024;
const MAX_PACKETS_A_LOOK = 4_096;

const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
} as const;

/**
 * Watches what comes for a port: for TCP only what asks for a new connection. By a packet socket, which sees packets
 * before nftables does; that takes root or CAP_NET_RAW, and Linux. Null: this process may not, or not here.
 */
export function watchPackets(protocol: "tcp" | "udp", port: number): PacketWatch | null {
  if (process.platform !== "linux") return null;
  const c = openCLibrary(SYMBOLS);
  if (c === null) return null;
  // Protocol 0: it hears nothing before its filter is there and it is bound.
  const socket = c.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return null;
  const filter = portFilter(protocol, port);
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, filter.length / INSTRUCTION_BYTES, true);
  program.setBigUint64(8, BigInt(ptr(filter)), true);
  const isFiltered = c.setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, ptr(program), program.byteLength) === 0;
  if (!isFiltered || c.bind(socket, ptr(everyInterface()), SOCKADDR_LL_BYTES) !== 0) {
    c.close(socket);
    return null;
  }
  const packet = new Uint8Array(SNAP_BYTES);
  const seen = new Set<string>();
  let missed = false;
  let isOpen = true;
  const look = (): void => {
    for (let count = 0; isOpen && count < MAX_PACKETS_A_LOOK; count++) {
      const bytes = Number(c.recv(socket, ptr(packet), packet.length, MSG_DONTWAIT));
      if (bytes <= 0) return;
      const source = sourceOf(packet.subarray(0, bytes));
      if (source === null) continue;
      if (seen.size < MAX_SOURCES) seen.add(source);
      else missed ||= !seen.has(source);
    }
    missed ||= isOpen;
  };
  return {
    sources() {
      look();
      return seen;
    },
    get missed() {
      // struct tpacket_stats: packets and drops since it was last asked.
      const stats = new Uint32Array(2);
      const length = Uint32Array.of(stats.byteLength);
      if (isOpen && c.getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, ptr(stats), ptr(length)) === 0) {
        missed ||= (stats[1] ?? 0) > 0;
      }
      return missed;
    },
    close() {
      if (isOpen) c.close(socket);
      isOpen = false;
    },
  };
}

/** struct sockaddr_ll: every protocol, every interface. */
function everyInterface(): Uint8Array {
  const address = new DataView(new ArrayBuffer(SOCKADDR_LL_BYTES));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, ETH_P_ALL, false);
  return new Uint8Array(address.buffer);
}

/** The packet begins with its IP header, and is one that the filter let through. */
function sourceOf(packet: Uint8Array): string | null {
  const { sourceAt, sourceBytes } = (packet[0] ?? 0) >>> 4 === 6 ? V6 : V4;
  return addressFromBytes(packet.subarray(sourceAt, sourceAt + sourceBytes));
}

type Instruction = readonly [code: number, value: number, ifTrue?: Label, ifFalse?: Label];
type Label = "next" | "v4" | "v6" | "take" | "drop";

/**
 * A program for the kernel: incoming packets to the port, whole or first fragments, of TCP only SYNs without ACK. IPv6
 * with extension headers is not looked into.
 */
function portFilter(protocol: "tcp" | "udp", port: number): Uint8Array {
  const isProtocol: Instruction = [IF_EQUAL, IP_PROTOCOL[protocol], "next", "drop"];
  const isPort = (then: Label): Instruction => [IF_EQUAL, port, then, "drop"];
  const isSyn: readonly Instruction[] = [
    [AND, SYN_AND_ACK],
    [IF_EQUAL, SYN, "take", "drop"],
  ];
  const parts: readonly (readonly [Label | null, readonly Instruction[]])[] = [
    [
      null,
      [
        [LOAD_BYTE, ANCILLARY_PACKET_TYPE],
        [IF_EQUAL, PACKET_OUTGOING, "drop", "next"],
        [LOAD_HALF, ANCILLARY_PROTOCOL],
        [IF_EQUAL, ETH_P_IPV6, "v6", "next"],
        [IF_EQUAL, ETH_P_IP, "v4", "drop"],
      ],
    ],
    [
      "v4",
      [
        [LOAD_BYTE, V4.protocolAt],
        isProtocol,
        [LOAD_HALF, V4.fragmentAt],
        [IF_ANY_BIT, V4.fragmentMask, "drop", "next"],
        [LOAD_INDEX_V4_HEADER, 0],
        [LOAD_HALF_INDEXED, DESTINATION_PORT_AT],
        isPort(protocol === "tcp" ? "next" : "take"),
        ...(protocol === "tcp" ? [[LOAD_BYTE_INDEXED, TCP_FLAGS_AT] as const, ...isSyn] : []),
      ],
    ],
    [
      "v6",
      [
        [LOAD_BYTE, V6.nextHeaderAt],
        isProtocol,
        [LOAD_HALF, V6.headerBytes + DESTINATION_PORT_AT],
        isPort(protocol === "tcp" ? "next" : "take"),
        ...(protocol === "tcp" ? [[LOAD_BYTE, V6.headerBytes + TCP_FLAGS_AT] as const, ...isSyn] : []),
      ],
    ],
    ["take", [[RETURN, SNAP_BYTES]]],
    ["drop", [[RETURN, 0]]],
  ];
  return assemble(parts);
}

function assemble(parts: readonly (readonly [Label | null, readonly Instruction[]])[]): Uint8Array {
  const labels = new Map<Label, number>();
  let count = 0;
  for (const [label, instructions] of parts) {
    if (label !== null) labels.set(label, count);
    count += instructions.length;
  }
  const program = new DataView(new ArrayBuffer(count * INSTRUCTION_BYTES));
  let at = 0;
  // A jump counts from the instruction behind it.
  const jump = (label: Label = "next") => (label === "next" ? 0 : (labels.get(label) ?? 0) - at - 1);
  for (const [code, value, ifTrue, ifFalse] of parts.flatMap(([, instructions]) => instructions)) {
    const offset = at * INSTRUCTION_BYTES;
    program.setUint16(offset, code, true);
    program.setUint8(offset + 2, jump(ifTrue));
    program.setUint8(offset + 3, jump(ifFalse));
    program.setUint32(offset + 4, value, true);
    at++;
  }
  return new Uint8Array(program.buffer);
}
