import type { RemotePeer } from "../../core/mapping/desk.ts";
import { parsePermissionRule } from "../../core/mapping/permission-rule.ts";
import { spansOf } from "../../core/port-spans.ts";
import { networkProblem } from "../../core/vpn/settings.ts";
import type { TriggerRule } from "../../dataplanes/nat/state.ts";
import type { MappingDraft } from "../../servers/local/control.ts";
import { isIpv6 } from "../../wire/address.ts";
import { formatPortSet, type PortSet, type Protocol, settleProtocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { GatewaySettings } from "../gateway/settings.ts";
import type { GluetunSettings } from "../gluetun.ts";
import type { HookSettings } from "../hooks/settings.ts";
import type { MappingEntry, TriggerEntry } from "./gateway-schema.ts";
import { gluetunSettings, hookSettings } from "./hooks.ts";
import { metricsSettings } from "./metrics.ts";
import { stableId, titleOf } from "./naming.ts";
import { formatMappings } from "./ports.ts";
import type { Problem } from "./problem.ts";
import type { ConfigFile } from "./schema.ts";

/** Between the ports that programs are known by: BitTorrent's 51413 and WireGuard's 51820 below, Mumble's 64738 above. */
const DEFAULT_SNAT_PORTS = { first: 52_000, last: 64_000 };
/** A web page opens a dozen; a game server's list a few hundred. */
const DEFAULT_LIMITS = { connectionsPerSource: 256, newPerSourcePerSec: 100 };
const DEFAULT_MAX_PER_CLIENT = 64;
const DEFAULT_VPN_INTERFACE = "hatchway0";
/** On both sides: what listens below 1024 (SSH, a file server) is not for an app to publish on a high port. */
const DEFAULT_RULE = "allow 1024-65535 any 1024-65535";
const DEFAULT_TRIGGER_TIMEOUT_SEC = 600;

/** A mapping from a `[[mapping]]` entry, or from `forward add`'s arguments under the same keys. */
export function mappingDraft(entry: MappingEntry): Result<MappingDraft, Problem> {
  const ports = settleProtocol(entry.ports, entry.protocol ?? "tcp");
  const ipv6 = isIpv6(entry.to);
  if (ipv6 && ports.some(({ first, internalFirst }) => first !== internalFirst)) {
    const message = "must be the same outside and inside: an IPv6 address is not translated";
    return err({ path: ["ports"], message });
  }
  return ok({
    id: stableId("mapping", entry.name, { ports, to: entry.to }),
    name: titleOf(entry.name, formatMappings(ports)),
    ports,
    to: entry.to,
    lifetimeSec: entry.lifetime ?? null,
    allow: (entry.allow ?? []).map((network): RemotePeer => ({ network, port: null })),
    deny: entry.deny ?? [],
    limits: {
      ...(entry["connections-per-source"] === undefined
        ? {}
        : { connectionsPerSource: entry["connections-per-source"] }),
      ...(entry["new-per-source"] === undefined ? {} : { newPerSourcePerSec: entry["new-per-source"] }),
    },
    enabled: entry.enabled ?? true,
  });
}

/** A rule from a `[[trigger]]` entry, or from `trigger add`'s arguments. */
export function triggerRule(entry: TriggerEntry): Result<TriggerRule, Problem> {
  const side = (set: PortSet): Readonly<Record<Protocol, ReturnType<typeof spansOf>>> => {
    const ranges = settleProtocol(set, entry.protocol ?? "tcp");
    return { tcp: spansOf(ranges, "tcp"), udp: spansOf(ranges, "udp") };
  };
  for (const key of ["out", "in"] as const) {
    if (entry[key].ranges.every(({ first, internalFirst }) => first === internalFirst)) continue;
    return err({ path: [key], message: `must be plain ports: ${formatPortSet(entry[key])} leads to others` });
  }
  return ok({
    name: entry.name,
    out: side(entry.out),
    in: side(entry.in),
    timeoutSec: entry.timeout ?? DEFAULT_TRIGGER_TIMEOUT_SEC,
    secondHost: entry["first-wins"] === true ? "refused" : "takesOver",
  });
}

/** What the file's mappings and triggers come to, with what is wrong with them. */
export function gatewayLists(
  file: ConfigFile,
  beside: (path: string) => string,
): {
  readonly mappings: readonly MappingDraft[];
  readonly triggers: readonly TriggerRule[];
  readonly hooks: readonly HookSettings[];
  readonly gluetun: GluetunSettings | null;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const collect = <E, T extends { readonly name: string }>(
    section: string,
    entries: readonly E[],
    make: (entry: E) => Result<T, Problem>,
    key: (made: T) => string,
  ): T[] => {
    const seen = new Set<string>();
    return entries.flatMap((entry, index) => {
      const made = make(entry);
      if (!made.ok) {
        problems.push({ ...made.error, path: [section, index, ...made.error.path] });
        return [];
      }
      if (seen.has(key(made.value))) {
        const message = `lists "${made.value.name}" twice: give each its own name, or remove one`;
        problems.push({ path: [section, index], message });
        return [];
      }
      seen.add(key(made.value));
      return [made.value];
    });
  };
  const { first, last } = file.gateway?.["snat-ports"] ?? DEFAULT_SNAT_PORTS;
  const checkedDraft = (entry: MappingEntry): Result<MappingDraft, Problem> => {
    const draft = mappingDraft(entry);
    const isOutgoing = draft.ok && draft.value.ports.some((ports) => ports.first <= last && first <= ports.last);
    if (!isOutgoing || isIpv6(entry.to)) return draft;
    const message = `must not be among ${first}-${last}, which are for what clients send out: see snat-ports in [gateway]`;
    return err({ path: ["ports"], message });
  };
  const mappings = collect("mapping", file.mapping ?? [], checkedDraft, ({ id }) => id);
  for (const [key, family] of [
    ["network", 4],
    ["network6", 6],
  ] as const) {
    const network = file.vpn?.[key];
    const message = network === undefined ? null : networkProblem(network, family, []);
    if (message !== null) problems.push({ path: ["vpn", key], message });
  }
  const triggers = collect("trigger", file.trigger ?? [], triggerRule, ({ name }) => name);
  const hooks = (file.hook ?? []).flatMap((entry, index) => {
    const made = hookSettings(entry, index + 1, beside);
    if (made.ok) return [made.value];
    problems.push({ ...made.error, path: ["hook", index, ...made.error.path] });
    return [];
  });
  const gluetun = file.gluetun === undefined ? null : gluetunSettings(file.gluetun, beside);
  if (gluetun !== null && !gluetun.ok) {
    problems.push({ ...gluetun.error, path: ["gluetun", ...gluetun.error.path] });
  }
  return { mappings, triggers, hooks, gluetun: gluetun?.ok === true ? gluetun.value : null, problems };
}

function vpnSettings(file: ConfigFile): Pick<GatewaySettings, "vpn" | "vpnWanted" | "vpnClientsMayMeet"> {
  const vpn = file.vpn ?? {};
  const { "listen-port": listenPort, network: network4, network6, endpoint: endpointHost, dns, mtu } = vpn;
  return {
    vpn: {
      interface: vpn.interface ?? DEFAULT_VPN_INTERFACE,
      ...(listenPort === undefined ? {} : { listenPort }),
      ...(network4 === undefined ? {} : { network4 }),
      ...(network6 === undefined ? {} : { network6 }),
      ...(endpointHost === undefined ? {} : { endpointHost }),
      ...(dns === undefined ? {} : { dns }),
      ...(mtu === undefined ? {} : { mtu }),
    },
    vpnWanted: file.vpn !== undefined,
    vpnClientsMayMeet: vpn["clients-meet"] ?? false,
  };
}

/**
 * `[gateway]` and what belongs to it, with the defaults. `beside` makes a path absolute, as the config file has it. The
 * console is told apart: it may be a relay's.
 */
export function gatewaySettings(file: ConfigFile, beside: (path: string) => string): Omit<GatewaySettings, "console"> {
  const gateway = file.gateway ?? {};
  const upnp = file.upnp ?? {};
  const rule = parsePermissionRule(DEFAULT_RULE);
  if (!rule.ok) throw new Error(rule.error.message);
  const { mappings, triggers, hooks, gluetun } = gatewayLists(file, beside);
  return {
    wan: gateway.wan ?? [],
    lan: gateway.lan ?? [],
    publicAddress: gateway.public ?? null,
    masquerade: gateway.masquerade ?? true,
    snatPorts: gateway["snat-ports"] ?? DEFAULT_SNAT_PORTS,
    dropUnforwarded: gateway.firewall ?? true,
    sources: { allow: gateway.allow ?? [], deny: gateway.deny ?? [] },
    limits: {
      connectionsPerSource: gateway["connections-per-source"] ?? DEFAULT_LIMITS.connectionsPerSource,
      newPerSourcePerSec: gateway["new-per-source"] ?? DEFAULT_LIMITS.newPerSourcePerSec,
    },
    servers: {
      igd: upnp.igd ?? true,
      natPmp: upnp["nat-pmp"] ?? true,
      pcp: upnp.pcp ?? true,
      rules: upnp.rules ?? [rule.value],
      secureMode: upnp.secure ?? true,
      strictNonce: upnp["strict-nonce"] ?? false,
      portZero: upnp["port-zero"] ?? true,
      maxPerClient: upnp["max-mappings"] ?? DEFAULT_MAX_PER_CLIENT,
      httpPort: upnp["http-port"] ?? 0,
    },
    mappings,
    triggers,
    hooks,
    gluetun,
    metrics: metricsSettings(file.metrics, beside),
    ...vpnSettings(file),
    user: gateway.user ?? null,
  };
}
