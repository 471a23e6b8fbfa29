import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { type Booted, bootSystemd } from "../fixtures/systemd.ts";
import { whyNotHere } from "./namespaces.ts";

/** `hatchway service` with a systemd that is process 1 of namespaces of its own, and every right that the units take away. */
setDefaultTimeout(120_000);

const CONFIG = "/etc/hatchway/hatchway.toml";
const RELAY = '[relay]\nports = "80,1024-65535"\n';
const NET_BIND_SERVICE = (1n << 10n).toString(16).padStart(16, "0");
let machine: Booted;

beforeAll(async () => {
  expect(whyNotHere()).toBeNull();
  machine = await bootSystemd();
});
afterAll(() => machine?.end());
beforeEach(() => machine.write(CONFIG, RELAY));
// What a test that failed left behind is not for the next one.
afterEach(() => {
  shell("systemctl stop 'hatchway-*' site taken ann; rm -f /etc/systemd/system/hatchway-*; systemctl daemon-reload");
});

const hatchway = (...args: readonly string[]) => machine.run(machine.hatchway, ...args);
/** What a command that must succeed prints as JSON. */
function json(...args: readonly string[]) {
  const { code, out, err } = hatchway(...args, "--json");
  expect({ args, code, err }).toEqual({ args, code: 0, err: "" });
  return JSON.parse(out);
}
const shell = (script: string) => machine.run("sh", "-c", script);
const statusOf = (role: string) => JSON.parse(hatchway("service", "status", role, "--json").out).services[0];

/** The lines of /proc/PID/status that say what a process may do. */
function rightsOf(pid: number) {
  const text = shell(`cat /proc/${pid}/status`).out;
  const line = (name: string) => text.match(new RegExp(`^${name}:\\s*(\\S+)`, "m"))?.[1];
  return {
    uid: line("Uid"),
    capabilities: line("CapEff"),
    noNewPrivileges: line("NoNewPrivs"),
    seccomp: line("Seccomp"),
  };
}

const isActive = (role: string) => machine.run("systemctl", "is-active", `hatchway-${role}`).out.trim();
/** A program of the test's, as a service of its own, so that it ends with the machine. */
const background = (name: string, ...argv: readonly string[]) =>
  expect(machine.run("systemd-run", `--unit=${name}`, ...argv).code).toBe(0);

test("a relay: installed, started, read again, and removed with its data kept", () => {
  const report = json("service", "install", "relay", "--now");
  expect(report).toMatchObject({ v: 1, role: "relay", config: CONFIG, user: "hatchway", changed: true, running: true });
  const installed = statusOf("relay");
  expect(installed).toMatchObject({ state: "whole", enabled: true, running: true, version: expect.any(String) });
  // One right, and no way to another.
  const uid = shell("id -u hatchway").out.trim();
  const rights = { uid, capabilities: NET_BIND_SERVICE, noNewPrivileges: "1", seccomp: "2" };
  expect(rightsOf(installed.pid)).toEqual(rights);

  expect(json("service", "install", "relay", "--now")).toMatchObject({ changed: false, done: [], running: true });
  machine.write(CONFIG, RELAY.replace("80,", "80-90,"));
  expect(machine.run("systemctl", "reload", "hatchway-relay").code).toBe(0);
  // Upgraded in place: another process, which systemd supervises in the first one's stead, in the same sandbox.
  const { relay } = json("status");
  expect(relay.ports).toContain("80-90");
  expect(relay.pid).not.toBe(installed.pid);
  expect(statusOf("relay")).toMatchObject({ running: true, pid: relay.pid });
  expect(rightsOf(relay.pid)).toEqual(rights);

  expect(json("service", "uninstall", "relay")).toMatchObject({ removed: true, data: "/var/lib/hatchway" });
  expect(isActive("relay")).toBe("inactive");
  expect(shell("ls /var/lib/hatchway").out).toContain("hatchway.db");
  expect(json("service", "uninstall", "relay")).toMatchObject({ removed: false });
});

test("an agent that root joined becomes a service, and visitors reach a port below 1024 through both", () => {
  json("service", "install", "relay", "--now");
  expect(hatchway("service", "install", "agent")).toMatchObject({ code: 2, err: expect.stringContaining("--join -") });
  const { code } = json("join-code", "create", "--name", "den");
  machine.write("/srv/code", code);
  const joined = shell(`${machine.hatchway} agent --json --join-file /srv/code > /srv/joined & agent=$!
until grep -q connected /srv/joined; do sleep 0.05; done; kill -INT $agent; wait $agent; cat /srv/joined`);
  expect(joined.out).toContain('"name":"den"');
  expect(json("service", "install", "agent", "--now")).toMatchObject({ changed: true, running: true });
  expect(rightsOf(statusOf("agent").pid)).toMatchObject({ capabilities: "0".repeat(16), seccomp: "2" });
  machine.write("/srv/site/page", "reached");
  background("site", "python3", "-m", "http.server", "--directory", "/srv/site", "8000");
  json("forward", "add", "8000", "--as", "80", "--name", "web");
  const retrying = "--retry 100 --retry-delay 0 --retry-all-errors --max-time 20";
  expect(shell(`curl -s ${retrying} http://127.0.0.1:80/page`).out).toBe("reached");
});

test("an agent of an ordinary user is a service of theirs", () => {
  shell("useradd --create-home --uid 4321 ann && install -d -o ann -m 700 /run/user/4321");
  const runtime = "XDG_RUNTIME_DIR=/run/user/4321";
  // What logind starts with a session: no session begins here.
  background("ann", "--uid=ann", "--property=Delegate=yes", `--setenv=${runtime}`, "/lib/systemd/systemd", "--user");
  const asAnn = (...args: readonly string[]) =>
    machine.run("setpriv", "--reuid=ann", "--regid=ann", "--clear-groups", "env", "HOME=/home/ann", runtime, ...args);
  shell("until test -S /run/user/4321/systemd/private; do sleep 0.05; done");
  const refused = asAnn(machine.hatchway, "service", "install", "relay");
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("Run this as root") });

  const { code, err } = asAnn(machine.hatchway, "service", "install", "agent", "--no-relay", "--now");
  expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("loginctl enable-linger") });
  const status = asAnn(machine.hatchway, "service", "status", "--json");
  const [agent] = JSON.parse(status.out).services;
  expect(agent).toMatchObject({
    role: "agent",
    scope: "user",
    enabled: true,
    running: true,
    data: "/home/ann/.local/share/hatchway",
  });
  expect(rightsOf(agent.pid)).toEqual({
    uid: "4321",
    capabilities: "0".repeat(16),
    noNewPrivileges: "1",
    seccomp: "2",
  });
  expect(asAnn(machine.hatchway, "service", "uninstall", "agent").code).toBe(0);
});

test("a unit that was changed by hand is not replaced or removed unasked", () => {
  json("service", "install", "relay");
  shell("echo '# mine' >> /etc/systemd/system/hatchway-relay.service");
  expect(statusOf("relay")).toMatchObject({ state: "edited", enabled: true, running: false });
  const refused = hatchway("service", "install", "relay");
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("changed by hand") });
  expect(hatchway("service", "uninstall", "relay").code).toBe(2);
  expect(json("service", "install", "relay", "--force").next[0]).toContain("systemctl start hatchway-relay");
  expect(json("service", "uninstall", "relay")).toMatchObject({ removed: true });
});

test("a service that does not start says why", () => {
  background("taken", "python3", "-m", "http.server", "7744");
  shell("until ss -ltn | grep -q :7744; do sleep 0.05; done");
  const failed = hatchway("service", "install", "relay", "--now", "--data", "/srv/relay");
  expect(failed.code).toBe(1);
  expect(failed.err).toContain("journalctl -u hatchway-relay");
  expect(failed.err).toContain("7744");
});

test("a gateway leads a port to a client within its unit", () => {
  shell(
    "ip link add wan0 type veth peer name wan1; ip link set wan1 up; ip addr add 203.0.113.1/24 dev wan0; ip link set wan0 up",
  );
  shell(
    "ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip addr add 192.0.2.1/24 dev lan0; ip link set lan0 up",
  );
  machine.write(CONFIG, "[gateway]\n");
  const unknown = hatchway("service", "install", "gateway", "--now");
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("wan") });
  machine.write(CONFIG, '[gateway]\nwan = ["wan0"]\nlan = ["lan0"]\n');
  const report = json("service", "install", "gateway", "--now", "--data", "/var/lib/gateway");
  expect(report).toMatchObject({ changed: true, running: true });
  json("forward", "add", "8080", "--to", "192.0.2.7", "--data", "/var/lib/gateway");
  expect(machine.run("nft", "list", "ruleset").out).toContain("192.0.2.7");
  expect(rightsOf(statusOf("gateway").pid)).toMatchObject({ capabilities: "0".repeat(16), seccomp: "2" });
  expect(json("service", "uninstall", "gateway")).toMatchObject({ removed: true, data: "/var/lib/gateway" });
});
