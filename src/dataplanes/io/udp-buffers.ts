import { NodeUdp } from "./node-udp.ts";
import { type SystemSockets, systemSockets } from "./system-sockets.ts";

/**
 * What the kernel keeps for a socket while this process is busy: 200 Mbit/s of 1,400-byte datagrams for a fifth of a
 * second. The usual default, 208 KiB, is full after 5 ms (measured: 0.3–15 % lost on a busy 2-core machine).
 */
const BUFFER_BYTES = 4 * 1024 * 1024;

interface Platform {
  readonly level: number;
  /** Options to try in turn for each buffer: first the one that may exceed the system's maximum. */
  readonly receive: readonly number[];
  readonly send: readonly number[];
}

/** SOL_SOCKET, SO_RCVBUFFORCE, SO_RCVBUF, SO_SNDBUFFORCE, SO_SNDBUF (asm-generic/socket.h; sys/socket.h of Darwin). */
const PLATFORMS: Partial<Record<NodeJS.Platform, Platform>> = {
  linux: { level: 1, receive: [33, 8], send: [32, 7] },
  darwin: { level: 0xffff, receive: [0x1002], send: [0x1001] },
};

/** Enlarges the buffers of one UDP socket as far as this user may. */
export type EnlargeBuffers = (socket: object) => void;

/** Where the option cannot be set the system's default stays, and bursts are dropped sooner; nothing else changes. */
export function udpBuffers(system: SystemSockets = systemSockets()): EnlargeBuffers {
  const platform = PLATFORMS[process.platform];
  const value = new Int32Array([BUFFER_BYTES]);
  return (socket) => {
    if (socket instanceof NodeUdp) return socket.enlarge(BUFFER_BYTES);
    if (platform === undefined) return;
    for (const options of [platform.receive, platform.send]) {
      // SO_RCVBUFFORCE needs CAP_NET_ADMIN; SO_RCVBUF takes what net.core.rmem_max allows.
      options.some((option) => system.setOption(socket, platform.level, option, value));
    }
  };
}
