// Installs what is missing, and only that: `node scripts/ensure.mjs [--test] [--bench]`. `--bundle` is what npm runs
// after an install and before it packs: nothing is installed then.
// Plain Node without dependencies: it runs before anything is installed. Progress goes to stderr.
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FLAGS = ["--test", "--bench", "--bundle"];
const INHERIT_STDERR = ["ignore", 2, 2];

/** Programs that the tests run, and the Debian package that brings each. A name with a slash is a file, not a program. */
const TEST_PROGRAMS = {
  nft: "nftables",
  ip: "iproute2",
  ss: "iproute2",
  iperf3: "iperf3",
  nginx: "nginx-light",
  "/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream",
  haproxy: "haproxy",
  socat: "socat",
  sshd: "openssh-server",
  ssh: "openssh-client",
  plink: "putty-tools",
  dbclient: "dropbear-bin",
  curl: "curl",
  dig: "dnsutils",
  sysctl: "procps",
  conntrack: "conntrack",
  upnpc: "miniupnpc",
  natpmpc: "natpmpc",
  turnutils_natdiscovery: "coturn",
  wg: "wireguard-tools",
  "wireguard-go": "wireguard-go",
  miniupnpd: "miniupnpd-nftables",
  "iptables-legacy": "iptables",
  python3: "python3",
  "chromium-headless-shell": "chromium-headless-shell",
  pebble: "pebble",
  zsh: "zsh",
  fish: "fish",
  man: "man-db",
  groff: "groff-base",
  "systemd-analyze": "systemd",
};
/** sbin is where Debian keeps nft, nginx and sshd; an ordinary user's PATH lacks it. */
const PROGRAM_DIRECTORIES = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];

function say(sentence) {
  process.stderr.write(`hatchway: ${sentence}\n`);
}

function fail(sentence) {
  say(sentence);
  process.exit(1);
}

/** The packages of a lock file; null when it is absent or no lock file. */
function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? null;
  } catch {
    return null;
  }
}

/**
 * npm writes what it installed to node_modules/.package-lock.json. Comparing content, not times: a checkout changes
 * times without changing packages. Optional packages are those of other platforms.
 */
function packagesAreCurrent(withDev) {
  const wanted = lockedPackages(join(ROOT, "package-lock.json"));
  if (wanted === null) fail("package-lock.json is missing or damaged: check out the repository again.");
  const present = lockedPackages(join(ROOT, "node_modules/.package-lock.json"));
  if (present === null) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "" || entry.optional || entry.devOptional || (entry.dev && !withDev)) return true;
    return present[path]?.version === entry.version && existsSync(join(ROOT, path));
  });
}

function installPackages(withDev) {
  if (packagesAreCurrent(withDev)) return;
  say("installing the npm packages of package-lock.json …");
  const args = ["ci", withDev ? "--include=dev" : "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  const npmCli = process.env.npm_execpath;
  const [program, programArgs] = npmCli?.endsWith(".js") ? [process.execPath, [npmCli, ...args]] : ["npm", args];
  const { status } = spawnSync(program, programArgs, { cwd: ROOT, stdio: INHERIT_STDERR });
  if (status !== 0) fail('"npm ci" failed: see the lines above, and check that the npm registry can be reached.');
}

/** npm ≥ 11.16 may leave out install scripts, and then bun's program is a placeholder that starts with `echo`. */
function bunIsPlaceholder(path) {
  const start = Buffer.alloc(5);
  const file = openSync(path, "r");
  readSync(file, start);
  closeSync(file);
  return start.toString() === "echo ";
}

function ensureBun() {
  const bun = join(ROOT, "node_modules/bun/bin/bun.exe");
  if (existsSync(bun) && !bunIsPlaceholder(bun)) return;
  const installer = join(ROOT, "node_modules/bun/install.js");
  const { status } = spawnSync(process.execPath, [installer], {
    cwd: join(ROOT, "node_modules/bun"),
    stdio: INHERIT_STDERR,
  });
  if (status !== 0) fail("Bun could not be set up: install Bun 1.4.5 or newer yourself and put it on the PATH.");
}

/** npm puts Bun inside this package in a checkout, and most often beside it where it is a dependency. */
function runBun(script) {
  const beside = basename(dirname(ROOT)) === "node_modules" ? [dirname(ROOT)] : [];
  const programs = [join(ROOT, "node_modules"), ...beside].map((folder) => join(folder, "bun/bin/bun.exe"));
  const bun = programs.find((path) => existsSync(path)) ?? "bun";
  return spawnSync(bun, [join(ROOT, script)], { cwd: ROOT, stdio: INHERIT_STDERR }).status === 0;
}

/** Without it the program runs from src, and starts slower. */
function ensureBundle() {
  if (!runBun("scripts/bundle.ts")) say("the program could not be bundled; it runs all the same, and starts slower.");
}

/** Without it the relay's console has no pages. */
function ensureConsole() {
  if (runBun("scripts/console-files.ts") || existsSync(join(ROOT, "dist/console/manifest.json"))) return;
  say("the console's pages could not be built: its API works all the same.");
}

/** What apps on Node import. A package from the registry has it already. */
function ensureLibrary() {
  const bundles = ["dist/hatchway.mjs", "dist/client.mjs"];
  if (runBun("scripts/library.ts") || bundles.every((path) => existsSync(join(ROOT, path)))) return;
  say("the library could not be bundled: apps on Node cannot import it.");
}

/** `man hatchway` after a global install. */
function ensureManPage() {
  if (runBun("scripts/man-page.ts") || existsSync(join(ROOT, "dist/hatchway.1"))) return;
  say("the manual page could not be made: `hatchway man` prints it all the same.");
}

function isThere(program) {
  if (program.startsWith("/")) return existsSync(program);
  return PROGRAM_DIRECTORIES.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return directory !== "";
    } catch {
      return false;
    }
  });
}

function missingDebianPackages() {
  const missing = Object.entries(TEST_PROGRAMS).filter(([program]) => !isThere(program));
  return [...new Set(missing.map(([, name]) => name))];
}

function apt(...args) {
  // RUNLEVEL=1: a package's script starts no service of its own on this machine.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  return spawnSync("apt-get", ["-qq", "-o", "Dpkg::Use-Pty=0", ...args], { env, stdio: INHERIT_STDERR }).status === 0;
}

/** The network scenarios and the console's say themselves, each, what they miss; so what cannot be installed here does not end the run. */
function installTestPrograms() {
  if (process.platform !== "linux") return say("the network scenarios need Linux; they will fail here.");
  const missing = missingDebianPackages();
  if (missing.length === 0) return;
  const list = missing.join(" ");
  if (process.getuid() !== 0) return say(`the network scenarios need root and these Debian packages: ${list}.`);
  if (!isThere("apt-get")) return say(`the network scenarios need the programs of these Debian packages: ${list}.`);
  say(`installing for the tests: ${list} …`);
  if (apt("update") && apt("install", "-y", "--no-install-recommends", ...missing)) return;
  say(`apt-get could not install what the network scenarios need: ${list}.`);
}

/** The library's tests run it on Node; what runs this may be older than the library wants. */
const LIBRARY_NODE = { major: 22, version: "22.23.3", prefix: "node_modules/.cache/hatchway-node" };

function installTestNode() {
  const { platform, arch, versions } = process;
  if (Number(versions.node.split(".")[0]) >= LIBRARY_NODE.major) return;
  const prefix = join(ROOT, LIBRARY_NODE.prefix);
  const name = `${platform === "darwin" && arch === "arm64" ? "node-bin" : "node"}-${platform}-${arch}`;
  if (existsSync(join(prefix, "node_modules", name))) return;
  say(`installing Node ${LIBRARY_NODE.version} for the tests …`);
  const args = ["install", "--prefix", prefix, "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync("npm", [...args, `${name}@${LIBRARY_NODE.version}`], {
    cwd: ROOT,
    stdio: INHERIT_STDERR,
  });
  if (status !== 0) say("the library's tests need Node 22 or newer on the PATH; they will fail here.");
}

/** The peers to measure against are bench's own matter. */
async function installBenchPeers() {
  const peers = new URL("../bench/ensure.mjs", import.meta.url);
  if (existsSync(peers)) await import(peers.href);
}

const flags = new Set(process.argv.slice(2));
for (const flag of flags) {
  if (!FLAGS.includes(flag)) fail(`unknown flag ${flag}; use ${FLAGS.join(", ")}.`);
}
if (!flags.has("--bundle")) {
  installPackages(flags.has("--test") || flags.has("--bench"));
  ensureBun();
}
ensureBundle();
if (flags.has("--bundle")) {
  ensureLibrary();
  ensureConsole();
  ensureManPage();
}
if (flags.has("--test") || flags.has("--bench")) installTestPrograms();
if (flags.has("--test")) installTestNode();
if (flags.has("--bench")) await installBenchPeers();
