import { seesAll } from "../../core/access/rights.ts";
import { judgeName, lookedUp } from "../../core/names/leads-here.ts";
import { nameRefusal, type SitePolicy } from "../../core/names/policy.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { NameReport } from "../../servers/api/schema.ts";
import { parseSitePattern } from "../../wire/site-name.ts";
import type { Clock } from "../ping/probe.ts";

/** Resolvers of systems ask a silent server for half a minute. */
const LOOK_UP_MS = 5_000;
const MAX_TOLD = 16;

export interface NameCheckOptions {
  readonly resolver: Resolver;
  /** Null = the relay hands out no names. */
  policy(): SitePolicy | null;
  /** The name of the account. */
  accountName(id: string): Promise<string>;
  /** What visitors type. */
  publicHost(): string;
  /** Of the relay's machine, now: those that others can reach. */
  ownAddresses(): readonly string[];
  readonly clock: Pick<Clock, "after">;
}

/**
 * Whether visitors of a site's name come to the relay. Others than administrators ask for names that they may have: what the
 * relay's resolver knows of its own network is nobody's business.
 */
export async function checkName(options: NameCheckOptions, who: Principal, text: string): Promise<NameReport> {
  const parsed = parseSitePattern(text);
  if (!parsed.ok) throw invalid(parsed.error.message);
  const host = parsed.value;
  const policy = options.policy();
  const account = policy === null || !seesAll(who) ? await options.accountName(who.accountId) : null;
  const refusal = account === null ? null : nameRefusal(host, account, policy);
  if (refusal !== null) throw new ApiFailure("forbidden", refusal, { errors: [{ path: "host", message: refusal }] });
  const publicHost = options.publicHost();
  const [addresses, reached] = await Promise.all([lookUp(options, lookedUp(host)), lookUp(options, publicHost)]);
  const own = [...new Set([...reached, ...options.ownAddresses()])];
  const verdict = judgeName({ host, addresses, publicHost, own });
  return { host, addresses: addresses.slice(0, MAX_TOLD), ...verdict };
}

async function lookUp({ resolver, clock }: NameCheckOptions, name: string): Promise<readonly string[]> {
  const late = Promise.withResolvers<null>();
  const stop = clock.after(LOOK_UP_MS, () => late.resolve(null));
  try {
    const found = await Promise.race([resolver.resolve(name), late.promise]);
    if (found !== null) return found;
  } finally {
    stop();
  }
  throw new ApiFailure("unavailable", `The relay's resolver did not answer for ${name}: check again later.`);
}

function invalid(message: string): ApiFailure {
  return new ApiFailure("invalid", message, { errors: [{ path: "host", message }] });
}
