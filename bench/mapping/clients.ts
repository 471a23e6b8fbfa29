// The hosts of the LAN, 200 addresses of one namespace: they serve on the ports that mappings lead to, and ask for the
// mappings by NAT-PMP. Run by lan.ts in the agent's namespace; a line of JSON in is an order.
import { decodeNatPmpResponse, encodeNatPmpRequest, MAPPING_SERVER_PORT } from "../../src/wire/natpmp.ts";
import {
  type AskOrder,
  type AskReport,
  answerOf,
  CLIENTS,
  clientAddress,
  internalPorts,
  serveOrders,
  type Wanted,
  wanted,
} from "./plan.ts";

const LIFETIME_SEC = 7_200;
/** RFC 6886 §3.1: 250 ms, and twice that each time. */
const FIRST_RETRY_MS = 250;
/** How often it is looked for requests that have waited long enough. */
const TICK_MS = 10;

interface Waiting {
  readonly wanted: Wanted;
  readonly startedMs: number;
  retryMs: number;
  dueMs: number;
}

const server = Bun.argv[2] ?? "";
/** By the client and the internal port: what an answer names. */
const waiting = new Map<string, Waiting>();
const keyOf = ({ client, internalPort }: Pick<Wanted, "client" | "internalPort">) => `${client} ${internalPort}`;
/** Told about each mapping that was answered, while an order is worked on. */
let answered: (one: Waiting, granted: boolean) => void = () => {};

const sockets = await Promise.all(
  Array.from({ length: CLIENTS }, (_, client) =>
    Bun.udpSocket({
      hostname: clientAddress(client),
      port: 0,
      connect: { hostname: server, port: MAPPING_SERVER_PORT },
      socket: { data: (_socket, bytes) => received(client, bytes) },
    }),
  ),
);

for (const port of internalPorts()) {
  Bun.listen({
    hostname: "0.0.0.0",
    port,
    socket: {
      open: (socket) => void socket.end(answerOf(socket.localAddress, port)),
      data() {},
    },
  });
}

function received(client: number, bytes: Uint8Array): void {
  const decoded = decodeNatPmpResponse(bytes);
  if (!decoded.ok) return;
  const response = decoded.value;
  const about = response.kind === "failure" ? response.request : response;
  if (about.kind !== "map") return;
  const key = keyOf({ client, internalPort: about.internalPort });
  const one = waiting.get(key);
  if (one === undefined) return;
  waiting.delete(key);
  answered(one, response.kind === "map" && response.externalPort === one.wanted.externalPort);
}

function ask({ client, internalPort, externalPort }: Wanted): void {
  const map = { kind: "map", protocol: "tcp", internalPort, externalPort, lifetimeSec: LIFETIME_SEC } as const;
  sockets[client]?.send(encodeNatPmpRequest(map));
}

function run({ first, count, atOnce, giveUpMs, resend }: AskOrder): Promise<AskReport> {
  const { promise, resolve } = Promise.withResolvers<AskReport>();
  const tookMs: number[] = [];
  const beganMs = performance.now();
  let next = first;
  let refused = 0;
  let resent = 0;

  const begin = () => {
    while (waiting.size < atOnce && next < first + count) {
      const one = wanted(next++);
      const nowMs = performance.now();
      waiting.set(keyOf(one), {
        wanted: one,
        startedMs: nowMs,
        retryMs: FIRST_RETRY_MS,
        dueMs: nowMs + FIRST_RETRY_MS,
      });
      ask(one);
    }
  };
  const end = () => {
    clearInterval(timer);
    answered = () => {};
    waiting.clear();
    const sorted = tookMs.toSorted((a, b) => a - b);
    const quantile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    resolve({
      totalMs: performance.now() - beganMs,
      answered: tookMs.length,
      refused,
      resent,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
    });
  };
  const timer = setInterval(() => {
    const nowMs = performance.now();
    if (nowMs - beganMs > giveUpMs) return end();
    for (const one of resend ? waiting.values() : []) {
      if (one.dueMs > nowMs) continue;
      resent++;
      one.retryMs *= 2;
      one.dueMs = nowMs + one.retryMs;
      ask(one.wanted);
    }
  }, TICK_MS);
  answered = ({ startedMs }, granted) => {
    if (!granted) refused++;
    tookMs.push(performance.now() - startedMs);
    if (tookMs.length === count) end();
    else begin();
  };
  begin();
  return promise;
}

await serveOrders(run);
process.exit(0);
