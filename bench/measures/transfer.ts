import type { Site } from "../lab/site.ts";

const END_LIMIT_MS = 15_000;
const MOST_REPEATS = 20;
const REPEAT_PAUSE_MS = 250;
const pauseBeforeRepeat = () => Bun.sleep(REPEAT_PAUSE_MS);

export interface Transfer {
  readonly gbitPerSec: number;
  readonly bytes: number;
  /** Of both ends, with what the kernel does in their name: most of the way between them on one machine. */
  readonly cpuSec: number;
  /** How often it was asked for before the service took it. */
  readonly repeats: number;
}

export interface IperfReport {
  readonly error?: string;
  readonly start?: { readonly connected?: readonly unknown[] };
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number; readonly seconds: number };
    readonly cpu_utilization_percent?: { readonly host_total: number; readonly remote_total: number };
  };
}

/**
 * The service was not ready for it, and no byte was measured. An iperf3 server is busy until the end of the transfer before
 * has come to it through the forward. Then iperf3 3.12 closes its listener and makes another: 0.2 to 0.5 ms on an idle
 * machine, in which its kernel refuses whoever comes, and a forward hands that on as a reset. With that gap drawn out to 150 ms
 * every transfer within it ends so, through OpenSSH's sshd as through Hatchway.
 */
export function neverBegan({ error, start }: IperfReport): boolean {
  return (start?.connected ?? []).length === 0 && /busy|reset by peer|refused/i.test(error ?? "");
}

/** `more`: options of iperf3. */
export async function transfer(
  site: Pick<Site, "visit">,
  [host, port]: readonly [string, number],
  seconds: number,
  more: readonly string[] = [],
  pause: () => Promise<void> = pauseBeforeRepeat,
): Promise<Transfer> {
  const command = ["iperf3", "-c", host, "-p", `${port}`, "-t", `${seconds}`, "-J", ...more];
  const ask = async () => JSON.parse(await site.visit(command, seconds * 1_000 + END_LIMIT_MS)) as IperfReport;
  let report = await ask();
  let repeats = 0;
  for (; neverBegan(report) && repeats < MOST_REPEATS; repeats++) {
    await pause();
    report = await ask();
  }
  const received = report.end?.sum_received;
  if (report.error !== undefined || received === undefined) throw new Error(`iperf3: ${report.error ?? "no result"}`);
  const { host_total = 0, remote_total = 0 } = report.end?.cpu_utilization_percent ?? {};
  return {
    gbitPerSec: received.bits_per_second / 1e9,
    bytes: received.bytes,
    cpuSec: ((host_total + remote_total) / 100) * received.seconds,
    repeats,
  };
}

/** Beside the figures of a measure, for the line that tells of its round; nothing when each was taken at once. */
export function repeatsOf(transfers: readonly Transfer[]): Readonly<Record<string, number>> {
  const repeats = transfers.reduce((sum, one) => sum + one.repeats, 0);
  return repeats === 0 ? {} : { repeats };
}
