import { addressSchema, cidrSchema, hostSchema } from "../../wire/spec-schema.ts";
import { z } from "../../wire/zod.ts";
import { GatewayStatus, TriggerInfo } from "../local/schema.ts";
import { VpnKeys, VpnPeerInfo, VpnServerInfo } from "../local/vpn-schema.ts";
import { id, name, portSet } from "./shapes.ts";

/** What a gateway has beside forwards: its VPN's peers and its port triggers. As schema.ts otherwise. */

/** Of the overview: how the gateway is. */
export const GatewayOverview = GatewayStatus.pick({
  wan: true,
  lan: true,
  externalAddress: true,
  servers: true,
  dropped: true,
  warnings: true,
});
export type GatewayOverview = z.infer<typeof GatewayOverview>;

// ── VPN ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

export const VpnServer = VpnServerInfo;
export type VpnServer = z.infer<typeof VpnServer>;
/** Null: there is no VPN yet. */
export const Vpn = z.object({ server: VpnServer.nullable() });
/** What is absent stays as it is; of a new VPN it is chosen. */
export const VpnChange = z.strictObject({
  endpointHost: hostSchema.exactOptional(),
  listenPort: z.int().min(1).max(65_535).exactOptional(),
  network4: cidrSchema.exactOptional(),
  network6: cidrSchema.exactOptional(),
  dns: z.array(addressSchema).max(8).exactOptional(),
});
export type VpnChange = z.infer<typeof VpnChange>;

/**
 * What reaches a peer from outside. block-all: nothing. open-all: every port that it asks for (NAT-PMP, PCP, UPnP) or that a
 * forward leads to it. only: of these ports alone.
 */
export const VpnMode = z.enum(["block-all", "open-all", "only"]);
export type VpnMode = z.infer<typeof VpnMode>;

export const VpnPeer = VpnPeerInfo.omit({ mode: true }).extend({
  account: z.object({ id, name: z.string() }),
  mode: VpnMode,
  /** Of `only`; null otherwise. */
  ports: z.string().nullable(),
  /** The ports of `only` are forwarded to it; false = a program there has to ask for them. */
  forwarded: z.boolean(),
});
export type VpnPeer = z.infer<typeof VpnPeer>;

const maxPorts = z.int().min(0).nullable();
const reach = {
  mode: VpnMode,
  /** With `only`, and only then. */
  ports: portSet.exactOptional(),
  /** With `only`: its ports are forwarded to it at once, and not when a program there asks for them. Default true. */
  forwarded: z.boolean().exactOptional(),
};
/** A peer's private key stays where it was made: only its public half comes here. */
export const VpnPeerDraft = z.strictObject({
  name,
  ...VpnKeys.shape,
  ...reach,
  /** Name or id of the account that it is to belong to; absent = that of whoever asks. */
  account: id.exactOptional(),
  maxPorts: maxPorts.exactOptional(),
  /** Absent = for ever. */
  lifetimeSec: z.int().min(60).exactOptional(),
});
export type VpnPeerDraft = z.input<typeof VpnPeerDraft>;
export const VpnPeerPatch = z.strictObject({
  name: name.exactOptional(),
  mode: reach.mode.exactOptional(),
  ports: reach.ports,
  forwarded: reach.forwarded,
  maxPorts: maxPorts.exactOptional(),
  /** From now on; null = for ever. */
  lifetimeSec: z.int().min(60).nullable().exactOptional(),
  disabled: z.boolean().exactOptional(),
});
export type VpnPeerPatch = z.input<typeof VpnPeerPatch>;
export { VpnKeys };
/** With what its configuration file is made of, besides its private key. */
export const VpnPeerReply = z.object({ peer: VpnPeer, server: VpnServer });
export type VpnPeerReply = z.infer<typeof VpnPeerReply>;

// ── Port triggers ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** `id`: its name. `closesMs`: it closes then unless more passes. */
export const Trigger = TriggerInfo.extend({
  id,
  /** It was made here or by a command; else it is in hatchway.toml, and changed there. */
  removable: z.boolean(),
});
export type Trigger = z.infer<typeof Trigger>;
export const TriggerDraft = z.strictObject({
  name,
  /** A packet that a client sends to one of these ports… */
  out: portSet,
  /** …opens these to it. */
  in: portSet,
  timeoutSec: z.int().min(1).max(86_400).exactOptional(),
  /** What another client gets that sends one meanwhile. */
  secondHost: z.enum(["refused", "takesOver"]).exactOptional(),
});
export type TriggerDraft = z.infer<typeof TriggerDraft>;

/** Of `GET /v1/events`, beside schema.ts's. */
export const GATEWAY_EVENTS = [
  z.object({ event: z.literal("vpn-peer"), peer: VpnPeer }),
  z.object({ event: z.literal("vpn-peer-gone"), id }),
  z.object({ event: z.literal("trigger"), trigger: Trigger }),
  z.object({ event: z.literal("trigger-gone"), id }),
] as const;
