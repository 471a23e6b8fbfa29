import { type ProofPorts, proofWays } from "../../core/acme/ways.ts";
import type { RemoteSpec, SiteSpec } from "../../core/forward.ts";
import type { SiteCertificate } from "../../core/names/certificates.ts";
import type { ReservedName, SitePolicy } from "../../core/names/policy.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import type { RelayCertificate } from "../../os/certificate.ts";
import type { Logger } from "../../os/log.ts";
import { NamesServer } from "../../servers/names/server.ts";
import type { Sites } from "../../servers/names/sites.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import type { Result } from "../../wire/result.ts";
import { siteNameOf } from "../../wire/site-name.ts";
import type { TunnelEndpoint } from "../../wire/tunnel/control.ts";
import type { ProofPlace } from "../acme/open.ts";
import { fixedCertificate } from "../certificate/source.ts";
import type { WatchedFiles } from "../certificate/watched.ts";
import { type AcmeSettings, ControlError, type RelaySettings } from "../control.ts";
import { publishProof } from "./proofs.ts";
import { SiteAcme } from "./site-acme.ts";
import { SiteCertificates } from "./site-certificates.ts";

const DEFAULT_PORTS = { http: 80, https: 443 } as const;

export interface RelayNamesOptions {
  readonly sweeper: Sweeper;
  readonly gate: ProxyGate;
  readonly sharing: PortSharing;
  readonly dataDir: string;
  /** The operator's certificate and what else a reload looks at come to these. */
  readonly files: Pick<WatchedFiles, "load" | "add">;
  /** Shown to nobody. */
  readonly fallback: RelayCertificate;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** As they are now. */
  settings(): RelaySettings;
  unexpected(error: unknown): void;
}

/** The sites of a relay: its ports for them, and who may have which name. */
export class RelayNames {
  readonly server: NamesServer;
  readonly #options: RelayNamesOptions;
  readonly #certificates = new SiteCertificates();
  #acme: SiteAcme | null = null;

  constructor(options: RelayNamesOptions) {
    this.#options = options;
    this.server = new NamesServer({
      sweeper: options.sweeper,
      gate: options.gate,
      sharing: options.sharing,
      certificate: (name) => this.#certificates.contextOf(name),
      unexpected: (error) => options.unexpected(error),
    });
  }

  get sites(): Sites {
    return this.server.sites;
  }

  /** Has certificates, and orders others from then on. Before devices ask for sites. Throws ControlError. */
  async prepare(): Promise<void> {
    const { sweeper, dataDir, files, fallback, log, signal, settings } = this.#options;
    const { certificate = null, acme = null } = settings().names ?? {};
    if (certificate !== null) this.#certificates.use(await files.load("names.certificate", certificate));
    if (acme !== null) {
      this.#acme = await SiteAcme.open({
        settings: acme,
        dataDir,
        fallback: fixedCertificate(fallback),
        ports: this.#configured,
        proofs: this.server.proofs,
        canProve: () => this.server.isFound,
        wanted: () => this.sites.ended().filter((name) => !this.#certificates.isGiven(name)),
        log,
        signal,
      });
      this.#certificates.order(this.#acme);
      files.add("names.acme", this.#acme);
      sweeper.add(this.#acme);
    }
  }

  /** Opens the ports. Throws ControlError. */
  listen(): void {
    const { http = null, https = null } = this.#options.settings().names ?? {};
    if (http !== null) opened("http", this.server.openHttp(http));
    if (https !== null) opened("https", this.server.openHttps(https));
  }

  /** Where the console's names are proven, if sites have that port; null = somewhere else. People are sent to `homeUrl`. */
  proofPlace({ listen, hosts }: AcmeSettings, homeUrl: () => string): ProofPlace | null {
    const { http = null } = this.#options.settings().names ?? {};
    if (http === null || http.port !== listen.port || http.host !== listen.host) return null;
    const { homes, proofs } = this.server;
    for (const host of hosts) homes.set(host, homeUrl);
    return {
      port: null,
      ways: proofWays(null, this.#configured),
      publish: (proof) => publishProof(proofs, proof),
      canProve: () => this.server.isFound,
      // They are shared, and left, as the sites' port is.
      setShared: () => true,
      retire: () => Promise.resolve(),
      // People find the console where they are sent also when another process has it.
      close: () => Promise.resolve(),
    };
  }

  get #configured(): ProofPorts {
    const { http = null, https = null } = this.#options.settings().names ?? {};
    return { http: http?.port ?? null, https: https?.port ?? null };
  }

  /** Of a name whose TLS is ended here. */
  certificateOf(host: string): SiteCertificate {
    return this.#certificates.stateOf(host);
  }

  /** Where it listens. */
  get ports(): readonly number[] {
    return Object.values(this.server.ports).filter((port) => port !== null);
  }

  /** Lets another process of this relay listen there too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    return this.server.setShared(shared);
  }

  /** Whoever is in stays. */
  drain(): void {
    this.server.drain();
  }

  /** After that: resolves when all who came by HTTP/2 have what they asked for. */
  drained(): Promise<void> {
    return this.server.drained();
  }

  async close(): Promise<void> {
    this.server.close();
    await this.#acme?.idle();
  }

  /** Those of sites: also before it listens, while another process of this relay does. */
  get sitePorts(): SitePolicy["ports"] {
    const { http = null, https = null } = this.#options.settings().names ?? {};
    const { ports } = this.server;
    return { http: ports.http ?? http?.port ?? null, https: ports.https ?? https?.port ?? null };
  }

  /** Null = the relay hands out no names. */
  policy(): SitePolicy | null {
    const settings = this.#options.settings();
    const { names } = settings;
    if (names === undefined) return null;
    return {
      ports: this.sitePorts,
      domains: names.domains,
      grants: names.grants,
      reserved: ownNames(settings),
      canEnd: (host) => this.#certificates.canHave(host),
    };
  }
}

function opened(key: "http" | "https", outcome: Result<null, EntryError>): void {
  if (!outcome.ok) throw new ControlError("failed", `[names] ${key}: ${outcome.error.message}`);
}

/** What the relay and its own pages go by: whoever had one of these names could pose as them. */
function ownNames({ publicHost, console, check }: RelaySettings): ReservedName[] {
  const named = (hosts: readonly string[], purpose: string) =>
    hosts.flatMap((host) => {
      const name = siteNameOf(host);
      return name === null ? [] : [{ host: name, purpose }];
    });
  return [
    ...named(publicHost === null ? [] : [publicHost], "the relay's own name"),
    ...named([...(console?.hosts ?? []), ...(console?.acme?.hosts ?? [])], "the relay's console"),
    ...named(check.hosts, "the relay's check page"),
  ];
}

/** Where visitors of a site come in. */
export function siteEndpoints({ ports }: RemoteSpec, site: SiteSpec): TunnelEndpoint[] {
  const [mapping] = ports;
  if (mapping === undefined) return [];
  const { first: port, internalFirst: internalPort } = mapping;
  return site.hosts.map((host) => ({
    protocol: "tcp",
    host,
    port,
    lastPort: port,
    internalPort,
    url: urlOf(site, host, port),
  }));
}

function urlOf({ tls }: SiteSpec, host: string, port: number): string {
  const scheme = tls === "off" ? "http" : "https";
  return `${scheme}://${port === DEFAULT_PORTS[scheme] ? host : formatHostPort(host, port)}`;
}
