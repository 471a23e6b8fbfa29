import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { CONNECTS_OR_NOT, startService, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab, VISITOR_SECOND_V4 } from "./lab.ts";
import { SBIN_PATH } from "./namespaces.ts";
import { eventually } from "./ready.ts";

/**
 * docs/gateway.md, done word by word in the lab: each section's commands and files in their order, on the machine that
 * their first line names. Only names of this machine are others: interfaces, addresses, the user, a directory.
 */
const DOCUMENT = readFileSync(join(import.meta.dir, "../../docs/gateway.md"), "utf8");
const UNIT = readFileSync(join(import.meta.dir, "../../docs/examples/hatchway-gateway.service"), "utf8");
const HATCHWAY = join(import.meta.dir, "../../bin/hatchway");
/** `useradd` would change the machine that runs this. */
const NOT_RUN = ["useradd"];
const START_DEADLINE_MS = 20_000;
/** upnpc takes a gateway with an address of a documentation range for one that is not connected. */
const PUBLIC = '[gateway]\npublic = "11.22.33.44"\n';

interface Block {
  readonly language: string;
  readonly text: string;
}

function blocksOf(section: string): Block[] {
  const text = DOCUMENT.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language = "", body = ""]) => ({
    language,
    text: body,
  }));
}

let lab: Lab;
let bin: string;
const done: string[] = [];

beforeAll(async () => {
  lab = createLab({ natRules: false });
  // The gateway gives up root: what it reads later must be in an ordinary user's reach.
  chmodSync(lab.directory, 0o711);
  bin = mkdtempSync(join(lab.directory, "bin-"));
  chmodSync(bin, 0o755);
  symlinkSync(HATCHWAY, join(bin, "hatchway"));
  mkdirSync("/run/wireguard", { recursive: true });
  const tcp = ["80", "113", "554", "3074", "8000", "8001", "8443", "8840", "25565", "51413"];
  await startService(lab, lab.agent, ...tcp.map((port) => `peer:tcp:${port}`), "echo:udp:3074", "echo:udp:51413");
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** A reader who follows one section, on machines that have not seen Hatchway. */
class Reader implements AsyncDisposable {
  readonly directory = mkdtempSync(join(lab.directory, "reader-"));
  readonly #data = join(this.directory, "data");
  readonly #blocks: Block[];
  #gateway: Child | null = null;

  constructor(readonly section: string) {
    this.#blocks = blocksOf(section);
    chmodSync(this.directory, 0o755);
    mkdirSync(this.#data, { mode: 0o700 });
  }

  /** Of the document's words, as this lab has them. */
  #here(text: string): string {
    return text
      .replaceAll("eth0", "wan")
      .replaceAll("br0", "lan1")
      .replaceAll("192.168.1.", "192.168.77.")
      .replaceAll("192.168.77.20", lab.agent.v4)
      .replaceAll("2001:db8:1::20", lab.agent.v6)
      .replaceAll("/etc/hatchway", this.directory)
      .replaceAll("chown hatchway", "chown nobody");
  }

  peek(): string {
    return this.#here(this.#blocks[0]?.text ?? "");
  }

  next(language: string): string {
    const block = this.#blocks.shift();
    if (language === "sh") done.push(block?.text ?? "");
    expect({ section: this.section, language: block?.language }).toEqual({ section: this.section, language });
    return this.#here(block?.text ?? "");
  }

  /** The machine that a block's first line names, and the block. */
  #command(): { readonly host: Host; readonly text: string } {
    const text = this.next("sh");
    const place = /^# on the (gateway|peer|client)/.exec(text)?.[1];
    if (place === undefined) throw new Error(`${this.section}: say in the first line where this is done:\n${text}`);
    return { host: place === "gateway" ? lab.nat : lab.agent, text };
  }

  #env(): Record<string, string> {
    return { PATH: `${bin}:${SBIN_PATH}`, HATCHWAY_DATA: this.#data };
  }

  /** wireguard-go's sockets are files of the whole machine; here each machine of the lab has its own. */
  #argv(text: string): string[] {
    const own = "mount -t tmpfs tmpfs /run/wireguard";
    return ["sh", "-ec", `${text.includes("wg-quick") ? own : ":"}; cd '${this.directory}'; ${text}`];
  }

  async run(): Promise<string> {
    const { host, text } = this.#command();
    return await this.shell(host, text);
  }

  async shell(host: Host, text: string): Promise<string> {
    const { exitCode, stdout, stderr } = await lab.exec(host, this.#argv(text), { env: this.#env() });
    if (exitCode !== 0) throw new Error(`${this.section}: exit code ${exitCode} of\n${text}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** For what goes on until somebody ends it. */
  background(): Child {
    const { host, text } = this.#command();
    return lab.spawn(host, this.#argv(text), { env: this.#env() });
  }

  async writeConfig(text = this.next("toml")): Promise<void> {
    const path = join(this.#data, "hatchway.toml");
    writeFileSync(path, text);
    await this.shell(lab.nat, `hatchway config validate ${path}`);
  }

  /** Starts the gateway as the next block says. */
  async start(text = this.#command().text): Promise<void> {
    const script = `mount -t tmpfs tmpfs /run/wireguard; ${text}`;
    const child = lab.spawn(lab.nat, ["sh", "-ec", script], { env: this.#env() });
    let ended = false;
    void child.exited.then(() => (ended = true));
    await eventually(
      "the gateway is ready",
      () => {
        if (ended) throw new Error(child.stderr.join("\n"));
        return child.stderr.some((line) => line.startsWith("The gateway is ready")) || undefined;
      },
      START_DEADLINE_MS,
    );
    this.#gateway = child;
  }

  async reload(): Promise<void> {
    const { gateway } = JSON.parse(await this.shell(lab.nat, "hatchway status --json"));
    process.kill(gateway.pid, "SIGHUP");
  }

  async ended(): Promise<void> {
    await this.#gateway?.exited;
    this.#gateway = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#gateway === null) return;
    await lab.exec(lab.nat, this.#argv("hatchway gateway stop --clean"), { env: this.#env() });
    await this.ended();
  }
}

/** What the service says to a visitor: who the visitor is. Empty = nothing came. */
async function reach(port: number, host = lab.nat.v4, from = lab.visitor.v4): Promise<string> {
  const url = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const source = host.includes(":") ? [] : ["--interface", from];
  return (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, ...source, url])).stdout;
}

async function reached(port: number): Promise<void> {
  const answer = await eventually(`port ${port} answers`, async () => (await reach(port)) || undefined);
  expect(answer).toContain(`${lab.visitor.v4} `);
}

/** What `wg-quick down` takes away, which would want wireguard-go's socket. */
const downAtTheEnd = (name: string): AsyncDisposable => ({
  async [Symbol.asyncDispose]() {
    const rules = "for f in -4 -6; do ip $f rule flush; ip $f rule add lookup main priority 32766; done";
    await lab.exec(lab.agent, ["sh", "-c", `ip link delete ${name}; nft flush ruleset; ${rules}`]);
  },
});

describe("docs/gateway.md", () => {
  test("the two commands", async () => {
    await using reader = new Reader("The two commands");
    await reader.start();
    expect(await reader.run()).toContain("minecraft");
    await reached(25565);
  }, 30_000);

  test("home router", async () => {
    await using reader = new Reader("Home router");
    await reader.writeConfig();
    await reader.start();
    await reached(80);
    await reached(8554);
    expect(await reach(8554, lab.nat.v4, VISITOR_SECOND_V4)).toBe("");
  }, 30_000);

  test("VPN server with forwarding", async () => {
    await using _ = downAtTheEnd("laptop");
    await using reader = new Reader("VPN server with forwarding");
    await reader.start();
    expect(await reader.run()).toContain("only 8810-8815, 8840");
    await reader.run();
    await reached(8840);
  }, 30_000);

  test("a peer with --split uses the VPN, and is not reached by forwards", async () => {
    await using _ = downAtTheEnd("split");
    await using reader = new Reader("VPN server with forwarding");
    await reader.start();
    await reader.shell(lab.nat, "hatchway vpn add split --open-all --split --out split.conf");
    await reader.shell(lab.nat, "hatchway forward add 8840 --to split");
    await reader.shell(lab.agent, "wg-quick up ./split.conf");
    const { stdout } = await lab.exec(lab.agent, ["natpmpc", "-g", "10.77.0.1"]);
    expect(stdout).toContain("Public IP address");
    expect(await reach(8840)).toBe("");
  }, 30_000);

  test("behind CGNAT: only answers to visitors go by the VPN", async () => {
    await using _ = downAtTheEnd("home");
    await using reader = new Reader("Behind CGNAT");
    await reader.start();
    await reader.run();
    const file = join(reader.directory, "home.conf");
    const before = readFileSync(file, "utf8");
    expect(before).toContain("Address = 10.77.0.2/32");
    writeFileSync(file, before.replace("[Interface]\n", `[Interface]\n${reader.next("ini")}`));
    await reader.run();
    await reached(25565);
    expect(await reader.shell(lab.agent, `ip route get ${lab.visitor.v4}`)).toContain("dev eth0");
  }, 30_000);

  test("a BitTorrent client", async () => {
    await using _ = downAtTheEnd("torrent");
    await using reader = new Reader("A BitTorrent client");
    await reader.start();
    await reader.run();
    await reader.run();
    await reached(51413);
    await reader.run();
    const loop = reader.background();
    const ports = await eventually("the peer has a port for both protocols", async () => {
      const { forwards } = JSON.parse(await reader.shell(lab.nat, "hatchway forward ls --json"));
      const asked = forwards.filter(({ origin }: { origin: string }) => origin === "natpmp");
      return asked.length === 2
        ? asked.map((one: { endpoints: { port: number }[] }) => one.endpoints[0]?.port)
        : undefined;
    });
    expect(ports[0]).toBe(ports[1]);
    await loop.kill();

    const told = join(reader.directory, "told");
    writeFileSync(told, "");
    chmodSync(told, 0o666);
    writeFileSync(join(bin, "transmission-remote"), `#!/bin/sh\necho "$@" >> '${told}'\n`, { mode: 0o755 });
    const config = reader.next("toml");
    await reader.run();
    await reader.writeConfig(config);
    await reader.reload();
    await eventually("gluetun's interface answers", async () => {
      const { exitCode } = await lab.exec(lab.agent, ["curl", "-s", ...CONNECTS_OR_NOT, "10.77.0.1:8000"]);
      return exitCode === 0 || undefined;
    });
    await reader.shell(
      lab.nat,
      "hatchway forward rm torrent; hatchway forward add 51413/tcp+udp --to torrent --name torrent",
    );
    await eventually(
      "the hook ran",
      () => readFileSync(told, "utf8").includes("10.77.0.2:9091 --port 51413") || undefined,
    );
    expect(JSON.parse(await reader.run()).ports).toContain(51413);
  }, 60_000);

  test("consoles", async () => {
    await using reader = new Reader("Consoles");
    await reader.writeConfig(PUBLIC);
    await reader.start();
    const ask = ["upnpc", "-m", "eth0", "-a", lab.agent.v4, "3074", "3074", "udp", "60"];
    await eventually(
      "a port",
      async () => (await lab.exec(lab.agent, ask)).stdout.includes("is redirected to") || undefined,
    );
    const echo = () => visitUdp<object>(lab, lab.visitor, "ask", lab.nat.v4, 3074, "hello");
    expect(await echo()).toMatchObject({ answer: "hello" });
    await lab.exec(lab.agent, ["upnpc", "-m", "eth0", "-d", "3074", "udp"]);
    await reader.run();
    expect(await echo()).toMatchObject({ answer: "hello" });
  }, 30_000);

  test("apps that ask", async () => {
    await using reader = new Reader("Apps that ask");
    await reader.writeConfig();
    await reader.start();
    expect(await reader.run()).toContain("Mapped public port 8000");
    await reached(8000);
    const denied = await lab.exec(lab.agent, ["natpmpc", "-a", "3389", "8001", "tcp", "60"]);
    expect(denied.stdout).not.toContain("Mapped public port 3389");
  }, 30_000);

  test("port triggering", async () => {
    await using reader = new Reader("Port triggering");
    await reader.start("hatchway gateway --wan wan --lan lan1");
    expect(await reader.run()).toContain("armed");
    expect(await reach(113)).toBe("");
    await lab.exec(lab.agent, ["curl", "-s", ...CONNECTS_OR_NOT, `${lab.visitor.v4}:6667`]);
    await reached(113);
  }, 30_000);

  test("IPv6", async () => {
    await using reader = new Reader("IPv6");
    await reader.start("hatchway gateway --wan wan --lan lan1");
    await lab.exec(lab.visitor, ["ip", "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
    await reader.run();
    expect(await reach(8443, lab.agent.v6)).toStartWith("2001:db8:113::");
    expect(await reach(8000, lab.agent.v6)).toBe("");
  }, 30_000);

  test("other firewalls: the warning is as shown, and its remedy mends", async () => {
    const chain = "table inet filter { chain forward { type filter hook forward priority 0; policy drop; }; }";
    await lab.exec(lab.nat, ["nft", chain]);
    await using _ = {
      [Symbol.asyncDispose]: async () => void (await lab.exec(lab.nat, ["nft", "delete table inet filter"])),
    };
    await using reader = new Reader("Other firewalls");
    await reader.start("hatchway gateway --wan wan --lan lan1");
    await reader.shell(lab.nat, "hatchway forward add 8000 --to 192.168.77.2");
    expect(await reach(8000)).toBe("");
    const { gateway } = JSON.parse(await reader.shell(lab.nat, "hatchway status --json"));
    const warning = reader.next("text");
    expect(gateway.warnings.map((one: string) => `${one}\n`)).toEqual([warning]);
    const commands = warning.split("\n").filter((line) => line.startsWith("nft "));
    expect(reader.peek().trimEnd().split("\n").slice(1)).toEqual(commands);
    await reader.run();
    await reached(8000);
  }, 30_000);

  test("when it stops", async () => {
    await using reader = new Reader("When it stops");
    const left = () => reader.shell(lab.nat, "nft list ruleset; ls /sys/class/net");
    await reader.start("hatchway gateway --wan wan --lan lan1");
    await reader.shell(lab.nat, "hatchway forward add 8000 --to 192.168.77.2");
    await reader.run();
    await reader.ended();
    await reached(8000);
    await reader.run();
    expect(await left()).toBe("lan1\nlan2\nlo\nwan");
    await reader.start("hatchway gateway --wan wan --lan lan1 --vpn");
    await reached(8000);
    await reader.shell(lab.nat, "hatchway gateway stop --clean");
    await reader.ended();
    expect(await left()).toBe("lan1\nlan2\nlo\nwan");
  }, 60_000);

  test("the systemd unit leaves it the capabilities that it needs, and its reload those to signal another user", async () => {
    const [, words = ""] = /^CapabilityBoundingSet=(.+)$/m.exec(UNIT) ?? [];
    const kept = words.split(" ").map((word) => word.replace("CAP_", "+").toLowerCase());
    const bounded = `setpriv --inh-caps=-all --bounding-set=-all,${kept.join(",")} --no-new-privs`;
    await using reader = new Reader("When it stops");
    // As StateDirectory= does it.
    await reader.shell(lab.nat, 'chown nobody: "$HATCHWAY_DATA"');
    await reader.start(`exec ${bounded} hatchway gateway --wan wan --lan lan1 --vpn`);
    const { gateway } = JSON.parse(await reader.shell(lab.nat, "hatchway status --json"));
    expect(gateway.warnings).toEqual([]);
    const [helper = ""] = readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8").split(" ");
    // capabilities(7): CAP_DAC_READ_SEARCH is 2, CAP_NET_ADMIN is 12; without CAP_SETPCAP more would be in the set.
    expect(readFileSync(`/proc/${helper}/status`, "utf8")).toMatch(/^CapBnd:\s+0{12}1004$/m);
    const signalled = await lab.exec(lab.nat, ["sh", "-c", `${bounded} sh -c 'kill -HUP ${gateway.pid}'`]);
    expect(signalled.exitCode).not.toBe(0);
    expect(UNIT).toContain("ExecReload=+");
  }, 30_000);

  test("what a packet says opens no port: no rule gives a connection a helper (NAT slipstreaming)", async () => {
    await using reader = new Reader("The two commands");
    await using _ = await startService(lab, lab.visitor, "peer:tcp:21");
    await reader.start();
    // RFC 959: the client names 192.168.77.2 port 8000 for data; a helper for FTP would open that.
    const say = `printf 'PORT 192,168,77,2,31,64\\r\\n' > /dev/tcp/${lab.visitor.v4}/21`;
    expect((await lab.exec(lab.agent, ["bash", "-c", say])).exitCode).toBe(0);
    expect(await reach(8000)).toBe("");
    expect(await reader.shell(lab.nat, "nft list ruleset")).not.toContain("helper");
  }, 30_000);

  test("all its commands were tried", () => {
    const all = [...DOCUMENT.matchAll(/```sh[^\n]*\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
    const notRun = all.filter((text) => NOT_RUN.some((word) => text.includes(word)));
    expect(new Set(done).size).toBe(new Set(all).size - notRun.length);
  });
});
