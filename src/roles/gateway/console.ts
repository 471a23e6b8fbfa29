import { warningsFor } from "../../core/presets/dangers.ts";
import type { RelayCertificate } from "../../os/certificate.ts";
import { areaLogger } from "../../os/log.ts";
import { loadSelfSigning } from "../../os/self-signed.ts";
import { after } from "../../os/timers.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { StaticFiles } from "../../servers/api/files.ts";
import { classifyAddress, parseAddress } from "../../wire/address.ts";
import { ANY_HOST } from "../../wire/endpoint.ts";
import { fixedCertificate } from "../certificate/source.ts";
import { loadOwnCertificate, loadPair } from "../certificates.ts";
import type { CountryFile } from "../console/countries.ts";
import { loadConsoleFiles } from "../console/files.ts";
import { gatewayBackends } from "../console/gateway-backends.ts";
import { type OpenConsole, openConsole } from "../console/open.ts";
import { openCountries } from "../console/open-countries.ts";
import { recordNowAndThen } from "../console/record.ts";
import { routerAsker } from "../console/router.ts";
import { type ConsolePlace, ConsoleServer } from "../console/settings.ts";
import { type ConsoleSettings, ControlError } from "../control.ts";
// Now, while its files are in reach: the gateway gives up root before anybody asks.
import { inspectRouter } from "../router/inspect.ts";
import type { GatewayView } from "./control.ts";
import type { Network } from "./network.ts";

/** What has to be read while this process is root: the user that it becomes may not reach it. */
export interface PreparedConsole {
  readonly settings: ConsoleSettings;
  readonly files: StaticFiles;
  /** PEM; null = one of our making, or none. */
  readonly certificate: RelayCertificate | null;
  readonly countries: CountryFile | null;
}

/** Loads all that a console needs. Rejects with ControlError `usage` when one of its files cannot be had. */
export async function prepareConsole(settings: ConsoleSettings, wallMs: number): Promise<PreparedConsole> {
  if (settings.acme !== undefined) {
    const message =
      "A gateway asks no CA for its console's certificate: take [acme] out, and name certificate and key.";
    throw new ControlError("usage", message);
  }
  const files = await loadConsoleFiles(warn);
  const countries = await openCountries(settings);
  const loaded = { settings, files, countries };
  if (!settings.tls) return { ...loaded, certificate: null };
  if (settings.certificate === null) {
    await loadSelfSigning();
    return { ...loaded, certificate: null };
  }
  return { ...loaded, certificate: await loadPair(settings.certificate, wallMs) };
}

export interface GatewayConsoleOptions {
  readonly prepared: PreparedConsole;
  readonly gateway: GatewayView;
  readonly place: ConsolePlace;
  /** What a scrape is answered. */
  metrics(): Promise<string>;
  network(): Network;
  readonly signal: AbortSignal;
  onUnexpected(error: unknown): void;
}

export interface OpenGatewayConsole extends OpenConsole {
  /** From now on it is written down what the kernel carries: call it when the kernel has the mappings. */
  startRecording(): void;
  /** Its port, where it answers nobody outside. */
  insidePorts(): readonly number[];
  readonly countries: CountryFile | null;
}

/** Opens a gateway's console. Rejects with ControlError when the port or the certificate cannot be had. */
export async function openGatewayConsole(options: GatewayConsoleOptions): Promise<OpenGatewayConsole> {
  const { prepared, gateway, network, signal, onUnexpected } = options;
  const { settings, files } = prepared;
  const backends = backendsBeside(gateway, signal);
  const inside = () => insideAddress(network());
  const askRouter = routerAsker({ inspect: inspectRouter, after, wallMs: gateway.wallMs });
  const opened = await openConsole({
    backends: {
      ssh: null,
      forwards: backends.forwards,
      gateway: backends.gateway,
      checks: {
        pingForward: async () => notMeasured(),
        checkName: async () => noNames(),
        askRouter: (_who, asking) => askRouter(asking),
      },
      settings: new ConsoleServer({
        store: gateway.store,
        place: options.place,
        wallMs: gateway.wallMs,
        startedMs: gateway.startedMs,
        subject: "gateway",
        relay: async () => null,
        console: () => settings,
        consoleUrl: gateway.consoleUrl,
        reload: () => gateway.reload(),
      }),
    },
    countries: prepared.countries,
    record: backends.record,
    accountChanged: backends.accountChanged,
    store: gateway.store,
    wallMs: gateway.wallMs,
    files,
    settings: () => settings,
    publicHost: inside,
    certificate: settings.tls
      ? fixedCertificate(prepared.certificate ?? (await ownCertificate(options, inside())))
      : null,
    openAcme: async () => null,
    // Agents are a relay's.
    endDevice: () => Promise.resolve(),
    metrics: () => options.metrics(),
    onDenied: () => undefined,
    signal,
    onUnexpected,
  });
  return {
    ...opened,
    startRecording: () => recordNowAndThen(backends, signal),
    countries: prepared.countries,
    insidePorts: () => (isForInside(settings.listen, network()) ? [opened.port] : []),
  };
}

/** Its pages and certificates say names; the first that people would type. */
async function ownCertificate({ prepared, place, gateway }: GatewayConsoleOptions, inside: string | null) {
  const { hosts, listen } = prepared.settings;
  const host = isEverywhere(listen.host) ? (inside ?? "localhost") : listen.host;
  return loadOwnCertificate(place.dataDir, [...hosts, host], gateway.wallMs());
}

/**
 * Whether it answers inside only: everywhere else than on an address that is the outside's own, which a person has to name
 * for that. What listens everywhere would otherwise be the internet's, too.
 */
export function isForInside({ host }: ConsoleSettings["listen"], { inside, own }: Network): boolean {
  if (host === "localhost" || classifyAddress(host) === "loopback") return false;
  const parsed = parseAddress(host);
  if (isEverywhere(host) || !parsed.ok) return true;
  return !own.has(parsed.value) || inside.some(({ addresses }) => addresses.includes(parsed.value));
}

function isEverywhere(host: string): boolean {
  return [ANY_HOST, "0.0.0.0", "::"].includes(host);
}

/** By which clients reach this machine; null = there is none yet. */
function insideAddress({ inside }: Network): string | null {
  const all = inside.flatMap(({ addresses }) => addresses);
  return all.find((address) => !address.includes(":")) ?? all[0] ?? null;
}

function warn(message: string): void {
  areaLogger("console").warn("{message}", { message });
}

/** For the console of a relay in the same process. */
export function backendsBeside(gateway: GatewayView, signal: AbortSignal) {
  return gatewayBackends({ gateway, warningsFor: (ranges) => warningsFor({ ranges }), signal, warn });
}

function noNames(): never {
  throw new ApiFailure("forbidden", "A gateway has no sites: it leads packets, and reads no names in them.");
}

function notMeasured(): never {
  throw new ApiFailure(
    "conflict",
    "A gateway's kernel leads packets by itself: measure with `hatchway ping` on the device.",
  );
}
