// Installs what the bench measures against, pinned, into .bench (git ignores it): `node scripts/ensure.mjs --bench`.
// What cannot be had is said and left out; the bench then reports it as absent. Plain Node, as scripts/ensure.mjs.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const BUILT = join(HERE, "../.bench");
const PROGRAMS = join(BUILT, "bin");
const SEARCHED = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
/** Leaves a processor to whoever works on the machine. */
const JOBS = String(Math.max(1, cpus().length - 1));

/** Program → Debian package. Everything else here is built with these. */
const DEBIAN = {
  cc: "gcc",
  openssl: "openssl",
  iperf3: "iperf3",
  nft: "nftables",
  ss: "iproute2",
  haproxy: "haproxy",
  nginx: "nginx-light",
  "/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream",
  socat: "socat",
  miniupnpd: "miniupnpd-nftables",
  conntrack: "conntrack",
  setpriv: "util-linux",
  sshd: "openssh-server",
  ssh: "openssh-client",
  "pkg-config": "pkg-config",
  "/usr/include/openssl/ssl.h": "libssl-dev",
};

/** rathole's own lock file names a version of `time` that no longer compiles, so its dependencies are resolved anew. */
const CRATES = [
  { name: "rathole", version: "0.5.0", program: "rathole", locked: false },
  { name: "bore-cli", version: "0.6.0", program: "bore", locked: true },
];

/** Each folder of peers/modules pins one program and its dependencies in go.mod and go.sum. */
const MODULES = [
  {
    folder: "chisel",
    programs: ["chisel"],
    packages: ["github.com/jpillora/chisel"],
    flags: ["-ldflags", "-X github.com/jpillora/chisel/share.BuildVersion=1.11.3"],
  },
  {
    folder: "frp",
    programs: ["frps", "frpc"],
    packages: ["github.com/fatedier/frp/cmd/frps", "github.com/fatedier/frp/cmd/frpc"],
    // The module is served without its built web pages.
    flags: ["-tags", "noweb"],
  },
  { folder: "gost", programs: ["gost"], packages: ["."], flags: [] },
];

function say(sentence) {
  process.stderr.write(`bench: ${sentence}\n`);
}

function run(program, args, options = {}) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1", ...options.env };
  return spawnSync(program, args, { cwd: options.cwd, env, stdio: ["ignore", 2, 2] }).status === 0;
}

const isThere = (program) =>
  program.startsWith("/") ? existsSync(program) : SEARCHED.some((directory) => existsSync(join(directory, program)));

function installDebianPackages() {
  const missing = Object.entries(DEBIAN).filter(([program]) => !isThere(program));
  const names = [...new Set(missing.map(([, name]) => name))];
  if (names.length === 0) return;
  say(`installing with apt-get: ${names.join(" ")} …`);
  const apt = (...args) => run("apt-get", ["-qq", "-o", "Dpkg::Use-Pty=0", ...args]);
  if (!isThere("apt-get") || !apt("update") || !apt("install", "-y", "--no-install-recommends", ...names)) {
    say(`these could not be installed, so what needs them is left out: ${names.join(" ")}.`);
  }
}

function newestChange(directory) {
  return Math.max(...readdirSync(directory).map((file) => statSync(join(directory, file)).mtimeMs));
}

/** The one program of ours here; without it nothing can be measured. */
function buildLoad() {
  const source = join(HERE, "load");
  const program = join(PROGRAMS, "load");
  if (existsSync(program) && statSync(program).mtimeMs > newestChange(source)) return;
  const files = readdirSync(source).filter((file) => file.endsWith(".c"));
  if (
    run("cc", ["-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, ...files], {
      cwd: source,
    })
  )
    return;
  say('the load program could not be compiled: install gcc and run "npm run bench" again.');
  process.exit(1);
}

function installCrates() {
  for (const { name, version, program, locked } of CRATES) {
    if (existsSync(join(BUILT, "cargo/bin", program))) continue;
    say(`building ${name} ${version} with cargo; this takes some minutes …`);
    const args = [
      "install",
      "--quiet",
      "--root",
      join(BUILT, "cargo"),
      ...(locked ? ["--locked"] : []),
      `${name}@${version}`,
    ];
    if (!run("cargo", args, { env: { CARGO_BUILD_JOBS: JOBS } }))
      say(`${name} could not be built; it will be reported as absent.`);
  }
}

function buildModules() {
  for (const { folder, programs, packages, flags } of MODULES) {
    if (programs.every((program) => existsSync(join(PROGRAMS, program)))) continue;
    say(`building ${folder} with go …`);
    const args = ["build", "-mod=readonly", "-p", JOBS, ...flags, "-o", `${PROGRAMS}/`, ...packages];
    if (!run("go", args, { cwd: join(HERE, "peers/modules", folder) }))
      say(`${folder} could not be built; it will be reported as absent.`);
  }
}

mkdirSync(PROGRAMS, { recursive: true });
installDebianPackages();
buildLoad();
installCrates();
buildModules();
