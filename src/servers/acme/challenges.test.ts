import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChallengeServer, serveChallenges } from "./challenges.ts";

const HOME = "https://console.example.com:7780/";
const TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
const PATH = "/.well-known/acme-challenge/";
let server: ChallengeServer;
beforeAll(() => {
  const served = serveChallenges({ bind: "127.0.0.1", port: 0, homeUrl: () => HOME });
  if (!served.ok) throw new Error(served.error.message);
  server = served.value;
});
afterAll(() => server.close());

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${server.port}${path}`, { redirect: "manual", ...init });

test("a token is answered while it is published, and only then", async () => {
  expect((await ask(PATH + TOKEN)).status).toBe(404);
  const unpublish = server.publish(TOKEN, `${TOKEN}.thumb`);
  const response = await ask(PATH + TOKEN);
  expect([response.status, await response.text()]).toEqual([200, `${TOKEN}.thumb`]);
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
  unpublish();
  expect((await ask(PATH + TOKEN)).status).toBe(404);
});

test.each([
  ["the root", "/"],
  ["a path", "/v1/forwards?x=1"],
  ["no token", PATH],
  ["a short token", `${PATH}abc`],
  ["a token with more behind it", `${PATH}${TOKEN}/..`],
  ["a token with markup", `${PATH}${"a".repeat(30)}%3Cb%3E`],
  ["a way to another host", "//elsewhere.example.com/"],
])("%s is sent to the console, whatever it asked for", async (_name, path) => {
  const response = await ask(path, { headers: { host: "elsewhere.example.com" } });
  expect([response.status, response.headers.get("location"), await response.text()]).toEqual([308, HOME, ""]);
  // A redirect that is permanent and kept would outlast the console's place.
  expect(response.headers.get("cache-control")).toBe("no-store");
});

test.each(["POST", "PUT", "DELETE", "OPTIONS"])("%s is refused", async (method) => {
  expect((await ask("/", { method })).status).toBe(405);
});

test("a port that is taken is told", () => {
  using other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const second = serveChallenges({ bind: "127.0.0.1", port: other.port, homeUrl: () => HOME });
  expect(second).toMatchObject({ ok: false, error: { kind: "inUse" } });
});
