import type { RemoteSpec, SiteSpec } from "../../core/forward.ts";
import { type SitePolicy, siteHostPort } from "../../core/names/policy.ts";
import type { SiteOffer } from "../../servers/api/schema.ts";
import { siteEndpoints } from "../relay/names.ts";

/** What the relay has for the sites of an account. Null: it hands out no names. */
export function offerTo(account: string, policy: SitePolicy | null): SiteOffer | null {
  if (policy === null) return null;
  const { ports, domains, grants } = policy;
  const own = grants.filter((grant) => grant.account === account).flatMap((grant) => grant.domains);
  return { ...ports, domains: [...new Set([...domains, ...own])] };
}

/** What a site would be, in words: `https://app.example.org, to port 8080 inside`. */
export function siteWords({ ports, ...spec }: RemoteSpec, site: SiteSpec, policy: SitePolicy | null): string[] {
  const port = policy === null ? null : siteHostPort(site, policy);
  const [mapping] = ports;
  if (port === null || mapping === undefined) return [];
  const there = { ...spec, ports: [{ ...mapping, first: port, last: port }] };
  return siteEndpoints(there, site).map(({ url, internalPort }) => `${url}, to port ${internalPort} inside`);
}

export function siteWarnings({ tls }: SiteSpec, asksForPasswords: boolean): string[] {
  const isOpen = tls === "off" && asksForPasswords;
  return isOpen ? ["Without TLS everybody on the way can read the passwords: let the relay end TLS."] : [];
}

/** The field that a refusal of the relay is about. */
export function placeOf({ site }: Pick<RemoteSpec, "site">): "host" | "ports" {
  return site === undefined ? "ports" : "host";
}
