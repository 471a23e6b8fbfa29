import { warningsFor } from "../../core/presets/dangers.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { areaLogger } from "../../os/log.ts";
import { loadPair } from "../certificates.ts";
import type { GatewayBeside } from "../console/beside.ts";
import { bothBackends } from "../console/both.ts";
import { loadConsoleFiles } from "../console/files.ts";
import { type OpenConsole, openConsole } from "../console/open.ts";
import { recordNowAndThen } from "../console/record.ts";
import { ConsoleRelay } from "../console/relay.ts";
import { TrafficRecorder } from "../console/traffic.ts";
import type { ConsoleSettings } from "../control.ts";
import { type RelayView, relayControl, revoke } from "./control.ts";

export interface RelayConsoleOptions {
  readonly relay: RelayView;
  /** Of a gateway in the same process; null = there is none. */
  readonly beside: GatewayBeside | null;
  /** Asked at each request: a reload may have changed it. */
  settings(): ConsoleSettings;
  /** What visitors type; null = it is not configured. */
  publicHost(): string | null;
  /** The relay's own, PEM, when the console has none. */
  readonly certificate: { readonly certificatePem: string; readonly keyPem: string };
  /** What a scrape is answered. */
  metrics(): Promise<string>;
  /** A wrong password or code. */
  onDenied(): void;
  readonly sweeper: Pick<Sweeper, "add">;
  readonly signal: AbortSignal;
  onUnexpected(error: unknown): void;
}

/** Opens a relay's console. Rejects with ControlError when the port or the certificate cannot be had. */
export async function openRelayConsole(options: RelayConsoleOptions): Promise<OpenConsole> {
  const { relay, beside, settings, publicHost, sweeper, signal, onUnexpected } = options;
  const { store, forwards, wallMs } = relay;
  const log = areaLogger("console");
  const warn = (message: string) => log.warn("{message}", { message });
  const named = settings().certificate;
  const pair = named === null ? options.certificate : await loadPair(named, wallMs());
  const recorder = new TrafficRecorder({
    traffic: store.traffic,
    forwards: () => forwards.list(),
    countersOf: (forward) => forwards.entryOf(forward)?.entry?.visits.counters ?? null,
    deviceName: (device) => forwards.deviceName(device),
    wallMs,
    warn,
  });
  const own = new ConsoleRelay({
    relay,
    control: relayControl(relay),
    warningsFor: (ranges) => warningsFor({ ranges }),
    signal,
  });
  const opened = await openConsole({
    store,
    wallMs,
    relay: beside === null ? own : bothBackends({ relay: own, beside, wallMs, signal }),
    gateway: beside?.gateway ?? null,
    record: async () => {
      await Promise.all([recorder.record(), beside?.record()]);
    },
    files: await loadConsoleFiles(warn),
    settings,
    publicHost,
    certificate: { cert: pair.certificatePem, key: pair.keyPem },
    endDevice: async (deviceId, actor) => {
      await revoke(relay, deviceId, actor);
    },
    accountChanged: async (accountId) => {
      await forwards.accountChanged(accountId);
      await beside?.accountChanged(accountId);
    },
    metrics: () => options.metrics(),
    onDenied: () => options.onDenied(),
    signal,
    onUnexpected,
  });
  sweeper.add(recorder);
  if (beside !== null) recordNowAndThen(beside, signal);
  return opened;
}
