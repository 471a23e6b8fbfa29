import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type GatewaySite, launchGateway, openPorts, startGateway } from "./gateway-kit.ts";
import { command, type EndpointInfo, newHome, query, run } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";
import { freshInterfaceName, startClient, stopClient, sweepSockets } from "./wireguard.ts";

/** Two peers of the gateway's VPN, on the hosts behind it; the visitor comes from outside. */
const SERVER = "10.77.0.1";
let lab: Lab;
let site: GatewaySite;
let phone: Peer;
let tablet: Peer;

interface Peer {
  readonly host: Host;
  readonly v4: string;
  readonly client: { readonly name: string };
}

interface Added {
  readonly peer: { readonly id: string; readonly v4: string; readonly v6: string };
  readonly config: string;
}

beforeAll(async () => {
  sweepSockets();
  lab = createLab({ natRules: false });
  await Promise.all([
    startService(lab, lab.agent, "--host", "0.0.0.0", "peer:tcp:8000-8009"),
    startService(lab, lab.other, "--host", "0.0.0.0", "peer:tcp:8000-8009"),
  ]);
  site = await startGateway(lab, `[vpn]\ninterface = "${freshInterfaceName()}"\n`);
  phone = await joinVpn("phone", lab.agent, "--open-all");
  tablet = await joinVpn("tablet", lab.other, "--only", "8001-8002", "--max-ports", "1");
}, 60_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  sweepSockets();
});

/** Adds a peer and brings its tunnel up on the host, with everything but the tunnel's own packets going through it. */
async function joinVpn(name: string, host: Host, ...options: readonly string[]): Promise<Peer> {
  const added = await query<Added>(lab, site.home, "vpn", "add", name, ...options);
  await lab.exec(host, ["ip", "route", "add", lab.nat.v4, "via", host === lab.agent ? "192.168.77.1" : "192.168.78.1"]);
  const client = await startClient(host, added.config);
  await eventually(`${name} reaches the gateway`, async () =>
    (await natpmpc(host)).includes("Public IP address") ? true : undefined,
  );
  return { host, v4: added.peer.v4, client };
}

async function natpmpc(host: Host, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await lab.exec(host, ["natpmpc", "-g", SERVER, ...args]);
  return stdout + stderr;
}

const reach = async (port: number): Promise<string> => {
  const url = `${lab.nat.v4}:${port}`;
  // The kernel that answers is behind a tunnel.
  const flags = [...CONNECTS_OR_NOT, "--connect-timeout", "2"];
  return (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...flags, url])).stdout;
};

describe("a port of the gateway leads to a peer", () => {
  test("by forward add, by the peer's name; the visitor's address is what the service sees", async () => {
    expect((await run(lab, site.home, "forward", "add", "9000:8000", "--to", "phone", "--name", "web")).exitCode).toBe(
      0,
    );
    expect(await reach(9000)).toContain(`${lab.visitor.v4} `);
    expect(await openPorts(lab, site)).toEqual([`tcp 9000 -> ${phone.v4}:8000 (cli)`]);
    await run(lab, site.home, "forward", "rm", "web");
    expect(await reach(9000)).toBe("");
  }, 20_000);

  test("by expose --via vpn, which guesses where the gateway is", async () => {
    const home = newHome(lab, phone.host);
    const child = lab.spawn(phone.host, command(home, "expose", "8004", "--via", "vpn", "--json"));
    const { endpoints } = await child.event<{ endpoints: EndpointInfo[] }>("exposed");
    expect(child.stderr.join("\n")).toContain(`Asking ${SERVER}, as the gateway of the VPN`);
    expect(endpoints).toMatchObject([{ host: lab.nat.v4, port: 8004, internalHost: phone.v4, internalPort: 8004 }]);
    expect(await reach(8004)).toContain(`${lab.visitor.v4} `);
    child.signal("SIGINT");
    expect(await child.exited).toBe(0);
    expect(await openPorts(lab, site)).toEqual([]);
  }, 20_000);

  test("by natpmpc, in the way of VPN providers, and by PCP", async () => {
    expect(await natpmpc(phone.host, "-a", "8003", "8003", "tcp", "60")).toContain("Mapped public port 8003");
    expect(await reach(8003)).toContain(lab.visitor.v4);
    const client = join(import.meta.dir, "peers/pcp-client.ts");
    const bun = [process.execPath, "--no-env-file", "--config=/dev/null"];
    await using child = lab.spawn(phone.host, [...bun, client, SERVER, "map", "tcp", "8004", "8004", "120"]);
    expect(await child.event("done")).toMatchObject({ answer: { kind: "success", body: { externalPort: 8004 } } });
    expect(await reach(8004)).toContain(lab.visitor.v4);
    await natpmpc(phone.host, "-a", "0", "0", "tcp", "0");
    expect(await openPorts(lab, site)).toEqual([]);
  }, 20_000);

  test("by upnpc, told the address, because multicast does not cross the tunnel", async () => {
    // It listens for 2 s, of which the gateway takes a part drawn by lot, as UPnP wants it.
    const url = await eventually("the gateway is found", async () => {
      const { stdout } = await lab.exec(lab.agent, ["upnpc", "-m", "eth0", "-s"]);
      return stdout.match(/desc: (\S+)/)?.[1]?.replace("192.168.77.1", SERVER);
    });
    const added = await lab.exec(phone.host, ["upnpc", "-u", url, "-i", "-a", phone.v4, "8005", "8005", "tcp", "60"]);
    expect({ stdout: added.stdout, open: await openPorts(lab, site) }).toMatchObject({
      open: [`tcp 8005 -> ${phone.v4}:8005 (igd)`],
    });
    expect(await reach(8005)).toContain(lab.visitor.v4);
    await natpmpc(phone.host, "-a", "0", "0", "tcp", "0");
  }, 20_000);
});

describe("what a peer may have", () => {
  test("only its ports, up to its number, and nobody else's", async () => {
    expect(await natpmpc(tablet.host, "-a", "9999", "8000", "tcp", "60")).toContain("Mapped public port 8001");
    expect(await natpmpc(tablet.host, "-a", "8002", "8002", "tcp", "60")).toContain("failed");
    expect(await natpmpc(phone.host, "-a", "8001", "8001", "tcp", "60")).toContain("Mapped public port 8002");
    expect(await reach(8001)).toContain(lab.visitor.v4);
    // Its port is kept for it when it gives it back, and others are led elsewhere.
    await natpmpc(tablet.host, "-a", "0", "0", "tcp", "0");
    await natpmpc(phone.host, "-a", "0", "0", "tcp", "0");
    expect(await natpmpc(phone.host, "-a", "8001", "8006", "tcp", "60")).toContain("Mapped public port 8006");
    expect(await natpmpc(tablet.host, "-a", "0", "8000", "tcp", "60")).toContain("Mapped public port 8001");
    for (const { host } of [phone, tablet]) await natpmpc(host, "-a", "0", "0", "tcp", "0");
  }, 20_000);

  test("block-all closes what is open, and refuses what is asked", async () => {
    await natpmpc(phone.host, "-a", "8007", "8007", "tcp", "60");
    expect(await reach(8007)).toContain(lab.visitor.v4);
    await query(lab, site.home, "vpn", "set", "phone", "--block-all");
    expect(await reach(8007)).toBe("");
    expect(await natpmpc(phone.host, "-a", "8008", "8008", "tcp", "60")).toContain("failed");
    const refused = await run(lab, site.home, "forward", "add", "9000:8000", "--to", "phone");
    expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringContaining("does not take port 9000/tcp")]);
    await query(lab, site.home, "vpn", "set", "phone", "--open-all");
    expect(await reach(8007)).toContain(lab.visitor.v4);
    await natpmpc(phone.host, "-a", "0", "0", "tcp", "0");
  }, 20_000);

  test("peers do not reach each other", async () => {
    const { exitCode } = await lab.exec(phone.host, [
      "curl",
      "-s",
      "--http0.9",
      ...CONNECTS_OR_NOT,
      `${tablet.v4}:8000`,
    ]);
    expect(exitCode).toBe(28);
  });
});

describe("its forwards outlast", () => {
  test("a restart of the gateway and of its tunnel", async () => {
    await run(lab, site.home, "forward", "add", "9001:8000", "--to", "phone", "--name", "kept");
    site.child.signal("SIGTERM");
    await site.child.exited;
    site.child = await launchGateway(lab, site.home);
    await eventually("the peer is reached again", async () => ((await reach(9001)) === "" ? undefined : true));
    lab.moveAgent(9);
    await lab.exec(phone.host, ["ip", "route", "replace", lab.nat.v4, "via", "192.168.77.1"]);
    await lab.exec(phone.host, ["ip", "route", "replace", "default", "dev", phone.client.name]);
    // As an app does that sees the network change; wireguard-go itself notices after 15 s.
    const { server } = await query<{ server: { publicKey: string } }>(lab, site.home, "vpn", "ls");
    const endpoint = `${lab.nat.v4}:51820`;
    await lab.exec(phone.host, ["wg", "set", phone.client.name, "peer", server.publicKey, "endpoint", endpoint]);
    await eventually("the peer is reached at its new address", async () => {
      // Where a peer is, the server learns from what it sends; on its own it keeps the tunnel alive every 25 s.
      await lab.exec(phone.host, ["bash", "-c", `echo >/dev/udp/${SERVER}/9`]);
      return (await reach(9001)) === "" ? undefined : true;
    });
    await run(lab, site.home, "forward", "rm", "kept");
  }, 60_000);

  test("but not its removal, or its time", async () => {
    await run(lab, site.home, "forward", "add", "8001:8001", "--to", "tablet");
    expect(await reach(8001)).toContain(lab.visitor.v4);
    await query(lab, site.home, "vpn", "set", "tablet", "--expires", "1s");
    await eventually("the peer's time is up", async () => ((await reach(8001)) === "" ? true : undefined), 15_000);
    expect((await run(lab, site.home, "vpn", "rm", "tablet")).exitCode).toBe(0);
    expect(await openPorts(lab, site)).toEqual([]);
    await stopClient(tablet.host, tablet.client);
  }, 40_000);
});
