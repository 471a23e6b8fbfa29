import { ECHO_ID, udpProbe } from "../../core/check/probes.ts";
import { bindCandidates } from "../../dataplanes/io/bind-address.ts";
import { bindUdp } from "../../dataplanes/io/udp-socket.ts";
import type { Protocol } from "../../wire/port-set.ts";

/**
 * Takes the place of a service that does not run, for as long as a check lasts: so the way to it can be tried. It takes
 * connections and ends them, and gives one datagram back, the check's own, to whoever sends exactly that.
 */
export interface StandIn {
  /** Somebody came. */
  readonly reached: boolean;
  close(): void;
}

export interface StandInOptions {
  readonly protocol: Protocol;
  /** An IP literal of this machine, or `*`. */
  readonly bind: string;
  readonly port: number;
  /** What the check's datagram is made of. */
  readonly nonce: Uint8Array;
}

/** Null: the port cannot be had. */
export function openStandIn({ protocol, bind, port, nonce }: StandInOptions): StandIn | null {
  for (const address of bindCandidates(bind)) {
    const standIn = protocol === "tcp" ? standInTcp(address, port) : standInUdp(address, port, nonce);
    if (standIn !== null) return standIn;
  }
  return null;
}

function standInTcp(hostname: string, port: number): StandIn | null {
  let reached = false;
  try {
    const listener = Bun.listen({
      hostname,
      port,
      socket: {
        open(socket) {
          reached = true;
          socket.end();
        },
        data: () => undefined,
        error: () => undefined,
      },
    });
    return {
      get reached() {
        return reached;
      },
      close: () => listener.stop(true),
    };
  } catch (error) {
    // In use, not permitted, no IPv6: then the check goes on without.
    if (!(error instanceof Error)) throw error;
    return null;
  }
}

function standInUdp(address: string, port: number, nonce: Uint8Array): StandIn | null {
  let reached = false;
  const echo = udpProbe(ECHO_ID);
  const socket = bindUdp(address, port, {
    data(own, datagram, fromPort, from) {
      if (echo?.fits(datagram, nonce) !== true) return;
      reached = true;
      own.send(datagram, fromPort, from);
    },
    error: () => undefined,
  });
  if (!socket.ok) return null;
  return {
    get reached() {
      return reached;
    },
    close: () => socket.value.close(),
  };
}
