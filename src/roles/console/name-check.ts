import { seesAll } from "../../core/access/rights.ts";
import { nameRefusal, type SitePolicy } from "../../core/names/policy.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { NameReport } from "../../servers/api/schema.ts";
import { parseSitePattern } from "../../wire/site-name.ts";
import { type NameMeans, sightName } from "../check/site-name.ts";

const MAX_TOLD = 16;

export interface NameCheckOptions {
  /** Null = the relay hands out no names. */
  policy(): SitePolicy | null;
  /** The name of the account. */
  accountName(id: string): Promise<string>;
  /** As things are now. */
  means(): NameMeans;
}

/**
 * Whether visitors of a site's name come to the relay. Others than administrators ask for names that they may have: what the
 * relay's resolver knows of its own network is nobody's business.
 */
export async function checkName(options: NameCheckOptions, who: Principal, text: string): Promise<NameReport> {
  const parsed = parseSitePattern(text);
  if (!parsed.ok) throw failure("invalid", parsed.error.message);
  const host = parsed.value;
  const policy = options.policy();
  const account = policy === null || !seesAll(who) ? await options.accountName(who.accountId) : null;
  const refusal = account === null ? null : nameRefusal(host, account, policy);
  if (refusal !== null) throw failure("forbidden", refusal);
  const sighted = await sightName(options.means(), host);
  if (sighted === null) {
    throw new ApiFailure("unavailable", `The relay's resolver did not answer for ${host}: check again later.`);
  }
  return { ...sighted, addresses: sighted.addresses.slice(0, MAX_TOLD) };
}

function failure(kind: "invalid" | "forbidden", message: string): ApiFailure {
  return new ApiFailure(kind, message, { errors: [{ path: "host", message }] });
}
