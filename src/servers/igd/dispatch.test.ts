import { describe, expect, test } from "bun:test";
import { FakeDesk, type PolicyText } from "../../../test/fixtures/fake-desk.ts";
import { decodeAction } from "../../wire/igd/actions.ts";
import { type IgdVersion, SERVICES, type ServiceName, serviceType } from "../../wire/igd/services.ts";
import { UPNP_ERRORS } from "../../wire/igd/upnp-error.ts";
import { dispatch } from "./dispatch.ts";
import type { Gateway } from "./gateway.ts";
import { PinholeNumbers } from "./pinhole-numbers.ts";

const HOST = "192.168.77.2";
const OTHER = "192.168.78.2";
const HOST6 = "fd00:77::2";
const WEEK = 604_800;

type Args = Readonly<Record<string, string>>;
/** A number is the code of a UPnP error; an object is among the outputs. */
type Expected = number | Readonly<Record<string, string>>;
interface Step {
  readonly action: string;
  readonly args?: Args;
  readonly from?: string;
  /** Of the service that the client names; default the one under test. */
  readonly version?: IgdVersion;
  readonly expected: Expected;
}

class Bench {
  readonly desk: FakeDesk;
  readonly gateway: Gateway;

  constructor(policy: PolicyText = {}, gateway: Partial<Gateway> = {}) {
    this.desk = new FakeDesk({ rules: ["allow * * *"], ...policy });
    this.gateway = {
      desk: this.desk,
      pinholeNumbers: new PinholeNumbers(),
      pinholesAllowed: true,
      upBitsPerSec: 100,
      downBitsPerSec: 200,
      outboundTimeoutSec: { tcp: 7200, udp: 120 },
      wanConnectionUuid: "wan-uuid",
      ...gateway,
    };
  }

  async call(step: Omit<Step, "expected">, igd: IgdVersion = 2): Promise<Expected> {
    const service = (Object.keys(SERVICES) as ServiceName[]).find((name) => step.action in SERVICES[name].actions)!;
    const offered = Math.min(step.version ?? igd, SERVICES[service].version) as IgdVersion;
    const request = {
      serviceType: serviceType(service, offered),
      action: step.action,
      args: new Map(Object.entries(step.args ?? {})),
    };
    const call = decodeAction(request, igd);
    if (!call.ok) return UPNP_ERRORS[call.error.kind].code;
    const done = await dispatch(call.value, { gateway: this.gateway, requester: step.from ?? HOST, igd });
    return done.ok ? Object.fromEntries(done.value) : UPNP_ERRORS[done.error.error].code;
  }
}

const add = (over: Args = {}): Args => ({
  NewRemoteHost: "",
  NewExternalPort: "8080",
  NewProtocol: "TCP",
  NewInternalPort: "80",
  NewInternalClient: HOST,
  NewEnabled: "1",
  NewPortMappingDescription: "web",
  NewLeaseDuration: "3600",
  ...over,
});
const key = (port: number, over: Args = {}): Args => ({
  NewRemoteHost: "",
  NewExternalPort: `${port}`,
  NewProtocol: "TCP",
  ...over,
});
const range = (start: number, end: number, over: Args = {}): Args => ({
  NewStartPort: `${start}`,
  NewEndPort: `${end}`,
  NewProtocol: "TCP",
  NewManage: "0",
  ...over,
});
const hole = (over: Args = {}): Args => ({
  RemoteHost: "",
  RemotePort: "0",
  InternalClient: HOST6,
  InternalPort: "8080",
  Protocol: "6",
  LeaseTime: "3600",
  ...over,
});

const added: Step = { action: "AddPortMapping", args: add(), expected: {} };
const foreign: Step = {
  action: "AddPortMapping",
  args: add({ NewExternalPort: "8090", NewInternalClient: OTHER }),
  from: OTHER,
  expected: {},
};
const entry = (over: Args = {}): Args => ({
  NewInternalPort: "80",
  NewInternalClient: HOST,
  NewEnabled: "1",
  NewPortMappingDescription: "web",
  NewLeaseDuration: "3600",
  ...over,
});

interface Scenario {
  readonly name: string;
  readonly policy?: PolicyText;
  readonly gateway?: Partial<Gateway>;
  /** What the client finds; default 2. */
  readonly igd?: IgdVersion;
  readonly before?: (desk: FakeDesk) => void;
  readonly steps: readonly Step[];
}

const MAPPING: readonly Scenario[] = [
  {
    name: "the same client updates its mapping",
    steps: [
      added,
      { action: "AddPortMapping", args: add({ NewInternalPort: "81", NewLeaseDuration: "60" }), expected: {} },
      {
        action: "GetSpecificPortMappingEntry",
        args: key(8080),
        expected: entry({ NewInternalPort: "81", NewLeaseDuration: "60" }),
      },
      { action: "GetGenericPortMappingEntry", args: { NewPortMappingIndex: "1" }, expected: 713 },
    ],
  },
  {
    name: "another client hears 718, and sees nothing of it",
    steps: [
      added,
      { action: "AddPortMapping", args: add({ NewInternalClient: OTHER }), from: OTHER, expected: 718 },
      { action: "GetSpecificPortMappingEntry", args: key(8080), from: OTHER, expected: 714 },
      { action: "GetGenericPortMappingEntry", args: { NewPortMappingIndex: "0" }, from: OTHER, expected: 713 },
      { action: "DeletePortMapping", args: key(8080), from: OTHER, expected: 606 },
    ],
  },
  {
    name: "no client is the caller",
    steps: [
      { action: "AddPortMapping", args: add({ NewInternalClient: "" }), expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: entry() },
    ],
  },
  {
    name: "nobody maps to another, nor to the gateway",
    steps: [
      { action: "AddPortMapping", args: add({ NewInternalClient: OTHER }), expected: 606 },
      { action: "AddPortMapping", args: add({ NewInternalClient: "192.168.77.1" }), expected: 606 },
      { action: "AddPortMapping", args: add({ NewInternalClient: "8.8.8.8" }), expected: 606 },
      { action: "AddAnyPortMapping", args: add({ NewInternalClient: "127.0.0.1" }), expected: 606 },
    ],
  },
  {
    name: "with secure mode off a client maps to another inside, and to no one else",
    policy: { secureMode: false },
    steps: [
      { action: "AddPortMapping", args: add({ NewInternalClient: OTHER }), expected: {} },
      { action: "AddPortMapping", args: add({ NewInternalClient: "8.8.8.8" }), expected: 606 },
      {
        action: "GetGenericPortMappingEntry",
        args: { NewPortMappingIndex: "0" },
        expected: { NewInternalClient: OTHER },
      },
    ],
  },
  {
    name: "a caller over IPv6 has to name an IPv4 host",
    steps: [{ action: "AddPortMapping", args: add({ NewInternalClient: "" }), from: HOST6, expected: 402 }],
  },
  {
    name: "a remote host is an address or nothing, and part of the key",
    steps: [
      { action: "AddPortMapping", args: add({ NewRemoteHost: "example.com" }), expected: 402 },
      { action: "AddPortMapping", args: add({ NewRemoteHost: "0.0.0.0" }), expected: 402 },
      { action: "AddPortMapping", args: add({ NewRemoteHost: "198.51.100.7" }), expected: {} },
      { action: "AddPortMapping", args: add({ NewRemoteHost: "198.51.100.7" }), expected: {} },
      { action: "AddPortMapping", args: add({ NewRemoteHost: "198.51.100.8" }), expected: 718 },
      { ...added, expected: 718 },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: 714 },
      {
        action: "GetSpecificPortMappingEntry",
        args: key(8080, { NewRemoteHost: "198.51.100.7" }),
        expected: entry(),
      },
      {
        action: "GetGenericPortMappingEntry",
        args: { NewPortMappingIndex: "0" },
        expected: { NewRemoteHost: "198.51.100.7", NewExternalPort: "8080", NewProtocol: "TCP", ...entry() },
      },
      { action: "DeletePortMapping", args: key(8080), expected: 714 },
      { action: "DeletePortMapping", args: key(8080, { NewRemoteHost: "198.51.100.7" }), expected: {} },
    ],
  },
  {
    name: "wildcards and nonsense",
    steps: [
      { action: "AddPortMapping", args: add({ NewExternalPort: "0" }), expected: 716 },
      { action: "AddPortMapping", args: add({ NewInternalPort: "0" }), expected: 402 },
      { action: "AddPortMapping", args: add({ NewProtocol: "SCTP" }), expected: 402 },
      { action: "AddPortMapping", args: add({ NewExternalPort: "65536" }), expected: 402 },
      { action: "AddPortMapping", args: add({ NewLeaseDuration: "-1" }), expected: 402 },
      { action: "AddPortMapping", args: add({ NewEnabled: "2" }), expected: 402 },
    ],
  },
  {
    name: "a lease of 0 is a week, and so is a longer one",
    steps: [
      { action: "AddPortMapping", args: add({ NewLeaseDuration: "0" }), expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: { NewLeaseDuration: `${WEEK}` } },
      { action: "AddPortMapping", args: add({ NewLeaseDuration: "4294967295" }), expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: { NewLeaseDuration: `${WEEK}` } },
    ],
  },
  {
    name: "version 1: a lease of 0 lasts",
    steps: [
      { action: "AddPortMapping", args: add({ NewLeaseDuration: "0" }), version: 1, expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: { NewLeaseDuration: "0" } },
    ],
  },
  {
    name: "a disabled mapping is one",
    steps: [
      { action: "AddPortMapping", args: add({ NewEnabled: "False" }), expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: { NewEnabled: "0" } },
    ],
  },
  {
    name: "a description is printable and bounded",
    steps: [
      {
        action: "AddPortMapping",
        args: add({ NewPortMappingDescription: ` a\u0000\u001b[31m\u202eb${"x".repeat(5000)}` }),
        expected: {},
      },
      {
        action: "GetSpecificPortMappingEntry",
        args: key(8080),
        expected: { NewPortMappingDescription: `a [31m b${"x".repeat(64 - "a [31m b".length)}` },
      },
    ],
  },
  {
    name: "AddAnyPortMapping gives the port, or another one",
    steps: [
      { action: "AddAnyPortMapping", args: add({ NewExternalPort: "0" }), expected: { NewReservedPort: "80" } },
      {
        action: "AddAnyPortMapping",
        args: add({ NewExternalPort: "80", NewInternalClient: OTHER }),
        from: OTHER,
        expected: { NewReservedPort: "81" },
      },
      {
        action: "AddAnyPortMapping",
        args: add({ NewExternalPort: "9000", NewInternalPort: "82" }),
        expected: { NewReservedPort: "9000" },
      },
    ],
  },
  {
    name: "version 2 says why not",
    policy: {
      rules: ["allow 1024-65535 * *"],
      reserved: [{ protocol: "tcp", port: 7744, purpose: "the agents' port" }],
      denied: "2525",
      maxPerClient: 1,
    },
    before: (desk) => desk.fix(OTHER, "tcp", 7000),
    steps: [
      { action: "AddPortMapping", args: add({ NewExternalPort: "80" }), expected: 606 },
      { action: "AddPortMapping", args: add({ NewExternalPort: "2525" }), expected: 606 },
      { action: "AddPortMapping", args: add({ NewExternalPort: "7744" }), expected: 729 },
      { action: "AddPortMapping", args: add({ NewExternalPort: "7000" }), expected: 729 },
      added,
      { action: "AddPortMapping", args: add({ NewExternalPort: "8081" }), expected: 728 },
      { action: "AddAnyPortMapping", args: add({ NewInternalPort: "81" }), expected: 728 },
    ],
  },
  {
    name: "version 1 says so that its clients try another port",
    igd: 1,
    policy: {
      rules: ["allow 1024-65535 * *"],
      reserved: [{ protocol: "tcp", port: 7744, purpose: "the agents' port" }],
      maxPerClient: 1,
    },
    steps: [
      { action: "AddPortMapping", args: add({ NewExternalPort: "80" }), expected: 718 },
      { action: "AddPortMapping", args: add({ NewExternalPort: "7744" }), expected: 718 },
      added,
      { action: "AddPortMapping", args: add({ NewExternalPort: "8081" }), expected: 501 },
      { action: "AddAnyPortMapping", args: add(), expected: 401 },
      { action: "GetListOfPortMappings", args: { ...range(1, 2), NewNumberOfPorts: "0" }, expected: 401 },
      { action: "DeletePortMappingRange", args: range(1, 2), expected: 401 },
      { action: "GetFirewallStatus", expected: 401 },
    ],
  },
  {
    name: "every port is taken",
    policy: { rules: ["allow 1024 * *"] },
    steps: [
      { action: "AddAnyPortMapping", args: add(), expected: { NewReservedPort: "1024" } },
      { action: "AddAnyPortMapping", args: add({ NewInternalPort: "81" }), expected: 728 },
    ],
  },
  {
    name: "deletes",
    before: (desk) => desk.fix(HOST, "tcp", 7000),
    steps: [
      added,
      { action: "DeletePortMapping", args: key(8081), expected: 714 },
      { action: "DeletePortMapping", args: key(8080, { NewProtocol: "UDP" }), expected: 714 },
      { action: "DeletePortMapping", args: key(7000), expected: 606 },
      { action: "DeletePortMapping", args: key(8080), expected: {} },
      { action: "DeletePortMapping", args: key(8080), expected: 714 },
    ],
  },
  {
    name: "a range takes the caller's own and passes over others, or says that it may not",
    before: (desk) => desk.fix(HOST, "tcp", 8070),
    steps: [
      added,
      { ...added, args: add({ NewExternalPort: "8081" }) },
      { ...added, args: add({ NewExternalPort: "8082", NewProtocol: "UDP" }) },
      foreign,
      { action: "DeletePortMappingRange", args: range(8090, 8080), expected: 733 },
      { action: "DeletePortMappingRange", args: range(9000, 9100), expected: 730 },
      { action: "DeletePortMappingRange", args: range(8060, 8079), expected: 730 },
      { action: "DeletePortMappingRange", args: range(8086, 8100, { NewManage: "1" }), expected: 606 },
      { action: "DeletePortMappingRange", args: range(8060, 8079, { NewManage: "1" }), expected: 606 },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: entry() },
      { action: "DeletePortMappingRange", args: range(8000, 8100), expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8080), expected: 714 },
      { action: "GetSpecificPortMappingEntry", args: key(8081), expected: 714 },
      { action: "GetSpecificPortMappingEntry", args: key(8082, { NewProtocol: "UDP" }), expected: entry() },
      { action: "GetSpecificPortMappingEntry", args: key(8090), from: OTHER, expected: {} },
      { action: "DeletePortMappingRange", args: range(0, 65535, { NewManage: "1" }), from: OTHER, expected: {} },
      { action: "GetSpecificPortMappingEntry", args: key(8070), expected: {} },
      { action: "DeletePortMappingRange", args: range(0, 65535, { NewManage: "1" }), from: OTHER, expected: 606 },
    ],
  },
  {
    name: "the list is the caller's",
    steps: [
      { ...added, args: add({ NewExternalPort: "8085" }) },
      added,
      foreign,
      {
        action: "GetListOfPortMappings",
        args: { ...range(8080, 8090, { NewManage: "1" }), NewNumberOfPorts: "1" },
        expected: {
          NewPortListing:
            '<?xml version="1.0"?><p:PortMappingList xmlns:p="urn:schemas-upnp-org:gw:WANIPConnection">' +
            "<p:PortMappingEntry><p:NewRemoteHost></p:NewRemoteHost><p:NewExternalPort>8080</p:NewExternalPort>" +
            "<p:NewProtocol>TCP</p:NewProtocol><p:NewInternalPort>80</p:NewInternalPort>" +
            "<p:NewInternalClient>192.168.77.2</p:NewInternalClient><p:NewEnabled>1</p:NewEnabled>" +
            "<p:NewDescription>web</p:NewDescription><p:NewLeaseTime>3600</p:NewLeaseTime></p:PortMappingEntry>" +
            "</p:PortMappingList>",
        },
      },
      { action: "GetListOfPortMappings", args: { ...range(8090, 8080), NewNumberOfPorts: "0" }, expected: 733 },
      { action: "GetListOfPortMappings", args: { ...range(8090, 8090), NewNumberOfPorts: "0" }, expected: 730 },
    ],
  },
];

const LINE: readonly Scenario[] = [
  {
    name: "up",
    before: (desk) => {
      desk.nowMs = 61_500;
    },
    steps: [
      { action: "GetExternalIPAddress", expected: { NewExternalIPAddress: "203.0.113.20" } },
      {
        action: "GetStatusInfo",
        expected: { NewConnectionStatus: "Connected", NewLastConnectionError: "ERROR_NONE", NewUptime: "61" },
      },
      { action: "RequestConnection", expected: {} },
      { action: "ForceTermination", expected: 606 },
      { action: "GetNATRSIPStatus", expected: { NewRSIPAvailable: "0", NewNATEnabled: "1" } },
      {
        action: "GetCommonLinkProperties",
        expected: {
          NewWANAccessType: "Ethernet",
          NewLayer1UpstreamMaxBitRate: "100",
          NewLayer1DownstreamMaxBitRate: "200",
          NewPhysicalLinkStatus: "Up",
        },
      },
    ],
  },
  {
    name: "down",
    before: (desk) => {
      desk.external = null;
    },
    steps: [
      { action: "GetExternalIPAddress", expected: { NewExternalIPAddress: "" } },
      { action: "GetStatusInfo", expected: { NewConnectionStatus: "Disconnected", NewUptime: "0" } },
      { action: "RequestConnection", expected: 501 },
      { action: "GetCommonLinkProperties", expected: { NewPhysicalLinkStatus: "Down" } },
    ],
  },
  {
    name: "what a client sets, it finds as it was",
    steps: [
      {
        action: "GetConnectionTypeInfo",
        expected: { NewConnectionType: "IP_Routed", NewPossibleConnectionTypes: "IP_Routed" },
      },
      { action: "SetConnectionType", args: { NewConnectionType: "IP_Routed" }, expected: {} },
      { action: "SetConnectionType", args: { NewConnectionType: "IP_Bridged" }, expected: 731 },
      { action: "SetConnectionType", args: { NewConnectionType: "IP_Bridged" }, version: 1, expected: 501 },
      { action: "SetConnectionType", args: { NewConnectionType: "Avian" }, expected: 402 },
      {
        action: "GetDefaultConnectionService",
        expected: {
          NewDefaultConnectionService: "uuid:wan-uuid:WANConnectionDevice:2,urn:upnp-org:serviceId:WANIPConn1",
        },
      },
      {
        action: "SetDefaultConnectionService",
        args: { NewDefaultConnectionService: "uuid:wan-uuid:WANConnectionDevice:2,urn:upnp-org:serviceId:WANIPConn1" },
        expected: {},
      },
      { action: "SetDefaultConnectionService", args: { NewDefaultConnectionService: "x" }, expected: 501 },
    ],
  },
  {
    name: "counters roll over at 32 bits",
    before: (desk) => {
      desk.total = { bytesIn: 2 ** 32 + 5, bytesOut: 7, packetsIn: 2 ** 40, packetsOut: 2 ** 32 - 1 };
    },
    steps: [
      { action: "GetTotalBytesReceived", expected: { NewTotalBytesReceived: "5" } },
      { action: "GetTotalBytesSent", expected: { NewTotalBytesSent: "7" } },
      { action: "GetTotalPacketsReceived", expected: { NewTotalPacketsReceived: "0" } },
      { action: "GetTotalPacketsSent", expected: { NewTotalPacketsSent: "4294967295" } },
    ],
  },
];

const PINHOLES: readonly Scenario[] = [
  {
    name: "what is not taken",
    steps: [
      { action: "AddPinhole", args: hole({ Protocol: "65535" }), from: HOST6, expected: 707 },
      { action: "AddPinhole", args: hole({ Protocol: "132" }), from: HOST6, expected: 705 },
      { action: "AddPinhole", args: hole({ InternalPort: "0" }), from: HOST6, expected: 706 },
      { action: "AddPinhole", args: hole({ InternalClient: "" }), from: HOST6, expected: 402 },
      { action: "AddPinhole", args: hole({ InternalClient: HOST }), from: HOST6, expected: 402 },
      { action: "AddPinhole", args: hole({ RemoteHost: "example.com" }), from: HOST6, expected: 402 },
      { action: "AddPinhole", args: hole({ RemoteHost: "::" }), from: HOST6, expected: 402 },
      { action: "AddPinhole", args: hole({ LeaseTime: "0" }), from: HOST6, expected: 402 },
      { action: "AddPinhole", args: hole({ LeaseTime: "86401" }), from: HOST6, expected: 402 },
      { action: "AddPinhole", args: hole({ InternalClient: "fd00:78::2" }), from: HOST6, expected: 606 },
      { action: "AddPinhole", args: hole(), from: HOST, expected: 606 },
    ],
  },
  {
    name: "none are allowed",
    gateway: { pinholesAllowed: false },
    steps: [
      { action: "GetFirewallStatus", expected: { FirewallEnabled: "1", InboundPinholeAllowed: "0" } },
      { action: "AddPinhole", args: hole(), from: HOST6, expected: 703 },
    ],
  },
  {
    name: "there are as many as there may be",
    policy: { maxPerClient: 0 },
    steps: [
      { action: "GetFirewallStatus", expected: { FirewallEnabled: "1", InboundPinholeAllowed: "1" } },
      { action: "AddPinhole", args: hole(), from: HOST6, expected: 701 },
    ],
  },
  {
    name: "one that is not there",
    steps: [
      { action: "UpdatePinhole", args: { UniqueID: "7", NewLeaseTime: "60" }, from: HOST6, expected: 704 },
      { action: "DeletePinhole", args: { UniqueID: "7" }, from: HOST6, expected: 704 },
      { action: "GetPinholePackets", args: { UniqueID: "7" }, from: HOST6, expected: 704 },
      { action: "CheckPinholeWorking", args: { UniqueID: "7" }, from: HOST6, expected: 704 },
    ],
  },
  {
    name: "outbound timeouts",
    steps: [
      { action: "GetOutboundPinholeTimeout", args: hole(), expected: { OutboundPinholeTimeout: "7200" } },
      {
        action: "GetOutboundPinholeTimeout",
        args: hole({ Protocol: "17" }),
        expected: { OutboundPinholeTimeout: "120" },
      },
      { action: "GetOutboundPinholeTimeout", args: hole({ Protocol: "65535" }), expected: 707 },
      { action: "GetOutboundPinholeTimeout", args: hole({ Protocol: "1" }), expected: 705 },
    ],
  },
];

/** The errors that this gateway never gives, and why; every other one is expected above or below. */
const NEVER: Readonly<Record<number, string>> = {
  600: "an argument that is wrong in any way is 402",
  601: "the same",
  602: "every action of the descriptions is there",
  603: "there are limits by number, and 728 says so",
  702: "the firewall is never off: what has no pinhole does not pass",
  708: "every source is allowed, unless the client names one",
  724: "the ports may differ",
  725: "leases are supported",
  726: "a remote host is supported, where it is an address; a name is an invalid argument",
  727: "external ports are what is mapped",
  732: "0 is outside the range of InternalPort: an invalid argument",
};

test("every error that there is, is expected somewhere or never given", () => {
  const expected = [...MAPPING, ...LINE, ...PINHOLES].flatMap(({ steps }) => steps.map((step) => step.expected));
  const inOtherTests = [709];
  const met = new Set([...expected.filter((one) => typeof one === "number"), ...inOtherTests]);
  const unmet = Object.values(UPNP_ERRORS).map(({ code }): number => code);
  expect(unmet.filter((code) => !met.has(code))).toEqual(Object.keys(NEVER).map(Number));
});

for (const [area, scenarios] of Object.entries({ mappings: MAPPING, "the line": LINE, pinholes: PINHOLES })) {
  describe(area, () => {
    test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("%s", async (_name, scenario) => {
      const bench = new Bench(scenario.policy, scenario.gateway);
      scenario.before?.(bench.desk);
      for (const { expected, ...step } of scenario.steps) {
        const found = await bench.call(step, scenario.igd);
        const what = `${step.action} ${JSON.stringify(step.args ?? {})} from ${step.from ?? HOST}`;
        if (typeof expected === "number") expect([what, found]).toEqual([what, expected]);
        else expect({ what, found }).toMatchObject({ what, found: expected });
      }
    });
  });
}

describe("a pinhole", () => {
  test("lives, is renewed, is looked at, and goes", async () => {
    const bench = new Bench();
    const restricted = { action: "AddPinhole", args: hole({ RemoteHost: "2001:db8::7" }), from: HOST6 };
    const { UniqueID: id } = (await bench.call(restricted)) as { UniqueID: string };
    expect(Number(id)).toBeWithin(1, 65_536);
    expect(await bench.call(restricted)).toEqual({ UniqueID: id });
    bench.desk.nowMs = 3_000_000;
    const leftSec = () => bench.desk.pinholes(HOST6).map(({ remainingSec }) => remainingSec);
    expect(leftSec()).toEqual([600]);
    const update = { action: "UpdatePinhole", args: { UniqueID: id, NewLeaseTime: "7200" }, from: HOST6 };
    expect(await bench.call(update)).toEqual({});
    expect(leftSec()).toEqual([7200]);

    expect(await bench.call({ action: "CheckPinholeWorking", args: { UniqueID: id }, from: HOST6 })).toBe(709);
    bench.desk.packets = 2 ** 32 + 3;
    expect(await bench.call({ action: "CheckPinholeWorking", args: { UniqueID: id }, from: HOST6 })).toEqual({
      IsWorking: "1",
    });
    expect(await bench.call({ action: "GetPinholePackets", args: { UniqueID: id }, from: HOST6 })).toEqual({
      PinholePackets: "3",
    });

    // Whose it is not does not learn that it is there.
    expect(await bench.call({ action: "DeletePinhole", args: { UniqueID: id }, from: "fd00:78::2" })).toBe(704);
    expect(await bench.call({ ...update, from: "fd00:78::2" })).toBe(704);
    expect(await bench.call({ action: "DeletePinhole", args: { UniqueID: id }, from: HOST6 })).toEqual({});
    expect(await bench.call({ action: "DeletePinhole", args: { UniqueID: id }, from: HOST6 })).toBe(704);
  });

  test("is one remote host's: another is another pinhole, and each is renewed and deleted alone", async () => {
    const bench = new Bench();
    const pin = async (more: Args) => {
      const made = await bench.call({ action: "AddPinhole", args: hole(more), from: HOST6 });
      return (made as { UniqueID: string }).UniqueID;
    };
    const first = await pin({ RemoteHost: "2001:db8::7", LeaseTime: "7200" });
    const second = await pin({ RemoteHost: "2001:db8::8", LeaseTime: "60" });
    const port = await pin({ RemoteHost: "2001:db8::8", RemotePort: "443", LeaseTime: "60" });
    const all = await pin({ LeaseTime: "60" });
    expect(new Set([first, second, port, all]).size).toBe(4);
    const leases = () => bench.desk.pinholes(HOST6).map(({ remainingSec }) => remainingSec ?? 0);
    expect(leases()).toEqual([7200, 60, 60, 60]);
    const of = (action: string, UniqueID: string, more: Args = {}) =>
      bench.call({ action, args: { UniqueID, ...more }, from: HOST6 });
    expect(await of("UpdatePinhole", port, { NewLeaseTime: "90" })).toEqual({});
    expect(leases().toSorted((a, b) => a - b)).toEqual([60, 60, 90, 7200]);
    expect(await of("DeletePinhole", second)).toEqual({});
    expect(await of("GetPinholePackets", second)).toBe(704);
    expect(await of("GetPinholePackets", first)).toEqual({ PinholePackets: "0" });
    bench.desk.nowMs = 90_000;
    expect(leases()).toEqual([7110]);
  });

  test("that PCP made is renewed as PCP's, and no second one is made", async () => {
    const bench = new Bench();
    const pcp = { via: "pcp", requester: HOST6, claimedAddress: HOST6, nonce: "aa", internalAddress: HOST6 } as const;
    const ask = { ...pcp, protocol: "tcp", internalPort: 8080, remotes: [], lifetimeSec: 60, description: "" } as const;
    const made = await bench.desk.pin(ask);
    const UniqueID = made.ok ? `${bench.gateway.pinholeNumbers.of(made.value.id)}` : "";
    const args = { UniqueID, NewLeaseTime: "7200" };
    expect(await bench.call({ action: "UpdatePinhole", args, from: HOST6 })).toEqual({});
    expect(bench.desk.pinholes(HOST6)).toMatchObject([{ nonce: "aa", remainingSec: 7200 }]);
  });

  test("of the operator's making is not the client's to change", async () => {
    const bench = new Bench();
    const { id } = bench.desk.fix(HOST6, "tcp", 22);
    const UniqueID = `${bench.gateway.pinholeNumbers.of(id)}`;
    const of = (action: string, args: Args = {}) => bench.call({ action, args: { UniqueID, ...args }, from: HOST6 });
    expect(await of("UpdatePinhole", { NewLeaseTime: "60" })).toBe(606);
    expect(await of("DeletePinhole")).toBe(606);
    expect(bench.desk.pinholes(HOST6)).toHaveLength(1);
  });

  test("every host from one port is every network", async () => {
    const bench = new Bench();
    await bench.call({ action: "AddPinhole", args: hole({ RemotePort: "443" }), from: HOST6 });
    expect(bench.desk.pinholes(HOST6)[0]?.remotes).toEqual([{ network: "::/0" as never, port: 443 }]);
  });

  test("the same desk id has the same number after a restart, and no two ids have the same", () => {
    const ids = Array.from({ length: 2000 }, (_, index) => `pinhole-${index}`);
    const numbers = new PinholeNumbers();
    const first = ids.map((id) => numbers.of(id));
    expect(new Set(first).size).toBe(ids.length);
    expect(ids.map((id) => numbers.of(id))).toEqual(first);
    expect(
      ids.map((id) => new PinholeNumbers().of(id)).filter((number, at) => number === first[at]).length,
    ).toBeGreaterThan(1900);
    numbers.forget(ids[0]!);
    expect(numbers.of(ids[0]!)).toBe(first[0]!);
  });

  test("numbers are remembered up to a limit", () => {
    const numbers = new PinholeNumbers(2);
    const made = ["a", "b", "c"].map((id) => numbers.of(id));
    expect(numbers.of("c")).toBe(made[2]!);
    expect(new Set(made).size).toBe(3);
  });
});

test("a gateway that fails rejects, for the server to answer 501", async () => {
  const bench = new Bench();
  bench.desk.gate = () => Promise.reject(new Error("the disk is full"));
  await expect(bench.call({ action: "AddPortMapping", args: add() })).rejects.toThrow("disk is full");
});
