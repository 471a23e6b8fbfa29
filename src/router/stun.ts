import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { type DiscoveryAction, type NatBehaviour, NatDiscovery } from "../core/stun/discovery.ts";
import type { StunIgnored, StunSocketName, StunTiming } from "../core/stun/exchange.ts";
import { monotonicMs } from "../os/clock.ts";
import { errorCode } from "../os/errors.ts";
import { after } from "../os/timers.ts";
import { addressBytes, addressFromBytes, isIpv6 } from "../wire/address.ts";
import { type Endpoint, formatEndpoint, type HostPort } from "../wire/endpoint.ts";
import { err, ok, type Result } from "../wire/result.ts";

export type { NatBehaviour, NatEvidence } from "../core/stun/discovery.ts";
export type { NatVerdict } from "../core/stun/verdict.ts";

export interface StunQuery {
  /** A STUN server (a relay at its agent port): a name or an IP literal, and a UDP port. */
  readonly server: HostPort;
  /** Default: that of `bindAddress`, else IPv4 where the server has it. */
  readonly family?: 4 | 6;
  /** Where to ask from, an address of this machine; default: the one that the route to the server takes. */
  readonly bindAddress?: string;
  /** Ends the question. */
  readonly signal: AbortSignal;
  /** Default: STUN_TIMING, 3 s for a server that is silent. */
  readonly timing?: StunTiming;
}

/** What a server saw of this machine. */
export interface StunMapped {
  readonly server: Endpoint;
  /** This machine's own address and port for this question. */
  readonly local: Endpoint;
  /** The same as the server saw it; equal to `local` when nothing translates on the way. */
  readonly mapped: Endpoint;
  /** Null when more than one request was sent. */
  readonly rttMs: number | null;
  readonly ignored: StunIgnored;
}

/**
 * unresolved: the name has no address of that family. unreachable: this machine cannot send there. silent: no answer in
 * time. refused: the answer was an error. stopped: by the signal.
 */
export type StunFailureKind = "unresolved" | "unreachable" | "silent" | "refused" | "stopped";

export interface StunFailure {
  readonly kind: StunFailureKind;
  /** One sentence that says what to do. */
  readonly message: string;
}

/** The address and port by which the server sees a new UDP socket of this machine. In 3 s at most, once the name is resolved. */
export async function discoverMapped(query: StunQuery): Promise<Result<StunMapped, StunFailure>> {
  const found = await discover(query, "mapped");
  if (!found.ok) return found;
  const { server, local, mapped, ignored, evidence } = found.value;
  const primary = evidence[0]?.outcome;
  if (mapped === null || local === null || primary?.kind !== "success") {
    return err(
      primary?.kind === "error"
        ? failure("refused", `${formatEndpoint(server)} answers with error ${primary.code}; ask another STUN server.`)
        : failure(
            "silent",
            `${formatEndpoint(server)}/udp does not answer; check that STUN is served there and that nothing on the way drops UDP.`,
          ),
    );
  }
  return ok({ server, local, mapped, rttMs: primary.rttMs, ignored });
}

/**
 * How the NAT and the firewalls between here and the server behave, as far as this server can show it. A server that is
 * silent is a result too, with `mapped` null. In 9 s at most, once the name is resolved.
 */
export function discoverBehaviour(query: StunQuery): Promise<Result<NatBehaviour, StunFailure>> {
  return discover(query, "behaviour");
}

type Goal = "mapped" | "behaviour";

async function discover(query: StunQuery, goal: Goal): Promise<Result<NatBehaviour, StunFailure>> {
  if (query.signal.aborted) return err(STOPPED);
  // A resolver takes its time, and cannot be stopped.
  const resolved = await unlessAborted(resolve(query), query.signal);
  if (resolved === null) return err(STOPPED);
  if (!resolved.ok) return resolved;
  const server = resolved.value;
  const own = query.bindAddress === undefined ? await ownAddressTowards(server) : ok(query.bindAddress);
  if (!own.ok) return own;
  const first = await open(server, own.value);
  if (!first.ok) return first;
  const second = goal === "mapped" ? ok(null) : await open(server, own.value);
  try {
    return second.ok ? await converse({ first: first.value, second: second.value }, server, goal, query) : second;
  } finally {
    first.value.close();
    if (second.ok) second.value?.close();
  }
}

/** Each with a port of its own; what is told of this machine is told of the first. */
type Sockets = Readonly<Record<StunSocketName, Socket | null>> & { readonly first: Socket };

/** Null when the signal comes first. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const { promise, resolve: done } = Promise.withResolvers<null>();
  const stop = () => done(null);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function resolve({ server, family, bindAddress }: StunQuery): Promise<Result<Endpoint, StunFailure>> {
  const wanted = family ?? (bindAddress === undefined ? null : isIpv6(bindAddress) ? 6 : 4);
  const { host, port } = server;
  try {
    const found = (await lookup(host, { all: true })).filter((one) => wanted === null || one.family === wanted);
    const best = found.find((one) => one.family === 4) ?? found[0];
    if (best !== undefined) return ok({ address: canonical(best.address), port });
    return err(failure("unresolved", `${host} has no IPv${wanted} address; ask without naming the family.`));
  } catch (error) {
    if (errorCode(error) === null) throw error;
    const message = `${host} leads to no address (${errorCode(error)}); check the name, and this machine's DNS.`;
    return err(failure("unresolved", message));
  }
}

/** This machine's address on the route to the server: the kernel chooses it when a socket is connected. Sends nothing. */
async function ownAddressTowards(server: Endpoint): Promise<Result<string, StunFailure>> {
  const thrown = Promise.withResolvers<never>();
  const socket = newSocket(server, thrown.reject);
  try {
    await Promise.race([thrown.promise, settled(socket, (done) => socket.connect(server.port, server.address, done))]);
    return ok(canonical(socket.address().address));
  } catch (error) {
    return err(unreachable(server, error));
  } finally {
    socket.close();
  }
}

async function open(server: Endpoint, address: string): Promise<Result<Socket, StunFailure>> {
  const socket = newSocket(server);
  try {
    await settled(socket, (done) => socket.bind({ address, port: 0, exclusive: true }, done));
    return ok(socket);
  } catch (error) {
    socket.close();
    if (errorCode(error) === null) throw error;
    const message = `No UDP socket can be opened at ${address} (${errorCode(error)}); ask from an address that this machine has.`;
    return err(failure("unreachable", message));
  }
}

/** Lets the discovery and the sockets talk until the discovery is done. */
function converse(
  sockets: Sockets,
  server: Endpoint,
  goal: Goal,
  { signal, timing }: StunQuery,
): Promise<Result<NatBehaviour, StunFailure>> {
  const { promise, resolve: end, reject } = Promise.withResolvers<Result<NatBehaviour, StunFailure>>();
  const { address, port } = sockets.first.address();
  const discovery = new NatDiscovery({
    server,
    local: { address: canonical(address), port },
    goal,
    newTransactionId: () => randomBytes(TRANSACTION_ID_BYTES).toString("hex"),
    ...(timing === undefined ? {} : { timing }),
  });
  let heard = false;
  let callOff = () => {};
  const act = (actions: readonly DiscoveryAction[]): void => {
    for (const action of actions) {
      switch (action.kind) {
        case "send":
          // Only the first request: that a later place is out of reach is what its test finds out.
          sockets[action.socket]?.send(action.bytes, action.to.port, action.to.address, (error) => {
            if (errorCode(error) !== null && !heard) end(err(unreachable(server, error)));
          });
          break;
        case "done":
          end(ok(action.behaviour));
          break;
        default:
          action satisfies never;
      }
    }
    callOff();
    const nextMs = discovery.nextDeadlineMs();
    if (nextMs !== null)
      callOff = after(Math.max(0, nextMs - monotonicMs()), () => act(discovery.onTime(monotonicMs())));
  };
  const stop = () => end(err(STOPPED));
  for (const name of ["first", "second"] as const) {
    sockets[name]?.on("message", (bytes, from) => {
      heard = true;
      act(discovery.onDatagram(bytes, { address: canonical(from.address), port: from.port }, name, monotonicMs()));
    });
    // An ICMP answer to an earlier request: who does not answer is silent.
    sockets[name]?.on("error", (error) => {
      if (errorCode(error) === null) reject(error);
    });
  }
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  else act(discovery.start(monotonicMs()));
  return promise.finally(() => {
    callOff();
    signal.removeEventListener("abort", stop);
  });
}

const TRANSACTION_ID_BYTES = 12;
const STOPPED: StunFailure = { kind: "stopped", message: "The question was stopped." };

function failure(kind: StunFailureKind, message: string): StunFailure {
  return { kind, message };
}

function unreachable(server: Endpoint, error: unknown): StunFailure {
  const place = formatEndpoint(server);
  const code = errorCode(error);
  return failure(
    "unreachable",
    code === "EPERM" || code === "EACCES"
      ? `This machine's firewall lets no UDP out to ${place}; allow it.`
      : `No way leads to ${place}${code === null ? "" : ` (${code})`}; check this machine's network.`,
  );
}

/** For IP literals alone. */
function newSocket(server: Endpoint, onThrown: (error: unknown) => void = rethrow): Socket {
  const family = isIpv6(server.address) ? 6 : 4;
  return createSocket({
    type: family === 6 ? "udp6" : "udp4",
    // What follows the look-up is called within it, so that what it throws is caught: Bun 1.4.5 throws when there is no
    // route, where Node calls back.
    lookup(address, _options, found) {
      try {
        found(null, address, family);
      } catch (error) {
        onThrown(error);
      }
    },
  });
}

function rethrow(error: unknown): never {
  throw error;
}

/** Resolves when `begin` is done; rejects with the socket's error. */
async function settled(socket: Socket, begin: (done: () => void) => void): Promise<void> {
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  // `connect` tells an error to its callback, `bind` to the socket.
  socket.once("error", reject);
  begin((...[error]: readonly unknown[]) => (error instanceof Error ? reject(error) : done()));
  try {
    await promise;
  } finally {
    socket.removeListener("error", reject);
  }
}

/** Without a zone, and IPv4-mapped addresses as IPv4. */
function canonical(address: string): string {
  const bytes = addressBytes(address);
  return (bytes === null ? null : addressFromBytes(bytes)) ?? address;
}
