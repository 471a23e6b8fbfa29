import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Booted, bootSystemd } from "../fixtures/systemd.ts";
import { whyNotHere } from "./namespaces.ts";
import { capabilities, serviceKit } from "./service-kit.ts";

/** A gateway's unit, under a real systemd: it does all that a gateway does with the few rights that are left. */
setDefaultTimeout(120_000);

const CONFIG = "/etc/hatchway/hatchway.toml";
const DATA = "/var/lib/gateway";
const OUTSIDE = "203.0.113.1";
const INSIDE = "192.0.2.1";
const CLIENT = "192.0.2.7";
/** The client's ports. PCP and NAT-PMP share one mapping for each (RFC 6887 §11.3), so either has one of its own here. */
const PAGES = [8000, 9000];
const toml = (ports: string) => `[gateway]
wan = ["wan0"]
lan = ["lan0"]
[vpn]
[[mapping]]
name = "fixed"
to = "${CLIENT}"
ports = "${ports}"
`;
let machine: Booted;
let kit: ReturnType<typeof serviceKit>;
let publicKey: string;

beforeAll(async () => {
  expect(whyNotHere()).toBeNull();
  machine = await bootSystemd();
  kit = serviceKit(machine);
  makeNetworks();
  // What a gateway that root started by hand leaves: the user's directory, and in it root's own with the VPN's key.
  succeeds(`useradd --system --user-group hatchway && install -d -m 700 -o hatchway ${DATA} &&
install -d -m 700 ${DATA}/privileged && umask 077 && wg genkey > ${DATA}/privileged/wireguard.key`);
  publicKey = kit.shell(`wg pubkey < ${DATA}/privileged/wireguard.key`).out.trim();
  machine.write(CONFIG, toml("8001:8000"));
  const report = kit.json("service", "install", "gateway", "--now", "--data", DATA);
  expect(report).toMatchObject({ changed: true, running: true, user: "hatchway" });
});
afterAll(() => machine?.end());

const succeeds = (script: string) => expect(kit.shell(script)).toEqual({ code: 0, out: "", err: "" });
const inNetwork = (name: string, ...argv: readonly string[]) => machine.run("ip", "netns", "exec", name, ...argv);

/** A network on either side with one host in each, and a page on ports of the client. */
function makeNetworks(): void {
  for (const [host, device, own, other] of [
    ["visitor", "wan0", OUTSIDE, "203.0.113.9"],
    ["client", "lan0", INSIDE, CLIENT],
  ] as const) {
    const inside = `ip -n ${host}`;
    succeeds(`ip netns add ${host} && ip link add ${device} type veth peer name eth0 netns ${host} &&
ip addr add ${own}/24 dev ${device} && ip link set ${device} up && ${inside} addr add ${other}/24 dev eth0 &&
${inside} link set lo up && ${inside} link set eth0 up && ${inside} route add default via ${own}`);
  }
  machine.write("/srv/site/page", "reached");
  for (const port of PAGES) {
    const python = ["/usr/bin/python3", "-m", "http.server", "--directory", "/srv/site", `${port}`];
    kit.background(`site-${port}`, "--property=NetworkNamespacePath=/run/netns/client", ...python);
    const direct = `curl -s --retry 100 --retry-delay 0 --retry-all-errors --max-time 20 http://${CLIENT}:${port}/page`;
    expect(kit.shell(direct).out).toBe("reached");
  }
}

const visit = (port: number, ...how: readonly string[]) =>
  inNetwork("visitor", "curl", "-s", "-m", "10", ...how, `http://${OUTSIDE}:${port}/page`).out;
/** Those of the gateway's outside ports behind which a visitor finds the client's page. */
const reached = (...ports: readonly number[]) => ports.filter((port) => visit(port) !== "");

test("it forwards what people and apps ask for, after a reload and after a restart as well", () => {
  expect(kit.shell(`stat -c '%U %a' ${DATA} ${DATA}/privileged`).out).toBe("hatchway 700\nroot 700\n");
  expect(reached(8001)).toEqual([8001]);

  kit.json("forward", "add", "8002:8000", "--to", CLIENT, "--data", DATA);
  expect(inNetwork("client", "natpmpc", "-g", INSIDE, "-a", "8003", "8000", "tcp", "600").code).toBe(0);
  // It listens for 2 s, of which the gateway takes a part drawn by lot, as UPnP wants it.
  const byUpnp = () => inNetwork("client", "upnpc", "-i", "-a", CLIENT, "8000", "8004", "tcp", "600").code === 0;
  expect([1, 2, 3, 4].some(byUpnp)).toBe(true);
  const bun = [machine.inside(process.execPath), "--no-env-file", "--config=/dev/null"];
  const pcp = machine.inside(join(import.meta.dir, "peers/pcp-client.ts"));
  const granted = inNetwork("client", ...bun, pcp, INSIDE, "map", "tcp", "9000", "8005", "600");
  expect(granted.out).toContain('"externalPort":8005');
  const asked = [8002, 8003, 8004, 8005];
  expect(reached(...asked)).toEqual(asked);

  machine.write(CONFIG, toml("8001:8000, 8006:8000"));
  expect(machine.run("systemctl", "reload", "hatchway-gateway").code).toBe(0);
  // The signal is sent when systemctl says so, and heard a moment later.
  expect(visit(8006, "--retry", "200", "--retry-delay", "0", "--retry-all-errors")).toBe("reached");
  const { pid } = kit.statusOf("gateway");
  expect(machine.run("systemctl", "restart", "hatchway-gateway").code).toBe(0);
  const again = kit.statusOf("gateway");
  expect(again).toMatchObject({ running: true, user: "hatchway" });
  expect(again.pid).not.toBe(pid);
  expect(reached(8001, ...asked, 8006)).toEqual([8001, ...asked, 8006]);
  // Where the kernel has no WireGuard this is wireguard-go, by /dev/net/tun; with the key that was there.
  expect(machine.run("wg", "show", "all", "public-key").out).toContain(publicKey);
});

test("the process that the network reaches may do nothing, and its helper little", () => {
  const { pid } = kit.statusOf("gateway");
  const [uid = "", gid = ""] = kit.shell("id -u hatchway; id -g hatchway").out.split("\n");
  const confined = { noNewPrivileges: "1", seccomp: "2" };
  expect(kit.rightsOf(pid)).toEqual({ uid, capabilities: capabilities(), ...confined });
  const helper = Number(kit.shell(`pgrep -P ${pid} -f privileged-helper`).out);
  // CAP_NET_ADMIN, and CAP_DAC_READ_SEARCH to reach its own directory within the user's.
  expect(kit.rightsOf(helper)).toEqual({ uid: "0", capabilities: capabilities(12n, 2n), ...confined });

  const asUser = (script: string) =>
    machine.run("nsenter", `--target=${pid}`, "--mount", `--setuid=${uid}`, `--setgid=${gid}`, "sh", "-c", script).code;
  // The control first: that user and place do read what they may.
  expect(asUser(`ls ${DATA} && cat /proc/self/status`)).toBe(0);
  for (const secret of [`cat ${DATA}/privileged/wireguard.key`, "ls /run/wireguard", `cat /proc/${helper}/status`]) {
    expect({ secret, code: asUser(secret) }).not.toEqual({ secret, code: 0 });
  }
  const asRoot = (script: string) => machine.run("nsenter", `--target=${pid}`, "--mount", "sh", "-c", script).code;
  const writes = (file: string) => asRoot(`value=$(cat ${file}) && echo "$value" > ${file}`);
  expect(writes("/proc/sys/net/ipv4/ip_forward")).toBe(0);
  for (const file of ["/proc/sys/vm/swappiness", CONFIG]) {
    expect({ file, code: writes(file) }).not.toEqual({ file, code: 0 });
  }
});

test("systemd has nothing to say against it", () => {
  expect(machine.run("systemd-analyze", "verify", "hatchway-gateway.service")).toEqual({ code: 0, out: "", err: "" });
  const exposed = ["security", "--threshold=20", "--no-pager", "hatchway-gateway.service"];
  expect(machine.run("systemd-analyze", ...exposed)).toMatchObject({ code: 0 });
});

test("it is refused without an outside, and its data are kept when it goes", () => {
  machine.write("/srv/without.toml", "[gateway]\n");
  const without = ["--config", "/srv/without.toml", "--data", DATA];
  const unknown = kit.hatchway("service", "install", "gateway", ...without);
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("wan") });
  expect(kit.json("service", "uninstall", "gateway")).toMatchObject({ removed: true, data: DATA });
  expect(kit.shell(`ls ${DATA}/privileged`).out).toContain("wireguard.key");
});
