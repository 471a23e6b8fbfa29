import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { CONTROL_REPLY_SAMPLES } from "../../../test/fixtures/igd/routers.ts";
import { after } from "../../os/timers.ts";
import type { ActionCall } from "../../wire/igd/actions.ts";
import { newHttpRequestReader } from "../../wire/igd/http.ts";
import { decodePortListing } from "../../wire/igd/port-listing.ts";
import { Transport, zoned } from "./transport.ts";

/** What people's routers and miniupnpd answered, on a connection. */
const RECORDED = join(import.meta.dir, "../../../test/fixtures/igd/miniupnpd-2.3.1");
const servers = new Set<Server>();
const { signal } = new AbortController();
const GATEWAY = { family: 4, address: "127.0.0.1", interfaceName: "lo", ownAddress: "127.0.0.1", metric: 0 } as const;

afterEach(() => {
  for (const server of servers) server.close();
  servers.clear();
});

/** Answers every request with these bytes, and ends. Resolves with what was asked. */
async function replaying(reply: Uint8Array) {
  const asked = Promise.withResolvers<ReadonlyMap<string, string>>();
  const server = createServer((socket) => {
    const reader = newHttpRequestReader();
    socket.on("error", () => {});
    socket.on("data", (bytes: Uint8Array) => {
      const read = reader.push(bytes);
      if (!read.ok) throw new Error(`status ${read.error.status}`);
      if (read.value === null) return;
      asked.resolve(read.value.headers);
      socket.end(reply);
    });
  });
  servers.add(server);
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const url = { address: "127.0.0.1", port: address.port, path: "/ctl/IPConn" };
  const transport = new Transport({ gateway: GATEWAY, after });
  return {
    transport,
    url,
    asked: asked.promise,
    control: { url, type: "urn:schemas-upnp-org:service:WANIPConnection:1" },
  };
}

const key = { NewRemoteHost: null, NewExternalPort: 8080, NewProtocol: "tcp" } as const;
const mapping = {
  ...key,
  NewInternalPort: 80,
  NewInternalClient: "127.0.0.1",
  NewEnabled: true,
  NewPortMappingDescription: "",
  NewLeaseDuration: 60,
};
const pinhole = {
  RemoteHost: null,
  RemotePort: 0,
  InternalClient: "::1",
  InternalPort: 80,
  Protocol: 6,
  LeaseTime: 60,
};
const WANIP = { service: "WANIPConnection", version: 1 } as const;
const FIREWALL = { service: "WANIPv6FirewallControl", version: 1 } as const;
const range = {
  NewStartPort: 0,
  NewEndPort: 65_535,
  NewProtocol: "tcp",
  NewManage: true,
  NewNumberOfPorts: 9,
} as const;
const CALLS: ReadonlyMap<string, ActionCall> = new Map(
  (
    [
      { ...WANIP, action: "AddPortMapping", args: mapping },
      { ...WANIP, action: "DeletePortMapping", args: key },
      { ...WANIP, action: "GetExternalIPAddress", args: {} },
      { ...WANIP, action: "GetSpecificPortMappingEntry", args: key },
      { ...WANIP, action: "GetGenericPortMappingEntry", args: { NewPortMappingIndex: 0 } },
      { ...WANIP, action: "GetListOfPortMappings", args: range },
      { ...WANIP, action: "GetStatusInfo", args: {} },
      { ...FIREWALL, action: "AddPinhole", args: pinhole },
      { ...FIREWALL, action: "CheckPinholeWorking", args: { UniqueID: 1 } },
      { ...FIREWALL, action: "DeletePinhole", args: { UniqueID: 1 } },
    ] as const
  ).map((call) => [call.action, call]),
);

function callOf(action: string): ActionCall {
  const call = CALLS.get(action);
  if (call === undefined) throw new Error(action);
  return call;
}

test.each(CONTROL_REPLY_SAMPLES.map((sample) => [sample.name, sample] as const))("%s", async (_name, sample) => {
  const { transport, control } = await replaying(Buffer.from(sample.reply, "latin1"));
  const answered = await transport.callForTexts(control, callOf(sample.action), signal);
  if (sample.code === null) expect(answered.ok).toBe(true);
  else expect(answered).toMatchObject({ ok: false, error: { kind: "fault", fault: { code: sample.code } } });
});

describe("miniupnpd 2.3.1", () => {
  const table: readonly (readonly [recording: string, action: string, expected: object | number])[] = [
    ["add", "AddPortMapping", {}],
    ["add-conflict", "AddPortMapping", 718],
    ["add-not-authorized", "AddPortMapping", 606],
    ["delete-none", "DeletePortMapping", {}],
    ["external", "GetExternalIPAddress", { NewExternalIPAddress: "9.9.9.9" }],
    [
      "specific",
      "GetSpecificPortMappingEntry",
      {
        NewInternalPort: 8090,
        NewInternalClient: "192.168.77.2",
        NewEnabled: true,
        NewPortMappingDescription: "Hatchway <web>",
        NewLeaseDuration: 60,
      },
    ],
    ["specific-lease-0", "GetSpecificPortMappingEntry", { NewInternalPort: 8084, NewLeaseDuration: 604_799 }],
    ["specific-none", "GetSpecificPortMappingEntry", 714],
    ["generic-end", "GetGenericPortMappingEntry", 713],
    ["status", "GetStatusInfo", { NewConnectionStatus: "Connected", NewUptime: 4 }],
    ["pin", "AddPinhole", { UniqueID: 1 }],
    ["pin-check-unused", "CheckPinholeWorking", 709],
    ["pin-delete-none", "DeletePinhole", 402],
  ];
  test.each(table)("%s", async (recording, action, expected) => {
    const { transport, control } = await replaying(readFileSync(join(RECORDED, `${recording}.http`)));
    const answered = await transport.call(control, callOf(action), signal);
    if (typeof expected === "number")
      expect(answered).toMatchObject({ ok: false, error: { fault: { code: expected } } });
    else expect(answered).toMatchObject({ ok: true, value: expected });
  });

  test("list", async () => {
    const { transport, control } = await replaying(readFileSync(join(RECORDED, "list.http")));
    const answered = await transport.callForTexts(control, callOf("GetListOfPortMappings"), signal);
    const rows = decodePortListing(answered.ok ? (answered.value.get("NewPortListing") ?? "") : "");
    expect(rows.ok && rows.value.map(({ externalPort }) => externalPort)).toEqual([8080, 8081]);
  });

  test("description", async () => {
    const { transport, url } = await replaying(readFileSync(join(RECORDED, "description.http")));
    expect(await transport.describe(url, signal)).toMatchObject({ ok: true, value: { manufacturer: "Debian" } });
  });
});

test("what a router sees of who asks", async () => {
  const { transport, control, asked } = await replaying(readFileSync(join(RECORDED, "external.http")));
  await transport.callForTexts(control, callOf("GetExternalIPAddress"), signal);
  const headers = await asked;
  expect(Object.fromEntries(headers)).toEqual({
    host: `127.0.0.1:${control.url.port}`,
    "user-agent": expect.stringMatching(/^Hatchway\/\S+ UPnP\/1\.1$/),
    "content-type": 'text/xml; charset="utf-8"',
    soapaction: '"urn:schemas-upnp-org:service:WANIPConnection:1#GetExternalIPAddress"',
    "content-length": expect.stringMatching(/^\d+$/),
    connection: "close",
  });
});

test.each([
  ["192.168.1.1", "192.168.1.1"],
  ["169.254.1.1", "169.254.1.1"],
  ["2001:db8::1", "2001:db8::1"],
  ["fe80::1", "fe80::1%eth0"],
])("the address %s for a socket: %s", (address, expected) => {
  expect(zoned(address, "eth0")).toBe(expected);
});
