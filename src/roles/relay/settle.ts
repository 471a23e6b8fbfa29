import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { messageOf } from "../../os/errors.ts";
import type { Logger } from "../../os/log.ts";
import type { AgentPort } from "./agent-port.ts";
import type { RelayEntries } from "./entries.ts";
import type { RelayForwards } from "./forwards.ts";
import type { LentServers } from "./lent-servers.ts";
import type { RelayNames } from "./names.ts";
import type { HandedOverSsh } from "./ssh/handed-over.ts";
import type { TakeOver } from "./take-over.ts";

export interface SettleOptions {
  readonly takeOver: TakeOver;
  readonly forwards: Pick<RelayForwards, "openRest" | "allOpen">;
  readonly entries: Pick<RelayEntries, "all">;
  readonly agentPort: Pick<AgentPort, "setShared">;
  readonly names: Pick<RelayNames, "listen" | "setShared">;
  readonly ssh: Pick<HandedOverSsh, "listen" | "setShared">;
  readonly servers: Pick<LentServers, "setShared">;
  readonly sharing: Pick<PortSharing, "forget">;
  readonly sweeper: Pick<Sweeper, "add" | "remove" | "nowMs">;
  readonly log: Logger;
}

/** Devices that were connected to the process before have come here within this, or are away. */
const DEVICES_WITHIN_MS = 15_000;

/**
 * The end of a take-over, at the process that serves: the forwards of devices that did not come are opened, and when the other
 * process listens nowhere any more, the ports are bound alone again.
 */
export async function settle(options: SettleOptions): Promise<void> {
  const { takeOver, forwards, entries, agentPort, names, ssh, servers, sharing, log } = options;
  await devicesCame(options);
  forwards.openRest();
  // Its ports are many devices' together: until all are here, visitors are better off there.
  try {
    names.listen();
  } catch (error) {
    log.error("sites are not served: {error}", { error: messageOf(error) });
  }
  try {
    ssh.listen();
  } catch (error) {
    log.error("SSH clients are not let in: {error}", { error: messageOf(error) });
  }
  await takeOver.done();
  sharing.forget();
  for (const holder of [agentPort, names, ssh, servers, ...entries.all()]) holder.setShared(false);
  log.info("the process before has left every port; its streams go on there until they end");
}

function devicesCame({ takeOver, forwards, sweeper }: SettleOptions): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const untilMs = sweeper.nowMs() + DEVICES_WITHIN_MS;
  const item = {
    sweep(nowMs: number): void {
      if (nowMs < untilMs && (takeOver.expected > 0 || !forwards.allOpen())) return;
      sweeper.remove(item);
      resolve();
    },
  };
  sweeper.add(item);
  return promise;
}
