import type { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import type { Lookable } from "../certificate/watched.ts";
import type { NamesSettings, RelaySettings, ReloadReport } from "../control.ts";
import type { LiveExitPolicy } from "../exits.ts";
import { V } from "../views.ts";
import type { AgentPort } from "./agent-port.ts";
import type { RelayForwards } from "./forwards.ts";
import type { RelayStun } from "./stun.ts";

export interface RelayReloadOptions {
  readonly forwards: Pick<RelayForwards, "size">;
  readonly exitPolicy: Pick<LiveExitPolicy, "changed">;
  readonly gate: Pick<ProxyGate, "change">;
  readonly agentPort: Pick<AgentPort, "gateChanged">;
  /** Null while it is not there. */
  stun(): Pick<RelayStun, "refresh"> | null;
  /** Certificates and other files that may be others now, by their keys of the config. */
  readonly looked: ReadonlyMap<string, Lookable>;
  readSettings(): Promise<RelaySettings>;
  /** In force now. */
  settings(): RelaySettings;
  /** They are in force from now on, for whoever asks. */
  use(settings: RelaySettings): void;
}

/** What a relay makes of settings that were read again. */
export class RelayReload {
  readonly #options: RelayReloadOptions;

  constructor(options: RelayReloadOptions) {
    this.#options = options;
  }

  /** Rejects with ControlError when they cannot be read, and nothing has changed. */
  async run(): Promise<ReloadReport> {
    const { forwards, exitPolicy, gate, agentPort, stun, looked, readSettings, use } = this.#options;
    const next = await readSettings();
    const { renewed, refused } = await lookAtFiles(looked);
    const { settings, changed, needRestart } = changeSettings(this.#options.settings(), next);
    use(settings);
    exitPolicy.changed();
    gate.change(settings.proxyProtocolFrom);
    const listening = agentPort.gateChanged();
    if (!listening.ok) refused.push(listening.error);
    stun()?.refresh();
    return {
      ...V,
      added: [],
      changed: [...changed, ...renewed],
      removed: [],
      unchanged: forwards.size,
      refused,
      needRestart,
    };
  }
}

interface SettingsChange {
  /** What holds from now on: keys that need a restart are as they were. */
  readonly settings: RelaySettings;
  /** Keys of the config. */
  readonly changed: readonly string[];
  readonly needRestart: readonly string[];
}

/** Settings of [relay] that hold at once, and their keys. */
const RELOADED = [
  ["publicHost", "public"],
  ["ports", "ports"],
  ["allow", "allow"],
  ["stun", "stun"],
  ["proxyProtocolFrom", "proxy-protocol-from"],
  ["upgradeDrainSec", "upgrade-drain"],
] as const;

/** What is settled at the start stays. */
function changeSettings(now: RelaySettings, next: RelaySettings): SettingsChange {
  const changed: string[] = [];
  const needRestart: string[] = [];
  if (!Bun.deepEquals(next.listen, now.listen)) needRestart.push("relay.listen");
  for (const [key, name] of RELOADED) if (!Bun.deepEquals(next[key], now[key])) changed.push(`relay.${name}`);
  if (!Bun.deepEquals(next.certificate, now.certificate)) needRestart.push("relay.certificate");
  if (next.clientCa !== now.clientCa) needRestart.push("relay.client-ca");
  const { listen: page, ...check } = now.check;
  const { listen: nextPage, ...nextCheck } = next.check;
  if (!Bun.deepEquals(nextPage, page)) needRestart.push("check.listen");
  if (!Bun.deepEquals(nextCheck, check)) changed.push("check");
  for (const table of ["console", "metrics", "ssh"] as const) {
    if (!Bun.deepEquals(next[table], now[table])) needRestart.push(table);
  }
  const { listen, console, metrics, ssh } = now;
  const { ssh: _, ...rest } = next;
  const names = changeNames(now.names, next.names, changed, needRestart);
  return {
    settings: {
      ...rest,
      listen,
      check: { ...next.check, listen: page },
      console,
      metrics,
      ...(names === undefined ? {} : { names }),
      ...(ssh === undefined ? {} : { ssh }),
    },
    changed,
    needRestart,
  };
}

/** Who may have which name changes at once; ports and certificates stay as they are. */
function changeNames(
  now: NamesSettings | undefined,
  next: NamesSettings | undefined,
  changed: string[],
  needRestart: string[],
): NamesSettings | undefined {
  if (now === undefined || next === undefined) {
    if (now !== next) needRestart.push("names");
    return now;
  }
  const { domains, grants } = next;
  if (!Bun.deepEquals([domains, grants], [now.domains, now.grants])) changed.push("names");
  const settings = { ...now, domains, grants };
  if (!Bun.deepEquals(next, settings)) needRestart.push("names");
  return settings;
}

/** The keys of those that were renewed, and sentences about those that were refused. */
async function lookAtFiles(files: RelayReloadOptions["looked"]) {
  const renewed: string[] = [];
  const refused: string[] = [];
  for (const [key, source] of files) {
    const looked = await source.look();
    if (looked.kind === "renewed") renewed.push(key);
    if (looked.kind === "refused") refused.push(looked.message);
  }
  return { renewed, refused };
}
