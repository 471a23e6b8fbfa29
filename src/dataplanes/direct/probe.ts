import { connect, type Socket } from "node:net";
import { errorCode } from "../../os/errors.ts";
import { parseAddress } from "../../wire/address.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { dialReason, reasonOfCode } from "../io/dial-error.ts";
import { connectUdp, udpErrorOf } from "../io/udp-socket.ts";

/** What a dial to an IP literal looked like; the words of core/check/evidence.ts. */
export interface ProbeResult {
  readonly saw: "open" | "ended" | "closed" | "filtered" | "silent" | "unreachable" | "failed";
  /** The address of this end that it left by; null = there is no way. */
  readonly from: string | null;
  readonly elapsedMs: number;
  /** UDP: whether the answer was the one that was waited for; null = there was none. */
  readonly fits: boolean | null;
}

export interface TcpProbe {
  readonly address: string;
  readonly port: number;
  /** Until it is connected. */
  readonly deadlineMs: number;
  /** How long a connection is kept, to see whether the other side ends it; 0 = it is closed at once. */
  readonly holdMs: number;
  readonly signal: AbortSignal;
}

/**
 * Connects, says nothing, and closes. By node:net and not Bun.connect, which gives no socket before it is open (1.4.5)
 * and so sends its SYN on for two minutes: `destroy` ends that (measured: one SYN instead of four in 3 s).
 */
export function probeTcp(probe: TcpProbe): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const startedMs = performance.now();
  const { address, port, signal } = probe;
  let isConnected = false;
  let timer: Timer | undefined;
  let socket: Socket | null = null;
  const onAbort = () => finish("failed");
  const finish = (saw: ProbeResult["saw"]) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    socket?.destroy();
    resolve({ saw, from: sourceTo(address, port), elapsedMs: performance.now() - startedMs, fits: null });
  };
  if (signal.aborted) {
    finish("failed");
    return promise;
  }
  signal.addEventListener("abort", onAbort, { once: true });
  timer = setTimeout(finish, probe.deadlineMs, "filtered");
  socket = connect({ host: address, port, noDelay: true });
  socket.on("error", (error) => {
    if (isConnected) finish("ended");
    else finish(sawFor(dialReason(error, address, port, performance.now() - startedMs)));
  });
  socket.on("connect", () => {
    isConnected = true;
    clearTimeout(timer);
    if (probe.holdMs === 0) finish("open");
    else timer = setTimeout(finish, probe.holdMs, "open");
  });
  socket.on("data", () => finish("open"));
  socket.on("end", () => finish("ended"));
  socket.on("close", () => finish(isConnected ? "ended" : "failed"));
  return promise;
}

export interface UdpProbe {
  readonly address: string;
  readonly port: number;
  readonly payload: Uint8Array;
  /** Sent so often in all, while nothing comes back. */
  readonly tries: number;
  readonly signal: AbortSignal;
  fits(answer: Uint8Array): boolean;
}

/** A round trip around the world takes 0.4 s; what has not come 1.1 s after the last try does not come. */
const UDP_AGAIN_MS = 700;
const UDP_LAST_MS = 1_100;
/** What answers, but not as it should: its true answer, if there is one, is not far behind. */
const UDP_ANOTHER_MS = 300;

/** Sends the payload until something comes back from that very address and port. */
export function probeUdp(probe: UdpProbe): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const startedMs = performance.now();
  const { address, port, signal } = probe;
  let timer: Timer | undefined;
  let fits: boolean | null = null;
  const onAbort = () => finish("failed");
  const finish = (saw: ProbeResult["saw"]) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    if (socket.ok) socket.value.close();
    resolve({ saw, from: sourceTo(address, port), elapsedMs: performance.now() - startedMs, fits });
  };
  const socket = connectUdp(address, port, {
    data: (_socket, datagram) => {
      fits = probe.fits(datagram);
      if (fits) {
        finish("open");
        return;
      }
      // Something else may come before the answer.
      clearTimeout(timer);
      timer = setTimeout(finish, UDP_ANOTHER_MS, "open");
    },
    error: (first, second) => finish(sawFor(reasonOfCode(errorCode(udpErrorOf(first, second))))),
  });
  if (!socket.ok) {
    finish(sawFor(reasonOfCode(errorCode(socket.error))));
    return promise;
  }
  if (signal.aborted) {
    finish("failed");
    return promise;
  }
  signal.addEventListener("abort", onAbort, { once: true });
  const send = (left: number) => {
    try {
      socket.value.send(probe.payload);
    } catch (error) {
      // What an ICMP message said of the datagram before.
      finish(sawFor(reasonOfCode(errorCode(error))));
      return;
    }
    if (left > 1) timer = setTimeout(send, UDP_AGAIN_MS, left - 1);
    else timer = setTimeout(finish, UDP_LAST_MS, "silent");
  };
  send(probe.tries);
  return promise;
}

function sawFor(reason: ReasonName): ProbeResult["saw"] {
  switch (reason) {
    case "serviceRefused":
      return "closed";
    case "serviceTimeout":
      return "filtered";
    case "serviceUnreachable":
      return "unreachable";
    default:
      return "failed";
  }
}

/** By the kernel's routes: a connected UDP socket sends nothing, and has the address that what it sends would have. */
function sourceTo(address: string, port: number): string | null {
  const socket = connectUdp(address, port, {});
  if (!socket.ok) return null;
  const own = parseAddress(socket.value.address.address);
  socket.value.close();
  return own.ok ? own.value : null;
}
