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
}
