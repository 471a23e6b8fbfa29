import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { rawStatus } from "../../../test/fixtures/raw-http.ts";

const TEXT = "# HELP a A.\n# TYPE a gauge\na 1\n";
let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab({ metrics: async () => TEXT });
});
afterEach(() => lab.close());

describe("/metrics", () => {
  test("is for an administrator's token that may read", async () => {
    const answer = await lab.fetch("/metrics", { headers: lab.token("ada", "read") });
    expect([answer.status, await answer.text()]).toEqual([200, TEXT]);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test.each<[string, () => Record<string, string>, number]>([
    ["nobody", () => ({}), 401],
    ["a wrong token", () => ({ authorization: "Bearer nothing-of-ours" }), 401],
    [
      "a wrong token beside an administrator's cookie",
      () => ({ ...lab.session("ada"), authorization: "Bearer x" }),
      401,
    ],
    ["an administrator's page", () => lab.session("ada"), 403],
    ["a user's token", () => lab.token("uwe", "all"), 403],
    ["a viewer's token", () => lab.token("vera", "read"), 403],
    ["a token without a scope", () => lab.token("ada"), 403],
  ])("is refused to %s", async (_who, headers, status) => {
    const answer = await lab.fetch("/metrics", { headers: headers() });
    expect([answer.status, (await answer.text()).includes("a 1")]).toEqual([status, false]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
  });

  test("is refused at a name that is not ours, as everything", async () => {
    const { authorization = "" } = lab.token("ada", "read");
    const ask = (host: string) =>
      rawStatus(lab.port, `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${authorization}`);
    expect([await ask(`${HERE}:${lab.port}`), await ask(`evil.example:${lab.port}`)]).toEqual([200, 421]);
  });

  test("is read only", async () => {
    const answer = await lab.send("POST", "/metrics", lab.token("ada", "all"), {});
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("is no route of the API's document", async () => {
    expect(Object.keys(lab.api.document.paths ?? {}).filter((path) => path.includes("metrics"))).toEqual([]);
  });
});

test("a server without metrics has no such page", async () => {
  await using stack = new AsyncDisposableStack();
  const without = new ApiLab();
  stack.defer(() => without.close());
  const answer = await without.fetch("/metrics", { headers: without.token("ada", "read") });
  expect((await answer.text()).includes("a 1")).toBe(false);
});
