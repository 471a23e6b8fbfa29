import { warningsFor } from "../../core/presets/dangers.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { monotonicMs } from "../../os/clock.ts";
import { areaLogger } from "../../os/log.ts";
import { after } from "../../os/timers.ts";
import type { CountriesBackend } from "../../servers/api/backend.ts";
import type { Settings } from "../../servers/api/schema.ts";
import type { ProofPlace } from "../acme/open.ts";
import type { CertificateSource } from "../certificate/source.ts";
import { type NameMeans, reachableAddresses } from "../check/site-name.ts";
import type { GatewayBeside } from "../console/beside.ts";
import { bothBackends } from "../console/both.ts";
import { ConsoleChecks } from "../console/checks.ts";
import { loadConsoleFiles } from "../console/files.ts";
import { type OpenConsole, openConsole } from "../console/open.ts";
import { recordNowAndThen } from "../console/record.ts";
import { ConsoleRelay } from "../console/relay.ts";
import { routerAsker } from "../console/router.ts";
import { type ConsolePlace, ConsoleServer } from "../console/settings.ts";
import { ConsoleSsh } from "../console/ssh.ts";
import { tellingOfStorage } from "../console/storage.ts";
import { TrafficRecorder } from "../console/traffic.ts";
import type { AcmeSettings, ConsoleSettings, RelayControl, RelaySettings } from "../control.ts";
import { inspectRouter } from "../router/inspect.ts";
import { type RelayView, relayControl, revoke } from "./control.ts";

export interface RelayConsoleOptions {
  readonly relay: RelayView;
  /** Of a gateway in the same process; null = there is none. */
  readonly beside: GatewayBeside | null;
  /** Asked at each request: a reload may have changed it. */
  settings(): ConsoleSettings;
  /** What visitors type; null = it is not configured. */
  publicHost(): string | null;
  readonly place: ConsolePlace;
  /** In force now. */
  relaySettings(): RelaySettings;
  /** What browsers are shown, when they come by HTTPS; while ACME has given none, if it is asked. */
  readonly certificate: CertificateSource;
  /** Where sites are, if its names are proven there: `homeUrl` is shown to people; null = somewhere else. */
  proofPlace(settings: AcmeSettings, homeUrl: () => string): ProofPlace | null;
  /** Null = no database was given. */
  readonly countries: CountriesBackend | null;
  /** What a scrape is answered. */
  metrics(): Promise<string>;
  /** A wrong password or code. */
  onDenied(): void;
  readonly sweeper: Sweeper;
  /** Another process may be about to have the store: nothing is to change it. */
  isWaiting(): boolean;
  /** With other processes of this relay. */
  readonly sharing: PortSharing;
  /** Resolves when it may listen at its ports. */
  beforeListening(): Promise<void>;
  readonly signal: AbortSignal;
  onUnexpected(error: unknown): void;
}

/** Opens a relay's console. Rejects with ControlError when the port or the certificate cannot be had. */
export async function openRelayConsole(options: RelayConsoleOptions): Promise<OpenConsole> {
  const { relay, beside, place, settings, publicHost, sweeper, sharing, signal, onUnexpected } = options;
  const { store, forwards, wallMs } = relay;
  const log = areaLogger("console");
  const warn = (message: string) => log.warn("{message}", { message });
  const recorder = new TrafficRecorder({
    traffic: store.traffic,
    forwards: () => forwards.list(),
    countersOf: (forward) => forwards.entryOf(forward)?.entry?.visits.counters ?? null,
    deviceName: (device) => forwards.deviceName(device),
    wallMs,
    warn,
  });
  const control = relayControl(relay);
  const resolver = systemResolver();
  const nameMeans = (): NameMeans => {
    return { resolver, publicHost: relay.publicHost(undefined), ownAddresses: reachableAddresses(), after };
  };
  const own = new ConsoleRelay({
    relay,
    control,
    warningsFor: (ranges) => warningsFor({ ranges }),
    nameMeans,
    signal,
  });
  const opened = await openConsole({
    store,
    wallMs,
    backends: {
      forwards: beside === null ? own : bothBackends({ relay: own, beside, wallMs, signal }),
      gateway: beside?.gateway ?? null,
      checks: new ConsoleChecks({
        relay,
        clock: { nowMs: monotonicMs, after },
        names: {
          policy: () => forwards.siteNames(),
          accountName: async (id) => (await store.accounts.find(id))?.name ?? "",
          means: nameMeans,
        },
        askRouter: routerAsker({ inspect: inspectRouter, after, wallMs }),
        signal,
      }),
      ssh: tellingOfStorage(new ConsoleSsh(relay)),
      settings: new ConsoleServer({
        store,
        place,
        wallMs,
        startedMs: relay.startedMs,
        subject: "relay",
        relay: () => inForce(control, options.relaySettings()),
        console: () => options.relaySettings().console,
        consoleUrl: relay.consoleUrl,
        reload: () => control.reload(),
      }),
    },
    countries: options.countries,
    record: async () => {
      await Promise.all([recorder.record(), beside?.record()]);
    },
    files: await loadConsoleFiles(warn),
    settings,
    publicHost,
    certificate: options.certificate,
    openAcme: async (homeUrl) => {
      const { acme } = settings();
      if (acme === undefined) return null;
      const { openAcme } = await import("../acme/open.ts");
      const { certificate: fallback } = options;
      const at = options.proofPlace(acme, homeUrl);
      const { dataDir } = place;
      return openAcme({ settings: acme, fallback, place: at, homeUrl, dataDir, sweeper, sharing, signal });
    },
    endDevice: async (deviceId, actor) => {
      await revoke(relay, deviceId, actor);
    },
    accountChanged: (accountId) => relay.accountChanged(accountId),
    metrics: () => options.metrics(),
    onDenied: () => options.onDenied(),
    sweeper,
    sharing,
    isWaiting: () => options.isWaiting(),
    beforeListening: () => options.beforeListening(),
    signal,
    onUnexpected,
  });
  sweeper.add(recorder);
  if (beside !== null) recordNowAndThen(beside, signal);
  return opened;
}

async function inForce(
  control: Pick<RelayControl, "status">,
  { stun, certificate, clientCa }: RelaySettings,
): Promise<Settings["relay"]> {
  const { publicHost, listen, ports } = await control.status();
  return { publicHost, listen, ports, stun, ownCertificate: certificate !== null, clientCa: clientCa !== null };
}
