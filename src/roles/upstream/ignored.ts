import { areaLogger } from "../../os/log.ts";
import type { RouterSiteOptions } from "../../router/site.ts";

/** Logs what came for the router client and does not count: each reason once, however often it comes. */
export function logIgnored(): RouterSiteOptions["onIgnored"] {
  const log = areaLogger("router");
  return (protocol, reason, from, count) => {
    if (count === 1) log.info("{protocol}: something from {from} is ignored: {reason}", { protocol, from, reason });
  };
}
