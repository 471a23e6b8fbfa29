import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type GatewaySite, launchGateway, mappings, nft, openPorts, startGateway } from "./gateway-kit.ts";
import { query, run, writeConfig } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService, visit, visitUdp } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

/** A gateway on the NAT box of the lab; its clients serve, and a visitor comes from outside. */
const TOML = `
[[mapping]]
name = "web"
ports = "8000:80"
to = "192.168.77.2"
[[mapping]]
name = "games"
ports = "9000-9009"
to = "192.168.77.2"
protocol = "tcp+udp"
[[mapping]]
name = "friends"
ports = 7000
to = "192.168.78.2"
allow = ["203.0.113.11"]
`;
let lab: Lab;
let site: GatewaySite;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  await Promise.all([
    startService(
      lab,
      lab.agent,
      "--host",
      "0.0.0.0",
      "peer:tcp:80",
      "port:tcp:9000-9009",
      "echo:udp:9000-9009",
      "port:tcp:81",
    ),
    startService(lab, lab.other, "--host", "0.0.0.0", "peer:tcp:7000", "port:tcp:81"),
  ]);
  site = await startGateway(lab, TOML);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

const answers = async (...ports: number[]): Promise<Record<string, string>> => {
  const { answers } = await visit<{ answers: Record<string, string> }>(lab, lab.visitor, "ports", lab.nat.v4, ...ports);
  return answers;
};

describe("what hatchway.toml lists", () => {
  test("is forwarded, remapped and in ranges, and the service sees the visitor's own address", async () => {
    const { 8000: web, 9004: game } = await answers(8000, 9004);
    expect(web).toStartWith(`${lab.visitor.v4} `);
    expect(game).toBe("9004\n");
    const echoed = await visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, 9007, "hello");
    expect(echoed).toMatchObject({ answer: "hello", from: `${lab.nat.v4} 9007` });
  }, 20_000);

  test("a source that is not allowed gets nothing, an allowed one gets in", async () => {
    const from = (address: string) =>
      lab.exec(lab.visitor, [
        "curl",
        "-s",
        "--http0.9",
        ...CONNECTS_OR_NOT,
        "--interface",
        address,
        `${lab.nat.v4}:7000`,
      ]);
    expect((await from("203.0.113.11")).stdout).toStartWith("203.0.113.11 ");
    expect((await from(lab.visitor.v4)).exitCode).toBe(28);
  }, 20_000);

  test("is listed, with what it carried", async () => {
    const web = (await mappings(lab, site)).find(({ name }) => name === "web");
    expect(web).toMatchObject({ origin: "config", device: "192.168.77.2", state: "open", leaseEndsMs: null });
    expect(web?.counters.visitorsTotal).toBeGreaterThan(0);
    expect(web?.counters.bytesIn).toBeGreaterThan(0);
  });
});

describe("forward add", () => {
  test("opens a port to a client, lasts over a restart, and rm closes it", async () => {
    const added = await run(lab, site.home, "forward", "add", "8100:81", "--to", "192.168.78.2", "--name", "door");
    expect([added.exitCode, added.stdout]).toEqual([0, `${lab.nat.v4}:8100/tcp → 192.168.78.2:81`]);
    expect(await answers(8100)).toEqual({ 8100: "81\n" });
    site.child.signal("SIGTERM");
    expect(await site.child.exited).toBe(0);
    // The kernel goes on while the program is away.
    expect(await answers(8100)).toEqual({ 8100: "81\n" });
    site.child = await launchGateway(lab, site.home);
    expect(await openPorts(lab, site)).toContain("tcp 8100 -> 192.168.78.2:81 (cli)");
    expect((await run(lab, site.home, "forward", "rm", "door")).exitCode).toBe(0);
    expect(await openPorts(lab, site)).not.toContain("tcp 8100 -> 192.168.78.2:81 (cli)");
  }, 30_000);

  test("by the name of a host; the same name again leads elsewhere", async () => {
    const add = (to: string) => run(lab, site.home, "forward", "add", "8200:81", "--to", to, "--name", "moving");
    expect((await add("agent.lan")).stdout).toBe(`${lab.nat.v4}:8200/tcp → 192.168.77.2:81`);
    expect(await answers(8200)).toEqual({ 8200: "81\n" });
    expect((await add("192.168.78.2")).stdout).toBe(`${lab.nat.v4}:8200/tcp → 192.168.78.2:81`);
    expect(await openPorts(lab, site)).toContain("tcp 8200 -> 192.168.78.2:81 (cli)");
    await run(lab, site.home, "forward", "rm", "moving");
  }, 20_000);

  test.each([
    ["a port of what clients send out", ["53000", "--to", "192.168.78.2"], "Ports 52000-64000 are for"],
    ["a host that is no client", ["80", "--to", "8.8.8.8"], "is in no network of the gateway's clients"],
    ["the gateway itself", ["80", "--to", "192.168.77.1"], "is in no network of the gateway's clients"],
    ["nobody's name", ["80", "--to", "laptop"], "No client is called"],
    ["a port that is taken", ["8000", "--to", "192.168.78.2"], "Port 8000/tcp is"],
  ])("%s is refused with a sentence", async (_, args, sentence) => {
    const refused = await run(lab, site.home, "forward", "add", ...args);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain(sentence);
  });
});

describe("privileges", () => {
  test("who parses the network is an ordinary user without capabilities; the helper has those it needs", async () => {
    const { gateway } = await query<{ gateway: { pid: number } }>(lab, site.home, "status");
    const field = (pid: number | string, name: string) =>
      readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`^${name}:\\s+(\\S+)`, "m"))?.[1];
    expect(field(gateway.pid, "Uid")).not.toBe("0");
    expect(BigInt(`0x${field(gateway.pid, "CapEff")}`)).toBe(0n);
    const children = readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8").trim().split(" ");
    const [helper = ""] = children;
    // capabilities(7): CAP_DAC_READ_SEARCH is 2, CAP_NET_ADMIN is 12.
    expect(BigInt(`0x${field(helper, "CapEff")}`)).toBe((1n << 2n) | (1n << 12n));
  });
});

describe("a reload", () => {
  test("opens what is new, closes what is gone, and leaves the rest", async () => {
    writeConfig(site.home, TOML.replace('ports = "8000:80"', 'ports = "8001:80"'));
    site.child.signal("SIGHUP");
    await eventually("port 8001 listed", async () =>
      (await openPorts(lab, site)).includes("tcp 8001 -> 192.168.77.2:80 (config)") ? true : undefined,
    );
    expect((await answers(8001))[8001]).toStartWith(`${lab.visitor.v4} `);
    expect(await openPorts(lab, site)).not.toContain("tcp 8000 -> 192.168.77.2:80 (config)");
  }, 20_000);
});

describe("gateway stop --clean", () => {
  test("leaves nothing in the kernel", async () => {
    expect((await nft(lab, "list", "ruleset")).stdout).toContain("hatchway");
    expect((await run(lab, site.home, "gateway", "stop", "--clean")).exitCode).toBe(0);
    expect(await site.child.exited).toBe(0);
    expect((await nft(lab, "list", "ruleset")).stdout).toBe("");
  }, 20_000);

  test("takes away what a gateway left that does not run any more", async () => {
    site.child = await launchGateway(lab, site.home);
    site.child.signal("SIGKILL");
    await site.child.exited;
    expect((await nft(lab, "list", "ruleset")).stdout).toContain("hatchway");
    const stopped = await run(lab, site.home, "gateway", "stop", "--clean");
    expect([stopped.exitCode, stopped.stderr]).toEqual([0, "The gateway stopped and left nothing in the kernel."]);
    expect((await nft(lab, "list", "ruleset")).stdout).toBe("");
  }, 20_000);
});
