import { type Network, networkOf } from "../core/router/gateways.ts";
import { LOOK_MS, type NetworkNews, NetworkWatch, TICK_MS, type WatchAction } from "../core/router/network-watch.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { ownAddresses } from "../os/interfaces.ts";
import { type RoutesAndAddresses, readRoutes, routesAreFiles } from "../os/routes.ts";
import { type After, after as systemAfter } from "../os/timers.ts";

export interface NetworkView extends Network {
  /** Why there may be more than is seen here: one sentence. Null = all was read. */
  readonly problem: string | null;
}

/** This machine's routers and other ways out, as its routes name them now. It never rejects, and ends within seconds. */
export async function readNetwork(
  signal: AbortSignal,
  read: (options: { readonly signal: AbortSignal }) => Promise<RoutesAndAddresses> = readRoutes,
): Promise<NetworkView> {
  const { routes, addresses, problem } = await read({ signal });
  return { ...networkOf(routes, addresses), problem };
}

/** Where a look starts programs: a new router on the same network, with the same address here, is seen after so long. */
const PROGRAMS_LOOK_MS = 30_000;

export interface WatchOptions {
  /** What is news is measured by it. */
  readonly first: Network;
  readonly after?: After;
  readonly read?: (signal: AbortSignal) => Promise<Network>;
  /** In any form that differs when the machine's addresses do. */
  readonly addresses?: () => string;
  readonly nowMs?: () => number;
  readonly wallMs?: () => number;
}

/**
 * Calls `onNews` when a default route or this machine's address towards a router is another one, within 5 s (30 s for a
 * route alone, outside Linux), and within a second after the machine slept. Ends with the signal.
 */
export function watchNetwork(onNews: (news: NetworkNews) => void, signal: AbortSignal, options: WatchOptions): void {
  const { first, after = systemAfter, read = readNetwork, addresses = addressesText } = options;
  const clocks = () => ({ nowMs: (options.nowMs ?? monotonicMs)(), wallMs: (options.wallMs ?? wallMs)() });
  const watch = new NetworkWatch(first, addresses(), clocks(), routesAreFiles() ? LOOK_MS : PROGRAMS_LOOK_MS);
  const carryOut = (actions: readonly WatchAction[]): void => {
    for (const action of actions) {
      if (action.kind === "tell") onNews(action.news);
      else void look();
    }
  };
  const look = async (): Promise<void> => {
    const network = await read(signal);
    if (!signal.aborted) carryOut(watch.onSeen(network, clocks().nowMs));
  };
  let cancel = (): void => {};
  const tick = (): void => {
    carryOut(watch.onTick(addresses(), clocks()));
    cancel = after(TICK_MS, tick);
  };
  if (signal.aborted) return;
  cancel = after(TICK_MS, tick);
  signal.addEventListener("abort", () => cancel(), { once: true });
}

function addressesText(): string {
  return ownAddresses()
    .map(({ interfaceName, address }) => `${interfaceName} ${address}`)
    .join("\n");
}
