// Runs every check and ends with one line, `N passed, N failed` (`, N skipped`). `node scripts/test.mjs [STEP]…` runs
// only the named steps. Plain Node: it also reports that Bun itself does not start.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BUN = "node_modules/.bin/bun";
const isRoot = process.getuid?.() === 0;

/** How much is told again of one failure. */
const FAILURE_LINES = 50;

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** One check that passes or fails as a whole. */
const whole = (_output, exitCode) => ({ passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 });

/** The summary of `bun test`: ` 12 pass`, ` 1 skip`, ` 2 todo`, ` 0 fail`, ` 1 error`, each on a line. */
function bunTest(output, exitCode) {
  const count = (word) => Number(output.match(new RegExp(`^\\s*(\\d+) ${word}s?$`, "m"))?.[1] ?? 0);
  const failed = count("fail") + count("error");
  const crashed = exitCode !== 0 && failed === 0;
  return { passed: count("pass"), failed: failed + (crashed ? 1 : 0), skipped: count("skip") + count("todo") };
}

/** As root there is no reason to leave out a network scenario. */
function netnsTest(output, exitCode) {
  const count = bunTest(output, exitCode);
  return isRoot ? { ...count, failed: count.failed + count.skipped, skipped: 0 } : count;
}

const NETNS = readdirSync(`${ROOT}test/netns`).filter((file) => file.endsWith(".test.ts"));
/**
 * Scenarios that wait most of their time: for what does not answer, for leases and handshakes to end, for programs to
 * start. One after another they take 1,400 s: five lanes have some 280 each. Each has namespaces and folders of its own, so
 * that any may stand in any lane. The others measure, load or time, and run alone.
 */
const LANES = [
  "check doctor expose recovery",
  "check-router docs map router-forged router-igd",
  `console gateway-console gateway-docs gateway-network gateway-pages gateway-triggers library library-docs readme
   router-console ssh-console stun`,
  `gateway gateway-apps gateway-hooks gateway-igd gateway-metrics gateway-relay gateway-rights gateway-scan gateway-start
   gateway-visits gateway-vpn home-lab igd-server nat-conntrack nat-firewalls nat-plane nat-plane-reconcile
   nat-plane-triggers portmap-server proxy-in proxy-own`,
  `executable gateway-crash names router router-portmap router-two service service-gateway trust upgrade upgrade-asks
   upgrade-ssh vpn-interface`,
].map((names) => names.split(/\s+/));
/** Half of the tests from end to end, by what they take: most of these start programs again and again. */
const E2E_1 = "acme backup bundle log-format names-acme output release roles-remote secrets store-kill"
  .split(" ")
  .map((name) => `e2e/${name}.test.ts`);
const e2eTests = (first) =>
  readdirSync(`${ROOT}test`, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts") && !/^(netns|console)\//.test(file) && E2E_1.includes(file) === first)
    .map((file) => `./test/${file}`);
/** Half of the console's scenarios, by what they take. */
const CONSOLE_1 = ["first-run", "gateway", "pages", "safety", "ssh"].map((name) => `${name}.test.ts`);
const CONSOLE_TIMES = "scale.test.ts";
const consoleTests = (first) =>
  readdirSync(`${ROOT}test/console`)
    .filter((file) => file.endsWith(".test.ts") && file !== CONSOLE_TIMES && CONSOLE_1.includes(file) === first)
    .map((file) => `./test/console/${file}`);
/** Null = it runs alone. */
const laneOf = (file) => {
  const lane = LANES.findIndex((names) => names.includes(file.replace(".test.ts", "")));
  return lane < 0 ? null : lane;
};
/** For what hangs: a busy machine may take its time. A test that needs longer says so. */
const TIMEOUT = "--timeout=20000";
const netns = (files) => [BUN, "test", TIMEOUT, ...files.map((file) => `./test/netns/${file}`)];

const bun = (...args) => [BUN, "test", TIMEOUT, "--only-failures", ...args];

/** Steps next to one another with the same `together` run at the same time. */
const STEPS = [
  { name: "types", argv: ["node_modules/.bin/tsc", "--noEmit"], count: whole, together: "checks" },
  // What runs in a browser is checked by itself: it has the browser's names, and the rest has not.
  {
    name: "console-types",
    argv: ["node_modules/.bin/tsc", "--noEmit", "-p", "src/console"],
    count: whole,
    together: "checks",
  },
  { name: "lint", argv: ["node_modules/.bin/biome", "check", "."], count: whole, together: "checks" },
  // Each waits about half of its time.
  { name: "unit", argv: bun("./src", "./bench"), count: bunTest, together: "unit" },
  { name: "e2e-1", argv: bun(...e2eTests(true)), count: bunTest, together: "unit" },
  { name: "e2e-2", argv: bun(...e2eTests(false)), count: bunTest, together: "unit" },
  // Two browsers at once take three quarters of the time of one after the other; with anything else beside them pages wait too long.
  { name: "console-1", argv: bun(...consoleTests(true)), count: bunTest, together: "console" },
  { name: "console-2", argv: bun(...consoleTests(false)), count: bunTest, together: "console" },
  // It times pages in a browser.
  { name: "console-times", argv: bun(`./test/console/${CONSOLE_TIMES}`), count: bunTest },
  // Beside those that wait: one core, for half a minute.
  {
    name: "fuzz",
    argv: [BUN, "test/fuzz/run.ts", "--seconds", "10", "--seed", "1"],
    count: whole,
    together: "waiting",
  },
  ...LANES.map((_, lane) => ({
    name: `netns-waiting-${lane + 1}`,
    argv: netns(NETNS.filter((file) => laneOf(file) === lane)),
    count: netnsTest,
    together: "waiting",
  })),
  { name: "netns", argv: netns(NETNS.filter((file) => laneOf(file) === null)), count: netnsTest },
];

/**
 * What to read of a failed step: each failed test with what was printed before it, since the test before it; of a step
 * without tests, its end. A log that is kept by its last lines must still say what failed.
 */
function failures(output) {
  const lines = output.split("\n");
  const summary = lines.findIndex((line) => /^\d+ tests? failed:$/.test(line));
  const tests = summary < 0 ? lines : lines.slice(0, summary);
  const told = [];
  for (const [at, line] of tests.entries()) {
    if (!line.startsWith("(fail) ")) continue;
    const before = tests.slice(Math.max(0, at - FAILURE_LINES), at);
    const last = before.findLastIndex((other) => /^\((pass|fail|skip|todo)\) /.test(other));
    const after = tests[at + 1]?.startsWith("  ^ ") ? [tests[at + 1]] : [];
    told.push(...before.slice(last + 1), line, ...after);
  }
  return (told.length > 0 ? told : lines.slice(-FAILURE_LINES)).join("\n").trim();
}

/** Steps that run at the same time are told one after another. @returns {Promise<Count>} */
function run({ name, argv, count, together }) {
  const [program, ...args] = argv;
  let told = `\n== ${name}: ${argv.join(" ")}\n`;
  const tell = (text) => {
    told += text;
    if (together === undefined) flush();
  };
  const flush = () => {
    process.stdout.write(told);
    told = "";
  };
  if (together === undefined) flush();
  const startedMs = Date.now();
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
        tell(text);
      });
    }
    child.on("error", (error) => {
      const sentence = `${program} does not start: ${error.message}`;
      tell(`${sentence}\n`);
      flush();
      failed.push({ name, told: sentence });
      resolve({ passed: 0, failed: 1, skipped: 0 });
    });
    child.on("close", (exitCode) => {
      const result = count(output, exitCode);
      tell(`== ${name}: ${sentence(result)} in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
      flush();
      if (result.failed > 0) failed.push({ name, told: failures(output) });
      resolve(result);
    });
  });
}

/** @param {Count} count */
function sentence({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

const names = process.argv.slice(2);
const unknown = names.find((name) => !STEPS.some((step) => step.name === name));
if (unknown !== undefined) {
  process.stderr.write(`unknown step "${unknown}"; the steps are ${STEPS.map((step) => step.name).join(", ")}.\n`);
  process.exit(2);
}

/** @type {{ name: string, told: string }[]} */
const failed = [];
/** @type {Count} */
const total = { passed: 0, failed: 0, skipped: 0 };
const add = (result) => {
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped += result.skipped;
};
const wanted = STEPS.filter(({ name }) => names.length === 0 || names.includes(name));
let running = [];
for (const [at, step] of wanted.entries()) {
  running.push(run(step));
  const isLast = step.together === undefined || wanted[at + 1]?.together !== step.together;
  if (!isLast) continue;
  for (const result of await Promise.all(running)) add(result);
  running = [];
}
for (const { name, told } of failed) process.stdout.write(`\n== failed in ${name}:\n${told}\n`);
process.stdout.write(`\n${sentence(total)}\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
