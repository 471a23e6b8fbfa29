import { PRESETS } from "../../core/presets/presets.ts";
import { searchPresets } from "../../core/presets/search.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { type Sweeper, startSweeper } from "../../dataplanes/io/sweeper.ts";
import { monotonicMs } from "../../os/clock.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { areaLogger } from "../../os/log.ts";
import { after } from "../../os/timers.ts";
import { VERSION } from "../../os/version.ts";
import { type Api, createApi } from "../../servers/api/api.ts";
import type { ApiBackend, CountriesBackend } from "../../servers/api/backend.ts";
import type { StaticFiles } from "../../servers/api/files.ts";
import { problemResponse, Refusal, Status } from "../../servers/api/problem.ts";
import { type ApiServerOptions, serveApi } from "../../servers/api/server.ts";
import type { Store } from "../../store/store.ts";
import { compileCidrs, parseAddress } from "../../wire/address.ts";
import { ANY_HOST, formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { err, ok } from "../../wire/result.ts";
import type { OpenAcme } from "../acme/open.ts";
import { type CertificateSource, tlsPair } from "../certificate/source.ts";
import { type ConsoleSettings, ControlError, type RelayStatus } from "../control.ts";
import { openProxyGate } from "../relay/proxy-refusals.ts";
import { openAccess } from "./access.ts";

/** What a relay or a gateway gives to its console. */
export interface ConsoleOptions {
  readonly store: Store;
  readonly backends: Omit<ApiBackend, "access" | "countries">;
  /** Null = no database was given. */
  readonly countries: CountriesBackend | null;
  wallMs(): number;
  /** Writes down what was carried until now. */
  record(): Promise<void>;
  /** The pages; empty = the API alone. */
  readonly files: StaticFiles;
  /** Asked at each request: a reload may have changed it. */
  settings(): ConsoleSettings;
  /** What visitors type; null = it is not configured. */
  publicHost(): string | null;
  /** What browsers are shown, when they come by HTTPS; while ACME has given none, if it is asked. Null = plain HTTP. */
  readonly certificate: CertificateSource | null;
  /** Where another certificate comes from; null = from nowhere. `homeUrl`: of the console. */
  openAcme(homeUrl: () => string): Promise<OpenAcme | null>;
  /** Ends a device with all that it has; `actor` goes into the audit log. One that is gone is no failure. */
  endDevice(deviceId: string, actor: string): Promise<void>;
  /** The ports or quotas of an account are others now. */
  accountChanged(accountId: string): Promise<void>;
  /** What a scrape is answered. */
  metrics(): Promise<string>;
  /** A wrong password or code. */
  onDenied(): void;
  /** With other processes of this program; absent = it shares its ports with none. */
  readonly sharing?: PortSharing;
  /** Of this process; absent = it has none, and gets one when it is needed. */
  readonly sweeper?: Sweeper;
  /** Nothing is to change the store for a moment; absent = that never is so. */
  isWaiting?(): boolean;
  /** Resolves when it may listen at its ports; absent = it may. */
  beforeListening?(): Promise<void>;
  /** Ends it with everything that is under way. */
  readonly signal: AbortSignal;
  onUnexpected(error: unknown): void;
}

/** The console and its API, listening. */
export interface OpenConsole {
  readonly port: number;
  /** Where people open it, without a slash at the end. */
  readonly url: string;
  /** The one-time link of the first start; null = there is an administrator. It shows once: the next one ends it. */
  readonly setupLink: string | null;
  certificate(): RelayStatus["consoleCertificate"];
  /** Null = it is not asked. */
  readonly acme: OpenAcme | null;
  /** Writes down what was carried until now. */
  record(): Promise<void>;
  /** Where it listens. */
  readonly ports: readonly number[];
  /** Lets another process listen there too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  /** The other has the ports: whoever is connected comes to it with the next request, and nothing under way is cut. */
  leave(): void;
  /** Listens no more. Resolves when what is under way has ended. */
  retire(): Promise<void>;
  close(): Promise<void>;
}

const LOCALHOST = "localhost";
/** Methods that change nothing (RFC 9110 section 9.2.1). */
const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Opens `[console] listen`. Rejects with ControlError `failed` when the port cannot be had. */
export async function openConsole(options: ConsoleOptions): Promise<OpenConsole> {
  const { store, wallMs, settings, signal, onUnexpected } = options;
  const log = areaLogger("console");
  const warn = (message: string) => log.warn("{message}", { message });
  const { listen, tls } = settings();
  let port = listen.port;
  const url = () => publicUrl(settings(), options.publicHost(), port);
  const access = await openAccess({
    store,
    wallMs,
    nowMs: monotonicMs,
    publicUrl: url,
    passkeyHost: () => passkeyHost(new URL(url()).hostname),
    passkeyOrigins: () => [new URL(url()).origin],
    endDevice: (deviceId, actor) => options.endDevice(deviceId, actor),
    accountChanged: (accountId) => options.accountChanged(accountId),
    onDenied: (name, address, waitMs) => {
      options.onDenied();
      log.warn("a sign-in was refused", { name, address, waitMs });
    },
  });
  const api = createApi(
    { access, countries: options.countries, ...options.backends },
    {
      version: VERSION,
      tls,
      // Off unless it is asked for: plain HTTP may be forwarded at the same name.
      hstsSec: tls ? (settings().hstsSec ?? null) : null,
      isOwnHost: (host) => isOwnHost(host, settings(), options.publicHost(), port),
      trustedProxies: () => compileCidrs(settings().trustedProxies),
      metrics: () => options.metrics(),
      presets: { all: PRESETS, search: searchPresets },
      files: options.files,
      after,
      nowMs: monotonicMs,
      signal,
      onUnexpected,
    },
  );
  await options.beforeListening?.();
  const acme = await options.openAcme(() => `${url()}/`);
  const certificate = tls ? (acme?.certificate ?? options.certificate) : null;
  if (tls && certificate === null) throw new Error("a console over TLS has no certificate");
  const pair = certificate === null ? null : tlsPair(certificate.current);
  const opened = serveApi(
    patient(api, () => options.isWaiting?.() ?? false),
    { bind: listen.host, port: listen.port, tls: pair, ...sharingOf(options), ...balancersOf(options, warn) },
  );
  if (!opened.ok) {
    await acme?.close();
    throw new ControlError("failed", opened.error.message);
  }
  const server = opened.value;
  port = server.port;
  let hasLeft = false;
  certificate?.follow((next) => {
    const renewed = signal.aborted || hasLeft ? ok(null) : server.renew(tlsPair(next));
    return renewed.ok ? renewed : err(renewed.error.message);
  });
  const close = async () => {
    await Promise.all([server.close(), acme?.close()]);
    await options.record();
  };
  const shown = ({ current }: CertificateSource) => ({
    untilMs: current.notAfterMs,
    problem: acme?.certificate.problem ?? null,
  });
  return {
    port,
    url: url(),
    certificate: () => (certificate === null ? null : shown(certificate)),
    setupLink: await access.setupLink(url()),
    acme,
    record: () => options.record(),
    ports: [port, ...(acme?.port == null ? [] : [acme.port])],
    setShared: (shared) => server.setShared(shared) && (acme?.setShared(shared) ?? true),
    leave() {
      hasLeft = true;
      api.endStreams();
      server.endIdle();
    },
    async retire() {
      await Promise.all([server.retire(), acme?.retire()]);
    },
    close,
  };
}

/**
 * While the relay waits, what would change something is to be asked again. Every answer is its connection's last: the next request
 * comes by a new connection, and so to the process that is the relay then.
 */
function patient(api: Api, isWaiting: () => boolean): Api {
  return {
    ...api,
    async fetch(request, from) {
      if (!isWaiting()) return await api.fetch(request, from);
      const response = READS.has(request.method) ? await api.fetch(request, from) : askAgain();
      response.headers.set("connection", "close");
      return response;
    },
  };
}

function askAgain(): Response {
  const message = "The relay is being upgraded: ask again in a second.";
  return problemResponse(new Refusal(Status.unavailable, message, { headers: { "retry-after": "1" } }));
}

function sharingOf({ sharing }: Pick<ConsoleOptions, "sharing">): Pick<ApiServerOptions, "sharing"> {
  return sharing === undefined ? {} : { sharing };
}

/** They are settled at the start, as its port is. */
function balancersOf(
  { settings, signal, sweeper: present }: Pick<ConsoleOptions, "settings" | "signal" | "sweeper">,
  warn: (message: string) => void,
): Pick<ApiServerOptions, "balancers"> {
  const { proxyProtocolFrom = [] } = settings();
  if (proxyProtocolFrom.length === 0) return {};
  const sweeper = present ?? startSweeper(signal);
  const gate = openProxyGate(sweeper, warn, "[console] proxy-protocol-from");
  gate.change(proxyProtocolFrom);
  return { balancers: { gate, sweeper } };
}

/** By which it is called, besides the relay's public name. */
function namesOf({ hosts, acme }: ConsoleSettings): readonly string[] {
  return [...hosts, ...(acme?.hosts ?? [])];
}

/** On one address that, else by the public name, else by an address of this machine. */
function publicUrl(settings: ConsoleSettings, publicHost: string | null, port: number): string {
  const { listen, tls } = settings;
  const [named] = namesOf(settings);
  const isEverywhere = [ANY_HOST, "0.0.0.0", "::"].includes(listen.host);
  const own = ownAddresses().find(({ internal, family }) => !internal && family === 4)?.address;
  const host = named ?? (isEverywhere ? (publicHost ?? own ?? LOCALHOST) : listen.host);
  return `${tls ? "https" : "http"}://${formatHostPort(host, port)}`;
}

/** WebAuthn has no addresses, but for this machine's own name. */
function passkeyHost(host: string): string | null {
  return parseAddress(host.replace(/^\[|\]$/g, "")).ok ? null : host;
}

/** By a name or an address of ours, at our port; a proxy before us has a port of its own. */
function isOwnHost(
  { host, port }: HostPort,
  settings: ConsoleSettings,
  publicHost: string | null,
  ownPort: number,
): boolean {
  const isFronted = settings.trustedProxies.length > 0 || (settings.proxyProtocolFrom ?? []).length > 0;
  if (port !== ownPort && !isFronted) return false;
  const names = [LOCALHOST, ...namesOf(settings), ...(publicHost === null ? [] : [publicHost.toLowerCase()])];
  return names.includes(host) || ownAddresses().some(({ address }) => address === host);
}
