import { classifyAddress, parseAddress } from "../../wire/address.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import type { RemoteSetting } from "./remote-forward.ts";

/**
 * The external port of a forward that would lead to itself, or null. With relay and agent on one machine, a forward of
 * a port to the same port there is its own service: one visitor would make another, until descriptors run out.
 * `relayAddress` is where the session leads; `own` are this machine's addresses.
 */
export function leadsBack(
  { spec, to }: RemoteSetting,
  relayAddress: string,
  own: ReadonlySet<string>,
): PortMapping["first"] | null {
  if (!spec.enabled || !isHere(relayAddress, own) || !isHere(to, own)) return null;
  return spec.ports.find(({ first, internalFirst }) => first === internalFirst)?.first ?? null;
}

function isHere(host: string, own: ReadonlySet<string>): boolean {
  if (host === "localhost") return true;
  const address = parseAddress(host);
  return address.ok && (classifyAddress(address.value) === "loopback" || own.has(address.value));
}
