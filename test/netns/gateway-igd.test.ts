import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type GatewaySite, mappings, openPorts, startGateway } from "./gateway-kit.ts";
import { query } from "./hatchway.ts";
import { curl, startService, startVisitor, visit } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/**
 * UPnP-IGD by upnpc. It takes a gateway with an address of a documentation range for one that is not connected, so the
 * gateway says another one; visitors use the real one.
 */
const PUBLIC = "11.22.33.44";
const WINDOWS = "Microsoft-Windows/10.0 UPnP/1.0";
let lab: Lab;
let site: GatewaySite;
/** Of the description, as each host finds it. */
const urls = new Map<Host, string>();

beforeAll(async () => {
  lab = createLab({ natRules: false });
  await Promise.all([
    startService(lab, lab.agent, "peer:tcp:8000-8009"),
    startService(lab, lab.other, "peer:tcp:8000-8009"),
  ]);
  site = await startGateway(lab, '[gateway]\nlog = "info"\n', "--public", PUBLIC);
  for (const host of [lab.agent, lab.other]) urls.set(host, (await search(host)).match(/desc: (\S+)/)?.[1] ?? "");
  await lab.exec(lab.visitor, ["ip", "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());
afterEach(async () => {
  for (const host of [lab.agent, lab.other]) {
    await lab.exec(host, [
      "natpmpc",
      "-g",
      host === lab.agent ? "192.168.77.1" : "192.168.78.1",
      "-a",
      "0",
      "0",
      "tcp",
      "0",
    ]);
  }
});

/** upnpc, told where the description is: searching takes 2 s of each call. `-6` before all: over IPv6. */
async function upnpc(host: Host, ...args: readonly string[]): Promise<string> {
  const [first, ...rest] = args;
  const url = urls.get(host) ?? "";
  if (first !== "-6") return (await lab.exec(host, ["upnpc", "-u", url, ...args])).stdout;
  return (await lab.exec(host, ["upnpc", "-u", url.replace("192.168.77.1", "[fd00:77::1]"), ...rest])).stdout;
}

/** It listens for 2 s, of which the gateway takes a part drawn by lot, as UPnP wants it: a busy machine may use up the rest. */
function search(host: Host): Promise<string> {
  return eventually("the gateway is found", async () => {
    const { stdout } = await lab.exec(host, ["upnpc", "-m", "eth0", "-s"]);
    return stdout.includes("desc: ") ? stdout : undefined;
  });
}
const reach = async (port: number): Promise<string | undefined> =>
  (await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.nat.v4, port)).answers[port];

test("upnpc finds it, and learns its state and address", async () => {
  const found = await search(lab.agent);
  expect(found).toContain("Found valid IGD : http://192.168.77.1:");
  expect(found).toContain("Status : Connected");
  expect(found).toContain(`ExternalIPAddress = ${PUBLIC}`);
}, 20_000);

describe("upnpc -a", () => {
  test("opens, lists, renews and closes a port; the visitor's address is seen", async () => {
    expect(await upnpc(lab.agent, "-e", "my game", "-a", "@", "8000", "8000", "tcp", "600")).toContain(
      "is redirected to",
    );
    expect(await reach(8000)).toContain(lab.visitor.v4);
    expect(await upnpc(lab.agent, "-l")).toMatch(/TCP\s+8000->192\.168\.77\.2:8000\s+'my game'/);
    expect(await upnpc(lab.agent, "-L")).toContain("my game");
    const [before] = await mappings(lab, site);
    expect(before).toMatchObject({ name: "my game", origin: "igd", device: "192.168.77.2" });
    await upnpc(lab.agent, "-e", "my game", "-a", "@", "8000", "8000", "tcp", "1200");
    const [after] = await mappings(lab, site);
    expect((after?.leaseEndsMs ?? 0) - (before?.leaseEndsMs ?? 0)).toBeGreaterThan(500_000);
    expect(await upnpc(lab.agent, "-d", "8000", "tcp")).toContain("UPNP_DeletePortMapping() returned : 0");
    expect(await openPorts(lab, site)).toEqual([]);
  }, 30_000);

  test.each([
    ["another host's address", ["-a", "192.168.78.2", "8001", "8001", "tcp", "60"], "code 606"],
    ["a port below those that are handed out", ["-a", "@", "8001", "80", "tcp", "60"], "code 606"],
    ["the gateway's own port", ["-a", "@", "8001", "5351", "udp", "60"], "code 729"],
  ])(
    "%s is refused with the protocol's own code",
    async (_, args, code) => {
      expect(await upnpc(lab.agent, ...args)).toContain(code);
      expect(await openPorts(lab, site)).toEqual([]);
    },
    20_000,
  );

  test("a client's own port below 1024 stays closed by default, by whatever it asks; the log says why", async () => {
    expect(await upnpc(lab.agent, "-a", "@", "22", "8001", "tcp", "60")).toContain("code 606");
    // -51 is natpmpc's word for NOT_AUTHORIZED.
    const natpmp = ["natpmpc", "-g", "192.168.77.1", "-a", "8001", "22", "tcp", "60"];
    expect((await lab.exec(lab.agent, natpmp)).stdout).toContain("returned -51");
    expect(await openPorts(lab, site)).toEqual([]);
    const log = site.child.stderr.join("\n");
    expect(log).toContain("192.168.77.2 asked for port 8001/tcp to port 22 of 192.168.77.2: no rule allows it.");
    expect(log).toContain("192.168.77.2 asked for a tcp port to port 22 of 192.168.77.2: no rule allows one.");
  }, 20_000);

  test("a port of another client is refused with 718, and -n takes the next", async () => {
    await upnpc(lab.other, "-a", "@", "8000", "8000", "tcp", "60");
    expect(await upnpc(lab.agent, "-a", "@", "8000", "8000", "tcp", "60")).toContain("code 718");
    expect(await upnpc(lab.agent, "-d", "8000", "tcp")).toContain("606");
    expect(await upnpc(lab.agent, "-n", "@", "8000", "8000", "tcp", "60")).toContain("8001 TCP is redirected to");
    expect(await reach(8001)).toContain(lab.visitor.v4);
  }, 30_000);
});

test("upnpc -A opens a pinhole for IPv6, and -D closes it", async () => {
  const added = await upnpc(lab.agent, "-6", "-A", "", "0", lab.agent.v6, "8002", "tcp", "600");
  const id = added.match(/Pinhole ID = (\d+)/)?.[1];
  expect({ added, found: id !== undefined }).toMatchObject({ found: true });
  const { answers } = await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.agent.v6, 8002);
  expect(answers[8002]).toContain("2001:db8:113::1");
  expect(await upnpc(lab.agent, "-6", "-D", id ?? "")).toContain("Pinhole");
  expect(await openPorts(lab, site)).toEqual([]);
}, 30_000);

test("a pinhole for each remote host: the kernel lets in both, and one that goes leaves the other", async () => {
  // It has two addresses, and the kernel says which it uses.
  const route = await lab.exec(lab.visitor, ["ip", "-6", "route", "get", lab.agent.v6]);
  const visitor = route.stdout.match(/src (\S+)/)?.[1] ?? route.stderr;
  const reach6 = async () =>
    (await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.agent.v6, 8003)).answers[8003];
  const pin = async (remote: string): Promise<string> => {
    const added = await upnpc(lab.agent, "-6", "-A", remote, "0", lab.agent.v6, "8003", "tcp", "600");
    return added.match(/Pinhole ID = (\d+)/)?.[1] ?? added;
  };
  const [theirs, other] = [await pin(visitor), await pin("2001:db8:113::99")];
  expect(other).not.toBe(theirs);
  expect(await openPorts(lab, site)).toHaveLength(2);
  expect(await reach6()).toContain(visitor);
  await upnpc(lab.agent, "-6", "-D", other);
  expect(await reach6()).toContain(visitor);
  const again = await pin("2001:db8:113::99");
  await upnpc(lab.agent, "-6", "-D", theirs);
  expect(await openPorts(lab, site)).toHaveLength(1);
  const turnedAway = async () => {
    const { gateway } = await query<{ gateway: { dropped: Record<string, number> } }>(lab, site.home, "status");
    return gateway.dropped["sourceNotAllowed"] ?? 0;
  };
  const before = await turnedAway();
  await using _ = startVisitor(lab, lab.visitor, "ports", lab.agent.v6, 8003);
  await eventually("the visitor turned away", async () => ((await turnedAway()) > before ? true : undefined));
  await upnpc(lab.agent, "-6", "-D", again);
  expect(await openPorts(lab, site)).toEqual([]);
}, 40_000);

test("Windows and Xbox see version 1 without an action of version 2; others see 2", async () => {
  const { gateway } = await query<{ gateway: { servers: readonly object[] } }>(lab, site.home, "status");
  expect(gateway.servers).toContainEqual({ name: "UPnP-IGD", listening: true, message: null });
  const url = urls.get(lab.agent) ?? "";
  const description = async (agent: string) => (await curl(lab, lab.agent, "-A", agent, url)).stdout;
  expect(await description("curl")).toContain("InternetGatewayDevice:2");
  for (const agent of [WINDOWS, "FDSSDP", "Xbox/2.0"]) {
    const text = await description(agent);
    expect(text).toContain("InternetGatewayDevice:1");
    expect(text).not.toContain(":2</");
  }
}, 20_000);
