import { describe, expect, test } from "bun:test";
import { SOAP_SAMPLES } from "../../../test/fixtures/igd/requests.ts";
import { type ActionCall, decodeAction, decodeOutputs, encodeAction, encodeOutputs } from "./actions.ts";
import { type IgdVersion, SERVICES, type Service } from "./services.ts";
import { decodeSoapRequest, type SoapRequest } from "./soap.ts";

const WANIP = "urn:schemas-upnp-org:service:WANIPConnection";
const FIREWALL = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1";

function request(serviceType: string, action: string, args: Record<string, string> = {}): SoapRequest {
  return { serviceType, action, args: new Map(Object.entries(args)) };
}

const MAPPING = {
  NewRemoteHost: "",
  NewExternalPort: "8080",
  NewProtocol: "TCP",
  NewInternalPort: "80",
  NewInternalClient: "192.168.1.5",
  NewEnabled: "1",
  NewPortMappingDescription: "web",
  NewLeaseDuration: "3600",
};
const mapping = (change: Record<string, string>, without: string[] = []) => {
  const args: Record<string, string> = { ...MAPPING, ...change };
  for (const name of without) delete args[name];
  return decodeAction(request(`${WANIP}:1`, "AddPortMapping", args), 1);
};

describe("calls of real clients", () => {
  const web = { NewRemoteHost: null, NewProtocol: "tcp", NewEnabled: true, NewLeaseDuration: 0 };
  const expected: Record<string, object> = {
    miniupnpc: {
      ...web,
      NewExternalPort: 8080,
      NewInternalClient: "192.168.1.5",
      NewPortMappingDescription: "libminiupnpc",
    },
    Transmission: { NewProtocol: "udp", NewExternalPort: 51413, NewInternalPort: 51413 },
    "upnpc, a description as typed": { NewPortMappingDescription: "Tom & Jerry" },
    "upnpc -s": {},
    "upnpc -l": { NewPortMappingIndex: 0 },
    "upnpc -L": { NewStartPort: 1000, NewEndPort: 2000, NewProtocol: "tcp", NewManage: true, NewNumberOfPorts: 1000 },
    "upnpc -n": { NewExternalPort: 8080, NewLeaseDuration: 3600 },
    "upnpc -A": {
      RemoteHost: null,
      RemotePort: 0,
      Protocol: 6,
      InternalPort: 8080,
      InternalClient: "2001:db8::5",
      LeaseTime: 3600,
    },
    Windows: { NewExternalPort: 3389, NewInternalClient: "192.168.1.7", NewPortMappingDescription: "Remote Desktop" },
    Xbox: { NewEnabled: true, NewPortMappingDescription: "Teredo 192.168.1.8:3074->3074 UDP" },
    libtorrent: { NewExternalPort: 6881, NewLeaseDuration: 3600 },
    "a script: no quotes, no prefixes, indented, arguments left out": {
      ...web,
      NewExternalPort: 9091,
      NewInternalPort: 9091,
      NewInternalClient: null,
      NewPortMappingDescription: "",
    },
  };
  for (const { name, soapAction, body } of SOAP_SAMPLES) {
    test(name, () => {
      const soap = decodeSoapRequest(soapAction, new TextEncoder().encode(body));
      if (!soap.ok) throw new Error(soap.error.kind);
      const call = decodeAction(soap.value, 2);
      expect(call).toMatchObject({ ok: true, value: { action: soap.value.action, args: expected[name]! } });
      if (call.ok) expect(decodeAction(encodeAction(call.value), 2)).toEqual(call);
    });
  }
});

describe("arguments", () => {
  const taken: [change: Record<string, string>, args: object][] = [
    [{ NewExternalPort: "0" }, { NewExternalPort: 0 }],
    [{ NewExternalPort: " 65535\n" }, { NewExternalPort: 65_535 }],
    [{ NewLeaseDuration: "4294967295" }, { NewLeaseDuration: 4_294_967_295 }],
    [{ NewLeaseDuration: "" }, { NewLeaseDuration: 0 }],
    [{ NewProtocol: "udp" }, { NewProtocol: "udp" }],
    [{ NewRemoteHost: "*" }, { NewRemoteHost: null }],
    [{ NewRemoteHost: "192.0.2.9" }, { NewRemoteHost: "192.0.2.9" }],
    [{ NewInternalClient: "" }, { NewInternalClient: null }],
    [{ NewInternalClient: "::ffff:192.168.1.5" }, { NewInternalClient: "192.168.1.5" }],
    [{ NewPortMappingDescription: "a\x1b[31m\r\nb\x7f\x85c" }, { NewPortMappingDescription: "a [31m b c" }],
    ...(["1", "true", "yes", "TRUE"] as const).map((text): [Record<string, string>, object] => [
      { NewEnabled: text },
      { NewEnabled: true },
    ]),
    ...(["0", "false", "no", "No"] as const).map((text): [Record<string, string>, object] => [
      { NewEnabled: text },
      { NewEnabled: false },
    ]),
    [{ NewUnknown: "x" }, {}],
  ];
  for (const [change, args] of taken) {
    test(JSON.stringify(change), () => {
      const call = mapping(change);
      expect(call).toMatchObject({ ok: true, value: { args } });
      expect(call.ok && Object.keys(call.value.args)).toEqual(Object.keys(MAPPING));
    });
  }

  const refused: [name: string, value: string][] = [
    ["NewExternalPort", "65536"],
    ["NewExternalPort", "-1"],
    ["NewExternalPort", "+1"],
    ["NewExternalPort", "1e3"],
    ["NewExternalPort", "0x10"],
    ["NewExternalPort", "8080 8081"],
    ["NewExternalPort", ""],
    ["NewExternalPort", "8".repeat(400)],
    ["NewInternalPort", "0"],
    ["NewProtocol", ""],
    ["NewProtocol", "SCTP"],
    ["NewEnabled", "2"],
    ["NewLeaseDuration", "4294967296"],
    ["NewLeaseDuration", "forever"],
    ["NewRemoteHost", "example.com"],
    ["NewInternalClient", "localhost"],
    ["NewInternalClient", "2001:db8::5"],
    ["NewInternalClient", "192.168.1.5; reboot"],
    ["NewInternalClient", "010.0.0.1"],
  ];
  for (const [name, value] of refused) {
    test(`${name} ${JSON.stringify(value.slice(0, 20))}: 402`, () => {
      expect(mapping({ [name]: value })).toEqual({ ok: false, error: { kind: "invalidArgs", about: name } });
    });
  }
  for (const name of ["NewExternalPort", "NewProtocol", "NewInternalPort"]) {
    test(`no ${name}: 402`, () => {
      expect(mapping({}, [name])).toEqual({ ok: false, error: { kind: "invalidArgs", about: name } });
    });
  }
  test("a pinhole's: IPv6 only, and a lease of a day at most", () => {
    const pinhole = {
      RemoteHost: "",
      RemotePort: "0",
      InternalClient: "2001:db8::5",
      InternalPort: "80",
      Protocol: "6",
      LeaseTime: "86400",
    };
    const decode = (change: object) => decodeAction(request(FIREWALL, "AddPinhole", { ...pinhole, ...change }), 2);
    expect(decode({}).ok).toBe(true);
    expect(decode({ InternalClient: "192.168.1.5" })).toMatchObject({ error: { about: "InternalClient" } });
    expect(decode({ LeaseTime: "86401" })).toMatchObject({ error: { about: "LeaseTime" } });
    expect(decode({ LeaseTime: "0" })).toMatchObject({ error: { about: "LeaseTime" } });
  });
});

describe("which actions there are", () => {
  const range = { NewStartPort: "1", NewEndPort: "2", NewProtocol: "TCP", NewManage: "0" };
  const table: [
    serviceType: string,
    action: string,
    args: Record<string, string>,
    igd: IgdVersion,
    offered: boolean,
  ][] = [
    [`${WANIP}:1`, "AddPortMapping", MAPPING, 1, true],
    [`${WANIP}:1`, "AddPortMapping", MAPPING, 2, true],
    [`${WANIP}:2`, "AddPortMapping", MAPPING, 2, true],
    [`${WANIP}:2`, "AddPortMapping", MAPPING, 1, false],
    [`${WANIP}:2`, "AddAnyPortMapping", MAPPING, 2, true],
    [`${WANIP}:1`, "AddAnyPortMapping", MAPPING, 2, false],
    [`${WANIP}:2`, "AddAnyPortMapping", MAPPING, 1, false],
    [`${WANIP}:2`, "DeletePortMappingRange", range, 2, true],
    [`${WANIP}:1`, "DeletePortMappingRange", range, 1, false],
    [`${WANIP}:3`, "AddPortMapping", MAPPING, 2, false],
    [FIREWALL, "GetFirewallStatus", {}, 2, true],
    [FIREWALL, "GetFirewallStatus", {}, 1, false],
    ["urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1", "GetTotalBytesSent", {}, 1, true],
    ["urn:schemas-upnp-org:service:WANCommonInterfaceConfig:2", "GetTotalBytesSent", {}, 2, false],
    ["urn:schemas-upnp-org:service:Layer3Forwarding:1", "GetDefaultConnectionService", {}, 1, true],
    ["urn:schemas-upnp-org:service:Layer3Forwarding:1", "GetTotalBytesSent", {}, 1, false],
    ["urn:schemas-upnp-org:service:WANPPPConnection:1", "AddPortMapping", MAPPING, 1, false],
    [`${WANIP}:1`, "addPortMapping", MAPPING, 1, false],
    [`${WANIP}:1`, "constructor", {}, 1, false],
    [`${WANIP}:1`, "__proto__", {}, 1, false],
    ["", "", {}, 2, false],
  ];
  for (const [serviceType, action, args, igd, offered] of table) {
    test(`${serviceType}#${action} of a version ${igd} gateway: ${offered}`, () => {
      const call = decodeAction(request(serviceType, action, args), igd);
      if (offered) expect(call.ok).toBe(true);
      else expect(call).toEqual({ ok: false, error: { kind: "invalidAction", about: `${serviceType}#${action}` } });
    });
  }
});

describe("outputs", () => {
  test("in the standard's order, as texts and back", () => {
    const call = decodeAction(request(`${WANIP}:1`, "GetGenericPortMappingEntry", { NewPortMappingIndex: "0" }), 1);
    if (!call.ok || call.value.action !== "GetGenericPortMappingEntry") throw new Error("not decoded");
    const outputs = {
      NewLeaseDuration: 0,
      NewRemoteHost: null,
      NewExternalPort: 8080,
      NewProtocol: "udp",
      NewInternalPort: 80,
      NewInternalClient: "192.168.1.5",
      NewEnabled: false,
      NewPortMappingDescription: "web",
    } as const;
    const texts = encodeOutputs(call.value, outputs);
    expect([...texts]).toEqual([
      ["NewRemoteHost", ""],
      ["NewExternalPort", "8080"],
      ["NewProtocol", "UDP"],
      ["NewInternalPort", "80"],
      ["NewInternalClient", "192.168.1.5"],
      ["NewEnabled", "0"],
      ["NewPortMappingDescription", "web"],
      ["NewLeaseDuration", "0"],
    ]);
    expect(decodeOutputs(call.value, texts)).toEqual({ ok: true, value: outputs });
  });
  test("a counter rolls over", () => {
    const call: ActionCall = { service: "WANCommonInterfaceConfig", action: "GetTotalBytesSent", version: 1, args: {} };
    expect(encodeOutputs(call, { NewTotalBytesSent: 2 ** 32 + 5 }).get("NewTotalBytesSent")).toBe("5");
  });
  test("a router's, in part or wrong", () => {
    const call: ActionCall = { service: "WANIPConnection", action: "GetStatusInfo", version: 1, args: {} };
    const texts = { NewConnectionStatus: "Connected", NewLastConnectionError: "", NewUptime: "17" };
    expect(decodeOutputs(call, new Map(Object.entries(texts)))).toMatchObject({
      ok: true,
      value: { ...texts, NewUptime: 17 },
    });
    expect(decodeOutputs(call, new Map())).toEqual({
      ok: false,
      error: { kind: "invalidArgs", about: "NewConnectionStatus" },
    });
  });
});

describe("the data", () => {
  for (const [name, service] of Object.entries(SERVICES) as [string, Service][]) {
    test(`${name}: each argument has a variable, each variable an argument`, () => {
      const named = Object.values(service.actions).flatMap(({ inputs, outputs }) => [
        ...Object.values(inputs),
        ...Object.values(outputs),
      ]);
      expect(new Set(named)).toEqual(new Set(Object.keys(service.variables)));
    });
  }
  test("no action name is in two services", () => {
    const names = Object.values(SERVICES).flatMap(({ actions }) => Object.keys(actions));
    expect(new Set(names).size).toBe(names.length);
  });
});
