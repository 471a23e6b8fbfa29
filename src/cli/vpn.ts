import type { Command } from "commander";
import type { VpnInitRequest, VpnPeerPatch } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { gatewayOf } from "./gateway-of.ts";
import { collect, parsedOption } from "./parse.ts";
import { printable } from "./text.ts";
import { refusePresentFile, showFile, type VpnFileOptions, type VpnKeyPair } from "./vpn-file.ts";
import { peerLines, peersTable, serverLines } from "./vpn-text.ts";

interface ModeOptions {
  readonly blockAll?: true;
  readonly openAll?: true;
  readonly only?: string;
}

interface AddOptions extends ModeOptions, VpnFileOptions {
  readonly maxPorts?: string;
  readonly expires?: string;
  readonly publicKey?: string;
}

interface SetOptions extends ModeOptions, VpnFileOptions {
  readonly name?: string;
  readonly maxPorts?: string;
  readonly expires?: string;
  readonly disable?: true;
  readonly enable?: true;
  readonly rotate?: true;
}

interface InitOptions {
  readonly endpoint?: string;
  readonly port?: string;
  readonly network?: string;
  readonly network6?: string;
  readonly dns?: readonly string[];
}

const MAX_PORT = 65_535;
export function defineVpn(program: Command, run: Run): void {
  const group = program
    .command("vpn")
    .summary("the gateway's VPN: its peers, and which ports reach them")
    .description("The WireGuard VPN of the gateway that runs with --data.");
  group
    .command("init")
    .summary("make the VPN, or change its settings")
    .description(
      "Makes the VPN and brings its interface up; again, it changes what is said. [vpn] in hatchway.toml goes first.",
    )
    .option("--endpoint <HOST>", "the name or address that peers dial (default: the external address)")
    .option("--port <PORT>", "UDP port (default: 51820)")
    .option("--network <CIDR>", "the peers' IPv4 network (default: 10.77.0.0/24)")
    .option("--network6 <CIDR>", "the peers' IPv6 network (default: one by chance)")
    .option("--dns <ADDRESS>", "a resolver for peers that send everything through the VPN; repeat for more", collect)
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"server":{…},"peers":[…]}\n\nExample:\n  hatchway vpn init --endpoint vpn.example.com',
    )
    .action(async (given: InitOptions, command: Command) => run(command, (context) => init(context, given)));
  const add = group
    .command("add")
    .summary("add a peer and show its configuration")
    .description("Adds a peer. Its private key is made here, is in the file shown, and is kept nowhere.")
    .argument("<NAME>", "the peer's name")
    .option("--max-ports <N>", "how many external ports it may have at once")
    .option("--expires <DURATION>", "it may connect for this long: 12h, 30d, never (default: never)")
    .option("--public-key <KEY>", "the peer made its own key pair: no file is shown");
  addFileOptions(addModeOptions(add))
    .addHelpText(
      "after",
      `
What reaches a peer from outside: nothing (--block-all, the default), what it asks for (--open-all), or only these ports.
With --json: {"v":1,"peer":{…},"server":{…},"config":"[Interface]…"}

Examples:
  hatchway vpn add phone
  hatchway vpn add torrent --only 51413 --out torrent.conf
  hatchway vpn add guest --expires 7d --split`,
    )
    .action(async (name: string, given: AddOptions, command: Command) =>
      run(command, (context) => addPeer(context, name, given)),
    );
  group
    .command("ls")
    .summary("list the peers")
    .description("Lists the peers: their addresses, what reaches them, and when they were last there.")
    .addHelpText("after", '\nWith --json: {"v":1,"server":{…}|null,"peers":[…]}\n\nExample:\n  hatchway vpn ls')
    .action(async (_given: unknown, command: Command) => run(command, list));
  group
    .command("show")
    .summary("show a peer")
    .description("Shows a peer. Its file is shown when it is added; `vpn set NAME --rotate` makes another one.")
    .argument("<NAME>", "its name or id")
    .addHelpText("after", '\nWith --json: {"v":1,"peer":{…},"server":{…}}\n\nExample:\n  hatchway vpn show phone')
    .action(async (name: string, _given: unknown, command: Command) => run(command, (context) => show(context, name)));
  group
    .command("rm")
    .summary("remove a peer and the forwards that lead to it")
    .description("Removes a peer: its key opens nothing any more, and what led to it is closed.")
    .argument("<NAME>", "its name or id")
    .addHelpText("after", '\nWith --json: {"v":1,"peer":{…}}\n\nExample:\n  hatchway vpn rm phone')
    .action(async (name: string, _given: unknown, command: Command) =>
      run(command, (context) => remove(context, name)),
    );
  const set = group
    .command("set")
    .summary("change a peer, or give it new keys")
    .description("Changes a peer at once; its address and its forwards stay.")
    .argument("<NAME>", "its name or id")
    .option("--name <NEW>", "another name")
    .option("--max-ports <N>", "how many external ports it may have at once; any = no limit of its own")
    .option("--expires <DURATION>", "it may connect for this long from now: 12h, 30d, never")
    .option("--disable", "it may not connect, until --enable")
    .option("--enable", "it may connect again")
    .option("--rotate", "new keys and a new file; the old ones open nothing any more");
  addFileOptions(addModeOptions(set))
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"peer":{…},"server":{…}} and "config" with --rotate\n\nExamples:\n  hatchway vpn set phone --only 8840,8810-8815\n  hatchway vpn set phone --rotate',
    )
    .action(async (name: string, given: SetOptions, command: Command) =>
      run(command, (context) => setPeer(context, name, given)),
    );
}

function addModeOptions(command: Command): Command {
  return command
    .option("--block-all", "nothing from outside reaches it")
    .option("--open-all", "every port that it asks for, or that is forwarded to it")
    .option("--only <PORTSET>", "these external ports alone");
}

function addFileOptions(command: Command): Command {
  return command
    .option("--out <FILE>", "write the configuration to a new file (mode 0600) and not to the terminal")
    .option("--split", "send only what is for the VPN through it; then no forward reaches it (default: everything)")
    .option("--own-table", "for wg-quick on Linux: routes that a DHCP server cannot go around");
}

async function init(context: Context, given: InitOptions): Promise<void> {
  const { parseHost } = await import("../wire/endpoint.ts");
  const { parseAddress, parseCidr } = await import("../wire/address.ts");
  const { endpoint, port, network, network6, dns } = given;
  const request: VpnInitRequest = {
    ...(endpoint === undefined ? {} : { endpointHost: parsedOption("--endpoint", endpoint, parseHost) }),
    ...(port === undefined ? {} : { listenPort: number("--port", port, { min: 1, max: MAX_PORT }) }),
    ...(network === undefined ? {} : { network4: parsedOption("--network", network, parseCidr) }),
    ...(network6 === undefined ? {} : { network6: parsedOption("--network6", network6, parseCidr) }),
    ...(dns === undefined ? {} : { dns: dns.map((one) => parsedOption("--dns", one, parseAddress)) }),
  };
  const info = await (await gatewayOf(context)).vpnInit(request);
  if (context.options.json) context.io.out(`${JSON.stringify(info)}\n`);
  else {
    context.io.err(`The VPN is up. Add a peer: hatchway vpn add NAME\n`);
    const stale = info.peers.length > 0 && Object.keys(request).length > 0;
    if (stale)
      context.io.err("The peers' files say what was before: `hatchway vpn set NAME --rotate` makes new ones.\n");
    if (info.server !== null) context.io.out(`${serverLines(info.server).join("\n")}\n`);
  }
}

function number(option: string, text: string, { min, max } = { min: 0, max: MAX_PORT }): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new ControlError("usage", `${option}: Write a number from ${min} to ${max}, not "${text}".`);
}

/** Null = none was said. */
function modeOf({ blockAll, openAll, only }: ModeOptions): string | null {
  const said = [
    ...(blockAll === true ? ["block-all"] : []),
    ...(openAll === true ? ["open-all"] : []),
    ...(only === undefined ? [] : [`only ${only}`]),
  ];
  const [mode, second] = said;
  if (second !== undefined) throw new ControlError("usage", "Say one of --block-all, --open-all and --only PORTSET.");
  return mode ?? null;
}

async function checkedMode(given: ModeOptions): Promise<string | null> {
  if (given.only !== undefined) {
    const { parsePortSet } = await import("../wire/port-set.ts");
    parsedOption("--only", given.only, parsePortSet);
  }
  return modeOf(given);
}

async function expiresMs(text: string): Promise<number | null> {
  if (text === "never") return null;
  const { parseDuration } = await import("../roles/config/units.ts");
  const { nowMs } = await import("../os/clock.ts");
  return nowMs() + parsedOption("--expires", text, parseDuration) * 1000;
}

async function addPeer(context: Context, name: string, given: AddOptions): Promise<void> {
  const { generatePresharedKey, generateWgKeyPair } = await import("../os/wireguard-key.ts");
  const { parseKey } = await import("../wire/wireguard/key.ts");
  const pair = given.publicKey === undefined ? generateWgKeyPair() : null;
  const publicKey = pair?.publicKey ?? parsedOption("--public-key", given.publicKey ?? "", parseKey);
  const presharedKey = pair === null ? null : generatePresharedKey();
  await refusePresentFile(given.out);
  const reply = await (await gatewayOf(context)).vpnAdd({
    name,
    publicKey,
    presharedKey,
    mode: (await checkedMode(given)) ?? "block-all",
    maxPorts: given.maxPorts === undefined ? null : number("--max-ports", given.maxPorts),
    expiresMs: given.expires === undefined ? null : await expiresMs(given.expires),
  });
  await showFile(context, reply, pair === null ? null : { ...pair, presharedKey }, given);
}

async function list(context: Context): Promise<void> {
  const info = await (await gatewayOf(context)).vpnList();
  if (context.options.json) {
    context.io.out(`${JSON.stringify(info)}\n`);
    return;
  }
  if (info.server === null) {
    context.io.out("There is no VPN: make one with `hatchway vpn init`.\n");
    return;
  }
  const { nowMs } = await import("../os/clock.ts");
  const peers =
    info.peers.length === 0 ? "No peers: add one with `hatchway vpn add NAME`." : peersTable(info.peers, nowMs());
  context.io.out(`${serverLines(info.server).join("\n")}\n\n${peers}\n`);
}

async function show(context: Context, name: string): Promise<void> {
  const { server, peers } = await (await gatewayOf(context)).vpnList();
  const peer = peers.find((one) => one.id === name || one.name.toLowerCase() === name.toLowerCase());
  if (peer === undefined) throw new ControlError("usage", `There is no VPN peer "${name}": see \`hatchway vpn ls\`.`);
  if (context.options.json) {
    context.io.out(`${JSON.stringify({ v: 1, peer, server })}\n`);
    return;
  }
  const { nowMs } = await import("../os/clock.ts");
  context.io.out(`${peerLines(peer, nowMs()).map(printable).join("\n")}\n`);
}

async function remove(context: Context, name: string): Promise<void> {
  const peer = await (await gatewayOf(context)).vpnRemove(name);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, peer })}\n`);
  else context.io.err(`Removed ${printable(peer.name)} and ${peer.forwards} forwards to it.\n`);
}

async function setPeer(context: Context, name: string, given: SetOptions): Promise<void> {
  const gateway = await gatewayOf(context);
  const change = await patchOf(given);
  const isChange = Object.keys(change).length > 0;
  if (!isChange && given.rotate !== true) {
    throw new ControlError("usage", "Say what to change: see `hatchway vpn set --help`.");
  }
  const forFile = given.out !== undefined || given.split === true || given.ownTable === true;
  if (forFile && given.rotate !== true) {
    throw new ControlError("usage", "--out, --split and --own-table are for a new file: say --rotate as well.");
  }
  await refusePresentFile(given.out);
  let reply = isChange ? await gateway.vpnChange(name, change) : null;
  let keys: VpnKeyPair | null = null;
  if (given.rotate === true) {
    const { generatePresharedKey, generateWgKeyPair } = await import("../os/wireguard-key.ts");
    const presharedKey = generatePresharedKey();
    keys = { ...generateWgKeyPair(), presharedKey };
    reply = await gateway.vpnRotate(reply?.peer.id ?? name, { publicKey: keys.publicKey, presharedKey });
  }
  if (reply !== null) await showFile(context, reply, keys, given);
}

async function patchOf(given: SetOptions): Promise<VpnPeerPatch> {
  const { name, maxPorts, expires, disable, enable } = given;
  if (disable === true && enable === true) throw new ControlError("usage", "Say one of --disable and --enable.");
  const mode = await checkedMode(given);
  return {
    ...(name === undefined ? {} : { name }),
    ...(mode === null ? {} : { mode }),
    ...(maxPorts === undefined ? {} : { maxPorts: maxPorts === "any" ? null : number("--max-ports", maxPorts) }),
    ...(expires === undefined ? {} : { expiresMs: await expiresMs(expires) }),
    ...(disable === true ? { disabled: true } : {}),
    ...(enable === true ? { disabled: false } : {}),
  };
}
