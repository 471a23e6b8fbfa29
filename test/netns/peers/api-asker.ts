/**
 * Programs that use a relay's API while it is upgraded: `bun api-asker.ts URL TOKEN`. Readers and writers, each one request after
 * the other, half of them on a new connection each time, as curl does. `{"event":"asking"}` when each has its first answer;
 * SIGTERM ends it, and `{"event":"done"}` tells how often each thing happened, and which names writers were told are stored.
 */
import { say } from "./bytes.ts";

const [url = "", token = ""] = process.argv.slice(2);
const PACE_MS = 10;
const WORKERS = [
  { method: "GET", keepAlive: true },
  { method: "GET", keepAlive: false },
  { method: "POST", keepAlive: true },
  { method: "POST", keepAlive: false },
] as const;

const outcomes: Record<string, number> = {};
const stored: string[] = [];
let asking = 0;
let isEnding = false;
let made = 0;

async function ask(method: "GET" | "POST", keepAlive: boolean): Promise<string> {
  const name = `asker-${made++}`;
  const path = method === "GET" ? "/v1/devices" : "/v1/join-codes";
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  try {
    const response = await fetch(url + path, {
      method,
      headers: keepAlive ? headers : { ...headers, connection: "close" },
      ...(method === "GET" ? {} : { body: JSON.stringify({ name }) }),
      keepalive: keepAlive,
    });
    await response.text();
    if (method === "POST" && response.ok) stored.push(name);
    return `${response.status}${response.ok ? "" : ` after ${response.headers.get("retry-after")}`}`;
  } catch (error) {
    return error instanceof Error && "code" in error ? `${error.code}` : String(error);
  }
}

async function work({ method, keepAlive }: (typeof WORKERS)[number]): Promise<void> {
  for (let first = true; !isEnding; first = false) {
    const outcome = `${method} ${await ask(method, keepAlive)}`;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (first && ++asking === WORKERS.length) say({ event: "asking" });
    await Bun.sleep(PACE_MS);
  }
}

process.on("SIGTERM", () => {
  isEnding = true;
});
await Promise.all(WORKERS.map(work));
say({ event: "done", outcomes, stored });
