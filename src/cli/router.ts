import type { Command } from "commander";
import { natSentence, routerName, spokenWords } from "../core/router/report-words.ts";
import { verdictSentence } from "../core/router/verdict-titles.ts";
import type { RouterReport } from "../roles/control.ts";
import { ControlError, EXIT_CODES } from "../servers/local/error.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../wire/endpoint.ts";
import type { Context, Run } from "./context.ts";
import { formatAge, formatTable, ignoredText, printable } from "./text.ts";
import { joinedRelayOf } from "./use-agent.ts";

const STUN_PORT = 3_478;

export function defineRouter(program: Command, run: Run): void {
  program
    .command("router")
    .summary("show this machine's router: what it is, what it speaks, what it has open, and whether that can work")
    .description(
      "Asks the router of this machine in PCP, NAT-PMP and UPnP, compares its address with the one that the relay sees, and says whether ports opened on it can be reached.",
    )
    .option("--router <ADDRESS>", "another router than this machine's gateway")
    .option(
      "--stun <HOST[:PORT]>",
      "whom to ask for this machine's address outside (default: the relay, if it joined one)",
    )
    .option("--no-stun", "ask nobody outside")
    .addHelpText(
      "after",
      `
With --json, one object: {"v":1,"routers":[{"family":4,"address":…,"interfaceName":…,"ownAddress":…}],
  "identity":{"manufacturer":…,"model":…,"name":…,"page":…}|null,"protocols":[{"protocol":…,"router":…,"failure":…|null}],
  "externalAddress":…|null,"seen":{"v4":…|null,"v6":…|null},"stunServer":…|null,
  "nat":{"mapping":…,"filtering":…}|null,"uptimeSec":…|null,
  "mappings":[{"protocol":…,"externalPort":…,"internalAddress":…,"internalPort":…,"enabled":…,"description":…,"remainingSec":…,"ours":…}]|null,
  "ignored":[{"protocol":…,"reason":…,"count":…}],
  "verdict":{"kind":"open-internet"|"double-nat"|"cgnat"|"blocked"|"ipv6-only"|"no-network"|"public-here"|"vpn","cause":…,"sure":…,"evidence":[…],"advice":[…]}}
Exit code 0 when ports can be opened here (open-internet, public-here), else 1.

Examples:
  hatchway router
  hatchway router --stun relay.example.net:7744`,
    )
    .action(async (given: Given, command: Command) => run(command, (context) => router(context, given)));
}

interface Given {
  readonly router?: string;
  /** False: --no-stun. */
  readonly stun?: string | false;
}

async function router(context: Context, given: Given): Promise<number> {
  const { io, options } = context;
  const stunServer = await stunServerOf(context, given.stun);
  const { parseAddress } = await import("../wire/address.ts");
  const address = given.router === undefined ? null : parseAddress(given.router);
  if (address?.ok === false) throw new ControlError("usage", `--router: ${address.error.message}`);
  if (io.isTerminal && !options.json) io.err("Asking the router…\n");
  const inspect = await io.roles.inspectRouter();
  const report = await inspect({ stunServer, router: address?.value ?? null, behaviour: true, signal: io.stop });
  io.out(options.json ? `${JSON.stringify(report)}\n` : `${routerText(report, given.stun !== false)}\n`);
  return canOpen(report) ? EXIT_CODES.ok : EXIT_CODES.failed;
}

/** What --stun names, else the relay that this machine joined. */
async function stunServerOf(context: Context, named: string | false | undefined): Promise<HostPort | null> {
  if (named === false) return null;
  if (named !== undefined) {
    const parsed = parseHostPort(named, { defaultPort: STUN_PORT });
    if (!parsed.ok) throw new ControlError("usage", `--stun: ${parsed.error.message}`);
    return parsed.value;
  }
  return joinedRelayOf(context);
}

function canOpen({ verdict }: RouterReport): boolean {
  return verdict.kind === "open-internet" || verdict.kind === "public-here";
}

function routerText(report: RouterReport, withStun: boolean): string {
  const {
    routers,
    identity,
    protocols,
    externalAddress,
    seen,
    stunServer,
    nat,
    uptimeSec,
    mappings,
    ignored,
    verdict,
  } = report;
  const [first] = routers;
  const outside = [
    ...(externalAddress === null ? [] : [`${externalAddress} (says the router)`]),
    ...[seen.v4, seen.v6].flatMap((address) => (address === null ? [] : [`${address} (sees ${stunServer ?? "STUN"})`])),
  ];
  const lines: (readonly [string, string])[] = [
    ["router", first === undefined ? "none" : `${printable(routerName(identity) ?? "unnamed")} at ${first.address}`],
    ...(identity?.page == null ? [] : [["page", printable(identity.page)] as const]),
    ...routers.map(
      ({ ownAddress, interfaceName, family }) =>
        ["here", `${ownAddress} (${interfaceName}${family === 6 ? ", IPv6" : ""})`] as const,
    ),
    ...(protocols.length === 0 ? [] : [["speaks", spokenWords(protocols)] as const]),
    ["outside", outside.length === 0 ? "not known" : outside.join(", ")],
    ...(nat === null ? [] : [["NAT", natSentence(nat)] as const]),
    ...(uptimeSec === null ? [] : [["uptime", formatAge(uptimeSec * 1_000)] as const]),
    ...(ignoredText(ignored) === "" ? [] : [["ignored", ignoredText(ignored)] as const]),
    ["verdict", verdictSentence(verdict)],
    ...verdict.evidence.map((sentence) => ["", sentence] as const),
    ...verdict.advice.map((sentence, index) => [index === 0 ? "to do" : "", sentence] as const),
    ...(withStun && stunServer === null && routers.length > 0
      ? [["", "Nobody outside was asked: join a relay, or name a STUN server with --stun, to be sure."] as const]
      : []),
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  const head = lines.map(([label, text]) => `${label.padEnd(width)}${text}`).join("\n");
  return mappings === null
    ? head
    : `${head}\n\n${mappings.length === 0 ? "It has no ports open." : mappingsTable(mappings)}`;
}

function mappingsTable(mappings: NonNullable<RouterReport["mappings"]>): string {
  const rows = mappings.map((one) => [
    `${one.externalPort}/${one.protocol}`,
    formatHostPort(one.internalAddress, one.internalPort),
    one.remainingSec === null ? "permanent" : formatAge(one.remainingSec * 1_000),
    one.enabled ? (one.ours ? "ours" : "") : "disabled",
    one.description,
  ]);
  return formatTable(["OUTSIDE", "INSIDE", "LEASE", "", "DESCRIPTION"], rows);
}
