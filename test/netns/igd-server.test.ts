import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { curl } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually, listening } from "./ready.ts";

/** The UPnP-IGD server on the NAT box's two inside interfaces, with a desk in memory, and miniupnpc's upnpc. */
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
const UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] as const;
const GATEWAY = join(import.meta.dir, "peers/igd-gateway.ts");
const WINDOWS = "Microsoft-Windows/10.0 UPnP/1.0";
const inside = (n: number): string =>
  `lan${n}=192.168.7${6 + n}.1,fd00:7${6 + n}::1+192.168.7${6 + n}.0/24+fd00:7${6 + n}::/64`;
const SEARCH = 'M-SEARCH * HTTP/1.1\\r\\nMAN: "ssdp:discover"\\r\\nST: ssdp:all\\r\\nMX: 1\\r\\n\\r\\n';

let lab: Lab;
let gateway: Child;
let port: number;
let locations: Readonly<Record<string, string>>;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  // What reads bytes from a network needs no privilege, not even to keep to an interface.
  gateway = lab.spawn(lab.nat, [...UNPRIVILEGED, ...BUN, GATEWAY, inside(1), inside(2)]);
  ({ port, locations } = await gateway.event<{ port: number; locations: Record<string, string> }>("ready"));
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** upnpc, told where the description is: searching takes up to 2 s of each call. */
async function upnpc(host: Host, ...args: readonly string[]): Promise<string> {
  const own = host === lab.agent ? "192.168.77.1" : "192.168.78.1";
  const url = args.some((arg) => arg.startsWith("fd00:")) || args.includes("-6") ? "fd00:77::1" : own;
  const rest = args.filter((arg) => arg !== "-6");
  return (await lab.exec(host, ["upnpc", "-u", locations[url]!, ...rest])).stdout;
}

/** Sends a search and gives what comes back within a second; empty = nothing, or a machine that is too busy. */
async function searchFrom(host: Host, to: string, from?: string): Promise<string> {
  const bind = from === undefined ? "" : `,bind=${from}`;
  const script = `printf '${SEARCH}' | socat -t 1.2 - UDP4-DATAGRAM:${to}:1900${bind}`;
  return (await lab.exec(host, ["sh", "-c", script])).stdout;
}

/** The answer to a search that is sure to get one. */
const found = (host: Host, to: string): Promise<string> =>
  eventually("an answer to a search", async () => (await searchFrom(host, to)) || undefined);

describe("upnpc", () => {
  test.each(["agent", "other"] as const)(
    "%s finds the gateway by its search, at the address of its own network",
    async (name) => {
      // It listens for 2 s, of which the server takes a part drawn by lot, as UPnP wants it.
      const stdout = await eventually("an answer within upnpc's time", async () => {
        const asked = await lab.exec(lab[name], ["upnpc", "-s"]);
        return asked.stdout.includes("desc: ") ? asked.stdout : undefined;
      });
      const own = name === "agent" ? "192.168.77.1" : "192.168.78.1";
      expect(stdout).toContain(`desc: ${locations[own]}`);
      expect(stdout).toContain("Found valid IGD");
      expect(stdout).toContain("Status : Connected");
      expect(stdout).toContain("MaxBitRateDown : 2000000 bps (2.0 Mbps)   MaxBitRateUp 1000000 bps (1.0 Mbps)");
      expect(stdout).toContain("ExternalIPAddress = 11.22.33.44");
      expect(stdout).toMatch(/Bytes:\s+Sent:\s+2000\s+Recv:\s+1000/);
    },
    20_000,
  );

  test("adds, lists, and deletes; another client's port is its own", async () => {
    expect(await upnpc(lab.agent, "-e", "A & B", "-a", "@", "80", "8080", "TCP", "3600")).toContain(
      "external 11.22.33.44:8080 TCP is redirected to internal 192.168.77.2:80 (duration=3600)",
    );
    expect(await upnpc(lab.other, "-a", "@", "80", "8080", "TCP")).toContain("failed with code 718");
    expect(await upnpc(lab.other, "-a", "192.168.77.2", "80", "8081", "TCP")).toContain("failed with code 606");
    expect(await upnpc(lab.agent, "-a", "@", "80", "8082", "UDP", "60", "198.51.100.7")).toContain("8082 UDP");

    const listed = await upnpc(lab.agent, "-l");
    expect(listed).toContain("0 TCP  8080->192.168.77.2:80    'A &amp; B' '' 3600");
    expect(listed).toContain("1 UDP  8082->192.168.77.2:80    'libminiupnpc' '198.51.100.7' 60");
    expect(listed).toContain("713 (SpecifiedArrayIndexInvalid)");
    expect(await upnpc(lab.agent, "-L")).toContain("TCP  8080->192.168.77.2:80    'A &amp; B' '' 3600");
    expect(await upnpc(lab.other, "-l")).not.toContain("->192.168");

    expect(await upnpc(lab.other, "-d", "8080", "TCP")).toContain("failed with code : 606");
    expect(await upnpc(lab.agent, "-d", "8080", "TCP")).toContain("returned : 0");
    expect(await upnpc(lab.agent, "-d", "8080", "TCP")).toContain("failed with code : 714");
    expect(await upnpc(lab.agent, "-d", "8082", "UDP", "198.51.100.7")).toContain("returned : 0");
  }, 20_000);

  test("takes another port when its own is taken, and deletes a range", async () => {
    expect(await upnpc(lab.agent, "-n", "@", "8090", "8090", "TCP")).toContain("11.22.33.44:8090 TCP");
    expect(await upnpc(lab.other, "-n", "@", "8090", "8090", "TCP")).toContain(
      "11.22.33.44:8091 TCP is redirected to internal 192.168.78.2:8090 (duration=604800)",
    );
    expect(await upnpc(lab.agent, "-N", "8000", "9000", "TCP")).toContain("returned : 0");
    expect(await upnpc(lab.agent, "-N", "8000", "9000", "TCP")).toContain("failed with code : 730");
    expect(await upnpc(lab.other, "-l")).toContain("8091->192.168.78.2:8090");
    expect(await upnpc(lab.other, "-N", "8091", "8091", "TCP", "1")).toContain("returned : 0");
  }, 20_000);

  test("opens, checks and closes pinholes", async () => {
    expect(await upnpc(lab.agent, "-S")).toContain("Inbound Pinhole Allowed: Yes");
    const added = await upnpc(lab.agent, "-A", "", "0", "fd00:77::2", "8080", "TCP", "3600");
    const id = /Pinhole ID = (\d+)/.exec(added)?.[1];
    if (id === undefined) throw new Error(added);
    expect(await upnpc(lab.agent, "-6", "-C", id)).toContain("IsWorking = Yes");
    expect(await upnpc(lab.agent, "-6", "-K", id)).toContain("3");
    expect(await upnpc(lab.agent, "-6", "-U", id, "7200")).toContain("UpdatePinhole");
    expect(await upnpc(lab.agent, "-6", "-D", id)).toContain("DeletePinhole");
    expect(await upnpc(lab.agent, "-6", "-D", id)).toContain("704");
    expect(await upnpc(lab.agent, "-A", "", "0", "fd00:78::2", "8080", "TCP", "3600")).toContain("606");
  }, 20_000);
});

describe("what the gateway is to a client", () => {
  test.each([
    ["Windows", WINDOWS, 1],
    ["others", "curl", 2],
  ] as const)("to %s", async (_name, agent, version) => {
    const { stdout } = await curl(lab, lab.agent, "-i", "-A", agent, locations["192.168.77.1"]!);
    expect(stdout).toContain('Content-Type: text/xml; charset="utf-8"\r\nEXT:\r\n');
    expect(stdout).toContain(`urn:schemas-upnp-org:device:InternetGatewayDevice:${version}<`);
    const scpd = locations["192.168.77.1"]!.replace("rootDesc", "WANIPConnection");
    const service = await curl(lab, lab.agent, "-A", agent, scpd);
    expect(service.stdout.includes("AddAnyPortMapping")).toBe(version === 2);
  });
});

describe("nobody else gets a byte", () => {
  test("a neighbour's search is answered, one with a source off the link is not", async () => {
    await lab.exec(lab.agent, ["ip", "address", "add", "10.9.9.9/32", "dev", "eth0"]);
    expect(await found(lab.agent, "192.168.77.1")).toContain("InternetGatewayDevice:2");
    expect(await searchFrom(lab.agent, "192.168.77.1", "10.9.9.9")).toBe("");
    await lab.exec(lab.agent, ["ip", "address", "del", "10.9.9.9/32", "dev", "eth0"]);
  }, 20_000);

  test("from outside neither the searches' port nor HTTP says anything, by any address", async () => {
    // Without rules of a firewall's the NAT box forwards, and takes what is for any of its addresses.
    await lab.exec(lab.visitor, ["ip", "route", "add", "192.168.0.0/16", "via", lab.nat.v4]);
    const reached = await lab.exec(lab.visitor, ["sh", "-c", "printf x | socat -t 1 - TCP4:192.168.77.1:9 2>&1"]);
    expect(reached.stdout).toContain("Connection refused");
    for (const to of [lab.nat.v4, "192.168.77.1", "239.255.255.250"])
      expect(await searchFrom(lab.visitor, to)).toBe("");
    const path = new URL(locations["192.168.77.1"]!).pathname;
    for (const address of [lab.nat.v4, "192.168.77.1", `[${lab.nat.v6}]`]) {
      const { exitCode, stdout } = await curl(lab, lab.visitor, `http://${address}:${port}${path}`);
      expect([stdout, exitCode]).toEqual(["", 7]);
    }
  }, 20_000);

  test("a client of one inside network gets nothing by the other's address", async () => {
    // A route leads there, and the packet comes in by the wrong interface.
    const path = new URL(locations["192.168.77.1"]!).pathname;
    const { exitCode, stdout } = await curl(lab, lab.other, `http://192.168.77.1:${port}${path}`);
    expect([stdout, exitCode]).toEqual(["", 7]);
    expect(await searchFrom(lab.other, "192.168.77.1")).toBe("");
  }, 20_000);
});

test("an interface that was made anew is followed", async () => {
  const ip = (host: Host, args: string) => lab.exec(host, ["ip", ...args.split(" ")]);
  await ip(lab.nat, "link delete lan2");
  await ip(lab.nat, `link add lan2 type veth peer name eth0 netns ${lab.other.namespace}`);
  await ip(lab.nat, "link set lan2 up");
  await ip(lab.nat, "address add 192.168.78.1/24 dev lan2");
  await ip(lab.nat, "address add fd00:78::1/64 dev lan2 nodad");
  await ip(lab.other, "link set eth0 up");
  await ip(lab.other, "address add 192.168.78.2/24 dev eth0");
  expect(await searchFrom(lab.other, "192.168.78.1")).toBe("");
  gateway.signal("SIGHUP");
  expect(await gateway.event<object>("applied")).toMatchObject({ failures: [] });
  expect(await found(lab.other, "192.168.78.1")).toContain(locations["192.168.78.1"]!);
}, 20_000);

test("at its end it says farewell", async () => {
  const group = "UDP4-RECV:1900,ip-add-membership=239.255.255.250:192.168.77.2,reuseaddr";
  const heard = lab.spawn(lab.agent, ["socat", "-u", group, "-"]);
  const farewell = heard.line("a farewell", (line) => line.startsWith("NTS: ssdp:byebye") || undefined);
  const device = heard.line("its device", (line) => line.includes("InternetGatewayDevice:2") || undefined);
  await listening(heard, "udp", 1900);
  gateway.signal("SIGTERM");
  await Promise.all([farewell, device]);
  expect(await gateway.exited).toBe(0);
}, 20_000);
