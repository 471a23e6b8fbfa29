import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRoles } from "../../test/fixtures/no-roles.ts";
import { DEFAULT_OPTIONS } from "../core/forward.ts";
import type { ForwardInfo, ForwardSpec, PingEvent, PingRequest, StartPing } from "../roles/control.ts";
import { FakeAgent } from "../servers/local/fake-control.ts";
import { serveAgentControl } from "../servers/local/server.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-ping-"));
const withAgent = join(root, "with");
const without = join(root, "without");
const agent = new FakeAgent();
const server = serveAgentControl(agent, { path: join(withAgent, "agent.sock"), onUnexpected: () => {} });
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  agent.pings.length = 0;
  agent.pinged = { direct: 1, forwarded: 21 };
});

interface World {
  readonly data?: string;
  readonly terminal?: boolean;
  readonly columns?: number;
  readonly env?: Record<string, string>;
  readonly startPing?: StartPing;
  readonly stop?: AbortSignal;
}

/** `args`: what stands behind `ping`, split at spaces. */
async function ping(args: string | readonly string[], world: World = {}) {
  let [out, err] = ["", ""];
  const here: PingRequest[] = [];
  const io: Io = {
    env: world.env ?? {},
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stdin: async () => "",
    isTerminal: world.terminal ?? false,
    columns: world.columns ?? 80,
    isRoot: false,
    stop: world.stop ?? new AbortController().signal,
    stopNow: new AbortController().signal,
    onHangup: () => () => {},
    startLog: async () => {},
    roles: noRoles({
      ping: async () => (request, signal) => {
        here.push(request);
        return world.startPing?.(request, signal) ?? agent.ping(request);
      },
    }),
  };
  const words = typeof args === "string" ? args.split(" ") : args;
  const code = await runProgram(["ping", ...words, "--data", world.data ?? withAgent], io);
  return { code, out, err, here };
}

function remote(id: string, name: string, port: number, protocols: readonly ("tcp" | "udp")[] = ["tcp"]): ForwardSpec {
  const ports = protocols.map((protocol) => ({ protocol, first: port, last: port + 5, internalFirst: 80 }));
  const options = { group: null, options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: 600 };
  return { kind: "remote", to: "127.0.0.1", remote: { id, name, ports, ...options } };
}

describe("what is asked", () => {
  const settings = { only: null, payload: null, count: 10, intervalMs: 200, timeoutMs: 2_000 };
  const db = { kind: "host", host: "db", port: 5432, protocol: "tcp" } as const;
  for (const { args, asked } of [
    { args: "db:5432", asked: { ...settings, target: db, via: { kind: "relay" } } },
    { args: "db:5432/udp", asked: { ...settings, target: { ...db, protocol: "udp" }, via: { kind: "relay" } } },
    {
      args: "db:5432 --via agent:office",
      asked: { ...settings, target: db, via: { kind: "agent", device: "office" } },
    },
    {
      args: "db:5432 --count 3 --interval 0.05s --timeout 500ms --only forwarded --payload hex:fffe",
      asked: {
        target: db,
        via: { kind: "relay" },
        only: "forwarded",
        payload: "//4=",
        count: 3,
        intervalMs: 50,
        timeoutMs: 500,
      },
    },
  ]) {
    test(args, async () => {
      await ping(args);
      expect(agent.pings).toEqual([asked as PingRequest]);
    });
  }

  for (const { args, via } of [
    { args: "db:5432 --only direct", via: null },
    {
      args: "db:5432 --via socks5://127.0.0.1:1080",
      via: { kind: "socks5", proxy: { host: "127.0.0.1", port: 1080 } },
    },
  ]) {
    test(`${args} needs no agent`, async () => {
      const { code, here } = await ping(args, { data: without });
      expect([code, agent.pings.length]).toEqual([0, 1]);
      expect(here).toMatchObject([{ target: db, via }]);
    });
  }
});

describe("a forward", () => {
  const known = [
    remote("remote/web", "web", 8_000),
    remote("remote/game", "game", 9_000, ["tcp", "udp"]),
    remote("remote/odd", "8000:80", 7_000, ["udp"]),
    remote("a", "twin", 6_000),
    remote("b", "twin", 6_100),
  ];
  for (const { name, target } of [
    { name: "web", target: { id: "remote/web", port: 8_000, protocol: "tcp" } },
    { name: "remote/web", target: { id: "remote/web", port: 8_000, protocol: "tcp" } },
    { name: "8003", target: { id: "remote/web", port: 8_003, protocol: "tcp" } },
    { name: "game", target: { id: "remote/game", port: 9_000, protocol: "tcp" } },
    { name: "game/udp", target: { id: "remote/game", port: 9_000, protocol: "udp" } },
    { name: "9002/udp", target: { id: "remote/game", port: 9_002, protocol: "udp" } },
    { name: "8000:80", target: { id: "remote/odd", port: 7_000, protocol: "udp" } },
  ]) {
    test(`by ${name}`, async () => {
      for (const spec of known) await agent.addForward(spec);
      expect((await ping([name])).code).toBe(0);
      expect(agent.pings).toMatchObject([{ target: { kind: "forward", ...target }, via: null } as PingRequest]);
    });
  }

  for (const { args, code, words } of [
    { args: "nobody", code: 2, words: '"nobody" is no forward\'s: see `hatchway forward ls`' },
    { args: "1234", code: 2, words: "Port 1234 is no forward's" },
    { args: "web/udp", code: 2, words: 'The forward "web" has no udp port.' },
    { args: "twin", code: 2, words: 'Several forwards are called "twin": name one by its id (a, b).' },
    { args: "web --via relay", code: 2, words: "A forward leaves by its own way: leave --via out" },
  ]) {
    test(`${args}: exit ${code}`, async () => {
      for (const spec of known) await agent.addForward(spec);
      const found = await ping(args);
      expect([found.code, found.out]).toEqual([code, ""]);
      expect(found.err).toContain(words);
    });
  }

  test.each([
    ["refused", "The port is taken.", 1],
    ["waiting", "The relay is not reachable now.", 4],
  ] as const)("that is %s: its own reason, and the exit code for it", async (state, message, expected) => {
    const info: ForwardInfo = { ...(await agent.addForward(remote("c", "closed", 5_000))).forward, endpoints: [] };
    const list = agent.listForwards.bind(agent);
    agent.listForwards = async () => [{ ...info, state, message }];
    const { code, err } = await ping("closed");
    agent.listForwards = list;
    expect([code, err]).toEqual([expected, `hatchway: The forward "closed" is not open: ${message}\n`]);
  });

  test("without an agent: exit 4", async () => {
    const { code, err } = await ping("web", { data: without });
    expect([code, err]).toEqual([4, expect.stringContaining('"web" is a forward\'s, and no agent runs here: start')]);
  });
});

test.each([
  ["db:5432 --via office", "--via: Write relay, agent:NAME or socks5://HOST:PORT"],
  ["db:5432 --only both", "--only: Write direct or forwarded."],
  ["db:5432 --count 0", "--count: Write a number from 1 to 1000."],
  ["db:5432 --count 1e3", "--count: Write a number from 1 to 1000."],
  ["db:5432 --interval 5ms", "--interval: Write a time from 10ms to 60s"],
  ["db:5432 --timeout 1m", "--timeout: Write a time from 50ms to 10s"],
  ["db:5432 --payload hex:0", "--payload: A byte is two hexadecimal digits"],
  ["2001:db8::7:80", "TARGET: Put the IPv6 address in brackets."],
])("%s: exit 2", async (args, words) => {
  const { code, out, err } = await ping(args);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain(words);
});

describe("the answer", () => {
  test("for programs: a line a probe, and a summary", async () => {
    const { code, out } = await ping("db:5432 --json");
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(code).toBe(0);
    expect(lines.map(({ event, path, seq, ms, lost }) => [event, path, seq, ms, lost])).toEqual([
      ["probe", "direct", 1, 1, null],
      ["probe", "forwarded", 1, 21, null],
      ["probe", "direct", 2, 1, null],
      ["probe", "forwarded", 2, 21, null],
      ["summary", undefined, undefined, undefined, undefined],
    ]);
    const figures = (ms: number) => ({
      ...{ sent: 2, lost: 0, losses: {}, minMs: ms, medianMs: ms, meanMs: ms },
      ...{ p90Ms: ms, p99Ms: ms, maxMs: ms, jitterMs: 0, measure: "connect", to: "db:5432" },
    });
    expect(lines.at(-1)).toEqual({
      event: "summary",
      v: 1,
      target: "db:5432",
      protocol: "tcp",
      paths: [
        { path: "direct", via: "here", ...figures(1) },
        { path: "forwarded", via: "relay", ...figures(21) },
      ],
      addedMs: 20,
      character: "steady",
      verdict: "The forwarded path adds 20.0 ms (median); it is steady.",
    });
  });

  test("off a terminal: ASCII, no cursor movement, no colour, a sentence a line", async () => {
    const { out } = await ping("db:5432", { env: { LANG: "C.UTF-8" } });
    expect(out).toMatch(/^[\x20-\x7e\n]+$/);
    expect(out).toContain("db:5432: direct, and via relay\n");
    expect(out).toContain("\ndirect     2     0     1.00  ");
    expect(out).toContain("\nThe forwarded path adds 20.0 ms (median); it is steady.\n");
  });

  const TERMINAL = { terminal: true, env: { LANG: "en_GB.UTF-8" } };
  const shown = (out: string) => out.slice(out.lastIndexOf("\u001b[2K") + "\u001b[2K".length);
  const plain = (text: string) => Bun.stripANSI(text);

  test.each([40, 60, 80, 120, 200])("on a terminal of %p columns no line wraps", async (columns) => {
    const { out } = await ping("db:5432", { ...TERMINAL, columns });
    const lines = plain(shown(out)).split("\n");
    expect(lines.filter((line) => line.length >= columns)).toEqual([]);
    expect(plain(shown(out))).toMatch(/[\u2801-\u28ff]/);
  });

  test("in a narrow terminal the table stands upright", async () => {
    const { out } = await ping("db:5432", { ...TERMINAL, columns: 40 });
    expect(plain(shown(out))).toContain("ms      direct  forwarded\nsent    2       2\n");
  });

  test("on a terminal: colours for the two paths, unless NO_COLOR is set; ASCII, unless it is UTF-8", async () => {
    // Whether picocolors has colours is the test's own environment's affair where the command does not say so.
    const coloured = await ping("db:5432", TERMINAL);
    expect(shown(coloured.out)).toContain("\u001b[36m");
    expect(shown(coloured.out)).toContain("\u001b[33m");
    const bare = await ping("db:5432", { terminal: true, env: { NO_COLOR: "1", LC_ALL: "C", LANG: "en_GB.UTF-8" } });
    expect(shown(bare.out)).toMatch(/^[\x20-\x7e\n]+$/);
  });

  test("on a terminal a line of progress is written over", async () => {
    const { out } = await ping("db:5432 --count 2", TERMINAL);
    expect(out).toContain("\r\u001b[2K3 of 4 probes: direct 1.00 ms, forwarded 21.0 ms\r\u001b[2K");
  });

  test("with --json a terminal gets lines and nothing else", async () => {
    const { out } = await ping("db:5432 --json", TERMINAL);
    expect(out).not.toContain("\u001b");
  });
});

describe("exit codes", () => {
  test("1 when a path answered nothing: what there is, is shown before", async () => {
    agent.pinged = { direct: null, forwarded: 21 };
    const { code, out, err } = await ping("db:5432");
    expect(code).toBe(1);
    expect(out).toContain("The direct path did not answer (no answer in time). The forwarded path takes 21.0 ms");
    expect(err).toBe(
      "hatchway: The direct path to db:5432 answered nothing (no answer in time): look whether the service runs and its port is open on the way.\n",
    );
  });

  test("0 when the path that did not answer was not asked for", async () => {
    agent.pinged = { direct: null, forwarded: 21 };
    expect((await ping("db:5432 --only forwarded")).code).toBe(0);
  });

  test("1 of a silent UDP service: with a word about the payload", async () => {
    agent.pinged = { direct: null, forwarded: null };
    expect((await ping("db:53/udp")).err).toContain("give a --payload that the service answers");
    expect((await ping("db:53/udp --payload x")).err).not.toContain("--payload");
  });

  test("what the entry hides is said", async () => {
    const accepted: StartPing = async function* (): AsyncGenerator<PingEvent> {
      const path = { via: "here", to: "db:5432" };
      const paths = [
        { ...path, path: "direct" as const, measure: "connect" as const },
        { ...path, path: "forwarded" as const, via: "entry", measure: "accept" as const },
      ];
      yield { event: "started", v: 1, protocol: "tcp", paths };
      yield { event: "probe", v: 1, path: "direct", seq: 1, atMs: 0, ms: 1, lost: null };
      yield { event: "probe", v: 1, path: "forwarded", seq: 1, atMs: 0, ms: 2, lost: null };
    };
    const { code, out } = await ping("db:5432 --only direct", { startPing: accepted });
    expect(code).toBe(0);
    expect(out).toContain("before the service is reached. Give a --payload");
    expect(out).toContain("how long the service behind it takes was not seen");
    expect(out).not.toContain("adds");
  });

  test("0 when a person stops it: what was measured so far is shown", async () => {
    const stop = new AbortController();
    const stopped: StartPing = async function* (): AsyncGenerator<PingEvent> {
      const paths = [{ path: "direct" as const, via: "here", to: "db:5432", measure: "connect" as const }];
      yield { event: "started", v: 1, protocol: "tcp", paths };
      yield { event: "probe", v: 1, path: "direct", seq: 1, atMs: 0, ms: null, lost: "timeout" };
      stop.abort();
    };
    const found = await ping("db:5432 --only direct", { startPing: stopped, stop: stop.signal });
    expect([found.code, found.err]).toEqual([0, ""]);
    expect(found.out).toContain("direct  1     1 ");
  });
});
