import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { askNatPmp } from "./asking.ts";
import { type GatewaySite, launchGateway, nft, openPorts, startGateway } from "./gateway-kit.ts";
import { command, type Home, newHome, query, run, writeConfig } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService } from "./kit.ts";
import { createLab, type ExecResult, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { eventually, listening } from "./ready.ts";

setDefaultTimeout(30_000);

/** Starts that must not be, in one sentence each; and starts beside what is there already. */
const INTERFACES = ["--wan", "wan", "--lan", "lan1", "--lan", "lan2"];
const NOBODY = 65_534;
const DAEMON = 1;
let lab: Lab;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  chmodSync(lab.directory, 0o711);
  await startService(lab, lab.agent, "--host", "0.0.0.0", "peer:tcp:8000");
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

const start = (home: Home, ...args: readonly string[]): Promise<ExecResult> =>
  lab.exec(lab.nat, command(home, "gateway", ...args));
const reach = async (port: number): Promise<string> =>
  (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, `${lab.nat.v4}:${port}`])).stdout;
const chown = (uid: number, ...paths: readonly string[]): string => tool(["chown", "-R", `${uid}:${uid}`, ...paths]);
const warnings = async (site: GatewaySite): Promise<readonly string[]> =>
  (await query<{ gateway: { warnings: readonly string[] } }>(lab, site.home, "status")).gateway.warnings;
async function stop(site: GatewaySite): Promise<void> {
  expect((await run(lab, site.home, "gateway", "stop", "--clean")).exitCode).toBe(0);
  expect(await site.child.exited).toBe(0);
}
function home(toml = ""): Home {
  const made = newHome(lab, lab.nat, toml);
  chmodSync(join(made.config, ".."), 0o755);
  return made;
}
/** One line that says what to do, and no more: no stack, no second error. */
function expectRefused({ exitCode, stderr }: ExecResult, sentence: string): void {
  expect(stderr).toContain(sentence);
  expect(stderr.split("\n").filter((line) => line !== "")).toHaveLength(1);
  expect(exitCode).toBe(2);
}

describe("a start that cannot be is refused in one sentence, and changes nothing", () => {
  test("without root", async () => {
    const { data, config } = home();
    const argv = command({ host: lab.nat, data, config }, "gateway", ...INTERFACES);
    const asNobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--bounding-set=-all"];
    expectRefused(await lab.exec(lab.nat, [...asNobody, ...argv]), "Run the gateway as root");
  });

  test.each([
    ["an unknown interface", "", ["--wan", "nope", "--lan", "lan1"], "nope"],
    ["an unknown one in the file", '[gateway]\nwan = "wan"\nlan = ["lan1", "lna2"]\n', [], "lna2"],
    ["one interface for both", "", ["--wan", "wan", "--lan", "wan"], "it can be one of the two"],
    ["no interface", "", [], "Name the interface where visitors come from"],
    ["no inside", "", ["--wan", "wan"], "Name the interface where the clients are"],
    ["root for a user", '[gateway]\nuser = "root"\n', INTERFACES, "does not run as root"],
    ["an unknown user", '[gateway]\nuser = "nobody-here"\n', INTERFACES, "There is no user nobody-here"],
  ] as const)("%s", async (_, toml, args, sentence) => {
    expectRefused(await start(home(toml), ...args), sentence);
    expect((await nft(lab, "list", "ruleset")).stdout).toBe("");
  });

  const CAPABILITIES = ["chown", "dac_override", "dac_read_search", "setgid", "setuid", "setpcap", "net_admin"];
  test.each(CAPABILITIES)("as root without CAP_%s, as in a container", async (lacking) => {
    const one = home();
    const left = CAPABILITIES.filter((name) => name !== lacking).map((name) => `+${name}`);
    const bounded = ["setpriv", `--bounding-set=-all,${left}`, "--inh-caps=-all"];
    const refused = await lab.exec(lab.nat, [...bounded, ...command(one, "gateway", ...INTERFACES)]);
    expectRefused(refused, `The gateway lacks CAP_${lacking.toUpperCase()}, which this container or service`);
    expect((await nft(lab, "list", "ruleset")).stdout).toBe("");
  });

  test("as root without any", async () => {
    const argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", ...command(home(), "gateway", ...INTERFACES)];
    expectRefused(await lab.exec(lab.nat, argv), "CAP_NET_ADMIN, and CAP_DAC_READ_SEARCH");
  });

  test("an interface whose name cannot be one", async () => {
    const sentence = '--wan must be the name of a network interface, such as "eth0".';
    expectRefused(await start(home(), "--wan", "a b", "--lan", "lan1"), sentence);
  });

  test("a data directory of another user's", async () => {
    const one = home();
    mkdirSync(one.data, { mode: 0o700 });
    chown(DAEMON, one.data);
    expectRefused(await start(one, ...INTERFACES), `runs as user nobody, who cannot use ${one.data}`);
    expect(statSync(one.data).uid).toBe(DAEMON);
  });

  test("one that others may write to", async () => {
    const one = home();
    mkdirSync(one.data);
    chmodSync(one.data, 0o777);
    expectRefused(await start(one, ...INTERFACES), "Others may write to");
  });

  test("one where the gateway's user has no way in", async () => {
    const closed = mkdtempSync(join(lab.directory, "closed-"));
    const one = { ...home(), data: join(closed, "data") };
    expectRefused(await start(one, ...INTERFACES), `runs as user nobody, who cannot use ${one.data}`);
  });

  test("a hook's key that only root may read", async () => {
    const key = join(mkdtempSync(join(lab.directory, "key-")), "hook.key");
    writeFileSync(key, "a key of more than sixteen bytes\n", { mode: 0o600 });
    chmodSync(join(key, ".."), 0o755);
    const one = home(`[[hook]]\nurl = "http://127.0.0.1:1/"\nkey-file = "${key}"\n`);
    expectRefused(await start(one, ...INTERFACES), `Cannot read ${key}: user nobody is not allowed to.`);
    expect((await nft(lab, "list", "ruleset")).stdout).toBe("");
  });

  test("a helper's directory that is not root's", async () => {
    const one = home();
    mkdirSync(join(one.data, "privileged"), { recursive: true, mode: 0o700 });
    chown(NOBODY, one.data);
    expectRefused(await start(one, ...INTERFACES), "must be a directory of root's");
  });
});

describe("data of an earlier run", () => {
  test("root's own is taken over; a later start finds it, whoever it belongs to by now", async () => {
    const one = home();
    const relay = lab.spawn(
      lab.nat,
      command(one, "serve", "--listen", "127.0.0.1:0", "--public", "127.0.0.1", "--json"),
    );
    await relay.event("ready");
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
    expect(statSync(join(one.data, "hatchway.db")).uid).toBe(0);

    const site: GatewaySite = { home: one, child: await launchGateway(lab, one) };
    expect(statSync(join(one.data, "hatchway.db")).uid).toBe(NOBODY);
    expect(statSync(join(one.data, "privileged"))).toMatchObject({ uid: 0 });
    expect((await run(lab, one, "forward", "add", "8000", "--to", lab.agent.v4)).exitCode).toBe(0);
    expect(await reach(8000)).toStartWith(`${lab.visitor.v4} `);
    site.child.signal("SIGTERM");
    await site.child.exited;
    site.child = await launchGateway(lab, one);
    expect(await openPorts(lab, site)).toEqual(["tcp 8000 -> 192.168.77.2:8000 (cli)"]);
    await stop(site);
  }, 30_000);
});

describe("a reload", () => {
  test("of a file that the gateway's user cannot read, or with a mistake, is told; all goes on", async () => {
    const toml = '[[mapping]]\nname = "web"\nports = 8000\nto = "192.168.77.2"\n';
    const site = await startGateway(lab, toml);
    const says = (sentence: string) =>
      eventually(`"${sentence}" on standard error`, () =>
        site.child.stderr.some((line) => line.includes(sentence)) ? true : undefined,
      );
    writeConfig(site.home, `${toml}[[mapping]]\nname = "more"\nports = 8001\nto = "192.168.77.2"\n`);
    chmodSync(site.home.config, 0o600);
    site.child.signal("SIGHUP");
    await says(`Cannot read ${site.home.config}: user nobody is not allowed to.`);
    expect(site.child.stderr.filter((line) => line.includes("    at "))).toEqual([]);
    expect(await openPorts(lab, site)).toEqual(["tcp 8000 -> 192.168.77.2:8000 (config)"]);

    chmodSync(site.home.config, 0o644);
    writeConfig(site.home, `${toml}[gateway]\nwam = "eth0"\n`);
    site.child.signal("SIGHUP");
    await says("wam");
    writeConfig(site.home, `${toml}[[mapping]]\nname = "out"\nports = 8002\nto = "8.8.8.8"\n`);
    site.child.signal("SIGHUP");
    await says("8.8.8.8 is in no network");
    expect(await reach(8000)).toStartWith(`${lab.visitor.v4} `);
    expect(await openPorts(lab, site)).toEqual(["tcp 8000 -> 192.168.77.2:8000 (config)"]);
    await stop(site);
  }, 30_000);
});

describe("a reload that fails changes nothing", () => {
  const [OWN, TAKEN] = [9_401, 9_402];
  const toml = (lan: string, port: number, more = "") => `
[gateway]
wan = "wan"
lan = [${lan}]
[gluetun]
listen = "127.0.0.1:${port}"
[[mapping]]
name = "web"
ports = 8000
to = "192.168.77.2"
${more}`;
  const MORE = '[[mapping]]\nname = "more"\nports = "8001:8000"\nto = "192.168.77.2"\n';
  const BOTH = '"lan1", "lan2"';
  let site: GatewaySite;
  beforeAll(async () => {
    await startService(lab, lab.nat, "--host", "127.0.0.1", `peer:tcp:${TAKEN}`);
    const made = home(toml(BOTH, OWN));
    const child = lab.spawn(lab.nat, command(made, "gateway", "--json"));
    await child.event("ready", { deadlineMs: 20_000 });
    site = { home: made, child };
  });

  test.each<[string, string, string]>([
    ["gluetun's port is another program's", toml(BOTH, TAKEN, MORE), `${TAKEN}`],
    ["an interface that is not there", toml('"lan1", "lna2"', OWN, MORE), 'There is no interface "lna2"'],
    ["an interface on both sides", toml('"lan1", "wan"', OWN, MORE), "wan is named for visitors and for clients"],
    ["no interface of clients", toml("", OWN, MORE), "lan"],
    ["what the kernel's part does not take", toml('"lan1", "lan2", "lan2"', OWN, MORE), "Name the interface lan2 once"],
  ])("%s", async (_, text, sentence) => {
    const from = site.child.stderr.length;
    writeConfig(site.home, text);
    site.child.signal("SIGHUP");
    await eventually("it is told", () =>
      site.child.stderr.slice(from).some((line) => line.includes(sentence)) ? true : undefined,
    );
    await eventually("as before", async () => {
      const open = await openPorts(lab, site);
      return Bun.deepEquals(open, ["tcp 8000 -> 192.168.77.2:8000 (config)"]) ? true : undefined;
    });
    expect(await reach(8000)).toStartWith(`${lab.visitor.v4} `);
    expect(await reach(8001)).toBe("");
    const gluetun = await lab.exec(lab.nat, ["curl", "-s", `http://127.0.0.1:${OWN}/v1/portforward`]);
    expect(JSON.parse(gluetun.stdout)).toEqual({ port: 8000, ports: [8000] });
  });

  test("and the next one that is right is taken", async () => {
    writeConfig(site.home, toml(BOTH, OWN, MORE));
    site.child.signal("SIGHUP");
    await eventually("it is open", async () => ((await reach(8001)) === "" ? undefined : true));
    await stop(site);
  });
});

describe("beside miniupnpd", () => {
  test("its ports are told, the rest works; when it ends, they are the gateway's", async () => {
    const directory = mkdtempSync(join(lab.directory, "miniupnpd-"));
    const config = join(directory, "miniupnpd.conf");
    const chains = "upnp_table_name=filter\nupnp_nat_table_name=filter\n";
    writeFileSync(
      config,
      `ext_ifname=wan\next_ip=11.22.33.44\nlistening_ip=lan1\nenable_upnp=yes\nenable_natpmp=yes\n${chains}allow 1024-65535 0.0.0.0/0 1024-65535\n`,
    );
    await nft(
      lab,
      "add table inet filter; add chain inet filter miniupnpd; add chain inet filter prerouting_miniupnpd; add chain inet filter postrouting_miniupnpd",
    );
    const miniupnpd = lab.spawn(lab.nat, ["miniupnpd", "-d", "-f", config, "-P", join(directory, "pid")]);
    await listening(miniupnpd, "udp", 5351);
    const site = await startGateway(lab);
    const states = async () =>
      (
        await query<{ gateway: { servers: readonly { name: string; message: string | null }[] } }>(
          lab,
          site.home,
          "status",
        )
      ).gateway.servers;
    expect(await states()).toContainEqual({
      name: "NAT-PMP and PCP",
      listening: expect.any(Boolean),
      message: expect.stringContaining("Another program (miniupnpd?) has"),
    } as never);
    expect((await run(lab, site.home, "forward", "add", "8000", "--to", lab.agent.v4)).exitCode).toBe(0);
    expect(await reach(8000)).toStartWith(`${lab.visitor.v4} `);
    // Its clients ask miniupnpd, and not a silent port.
    expect(await askNatPmp(lab, lab.agent, null)).toMatchObject({ address: "11.22.33.44" });

    miniupnpd.signal("SIGTERM");
    await miniupnpd.exited;
    await eventually("NAT-PMP is the gateway's", async () => {
      const answer = await askNatPmp(lab, lab.agent, null, 1);
      return answer?.kind === "external-address" && answer.address === lab.nat.v4 ? true : undefined;
    });
    expect((await states()).map(({ message }) => message)).toEqual([null, null]);
    expect(await askNatPmp(lab, lab.other, null)).toMatchObject({ address: lab.nat.v4 });
    await stop(site);
    await nft(lab, "delete table inet filter");
  }, 40_000);
});

describe("beside a firewall that drops what it does not know", () => {
  test("status says what mends it; that mends it; and a reload sees that", async () => {
    await nft(
      lab,
      'add table inet mine; add chain inet mine forward { type filter hook forward priority filter; policy drop; }; add rule inet mine forward ct state established,related accept; add rule inet mine forward iifname { "lan1", "lan2" } accept',
    );
    const site = await startGateway(lab, '[[mapping]]\nname = "web"\nports = 8000\nto = "192.168.77.2"\n');
    expect(await reach(8000)).toBe("");
    const [warning = ""] = await warnings(site);
    expect(warning).toContain("inet mine");
    const shown = (await run(lab, site.home, "status")).stdout;
    const [, remedy = ""] = warning.split("What mends it:\n");
    const [commands = "", lasting = ""] = remedy.split("# to keep it");
    expect(commands).toStartWith("nft ");
    // Each command is a line to copy.
    for (const line of `${commands}# to keep it${lasting}`.trim().split("\n")) {
      expect(shown.split("\n").map((one) => one.trim())).toContain(line);
    }
    const mended = await lab.exec(lab.nat, ["sh", "-ec", commands]);
    expect({ commands, ...mended }).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await reach(8000)).toStartWith(`${lab.visitor.v4} `);
    site.child.signal("SIGHUP");
    await eventually("no warning", async () => ((await warnings(site)).length === 0 ? true : undefined));
    await stop(site);
    await nft(lab, "delete table inet mine");
  }, 30_000);
});
