import type { Command } from "commander";
import type { AddReply, ForwardPatch, ForwardSpec } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { AskedRelay } from "./asked-relay.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { addEntryOptions, assignedSpecOf, EXPOSE_OPTIONS, exposeSpecOf, mappingDraftOf } from "./entry-options.ts";
import { PORTSET_HELP } from "./expose.ts";
import { forwardPatchOf, PATCH_OPTIONS } from "./forward-patch.ts";
import { relayOf } from "./relay-of.ts";
import { endpointTexts, forwardsTable, NO_FORWARDS, printable } from "./text.ts";
import { requireSources, tellWanted, type WantedPorts, wantedPorts } from "./wanted-ports.ts";

export function defineForward(program: Command, run: Run): void {
  const group = program
    .command("forward")
    .summary("list, add, change and remove lasting forwards")
    .description(
      "The forwards of the agent, gateway or relay that runs with --data, or of the relay that --remote names.",
    );
  group
    .command("ls")
    .summary("list the forwards")
    .description("Lists the forwards of the agent (or else the relay) and of the gateway that run with --data.")
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"forwards":[{"id":…,"name":…,"state":…,"endpoints":[…],…}]}; a site has "site":{"hosts":[…],"tls":…,"http2":…,"users":[…]} as well, and its endpoints "url".\n\nExamples:\n  hatchway forward ls\n  hatchway forward ls --remote https://relay.example:7780 --token-file token.txt',
    )
    .action(async (_given: unknown, command: Command) => run(command, list));
  const add = group
    .command("add")
    .summary("add a forward that lasts over restarts")
    .description(
      "Opens ports on the relay through the running agent, or on the running gateway to one of its clients, and keeps them until `hatchway forward rm`.",
    )
    .argument("<PORTSET>", "the ports of the service, or the name of a preset");
  addEntryOptions(add, EXPOSE_OPTIONS)
    .option("--device <NAME>", "on a relay: the device that is to have the forward, if its agent runs with --managed")
    .option("--on <ROLE>", "agent or gateway, when both run with --data (default: agent)")
    .addHelpText(
      "after",
      `${PORTSET_HELP}
On a gateway --to is needed: the client's address or name, or a VPN peer's name; --lifetime ends the forward (default:
permanent); and --protocol, --name, --allow, --deny, --connections-per-source and --new-per-source are the other options it knows.
One of the same --name is replaced: give all of its options again, or change some by \`hatchway forward set\`.
With --json: {"v":1,"forward":{…}}, as in the list of \`forward ls --json\`

Examples:
  hatchway forward add 25565 --name minecraft
  hatchway forward add 8080 --name shop --host shop.example.org
  hatchway forward add 8080 --name shop --host shop.example.org --basic-auth-file logins.txt --device den
  hatchway forward add plex
  hatchway forward add 8810-8815 --to 192.168.1.20 --protocol tcp+udp
  hatchway forward add 8000:80 --to 192.168.1.20 --on gateway
  hatchway forward add 8840,8820 --device den
  hatchway forward add 8840,8820 --device den --remote https://relay.example:7780 --token-file token.txt`,
    )
    .action(async (ports: string, given: Readonly<Record<string, unknown>>, command: Command) =>
      run(command, (context) => addForward(context, ports, given)),
    );
  const set = group
    .command("set")
    .summary("change a forward that `forward add` made")
    .description("Changes what its options name, at once; the rest stays, and so do connections.")
    .argument("<NAME>", "its name or id");
  addEntryOptions(set, PATCH_OPTIONS)
    .option("--enable", "open it again after --disable")
    .option("--disable", "close it, and keep it in the list")
    .option("--device <NAME>", "on a relay: the device that has it, where several have one of that name")
    .addHelpText(
      "after",
      `
In the place of a value, none takes a setting away: --connections none, --allow none. --allow and --deny are the whole list.
Lists and limits are for who comes from now on; --disable ends the connections of who is there.
What --as, --name, --group and --lifetime say stays as \`forward add\` said: for another, remove it and add it again.
What hatchway.toml lists is changed there; on a gateway, no more than \`forward add\` knows there.
With --json: {"v":1,"forward":{…}}, as in the list of \`forward ls --json\`

Examples:
  hatchway forward set minecraft --allow 198.51.100.0/24 --allow 2001:db8::/32
  hatchway forward set minecraft --connections-per-source none
  hatchway forward set web --ports 8080:80 --bandwidth "20 MB/s"
  hatchway forward set cameras --device attic --disable`,
    )
    .action(async (name: string, given: Given, command: Command) =>
      run(command, (context) => change(context, name, given)),
    );
  group
    .command("rm")
    .summary("remove a forward that `forward add` made")
    .description("Closes a forward and forgets it. What hatchway.toml lists is removed there.")
    .argument("<NAME>", "its name or id")
    .option("--device <NAME>", "on a relay: the device that has it, where several have one of that name")
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"forward":{…}}\n\nExamples:\n  hatchway forward rm minecraft\n  hatchway forward rm web --device den',
    )
    .action(async (name: string, given: { readonly device?: string }, command: Command) =>
      run(command, (context) => remove(context, name, given.device ?? null)),
    );
}

/** Which of them runs with --data. */
async function running(context: Context) {
  const { agentClient, gatewayClient, isRunning, relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  const agent = (await isRunning("agent", paths.agentSocket)) ? agentClient(paths.agentSocket) : null;
  const gateway = (await isRunning("gateway", paths.gatewaySocket)) ? gatewayClient(paths.gatewaySocket) : null;
  return {
    agent,
    gateway,
    anyAgent() {
      if (agent !== null) return agent;
      const start = "start `hatchway agent` or `hatchway gateway`, or name its directory with --data";
      throw new ControlError("unreachable", `Neither an agent nor a gateway runs with ${paths.directory}: ${start}.`);
    },
    relay: async () => {
      return (await isRunning("relay", paths.relaySocket)) ? relayClient(paths.relaySocket) : null;
    },
  };
}

async function listing(context: Context): Promise<readonly Pick<AskedRelay, "listForwards">[]> {
  if (context.options.remote !== undefined) return [await relayOf(context)];
  const { agent, gateway, anyAgent, relay } = await running(context);
  const found = [agent ?? (await relay()), gateway].filter((one) => one !== null);
  return found.length > 0 ? found : [anyAgent()];
}

async function list(context: Context): Promise<void> {
  const controls = await listing(context);
  const forwards = (await Promise.all(controls.map((control) => control.listForwards()))).flat();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, forwards })}\n`);
  else context.io.out(forwards.length === 0 ? `${NO_FORWARDS}\n` : `${forwardsTable(forwards)}\n`);
}

type Given = Readonly<Record<string, unknown>>;

async function addForward(context: Context, text: string, given: Given): Promise<void> {
  const { on, device, ...options } = given;
  const wanted = await wantedPorts(text, options);
  requireSources(wanted);
  if (device !== undefined) {
    await assign(context, wanted, String(device));
    return;
  }
  if (context.options.remote !== undefined) {
    throw new ControlError("usage", "Say which device of the relay is to have it: --device and its name.");
  }
  if (on !== undefined && on !== "agent" && on !== "gateway") {
    throw new ControlError("usage", `--on must be agent or gateway, not "${on}".`);
  }
  const { agent, gateway, anyAgent } = await running(context);
  const toGateway = on === "gateway" || (on === undefined && agent === null && gateway !== null);
  if (toGateway && gateway === null) {
    throw new ControlError("unreachable", "No gateway runs with this data directory: start `hatchway gateway`.");
  }
  // What is wrong with the arguments goes before what does not run.
  const addToAgent = (spec: ForwardSpec) => (agent ?? anyAgent()).addForward(spec, { lasting: true });
  const reply =
    toGateway && gateway !== null
      ? await gateway.addMapping(await mappingDraftOf(wanted.ports, wanted.given))
      : await addToAgent(await exposeSpecOf(wanted.ports, wanted.given));
  tellWanted(context.io, wanted, "relay");
  tellAdded(context, reply);
}

async function assign(context: Context, wanted: WantedPorts, device: string): Promise<void> {
  const { remote: spec, to } = await assignedSpecOf(wanted.ports, wanted.given);
  const relay = await assigningRelay(context);
  tellWanted(context.io, wanted, "relay");
  tellAdded(context, await relay.addForward({ device, spec, to }));
}

async function assigningRelay(context: Context): Promise<AskedRelay> {
  if (context.options.remote !== undefined) return relayOf(context);
  const { paths } = await findPlace(context, "relay");
  const relay = await (await running(context)).relay();
  if (relay !== null) return relay;
  const message = `--device is for the machine of the relay, and no relay runs with ${paths.directory}: start \`hatchway serve\`.`;
  throw new ControlError("unreachable", message);
}

function tellAdded(context: Context, reply: AddReply): void {
  if (context.options.json) {
    context.io.out(`${JSON.stringify(reply)}\n`);
    return;
  }
  const { endpoints, message } = reply.forward;
  for (const { entry, exit } of endpointTexts(endpoints)) context.io.out(`${printable(`${entry} → ${exit}`)}\n`);
  if (message !== null) context.io.err(`${printable(message)}\n`);
}

async function remove(context: Context, name: string, device: string | null): Promise<void> {
  const isRelays = device !== null || context.options.remote !== undefined;
  const forward = isRelays
    ? await (await assigningRelay(context)).removeForward(name, device)
    : await byWhoeverHasIt(await changing(context), (control) => control.removeForward(name));
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, forward })}\n`);
  else context.io.err(`Removed ${printable(forward.name)}.\n`);
}

async function change(context: Context, name: string, { device, ...given }: Given): Promise<void> {
  const patch = await forwardPatchOf(given);
  const isRelays = device !== undefined || context.options.remote !== undefined;
  const reply = isRelays
    ? await (await assigningRelay(context)).changeForward(name, device === undefined ? null : String(device), patch)
    : await byWhoeverHasIt(await changing(context), (control) => control.changeForward(name, patch));
  tellAdded(context, reply);
}

/** What forwards here are changed and removed by: the agent, the gateway and the relay, as far as they run. */
async function changing(context: Context) {
  const { agent, gateway, anyAgent, relay } = await running(context);
  const atRelay = await relay();
  const ofRelay =
    atRelay === null
      ? null
      : {
          changeForward: (name: string, patch: ForwardPatch) => atRelay.changeForward(name, null, patch),
          removeForward: (name: string) => atRelay.removeForward(name, null),
        };
  const found = [agent, gateway, ofRelay].filter((one) => one !== null);
  return found.length > 0 ? found : [anyAgent()];
}

/** By the first that has it: an id or a name says which. */
async function byWhoeverHasIt<Control, Reply>(
  controls: readonly Control[],
  act: (control: Control) => Promise<Reply>,
): Promise<Reply> {
  let failure: unknown = null;
  for (const control of controls) {
    try {
      return await act(control);
    } catch (error) {
      if (!(error instanceof ControlError && error.kind === "usage")) throw error;
      failure ??= error;
    }
  }
  throw failure;
}
