import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NatPmpResult } from "../../src/wire/natpmp.ts";
import { PcpResult } from "../../src/wire/pcp/message.ts";
import { askIgd, askNatPmp, askPcp, igdLocation, portMapping } from "./asking.ts";
import { type GatewaySite, openPorts, startGateway } from "./gateway-kit.ts";
import { run, writeConfig } from "./hatchway.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(30_000);

/** What one client may not do to another, or to the gateway: each refusal with its code on the wire. */
const toml = (strict: boolean) => `
[gateway]
log = "debug"
[upnp]
rules = ["deny 3389 any *", "deny * 192.168.78.0/24 2222", "allow 1024-65535 any 1-65535"]
max-mappings = 4
strict-nonce = ${strict}
[[mapping]]
name = "fixed"
ports = 9000
to = "192.168.77.2"
protocol = "tcp+udp"
`;
const NONCE = "0102030405060708090a0b0c";
const OTHER_NONCE = "f1f2f3f4f5f6f7f8f9fafbfc";
let lab: Lab;
let site: GatewaySite;
let locations: ReadonlyMap<Host, string>;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  site = await startGateway(lab, toml(false));
  const hosts = [lab.agent, lab.other];
  locations = new Map(
    await Promise.all(hosts.map(async (host) => [host, await igdLocation(lab, host)] as [Host, string])),
  );
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());
afterEach(async () => {
  const clear = (host: Host) =>
    (["tcp", "udp"] as const).map((protocol) =>
      askNatPmp(lab, host, { protocol, internal: 0, external: 0, lifetimeSec: 0 }),
    );
  await Promise.all([lab.agent, lab.other].flatMap(clear));
});

const FIXED = ["tcp 9000 -> 192.168.77.2:9000 (config)", "udp 9000 -> 192.168.77.2:9000 (config)"];
const igd = (host: Host, version: 1 | 2, action: string, args: Record<string, string | number>) =>
  askIgd(lab, host, locations.get(host) ?? "", version, action, args);
const natPmp = (host: Host, internal: number, external = internal, lifetimeSec = 600) =>
  askNatPmp(lab, host, { protocol: "tcp", internal, external, lifetimeSec });
const pcp = (host: Host, ...args: readonly (string | number)[]) => askPcp(lab, host, ...args);
const tcpMapping = (external: number, client: string, internal = external) =>
  portMapping({ external, internal, protocol: "TCP", client });

describe("a client cannot map to another's address", () => {
  test.each([1, 2] as const)("IGD %i: 606", async (version) => {
    const mapping = tcpMapping(8000, lab.other.v4);
    expect((await igd(lab.agent, version, "AddPortMapping", mapping)).code).toBe(606);
    if (version === 2) expect((await igd(lab.agent, version, "AddAnyPortMapping", mapping)).code).toBe(606);
    expect(await openPorts(lab, site)).toEqual(FIXED);
  });

  test("PCP: UNSUPP_OPTION for THIRD_PARTY, ADDRESS_MISMATCH for a false header", async () => {
    const third = await pcp(lab.agent, "map", "tcp", 8000, 8000, 600, `third-party=${lab.other.v4}`);
    expect(third).toMatchObject({ kind: "refused", result: PcpResult.unsupportedOption });
    const header = await pcp(lab.agent, "map", "tcp", 8000, 8000, 600, `client=${lab.other.v4}`);
    expect(header).toMatchObject({ kind: "refused", result: PcpResult.addressMismatch });
    expect(await openPorts(lab, site)).toEqual(FIXED);
  });

  test("nor to the gateway itself, or to the world", async () => {
    for (const client of ["192.168.77.1", lab.nat.v4, "127.0.0.1", "8.8.8.8", lab.relay.v4]) {
      const { code } = await igd(lab.agent, 1, "AddPortMapping", tcpMapping(8000, client));
      expect({ client, code }).toEqual({ client, code: 606 });
    }
    expect(await openPorts(lab, site)).toEqual(FIXED);
  }, 20_000);
});

describe("a client cannot take another's port", () => {
  test("IGD says 718 in both versions, PCP CANNOT_PROVIDE_EXTERNAL, NAT-PMP gives another", async () => {
    const held = await natPmp(lab.other, 8100);
    expect(held).toMatchObject({ kind: "map", externalPort: 8100 });
    for (const version of [1, 2] as const) {
      expect((await igd(lab.agent, version, "AddPortMapping", tcpMapping(8100, lab.agent.v4))).code).toBe(718);
    }
    const any = await igd(lab.agent, 2, "AddAnyPortMapping", tcpMapping(8100, lab.agent.v4, 8099));
    expect(any.body).toContain("<NewReservedPort>8099</NewReservedPort>");
    const insisting = await pcp(lab.agent, "map", "tcp", 8100, 8100, 600, "prefer-failure");
    expect(insisting).toMatchObject({ kind: "refused", result: PcpResult.cannotProvideExternal });
    const suggesting = await pcp(lab.agent, "map", "tcp", 8101, 8100, 600);
    expect(suggesting).toMatchObject({ kind: "success", body: { externalPort: 8101 } });
    expect(await natPmp(lab.agent, 8102, 8100)).toMatchObject({ kind: "map", externalPort: 8102 });
    // RFC 6886 §3.3: the number of one protocol is reserved in the other.
    const udp = await askNatPmp(lab, lab.agent, { protocol: "udp", internal: 8100, external: 8100, lifetimeSec: 600 });
    expect(udp).toMatchObject({ kind: "map", externalPort: 8101 });
    expect(await openPorts(lab, site)).toContain("tcp 8100 -> 192.168.78.2:8100 (natpmp)");
  }, 20_000);

  test("nor one of the operator's, of the gateway's own, or what the NAT sends from", async () => {
    const ports = [9000, Number(new URL(locations.get(lab.agent) ?? "").port), 52_000];
    for (const port of ports) {
      const insisting = await pcp(lab.other, "map", "tcp", 8110, port, 600, "prefer-failure");
      expect({ port, ...insisting }).toMatchObject({ port, result: PcpResult.cannotProvideExternal });
      const other = await natPmp(lab.other, 8111, port);
      expect({ port, ...other }).toMatchObject({ port, externalPort: 8111 });
    }
    const udp = await askNatPmp(lab, lab.other, { protocol: "udp", internal: 8112, external: 5351, lifetimeSec: 600 });
    expect(udp).toMatchObject({ externalPort: 8112 });
    expect((await igd(lab.other, 1, "AddPortMapping", tcpMapping(9000, lab.other.v4))).code).toBe(718);
    expect((await igd(lab.other, 2, "AddPortMapping", tcpMapping(9000, lab.other.v4))).code).toBe(729);
  }, 20_000);
});

describe("a client cannot have more than it may", () => {
  test("over the quota: NAT-PMP 4, PCP USER_EX_QUOTA, IGD 1 501, IGD 2 728; another client has its own", async () => {
    for (const port of [8200, 8201, 8202, 8203]) await natPmp(lab.agent, port);
    const result = NatPmpResult.outOfResources;
    expect(await natPmp(lab.agent, 8204)).toMatchObject({ kind: "failure", result });
    expect(await pcp(lab.agent, "map", "tcp", 8204, 8204, 600)).toMatchObject({ result: PcpResult.userExceededQuota });
    expect((await igd(lab.agent, 1, "AddPortMapping", tcpMapping(8204, lab.agent.v4))).code).toBe(501);
    for (const action of ["AddPortMapping", "AddAnyPortMapping"]) {
      expect((await igd(lab.agent, 2, action, tcpMapping(8204, lab.agent.v4))).code).toBe(728);
    }
    // What it has it may renew, and what it gives back makes room.
    expect(await natPmp(lab.agent, 8203)).toMatchObject({ kind: "map", externalPort: 8203 });
    expect(await natPmp(lab.other, 8204)).toMatchObject({ kind: "map", externalPort: 8204 });
    await natPmp(lab.agent, 8200, 0, 0);
    expect(await natPmp(lab.agent, 8205)).toMatchObject({ kind: "map", externalPort: 8205 });
  }, 20_000);

  test("denied ports: NAT-PMP 2, PCP NOT_AUTHORIZED, IGD 1 718, IGD 2 606", async () => {
    const result = NatPmpResult.notAuthorized;
    expect(await natPmp(lab.other, 2222, 8300)).toMatchObject({ kind: "failure", result });
    const inside = await pcp(lab.other, "map", "tcp", 2222, 8300, 600);
    expect(inside).toMatchObject({ kind: "refused", result: PcpResult.notAuthorized });
    const outside = await pcp(lab.other, "map", "tcp", 8300, 3389, 600, "prefer-failure");
    expect(outside).toMatchObject({ kind: "refused", result: PcpResult.notAuthorized });
    for (const external of [3389, 22]) {
      const mapping = tcpMapping(external, lab.other.v4, 8300);
      expect((await igd(lab.other, 1, "AddPortMapping", mapping)).code).toBe(718);
      expect((await igd(lab.other, 2, "AddPortMapping", mapping)).code).toBe(606);
    }
    expect(await openPorts(lab, site)).toEqual(FIXED);
  }, 20_000);
});

describe("a client cannot delete what is not its own", () => {
  test("IGD: 606 for another's and the operator's; NAT-PMP and PCP touch only their own", async () => {
    await natPmp(lab.other, 8400);
    const named = (port: number) => ({ NewRemoteHost: "", NewExternalPort: port, NewProtocol: "TCP" });
    for (const version of [1, 2] as const) {
      expect((await igd(lab.agent, version, "DeletePortMapping", named(8400))).code).toBe(606);
      expect((await igd(lab.other, version, "DeletePortMapping", named(9000))).code).toBe(606);
      expect((await igd(lab.agent, version, "DeletePortMapping", named(8401))).code).toBe(714);
    }
    // WANIPConnection:2 §2.5.19: without NewManage others are passed over, with it they are asked for.
    for (const [manage, code] of [
      [0, 730],
      [1, 606],
    ] as const) {
      const range = { NewStartPort: 8400, NewEndPort: 8410, NewProtocol: "TCP", NewManage: manage };
      expect((await igd(lab.agent, 2, "DeletePortMappingRange", range)).code).toBe(code);
    }
    // The operator's mapping leads to this client: it is not the client's for that.
    const result = NatPmpResult.notAuthorized;
    expect(await natPmp(lab.agent, 9000, 0, 0)).toMatchObject({ kind: "failure", result });
    expect(await pcp(lab.agent, "map", "tcp", 9000, 0, 0)).toMatchObject({ result: PcpResult.notAuthorized });
    // A success, for there is nothing of its own (RFC 6886 §3.4).
    expect(await natPmp(lab.agent, 8400, 0, 0)).toMatchObject({ kind: "map", lifetimeSec: 0 });
    expect(await openPorts(lab, site)).toEqual(["tcp 8400 -> 192.168.78.2:8400 (natpmp)", ...FIXED]);
  }, 20_000);

  test("nor see it in IGD's lists", async () => {
    await natPmp(lab.other, 8410);
    const entry = { NewRemoteHost: "", NewExternalPort: 8410, NewProtocol: "TCP" };
    expect((await igd(lab.agent, 1, "GetSpecificPortMappingEntry", entry)).code).toBe(714);
    const all = { NewStartPort: 1, NewEndPort: 65_535, NewProtocol: "TCP", NewManage: 0, NewNumberOfPorts: 0 };
    expect((await igd(lab.agent, 2, "GetListOfPortMappings", all)).body).not.toContain("8410");
    expect((await igd(lab.other, 2, "GetListOfPortMappings", all)).body).toContain("8410");
  });
});

describe("PCP's nonce", () => {
  const mapped = (nonce: string, lifetime = 600) =>
    pcp(lab.agent, "map", "tcp", 8500, 8500, lifetime, `nonce=${nonce}`);

  test("is told to nobody: no list, no log, no other protocol", async () => {
    expect(await mapped(NONCE)).toMatchObject({ kind: "success" });
    const { stdout } = await run(lab, site.home, "forward", "ls", "--json");
    const status = await run(lab, site.home, "status", "--json");
    const events = await run(lab, site.home, "events", "--json");
    const entry = { NewRemoteHost: "", NewExternalPort: 8500, NewProtocol: "TCP" };
    const igdEntry = await igd(lab.agent, 1, "GetSpecificPortMappingEntry", entry);
    const rules = await lab.exec(lab.nat, ["nft", "list", "ruleset"]);
    const log = [...site.child.stdout, ...site.child.stderr].join("\n");
    expect(log).toContain("tcp 8500");
    const said = [stdout, status.stdout, events.stdout, igdEntry.body, rules.stdout, log].join("\n");
    const spellings = [NONCE, Buffer.from(NONCE, "hex").toString("base64"), NONCE.match(/../g)?.join(":") ?? ""];
    for (const one of spellings) expect(said.toLowerCase()).not.toContain(one.toLowerCase());
    expect(said).not.toContain('"nonce"');
    // Of the file that it is kept in only the gateway's user can read anything.
    const stored = await lab.exec(lab.nat, ["stat", "-c", "%a %U", join(site.home.data, "hatchway.db")]);
    expect(stored.stdout).toBe("600 nobody");
    expect(readFileSync("/etc/passwd", "utf8")).toContain("nobody:");
  }, 20_000);

  test("strict-nonce: who has another renews and deletes nothing, even from the same address", async () => {
    writeConfig(site.home, toml(true));
    site.child.signal("SIGHUP");
    await eventually("strict", async () => {
      await mapped(NONCE);
      const other = await mapped(OTHER_NONCE, 1200);
      return other?.kind === "refused" ? other : undefined;
    });
    const result = PcpResult.notAuthorized;
    expect(await mapped(OTHER_NONCE)).toMatchObject({ kind: "refused", result });
    expect(await mapped(OTHER_NONCE, 0)).toMatchObject({ kind: "refused", result });
    expect(await openPorts(lab, site)).toContain("tcp 8500 -> 192.168.77.2:8500 (pcp)");
    expect(await mapped(NONCE, 1200)).toMatchObject({ kind: "success", lifetimeSec: 1200 });
    expect(await mapped(NONCE, 0)).toMatchObject({ kind: "success", lifetimeSec: 0 });
    expect(await openPorts(lab, site)).toEqual(FIXED);
  }, 30_000);
});
