import type { PermissionRule } from "../../core/mapping/permission-rule.ts";
import type { PortSpan } from "../../core/port-spans.ts";
import type { NatLimits, NatSettings, TriggerRule } from "../../dataplanes/nat/state.ts";
import type { MappingDraft } from "../../servers/local/control.ts";
import type { Cidr } from "../../wire/address.ts";
import type { ConsoleSettings } from "../console/section.ts";
import type { GluetunSettings } from "../gluetun.ts";
import type { HookSettings } from "../hooks/settings.ts";
import type { MetricsSettings } from "../metrics/settings.ts";

/** Who may ask the gateway for ports, and how. */
export interface MappingServerSettings {
  readonly igd: boolean;
  readonly natPmp: boolean;
  readonly pcp: boolean;
  readonly rules: readonly PermissionRule[];
  /** A client maps to itself only. Off: to any host inside (PCP's THIRD_PARTY, IGD's NewInternalClient). */
  readonly secureMode: boolean;
  readonly strictNonce: boolean;
  readonly portZero: boolean;
  readonly maxPerClient: number;
  /** 0 = any free one. */
  readonly httpPort: number;
}

/** `[vpn]`: what it says goes before what `vpn init` stored. */
export interface VpnDraft {
  readonly interface: string;
  readonly listenPort?: number;
  readonly network4?: Cidr;
  readonly network6?: Cidr;
  readonly endpointHost?: string;
  readonly dns?: readonly string[];
  readonly mtu?: number;
}

/** `[gateway]`, `[upnp]`, `[[mapping]]` and `[[trigger]]` of hatchway.toml with the command's flags laid over them. */
export interface GatewaySettings {
  readonly wan: readonly string[];
  readonly lan: readonly string[];
  /** Null = the WAN interface's own address. */
  readonly publicAddress: string | null;
  readonly masquerade: boolean;
  readonly snatPorts: PortSpan;
  readonly dropUnforwarded: boolean;
  readonly sources: NatSettings["sources"];
  readonly limits: NatLimits;
  readonly servers: MappingServerSettings;
  readonly mappings: readonly MappingDraft[];
  readonly triggers: readonly TriggerRule[];
  readonly hooks: readonly HookSettings[];
  /** Null = no interface for gluetun's scripts. */
  readonly gluetun: GluetunSettings | null;
  /** Null = nothing of its own answers scrapes. */
  readonly metrics: MetricsSettings | null;
  readonly vpn: VpnDraft;
  /** There is to be a VPN even if none was made: `--vpn`, or a [vpn] in the configuration. */
  readonly vpnWanted: boolean;
  readonly vpnClientsMayMeet: boolean;
  /** Null = none, or the one of a relay in the same process. */
  readonly console: ConsoleSettings | null;
  /** Null = hatchway if there is such a user, else nobody. */
  readonly user: string | null;
}
