import type { SiteSpec } from "../core/forward.ts";
import type { SiteInfo } from "./control.ts";

/** A site as people are shown it: of its logins the users alone. */
export function siteInfo({ hosts, tls, service, logins }: SiteSpec): SiteInfo {
  return { hosts, tls, http2: service === "h2c", users: logins.map(({ user }) => user) };
}
