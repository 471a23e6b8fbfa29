/**
 * Asks ports again and again, each time by a new connection: `bun port-asker.ts PACE_MS NAME=URL…`, URL of http:, https: or stun:.
 * `{"event":"asking"}` when each was answered; SIGTERM ends it, and `{"event":"done"}` tells of each name how often it was asked, what
 * happened instead of an answer, and how long the slowest answer took. Whoever is slow to ask waits between the connection and
 * the request (`NAME@WAIT_MS=URL`), as browsers do that connect before they need to.
 */
import { decodeStun, encodeStun } from "../../../src/wire/stun/message.ts";
import { say } from "./bytes.ts";

const [pace = "", ...targets] = process.argv.slice(2);
/** Who waits longer has no answer. */
const PATIENCE_MS = 10_000;
/** STUN: an answer takes one round trip. */
const UDP_PATIENCE_MS = 2_000;
/** A site that nobody has is answered by the relay itself. */
const ANSWERS: readonly string[] = ["200", "308", "404", "421"];
const TRANSACTION_BYTES = 12;
/** A relay sends no more than it was sent (decision 0023). */
const PADDING_BYTES = 100;
const HTTP_PORT = 80;
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) /;

interface Target {
  readonly name: string;
  readonly url: URL;
  readonly waitMs: number;
}

interface Seen {
  asked: number;
  answered: number;
  worstMs: number;
  readonly others: Record<string, number>;
}

const seen = new Map<string, Seen>();
const underWay = new Set<Promise<void>>();

function targetOf(text: string): Target {
  const [before = "", ...rest] = text.split("=");
  const [name = "", waitMs = "0"] = before.split("@");
  return { name, url: new URL(rest.join("=")), waitMs: Number(waitMs) };
}

/** "200", or what happened instead. */
function askHttp({ url, waitMs }: Target): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { hostname, port, pathname, protocol } = url;
  const request = `GET ${pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`;
  let text = "";
  const end = (how: string) => resolve(STATUS_LINE.exec(text)?.[1] ?? how);
  const timer = setTimeout(() => end("no answer in time"), PATIENCE_MS);
  Bun.connect({
    hostname,
    // Of `http://HOST:80` a URL has none.
    port: Number(port) || HTTP_PORT,
    ...(protocol === "https:" ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      open(socket) {
        if (waitMs === 0) socket.write(request);
        else setTimeout(() => socket.write(request), waitMs);
      },
      data(socket, bytes) {
        text += bytes.toString("latin1");
        if (!STATUS_LINE.test(text)) return;
        end("");
        socket.end();
      },
      close: (_socket, error) => end(error === undefined || error === null ? "closed" : codeOf(error)),
      error: (_socket, error) => end(codeOf(error)),
      connectError: (_socket, error) => end(codeOf(error)),
    },
  }).catch((error: Error) => end(codeOf(error)));
  return promise.finally(() => clearTimeout(timer));
}

async function askStun({ url }: Target): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const transactionId = Buffer.from(crypto.getRandomValues(new Uint8Array(TRANSACTION_BYTES))).toString("hex");
  const socket = await Bun.udpSocket({
    socket: {
      data(_own, bytes) {
        const answer = decodeStun(bytes);
        resolve(answer.ok && answer.value.transactionId === transactionId ? "200" : "no STUN");
      },
      // ICMP: nobody is there. Sent again it may be answered, which is not looked at here.
      error: () => resolve("refused"),
    },
  });
  const question = encodeStun({
    kind: "request",
    transactionId,
    attributes: [{ kind: "padding", bytes: PADDING_BYTES }],
    fingerprint: false,
  });
  socket.send(question, Number(url.port), url.hostname);
  const timer = setTimeout(() => resolve("lost"), UDP_PATIENCE_MS);
  const how = await promise;
  clearTimeout(timer);
  socket.close();
  return how;
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : error.message;
}

async function ask(target: Target): Promise<void> {
  const outcome = seen.get(target.name) ?? { asked: 0, answered: 0, worstMs: 0, others: {} };
  seen.set(target.name, outcome);
  outcome.asked++;
  const startedMs = performance.now();
  const how = await (target.url.protocol === "stun:" ? askStun(target) : askHttp(target));
  if (ANSWERS.includes(how)) {
    outcome.answered++;
    outcome.worstMs = Math.max(outcome.worstMs, Math.round(performance.now() - startedMs - target.waitMs));
  } else outcome.others[how] = (outcome.others[how] ?? 0) + 1;
}

const asked = targets.map(targetOf);
await Promise.all(asked.map(ask));
say({ event: "asking" });
const timers = asked.map((target) =>
  setInterval(() => {
    const asking = ask(target).finally(() => underWay.delete(asking));
    underWay.add(asking);
  }, Number(pace)),
);
process.on("SIGTERM", async () => {
  for (const timer of timers) clearInterval(timer);
  await Promise.all(underWay);
  say({ event: "done", ports: Object.fromEntries(seen) });
  process.exit(0);
});
