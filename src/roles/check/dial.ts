import type { Saw } from "../../core/check/evidence.ts";
import { NONCE_BYTES, TCP_PROBE_MS, type UdpProbe, udpProbe, usualProbe } from "../../core/check/probes.ts";
import { type ProbeResult, probeTcp, probeUdp } from "../../dataplanes/direct/probe.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ControlError } from "../control.ts";

/** What one check asks with, everywhere it asks. */
export interface Asking {
  readonly protocol: Protocol;
  /** Of UDP; for TCP it says nothing. */
  readonly probe: UdpProbe;
  readonly nonce: Uint8Array;
  readonly resolver: Resolver;
  readonly signal: AbortSignal;
}

/** A service that ends a connection at once does it within this. */
const SERVICE_HOLD_MS = 250;
/** This machine and its LAN lose few datagrams. */
const SERVICE_TRIES = 2;

/** Throws ControlError `usage` for a payload that there is not. */
export function askingWith(
  options: Pick<Asking, "protocol" | "resolver" | "signal"> & {
    readonly payload: string | null;
    readonly port: number;
  },
): Asking {
  const { payload, port, ...rest } = options;
  const probe = payload === null ? usualProbe(port) : udpProbe(payload);
  if (probe === null)
    throw new ControlError("usage", `There is no payload "${payload}": see \`hatchway check --help\`.`);
  return { ...rest, probe, nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)) };
}

/** The service, as the end sees it that it is behind. */
export async function dialService(asking: Asking, { host, port }: HostPort): Promise<Saw> {
  const addresses = await asking.resolver.resolve(host);
  let last: Saw = "failed";
  for (const address of addresses.slice(0, 2)) {
    last = (await dial(asking, address, port, { holdMs: SERVICE_HOLD_MS, tries: SERVICE_TRIES })).saw;
    if (last !== "closed" && last !== "unreachable" && last !== "failed") return last;
  }
  return last;
}

export interface DialOptions {
  /** TCP: how long to see whether the connection is ended. */
  readonly holdMs: number;
  /** UDP. */
  readonly tries: number;
}

export function dial(
  asking: Asking,
  address: string,
  port: number,
  { holdMs, tries }: DialOptions,
): Promise<ProbeResult> {
  const { protocol, probe, nonce, signal } = asking;
  if (protocol === "tcp") return probeTcp({ address, port, deadlineMs: TCP_PROBE_MS, holdMs, signal });
  const fits = (answer: Uint8Array) => probe.fits(answer, nonce);
  return probeUdp({ address, port, payload: probe.payload(nonce), tries, signal, fits });
}

/** The address to dial of those of a name: `preferred` when it is among them, else one of its family. */
export function pickAddress(addresses: readonly string[], preferred: string | null): string | null {
  if (preferred === null) return addresses[0] ?? null;
  if (addresses.includes(preferred)) return preferred;
  return addresses.find((address) => isIpv6(address) === isIpv6(preferred)) ?? addresses[0] ?? null;
}
