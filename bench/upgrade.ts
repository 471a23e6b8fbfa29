import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Child } from "../test/netns/child.ts";
import { query, startSite } from "../test/netns/hatchway.ts";
import { startService } from "../test/netns/kit.ts";
import { createLab, type Lab } from "../test/netns/lab.ts";
import { residentBytes } from "../test/netns/ready.ts";
import { newDevice, SSH_TOML, stay } from "../test/netns/ssh-kit.ts";

/**
 * Upgrades in place, one after the other, under visitors that check every byte: `bun bench/upgrade.ts [OPTIONS]`, as root.
 * One line of JSON at the end; exit code 1 when anything was dropped.
 */
const { values } = parseArgs({
  options: {
    upgrades: { type: "string", default: "20" },
    streams: { type: "string", default: "200" },
    visitors: { type: "string", default: "100" },
    flows: { type: "string", default: "20" },
    /** The same through ssh -R: its streams, by one connection of OpenSSH's client. */
    ssh: { type: "string", default: "0" },
    /** Streams that are opened anew before each upgrade, so that every process has some to end. */
    more: { type: "string", default: "5" },
    /** Who asks each of the relay's own ports so often a second, by a new connection each time. */
    asks: { type: "string", default: "20" },
  },
});
const PORT = 7001;
const UDP_PORT = 7002;
const BY_SSH_PORT = 7003;
const AGENT = `[[expose]]\nports = ${PORT}\n[[expose]]\nports = "${UDP_PORT}/udp"\nudp-idle = "2s"\n`;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];
/** What a relay has besides: the console by HTTPS, and where its certificate would be ordered, from nobody. */
const OWN_PORTS = `[console]\nlisten = "*:7780"\n[metrics]\nlisten = "127.0.0.1:9464"\n[check]\nlisten = "*:7781"\n
[acme]\naccept-terms = true\nhosts = ["console.example.org"]\ndirectory = "https://127.0.0.1:1/directory"\nlisten = "*:7782"\n
[names]\nhttp = "*:80"\ndomains = ["example.org"]\n`;
/** STUN answers a source 20 times a second. */
const STUN_PACE_MS = 250;
const MS_PER_SEC = 1_000;
const MIB = 1024 * 1024;

interface Asked {
  readonly asked: number;
  readonly answered: number;
  readonly worstMs: number;
  /** What happened instead of an answer, and how often. */
  readonly others: Readonly<Record<string, number>>;
}

interface Done {
  readonly broken: number;
  readonly gaps: number;
  readonly failed: number;
  readonly datagramsLost: number;
  readonly flowsMoved: number;
}

async function main(): Promise<number> {
  await using lab = createLab();
  const site = await startSite(lab, { relay: SSH_TOML + OWN_PORTS, agent: AGENT });
  await startService(lab, lab.agent, `echo:tcp:${PORT}`, `sender:udp:${UDP_PORT}`);
  const start = async (streams: string, visitors: string, flows: string, port = PORT): Promise<Child> => {
    const program = join(import.meta.dir, "../test/netns/peers/upgrade-visitor.ts");
    const args = [program, lab.relay.v4, String(port), streams, visitors, String(UDP_PORT), flows];
    const child = lab.spawn(lab.visitor, [...BUN, ...args]);
    await child.event("flowing", { deadlineMs: 60_000 });
    return child;
  };
  const crowds = [await start(values.streams, values.visitors, values.flows)];
  if (values.ssh !== "0") {
    await startService(lab, lab.other, `echo:tcp:${PORT}`);
    const key = await newDevice(lab, site.relayHome, "laptop");
    await stay(lab, lab.other, lab.relay, key, "-R", `${BY_SSH_PORT}:localhost:${PORT}`);
    crowds.push(await start(values.ssh, values.visitors, "0", BY_SSH_PORT));
  }
  const askers = values.asks === "0" ? [] : await startAskers(lab, MS_PER_SEC / Number(values.asks));
  const tookMs: number[] = [];
  const pids = [site.relay.pid];
  for (let count = 1; count <= Number(values.upgrades); count++) {
    const { pid, tookMs: took } = await query<{ pid: number; tookMs: number }>(lab, site.relayHome, "relay", "upgrade");
    tookMs.push(took);
    pids.push(pid);
    process.stderr.write(`upgrade ${count}: process ${pid} within ${took} ms\n`);
    if (values.more !== "0") crowds.push(await start(values.more, "0", "0"));
  }
  const drainingMiB = Math.round(pids.reduce((sum, pid) => sum + residentOrNone(pid), 0) / MIB);
  const outcomes: Done[] = [];
  for (const crowd of crowds) {
    crowd.signal("SIGTERM");
    outcomes.push(await crowd.event<Done>("done"));
  }
  const ports: Record<string, Asked> = {};
  for (const asker of askers) {
    asker.signal("SIGTERM");
    Object.assign(ports, (await asker.event<{ ports: Record<string, Asked> }>("done")).ports);
  }
  const unanswered = Object.values(ports).reduce((sum, { asked, answered }) => sum + asked - answered, 0);
  const total = (key: keyof Done) => outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
  const dropped = { broken: total("broken"), gaps: total("gaps"), failed: total("failed"), unanswered };
  const udp = { datagramsLost: total("datagramsLost"), flowsMoved: total("flowsMoved") };
  const sorted = tookMs.toSorted((a, b) => a - b);
  const times = { medianMs: sorted[Math.floor(sorted.length / 2)] ?? null, mostMs: sorted.at(-1) ?? null };
  const first = outcomes[0];
  process.stdout.write(
    `${JSON.stringify({ upgrades: tookMs.length, ...dropped, ...udp, times, drainingMiB, first, ports })}\n`,
  );
  return Object.values(dropped).every((count) => count === 0) ? 0 : 1;
}

/** On the relay's own machine, where the metrics are. */
async function startAskers(lab: Lab, paceMs: number): Promise<Child[]> {
  const { v4 } = lab.relay;
  const console = `https://${v4}:7780/v1/setup`;
  const pages = ["metrics=http://127.0.0.1:9464/metrics", `check=http://${v4}:7781/`, `acme=http://${v4}:7782/`];
  const stun = [7744, 7745].map((port) => `stun-${port}=stun://${v4}:${port}`);
  const program = join(import.meta.dir, "../test/netns/peers/port-asker.ts");
  const start = async (pace: number, targets: readonly string[]) => {
    const child = lab.spawn(lab.relay, [...BUN, program, `${pace}`, ...targets]);
    await child.event("asking");
    return child;
  };
  // Browsers connect before they have anything to ask.
  const asked = [`console=${console}`, `console-late@300=${console}`, `sites=http://${v4}:80/`, ...pages];
  return [await start(paceMs, asked), await start(STUN_PACE_MS, stun)];
}

/** One that has nothing to do any more has ended. */
function residentOrNone(pid: number): number {
  try {
    return residentBytes(pid);
  } catch {
    return 0;
  }
}

process.exitCode = await main();
