import { areaLogger } from "../../os/log.ts";
import type { SystemAccessOptions } from "../../router/system-access.ts";

/** Logs what came for the router client and does not count, each reason once, and what cannot be heard. */
export function routerLog(): Pick<SystemAccessOptions, "onIgnored" | "onDeaf"> {
  const log = areaLogger("router");
  return {
    onIgnored: (protocol, reason, from, count) => {
      if (count === 1) log.info("{protocol}: something from {from} is ignored: {reason}", { protocol, from, reason });
    },
    onDeaf: (message) => log.info("{message}", { message }),
  };
}
