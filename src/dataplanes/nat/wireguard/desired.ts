import { activePeers, type VpnPeer } from "../../../core/vpn/peers.ts";
import { MTU, networkProblem, serverAddresses, type VpnSettings } from "../../../core/vpn/settings.ts";
import { compileCidrs, isIpv6, parseAddress, parseCidr } from "../../../wire/address.ts";
import { MAX_PORT } from "../../../wire/endpoint.ts";
import { INTERFACE_NAME } from "../../../wire/interface-name.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import { formatInterfaceAddress } from "../../../wire/wireguard/client-config.ts";
import { NO_KEY, parseKey, type WgKey } from "../../../wire/wireguard/key.ts";
import { z } from "../../../wire/zod.ts";
import type { VpnState, VpnStatePeer } from "./state.ts";

/** The interface that these settings and peers ask for now. */
export function desiredVpn(
  name: string,
  settings: VpnSettings,
  peers: readonly (VpnPeer & Pick<VpnStatePeer, "lastEndpoint">)[],
  nowMs: number,
): VpnState {
  return {
    interface: name,
    listenPort: settings.listenPort,
    mtu: settings.mtu,
    addresses: serverAddresses(settings),
    peers: activePeers(peers, nowMs).map(({ publicKey, presharedKey, v4, v6, lastEndpoint }) => ({
      publicKey,
      presharedKey,
      addresses: [v4, v6],
      lastEndpoint,
    })),
  };
}

/** More than a /16 has room for. */
const MAX_PEERS = 65_536;

const key = z.string().transform((text, context): WgKey => {
  const parsed = parseKey(text);
  // All zeros is no key, and wg does not tell of it: it would be set anew for ever.
  if (parsed.ok && parsed.value !== NO_KEY) return parsed.value;
  context.addIssue({ code: "custom", message: "is not a WireGuard key" });
  return z.NEVER;
});
const address = z.string().refine((text) => {
  const parsed = parseAddress(text);
  return parsed.ok && parsed.value === text;
}, "is not an address in canonical form");
const port = z.int().min(1).max(MAX_PORT);
const schema = z.strictObject({
  interface: z.string().regex(INTERFACE_NAME, "is not an interface's name"),
  listenPort: port,
  mtu: z.int().min(MTU.min).max(MTU.max),
  addresses: z
    .array(z.strictObject({ address, prefix: z.int().min(0).max(128) }))
    .min(1)
    .max(2),
  peers: z
    .array(
      z.strictObject({
        publicKey: key,
        presharedKey: key.nullable(),
        addresses: z.array(address).min(1).max(2),
        lastEndpoint: z.strictObject({ address, port }).nullable(),
      }),
    )
    .max(MAX_PEERS),
});

/**
 * Checks what came over a socket from a process with fewer rights: nothing in it may take the machine's own routes or
 * another peer's address. The message says where it is wrong, and repeats no secret.
 */
export function decodeVpnState(json: unknown): Result<VpnState, { readonly message: string }> {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return err({
      message: `The VPN's state is not valid at ${issue?.path.join(".") || "its top"}: ${issue?.message}.`,
    });
  }
  const problem = networksProblem(parsed.data) ?? peersProblem(parsed.data);
  return problem === null ? ok(parsed.data) : err({ message: `The VPN's state is not valid: ${problem}` });
}

function networksProblem({ addresses }: VpnState): string | null {
  for (const one of addresses) {
    const network = parseCidr(formatInterfaceAddress(one));
    if (!network.ok) return network.error.message;
    const problem = networkProblem(network.value, isIpv6(one.address) ? 6 : 4, []);
    if (problem !== null) return problem;
  }
  return null;
}

function peersProblem({ addresses, peers }: VpnState): string | null {
  const networks = addresses.map(formatInterfaceAddress).flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr.ok ? [cidr.value] : [];
  });
  const inside = compileCidrs(networks);
  const taken = new Set(addresses.map(({ address: own }) => own));
  const keys = new Set<WgKey>();
  for (const [index, peer] of peers.entries()) {
    if (keys.has(peer.publicKey)) return `peer ${index} has another's key.`;
    keys.add(peer.publicKey);
    for (const one of peer.addresses) {
      if (!inside.contains(one)) return `peer ${index} is outside the VPN's networks.`;
      if (taken.has(one)) return `peer ${index} has another's address.`;
      taken.add(one);
    }
  }
  return null;
}
