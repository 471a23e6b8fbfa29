import { same } from "../../core/same.ts";
import type { GatewaySettings } from "./settings.ts";

/** What another configuration changes, by the keys of hatchway.toml. Mappings are told by whoever carries them out. */
export interface SettingsChanges {
  readonly changed: readonly string[];
  /** Those that a running gateway does not take. */
  readonly needRestart: readonly string[];
  /** Triggers, by name. */
  readonly triggers: Readonly<Record<"added" | "changed" | "removed", readonly string[]>>;
}

/** Each setting by its keys. A setting that is new has to say here what it is called. */
const LIVE: {
  readonly [K in Exclude<keyof GatewaySettings, AtStart | "mappings" | "triggers">]: (
    value: GatewaySettings[K],
  ) => Readonly<Record<string, unknown>>;
} = {
  wan: (wan) => ({ "gateway.wan": wan }),
  lan: (lan) => ({ "gateway.lan": lan }),
  publicAddress: (address) => ({ "gateway.public": address }),
  masquerade: (masquerade) => ({ "gateway.masquerade": masquerade }),
  snatPorts: (ports) => ({ "gateway.snat-ports": ports }),
  dropUnforwarded: (drop) => ({ "gateway.firewall": drop }),
  sources: ({ allow, deny }) => ({ "gateway.allow": allow, "gateway.deny": deny }),
  limits: ({ connectionsPerSource, newPerSourcePerSec }) => ({
    "gateway.connections-per-source": connectionsPerSource,
    "gateway.new-per-source": newPerSourcePerSec,
  }),
  servers: (servers) => ({
    "upnp.igd": servers.igd,
    "upnp.nat-pmp": servers.natPmp,
    "upnp.pcp": servers.pcp,
    "upnp.rules": servers.rules,
    "upnp.secure": servers.secureMode,
    "upnp.strict-nonce": servers.strictNonce,
    "upnp.port-zero": servers.portZero,
    "upnp.max-mappings": servers.maxPerClient,
    "upnp.http-port": servers.httpPort,
  }),
  hooks: (hooks) => ({ hook: hooks }),
  gluetun: (gluetun) => ({ gluetun }),
  vpnClientsMayMeet: (mayMeet) => ({ "vpn.clients-meet": mayMeet }),
};

type AtStart = "user" | "vpn" | "vpnWanted" | "console" | "metrics";
/** Who this process is was decided before it opened anything; the VPN's interface and what listens are made at the start. */
const AT_START: {
  readonly [K in AtStart]: (value: GatewaySettings[K]) => Readonly<Record<string, unknown>>;
} = {
  user: (user) => ({ "gateway.user": user }),
  metrics: (metrics) => ({ metrics }),
  vpnWanted: (wanted) => ({ vpn: wanted }),
  console: (settings) => ({ console: settings }),
  vpn: (vpn) => ({
    "vpn.interface": vpn.interface,
    "vpn.listen-port": vpn.listenPort,
    "vpn.network": vpn.network4,
    "vpn.network6": vpn.network6,
    "vpn.endpoint": vpn.endpointHost,
    "vpn.dns": vpn.dns,
    "vpn.mtu": vpn.mtu,
  }),
};

export function settingsChanges(before: GatewaySettings, next: GatewaySettings): SettingsChanges {
  return {
    changed: differing(LIVE, before, next),
    needRestart: differing(AT_START, before, next),
    triggers: triggers(before, next),
  };
}

/** What a running gateway makes of another configuration: what is settled at the start stays. */
export function settingsFor(before: GatewaySettings, next: GatewaySettings): GatewaySettings {
  const { user, vpn, vpnWanted, console, metrics } = before;
  return { ...next, user, vpn, vpnWanted, console, metrics };
}

type Keys<K extends keyof GatewaySettings> = {
  readonly [S in K]: (value: GatewaySettings[S]) => Readonly<Record<string, unknown>>;
};

function differing<K extends keyof GatewaySettings>(keys: Keys<K>, before: GatewaySettings, next: GatewaySettings) {
  return (Object.keys(keys) as K[]).flatMap((setting) => {
    const [old, now] = [keys[setting](before[setting]), keys[setting](next[setting])];
    return Object.keys(now).filter((key) => !same(old[key], now[key]));
  });
}

function triggers(before: GatewaySettings, next: GatewaySettings): SettingsChanges["triggers"] {
  const old = new Map(before.triggers.map((rule) => [rule.name, rule]));
  const now = new Map(next.triggers.map((rule) => [rule.name, rule]));
  return {
    added: [...now.keys()].filter((name) => !old.has(name)),
    changed: [...now].filter(([name, rule]) => old.has(name) && !same(old.get(name), rule)).map(([name]) => name),
    removed: [...old.keys()].filter((name) => !now.has(name)),
  };
}
