import type { ForwardOptions } from "./forward.ts";
import { same } from "./same.ts";

/**
 * What the relay does with the visitors of an entry, by the names that people write. A PROXY protocol header and health
 * checks are each device's own affair: they are done where its service is.
 */
const OF_THE_ENTRY: readonly (readonly [name: string, of: (options: ForwardOptions) => unknown])[] = [
  ["allow", ({ source }) => source.allow],
  ["deny", ({ source }) => source.deny],
  ["connections", ({ limits }) => limits.connections],
  ["connections-per-source", ({ limits }) => limits.connectionsPerSource],
  ["new-per-source", ({ limits }) => limits.newPerSourcePerSec],
  ["bandwidth", ({ limits }) => limits.bandwidthBytesPerSec],
  ["idle", ({ tcpIdleSec }) => tcpIdleSec],
  ["half-close idle", ({ halfCloseIdleSec }) => halfCloseIdleSec],
  ["udp-idle", ({ udpIdleSec }) => udpIdleSec],
];

/** The first option in which two members of a group would treat the same visitor differently; null = none. */
export function differingOption(a: ForwardOptions, b: ForwardOptions): string | null {
  return OF_THE_ENTRY.find(([, of]) => !same(of(a), of(b)))?.[0] ?? null;
}
