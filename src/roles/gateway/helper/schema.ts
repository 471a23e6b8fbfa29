import type { Surroundings } from "../../../dataplanes/nat/firewalls.ts";
import {
  DROP_REASONS,
  type NatChange,
  type NatEntry,
  type NatError,
  type NatSettings,
} from "../../../dataplanes/nat/state.ts";
import type { NatVisit, NatVisitName } from "../../../dataplanes/nat/visits.ts";
import { decodeVpnState } from "../../../dataplanes/nat/wireguard/desired.ts";
import type { VpnApplied, VpnError, VpnState, VpnStatus } from "../../../dataplanes/nat/wireguard/state.ts";
import { isIpv6 } from "../../../wire/address.ts";
import { INTERFACE_NAME } from "../../../wire/interface-name.ts";
import { triggerRuleSchema } from "../../../wire/mapping-schema.ts";
import { addressSchema, cidrSchema } from "../../../wire/spec-schema.ts";
import { parseKey, type WgKey } from "../../../wire/wireguard/key.ts";
import { z } from "../../../wire/zod.ts";

/**
 * What the privileged helper takes: typed desired state, and nothing else. Every value is checked here, whoever sent it,
 * because the sender reads bytes from the network and this process holds CAP_NET_ADMIN.
 */
const MAX_PORT = 65_535;
const MAX_ENTRIES = 200_000;
const MAX_LIST = 1_000;

const interfaceName = z.string().regex(INTERFACE_NAME);
const port = z.int().min(1).max(MAX_PORT);
const span = z.object({ first: port, last: port }).refine(({ first, last }) => first <= last, "not a range");
const count = z.int().positive().max(1_000_000_000);
const id = z.string().min(1).max(512);
const protocol = z.enum(["tcp", "udp"]);
const byProtocol = <T extends z.ZodType>(value: T) => z.object({ tcp: value, udp: value });
const v4 = addressSchema.refine((address) => !isIpv6(address), "not an IPv4 address");
const v6 = addressSchema.refine((address) => isIpv6(address), "not an IPv6 address");
const cidrs = z.array(cidrSchema).max(MAX_LIST);
const limits = z.object({
  connectionsPerSource: count.nullable(),
  newPerSourcePerSec: z.number().positive().nullable(),
});

const access = {
  id,
  protocol,
  first: port,
  last: port,
  allow: z.array(z.object({ network: cidrSchema, port: port.nullable() })).max(MAX_LIST),
  deny: cidrs,
  limits: limits.nullable(),
};
const isRange = ({ first, last }: { readonly first: number; readonly last: number }) => first <= last;
const forward = z
  .object({ kind: z.literal("forward"), ...access, to: v4, internalFirst: port })
  .refine((one) => isRange(one) && one.internalFirst + one.last - one.first <= MAX_PORT, "not a range");
const pinhole = z.object({ kind: z.literal("pinhole"), ...access, to: v6 }).refine(isRange, "not a range");
export const natEntry: z.ZodType<NatEntry> = z.union([forward, pinhole]);

export const natSettings: z.ZodType<NatSettings> = z.object({
  wan: z.array(interfaceName).min(1).max(64),
  lan: z.array(interfaceName).max(64),
  vpn: z.object({ interface: interfaceName, listenPort: port }).nullable(),
  externalAddresses: z.array(v4).max(MAX_LIST),
  insideOnly: byProtocol(z.array(port).max(64)),
  masquerade: z.boolean(),
  snatPorts: span,
  dropUnforwarded: z.boolean(),
  vpnClientsMayMeet: z.boolean(),
  sources: z.object({ allow: cidrs, deny: cidrs }),
  limits,
  triggers: z.array(triggerRuleSchema).max(MAX_LIST),
});

export const natChange: z.ZodType<NatChange> = z.object({
  put: z.array(natEntry).max(MAX_ENTRIES),
  remove: z.array(id).max(MAX_ENTRIES),
});

const natError: z.ZodType<NatError> = z.object({
  kind: z.enum(["missing", "permission", "unsupported", "refused"]),
  message: z.string(),
});
/** Null = done. */
const outcome = z.object({ error: natError.nullable() });
const total = z.number();
const vpnError: z.ZodType<VpnError> = z.object({
  kind: z.enum(["missing", "permission", "unsupported", "refused", "key"]),
  message: z.string(),
});
/** Checked by `decodeVpnState`, which knows what a less trusted process must not ask for. */
const vpnState = z.unknown().transform((value, context): VpnState => {
  const decoded = decodeVpnState(value);
  if (decoded.ok) return decoded.value;
  context.addIssue({ code: "custom", message: decoded.error.message });
  return z.NEVER;
});
const wgKey = z.string().transform((text, context): WgKey => {
  const parsed = parseKey(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: "not a WireGuard key" });
  return z.NEVER;
});
const applied: z.ZodType<VpnApplied> = z.object({
  backend: z.enum(["kernel", "wireguard-go"]),
  publicKey: wgKey,
  warnings: z.array(z.string()),
});
const vpnStatus: z.ZodType<VpnStatus> = z.object({
  up: z.boolean(),
  peers: z.array(
    z.object({
      publicKey: wgKey,
      endpoint: z.object({ address: z.string(), port: z.number() }).nullable(),
      latestHandshakeMs: z.number().nullable(),
      receivedBytes: z.number(),
      sentBytes: z.number(),
    }),
  ),
});
const surroundings: z.ZodType<Surroundings> = z.object({
  wan: z.array(interfaceName).max(64),
  inside: z.array(z.object({ name: interfaceName, networks: cidrs })).max(65),
  servers: byProtocol(z.array(port).max(64)),
  vpnPort: port.nullable(),
  ipv6: z.boolean(),
  pinholeMark: z.number().nullable(),
});
const notice = z.object({ manager: z.string(), why: z.string(), remedy: z.array(z.string()) });

const usage = z.object({
  visitorsTotal: total,
  bytesIn: total,
  bytesOut: total,
  packetsIn: total,
  packetsOut: total,
});

const endpoint = z.object({ address: addressSchema, port });
const visitName = { protocol, visitor: endpoint, entry: endpoint, id: z.int().nonnegative() };
const natVisitName: z.ZodType<NatVisitName> = z.object(visitName);
/** What comes back is many, and the kernel's: its addresses are not parsed anew. */
const told = z.object({ address: z.string(), port: total });
const natVisit: z.ZodType<NatVisit> = z.object({
  ...visitName,
  visitor: told,
  entry: told,
  entryId: z.string(),
  openedMs: total.nullable(),
  bytesIn: total.nullable(),
  bytesOut: total.nullable(),
});

export const HELPER_CALLS = {
  replace: { input: z.object({ settings: natSettings, entries: z.array(natEntry).max(MAX_ENTRIES) }), output: outcome },
  change: { input: natChange, output: outcome },
  usage: { input: z.object({}), output: z.array(z.tuple([z.string(), usage])) },
  drops: { input: z.object({}), output: z.record(z.enum(DROP_REASONS), total) },
  openTriggers: {
    input: z.object({}),
    output: z.array(z.object({ name: z.string(), host: z.string(), remainingSec: total })),
  },
  forward: {
    input: z.object({ wan: z.array(interfaceName).min(1).max(64) }),
    output: z.object({ failure: z.string().nullable() }),
  },
  firewalls: { input: surroundings, output: z.array(notice) },
  openFlows: { input: z.object({}), output: z.array(z.tuple([z.string(), total])) },
  visits: { input: z.object({}), output: z.array(natVisit) },
  endVisit: { input: natVisitName, output: z.object({ ended: z.boolean() }) },
  vpnApply: {
    input: z.object({ state: vpnState }),
    output: z.union([z.object({ applied }), z.object({ error: vpnError })]),
  },
  vpnStatus: { input: z.object({}), output: z.union([z.object({ status: vpnStatus }), z.object({ error: vpnError })]) },
  vpnClose: { input: z.object({ clean: z.boolean() }), output: z.object({ error: vpnError.nullable() }) },
  close: { input: z.object({ clean: z.boolean() }), output: z.object({}) },
} satisfies Record<string, { readonly input: z.ZodType; readonly output: z.ZodType }>;

export type HelperCalls = typeof HELPER_CALLS;
export type HelperCall = keyof HelperCalls;
export type InputOf<C extends HelperCall> = z.infer<HelperCalls[C]["input"]>;
export type OutputOf<C extends HelperCall> = z.infer<HelperCalls[C]["output"]>;
export type HelperHandlers = { readonly [C in HelperCall]: (input: InputOf<C>) => Promise<OutputOf<C>> };

/** All that an answer needs of a request. */
export const numberedRequest = z.object({ id: z.int() });
export const helperRequest = numberedRequest.extend({
  call: z.enum(Object.keys(HELPER_CALLS) as [HelperCall, ...HelperCall[]]),
  input: z.unknown(),
});
export const helperReply = z.union([
  z.object({ id: z.int(), output: z.unknown() }),
  z.object({ id: z.int(), failure: z.string() }),
]);
