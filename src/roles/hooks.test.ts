import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { certificateZoo } from "../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { ManualTimers } from "../../test/fixtures/manual-timers.ts";
import { exampleForward } from "../core/events.fixture.ts";
import { EVENT_KINDS, EventLog } from "../core/events.ts";
import { WEBHOOK_ATTEMPTS } from "../core/hooks.ts";
import { EVERYBODY } from "../core/open-ports.ts";
import { startLog } from "../os/log.ts";
import type { ProgramHook, WebHook } from "./hooks/settings.ts";
import { signature } from "./hooks/webhook.ts";
import { type Hooks, type HooksOptions, startHooks } from "./hooks.ts";

const FILTER = { on: EVENT_KINDS, forward: null, owner: EVERYBODY, ports: null };
const PATH = "/usr/bin:/bin";
const NEVER = new AbortController().signal;
const NOW_MS = 1_700_000_000_000;

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}
let lines: Line[] = [];
let stopLog: () => Promise<void>;
beforeEach(async () => {
  lines = [];
  stopLog = await startLog({ format: "json", level: "info", write: (line) => lines.push(JSON.parse(line)) });
});
afterEach(() => stopLog());
const told = (message: string) => lines.filter((line) => line.message.startsWith(message));

function program(script: string, changes: Partial<ProgramHook> = {}): ProgramHook {
  return {
    kind: "program",
    label: "test",
    filter: FILTER,
    timeoutMs: 30_000,
    argv: ["/bin/sh", "-c", script],
    ...changes,
  };
}

function webhook(url: string, changes: Partial<WebHook> = {}): WebHook {
  return { kind: "webhook", label: "test", filter: FILTER, timeoutMs: 10_000, url, keyFile: null, ...changes };
}

/** Hooks and the log of events that they hear. */
async function started(options: Partial<HooksOptions> & Pick<HooksOptions, "hooks">) {
  const log = new EventLog({ run: "run" });
  const tools = { path: PATH, nowMs: () => NOW_MS, random: () => 1, ...options.tools };
  const hooks: Hooks = await startHooks({ signal: NEVER, ...options, tools });
  log.subscribe((event) => hooks.publish(event));
  const open = (id: string) => log.append({ event: "opened", forward: exampleForward({ id }) }, NOW_MS);
  return { hooks, log, open };
}

describe("programs", () => {
  test("run in the events' order, one at a time for each hook, with the variables and the templates", async () => {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, "out");
    const script = `echo "begin $HATCHWAY_SEQ $HATCHWAY_FORWARD_ID $0 $1" >> ${out}; echo "end $HATCHWAY_SEQ" >> ${out}`;
    const hook = program("", { argv: ["/bin/sh", "-c", script, "{{PORT}}", "{{VPN_INTERFACE}}"] });
    const { hooks, open } = await started({ hooks: [hook], vpnInterface: "wg0" });
    for (const id of ["a", "b", "c"]) open(id);
    await hooks.stop();
    expect((await readFile(out, "utf8")).trim().split("\n")).toEqual(
      ["a", "b", "c"].flatMap((id, at) => [`begin ${at + 1} ${id} 51413 wg0`, `end ${at + 1}`]),
    );
    expect(lines).toEqual([]);
  });

  test("a hook hears only of what its filter lets through, and nothing after the stop", async () => {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, "out");
    const hook = program(`echo $HATCHWAY_EVENT $HATCHWAY_REASON >> ${out}`, { filter: { ...FILTER, on: ["closed"] } });
    const { hooks, log, open } = await started({ hooks: [hook] });
    open("a");
    log.append({ event: "closed", forward: exampleForward(), reason: "expired" }, NOW_MS);
    await hooks.stop();
    log.append({ event: "closed", forward: exampleForward(), reason: "removed" }, NOW_MS);
    await hooks.stop();
    expect(await readFile(out, "utf8")).toBe("closed expired\n");
  });

  test("publishing starts nothing in the caller's turn, and a hook that is slow loses the oldest", async () => {
    const timers = new ManualTimers();
    const stop = new AbortController();
    const { hooks, open } = await started({
      hooks: [program("sleep 1000")],
      signal: stop.signal,
      tools: { after: timers.after },
    });
    for (let n = 0; n < 1_003; n++) open(`${n}`);
    expect(timers.count()).toBe(0);
    await timers.waiting(30_000);
    expect(told("a hook is too slow").map(({ fields }) => fields["events"])).toEqual([3]);
    stop.abort();
    await hooks.stop();
    expect(told("events were not delivered").map(({ fields }) => fields["events"])).toEqual([1_000]);
  });

  test("a streak of failures is told once, with what the program said, and so is its end", async () => {
    await using directory = await temporaryDirectory();
    const good = join(directory.path, "good");
    const hook = program(`test $HATCHWAY_SEQ = 3 && exit 0; echo "cannot: $HATCHWAY_SEQ" >&2; exit 7`);
    const other = program(`echo $HATCHWAY_SEQ >> ${good}`, { label: "other" });
    const { hooks, open } = await started({ hooks: [hook, other] });
    for (const id of ["a", "b", "c", "d"]) open(id);
    await hooks.stop();
    expect(lines.map(({ level, message, fields }) => [level, message.split(";")[0], fields])).toEqual([
      ["warning", "a hook fails", { hook: "test", message: "The program ended with code 7." }],
      ["info", "a hook wrote", { hook: "test", line: "cannot: 1" }],
      ["info", "a hook works again", { hook: "test", failed: 2 }],
      ["warning", "a hook fails", { hook: "test", message: "The program ended with code 7." }],
      ["info", "a hook wrote", { hook: "test", line: "cannot: 4" }],
    ]);
    expect(await readFile(good, "utf8")).toBe("1\n2\n3\n4\n");
  });

  test("what it writes is in the log, without secrets, line by line and bounded", async () => {
    const pem = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAw\\n-----END PRIVATE KEY-----";
    const script = `printf 'one\\n${pem}\\n\\033[2Jtwo\\n'; for n in $(seq 100); do echo "more $n"; done; printf '%01000d\\n' 0`;
    const { hooks, open } = await started({ hooks: [program(script)] });
    open("a");
    await hooks.stop();
    const written = told("a hook wrote").map(({ fields }) => String(fields["line"]));
    expect(written.slice(0, 3)).toEqual(["one", "(hidden)", "\u001b[2Jtwo"]);
    expect(written.at(-1)).toBe("(it wrote more, which is left out)");
    expect(written).toHaveLength(21);
    expect(written.join()).not.toContain("MC4CAQAw");
  });

  test("a program that cannot be started is said with what to do", async () => {
    const { hooks, open } = await started({ hooks: [program("", { argv: ["/no/such/program"] })] });
    open("a");
    await hooks.stop();
    expect(told("a hook fails")[0]?.fields["message"]).toContain("There is no program /no/such/program");
  });

  test("one that hangs is ended after its time, and the next event goes on", async () => {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, "out");
    const timers = new ManualTimers();
    const hook = program(`test $HATCHWAY_SEQ = 1 && sleep 1000; echo $HATCHWAY_SEQ >> ${out}`);
    const { hooks, open } = await started({ hooks: [hook], tools: { after: timers.after } });
    open("a");
    open("b");
    await timers.fire(30_000);
    await hooks.stop();
    expect(await readFile(out, "utf8")).toBe("2\n");
    expect(told("a hook fails")[0]?.fields["message"]).toBe("The program was ended: it ran longer than 30 s.");
    expect(told("a hook works again")).toHaveLength(1);
  });

  test("so many at once and no more, all hooks together", async () => {
    const timers = new ManualTimers();
    const all = Array.from({ length: 7 }, (_, n) => program("sleep 1000", { label: `hook ${n}` }));
    const { hooks, open } = await started({ hooks: all, tools: { after: timers.after } });
    open("a");
    // Each program that runs has its timeout set.
    await timers.waiting(30_000, 4);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(timers.count(30_000)).toBe(4);
    await timers.fire(30_000);
    await timers.waiting(30_000, 3);
    await timers.fire(30_000);
    await hooks.stop();
    expect(told("a hook fails")).toHaveLength(7);
  });

  test("a stop waits a bounded time, ends what runs and tells what was not delivered", async () => {
    const timers = new ManualTimers();
    const { hooks, open } = await started({ hooks: [program("sleep 1000")], tools: { after: timers.after } });
    for (const id of ["a", "b", "c"]) open(id);
    const stopped = hooks.stop();
    // The program runs when its timeout is set.
    await timers.waiting(30_000);
    await timers.fire(5_000);
    await stopped;
    expect(told("events were not delivered").map(({ fields }) => fields["events"])).toEqual([3]);
  });

  test("the signal ends everything", async () => {
    const stop = new AbortController();
    const timers = new ManualTimers();
    const { hooks, open } = await started({
      hooks: [program("sleep 1000")],
      signal: stop.signal,
      tools: { after: timers.after },
    });
    open("a");
    await timers.waiting(30_000);
    stop.abort();
    open("b");
    await hooks.stop();
    expect(timers.count()).toBe(0);
  });
});

interface Heard {
  readonly headers: Headers;
  readonly body: string;
}

/** A receiver on loopback that answers what the test says. */
function receiver(answer: (heard: Heard, count: number) => Response | Promise<Response>) {
  const heard: Heard[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const one = { headers: request.headers, body: await request.text() };
      heard.push(one);
      return answer(one, heard.length);
    },
  });
  return { heard, url: `http://127.0.0.1:${server.port}/hook`, [Symbol.asyncDispose]: () => server.stop(true) };
}

describe("webhooks", () => {
  test("the event as JSON, its id, and a signature over the time and the body", async () => {
    await using directory = await temporaryDirectory();
    const keyFile = join(directory.path, "key");
    await writeFile(keyFile, "sixteen letters!\nmore\n", { mode: 0o600 });
    await using to = receiver(() => new Response("thanks"));
    const { hooks, log, open } = await started({ hooks: [webhook(to.url, { keyFile })] });
    open("a");
    open("b");
    await hooks.stop();
    expect(to.heard.map(({ body }) => JSON.parse(body))).toEqual([...log.since(0).events]);
    const [first] = to.heard;
    expect(first?.headers.get("content-type")).toBe("application/json");
    expect(first?.headers.get("hatchway-event-id")).toBe("run-1");
    expect(first?.headers.get("hatchway-signature")).toBe(
      signature("sixteen letters!", NOW_MS / 1_000, first?.body ?? ""),
    );
    expect(lines).toEqual([]);
  });

  test("the signature is HMAC-SHA256 as openssl makes it", () => {
    const made = signature("sixteen letters!", 1_700_000_000, '{"v":1}');
    const openssl = Bun.spawnSync(["openssl", "dgst", "-sha256", "-hmac", "sixteen letters!"], {
      stdin: Buffer.from('1700000000.{"v":1}'),
    });
    expect(made).toBe(`t=1700000000,v1=${openssl.stdout.toString().trim().split(" ").at(-1)}`);
  });

  test("no key, no signature", async () => {
    await using to = receiver(() => new Response());
    const { hooks, open } = await started({ hooks: [webhook(to.url)] });
    open("a");
    await hooks.stop();
    expect(to.heard[0]?.headers.has("hatchway-signature")).toBe(false);
  });

  test.each<[string, string, number | null]>([
    ["others may read the key", "sixteen letters!\n", 0o644],
    ["the key is short", "short\n", 0o600],
    ["there is no key", "", null],
  ])("no start: %s", async (_what, text, mode) => {
    await using directory = await temporaryDirectory();
    const keyFile = join(directory.path, "key");
    if (mode !== null) await writeFile(keyFile, text, { mode });
    const starting = started({ hooks: [webhook("http://127.0.0.1:9/", { keyFile })] });
    const error = await starting.then(
      () => null,
      (error: Error) => error,
    );
    expect(error).toMatchObject({ kind: "usage" });
    expect(error?.message).not.toContain("letters");
  });

  test("it is tried again with growing pauses, in order, and its trouble is told once", async () => {
    const timers = new ManualTimers();
    await using to = receiver((_heard, count) => new Response(null, { status: count <= 3 ? 503 : 200 }));
    const { hooks, open } = await started({ hooks: [webhook(to.url)], tools: { after: timers.after } });
    open("a");
    open("b");
    for (const ms of [1_000, 2_000, 4_000]) await timers.fire(ms);
    await hooks.stop();
    expect(to.heard.map(({ headers }) => headers.get("hatchway-event-id"))).toEqual([
      "run-1",
      "run-1",
      "run-1",
      "run-1",
      "run-2",
    ]);
    expect(told("a hook fails").map(({ fields }) => fields["message"])).toEqual([
      "The receiver answered with status 503.",
    ]);
    expect(told("a hook works again")).toHaveLength(1);
  });

  test.each<[number]>([[302], [400], [410]])("status %d ends the tries for that event", async (status) => {
    await using elsewhere = receiver(() => new Response());
    await using to = receiver(() => new Response(null, { status, headers: { location: elsewhere.url } }));
    const { hooks, open } = await started({ hooks: [webhook(to.url)] });
    open("a");
    open("b");
    await hooks.stop();
    expect(to.heard.map(({ headers }) => headers.get("hatchway-missed"))).toEqual(["0", "1"]);
    expect(elsewhere.heard).toEqual([]);
    expect(told("a hook fails")[0]?.fields["message"]).toBe(`The receiver answered with status ${status}.`);
  });

  test("tries are bounded", async () => {
    const timers = new ManualTimers();
    await using to = receiver(() => new Response(null, { status: 500 }));
    const { hooks, open } = await started({
      hooks: [webhook(to.url)],
      tools: { after: timers.after, random: () => 0 },
    });
    open("a");
    for (let attempt = 1; attempt < WEBHOOK_ATTEMPTS; attempt++) await timers.fire(0);
    await hooks.stop();
    expect(to.heard).toHaveLength(WEBHOOK_ATTEMPTS);
  });

  test("a receiver that does not answer costs its timeout", async () => {
    const timers = new ManualTimers();
    const asked = Promise.withResolvers<void>();
    await using to = receiver((_heard, count) => {
      asked.resolve();
      return count === 1 ? new Promise(() => {}) : new Response();
    });
    const { hooks, open } = await started({ hooks: [webhook(to.url)], tools: { after: timers.after } });
    open("a");
    await asked.promise;
    await timers.fire(10_000);
    await timers.fire(1_000);
    await hooks.stop();
    expect(told("a hook fails")[0]?.fields["message"]).toBe("The receiver did not answer within 10 s.");
    expect(to.heard).toHaveLength(2);
  });

  test("an answer without an end is not read", async () => {
    let sent = 0;
    await using to = receiver(
      () =>
        new Response(
          new ReadableStream({
            pull(stream) {
              sent += 65_536;
              stream.enqueue(new Uint8Array(65_536));
            },
          }),
        ),
    );
    const { hooks, open } = await started({ hooks: [webhook(to.url)] });
    open("a");
    await hooks.stop();
    expect(lines).toEqual([]);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  test("a receiver with a certificate that nobody vouches for is told nothing", async () => {
    const { rogue } = await certificateZoo();
    let heard = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: rogue.certificatePem, key: rogue.keyPem },
      fetch: () => {
        heard++;
        return new Response();
      },
    });
    const { hooks, open } = await started({
      hooks: [webhook(`https://localhost:${server.port}/`)],
      tools: { random: () => 0 },
    });
    open("a");
    await hooks.stop();
    await server.stop(true);
    expect(heard).toBe(0);
    expect(told("a hook fails")[0]?.fields["message"]).toBe(
      "The receiver was not reached (UNABLE_TO_VERIFY_LEAF_SIGNATURE).",
    );
  });

  test("nobody there: told without the URL, which may be a secret", async () => {
    const timers = new ManualTimers();
    const gone = receiver(() => new Response());
    await gone[Symbol.asyncDispose]();
    const { hooks, open } = await started({ hooks: [webhook(`${gone.url}/s3cr3t`)], tools: { after: timers.after } });
    open("a");
    const stopped = hooks.stop();
    await timers.waiting(1_000);
    await timers.fire(5_000);
    await stopped;
    expect(told("events were not delivered").map(({ fields }) => fields["events"])).toEqual([1]);
    expect(told("a hook fails")[0]?.fields["message"]).toMatch(/^The receiver was not reached \(\w+\)\.$/);
    expect(JSON.stringify(lines)).not.toContain("s3cr3t");
  });
});
