import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { PcpResponse } from "../../src/wire/pcp/response.ts";
import { type Child, parseJson } from "./child.ts";
import { createLab, type Host, type Lab } from "./lab.ts";

/** The NAT-PMP and PCP server on a gateway with two inside interfaces, and real clients on both sides of it. */
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
const peer = (name: string) => join(import.meta.dir, "peers", `${name}.ts`);

const LAN1 = { v4: "192.168.77.1", v6: "fd00:77::1" } as const;
const LAN2 = { v4: "192.168.78.1", v6: "fd00:78::1" } as const;
/** RFC 7723. */
const ANYCAST = "192.0.0.9";
const EXTERNAL = "203.0.113.20";
const SETTINGS = {
  natPmp: true,
  pcp: true,
  thirdParty: false,
  interfaces: [
    { name: "lan1", addresses: [LAN1.v4, LAN1.v6, ANYCAST], networks: ["192.168.77.0/24", "fd00:77::/64"] },
    { name: "lan2", addresses: [LAN2.v4, LAN2.v6], networks: ["192.168.78.0/24", "fd00:78::/64"] },
  ],
};

let lab: Lab;
let gateway: Child;
let agentHears: Child;
let otherHears: Child;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  await lab.exec(lab.nat, ["ip", "address", "add", `${ANYCAST}/32`, "dev", "lan1"]);
  [agentHears, otherHears] = [lab.agent, lab.other].map((host) => lab.spawn(host, [...BUN, peer("announcements")])) as [
    Child,
    Child,
  ];
  await Promise.all([agentHears.event("ready"), otherHears.event("ready")]);
  gateway = lab.spawn(lab.nat, [...BUN, peer("portmap-gateway"), JSON.stringify(SETTINGS)]);
  expect(await gateway.event<object>("ready")).toMatchObject({ endpoints: { length: 5 } });
});
afterAll(() => lab?.[Symbol.asyncDispose]());

async function natpmpc(host: Host, ...args: readonly (string | number)[]) {
  const { stdout, stderr, exitCode } = await lab.exec(host, ["natpmpc", ...args.map(String)]);
  const mapped = stdout.match(/Mapped public port (\d+) protocol (\w+) to local port (\d+) li(?:f|fe)time (\d+)/);
  return {
    exitCode,
    told: stdout + stderr,
    address: stdout.match(/Public IP address : (\S+)/)?.[1] ?? null,
    mapped: mapped === null ? null : mapped.slice(1).join(" "),
  };
}

async function askPcp(host: Host, ...args: readonly (string | number)[]): Promise<PcpResponse | string | null> {
  await using child = lab.spawn(host, [...BUN, peer("pcp-client"), ...args.map(String)]);
  return (await child.event<{ answer: PcpResponse | null }>("done")).answer;
}

async function counts(): Promise<Record<string, number>> {
  const fromLine = gateway.stdout.length;
  gateway.signal("SIGUSR2");
  return gateway.event("counts", { fromLine });
}

describe("natpmpc", () => {
  test("the external address", async () => {
    expect(await natpmpc(lab.agent, "-g", LAN1.v4)).toMatchObject({ address: EXTERNAL, exitCode: 0 });
    expect(await natpmpc(lab.other, "-g", LAN2.v4)).toMatchObject({ address: EXTERNAL, exitCode: 0 });
  });
  test("as a VPN client asks: one port for both protocols, kept by each renewal", async () => {
    const renew = async () => [
      (await natpmpc(lab.agent, "-a", 1, 0, "udp", 60, "-g", LAN1.v4)).mapped,
      (await natpmpc(lab.agent, "-a", 1, 0, "tcp", 60, "-g", LAN1.v4)).mapped,
    ];
    const first = await renew();
    expect(first).toEqual(["1024 UDP 0 60", "1024 TCP 0 60"]);
    expect(await renew()).toEqual(first);
  });
  test("a mapping, another host that wants the same port, and the delete", async () => {
    expect(await natpmpc(lab.agent, "-a", 5000, 4000, "tcp", "-g", LAN1.v4)).toMatchObject({
      mapped: "5000 TCP 4000 3600",
    });
    expect(await natpmpc(lab.other, "-a", 5000, 4000, "tcp", "-g", LAN2.v4)).toMatchObject({
      mapped: "4000 TCP 4000 3600",
    });
    expect(await natpmpc(lab.agent, "-a", 5000, 4000, "tcp", 0, "-g", LAN1.v4)).toMatchObject({
      mapped: "0 TCP 4000 0",
    });
    expect(await natpmpc(lab.other, "-a", 5000, 4001, "tcp", "-g", LAN2.v4)).toMatchObject({
      mapped: "5000 TCP 4001 3600",
    });
  });
});

describe("PCP", () => {
  test("MAP, its renewal and its delete over IPv4", async () => {
    const args = ["map", "udp", 6000, 6001] as const;
    const nonce = "nonce=0102030405060708090a0b0c";
    const body = { opcode: "map", externalPort: 6001, externalAddress: EXTERNAL };
    expect(await askPcp(lab.agent, LAN1.v4, ...args, 600, nonce)).toMatchObject({
      kind: "success",
      lifetimeSec: 600,
      body,
    });
    expect(await askPcp(lab.agent, LAN1.v4, ...args, 900, nonce)).toMatchObject({
      kind: "success",
      lifetimeSec: 900,
      body,
    });
    expect(await askPcp(lab.agent, LAN1.v4, ...args, 0, nonce)).toMatchObject({ kind: "success", lifetimeSec: 0 });
  });
  test("a pinhole over IPv6, with a filter", async () => {
    const answer = await askPcp(lab.agent, LAN1.v6, "map", "tcp", 6000, 0, 600, "filter=2001:db8:113::/64@443");
    const filters = [{ remote: "2001:db8:113::/64", remotePort: 443 }];
    const body = { externalPort: 6000, externalAddress: lab.agent.v6, filters };
    expect(answer).toMatchObject({ kind: "success", body });
  });
  test("PEER and ANNOUNCE", async () => {
    const remote = { remoteAddress: "203.0.113.10", remotePort: 443 };
    const answer = await askPcp(lab.agent, LAN1.v4, "peer", "udp", 6100, 0, 600, "remote=203.0.113.10@443");
    expect(answer).toMatchObject({ kind: "success", body: { opcode: "peer", externalPort: 6100, ...remote } });
    expect(await askPcp(lab.agent, LAN1.v4, "announce")).toMatchObject({
      kind: "success",
      body: { opcode: "announce" },
    });
  });
  test("by its anycast address, which answers from there", async () => {
    expect(await askPcp(lab.agent, ANYCAST, "map", "tcp", 6200, 0, 600)).toMatchObject({ kind: "success" });
  });
  test("a NAT between is found, and nobody asks for another", async () => {
    const mismatch = await askPcp(lab.agent, LAN1.v4, "map", "tcp", 6300, 0, 600, "client=10.0.0.1");
    expect(mismatch).toMatchObject({ kind: "refused", result: 12 });
    const third = await askPcp(lab.agent, LAN1.v4, "map", "tcp", 6300, 0, 600, `third-party=${lab.other.v4}`);
    expect(third).toMatchObject({ kind: "refused", result: 5 });
  });
});

describe("nothing goes outside", () => {
  const NAT_PMP = "0000";
  const PCP_ANNOUNCE = `0200${"00".repeat(6)}${"00".repeat(10)}ffffcb00710a`;

  test("not from the outside address, nor from an inside one that the outside can name", async () => {
    const before = await counts();
    // The kernel takes a datagram for any of its addresses on any interface, so these do reach the machine.
    await lab.exec(lab.visitor, ["ip", "route", "add", "192.168.77.0/24", "via", lab.nat.v4]);
    await lab.exec(lab.visitor, ["ip", "-6", "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
    await lab.exec(lab.visitor, ["ip", "route", "add", ANYCAST, "via", lab.nat.v4]);
    for (const address of [lab.nat.v4, lab.nat.v6, LAN1.v4, LAN1.v6, ANYCAST]) {
      for (const bytes of [NAT_PMP, PCP_ANNOUNCE]) {
        expect(await askPcp(lab.visitor, address, "raw", bytes, 0, 0, 0, "tries=2")).toBeNull();
      }
    }
    expect(await natpmpc(lab.visitor, "-g", lab.nat.v4)).toMatchObject({ address: null });
    expect(await natpmpc(lab.visitor, "-g", LAN1.v4)).toMatchObject({ address: null });
    expect(await counts()).toEqual(before);
  }, 20_000);

  test("nor for an inside source that came in outside, and not from one network's address in another", async () => {
    const before = await counts();
    await lab.exec(lab.visitor, ["ip", "address", "add", "192.168.77.9/32", "dev", "eth0"]);
    const spoof = ["socat", "-T1", "-", `UDP:${LAN1.v4}:5351,bind=192.168.77.9`];
    await lab.exec(lab.visitor, ["sh", "-c", `printf '\\0\\0' | ${spoof.join(" ")}`]);
    expect(await askPcp(lab.agent, LAN2.v4, "raw", NAT_PMP, 0, 0, 0, "tries=2")).toBeNull();
    expect(await counts()).toEqual(before);
  }, 20_000);

  test("a source that is not of the interface's networks gets nothing", async () => {
    await lab.exec(lab.agent, ["ip", "address", "add", "10.9.9.9/32", "dev", "eth0"]);
    await lab.exec(lab.nat, ["ip", "route", "add", "10.9.9.9/32", "dev", "lan1"]);
    const before = await counts();
    const { stdout } = await lab.exec(lab.agent, [
      "sh",
      "-c",
      `printf '\\0\\0' | socat -T1 - UDP:${LAN1.v4}:5351,bind=10.9.9.9 | wc -c`,
    ]);
    expect(stdout.trim()).toBe("0");
    expect(await counts()).toEqual({ ...before, offLink: (before["offLink"] ?? 0) + 1 });
  });
});

describe("announcements", () => {
  const heard = (child: Child) =>
    child.stdout
      .map(parseJson)
      .filter((line) => line?.["event"] === "announcement")
      .map((line) => `${line?.["protocol"]} ${line?.["from"]} ${line?.["port"]}`);

  test("a start is announced on each inside link, from the gateway's address there", () => {
    for (const [child, { v4, v6 }] of [
      [agentHears, LAN1],
      [otherHears, LAN2],
    ] as const) {
      expect(new Set(heard(child))).toEqual(new Set([`nat-pmp ${v4} 5351`, `pcp ${v4} 5351`, `pcp ${v6} 5351`]));
    }
  });
  test("another external address is announced at once, with an epoch that began anew", async () => {
    gateway.signal("SIGUSR1");
    const isNatPmp = (line: string) => {
      const told = parseJson(line);
      return told?.["protocol"] === "nat-pmp" && told["address"] !== EXTERNAL ? told : undefined;
    };
    const first = await agentHears.line("announcement of the new address", isNatPmp);
    expect(first).toMatchObject({
      protocol: "nat-pmp",
      kind: "external-address",
      address: "203.0.113.21",
      epochSec: 0,
    });
  });
});

test("a second server is told that the port is taken", async () => {
  await using second = lab.spawn(lab.nat, [...BUN, peer("portmap-gateway"), JSON.stringify(SETTINGS)]);
  const { failures } = await second.event<{ failures: { message: string }[] }>("failed");
  expect(failures).toHaveLength(5);
  expect(failures[0]?.message).toContain(`has ${LAN1.v4}:5351/udp; stop it`);
});

test("an interface that was made anew is served again after a reload", async () => {
  const nat = (...argv: string[]) => lab.exec(lab.nat, ["ip", ...argv]);
  await nat("link", "delete", "lan1");
  await nat("link", "add", "lan1", "type", "veth", "peer", "name", "eth0", "netns", lab.agent.namespace);
  await nat("link", "set", "lan1", "up");
  for (const address of [`${LAN1.v4}/24`, `${ANYCAST}/32`]) await nat("address", "add", address, "dev", "lan1");
  await nat("address", "add", `${LAN1.v6}/64`, "dev", "lan1", "nodad");
  await lab.exec(lab.agent, ["ip", "link", "set", "eth0", "up"]);
  await lab.exec(lab.agent, ["ip", "address", "add", `${lab.agent.v4}/24`, "dev", "eth0"]);
  const fromLine = gateway.stdout.length;
  gateway.signal("SIGHUP");
  expect(await gateway.event<object>("ready", { fromLine })).toMatchObject({ endpoints: { length: 5 } });
  expect(await natpmpc(lab.agent, "-g", LAN1.v4)).toMatchObject({ exitCode: 0 });
});
