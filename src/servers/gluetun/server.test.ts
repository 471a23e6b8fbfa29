import { describe, expect, test } from "bun:test";
import { serveGluetun } from "./server.ts";

const KEY = "sixteen letters!";

function started(
  options: {
    readonly ports?: readonly number[];
    readonly apiKey?: string;
    readonly bind?: string;
    readonly hosts?: readonly string[];
  } = {},
) {
  const { ports = [51413, 60000], apiKey = null, bind = "127.0.0.1", hosts = [] } = options;
  const server = serveGluetun({ bind, port: 0, apiKey, hosts, ports: () => ports });
  if (!server.ok) throw new Error(server.error.message);
  const { port, close } = server.value;
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, { redirect: "manual", ...init });
  return { port, ask, [Symbol.asyncDispose]: close };
}

test.each<[string, string, number[], string]>([
  ["several", "/v1/portforward", [51413, 60000], '{"port":51413,"ports":[51413,60000]}'],
  ["one", "/v1/portforward", [51413], '{"port":51413,"ports":[51413]}'],
  ["none", "/v1/portforward", [], '{"port":0,"ports":[]}'],
  ["a slash at the end", "/v1/portforward/", [80], '{"port":80,"ports":[80]}'],
  ["the older path", "/v1/openvpn/portforwarded", [80], '{"port":80,"ports":[80]}'],
])("the ports: %s", async (_what, path, ports, body) => {
  await using server = started({ ports });
  const response = await server.ask(path);
  expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
    200,
    "application/json;charset=utf-8",
    body,
  ]);
});

test.each<[string, string, RequestInit, number]>([
  ["another path", "/v1/vpn/status", {}, 404],
  ["the root", "/", {}, 404],
  ["more than the path", "/v1/portforward/x", {}, 404],
  ["gluetun's PUT, which would set ports", "/v1/portforward", { method: "PUT", body: '{"ports":[1]}' }, 405],
  ["POST", "/v1/portforward", { method: "POST" }, 405],
  ["DELETE of the older path", "/v1/openvpn/portforwarded", { method: "DELETE" }, 405],
])("refused: %s", async (_what, path, init, status) => {
  await using server = started();
  const response = await server.ask(path, init);
  expect(response.status).toBe(status);
  expect(await response.text()).not.toContain("51413");
});

describe("the key", () => {
  test.each<[string, Record<string, string>, number]>([
    ["none", {}, 401],
    ["an empty one", { "x-api-key": "" }, 401],
    ["a wrong one", { "x-api-key": "sixteen letters?" }, 401],
    ["a part of it", { "x-api-key": "sixteen" }, 401],
    ["the right one", { "X-API-Key": KEY }, 200],
    ["somewhere else", { authorization: `Bearer ${KEY}` }, 401],
  ])("%s", async (_what, headers, status) => {
    await using server = started({ apiKey: KEY });
    expect((await server.ask("/v1/portforward", { headers })).status).toBe(status);
  });

  test("not in the URL, where logs and histories would keep it", async () => {
    await using server = started({ apiKey: KEY });
    expect((await server.ask(`/v1/portforward?api_key=${encodeURIComponent(KEY)}`)).status).toBe(401);
  });

  test.each(["0.0.0.0", "*", "192.0.2.1", "example.com", "::", "2002:7f00:1::"])("needed on %s", (bind) => {
    expect(() => serveGluetun({ bind, port: 0, apiKey: null, hosts: [], ports: () => [] })).toThrow();
  });

  test("every address, with a key", async () => {
    await using server = started({ apiKey: KEY, bind: "*" });
    expect((await server.ask("/v1/portforward", { headers: { "x-api-key": KEY } })).status).toBe(200);
  });
});

test.each<[string, boolean]>([
  ["gateway:{port}", true],
  ["Gateway", true],
  ["gateway.example", false],
  ["127.0.0.1:{port}", true],
  ["127.0.0.1", true],
  ["localhost:{port}", true],
  ["LOCALHOST", true],
  ["[::1]:{port}", true],
  ["192.168.1.1:8000", true],
  ["rebound.example:{port}", false],
  ["localhost.example", false],
  ["127.0.0.1.nip.io", false],
  ["localhost.", false],
  ["0x7f.1", false],
  ["127.1", false],
  ["", false],
  ["*", false],
  ["127.0.0.1:{port}@evil.example", false],
])("Host %p", async (host, allowed) => {
  await using server = started({ hosts: ["gateway"] });
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data: (_socket, bytes) => {
        text += bytes.toString();
      },
      close: () => resolve(text),
    },
  });
  const value = host.replace("{port}", `${server.port}`);
  socket.write(`GET /v1/portforward HTTP/1.1\r\nHost: ${value}\r\nConnection: close\r\n\r\n`);
  const answer = await promise;
  expect(answer.includes("51413")).toBe(allowed);
  expect(answer).toMatch(allowed ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 40[03] /);
});

test("a port that is taken is an error with its sentence", async () => {
  await using server = started();
  const second = serveGluetun({ bind: "127.0.0.1", port: server.port, apiKey: null, hosts: [], ports: () => [] });
  expect(second).toMatchObject({ ok: false, error: { kind: "inUse" } });
});
