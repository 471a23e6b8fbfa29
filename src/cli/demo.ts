import { join, resolve } from "node:path";
import type { Command } from "commander";
import { ownProgram } from "../os/own-program.ts";
import type { AgentSettings, ForwardSpec, RelaySettings, RunningAgent, RunningRelay } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { formatHostPort, type HostPort, parseHostPort, parsePort } from "../wire/endpoint.ts";
import { parseConsole } from "./console.ts";
import type { Context, Run } from "./context.ts";
import { serveDemoPage } from "./demo-page.ts";
import { runUntilStopped } from "./live.ts";
import { parsedOption } from "./parse.ts";

const DEMO_DEVICE = "demo";
const JOIN_LIFETIME_SEC = 300;

interface DemoOptions {
  readonly listen: string;
  readonly page: string;
  readonly console: string;
}

export function defineDemo(program: Command, run: Run): void {
  program
    .command("demo")
    .summary("a relay, an agent and a page behind it, in one command: what npm start runs")
    .description(
      "Runs a relay, an agent that joins it, and a small page on loopback that the agent makes reachable through the tunnel. The data directory is ./data unless --data names another; there is no config file.",
    )
    .option("--listen <HOST:PORT>", "where agents connect", "0.0.0.0:7744")
    .option("--page <PORT>", "the public port of the page", "8080")
    .option("--console <HOST:PORT>", "where the web console is", "127.0.0.1:7780")
    .addHelpText(
      "after",
      `
With --json, one line on standard output when the page can be reached:
  {"event":"ready","v":1,"urls":[…],"console":{"url":…,"setupLink":…|null},"listen":{"host":…,"port":…},"data":…,"pid":…}

Examples:
  hatchway demo
  hatchway demo --listen 127.0.0.1:7755 --page 9090 --data /tmp/try`,
    )
    .action(async (given: DemoOptions, command: Command) => run(command, (context) => demo(context, given)));
}

async function demo(context: Context, given: DemoOptions): Promise<void> {
  const { io, options } = context;
  const listen = parsedOption("--listen", given.listen, (text) =>
    parseHostPort(text, { defaultHost: "0.0.0.0", defaultPort: 7744, allowPortZero: true }),
  );
  const port = parsedOption("--page", given.page, (text) => parsePort(text));
  const dataDir = resolve(options.data ?? "data");
  const relay = await startDemoRelay(context, dataDir, listen, parsedOption("--console", given.console, parseConsole));
  try {
    const agent = await startDemoAgent(context, join(dataDir, "agent"), relay);
    const page = serveDemoPage({ relayHost: relay.ready.publicHost, dataDir, program: programName() }, async () => {
      const [atRelay, atAgent] = await Promise.all([relay.status(), agent.status()]);
      const { visitorsTotal, bytesOut } = atRelay.counters;
      return { visitorsTotal, bytesOut, rttMs: atAgent.rttMs, carriers: atAgent.carriers };
    });
    try {
      await showThenServe(context, { relay, agent, dataDir, port, pagePort: page.port ?? 0 });
    } finally {
      await page.stop(true);
      await agent.stop({ drainMs: 0 });
    }
  } finally {
    await relay.stop({ drainMs: io.stopNow.aborted ? 0 : 1_000 });
  }
}

async function startDemoRelay(
  { io }: Context,
  dataDir: string,
  listen: HostPort,
  console: HostPort,
): Promise<RunningRelay> {
  const { consoleAt, EMPTY_CONFIG, relaySettings } = await import("../roles/config/load.ts");
  const pages = consoleAt(EMPTY_CONFIG, console);
  const settings: RelaySettings = { ...relaySettings(EMPTY_CONFIG), listen, stun: false, console: pages };
  const startRelay = await io.roles.relay();
  return startRelay({ dataDir, readSettings: async () => settings });
}

/** An agent like any other, with a data directory of its own; it joins at the first start. */
async function startDemoAgent({ io }: Context, dataDir: string, relay: RunningRelay): Promise<RunningAgent> {
  const startAgent = await io.roles.agent();
  const settings: AgentSettings = {
    name: null,
    relay: { host: "127.0.0.1", port: relay.ready.listen.port },
    allow: [],
    managed: true,
    certificate: null,
    ca: null,
    forwards: [],
  };
  const start = (joinCode: string | null) =>
    startAgent({ dataDir, joinCode, readSettings: async () => settings, runListed: true });
  const known = (await relay.listDevices()).some(({ name, revoked }) => name === DEMO_DEVICE && !revoked);
  if (known) {
    try {
      return await start(null);
    } catch (error) {
      // The agent's directory was deleted: it joins again, under a new key.
      if (!(error instanceof ControlError) || error.kind !== "usage") throw error;
      await relay.revokeDevice(DEMO_DEVICE);
    }
  }
  return start(await relay.createJoinCode({ name: DEMO_DEVICE, lifetimeSec: JOIN_LIFETIME_SEC }));
}

interface Demo {
  readonly relay: RunningRelay;
  readonly agent: RunningAgent;
  readonly dataDir: string;
  readonly port: number;
  readonly pagePort: number;
}

async function showThenServe(context: Context, demo: Demo): Promise<void> {
  const { io } = context;
  const { relay, agent, port } = demo;
  let pending: Promise<void> | null = null;
  for await (const event of agent.attach([await pageSpec(port, demo.pagePort)], io.stop)) {
    if (event.event === "refused") throw new ControlError("failed", `${event.message} Use --page for another one.`);
    if (event.event !== "exposed" || pending !== null) continue;
    tell(context, demo);
    pending = runUntilStopped(io, relay);
  }
  await pending;
}

async function pageSpec(port: number, pagePort: number): Promise<ForwardSpec> {
  const { exposeSpec } = await import("../roles/config/specs.ts");
  const ports = { ranges: [{ protocol: "tcp" as const, first: port, last: port, internalFirst: pagePort }] };
  const spec = exposeSpec({ name: "demo page", ports });
  if (!spec.ok) throw new ControlError("usage", spec.error.message);
  return spec.value;
}

function tell({ io, options }: Context, { relay, dataDir, port }: Demo): void {
  const { publicHost, listen, console } = relay.ready;
  const urls = [...new Set([`http://127.0.0.1:${port}/`, `http://${formatHostPort(publicHost, port)}/`])];
  if (options.json) {
    const ready = { event: "ready", v: 1, urls, console, listen, data: dataDir, pid: process.pid };
    io.out(`${JSON.stringify(ready)}\n`);
    return;
  }
  const data = `--data ${dataDir}`;
  const program = programName();
  io.out(
    [
      "",
      "  Hatchway is running, and a page is reachable through its tunnel:",
      "",
      ...urls.map((url) => `    ${url}`),
      "",
      ...consoleLines(console),
      `  Agents connect to ${formatHostPort(publicHost, listen.port)}. To make a port of another machine public:`,
      "",
      `    here   ${program} join-code create --name den ${data}`,
      `    there  ${program} agent --join CODE      (leave it running)`,
      `    there  ${program} expose 25565           (in another terminal)`,
      "",
      `  What is open: ${program} status ${data}`,
      "  Ctrl-C ends it.",
      "",
      "",
    ].join("\n"),
  );
}

/** As people type it: in a clone the program is in no PATH. */
function programName(): string {
  return ownProgram().kind === "executable" ? "hatchway" : "bin/hatchway";
}

function consoleLines(console: RunningRelay["ready"]["console"]): string[] {
  if (console === null) return [];
  const { url, setupLink } = console;
  if (setupLink === null) return ["  The console, where all of it is shown and changed:", "", `    ${url}`, ""];
  return [
    "  The console. Open this link, which works once, to choose its administrator's password:",
    "",
    `    ${setupLink}`,
    "",
  ];
}
