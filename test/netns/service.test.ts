import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { type Booted, bootSystemd } from "../fixtures/systemd.ts";
import { whyNotHere } from "./namespaces.ts";
import { capabilities, serviceKit } from "./service-kit.ts";

/** `hatchway service` with a systemd that is process 1 of namespaces of its own, and every right that the units take away. */
setDefaultTimeout(120_000);

const CONFIG = "/etc/hatchway/hatchway.toml";
const RELAY = '[relay]\nports = "80,1024-65535"\n';
const NET_BIND_SERVICE = capabilities(10n);
let machine: Booted;
let kit: ReturnType<typeof serviceKit>;

beforeAll(async () => {
  expect(whyNotHere()).toBeNull();
  machine = await bootSystemd();
  kit = serviceKit(machine);
});
afterAll(() => machine?.end());
beforeEach(() => machine.write(CONFIG, RELAY));
// What a test that failed left behind is not for the next one.
afterEach(() => {
  kit.shell(
    "systemctl stop 'hatchway-*' site taken ann; rm -f /etc/systemd/system/hatchway-*; systemctl daemon-reload",
  );
});

const isActive = (role: string) => machine.run("systemctl", "is-active", `hatchway-${role}`).out.trim();
test("a relay: installed, started, read again, and removed with its data kept", () => {
  const report = kit.json("service", "install", "relay", "--now");
  expect(report).toMatchObject({ v: 1, role: "relay", config: CONFIG, user: "hatchway", changed: true, running: true });
  const installed = kit.statusOf("relay");
  expect(installed).toMatchObject({ state: "whole", enabled: true, running: true, version: expect.any(String) });
  // One right, and no way to another.
  const uid = kit.shell("id -u hatchway").out.trim();
  const rights = { uid, capabilities: NET_BIND_SERVICE, noNewPrivileges: "1", seccomp: "2" };
  expect(kit.rightsOf(installed.pid)).toEqual(rights);

  expect(kit.json("service", "install", "relay", "--now")).toMatchObject({ changed: false, done: [], running: true });
  machine.write(CONFIG, RELAY.replace("80,", "80-90,"));
  expect(machine.run("systemctl", "reload", "hatchway-relay").code).toBe(0);
  // Upgraded in place: another process, which systemd supervises in the first one's stead, in the same sandbox.
  const { relay } = kit.json("status");
  expect(relay.ports).toContain("80-90");
  expect(relay.pid).not.toBe(installed.pid);
  expect(kit.statusOf("relay")).toMatchObject({ running: true, pid: relay.pid });
  expect(kit.rightsOf(relay.pid)).toEqual(rights);

  expect(kit.json("service", "uninstall", "relay")).toMatchObject({ removed: true, data: "/var/lib/hatchway" });
  expect(isActive("relay")).toBe("inactive");
  expect(kit.shell("ls /var/lib/hatchway").out).toContain("hatchway.db");
  expect(kit.json("service", "uninstall", "relay")).toMatchObject({ removed: false });
});

test("an agent that root joined becomes a service, and visitors reach a port below 1024 through both", () => {
  kit.json("service", "install", "relay", "--now");
  expect(kit.hatchway("service", "install", "agent")).toMatchObject({
    code: 2,
    err: expect.stringContaining("--join -"),
  });
  const { code } = kit.json("join-code", "create", "--name", "den");
  machine.write("/srv/code", code);
  const joined =
    kit.shell(`mkfifo /srv/said; ${machine.hatchway} agent --json --join-file /srv/code > /srv/said & agent=$!
while read -r line; do echo "$line"; case $line in *'"connected"'*) kill -INT $agent;; esac; done < /srv/said; wait $agent`);
  expect(joined.out).toContain('"name":"den"');
  expect(kit.json("service", "install", "agent", "--now")).toMatchObject({ changed: true, running: true });
  expect(kit.rightsOf(kit.statusOf("agent").pid)).toMatchObject({ capabilities: "0".repeat(16), seccomp: "2" });
  machine.write("/srv/site/page", "reached");
  kit.background("site", "python3", "-m", "http.server", "--directory", "/srv/site", "8000");
  kit.json("forward", "add", "8000", "--as", "80", "--name", "web");
  const retrying = "--retry 100 --retry-delay 0 --retry-all-errors --max-time 20";
  expect(kit.shell(`curl -s ${retrying} http://127.0.0.1:80/page`).out).toBe("reached");
});

test("an agent of an ordinary user is a service of theirs", () => {
  kit.shell("useradd --create-home --uid 4321 ann && install -d -o ann -m 700 /run/user/4321");
  const runtime = "XDG_RUNTIME_DIR=/run/user/4321";
  // What logind starts with a session: no session begins here. It is started when it says so.
  const properties = ["--property=Delegate=yes", "--property=Type=notify", "--property=NotifyAccess=all"];
  kit.background("ann", "--uid=ann", ...properties, `--setenv=${runtime}`, "/lib/systemd/systemd", "--user");
  const asAnn = (...args: readonly string[]) =>
    machine.run("setpriv", "--reuid=ann", "--regid=ann", "--clear-groups", "env", "HOME=/home/ann", runtime, ...args);
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
  expect(kit.rightsOf(agent.pid)).toEqual({
    uid: "4321",
    capabilities: "0".repeat(16),
    noNewPrivileges: "1",
    seccomp: "2",
  });
  expect(asAnn(machine.hatchway, "service", "uninstall", "agent").code).toBe(0);
});

test("a unit that was changed by hand is not replaced or removed unasked", () => {
  kit.json("service", "install", "relay");
  kit.shell("echo '# mine' >> /etc/systemd/system/hatchway-relay.service");
  expect(kit.statusOf("relay")).toMatchObject({ state: "edited", enabled: true, running: false });
  const refused = kit.hatchway("service", "install", "relay");
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("changed by hand") });
  expect(kit.hatchway("service", "uninstall", "relay").code).toBe(2);
  expect(kit.json("service", "install", "relay", "--force").next[0]).toContain("systemctl start hatchway-relay");
  expect(kit.json("service", "uninstall", "relay")).toMatchObject({ removed: true });
});

test("a service that does not start says why", () => {
  kit.background("taken", "--socket-property=ListenStream=7744", "true");
  const failed = kit.hatchway("service", "install", "relay", "--now", "--data", "/srv/relay");
  expect(failed.code).toBe(1);
  expect(failed.err).toContain("journalctl -u hatchway-relay");
  expect(failed.err).toContain("7744");
});
