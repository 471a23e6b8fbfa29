import { chmodSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { agentClient, gatewayClient, relayClient } from "../../src/servers/local/client.ts";
import { ControlError } from "../../src/servers/local/control.ts";
import { ROOT } from "../fixtures/documents.ts";
import { commandsOf, goesOn, looksLike, type Machine, type RunnableBlock } from "../fixtures/runnable-blocks.ts";
import { newPerson } from "./api-kit.ts";
import type { Child } from "./child.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { ipBatch, namespaceFiles, SBIN_PATH } from "./namespaces.ts";
import { eventually } from "./ready.ts";

/**
 * The machines and names that the documents' examples have: a relay on the internet, the agent "attic" in a LAN behind a
 * gateway of ours, the agent "office" and a visitor elsewhere. Every machine has its own /var/lib/hatchway. The relay has a
 * console with the people ada, who administrates, and bob; the attic's person has a token of ada's.
 */
const NAMES = [
  ["203.0.113.1", "relay.example.com relay.example.net relay.example"],
  ["203.0.113.20", "home.example.net"],
  ["10.9.9.9", "db.lan mail.lan db"],
] as const;
/** The gateway, the attic, and the hosts that the recipes put beside it. */
const LAN = { gateway: "192.168.1.1", attic: "192.168.1.2", others: [5, 10, 20, 30, 31, 64] } as const;
/** That services of the attic have, and of its neighbours: its LAN is one machine. */
const TCP = [21, 22, 25, 80, 443, 465, 554, 587, 993, 3000, 3389, 8000, 25_565, 30_000, 51_413];
const UDP = [1802, 19_132, 34_197];
const START_MS = 30_000;
const COMMAND_MS = 30_000;
const DATA = "/var/lib/hatchway";
const CONSOLE = "https://relay.example.com:7780";
/** Neighbours may ask for a neighbour's ports, as the recipes for consoles do. */
const GATEWAY_TOML = '[upnp]\nsecure = false\nrules = ["allow 1-65535 192.168.1.0/24 1-65535"]\n';

interface Place {
  readonly host: Host;
  /** Where its person is, with bin/hatchway and docs. */
  readonly directory: string;
  readonly data: string;
}

export class DocsWorld implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #places: Record<Machine, Place>;
  #token = "";

  private constructor(lab: Lab) {
    this.#lab = lab;
    const office = this.#place(lab.visitor);
    this.#places = {
      attic: this.#place(lab.agent),
      relay: this.#place(lab.relay),
      gateway: this.#place(lab.nat),
      office,
      visitor: office,
    };
  }

  static async open(): Promise<DocsWorld> {
    const lab = createLab({ natRules: false });
    // The gateway gives up root: what it reads later must be in an ordinary user's reach.
    chmodSync(lab.directory, 0o711);
    const world = new DocsWorld(lab);
    world.#addresses();
    await world.#start();
    return world;
  }

  #place(host: Host): Place {
    const directory = mkdtempSync(join(this.#lab.directory, "machine-"));
    const data = join(directory, "var/hatchway");
    chmodSync(directory, 0o755);
    mkdirSync(join(directory, "var"));
    mkdirSync(data, { mode: 0o700 });
    mkdirSync(join(directory, "bin"));
    for (const [link, to] of [
      ["bin/hatchway", "bin/hatchway"],
      ["docs", "docs"],
    ] as const) {
      symlinkSync(join(ROOT, to), join(directory, link));
    }
    return { host, directory, data };
  }

  #addresses(): void {
    const { agent, nat, visitor } = this.#lab;
    ipBatch(nat.namespace, ["address flush dev lan1", `address add ${LAN.gateway}/24 dev lan1`]);
    ipBatch(agent.namespace, [
      "address flush dev eth0",
      ...[LAN.attic, ...LAN.others.map((last) => `192.168.1.${last}`)].map(
        (address) => `address add ${address}/24 dev eth0`,
      ),
      `route add default via ${LAN.gateway}`,
    ]);
    ipBatch(visitor.namespace, ["address add 10.9.9.9/32 dev lo"]);
    for (const { host } of Object.values(this.#places)) {
      const hosts = join(namespaceFiles(host.namespace), "hosts");
      const names = NAMES.map(([address, name]) => `${address} ${name}\n`).join("");
      writeFileSync(hosts, `${readFileSync(hosts, "utf8")}${names}`);
    }
  }

  async #start(): Promise<void> {
    const { relay, gateway } = this.#places;
    writeFileSync(join(relay.data, "hatchway.toml"), '[check]\nlisten = "0.0.0.0:8089"\nprivate = true\n');
    writeFileSync(join(gateway.data, "hatchway.toml"), GATEWAY_TOML);
    const services = [...TCP.map((port) => `peer:tcp:${port}`), ...UDP.map((port) => `echo:udp:${port}`)];
    const console = "--console 0.0.0.0:7780";
    const [started] = await Promise.all([
      this.#runs("relay", `hatchway serve --public relay.example.com --ports 1-65535 ${console}`, "/setup#"),
      this.#runs("gateway", "hatchway gateway --wan wan --lan lan1 --vpn", "The gateway is ready"),
      startService(this.#lab, this.#lab.agent, ...services),
      startService(this.#lab, this.#lab.visitor, "peer:tcp:5432", "peer:tcp:993", "peer:tcp:587"),
    ]);
    await Promise.all([this.#joins("attic", "--managed"), this.#joins("office"), this.#people(started)]);
  }

  async #people(relay: Child): Promise<void> {
    const { host, data } = this.#places.relay;
    const setup = /https:\S+#\S+/.exec([...relay.stdout, ...relay.stderr].join("\n"))?.[0] ?? "";
    await newPerson(this.#lab, host, CONSOLE, setup, "ada");
    const control = relayClient(join(data, "relay.sock"));
    const invitation = await control.invitePerson({ role: "user", lifetimeSec: 600 });
    await newPerson(this.#lab, host, CONSOLE, invitation, "bob");
    const { secret } = await control.makeToken({ person: "ada", name: "attic", scope: "all", lifetimeSec: null });
    this.#token = secret;
    const { directory } = this.#places.attic;
    writeFileSync(join(directory, "laptop.token"), secret, { mode: 0o600 });
    writeFileSync(join(directory, "ca.pem"), readFileSync(join(data, "relay-cert.pem")));
  }

  async #joins(machine: Machine, more = ""): Promise<void> {
    const { data } = this.#places[machine];
    const code = await relayClient(join(this.#places.relay.data, "relay.sock")).createJoinCode({
      name: machine,
      lifetimeSec: 600,
    });
    if (machine === "office") {
      writeFileSync(join(data, "hatchway.toml"), '[agent]\nallow = ["10.9.9.9", "192.168.1.0/24"]\n');
    }
    await this.#runs(machine, `hatchway agent --join ${code} ${more}`, "Connected to");
  }

  #argv(machine: Machine, script: string): string[] {
    const { directory } = this.#places[machine];
    // `ip netns exec` has given it mounts of its own. wireguard-go's sockets are files of the whole machine.
    const own = `mount --bind '${directory}/var' /var/lib; mount -t tmpfs tmpfs /run/wireguard 2>/dev/null; cd '${directory}'`;
    return ["sh", "-ec", `${own}\n${script}`];
  }

  #spawn(machine: Machine, command: string): Child {
    return this.#lab.spawn(this.#places[machine].host, this.#argv(machine, `exec ${command}`), {
      env: this.#env(machine),
    });
  }

  #env(machine: Machine): Record<string, string> {
    const { directory } = this.#places[machine];
    // The API's page sets the last two in its first block.
    const api = { CURL_CA_BUNDLE: "ca.pem", HATCHWAY: CONSOLE, TOKEN: this.#token };
    return { PATH: `${directory}/bin:${SBIN_PATH}`, HATCHWAY_DATA: DATA, ...(machine === "attic" ? api : {}) };
  }

  async #runs(machine: Machine, command: string, says: string): Promise<Child> {
    const child = this.#spawn(machine, command);
    await untilSays(child, command, (text) => text.includes(says));
    return child;
  }

  /** Runs a block to its end, and compares what it printed. What goes on is open when the next command runs. */
  async run(block: RunnableBlock): Promise<void> {
    const commands = commandsOf(block.text);
    const apart = block.exits.length > 0 || commands.some(goesOn);
    const goingOn: Child[] = [];
    let printed = "";
    for (const command of apart ? commands : [block.text]) {
      if (!goesOn(command)) printed += await this.#toItsEnd(block, command);
      else {
        const child = this.#spawn(block.machine, command);
        goingOn.push(child);
        const forwards = Math.max(1, [...command.matchAll(/\s-[LRD]\s/g)].length);
        await untilSays(child, command, () => child.stdout.length >= forwards);
        printed += `${child.stdout.join("\n")}\n`;
      }
    }
    for (const child of goingOn) child.signal("SIGINT");
    for (const child of goingOn) {
      const code = await child.exited;
      const told = [...child.stdout, ...child.stderr].join("\n");
      if (code !== 0) throw new Error(`Ctrl-C ended a command of it with exit code ${code}:\n${block.text}\n${told}`);
    }
    if (block.output !== null && !looksLike(printed, block.output)) {
      throw new Error(`the document shows\n${block.output}\nand the block printed\n${printed}`);
    }
  }

  async #toItsEnd({ machine, exits }: RunnableBlock, script: string): Promise<string> {
    const { host } = this.#places[machine];
    const { exitCode, stdout, stderr } = await this.#lab.exec(host, this.#argv(machine, script), {
      env: this.#env(machine),
      timeoutMs: COMMAND_MS,
    });
    if (exitCode !== 0 && !exits.includes(exitCode)) {
      throw new Error(`exit code ${exitCode} of\n${script}\n${stdout}\n${stderr}`);
    }
    // What is meant for people alone, such as "it is right", goes to standard error.
    return [stdout, stderr].map((text) => (text === "" ? "" : `${text}\n`)).join("");
  }

  /** As at the start: the next page's reader has opened nothing. */
  async tidy(): Promise<void> {
    const { attic, office, relay, gateway } = this.#places;
    const atRelay = relayClient(join(relay.data, "relay.sock"));
    for (const { data } of [attic, office]) {
      const agent = agentClient(join(data, "agent.sock"));
      for (const { id, origin } of await agent.listForwards()) if (origin !== "api") await agent.removeForward(id);
    }
    for (const { id, device } of await atRelay.listForwards())
      await atRelay.removeForward(id, device).catch(goneAlready);
    const atGateway = gatewayClient(join(gateway.data, "gateway.sock"));
    for (const { id, origin } of await atGateway.listForwards())
      if (origin === "cli") await atGateway.removeForward(id);
    for (const { name } of (await atGateway.vpnList()).peers) await atGateway.vpnRemove(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lab[Symbol.asyncDispose]();
  }
}

/** What its agent removed just before. */
function goneAlready(error: unknown): void {
  if (!(error instanceof ControlError && error.kind === "usage")) throw error;
}

async function untilSays(child: Child, command: string, says: (text: string) => boolean): Promise<void> {
  let ended = false;
  void child.exited.then(() => {
    ended = true;
  });
  const told = () => [...child.stdout, ...child.stderr];
  await eventually(
    command,
    () => {
      if (says(told().join("\n"))) return true;
      if (ended) throw new Error(`${command} ended:\n${told().join("\n")}`);
      return undefined;
    },
    START_MS,
  );
}
