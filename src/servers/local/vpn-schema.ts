import { addressSchema, cidrSchema, hostSchema, MAX_NAME_CHARS } from "../../wire/spec-schema.ts";
import { parseKey, type WgKey } from "../../wire/wireguard/key.ts";
import { z } from "../../wire/zod.ts";
import { CONTROL_VERSION } from "./protocol.ts";

const v = z.literal(CONTROL_VERSION);
const port = z.int().min(1).max(65_535);
/** Milliseconds since the epoch. */
const timeMs = z.number();
const wgKey = z.string().transform((value, context): WgKey => {
  const parsed = parseKey(value);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: "not a WireGuard key" });
  return z.NEVER;
});
/** What reaches a peer from outside: `block-all`, `open-all` or `only PORTSET`. */
const vpnMode = z.string().min(1).max(4_200);
const peerName = z.string().min(1).max(MAX_NAME_CHARS);
const maxPorts = z.int().min(0).nullable();

export const VpnServerInfo = z.object({
  interface: z.string(),
  network4: z.string(),
  network6: z.string(),
  listenPort: port,
  endpointHost: z.string(),
  dns: z.array(z.string()).readonly(),
  mtu: z.number(),
  /** Null while the interface never came up. */
  publicKey: z.string().nullable(),
  backend: z.enum(["kernel", "wireguard-go"]).nullable(),
  /** Why the interface is not as it should be, one sentence. */
  message: z.string().nullable(),
});
export type VpnServerInfo = z.infer<typeof VpnServerInfo>;

export const VpnPeerInfo = z.object({
  id: z.string(),
  name: z.string(),
  publicKey: z.string(),
  v4: z.string(),
  v6: z.string(),
  /** `block-all`, `open-all` or `only PORTSET`. */
  mode: z.string(),
  /** External ports that it may have at once; null = as many as a LAN host. */
  maxPorts: z.number().nullable(),
  createdMs: timeMs,
  expiresMs: timeMs.nullable(),
  state: z.enum(["active", "disabled", "expired"]),
  /** `address port` it was last heard from. */
  endpoint: z.string().nullable(),
  latestHandshakeMs: timeMs.nullable(),
  receivedBytes: z.number(),
  sentBytes: z.number(),
  forwards: z.number(),
});
export type VpnPeerInfo = z.infer<typeof VpnPeerInfo>;

export const VpnInfo = z.object({ v, server: VpnServerInfo.nullable(), peers: z.array(VpnPeerInfo).readonly() });
export type VpnInfo = z.infer<typeof VpnInfo>;

export const VpnInitRequest = z.strictObject({
  endpointHost: hostSchema.exactOptional(),
  listenPort: port.exactOptional(),
  network4: cidrSchema.exactOptional(),
  network6: cidrSchema.exactOptional(),
  dns: z.array(addressSchema).max(8).readonly().exactOptional(),
  mtu: z.int().exactOptional(),
});
export type VpnInitRequest = z.infer<typeof VpnInitRequest>;

/** A peer's own key pair stays where it was made: only its public half comes here. */
export const VpnPeerDraft = z.strictObject({
  name: peerName,
  publicKey: wgKey,
  presharedKey: wgKey.nullable(),
  mode: vpnMode,
  maxPorts,
  expiresMs: timeMs.nullable(),
});
export type VpnPeerDraft = z.infer<typeof VpnPeerDraft>;

export const VpnPeerPatch = z.strictObject({
  name: peerName.exactOptional(),
  mode: vpnMode.exactOptional(),
  maxPorts: maxPorts.exactOptional(),
  expiresMs: timeMs.nullable().exactOptional(),
  disabled: z.boolean().exactOptional(),
});
export type VpnPeerPatch = z.infer<typeof VpnPeerPatch>;

export const VpnKeys = z.strictObject({ publicKey: wgKey, presharedKey: wgKey.nullable() });
export type VpnKeys = z.infer<typeof VpnKeys>;

/** What a new peer's file is made of, besides its private key. */
export const VpnPeerReply = z.object({ v, peer: VpnPeerInfo, server: VpnServerInfo });
export type VpnPeerReply = z.infer<typeof VpnPeerReply>;
