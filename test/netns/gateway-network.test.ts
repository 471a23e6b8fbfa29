import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { askIgd, askNatPmp, igdLocation } from "./asking.ts";
import type { Child } from "./child.ts";
import { type GatewaySite, launchGateway, openPorts, startGateway } from "./gateway-kit.ts";
import { query, run } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService, startVisitor, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { ipBatch, tool } from "./namespaces.ts";
import { eventually } from "./ready.ts";
import { freshInterfaceName, startClient, stopClient, sweepSockets } from "./wireguard.ts";

setDefaultTimeout(30_000);

/** The network around the gateway changes: another external address, links that go and come, clients that come back in. */
const FIRST = "203.0.113.20";
const SECOND = "203.0.113.77";
/** The gateway looks each 2 s. */
const FOLLOWED_MS = 6_000;
let lab: Lab;
let site: GatewaySite;
let listener: Child;

beforeAll(async () => {
  sweepSockets();
  lab = createLab({ natRules: false });
  await Promise.all([
    startService(lab, lab.agent, "--host", "0.0.0.0", "peer:tcp:8000", "echo:tcp:7000", "echo:udp:8000"),
    startService(lab, lab.other, "--host", "0.0.0.0", "peer:tcp:8000"),
  ]);
  const toml = `
[vpn]
interface = "${freshInterfaceName()}"
[[mapping]]
name = "web"
ports = "8000"
to = "192.168.77.2"
protocol = "tcp+udp"
[[mapping]]
name = "echo"
ports = "7000"
to = "192.168.77.2"
[[mapping]]
name = "other web"
ports = "8100:8000"
to = "192.168.78.2"
`;
  // A machine that is none yet, and listens to its provider's router.
  await lab.exec(lab.nat, ["sysctl", "-qw", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.wan.accept_ra=1"]);
  site = await startGateway(lab, toml);
  const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
  listener = lab.spawn(lab.agent, [...bun, join(import.meta.dir, "peers/announcements.ts")]);
  await listener.event("ready");
}, 60_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  sweepSockets();
});
afterEach(async () => {
  // Nothing of this made the gateway another one: no crash, no restart.
  const { gateway } = await query<{ gateway: { pid: number } }>(lab, site.home, "status");
  expect(gateway.pid).toBe(site.child.pid);
});

const ip = (host: Host, ...args: readonly string[]): string => tool(["ip", "-n", host.namespace, ...args]);
async function ask(from: Host, address: string, port: number): Promise<string> {
  return (await lab.exec(from, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, `${address}:${port}`])).stdout;
}
const reached = (from: Host, address: string, port: number, deadlineMs = FOLLOWED_MS) =>
  eventually(`${address}:${port} answers`, async () => (await ask(from, address, port)) || undefined, deadlineMs);
const external = async (host = lab.agent) => {
  const answer = await askNatPmp(lab, host, null, 1);
  return answer?.kind === "external-address" ? answer : null;
};

describe("a LAN host reaches a forward by the external address", () => {
  test("of itself and of another, and is seen as the gateway: the answer goes back by it", async () => {
    // Its own service would answer it past the gateway, so who it sees is not the host's own address.
    expect(await ask(lab.agent, FIRST, 8000)).toStartWith("192.168.77.1 ");
    expect(await ask(lab.other, FIRST, 8000)).toStartWith("192.168.77.1 ");
    expect(await ask(lab.agent, FIRST, 8100)).toStartWith("192.168.78.1 ");
    expect(await visitUdp<object>(lab, lab.other, "ask", FIRST, 8000, "on")).toMatchObject({ answer: "on" });
    // A visitor is seen with its own address all the same.
    expect(await ask(lab.visitor, FIRST, 8000)).toStartWith(`${lab.visitor.v4} `);
  });

  test("so does a peer of the VPN", async () => {
    const added = await query<{ peer: { v4: string }; config: string }>(
      lab,
      site.home,
      "vpn",
      "add",
      "phone",
      "--open-all",
    );
    // The endpoint is the external address itself, so what goes through the tunnel has to be another.
    await lab.exec(lab.nat, ["ip", "address", "add", "203.0.113.30/24", "dev", "wan"]);
    const config = added.config.replace(`${FIRST}:51820`, "203.0.113.30:51820");
    ip(lab.other, "route", "add", "203.0.113.30", "via", "192.168.78.1");
    const client = await startClient(lab.other, config);
    await eventually("the peer is there", async () => {
      const { stdout } = await lab.exec(lab.other, ["natpmpc", "-g", "10.77.0.1"]);
      return stdout.includes("Public IP address") ? true : undefined;
    });
    const bound = [
      "curl",
      "-s",
      "--http0.9",
      ...CONNECTS_OR_NOT,
      "--connect-timeout",
      "2",
      "--interface",
      added.peer.v4,
    ];
    const seen = async (port: number) => (await lab.exec(lab.other, [...bound, `${FIRST}:${port}`])).stdout;
    expect(await seen(8000)).toStartWith("192.168.77.1 ");
    expect((await run(lab, site.home, "forward", "add", "8200:8000", "--to", "phone")).exitCode).toBe(0);
    expect(await seen(8200)).toStartWith("10.77.0.1 ");
    expect(await ask(lab.agent, FIRST, 8200)).toStartWith("10.77.0.1 ");
    await stopClient(lab.other, client);
    ip(lab.other, "route", "add", "default", "via", "192.168.78.1");
    ip(lab.nat, "address", "del", "203.0.113.30/24", "dev", "wan");
  }, 20_000);
});

describe("another external address", () => {
  test("is forwarded from, told by NAT-PMP and IGD, and announced with a new epoch", async () => {
    const location = await igdLocation(lab, lab.agent);
    await askNatPmp(lab, lab.agent, { protocol: "tcp", internal: 8000, external: 8300, lifetimeSec: 600 });
    const before = await external();
    expect(before).toMatchObject({ address: FIRST });
    const heard = listener.stdout.length;
    const startedMs = performance.now();
    // In this order: with the first of a network the kernel drops the others.
    ip(lab.nat, "address", "del", `${FIRST}/24`, "dev", "wan");
    ip(lab.nat, "address", "add", `${SECOND}/24`, "dev", "wan");
    expect(await reached(lab.visitor, SECOND, 8000)).toStartWith(`${lab.visitor.v4} `);
    expect(await reached(lab.visitor, SECOND, 8300)).toStartWith(`${lab.visitor.v4} `);
    const news = await listener.event<{ address: string; from: string; epochSec: number }>("announcement", {
      fromLine: await eventually("an announcement", () => {
        const at = listener.stdout.findIndex(
          (line, index) => index >= heard && line.includes('"nat-pmp"') && line.includes(SECOND),
        );
        return at < 0 ? undefined : at;
      }),
    });
    expect(news).toMatchObject({ from: "192.168.77.1", address: SECOND });
    const afterSec = (performance.now() - startedMs) / 1000;
    expect(news.epochSec).toBeLessThanOrEqual(afterSec);
    // Said more than once, because datagrams get lost (RFC 6886 §3.2.1).
    await eventually("announced again", () =>
      listener.stdout.slice(heard).filter((line) => line.includes('"nat-pmp"') && line.includes(SECOND)).length > 2
        ? true
        : undefined,
    );
    expect(listener.stdout.slice(heard).some((line) => line.includes('"pcp"'))).toBe(true);
    expect(await external()).toMatchObject({ address: SECOND });
    const told = await askIgd(lab, lab.agent, location, 1, "GetExternalIPAddress");
    expect(told.body).toContain(`<NewExternalIPAddress>${SECOND}</NewExternalIPAddress>`);
    // The lease is there still, and so is the way back in from inside.
    expect(await openPorts(lab, site)).toContain("tcp 8300 -> 192.168.77.2:8000 (natpmp)");
    expect(await reached(lab.other, SECOND, 8000)).toStartWith("192.168.77.1 ");
    const list = await run(lab, site.home, "forward", "ls");
    expect(list.stdout).toContain(`${SECOND}:8000`);
    ip(lab.nat, "address", "del", `${SECOND}/24`, "dev", "wan");
    ip(lab.nat, "address", "add", `${FIRST}/24`, "dev", "wan");
    expect(await reached(lab.visitor, FIRST, 8000)).toStartWith(`${lab.visitor.v4} `);
  }, 40_000);
});

describe("links that go and come", () => {
  const macOf = (link: string) => ip(lab.nat, "-br", "link", "show", link).split(/\s+/)[2] ?? "";

  test("a WAN that is made anew listens to router advertisements as before, and gives that back at the end", async () => {
    const setting = async (name: string) => (await lab.exec(lab.nat, ["sysctl", "-n", `net.ipv6.conf.${name}`])).stdout;
    expect([await setting("wan.accept_ra"), await setting("all.forwarding")]).toEqual(["2", "1"]);
    // As PPPoE dials in again: another interface with the name, which has the system's defaults.
    const mac = macOf("wan");
    ip(lab.nat, "link", "delete", "wan");
    const internet = lab.nat.namespace.replace(/nat$/, "net");
    ipBatch(internet, [
      `link add nat type veth peer name wan address ${mac} netns ${lab.nat.namespace}`,
      "link set nat master internet up",
    ]);
    expect(await setting("wan.accept_ra")).toBe("1");
    ipBatch(lab.nat.namespace, ["link set wan up", `address add ${FIRST}/24 dev wan`]);
    await eventually("it listens", async () => ((await setting("wan.accept_ra")) === "2" ? true : undefined));
    // RFC 4861 §4.2: hop limit 64, a default router for 1,800 s. The kernel fills in the checksum.
    const advertisement = "\\206\\0\\0\\0\\100\\0\\007\\010\\0\\0\\0\\0\\0\\0\\0\\0";
    const own = await eventually(
      "its own address",
      () => ip(lab.nat, "-6", "-br", "address", "show", "wan", "scope", "link").match(/fe80:[^/]*/)?.[0],
    );
    const send = `printf '${advertisement}' | socat - 'IP6-SENDTO:[${own}%eth0]:58,ipv6-unicast-hops=255'`;
    await eventually("a route of the advertisement", async () => {
      await lab.exec(lab.relay, ["sh", "-c", send]);
      return ip(lab.nat, "-6", "route", "show", "default").includes("proto ra") ? true : undefined;
    });
    expect(await reached(lab.visitor, FIRST, 8000)).toStartWith(`${lab.visitor.v4} `);

    expect((await run(lab, site.home, "gateway", "stop", "--clean")).exitCode).toBe(0);
    await site.child.exited;
    expect([await setting("wan.accept_ra"), await setting("all.forwarding")]).toEqual(["1", "0"]);
    site.child = await launchGateway(lab, site.home);
    await reached(lab.visitor, FIRST, 8000);
  }, 40_000);

  test("the WAN down and up: told in status meanwhile; a connection that waits goes on", async () => {
    await using keeper = startVisitor(lab, lab.visitor, "keep", FIRST, 7000);
    await keeper.event("started");
    lab.unplug();
    const warnings = async () =>
      (await query<{ gateway: { warnings: string[]; externalAddress: string | null } }>(lab, site.home, "status"))
        .gateway.warnings;
    await eventually("a warning", async () =>
      (await warnings()).some((line) => line.includes("wan")) ? true : undefined,
    );
    expect(await external()).toBeNull();
    lab.plugIn();
    expect(await reached(lab.visitor, FIRST, 8000)).toStartWith(`${lab.visitor.v4} `);
    await eventually("the address is told again", async () => (await external()) ?? undefined);
    await eventually("no warning", async () =>
      (await warnings()).some((line) => line.includes("Interface wan")) ? undefined : true,
    );
    keeper.signal("SIGTERM");
    expect(await keeper.event("done")).toMatchObject({ error: null, whole: true });
  }, 40_000);

  /** In the same place with the same hardware address, as when a card is put in again: its IPv6 address is the same. */
  const makeLan2Again = (mac: string) => {
    const { nat, other } = lab;
    ipBatch(nat.namespace, [
      `link add lan2 address ${mac} type veth peer name eth0 netns ${other.namespace}`,
      "link set lan2 up",
      "address add 192.168.78.1/24 dev lan2",
      // Tentative for a while, as addresses are: whoever binds to it at once is refused.
      "address add fd00:78::1/64 dev lan2",
    ]);
    ipBatch(other.namespace, [
      "link set eth0 up",
      "address add 192.168.78.2/24 dev eth0",
      "route add default via 192.168.78.1",
    ]);
  };
  /** Its servers answer on the link, and its forwards lead there. */
  const lan2Works = async () => {
    await eventually("NAT-PMP answers on the new link", async () => (await external(lab.other)) ?? undefined, 12_000);
    expect(await igdLocation(lab, lab.other)).toContain("192.168.78.1");
    expect(await reached(lab.visitor, FIRST, 8100)).toStartWith(`${lab.visitor.v4} `);
    const granted = await askNatPmp(lab, lab.other, {
      protocol: "tcp",
      internal: 8000,
      external: 8400,
      lifetimeSec: 60,
    });
    expect(granted).toMatchObject({ kind: "map", externalPort: 8400 });
    expect(await reached(lab.visitor, FIRST, 8400)).toStartWith(`${lab.visitor.v4} `);
  };

  test("a LAN interface disappears and comes back: its servers and its forwards as well", async () => {
    const mac = macOf("lan2");
    ip(lab.nat, "link", "delete", "lan2");
    const warned = async () => (await run(lab, site.home, "status")).stdout.includes("lan2 is not there");
    await eventually("a warning", async () => ((await warned()) ? true : undefined));
    expect(await ask(lab.visitor, FIRST, 8000)).toStartWith(`${lab.visitor.v4} `);
    makeLan2Again(mac);
    await lan2Works();
    await eventually("no warning", async () => ((await warned()) ? undefined : true));
  }, 40_000);

  test("so it does when another link has its name and address between two looks", async () => {
    const mac = macOf("lan2");
    ip(lab.nat, "link", "delete", "lan2");
    makeLan2Again(mac);
    await lan2Works();
  }, 40_000);
});
