import type { Command } from "commander";
import type { AuditEntry, GatewayControl, RelayControl } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { parsedOption } from "./parse.ts";
import { relayOf } from "./relay-of.ts";
import { formatTable, printable } from "./text.ts";

/** As many as one answer holds. */
const PAGE = 1_000;
const MS_PER_SEC = 1_000;

interface AuditOptions {
  readonly since?: string;
}

export function defineAudit(program: Command, run: Run): void {
  program
    .command("audit")
    .summary("show who did what, and who had which port when")
    .description(
      "Shows the audit log of the relay or gateway that runs with --data, or of the one of --remote, oldest first.",
    )
    .option("--since <DURATION>", "only what was at most so long ago: 90s, 24h, 7d (default: all)")
    .addHelpText(
      "after",
      `
With --json, a line an entry: {"v":1,"id":…,"atMs":…,"actor":…,"action":…,"subject":…,"detail":{…}}

Examples:
  hatchway audit --since 24h
  hatchway audit --json > audit.jsonl`,
    )
    .action(async (given: AuditOptions, command: Command) => run(command, (context) => audit(context, given)));
}

async function audit(context: Context, { since }: AuditOptions): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const { parseDuration } = await import("../roles/config/units.ts");
  const seconds = since === undefined ? null : parsedOption("--since", since, parseDuration);
  const sinceMs = seconds === null ? 0 : nowMs() - seconds * MS_PER_SEC;
  const { io, options } = context;
  const shown: AuditEntry[] = [];
  for await (const entry of entries(await running(context), sinceMs)) {
    if (options.json) io.out(`${JSON.stringify({ v: 1, ...entry })}\n`);
    else shown.push(entry);
    if (io.stop.aborted) return;
  }
  if (options.json) return;
  io.out(shown.length === 0 ? "Nothing was done.\n" : `${auditTable(shown)}\n`);
}

async function* entries(control: Pick<RelayControl, "audit">, sinceMs: number): AsyncGenerator<AuditEntry> {
  for (let afterId = 0; ; ) {
    const page = await control.audit({ afterId, sinceMs, limit: PAGE });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    afterId = last.id;
  }
}

function auditTable(shown: readonly AuditEntry[]): string {
  const rows = shown.map(({ atMs, actor, action, subject, detail }) => [
    new Date(atMs).toISOString().replace("T", " ").replace(/\..*$/, ""),
    printable(actor),
    printable(action),
    printable(subject),
    printable(detailText(detail)),
  ]);
  return formatTable(["TIME (UTC)", "WHO", "DID", "TO", "MORE"], rows);
}

function detailText(detail: AuditEntry["detail"]): string {
  return Object.entries(detail)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

/** A relay and a gateway of one data directory have one log: either tells it. */
async function running(context: Context): Promise<Pick<RelayControl | GatewayControl, "audit">> {
  if (context.options.remote !== undefined) return await relayOf(context);
  const { gatewayClient, isRunning, relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  if (await isRunning("relay", paths.relaySocket)) return relayClient(paths.relaySocket);
  if (await isRunning("gateway", paths.gatewaySocket)) return gatewayClient(paths.gatewaySocket);
  throw new ControlError(
    "unreachable",
    `Neither a relay nor a gateway runs with ${paths.directory}: start one, or name its directory with --data.`,
  );
}
