import { describe, expect, test } from "bun:test";
import { rawStatus } from "../../../test/fixtures/raw-http.ts";
import { type MetricsServerOptions, serveMetrics } from "./server.ts";

const HERE = "127.0.0.1";
const TOKEN = "sixteen letters!";
const TEXT = "# HELP a A.\n# TYPE a gauge\na 1\n";

function started(more: Partial<MetricsServerOptions> = {}) {
  const unexpected: unknown[] = [];
  const server = serveMetrics({
    bind: HERE,
    port: 0,
    token: null,
    text: async () => TEXT,
    onUnexpected: (error) => unexpected.push(error),
    ...more,
  });
  if (!server.ok) throw new Error(server.error.message);
  const { port, close } = server.value;
  const get = (path: string, init: RequestInit = {}) => fetch(`http://${HERE}:${port}${path}`, init);
  return { port, get, unexpected, [Symbol.asyncDispose]: close };
}

describe("on a loopback address, without a token", () => {
  test("the page is answered, as Prometheus wants it", async () => {
    await using server = started();
    const answer = await server.get("/metrics");
    expect([answer.status, await answer.text()]).toEqual([200, TEXT]);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect((await server.get("/metrics", { method: "HEAD" })).status).toBe(200);
    // What it asks by its query is not looked at.
    expect((await server.get("/metrics?a=b")).status).toBe(200);
  });

  test.each([
    ["another path", "/", "GET", 404],
    ["a path below it", "/metrics/a", "GET", 404],
    ["a change", "/metrics", "POST", 405],
  ])("%s is refused", async (_what, path, method, status) => {
    await using server = started();
    const answer = await server.get(path, { method });
    expect([answer.status, (await answer.text()).includes("a 1")]).toEqual([status, false]);
  });

  test.each([
    ["127.0.0.1", 200],
    ["[::1]:9464", 200],
    ["localhost:9464", 200],
    ["evil.example:9464", 403],
    ["relay.example.com", 403],
  ])("Host %s: %p", async (host, status) => {
    await using server = started();
    expect(await rawStatus(server.port, `GET /metrics HTTP/1.1\r\nHost: ${host}`)).toBe(status);
  });
});

describe("with a token", () => {
  test.each([
    ["none", {}, 401],
    ["another", { authorization: "Bearer sixteen letters?" }, 401],
    ["the beginning of it", { authorization: "Bearer sixteen" }, 401],
    ["it with more behind", { authorization: `Bearer ${TOKEN}x` }, 401],
    ["it by another scheme", { authorization: `Basic ${TOKEN}` }, 401],
    ["it", { authorization: `Bearer ${TOKEN}` }, 200],
    ["it, the scheme in small letters", { authorization: `bearer ${TOKEN}` }, 200],
  ])("%s: %p", async (_what, headers, status) => {
    await using server = started({ token: TOKEN });
    const answer = await server.get("/metrics", { headers: { ...headers } });
    expect(answer.status).toBe(status);
    expect((await answer.text()) === TEXT).toBe(status === 200);
    expect(answer.headers.get("www-authenticate")).toBe(status === 401 ? 'Bearer realm="hatchway"' : null);
  });

  test("nothing is told without it, not even which paths there are", async () => {
    await using server = started({ token: TOKEN });
    expect((await server.get("/other")).status).toBe(401);
  });

  test("it may be called by any name", async () => {
    await using server = started({ token: TOKEN });
    const head = `GET /metrics HTTP/1.1\r\nHost: relay.example.com\r\nAuthorization: Bearer ${TOKEN}`;
    expect(await rawStatus(server.port, head)).toBe(200);
  });
});

test("a page that cannot be made is told to the log alone", async () => {
  const failure = new Error("inner workings");
  await using server = started({ text: () => Promise.reject(failure) });
  const answer = await server.get("/metrics");
  expect([answer.status, await answer.text()]).toEqual([500, "The metrics could not be read: the log says more.\n"]);
  expect(server.unexpected).toEqual([failure]);
});

test("a port that is taken is an error with its sentence", async () => {
  await using server = started();
  const second = serveMetrics({
    bind: HERE,
    port: server.port,
    token: null,
    text: async () => "",
    onUnexpected: () => {},
  });
  expect(second).toMatchObject({ ok: false, error: { kind: "inUse" } });
});
