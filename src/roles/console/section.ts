import type { Cidr } from "../../wire/address.ts";
import type { HostPort } from "../../wire/endpoint.ts";

/** Paths of a certificate (leaf first, then intermediates) and its key, in PEM. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** `[console]`: the web console and its API. */
export interface ConsoleSettings {
  /** Port 0 asks for any free one (tests). */
  readonly listen: HostPort;
  /** Names, in lower case, by which it may be called, besides the relay's public name and this machine's addresses. */
  readonly hosts: readonly string[];
  /** Null = the relay's; of a gateway, one of our making. */
  readonly certificate: CertificateFiles | null;
  /** False: plain HTTP, for this machine alone or behind a reverse proxy. */
  readonly tls: boolean;
  /** Reverse proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Cidr[];
  /** Load balancers before it, whose PROXY protocol header is asked for and believed; absent = none. */
  readonly proxyProtocolFrom?: readonly Cidr[];
  /** Where its certificate comes from; absent = from `certificate`. */
  readonly acme?: AcmeSettings;
  /** Path of a database of countries, in the MaxMind DB format; absent = none. */
  readonly countryDatabase?: string;
  /** For how long browsers come by HTTPS only, to every port of the name; absent = that is not said. */
  readonly hstsSec?: number;
}

/** `[acme]`: a certificate for the console from a CA that speaks ACME (RFC 8555). */
export interface AcmeSettings {
  /** Names, in lower case, at least one. */
  readonly hosts: readonly string[];
  /** What the CA may write to; null = none. */
  readonly email: string | null;
  /** URL. */
  readonly directory: string;
  /** Path of the CA that vouches for the server itself; null = the system's CAs. */
  readonly ca: string | null;
  /** Where the names are proven by plain HTTP. Port 0 asks for any free one (tests). */
  readonly listen: HostPort;
}
