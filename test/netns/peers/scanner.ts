/**
 * A port scanner: `bun scanner.ts HOST tcp|udp PORTS [FROM]`, PORTS as `1-65535` or `80,443,8000-8009`, FROM the address
 * that it scans from. One JSON line at the end, `{ event: "done", found, scanned, silent, ms }`:
 *
 * tcp  found = ports that accept a connection; silent = those that neither accept nor refuse: what drops is not known
 *      from what is slow, so each has WAIT_MS, which is more than the kernel's first repetition of a SYN (1 s), twice
 * udp  found = port → what answers (hexadecimal, its first bytes) to any probe: NAT-PMP, PCP, SSDP, DNS, text
 */
import { say } from "./bytes.ts";

/** Closed ports refuse at once: with 256 at a time, 65,535 take 5 s on an idle machine. */
const AT_ONCE = 256;
const WAIT_MS = 1_500;
/** So many datagrams a turn; more would overflow the queues between here and there. */
const UDP_BURST = 64;
const UDP_ROUNDS = 2;
const UDP_WAIT_MS = 700;
const SHOWN_BYTES = 16;

const PCP_ANNOUNCE = `0200${"00".repeat(6)}${"00".repeat(10)}ffff${"00".repeat(4)}`;
const SSDP_SEARCH =
  'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\nMX: 1\r\n\r\n';
const DNS_QUERY = "123401000001000000000000076578616d706c6503636f6d0000010001";
const PROBES: readonly Uint8Array[] = [
  Uint8Array.fromHex("0000"),
  Uint8Array.fromHex(PCP_ANNOUNCE),
  new TextEncoder().encode(SSDP_SEARCH),
  Uint8Array.fromHex(DNS_QUERY),
];

function portsOf(text: string): number[] {
  return text.split(",").flatMap((span) => {
    const [first = 0, last = first] = span.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

type Verdict = "open" | "closed" | "silent";

function knock(hostname: string, port: number, localAddress: string | undefined): Promise<Verdict> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("silent"), WAIT_MS);
    const settle = (verdict: Verdict): void => {
      clearTimeout(timer);
      resolve(verdict);
    };
    Bun.connect({
      hostname,
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
      socket: {
        open(socket) {
          settle("open");
          socket.terminate();
        },
        data: () => undefined,
        close: () => undefined,
        error: () => undefined,
        connectError: () => settle("closed"),
      },
    }).catch(() => settle("closed"));
  });
}

async function scanTcp(host: string, all: readonly number[], from: string | undefined) {
  let ports = all;
  const [found, silent]: [number[], number[]] = [[], []];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let port = ports[next++]; port !== undefined; port = ports[next++]) {
      const verdict = await knock(host, port, from);
      if (verdict === "open") found.push(port);
      if (verdict === "silent") silent.push(port);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // A machine that stands still for a moment takes all of that moment for silent.
  next = 0;
  ports = silent.splice(0);
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const ascending = (a: number, b: number): number => a - b;
  return { found: found.sort(ascending), silent: silent.sort(ascending) };
}

async function scanUdp(host: string, ports: readonly number[], from: string | undefined) {
  const found: Record<number, string> = {};
  const socket = await Bun.udpSocket({
    hostname: from ?? (host.includes(":") ? "::" : "0.0.0.0"),
    socket: {
      data(_, bytes, port) {
        found[port] ??= bytes.subarray(0, SHOWN_BYTES).toHex();
      },
    },
  });
  for (let round = 0; round < UDP_ROUNDS; round++) {
    for (let first = 0; first < ports.length; first += UDP_BURST) {
      for (const port of ports.slice(first, first + UDP_BURST)) for (const probe of PROBES) send(port, probe);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Bun.sleep(UDP_WAIT_MS);
  }
  socket.close();
  return { found, silent: [] };

  /** An ICMP answer to an earlier datagram may be told in place of sending this one: once more, then. */
  function send(port: number, probe: Uint8Array): void {
    for (let left = 2; left > 0; left--) {
      try {
        socket.send(probe, port, host);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      }
    }
  }
}

const [host = "", protocol = "", text = "", from] = process.argv.slice(2);
const ports = portsOf(text);
const startedMs = performance.now();
const result = await (protocol === "tcp" ? scanTcp : scanUdp)(host, ports, from);
say({ event: "done", ...result, scanned: ports.length, ms: Math.round(performance.now() - startedMs) });
process.exit(0);
