import { seesAll } from "../../core/access/rights.ts";
import { externalPorts } from "../../core/external-ports.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import { checkPolicy, type Grant, type RelayPolicy } from "../../core/policy.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { GatewayView } from "../gateway/control.ts";
import { grantOf } from "../relay/grants.ts";
import { rethrow } from "./gateway-failures.ts";

/** What whoever asks may have led to the peers of their account. */
export interface Quota {
  /** Every port there is, and as many as they like. */
  readonly isUnlimited: boolean;
  /** Throws ApiFailure `forbidden` when they may not have this as well. */
  permit(spec: MappingSpec): void;
  /** The same, of ports that a program of the peer may ask for later: how many of them it has then, nobody knows now. */
  permitPorts(ports: MappingSpec["ports"]): void;
}

const ALL: RelayPolicy = {
  pool: { ranges: [{ protocol: null, first: 1, last: 65_535, internalFirst: 1 }] },
  reserved: [],
  denied: { ranges: [] },
};
const NO_LIMIT: Grant = { ports: null };
const NOTHING_YET = { forwards: 0, ports: 0 };
const UNLIMITED: Quota = { isUnlimited: true, permit: () => undefined, permitPorts: () => undefined };

/** Administrators give themselves what they like; others have what their account may have. */
export async function quotaOf(view: Pick<GatewayView, "book" | "store">, who: Principal): Promise<Quota> {
  if (seesAll(who)) return UNLIMITED;
  const account = await view.store.accounts.find(who.accountId).catch(rethrow);
  const grant: Grant = account === null ? { ports: { ranges: [] } } : grantOf(account);
  const check = (ports: MappingSpec["ports"], usage: Parameters<typeof checkPolicy>[2]): void => {
    const external = externalPorts(ports);
    if (!external.ok) throw refusal("invalid", external.error.message);
    const judged = checkPolicy(external.value, { relay: ALL, account: grant, device: NO_LIMIT }, usage);
    if (!judged.ok) throw refusal("forbidden", judged.error.message);
  };
  return {
    isUnlimited: grant.ports === null && grant.maxForwards === undefined && grant.maxPorts === undefined,
    permit: (spec) => check(spec.ports, view.book.usage(spec)),
    permitPorts: (ports) => check(ports, { account: NOTHING_YET, device: NOTHING_YET }),
  };
}

function refusal(kind: "invalid" | "forbidden", message: string): ApiFailure {
  return new ApiFailure(kind, message, { errors: [{ path: "ports", message }] });
}
