import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Child } from "../test/netns/child.ts";
import { query, startSite } from "../test/netns/hatchway.ts";
import { startService } from "../test/netns/kit.ts";
import { createLab } from "../test/netns/lab.ts";
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
  },
});
const PORT = 7001;
const UDP_PORT = 7002;
const BY_SSH_PORT = 7003;
const AGENT = `[[expose]]\nports = ${PORT}\n[[expose]]\nports = "${UDP_PORT}/udp"\nudp-idle = "2s"\n`;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];
const MIB = 1024 * 1024;

interface Done {
  readonly broken: number;
  readonly gaps: number;
  readonly failed: number;
  readonly datagramsLost: number;
  readonly flowsMoved: number;
}

async function main(): Promise<number> {
  await using lab = createLab();
  const site = await startSite(lab, { relay: SSH_TOML, agent: AGENT });
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
  const total = (key: keyof Done) => outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
  const dropped = { broken: total("broken"), gaps: total("gaps"), failed: total("failed") };
  const udp = { datagramsLost: total("datagramsLost"), flowsMoved: total("flowsMoved") };
  const sorted = tookMs.toSorted((a, b) => a - b);
  const times = { medianMs: sorted[Math.floor(sorted.length / 2)] ?? null, mostMs: sorted.at(-1) ?? null };
  const first = outcomes[0];
  process.stdout.write(
    `${JSON.stringify({ upgrades: tookMs.length, ...dropped, ...udp, times, drainingMiB, first })}\n`,
  );
  return Object.values(dropped).every((count) => count === 0) ? 0 : 1;
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
