import { domainCovers, isWildcard } from "../../wire/site-name.ts";
import type { SiteSpec } from "../forward.ts";

/** A name that the relay itself goes by. */
export interface ReservedName {
  readonly host: string;
  /** For the sentence: `the relay's console`. */
  readonly purpose: string;
}

/** Domains that are one account's, and nobody else's. */
export interface DomainGrant {
  /** The account's name. */
  readonly account: string;
  readonly domains: readonly string[];
}

/** Which names a relay hands out, and to whom. */
export interface SitePolicy {
  /** The ports that visitors come by; null = there is none of that kind. */
  readonly ports: { readonly http: number | null; readonly https: number | null };
  /** For every account: names, and `*.example.org` for all below. */
  readonly domains: readonly string[];
  readonly grants: readonly DomainGrant[];
  readonly reserved: readonly ReservedName[];
  /** Whether TLS can be ended for it: there is a certificate, or one can be ordered. */
  canEnd(host: string): boolean;
}

/** Why an account may not have a site, one sentence; null = it may. Null as policy: the relay hands out no names. */
export function siteRefusal(site: SiteSpec, account: string, policy: SitePolicy | null): string | null {
  if (policy === null) return NO_NAMES;
  if (siteHostPort(site, policy) === null) {
    const [key, other] = site.tls === "off" ? ["http", "--tls end or pass"] : ["https", "--tls off"];
    return `This relay has no port for that: ask its operator to set [names] ${key}, or choose ${other}.`;
  }
  if (site.tls === "pass" && site.logins.length > 0) {
    return "Nobody can be asked for a password where TLS is passed through: choose --tls end, or leave it to the service.";
  }
  if (site.tls !== "end" && site.service === "h2c") {
    return "HTTP/2 to the service is for sites whose TLS the relay ends: choose --tls end, or leave out --http2.";
  }
  for (const host of site.hosts) {
    const refusal = hostRefusal(host, account, policy);
    if (refusal !== null) return refusal;
    if (site.tls === "end" && !policy.canEnd(host)) return noCertificate(host);
  }
  return null;
}

/** Why an account may not have a name, whatever comes of it, one sentence; null = it may. */
export function nameRefusal(host: string, account: string, policy: SitePolicy | null): string | null {
  return policy === null ? NO_NAMES : hostRefusal(host, account, policy);
}

/** The port that visitors of a site come to; null = the relay has none of that kind. */
export function siteHostPort({ tls }: Pick<SiteSpec, "tls">, { ports }: SitePolicy): number | null {
  return tls === "off" ? ports.http : ports.https;
}

const NO_NAMES = "This relay hands out no names: ask its operator for [names] in its hatchway.toml, or expose a port.";

function hostRefusal(host: string, account: string, { domains, grants, reserved }: SitePolicy): string | null {
  // A wildcard over one of the relay's own names would take its visitors.
  const own = reserved.find((one) => one.host === host || domainCovers(host, one.host));
  if (own !== undefined) return `The name ${host} is ${own.purpose}; choose another name.`;
  const holders = grants.filter((grant) => grant.domains.some((domain) => overlaps(domain, host)));
  const isOwn = holders.some((grant) => grant.account === account && covers(grant.domains, host));
  if (isOwn && holders.every((grant) => grant.account === account)) return null;
  if (holders.length > 0 && !isOwn) return `The name ${host} belongs to another account; choose another name.`;
  if (isOwn) return `The name ${host} would take names of another account too; choose another name.`;
  if (covers(domains, host)) return null;
  const allowed = [
    ...new Set([...domains, ...grants.filter((one) => one.account === account).flatMap((one) => one.domains)]),
  ];
  const given = allowed.length === 0 ? "none" : allowed.slice(0, MAX_LISTED).join(", ");
  return `The name ${host} is none that this relay hands out to this account (${given}); choose one of those, or ask the relay's operator to add it to [names].`;
}

const MAX_LISTED = 10;

/** Why TLS cannot be ended for a name, one sentence. */
export function noCertificate(host: string): string {
  return isWildcard(host)
    ? `The relay has no certificate for ${host}, and orders none for wildcards: list the names one by one, or choose --tls pass or off.`
    : `The relay has no certificate for ${host}, and no [names.acme] to order one: ask its operator, or choose --tls pass or off.`;
}

function covers(domains: readonly string[], host: string): boolean {
  return domains.some((domain) => domainCovers(domain, host));
}

/** A site under a domain, or a wildcard over one. */
function overlaps(domain: string, host: string): boolean {
  return domainCovers(domain, host) || (isWildcard(host) && domainCovers(host, domain));
}
