import { findProgram, run } from "../lab/commands.ts";
import { SERVICE_PORT, type Site } from "../lab/site.ts";
import type { Lan } from "../mapping/lan.ts";

/** What a peer forwards; natpmp: it can be asked for mappings while it runs. */
export type Protocol = "tcp" | "udp" | "natpmp";

/** One port that the peer opens on the relay, and the port of the service that it leads to. */
export interface Forward {
  readonly name: string;
  readonly protocol: Exclude<Protocol, "natpmp">;
  readonly entryPort: number;
  readonly servicePort: number;
}

export const FORWARD = {
  web: { name: "web", protocol: "tcp", entryPort: 20_001, servicePort: SERVICE_PORT.web },
  bulk: { name: "bulk", protocol: "tcp", entryPort: 20_002, servicePort: SERVICE_PORT.bulk },
  datagrams: { name: "datagrams", protocol: "udp", entryPort: 20_003, servicePort: SERVICE_PORT.datagrams },
} as const satisfies Record<string, Forward>;

/** Why a peer is not measured. */
export class Absent extends Error {
  override readonly name = "Absent";
}

interface PeerFacts {
  readonly name: string;
  /** What protects the way between relay and agent; null = nothing does. Always null for direct. */
  readonly encryption: string | null;
  readonly protocols: readonly Protocol[];
  /** Throws Absent, with the reason, when this machine does not have it. */
  version(): Promise<string>;
  /** Starts the side that visitors reach, and resolves once agents can connect (remote) or visitors can (direct, gateway). */
  startRelay(site: Site, forwards: readonly Forward[]): Promise<void>;
}

/** A peer whose relay reaches the service through an agent. */
export interface RemotePeer extends PeerFacts {
  readonly type: "remote";
  /** Starts the agent and resolves once its process runs; whether it serves yet is for the caller to find out. */
  startAgent(site: Site, forwards: readonly Forward[]): Promise<void>;
}

/** A peer that forwards from the relay's machine straight to the service's. */
export interface DirectPeer extends PeerFacts {
  readonly type: "direct";
}

/** A peer on the router between the visitors and the LAN, whose hosts see each visitor's own address if it can. */
export interface GatewayPeer extends PeerFacts {
  readonly type: "gateway";
  /** Where visitors connect to for a forward that it was started with. */
  target(forward: Forward): readonly [host: string, port: number];
  /** Starts it, and resolves when the first so many of the LAN's mappings are open. Null = it serves no NAT-PMP. */
  readonly startWithMappings: ((site: Site, lan: Lan, count: number) => Promise<void>) | null;
}

export type Peer = RemotePeer | DirectPeer | GatewayPeer;

/** The first match of `pattern` in what `program ...arguments_` prints. Throws Absent when there is no such program. */
export async function askVersion(program: string, arguments_: readonly string[], pattern: RegExp): Promise<string> {
  const path = findProgram(program);
  if (path === null) throw new Absent(`no program "${program}"`);
  // Several print their version on standard error.
  const text = await run(["sh", "-c", 'exec "$@" 2>&1', "sh", path, ...arguments_]);
  const match = pattern.exec(text);
  if (match === null) throw new Absent(`"${program} ${arguments_.join(" ")}" printed no version`);
  return match[1] ?? match[0];
}
