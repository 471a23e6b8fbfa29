/** The services of an Internet Gateway Device as data: what actions.ts decodes by and description.ts describes. */
export type IgdVersion = 1 | 2;

/** `ipv4` and `ipv6` are strings on the wire, empty = any; so is `protocol`, TCP or UDP. */
export type VariableType = "ui2" | "ui4" | "boolean" | "string" | "ipv4" | "ipv6" | "protocol";

export interface Variable {
  readonly type: VariableType;
  /** What an argument that is left out, or empty, means; without this it is an error. */
  readonly whenAbsent?: string;
  readonly range?: readonly [min: number, max: number];
  /** For the description; not checked in arguments. */
  readonly values?: readonly string[];
}

/** Argument name → state variable that gives its type, in the standard's order. */
export type Arguments = Readonly<Record<string, string>>;

export interface Action {
  /** The version of the service that brought it. */
  readonly since: IgdVersion;
  readonly inputs: Arguments;
  readonly outputs: Arguments;
}

export interface Service {
  /** The version of the gateway device that brought it. */
  readonly since: IgdVersion;
  /** The highest version there is of it. */
  readonly version: IgdVersion;
  readonly serviceId: string;
  readonly variables: Readonly<Record<string, Variable>>;
  readonly actions: Readonly<Record<string, Action>>;
}

const MAPPING_INPUTS = {
  NewRemoteHost: "RemoteHost",
  NewExternalPort: "ExternalPort",
  NewProtocol: "PortMappingProtocol",
  NewInternalPort: "InternalPort",
  NewInternalClient: "InternalClient",
  NewEnabled: "PortMappingEnabled",
  NewPortMappingDescription: "PortMappingDescription",
  NewLeaseDuration: "PortMappingLeaseDuration",
} as const;
const MAPPING_KEY = {
  NewRemoteHost: "RemoteHost",
  NewExternalPort: "ExternalPort",
  NewProtocol: "PortMappingProtocol",
} as const;
const MAPPING_VALUE = {
  NewInternalPort: "InternalPort",
  NewInternalClient: "InternalClient",
  NewEnabled: "PortMappingEnabled",
  NewPortMappingDescription: "PortMappingDescription",
  NewLeaseDuration: "PortMappingLeaseDuration",
} as const;
const PORT_RANGE = {
  NewStartPort: "ExternalPort",
  NewEndPort: "ExternalPort",
  NewProtocol: "PortMappingProtocol",
  NewManage: "A_ARG_TYPE_Manage",
} as const;
const CONNECTION_TYPES = ["Unconfigured", "IP_Routed", "IP_Bridged"] as const;

/** Clients leave out what they do not use (miniupnpd takes it so): hence `whenAbsent`. */
const WAN_IP_CONNECTION = {
  since: 1,
  version: 2,
  serviceId: "urn:upnp-org:serviceId:WANIPConn1",
  variables: {
    ConnectionType: { type: "string" },
    PossibleConnectionTypes: { type: "string", values: CONNECTION_TYPES },
    ConnectionStatus: {
      type: "string",
      values: ["Unconfigured", "Connecting", "Connected", "PendingDisconnect", "Disconnecting", "Disconnected"],
    },
    LastConnectionError: { type: "string", values: ["ERROR_NONE"] },
    Uptime: { type: "ui4" },
    RSIPAvailable: { type: "boolean" },
    NATEnabled: { type: "boolean" },
    ExternalIPAddress: { type: "ipv4", whenAbsent: "" },
    PortMappingNumberOfEntries: { type: "ui2" },
    RemoteHost: { type: "ipv4", whenAbsent: "" },
    ExternalPort: { type: "ui2" },
    PortMappingProtocol: { type: "protocol", values: ["TCP", "UDP"] },
    InternalPort: { type: "ui2", range: [1, 65_535] },
    InternalClient: { type: "ipv4", whenAbsent: "" },
    PortMappingEnabled: { type: "boolean", whenAbsent: "1" },
    PortMappingDescription: { type: "string", whenAbsent: "" },
    PortMappingLeaseDuration: { type: "ui4", whenAbsent: "0" },
    A_ARG_TYPE_Manage: { type: "boolean", whenAbsent: "0" },
    A_ARG_TYPE_PortListing: { type: "string" },
  },
  actions: {
    SetConnectionType: { since: 1, inputs: { NewConnectionType: "ConnectionType" }, outputs: {} },
    GetConnectionTypeInfo: {
      since: 1,
      inputs: {},
      outputs: { NewConnectionType: "ConnectionType", NewPossibleConnectionTypes: "PossibleConnectionTypes" },
    },
    RequestConnection: { since: 1, inputs: {}, outputs: {} },
    ForceTermination: { since: 1, inputs: {}, outputs: {} },
    GetStatusInfo: {
      since: 1,
      inputs: {},
      outputs: {
        NewConnectionStatus: "ConnectionStatus",
        NewLastConnectionError: "LastConnectionError",
        NewUptime: "Uptime",
      },
    },
    GetNATRSIPStatus: {
      since: 1,
      inputs: {},
      outputs: { NewRSIPAvailable: "RSIPAvailable", NewNATEnabled: "NATEnabled" },
    },
    GetGenericPortMappingEntry: {
      since: 1,
      inputs: { NewPortMappingIndex: "PortMappingNumberOfEntries" },
      outputs: MAPPING_INPUTS,
    },
    GetSpecificPortMappingEntry: { since: 1, inputs: MAPPING_KEY, outputs: MAPPING_VALUE },
    AddPortMapping: { since: 1, inputs: MAPPING_INPUTS, outputs: {} },
    DeletePortMapping: { since: 1, inputs: MAPPING_KEY, outputs: {} },
    GetExternalIPAddress: { since: 1, inputs: {}, outputs: { NewExternalIPAddress: "ExternalIPAddress" } },
    AddAnyPortMapping: { since: 2, inputs: MAPPING_INPUTS, outputs: { NewReservedPort: "ExternalPort" } },
    DeletePortMappingRange: { since: 2, inputs: PORT_RANGE, outputs: {} },
    GetListOfPortMappings: {
      since: 2,
      inputs: { ...PORT_RANGE, NewNumberOfPorts: "PortMappingNumberOfEntries" },
      outputs: { NewPortListing: "A_ARG_TYPE_PortListing" },
    },
  },
} as const satisfies Service;

const WAN_COMMON_INTERFACE_CONFIG = {
  since: 1,
  version: 1,
  serviceId: "urn:upnp-org:serviceId:WANCommonIFC1",
  variables: {
    WANAccessType: { type: "string", values: ["DSL", "POTS", "Cable", "Ethernet"] },
    Layer1UpstreamMaxBitRate: { type: "ui4" },
    Layer1DownstreamMaxBitRate: { type: "ui4" },
    PhysicalLinkStatus: { type: "string", values: ["Up", "Down", "Initializing", "Unavailable"] },
    TotalBytesSent: { type: "ui4" },
    TotalBytesReceived: { type: "ui4" },
    TotalPacketsSent: { type: "ui4" },
    TotalPacketsReceived: { type: "ui4" },
  },
  actions: {
    GetCommonLinkProperties: {
      since: 1,
      inputs: {},
      outputs: {
        NewWANAccessType: "WANAccessType",
        NewLayer1UpstreamMaxBitRate: "Layer1UpstreamMaxBitRate",
        NewLayer1DownstreamMaxBitRate: "Layer1DownstreamMaxBitRate",
        NewPhysicalLinkStatus: "PhysicalLinkStatus",
      },
    },
    GetTotalBytesSent: { since: 1, inputs: {}, outputs: { NewTotalBytesSent: "TotalBytesSent" } },
    GetTotalBytesReceived: { since: 1, inputs: {}, outputs: { NewTotalBytesReceived: "TotalBytesReceived" } },
    GetTotalPacketsSent: { since: 1, inputs: {}, outputs: { NewTotalPacketsSent: "TotalPacketsSent" } },
    GetTotalPacketsReceived: { since: 1, inputs: {}, outputs: { NewTotalPacketsReceived: "TotalPacketsReceived" } },
  },
} as const satisfies Service;

const LAYER3_FORWARDING = {
  since: 1,
  version: 1,
  serviceId: "urn:upnp-org:serviceId:L3Forwarding1",
  variables: { DefaultConnectionService: { type: "string" } },
  actions: {
    SetDefaultConnectionService: {
      since: 1,
      inputs: { NewDefaultConnectionService: "DefaultConnectionService" },
      outputs: {},
    },
    GetDefaultConnectionService: {
      since: 1,
      inputs: {},
      outputs: { NewDefaultConnectionService: "DefaultConnectionService" },
    },
  },
} as const satisfies Service;

/** Its protocols are IP protocol numbers, 65535 = any; its arguments have no "New", but for one. */
const WAN_IPV6_FIREWALL_CONTROL = {
  since: 2,
  version: 1,
  serviceId: "urn:upnp-org:serviceId:WANIPv6Firewall1",
  variables: {
    FirewallEnabled: { type: "boolean" },
    InboundPinholeAllowed: { type: "boolean" },
    A_ARG_TYPE_IPv6Address: { type: "ipv6", whenAbsent: "" },
    A_ARG_TYPE_Port: { type: "ui2" },
    A_ARG_TYPE_Protocol: { type: "ui2" },
    A_ARG_TYPE_LeaseTime: { type: "ui4", range: [1, 86_400] },
    A_ARG_TYPE_UniqueID: { type: "ui2" },
    A_ARG_TYPE_Boolean: { type: "boolean" },
    A_ARG_TYPE_OutboundPinholeTimeout: { type: "ui4" },
    A_ARG_TYPE_PinholePackets: { type: "ui4" },
  },
  actions: {
    GetFirewallStatus: {
      since: 1,
      inputs: {},
      outputs: { FirewallEnabled: "FirewallEnabled", InboundPinholeAllowed: "InboundPinholeAllowed" },
    },
    GetOutboundPinholeTimeout: {
      since: 1,
      inputs: {
        RemoteHost: "A_ARG_TYPE_IPv6Address",
        RemotePort: "A_ARG_TYPE_Port",
        InternalClient: "A_ARG_TYPE_IPv6Address",
        InternalPort: "A_ARG_TYPE_Port",
        Protocol: "A_ARG_TYPE_Protocol",
      },
      outputs: { OutboundPinholeTimeout: "A_ARG_TYPE_OutboundPinholeTimeout" },
    },
    AddPinhole: {
      since: 1,
      inputs: {
        RemoteHost: "A_ARG_TYPE_IPv6Address",
        RemotePort: "A_ARG_TYPE_Port",
        InternalClient: "A_ARG_TYPE_IPv6Address",
        InternalPort: "A_ARG_TYPE_Port",
        Protocol: "A_ARG_TYPE_Protocol",
        LeaseTime: "A_ARG_TYPE_LeaseTime",
      },
      outputs: { UniqueID: "A_ARG_TYPE_UniqueID" },
    },
    UpdatePinhole: {
      since: 1,
      inputs: { UniqueID: "A_ARG_TYPE_UniqueID", NewLeaseTime: "A_ARG_TYPE_LeaseTime" },
      outputs: {},
    },
    DeletePinhole: { since: 1, inputs: { UniqueID: "A_ARG_TYPE_UniqueID" }, outputs: {} },
    GetPinholePackets: {
      since: 1,
      inputs: { UniqueID: "A_ARG_TYPE_UniqueID" },
      outputs: { PinholePackets: "A_ARG_TYPE_PinholePackets" },
    },
    CheckPinholeWorking: {
      since: 1,
      inputs: { UniqueID: "A_ARG_TYPE_UniqueID" },
      outputs: { IsWorking: "A_ARG_TYPE_Boolean" },
    },
  },
} as const satisfies Service;

export const SERVICES = {
  WANIPConnection: WAN_IP_CONNECTION,
  WANCommonInterfaceConfig: WAN_COMMON_INTERFACE_CONFIG,
  Layer3Forwarding: LAYER3_FORWARDING,
  WANIPv6FirewallControl: WAN_IPV6_FIREWALL_CONTROL,
} as const;

export type ServiceName = keyof typeof SERVICES;

/** The version of a service that a gateway of version `igd` offers; null = it has none. */
export function offeredVersion(service: Service, igd: IgdVersion): IgdVersion | null {
  if (service.since > igd) return null;
  return service.version < igd ? service.version : igd;
}

/** WANPPPConnection:1 has the actions of WANIPConnection:1 that map ports: routers have it, and this gateway does not. */
export function serviceType(name: ServiceName | "WANPPPConnection", version: IgdVersion): string {
  return `urn:schemas-upnp-org:service:${name}:${version}`;
}
