import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certificateZoo } from "../fixtures/certificates.ts";
import { ROOT, readDocument } from "../fixtures/documents.ts";
import type { Child } from "./child.ts";
import { startService, visitUdp } from "./kit.ts";
import { createLab, type ExecResult, type Host, type Lab } from "./lab.ts";
import { namespaceFiles, SBIN_PATH } from "./namespaces.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(120_000);

/**
 * README.md, done word by word: a public machine, a den behind a gateway of ours, an office elsewhere. Only names of this lab
 * are others: interfaces, a LAN address, the code.
 */
const README = readDocument("README.md");
/** `npm start` is test/netns/console.test.ts's, with all that follows; `npm ci` is how these tests got here. */
const ELSEWHERE = ["npm ci && npm start"];
/** Of a range that the internet routes: an office's agent leads to public web sites only. */
const WEB_SITE = "11.22.33.44";
/** In the office's network: a machine that its agent reaches, and is not. */
const OFFICE_DATABASE = "192.168.99.5";
const START_MS = 30_000;
const NAMES = `203.0.113.1 relay.example.com\n${WEB_SITE} example.com\n${OFFICE_DATABASE} db.lan\n`;

/** In blocks, and within sentences. */
const commands = [
  ...[...README.matchAll(/```sh[^\n]*\n([\s\S]*?)```/g)].flatMap(([, block = ""]) => block.trim().split("\n")),
  ...[...README.matchAll(/`(bin\/hatchway [^`]+)`/g)].map(([, line = ""]) => line),
].map((line) => line.replace(/\s+#.*$/, ""));

let lab: Lab;
const left = new Set(commands);

/** A machine that has a clone, and a data directory of its own. */
class Machine {
  readonly directory = mkdtempSync(join(lab.directory, "machine-"));
  readonly data = join(this.directory, "data");
  code = "";

  constructor(readonly host: Host) {
    chmodSync(this.directory, 0o755);
    mkdirSync(join(this.directory, "bin"));
    symlinkSync(join(ROOT, "bin/hatchway"), join(this.directory, "bin/hatchway"));
    mkdirSync(this.data, { mode: 0o700 });
  }

  /** As this lab has it. */
  #argv(line: string): string[] {
    const here = line
      .replace("eth0", "wan")
      .replace("br0", "lan1")
      .replace("192.168.1.20", lab.agent.v4)
      .replace("CODE", this.code);
    // wireguard-go's sockets are files of the whole machine.
    const own = line.includes("--vpn") ? "mount -t tmpfs tmpfs /run/wireguard; " : "";
    return ["sh", "-c", `${own}cd '${this.directory}' && exec ${here}`];
  }

  get #env(): Record<string, string> {
    return { PATH: SBIN_PATH, HATCHWAY_DATA: this.data, CURL_CA_BUNDLE: join(lab.directory, "ca.pem") };
  }

  /** A command of the README, to its end. */
  run(line: string): Promise<ExecResult> {
    tick(line);
    return this.also(line);
  }

  /** One that the README has for another machine. */
  also(line: string): Promise<ExecResult> {
    return lab.exec(this.host, this.#argv(line), { env: this.#env, timeoutMs: 60_000 });
  }

  /** A command of the README that goes on: here until `says` is printed. */
  async start(line: string, says: string): Promise<Child> {
    tick(line);
    return await this.alsoStart(line, says);
  }

  async alsoStart(line: string, says: string): Promise<Child> {
    const child = lab.spawn(this.host, this.#argv(line), { env: this.#env });
    let ended = false;
    void child.exited.then(() => {
      ended = true;
    });
    await eventually(
      `${line} says ${says}`,
      () => {
        const told = [...child.stdout, ...child.stderr];
        if (told.some((text) => text.includes(says))) return true;
        if (ended) throw new Error(`${line} ended:\n${told.join("\n")}`);
        return undefined;
      },
      START_MS,
    );
    return child;
  }
}

/** It is in the README, and done. */
function tick(line: string): void {
  if (!commands.includes(line)) throw new Error(`README.md has no such command: ${line}`);
  left.delete(line);
}

async function interrupted(child: Child): Promise<void> {
  child.signal("SIGINT");
  await child.exited;
}

/** What the service says to a visitor; empty = nobody answers. */
const visit = async (place: string): Promise<string> =>
  (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", "-m", "2", place])).stdout;

const reached = (place: string): Promise<string> =>
  eventually(`${place} answers`, async () => (await visit(place)) || undefined, START_MS);

beforeAll(async () => {
  lab = createLab({ natRules: false });
  // The gateway gives up root: what it reads later must be in an ordinary user's reach.
  chmodSync(lab.directory, 0o711);
  mkdirSync("/run/wireguard", { recursive: true });
  for (const { namespace } of [lab.visitor, lab.relay, lab.nat, lab.agent]) {
    const hosts = join(namespaceFiles(namespace), "hosts");
    writeFileSync(hosts, `${readFileSync(hosts, "utf8")}${NAMES}`);
  }
  for (const address of [WEB_SITE, OFFICE_DATABASE]) {
    await lab.exec(lab.relay, ["ip", "address", "add", `${address}/32`, "dev", "eth0"]);
    await lab.exec(lab.visitor, ["ip", "route", "add", address, "via", lab.relay.v4]);
  }
  const { authority } = await certificateZoo();
  const { certificatePem, keyPem } = await authority.issue({ names: ["example.com"] });
  for (const [name, text] of Object.entries({ ca: authority.certificatePem, cert: certificatePem, key: keyPem }))
    writeFileSync(join(lab.directory, `${name}.pem`), text);
  const tls = `{cert:Bun.file("${lab.directory}/cert.pem"),key:Bun.file("${lab.directory}/key.pem")}`;
  const site = `Bun.serve({hostname:"${WEB_SITE}",port:443,tls:${tls},fetch:()=>new Response("a web site\\n")});console.log("up")`;
  const web = lab.spawn(lab.relay, [process.execPath, "-e", site]);
  await Promise.all([
    web.line("a web site", (line) => (line === "up" ? true : undefined)),
    startService(lab, lab.agent, "peer:tcp:25565", "echo:udp:19132", "peer:tcp:80"),
    startService(lab, lab.relay, "--host", OFFICE_DATABASE, "peer:tcp:5432"),
  ]);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

test("README.md does what it says", async () => {
  const [publicMachine, gateway, den, office] = [lab.relay, lab.nat, lab.agent, lab.visitor].map(
    (host) => new Machine(host),
  ) as [Machine, Machine, Machine, Machine];

  // A router, or a VPN server with forwarded ports: the den is behind it.
  await gateway.start("bin/hatchway gateway --wan eth0 --lan br0 --vpn", "The gateway is ready");
  expect(await gateway.run("bin/hatchway forward add 8000:80 --to 192.168.1.20")).toMatchObject({ exitCode: 0 });
  await reached(`${lab.nat.v4}:8000`);
  expect(await gateway.run("bin/hatchway vpn add laptop --only 8840 --out laptop.conf")).toMatchObject({ exitCode: 0 });
  expect(existsSync(join(gateway.directory, "laptop.conf"))).toBe(true);

  // The two commands.
  const relay = await publicMachine.start("bin/hatchway serve --public relay.example.com", "The relay is ready");
  den.code = (await publicMachine.run("bin/hatchway join-code create --name den")).stdout.trim();
  await den.start("bin/hatchway agent --join CODE", "Connected to");
  const exposed = await den.start("bin/hatchway expose 25565", "relay.example.com:25565");
  expect(await reached("relay.example.com:25565")).toContain(" ");
  await interrupted(exposed);
  await eventually("the port is closed", async () =>
    (await visit("relay.example.com:25565")) === "" ? true : undefined,
  );

  // A game server behind NAT.
  for (const line of [
    "bin/hatchway forward add 25565 --name minecraft --connections-per-source 5",
    "bin/hatchway forward add 19132/udp --name bedrock",
    "bin/hatchway forward set minecraft --connections 40",
  ]) {
    expect(await den.run(line)).toMatchObject({ exitCode: 0 });
  }
  await reached("relay.example.com:25565");
  const udp = await visitUdp<{ answer: string | null }>(lab, lab.visitor, "ask", lab.relay.v4, 19_132, "anybody?");
  expect(udp.answer).toBe("anybody?");
  expect((await den.run("bin/hatchway status")).stdout).toMatch(/minecraft[\s\S]*bedrock|bedrock[\s\S]*minecraft/);

  // Something does not work.
  expect((await den.run("bin/hatchway check 25565")).stdout).toContain("open");
  const doctor = await den.run("bin/hatchway doctor");
  expect([0, 1, 5]).toContain(doctor.exitCode);
  expect(doctor.stdout).toContain("relay.example.com");

  // Private access, through an agent in the office.
  const toml = /```toml\n\[agent\]\nallow = \[([^\]]*)\]\n```/.exec(README)?.[1] ?? "";
  const sites = /`allow = \[([^\]]*)\]`/.exec(README)?.[1] ?? "";
  writeFileSync(join(office.data, "hatchway.toml"), `[agent]\nallow = [${toml}, ${sites}]\n`);
  office.code = (await publicMachine.also("bin/hatchway join-code create --name office")).stdout.trim();
  await office.alsoStart("bin/hatchway agent --join CODE", "Connected to");
  await den.start("bin/hatchway connect -L 5432:db.lan:5432 --via agent:office", "127.0.0.1:5432");
  expect((await den.also("curl -s --http0.9 -m 5 127.0.0.1:5432")).stdout).toContain(" ");
  await den.start("bin/hatchway connect -D 1080 --via agent:office", "127.0.0.1:1080");
  const browsed = await den.run("curl --socks5-hostname 127.0.0.1:1080 https://example.com/");
  expect(browsed.stdout).toContain("a web site");

  // No relay at all.
  const router = await den.run("bin/hatchway router");
  expect(router.stdout).toContain("192.168.77.1");
  await den.also("bin/hatchway forward rm minecraft");
  const mapped = await den.start("bin/hatchway map 25565", `${lab.nat.v4}:25565`);
  await reached(`${lab.nat.v4}:25565`);
  await interrupted(mapped);
  const auto = await den.start("bin/hatchway expose 25565 --via auto", ":25565");
  await interrupted(auto);

  // In the browser.
  await interrupted(relay);
  const line = "bin/hatchway serve --public relay.example.com --console 127.0.0.1:7780";
  const withConsole = await publicMachine.start(line, "http://127.0.0.1:7780/setup#");
  const page = await publicMachine.also("curl -s -m 5 http://127.0.0.1:7780/");
  expect(page.stdout).toContain("<title>Hatchway</title>");
  await interrupted(withConsole);

  expect([...left]).toEqual(ELSEWHERE);
});
