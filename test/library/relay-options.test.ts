import { describe, expect, test } from "bun:test";
import { openRelay } from "../../src/index.ts";
import { HatchwayError } from "../../src/library/error.ts";
import type {
  ConnectOptions,
  ExposeOptions,
  ListenOptions,
  SocksOptions,
  VisitorHandlers,
} from "../../src/library/hatchway.d.ts";
import { destinationOf, exposeSpecOf, handlersOf, listenSpecOf, socksSpecOf } from "../../src/library/relay-options.ts";
import { encodeDeviceIdentity } from "../../src/wire/device-identity.ts";

const IN_APP: VisitorHandlers = { socket: () => undefined };

function usageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HatchwayError && error.kind === "usage") return error.message;
    throw error;
  }
  return "taken";
}

test("every option of expose arrives", () => {
  const { remote, to } = exposeSpecOf(
    {
      ports: "8443:443",
      to: "web",
      name: "shop",
      group: "web",
      allow: ["192.0.2.0/24"],
      deny: ["192.0.2.7"],
      connections: 100,
      connectionsPerSource: 10,
      newPerSource: 5,
      bandwidth: "1 MB/s",
      idleSec: 60,
      udpIdleSec: 30,
      lifetimeSec: null,
      proxyProtocol: "v2",
      healthCheck: 20,
    },
    null,
  );
  expect(to).toBe("web");
  expect(remote).toMatchObject({
    id: "expose/shop",
    name: "shop",
    group: "web",
    lifetimeSec: null,
    ports: [{ protocol: "tcp", first: 8443, last: 8443, internalFirst: 443 }],
    options: {
      limits: { connections: 100, connectionsPerSource: 10, newPerSourcePerSec: 5, bandwidthBytesPerSec: 1_000_000 },
      proxyProtocol: "v2",
      tcpIdleSec: 60,
      udpIdleSec: 30,
      healthCheck: { intervalSec: 20 },
    },
  });
  expect([remote.options.source.allow.length, remote.options.source.deny.length]).toEqual([1, 1]);
});

test("local ports without a name are each their own", () => {
  const idOf = (name?: string) =>
    listenSpecOf({ port: 0, to: "db:1", ...(name === undefined ? {} : { name }) }).local.id;
  expect(idOf()).not.toBe(idOf());
  expect(idOf("db")).toBe(idOf("db"));
});

test("an id is the same on every run, and another for other ports", () => {
  const idOf = (ports: string) => exposeSpecOf({ ports }, IN_APP).remote.id;
  expect(idOf("80")).toBe("expose/2789308217044a80");
  expect(idOf("80")).not.toBe(idOf("81"));
});

test("listen and socks leave at the relay unless they say otherwise", () => {
  const { local } = listenSpecOf({ port: "*:8080", to: "db:5432" });
  expect(local).toMatchObject({ type: "local", bind: "*", to: "db", via: { kind: "relay" } });
  const proxy = socksSpecOf({ port: 1080, via: "agent:web1", username: "me", password: "secret" }).local;
  expect(proxy).toMatchObject({
    type: "dynamic",
    bind: "127.0.0.1",
    via: { kind: "agent", device: "web1" },
    credentials: { username: "me", password: "secret" },
  });
  expect(destinationOf({ host: "DB.example", port: 5432, via: "agent:web1" })).toEqual({
    via: { kind: "agent", device: "web1" },
    to: { host: "db.example", port: 5432 },
  });
});

test("where certificates are not checked at all nothing begins", async () => {
  const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  try {
    const key = encodeDeviceIdentity({
      relay: { host: "127.0.0.1", port: 1 },
      trust: "public-ca",
      fingerprint: null,
      deviceName: "app",
      seed: new Uint8Array(32),
    });
    const failure = await openRelay({ key }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "usage", message: expect.stringContaining("NODE_TLS_REJECT_UNAUTHORIZED") });
  } finally {
    if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
  }
});

describe("refused in one sentence that names the option", () => {
  const expose = (options: object, handlers: VisitorHandlers | null = null) =>
    exposeSpecOf({ ports: 80, ...options } as ExposeOptions, handlers);
  test.each<[string, () => unknown, string]>([
    ["no ports", () => exposeSpecOf({} as ExposeOptions, IN_APP), "ports"],
    ["ports", () => expose({ ports: "80-" }), "ports"],
    ["an unknown option", () => expose({ port: 80 }), "ports"],
    ["a name", () => expose({ name: "" }), "name"],
    ["a network", () => expose({ allow: ["here"] }), "allow"],
    ["a time", () => expose({ idleSec: 0 }), "idleSec"],
    ["a lifetime", () => expose({ lifetimeSec: 0.5 }), "lifetimeSec"],
    ["a limit", () => expose({ connectionsPerSource: 0 }), "connectionsPerSource"],
    ["a service beside a function", () => expose({ to: "web" }, IN_APP), "to is for a service"],
    ["a health check of the app itself", () => expose({ healthCheck: true }, IN_APP), "healthCheck"],
    ["a signal", () => expose({ signal: "stop" }), "signal"],
    ["a target", () => listenSpecOf({ port: 80, to: "5432" }), "to"],
    ["a way", () => listenSpecOf({ port: 80, to: "db:1", via: "web1" } as unknown as ListenOptions), "via"],
    ["a password alone", () => socksSpecOf({ port: 80, password: "secret" }), "username and password"],
    ["a range of proxies", () => socksSpecOf({ port: "80-81" } as SocksOptions), "port"],
    ["a host", () => destinationOf({ host: "a b", port: 80 }), "host"],
    ["a port to connect to", () => destinationOf({ host: "db", port: 0 }), "port"],
    ["a way to connect", () => destinationOf({ host: "db", port: 1, via: "web" } as unknown as ConnectOptions), "via"],
    ["UDP ports without a function", () => expose({ ports: "80,90/udp" }, IN_APP), "{ flow: … }"],
    ["TCP ports without a function", () => expose({ protocol: "tcp+udp" }, { flow: () => undefined }), "{ socket: … }"],
    ["no function at all", () => handlersOf({}), "visitors"],
    ["what is no function", () => handlersOf({ socket: "x" }), "visitors"],
    ["what is neither", () => handlersOf("x"), "visitors"],
    ["a function that there is not", () => handlersOf({ connection: () => undefined }), "visitors"],
    ["no options", () => listenSpecOf(undefined as unknown as ListenOptions), "options"],
    ["no options of a proxy", () => socksSpecOf(80 as unknown as SocksOptions), "options"],
    ["no options of a connection", () => destinationOf([] as unknown as ConnectOptions), "options"],
    ["another option", () => destinationOf({ host: "db", port: 1, ports: 2 } as ConnectOptions), "ports"],
  ])("%s", (_what, act, named) => {
    const message = usageOf(act);
    expect(message).toContain(named);
    expect(message).toMatch(/^[^\n]+[.?]$/);
  });
});
