import { type AddressClass, classifyAddress, isIpv6, parseAddress } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { probeCostBytes, UDP_TRIES } from "./probes.ts";

/** Who asks a relay to look at a port from outside: a device by its session, or a visitor of the page by its connection. */
export interface Asker {
  /** As the relay sees it: the source of the asker's TCP connection, which is its proof. */
  readonly address: string;
  /** Which addresses it asks for; empty = its own. Only one that is its own can be looked at. */
  readonly named: readonly string[];
  /** The relay's own addresses: from here the relay is no outside. */
  readonly relayAddresses: ReadonlySet<string>;
}

export interface ServiceSettings {
  /** Askers with a private address may have that address looked at: for a relay inside a LAN. */
  readonly private: boolean;
}

export type ServiceRefusal = { readonly why: "policy"; readonly message: string };

/** Never looked at, whoever asks. */
const NEVER: readonly AddressClass[] = ["loopback", "link-local", "metadata", "unspecified", "multicast"];

/**
 * The one address that may be probed for this asker: the very address it comes from, an IPv6 one to the last bit. What
 * a stranger is made to hear by this, it could have sent itself.
 */
export function probedAddress(asker: Asker, settings: ServiceSettings): Result<string, ServiceRefusal> {
  const parsed = parseAddress(asker.address);
  if (!parsed.ok) return refused("Its address cannot be checked: it is not one that others can reach.");
  const own = parsed.value;
  if (asker.named.length > 0 && !asker.named.some((address) => isSame(address, own))) {
    const named = asker.named.join(", ");
    return refused(`The relay checks only the address that asks, ${own}, and not ${named}: leave the host out.`);
  }
  const kind = classifyAddress(own);
  if (NEVER.includes(kind)) return refused(`The relay sees ${own}, a ${kind} address, and checks none of those.`);
  if (kind !== "public" && !settings.private) {
    return refused(
      `The relay sees ${own}, which is not a public address: a relay for a private network has private = true below [check].`,
    );
  }
  if (asker.relayAddresses.has(own)) {
    return refused(
      `The relay is on this machine too (${own}), so it does not see it from outside: check from another one.`,
    );
  }
  return ok(own);
}

function isSame(text: string, own: string): boolean {
  const parsed = parseAddress(text);
  return parsed.ok && parsed.value === own;
}

function refused(message: string): Result<never, ServiceRefusal> {
  return err({ why: "policy", message });
}

/**
 * How often a probe may be sent, so that it never puts more bytes on the wire than `allowanceBytes`, what the asker
 * sent for it. 0 = not at all. One attempt of TCP is all of its SYNs.
 */
export function allowedTries(
  protocol: Protocol,
  address: string,
  payloadBytes: number,
  allowanceBytes: number,
): number {
  const cost = probeCostBytes(protocol, isIpv6(address) ? 6 : 4, payloadBytes);
  return Math.min(protocol === "tcp" ? 1 : UDP_TRIES, Math.floor(allowanceBytes / cost));
}

/** What an asker sends along, so that its probe may be sent as often as is useful. */
export function wantedAllowanceBytes(protocol: Protocol, payloadBytes: number): number {
  return probeCostBytes(protocol, 6, payloadBytes) * (protocol === "tcp" ? 1 : UDP_TRIES);
}
