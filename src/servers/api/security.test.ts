import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { rawStatus } from "../../../test/fixtures/raw-http.ts";
import { ApiFailure, type FailureKind } from "./backend.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

describe("a body", () => {
  const large = (bytes: number) => JSON.stringify({ name: "n".repeat(bytes) });
  const headers = () => ({ ...lab.token("uwe", "all"), "content-type": "application/json" });
  const stream = (text: string) => new Response(text).body ?? "";

  test("of more than 256 KiB is not read", async () => {
    const response = await lab.fetch("/v1/join-codes", { method: "POST", headers: headers(), body: large(300_000) });
    expect([response.status, response.headers.get("content-type")]).toEqual([413, "application/problem+json"]);
  });
  test("of more than 256 KiB is not read when it does not say so", async () => {
    const response = await lab.fetch("/v1/join-codes", {
      method: "POST",
      headers: headers(),
      body: stream(large(300_000)),
    });
    expect(response.status).toBe(413);
  });
  test("of many megabytes is cut off", async () => {
    const status = await rawStatus(
      lab.port,
      `POST /v1/join-codes HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nContent-Length: 1000000000`,
    );
    expect(status).toBe(413);
  });
  test("of 200 KiB is read, and its fields are too long", async () => {
    const response = await lab.fetch("/v1/join-codes", { method: "POST", headers: headers(), body: large(200_000) });
    expect(response.status).toBe(400);
  });
  test("that is packed is not unpacked", async () => {
    const response = await lab.fetch("/v1/join-codes", {
      method: "POST",
      headers: { ...headers(), "content-encoding": "gzip" },
      body: Bun.gzipSync(large(10)),
    });
    expect(response.status).toBe(415);
  });
  test("of another form is not taken, as forms of other sites send it", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]) {
      const response = await lab.fetch("/v1/join-codes", {
        method: "POST",
        headers: { ...headers(), "content-type": type },
        body: '{"name":"nas"}',
      });
      expect(response.status).toBe(415);
    }
  });
  test("that is not UTF-8 is not JSON", async () => {
    const body = Uint8Array.of(0x22, 0xff, 0x22);
    expect((await lab.fetch("/v1/join-codes", { method: "POST", headers: headers(), body })).status).toBe(400);
  });
  test("with __proto__ changes no object", async () => {
    const body = '{"name":"nas","__proto__":{"ports":"1"}}';
    expect((await lab.fetch("/v1/join-codes", { method: "POST", headers: headers(), body })).status).toBe(400);
  });
  test("with a password is not told back", async () => {
    const response = await lab.fetch("/v1/session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"name":"ada","password":"hunter2hunter2"',
    });
    expect([response.status, await response.text()]).toEqual([400, expect.not.stringContaining("hunter2")]);
  });
});

describe("a path", () => {
  const rows: readonly (readonly [line: string, status: number])[] = [
    ["GET /v1/forwards/f-1", 200],
    ["GET /v1/forwards/f%2D1", 200],
    ["GET /v1/x/../forwards/f-1", 200],
    ["GET /v1/x/%2e%2e/forwards/f-1", 200],
    // Otto's, whatever it is written like.
    ["GET /v1/forwards/f-2", 404],
    ["GET /v1/forwards/f-1/../f-2", 404],
    ["GET /v1/forwards/f-1%2F..%2Ff-2", 404],
    ["GET /v1/forwards/f-1%2Fcheck", 404],
    ["GET /v1/forwards/f-1;/f-2", 404],
    ["GET //v1/forwards/f-1", 404],
    ["GET /v1//forwards/f-1", 404],
    ["GET /v1/forwards/f-1/", 404],
    ["GET /V1/forwards/f-1", 404],
    ["GET /v1/forwards/f-1.json", 404],
    ["GET /v1/forwards/..%5c..%5cf-1", 404],
    ["GET /v1/forwards/%00", 400],
    ["GET /v1/forwards/f-1%0d%0aSet-Cookie:%20a=b", 400],
    ["GET /v1/forwards/%zz", 400],
    ["GET /v1/forwards/%c0%ae", 400],
    [`GET /v1/forwards/${"x".repeat(600)}`, 404],
    [`GET /v1/forwards/${"x".repeat(9_000)}`, 414],
    [`GET /v1/forwards/${"x".repeat(40_000)}`, 431],
    ["GET http://evil.example/v1/forwards/f-1", 200],
    ["TRACE /v1/forwards/f-1", 405],
    ["CONNECT evil.example:80", 400],
    ["OPTIONS /v1/forwards/f-1", 405],
    ["PUT /v1/forwards/f-1", 405],
    ["GET /../../etc/passwd", 404],
    ["GET /assets/%2e%2e/%2e%2e/etc/passwd", 404],
    ["GET /assets/..%2findex.html", 404],
  ];
  for (const [line, status] of rows) {
    test(`${line.slice(0, 60)}: ${status}`, async () => {
      const { authorization = "" } = lab.token("uwe", "read");
      const head = `${line} HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nAuthorization: ${authorization}`;
      expect([await rawStatus(lab.port, head), lab.unexpected]).toEqual([status, []]);
    });
  }

  for (const [count, status] of [
    [80, 401],
    [3_000, 431],
  ] as const) {
    test(`with ${count} headers: ${status}`, async () => {
      const head = `GET /v1/me HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\n${"x: y\r\n".repeat(count)}Z: z`;
      expect(await rawStatus(lab.port, head)).toBe(status);
    });
  }
});

test("every answer forbids what it does not need, and says nothing of the program", async () => {
  const paths = ["/", "/devices", "/assets/app-0a1b2c3d.js", "/none.js", "/openapi.json", "/docs/api", "/docs/api.css"];
  for (const path of [...paths, "/v1/me", "/v1/none", "/v1/setup", "/v1/forwards/%00"]) {
    const { headers } = await lab.fetch(path);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect([
      headers.get("x-content-type-options"),
      headers.get("referrer-policy"),
      headers.get("cross-origin-opener-policy"),
      headers.get("cross-origin-resource-policy"),
      headers.get("permissions-policy")?.includes("camera=()"),
      headers.get("server"),
      headers.get("x-powered-by"),
      headers.get("access-control-allow-origin"),
      headers.get("strict-transport-security"),
    ]).toEqual(["nosniff", "no-referrer", "same-origin", "same-origin", true, null, null, null, null]);
    if (path.startsWith("/v1")) expect(headers.get("cache-control")).toBe("no-store");
  }
});

test("markup in a name comes back as JSON, which no browser takes for a page", async () => {
  const name = `<script>alert(1)</script>"'&`;
  const body = { device: "den", ports: "8840", name };
  const made = await lab.send("POST", "/v1/forwards", lab.session("uwe"), body);
  const { id } = (await made.json()) as { id: string };
  const shown = await lab.fetch(`/v1/forwards/${id}`, { headers: { ...lab.session("uwe"), accept: "text/html" } });
  expect([shown.headers.get("content-type"), shown.headers.get("x-content-type-options")]).toEqual([
    "application/json",
    "nosniff",
  ]);
  expect(await shown.json()).toMatchObject({ name });
  const problem = await lab.fetch("/v1/forwards?limit=<img src=x onerror=alert(1)>", { headers: lab.session("uwe") });
  expect(problem.headers.get("content-type")).toBe("application/problem+json");
});

describe("what a backend refuses", () => {
  const kinds: Readonly<Record<FailureKind, readonly [number, string]>> = {
    invalid: [400, "about:blank"],
    unauthorized: [401, "about:blank"],
    totp: [401, "urn:hatchway:totp-needed"],
    setup: [403, "urn:hatchway:setup-needed"],
    forbidden: [403, "about:blank"],
    "not-found": [404, "about:blank"],
    conflict: [409, "urn:hatchway:port-conflict"],
    changed: [412, "urn:hatchway:changed"],
    limited: [429, "about:blank"],
    unavailable: [503, "about:blank"],
    storage: [507, "about:blank"],
  };
  for (const [kind, [status, type]] of Object.entries(kinds)) {
    test(`${kind}: ${status}`, async () => {
      const errors = [{ path: "ports", message: "Taken." }];
      lab.failure = new ApiFailure(kind as FailureKind, "Do this.", { errors, retryAfterSec: 2.5 });
      const response = await lab.fetch("/v1/overview", { headers: lab.session("uwe") });
      expect(response.headers.get("retry-after")).toBe("3");
      expect(await response.json()).toEqual({ type, title: expect.any(String), status, detail: "Do this.", errors });
      expect([response.status, lab.unexpected]).toEqual([status, []]);
    });
  }

  test("in another way is our fault: 500, told to the log alone", async () => {
    for (const failure of [new Error("secret at /var/lib"), "text", null]) {
      lab.unexpected.length = 0;
      lab.failure = failure ?? { toString: () => "secret" };
      const response = await lab.fetch("/v1/overview", { headers: lab.session("uwe") });
      expect([response.status, await response.text(), lab.unexpected.length]).toEqual([
        500,
        expect.not.stringMatching(/secret|text"|at \//),
        1,
      ]);
    }
  });
});
