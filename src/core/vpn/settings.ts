import { addressFromBytes, type Cidr, classifyAddress, parseCidr } from "../../wire/address.ts";
import { MAX_PORT } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { InterfaceAddress } from "../../wire/wireguard/client-config.ts";
import { hostAddress, networkParts, overlap } from "./networks.ts";

/** The VPN server as its operator set it. */
export interface VpnSettings {
  /** Peers have the same host number in both networks; the server has number 1. */
  readonly network4: Cidr;
  readonly network6: Cidr;
  /** UDP. */
  readonly listenPort: number;
  /** The name or address that clients dial. */
  readonly endpointHost: string;
  /** What clients ask names of while all their traffic goes through the tunnel; empty = what they asked before. */
  readonly dns: readonly string[];
  readonly mtu: number;
}

export interface VpnSettingsError {
  /** One sentence that says what to do. */
  readonly message: string;
}

export const SERVER_HOST_NUMBER = 1;
const DEFAULT_LISTEN_PORT = 51820;
const DEFAULT_NETWORK4 = "10.77.0.0/24";
/** WireGuard's own: 1500 less 40 of IPv6, 8 of UDP and 32 of its head and tag. */
const DEFAULT_MTU = 1420;
/** IPv6 needs links of 1280 bytes (RFC 8200 section 5); above 1420 WireGuard's packets do not fit Ethernet. */
export const MTU = { min: 1280, max: 9000 } as const;
const PREFIX4 = { min: 16, max: 30 } as const;
/** As many hosts as the largest IPv4 network has. */
const PREFIX6 = { min: 48, max: 112 } as const;
/** RFC 4193 section 3.2: 40 bits of chance, and here the 16 of the subnet too. */
export const ULA_RANDOM_BYTES = 7;
const ULA_FIRST_BYTE = 0xfd;
const ULA_PREFIX = 64;
const V6_BYTES = 16;

/** For a first start. `random`: ULA_RANDOM_BYTES of chance, so that two servers' networks differ. */
export function defaultVpnSettings(endpointHost: string, random: Uint8Array): VpnSettings {
  const bytes = new Uint8Array(V6_BYTES);
  bytes.set([ULA_FIRST_BYTE, ...random.subarray(0, ULA_RANDOM_BYTES)]);
  return {
    network4: knownCidr(DEFAULT_NETWORK4),
    network6: knownCidr(`${addressFromBytes(bytes)}/${ULA_PREFIX}`),
    listenPort: DEFAULT_LISTEN_PORT,
    endpointHost,
    dns: [],
    mtu: DEFAULT_MTU,
  };
}

function knownCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr.ok) throw new TypeError(cidr.error.message);
  return cidr.value;
}

/** Whether a server can run so. `others`: the networks that this machine reaches already. */
export function checkVpnSettings(
  settings: VpnSettings,
  others: readonly Cidr[],
): Result<VpnSettings, VpnSettingsError> {
  const problem =
    networkProblem(settings.network4, 4, others) ??
    networkProblem(settings.network6, 6, others) ??
    numberProblem("listen port", settings.listenPort, { min: 1, max: MAX_PORT }) ??
    numberProblem("MTU", settings.mtu, MTU);
  return problem === null ? ok(settings) : err({ message: problem });
}

/** Why a network is not one for peers, in a sentence; null = it is. */
export function networkProblem(network: Cidr, family: 4 | 6, others: readonly Cidr[]): string | null {
  const { address, prefix, family: written } = networkParts(network);
  const prefixes = family === 4 ? PREFIX4 : PREFIX6;
  if (written !== family) return `The VPN's IPv${family} network is an IPv${family} network, not ${network}.`;
  if (prefix < prefixes.min || prefix > prefixes.max) {
    return `The VPN's IPv${family} network has a prefix of /${prefixes.min} to /${prefixes.max}, not ${network}.`;
  }
  const kind = classifyAddress(address);
  if (kind !== "private" && kind !== "public") {
    return `${network} (${kind}) cannot be given to peers; choose a network like ${family === 4 ? DEFAULT_NETWORK4 : "fd12:3456:789a:1::/64"}.`;
  }
  const other = others.find((one) => overlap(one, network));
  return other === undefined
    ? null
    : `The VPN's network ${network} overlaps ${other}, which is in use; choose another.`;
}

function numberProblem(what: string, value: number, { min, max }: { readonly min: number; readonly max: number }) {
  const fits = Number.isInteger(value) && value >= min && value <= max;
  return fits ? null : `The VPN's ${what} is a number from ${min} to ${max}, not ${value}.`;
}

/** The server's addresses in its own networks. */
export function serverAddresses({ network4, network6 }: VpnSettings): InterfaceAddress[] {
  return [network4, network6].map((network) => ({
    address: hostAddress(network, SERVER_HOST_NUMBER),
    prefix: networkParts(network).prefix,
  }));
}
