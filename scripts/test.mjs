// Runs every check and ends with one line, `N passed, N failed` (`, N skipped`). `node scripts/test.mjs [STEP]…` runs
// only the named steps. Plain Node: it also reports that Bun itself does not start.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BUN = "node_modules/.bin/bun";
const isRoot = process.getuid?.() === 0;

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

const STEPS = [
  { name: "types", argv: ["node_modules/.bin/tsc", "--noEmit"], count: whole },
  // What runs in a browser is checked by itself: it has the browser's names, and the rest has not.
  { name: "console-types", argv: ["node_modules/.bin/tsc", "--noEmit", "-p", "src/console"], count: whole },
  { name: "lint", argv: ["node_modules/.bin/biome", "check", "."], count: whole },
  {
    name: "unit",
    argv: [BUN, "test", "--only-failures", "./src", "./test", "./bench", "--path-ignore-patterns=test/netns/**"],
    count: bunTest,
  },
  { name: "fuzz", argv: [BUN, "test/fuzz/run.ts", "--seconds", "10", "--seed", "1"], count: whole },
  { name: "netns", argv: [BUN, "test", "./test/netns"], count: netnsTest },
];

/** @returns {Promise<Count>} */
function run({ name, argv, count }) {
  const [program, ...args] = argv;
  process.stdout.write(`\n== ${name}: ${argv.join(" ")}\n`);
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
        process.stdout.write(text);
      });
    }
    child.on("error", (error) => {
      process.stdout.write(`${program} does not start: ${error.message}\n`);
      resolve({ passed: 0, failed: 1, skipped: 0 });
    });
    child.on("close", (exitCode) => {
      const result = count(output, exitCode);
      process.stdout.write(`== ${name}: ${sentence(result)} in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
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

/** @type {Count} */
const total = { passed: 0, failed: 0, skipped: 0 };
for (const step of STEPS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const result = await run(step);
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped += result.skipped;
}
process.stdout.write(`\n${sentence(total)}\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
