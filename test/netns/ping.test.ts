import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseJson } from "./child.ts";
import { AGENT_PORT, command, type Home, joinCode, newHome, open, run, startAgent, startRelay } from "./hatchway.ts";
import { startDelay, startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

setDefaultTimeout(60_000);

/** `ping` beside a wire that a test makes slow: 10 ms each way, so that a round trip takes 20 ms more. */
const DELAY_MS = 10;
/**
 * Of the difference of the fastest. The delay's timers and this busy machine add to 20 ms; a measure that misses the
 * slow line has about 0, and one that crosses it twice has 40.
 */
const ONE_ROUND_TRIP = { min: 17, max: 38 };
const MAX_ROUNDS = 4;
const SLOW_LINE_PORT = 7799;
const ECHO_PORT = 7001;
const SLOW_SERVICE_PORT = 7002;
const UDP_PORT = 7003;
const PUBLIC_PORT = 17001;
/** `*` means public addresses; the lab's own are documentation's. */
const RELAY_TOML = `[relay]\nallow = ["203.0.113.0/24", "2001:db8:113::/64"]\n`;
const AGENT_TOML = `[agent]\nrelay = "127.0.0.1:${SLOW_LINE_PORT}"\n`;
/** What this machine sends to the slow service takes the slow line; what the relay sends there does not. */
const DETOUR = (address: string) => `
table ip detour {
  chain output { type nat hook output priority -100; ip daddr ${address} tcp dport ${SLOW_SERVICE_PORT} redirect to :7798; }
}
`;

interface Summary {
  readonly addedMs: number | null;
  readonly character: string;
  readonly verdict: string;
  readonly paths: readonly {
    readonly path: string;
    readonly measure: string;
    readonly lost: number;
    readonly medianMs: number;
    readonly minMs: number;
  }[];
}

let lab: Lab;
let agentHome: Home;

beforeAll(async () => {
  lab = createLab();
  const relayHome = newHome(lab, lab.relay, RELAY_TOML);
  agentHome = newHome(lab, lab.agent, AGENT_TOML);
  await startRelay(lab, relayHome);
  await startDelay(lab, lab.agent, SLOW_LINE_PORT, lab.relay.v4, AGENT_PORT, DELAY_MS);
  await startAgent(lab, agentHome, await joinCode(lab, relayHome, "attic"));
  const services = [`echo:tcp:${ECHO_PORT}`, `echo:tcp:${SLOW_SERVICE_PORT}`, `echo:udp:${UDP_PORT}`];
  await startService(lab, lab.visitor, ...services);
  await startService(lab, lab.agent, `echo:tcp:${ECHO_PORT}`, `echo:udp:${UDP_PORT}`);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function ping(...args: readonly string[]): Promise<Summary> {
  const settings = ["--json", "--count", "15", "--interval", "80ms"];
  const { exitCode, stdout, stderr } = await run(lab, agentHome, "ping", ...args, ...settings);
  const summary = parseJson(stdout.split("\n").at(-1) ?? "");
  if (exitCode !== 0 || summary?.["event"] !== "summary") {
    throw new Error(`ping ${args.join(" ")}: exit code ${exitCode}\n${stdout}\n${stderr}`);
  }
  return summary as unknown as Summary;
}

/** Measured again while a busy machine has its part in it: what is measured wrong is so each time. */
async function oneRoundTrip(args: readonly string[], sign: 1 | -1 = 1): Promise<Summary> {
  for (let round = 1; ; round++) {
    const found = await ping(...args);
    const [direct, forwarded] = found.paths;
    const addedMs = sign * (found.addedMs ?? 0);
    // The fastest probes have not in them what a busy machine adds; the medians have it, to either.
    const fastestMs = sign * ((forwarded?.minMs ?? 0) - (direct?.minMs ?? 0));
    const isOne = addedMs > DELAY_MS && fastestMs > ONE_ROUND_TRIP.min && fastestMs < ONE_ROUND_TRIP.max;
    if (!isOne && round < MAX_ROUNDS) continue;
    expect(addedMs).toBeGreaterThan(DELAY_MS);
    expect(fastestMs).toBeGreaterThan(ONE_ROUND_TRIP.min);
    expect(fastestMs).toBeLessThan(ONE_ROUND_TRIP.max);
    expect(found.paths.map(({ lost }) => lost)).toEqual([0, 0]);
    expect(found.character).not.toBe("lossy");
    return found;
  }
}

describe("the tunnel's line is slow: the forwarded path takes a round trip of it more", () => {
  test("to a host, until it is connected", async () => {
    const found = await oneRoundTrip([`${lab.visitor.v4}:${ECHO_PORT}`]);
    expect(found.verdict).toStartWith("The forwarded path adds ");
    expect(found.paths.map(({ measure }) => measure)).toEqual(["connect", "connect"]);
  }, 30_000);

  test("to a host by its name and IPv6, by a payload", async () => {
    const found = await oneRoundTrip([`visitor6.test:${ECHO_PORT}`, "--payload", "hello"]);
    expect(found.paths.map(({ measure }) => measure)).toEqual(["answer", "answer"]);
  }, 30_000);

  test("to a host by datagrams", async () => {
    await oneRoundTrip([`${lab.visitor.v4}:${UDP_PORT}/udp`]);
  }, 30_000);

  test("to a forward of its own: from the agent, and around by the public port", async () => {
    await using _ = await open(lab, agentHome, "expose", `${ECHO_PORT}`, "--as", `${PUBLIC_PORT}`, "--name", "echo");
    for (const target of ["echo", `${PUBLIC_PORT}`]) {
      const found = await oneRoundTrip([target]);
      expect(found.paths.map(({ measure }) => measure)).toEqual(["sign", "sign"]);
    }
    await oneRoundTrip(["echo", "--payload", "hello"]);
  }, 60_000);
});

test("the direct line is slow: the forwarded path is faster by a round trip of it", async () => {
  await startDelay(lab, lab.agent, 7798, lab.visitor.v4, ECHO_PORT, DELAY_MS * 2);
  const nft = ["sh", "-c", `printf '%s' "$1" | nft -f -`, "sh", DETOUR(lab.visitor.v4)];
  expect(await lab.exec(lab.agent, nft)).toMatchObject({ exitCode: 0 });
  // Direct 40 ms, forwarded 20 ms. A redirected connection is made at once: only a payload sees the line behind it.
  const found = await oneRoundTrip([`${lab.visitor.v4}:${SLOW_SERVICE_PORT}`, "--payload", "hello"], -1);
  expect(found.verdict).toContain("faster than the direct one");
}, 30_000);

test("on a terminal the plot shows it: the solid line of the forwarded path above the dotted one", async () => {
  const words = command(agentHome, "ping", `${lab.visitor.v4}:${ECHO_PORT}`, "--interval", "50ms");
  const shell = `stty cols 100 rows 40; exec ${words.map((word) => `'${word}'`).join(" ")}`;
  const { stdout } = await lab.exec(lab.agent, ["script", "-qec", shell, "/dev/null"]);
  const rows = stdout.split("\n").map((line) => {
    const bits = [...line].map((sign) => (sign.codePointAt(0) ?? 0) - 0x2800).filter((bit) => bit > 0 && bit < 0x100);
    // Dots 4, 5, 6 and 8 are a cell's right column, which only the solid line has.
    return { dotted: bits.some((bit) => (bit & 0xb8) === 0), solid: bits.some((bit) => (bit & 0xb8) !== 0) };
  });
  const legend = rows.findIndex(
    ({ dotted, solid }, at) => dotted && solid && stdout.split("\n")[at]?.includes("direct"),
  );
  const plot = rows.slice(0, legend);
  const lowestSolid = plot.findLastIndex(({ solid }) => solid);
  const highestDotted = plot.findIndex(({ dotted }) => dotted);
  expect(lowestSolid).toBeGreaterThan(0);
  expect(highestDotted).toBeGreaterThan(lowestSolid);
  expect(stdout).toContain("ms");
}, 30_000);

describe("exit codes", () => {
  test.each([
    ["3: the relay forbids it", ["192.0.2.1:80"], 3, "to allow under [relay]"],
    ["4: another agent is away", [`203.0.113.10:${ECHO_PORT}`, "--via", "agent:cellar"], 4, "is not connected"],
    ["1: nothing listens", ["203.0.113.10:7099", "--count", "2"], 1, "answered nothing (connection refused)"],
    ["2: no such forward", ["nobody"], 2, "is no forward's"],
  ] as const)(
    "%s",
    async (_name, args, code, words) => {
      const { exitCode, stderr } = await run(lab, agentHome, "ping", ...args, "--timeout", "500ms");
      expect([exitCode, stderr]).toEqual([code, expect.stringContaining(words)]);
    },
    20_000,
  );

  test("4: no relay, from a process that has no agent beside it", async () => {
    const alone = newHome(lab, lab.other, `[agent]\nrelay = "127.0.0.1:1"\n`);
    const joined = await lab.exec(lab.other, ["cp", "-r", agentHome.data, alone.data]);
    expect(joined.exitCode).toBe(0);
    const { exitCode, stderr } = await run(lab, alone, "ping", `${lab.visitor.v4}:${ECHO_PORT}`);
    expect([exitCode, stderr]).toEqual([4, expect.stringContaining("The relay could not be reached")]);
  }, 20_000);
});
