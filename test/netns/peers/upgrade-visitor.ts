/**
 * Visitors of an echo service while its relay is upgraded:
 * `bun upgrade-visitor.ts HOST PORT STREAMS VISITORS_A_SECOND [UDP_PORT FLOWS]`.
 *
 * Each stream sends numbers, one after the other, and checks that exactly these come back in their order. New visitors
 * connect, send a line, and leave when it came back. Each UDP flow sends numbers to a `sender` service, and looks from which
 * port of the exit they came there: another one is another flow. `{"event":"flowing"}` when every stream has its first number back;
 * SIGTERM ends it, and `{"event":"done"}` tells what happened.
 */
import { say } from "./bytes.ts";

const [host = "", port = "", streamCount = "", rate = "", udpPort = "", flowCount = "0"] = process.argv.slice(2);
const NUMBER_BYTES = 8;
/** A stream sends its next number when the last one is back, and no sooner than this. */
const PACE_MS = 20;
/** The last ones, of a second, may still be on their way. */
const ANSWERED_WITHIN = 50;
const flowEnds: (() => void)[] = [];
/** A visitor who waits longer has failed. */
const PATIENCE_MS = 10_000;

const broken: string[] = [];
const failures: string[] = [];
let gaps = 0;
let flowing = 0;
let numbers = 0;
let visitors = 0;
let worstConnectMs = 0;
let worstAnswerMs = 0;
let worstEchoMs = 0;
let datagrams = 0;
let datagramsLost = 0;
let flowsMoved = 0;
let isEnding = false;

interface Stream {
  next: bigint;
  sentMs: number;
  partial: Buffer;
}

function send(socket: Bun.Socket<Stream>): void {
  const bytes = Buffer.alloc(NUMBER_BYTES);
  bytes.writeBigUInt64BE(socket.data.next);
  socket.data.sentMs = performance.now();
  if (socket.write(bytes) !== NUMBER_BYTES) gaps++;
}

function received(socket: Bun.Socket<Stream>, bytes: Buffer): void {
  const { data } = socket;
  data.partial = Buffer.concat([data.partial, bytes]);
  while (data.partial.length >= NUMBER_BYTES) {
    if (data.partial.readBigUInt64BE() !== data.next) gaps++;
    data.partial = data.partial.subarray(NUMBER_BYTES);
    if (data.next === 0n && ++flowing === Number(streamCount)) say({ event: "flowing" });
    data.next++;
    numbers++;
    worstEchoMs = Math.max(worstEchoMs, performance.now() - data.sentMs);
    setTimeout(() => send(socket), PACE_MS);
  }
}

async function openStream(): Promise<void> {
  const lost = (why: string) => !isEnding && broken.push(why);
  await Bun.connect<Stream>({
    hostname: host,
    port: Number(port),
    data: { next: 0n, sentMs: 0, partial: Buffer.alloc(0) },
    socket: {
      open: send,
      data: received,
      close: (_socket, error) => void lost(error?.message ?? "it was closed"),
      error: (_socket, error) => void lost(error.message),
      connectError: (_socket, error) => void lost(`connect: ${error.message}`),
    },
  }).catch((error: Error) => lost(`connect: ${error.message}`));
}

function visit(): void {
  visitors++;
  const line = `visitor ${visitors}\n`;
  const startedMs = performance.now();
  let answer = "";
  let settled = false;
  const settle = (why: string | null) => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    if (why !== null && !isEnding) failures.push(`after ${Math.round(performance.now() - startedMs)} ms: ${why}`);
  };
  const timer = setTimeout(() => settle("no answer in time"), PATIENCE_MS);
  Bun.connect({
    hostname: host,
    port: Number(port),
    socket: {
      open(socket) {
        worstConnectMs = Math.max(worstConnectMs, performance.now() - startedMs);
        socket.write(line);
      },
      data(socket, bytes) {
        answer += bytes;
        if (answer !== line) return;
        worstAnswerMs = Math.max(worstAnswerMs, performance.now() - startedMs);
        settle(null);
        socket.end();
      },
      close: (_socket, error) => settle(error?.message ?? `closed with "${answer}"`),
      error: (_socket, error) => settle(error.message),
      connectError: (_socket, error) => settle(`connect: ${error.message}`),
    },
  }).catch((error: Error) => settle(`connect: ${error.message}`));
}

async function openFlow(): Promise<void> {
  const answered = new Set<number>();
  const firstAnswer = Promise.withResolvers<void>();
  let exitPort: string | null = null;
  let sent = 0;
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port: Number(udpPort) },
    socket: {
      data(_, bytes) {
        const [from = "", number = ""] = bytes.toString().split(" ");
        if (exitPort !== null && exitPort !== from) flowsMoved++;
        exitPort = from;
        answered.add(Number(number));
        firstAnswer.resolve();
      },
      error: () => undefined,
    },
  });
  const timer = setInterval(() => {
    datagrams++;
    socket.send(`${sent++}`);
  }, PACE_MS);
  flowEnds.push(() => {
    clearInterval(timer);
    for (let number = 0; number < sent - ANSWERED_WITHIN; number++) if (!answered.has(number)) datagramsLost++;
  });
  await firstAnswer.promise;
}

for (let opened = 0; opened < Number(flowCount); opened++) await openFlow();
for (let opened = 0; opened < Number(streamCount); opened++) await openStream();
if (Number(streamCount) === 0) say({ event: "flowing" });
const visits = Number(rate) > 0 ? setInterval(visit, 1_000 / Number(rate)) : null;

process.on("SIGTERM", () => {
  isEnding = true;
  if (visits !== null) clearInterval(visits);
  for (const end of flowEnds) end();
  const rounded = (ms: number) => Math.round(ms * 10) / 10;
  say({
    event: "done",
    streams: flowing,
    broken: broken.length,
    gaps,
    numbers,
    visitors,
    failed: failures.length,
    datagrams,
    datagramsLost,
    flowsMoved,
    worstConnectMs: rounded(worstConnectMs),
    worstAnswerMs: rounded(worstAnswerMs),
    worstEchoMs: rounded(worstEchoMs),
    why: [...new Set([...broken, ...failures])].slice(0, 10),
  });
  process.exit(0);
});
