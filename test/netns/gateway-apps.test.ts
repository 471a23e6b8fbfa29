import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { PINHOLE_MARK } from "../../src/dataplanes/nat/names.ts";
import { type GatewaySite, launchGateway, mappings, openPorts, startGateway } from "./gateway-kit.ts";
import { CONNECTS_OR_NOT, startService, visit, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Apps on the gateway's clients ask for ports themselves, with the programs that people use; a visitor then comes in. */
const TOML = `
[upnp]
rules = ["deny 3389 any *", "allow 1024-65535 any 1-65535"]
max-mappings = 4
`;
let lab: Lab;
let site: GatewaySite;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  await Promise.all([
    startService(lab, lab.agent, "peer:tcp:8000-8009", "echo:udp:8000-8009", "echo:udp:1024"),
    startService(lab, lab.other, "peer:tcp:8000-8009", "echo:udp:8000-8009"),
  ]);
  site = await startGateway(lab, TOML);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());
/** RFC 6886 §3.4: internal port 0 deletes all of a protocol. */
afterEach(async () => {
  for (const host of [lab.agent, lab.other]) {
    for (const protocol of ["tcp", "udp"]) await natpmpc(host, "-a", "0", "0", protocol, "0");
  }
});

const GATEWAY: ReadonlyMap<string, string> = new Map([
  ["agent", "192.168.77.1"],
  ["other", "192.168.78.1"],
]);
const gatewayOf = (host: Host): string => GATEWAY.get(host === lab.agent ? "agent" : "other")!;

async function natpmpc(host: Host, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await lab.exec(host, ["natpmpc", "-g", gatewayOf(host), ...args]);
  return stdout + stderr;
}

interface PcpAnswer {
  readonly kind: "success" | "refused";
  readonly result?: number;
  readonly lifetimeSec: number;
  readonly body?: { readonly externalPort: number; readonly externalAddress: string };
}

async function pcp(host: Host, ...args: readonly (string | number)[]): Promise<PcpAnswer> {
  const client = join(import.meta.dir, "peers/pcp-client.ts");
  const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
  await using child = lab.spawn(host, [...bun, client, gatewayOf(host), ...args.map(String)]);
  return (await child.event<{ answer: PcpAnswer }>("done")).answer;
}

const reach = async (port: number): Promise<string | undefined> =>
  (await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.nat.v4, port)).answers[port];

describe("NAT-PMP", () => {
  test("natpmpc learns the address, maps both protocols, and the visitor's address is seen", async () => {
    expect(await natpmpc(lab.agent)).toContain(`Public IP address : ${lab.nat.v4}`);
    expect(await natpmpc(lab.agent, "-a", "8000", "8000", "tcp", "120")).toContain("Mapped public port 8000");
    expect(await natpmpc(lab.agent, "-a", "8000", "8000", "udp", "120")).toContain("Mapped public port 8000");
    expect(await reach(8000)).toContain(lab.visitor.v4);
    const echoed = await visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, 8000, "hello");
    expect(echoed).toMatchObject({ answer: "hello" });
    expect(await openPorts(lab, site)).toEqual([
      "tcp 8000 -> 192.168.77.2:8000 (natpmp)",
      "udp 8000 -> 192.168.77.2:8000 (natpmp)",
    ]);
  }, 20_000);

  test("another host gets another port, and a delete takes only its own", async () => {
    for (const protocol of ["tcp", "udp"]) await natpmpc(lab.agent, "-a", "8000", "8000", protocol, "120");
    expect(await natpmpc(lab.other, "-a", "8000", "8000", "tcp", "120")).toContain("Mapped public port 8001");
    expect(await reach(8001)).toContain(lab.visitor.v4);
    expect(await natpmpc(lab.other, "-a", "0", "0", "tcp", "0")).toContain("local port 0 liftime 0");
    expect(await openPorts(lab, site)).toHaveLength(2);
    await natpmpc(lab.agent, "-a", "0", "8000", "tcp", "0");
    expect(await openPorts(lab, site)).toEqual(["udp 8000 -> 192.168.77.2:8000 (natpmp)"]);
  }, 20_000);

  test("a VPN provider's way of asking keeps its port while it renews, and the port closes when it stops", async () => {
    const ask = () => natpmpc(lab.agent, "-a", "1", "0", "udp", "3");
    expect(await ask()).toContain("Mapped public port 1024");
    const endsMs = async () => (await mappings(lab, site))[0]?.leaseEndsMs ?? 0;
    const first = await endsMs();
    expect(await ask()).toContain("Mapped public port 1024");
    expect(await endsMs()).toBeGreaterThan(first);
    expect(await visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, 1024, "up")).toMatchObject({ answer: "up" });
    const last = await endsMs();
    await eventually("the port closed", async () => ((await openPorts(lab, site)).length === 0 ? true : undefined));
    // Listed a moment later: the lease ends by the gateway's clock, and it closes the port within 2 s of that.
    expect(Math.abs(Date.now() - last)).toBeLessThan(2_000);
  }, 20_000);

  test("a denied port is not given, another one is; over the quota nothing is", async () => {
    expect(await natpmpc(lab.agent, "-a", "3389", "8001", "tcp", "60")).toContain("Mapped public port 8001");
    for (const port of ["8002", "8003", "8004"]) await natpmpc(lab.agent, "-a", port, port, "tcp", "60");
    expect(await natpmpc(lab.agent, "-a", "8005", "8005", "tcp", "60")).toContain("readnatpmpresponseorretry() failed");
  }, 20_000);
});

describe("PCP", () => {
  test("MAP opens a port to chosen visitors only, with FILTER", async () => {
    const mapped = await pcp(lab.agent, "map", "tcp", 8005, 8005, 120, "filter=203.0.113.11/32");
    expect(mapped).toMatchObject({ kind: "success", body: { externalPort: 8005, externalAddress: lab.nat.v4 } });
    const from = (address: string) =>
      lab.exec(lab.visitor, [
        "curl",
        "-s",
        "--http0.9",
        ...CONNECTS_OR_NOT,
        "--interface",
        address,
        `${lab.nat.v4}:8005`,
      ]);
    expect((await from("203.0.113.11")).stdout).toContain("203.0.113.11");
    expect((await from(lab.visitor.v4)).exitCode).toBe(28);
    expect(await pcp(lab.agent, "map", "tcp", 8005, 0, 0)).toMatchObject({ kind: "success", lifetimeSec: 0 });
    expect(await openPorts(lab, site)).toEqual([]);
  }, 20_000);

  test("a lease survives a restart with the port it had, and the epoch goes on", async () => {
    await pcp(lab.agent, "map", "udp", 8006, 8006, 600);
    site.child.signal("SIGKILL");
    await site.child.exited;
    site.child = await launchGateway(lab, site.home);
    expect(await openPorts(lab, site)).toEqual(["udp 8006 -> 192.168.77.2:8006 (pcp)"]);
    expect(await visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, 8006, "on")).toMatchObject({ answer: "on" });
    const [left] = await mappings(lab, site);
    expect((left?.leaseEndsMs ?? 0) - Date.now()).toBeLessThan(600_000);
  }, 30_000);

  test.each([
    ["another host", ["map", "tcp", 8000, 8000, 120, "third-party=192.168.78.2"], 5],
    ["another address in the header", ["map", "tcp", 8000, 8000, 120, "client=192.168.77.9"], 12],
    ["a denied port, insisting", ["map", "tcp", 8000, 3389, 120, "prefer-failure"], 2],
    ["a protocol that is none", ["map", 132, 8000, 8000, 120], 9],
  ])("%s is refused with the protocol's own code", async (_, args, result) => {
    expect(await pcp(lab.agent, ...args)).toMatchObject({ kind: "refused", result });
  });

  test("an IPv6 pinhole opens the client's own port, from outside", async () => {
    await lab.exec(lab.visitor, ["ip", "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
    const ask = (): Promise<{ answers: Record<string, string> }> =>
      visit(lab, lab.visitor, "ports", lab.agent.v6, 8007);
    const gateway6 = "fd00:77::1";
    const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
    const client = join(import.meta.dir, "peers/pcp-client.ts");
    await using child = lab.spawn(lab.agent, [...bun, client, gateway6, "map", "tcp", "8007", "8007", "120"]);
    const { answer } = await child.event<{ answer: PcpAnswer }>("done");
    expect(answer).toMatchObject({ kind: "success", body: { externalPort: 8007, externalAddress: lab.agent.v6 } });
    expect((await ask()).answers[8007]).toContain("2001:db8:113::1");
    // What other firewalls know such a connection by.
    const flows = await lab.exec(lab.nat, ["conntrack", "-L", "-f", "ipv6", "-p", "tcp", "--dport", "8007"]);
    expect(flows.stdout).toContain(`mark=${PINHOLE_MARK}`);
  }, 20_000);
});
