/**
 * Floods, bounded in number: `bun flood.ts syn FROM HOST PORT COUNT` sends SYNs that nobody follows up, each from
 * another port of one address (raw(7), so as root); `bun flood.ts udp HOST PORT COUNT` sends datagrams that look like
 * what a gateway's servers hear, each another one. `{ event: "begun" }`, then `{ event: "done", sent, ms }`.
 */
import { dlopen, ptr } from "bun:ffi";
import { say } from "./bytes.ts";

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;
const IPPROTO_TCP = 6;
const IP_BYTES = 20;
const TCP_BYTES = 20;
const SOCKADDR_BYTES = 16;
const SYN = 0x02;
/** A turn's worth; more would only overflow the sender's own queue. */
const BURST = 64;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const bytesOf = (address: string): number[] => address.split(".").map(Number);

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function synPacket(from: string, host: string, port: number, number: number): Uint8Array {
  const packet = new Uint8Array(IP_BYTES + TCP_BYTES);
  const view = new DataView(packet.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, packet.length);
  view.setUint8(8, 64);
  view.setUint8(9, IPPROTO_TCP);
  packet.set(bytesOf(from), 12);
  packet.set(bytesOf(host), 16);
  view.setUint16(IP_BYTES, 1024 + (number % 60_000));
  view.setUint16(IP_BYTES + 2, port);
  view.setUint32(IP_BYTES + 4, Math.floor(Math.random() * 2 ** 32));
  view.setUint8(IP_BYTES + 12, (TCP_BYTES / 4) << 4);
  view.setUint8(IP_BYTES + 13, SYN);
  view.setUint16(IP_BYTES + 14, 65_535);
  const pseudo = new Uint8Array(12 + TCP_BYTES);
  pseudo.set(packet.subarray(12, 20));
  pseudo[9] = IPPROTO_TCP;
  pseudo[11] = TCP_BYTES;
  pseudo.set(packet.subarray(IP_BYTES), 12);
  view.setUint16(IP_BYTES + 16, checksum(pseudo));
  return packet;
}

async function floodSyn(from: string, host: string, port: number, count: number): Promise<number> {
  const libc = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  }).symbols;
  const descriptor = libc.socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (descriptor < 0) throw new Error("no raw socket: run as root");
  const to = new Uint8Array(SOCKADDR_BYTES);
  new DataView(to.buffer).setUint16(0, AF_INET, true);
  to.set(bytesOf(host), 4);
  let sent = 0;
  for (let number = 0; number < count; number++) {
    const packet = synPacket(from, host, port, number);
    if (Number(libc.sendto(descriptor, ptr(packet), packet.length, 0, ptr(to), to.length)) > 0) sent += 1;
    if (number % BURST === 0) await nextTurn();
  }
  return sent;
}

async function floodUdp(host: string, port: number, count: number): Promise<number> {
  const socket = await Bun.udpSocket({ connect: { hostname: host, port }, socket: { data: () => undefined } });
  const search = `M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\nMX: 5\r\n`;
  let sent = 0;
  for (let number = 0; number < count; number++) {
    const map = new Uint8Array(12);
    new DataView(map.buffer).setUint32(4, ((20_000 + (number % 40_000)) << 16) >>> 0);
    map.set([0, 2]);
    map[11] = 60;
    try {
      if (socket.send(port === 1900 ? `${search}X: ${number}\r\n\r\n` : map)) sent += 1;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
    if (number % BURST === 0) await nextTurn();
  }
  return sent;
}

const [kind, ...args] = process.argv.slice(2);
say({ event: "begun" });
const startedMs = performance.now();
const sent =
  kind === "syn"
    ? await floodSyn(args[0] ?? "", args[1] ?? "", Number(args[2]), Number(args[3]))
    : await floodUdp(args[0] ?? "", Number(args[1]), Number(args[2]));
say({ event: "done", sent, ms: Math.round(performance.now() - startedMs) });
process.exit(0);
