import type { ServiceSighting } from "../../core/check/evidence.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { classifyAddress, isIpv6, parseAddress } from "../../wire/address.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { type Asking, dialService } from "./dial.ts";

/** Where visitors of this machine's address are led to. */
export interface OwnService extends HostPort {
  /** On this machine itself, at its own address. */
  readonly isHere: boolean;
}

/** `given`: where a person says that it is. `localAddress`: by which this machine reaches the outside, where it is known. */
export function ownService(given: HostPort | null, port: number, localAddress: string | null): OwnService {
  const own = ownAddresses().filter(({ internal, address }) => !internal && classifyAddress(address) !== "link-local");
  const first = own.find(({ family }) => family === 4) ?? own[0];
  const here = { host: localAddress ?? first?.address ?? "127.0.0.1", port: given?.port ?? port, isHere: true };
  if (given === null || isLoopback(given.host)) return here;
  const parsed = parseAddress(given.host);
  return { ...given, isHere: parsed.ok && own.some(({ address }) => address === parsed.value) };
}

/** This machine, as a person writes it: visitors come to another address of it. */
function isLoopback(host: string): boolean {
  return host === "localhost" || classifyAddress(host) === "loopback";
}

/** As this machine sees it; what has only its loopback address is found there. */
export async function sightService(asking: Asking, service: OwnService): Promise<ServiceSighting> {
  const { host, port, isHere } = service;
  const at = formatHostPort(host, port);
  const saw = await dialService(asking, service);
  if (!isHere || saw !== "closed") return { at, saw, loopbackOnly: false };
  const loopback = await dialService(asking, { host: isIpv6(host) ? "::1" : "127.0.0.1", port });
  return { at, saw, loopbackOnly: loopback === "open" || loopback === "ended" || loopback === "silent" };
}
