import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { certificateZoo } from "../../../test/fixtures/certificates.ts";
import { RawConnection, rawStatus } from "../../../test/fixtures/raw-http.ts";
import { type Cidr, compileCidrs } from "../../wire/address.ts";
import { ApiFailure, type FailureKind } from "./backend.ts";
import { FAKE_OVERVIEW } from "./fake-data.ts";
import { API_LIMITS } from "./options.ts";
import { CSRF_HEADER } from "./protocol.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const SLOW = 200;
/** Bun gives a head 10 to 12 s: they begin before all other tests, and are looked at in the last. */
const slowLab = new ApiLab({}, { idleSec: 1 });
const slow: RawConnection[] = [];
beforeAll(async () => {
  const head = `GET /v1/me HTTP/1.1\r\nHost: ${HERE}:${slowLab.port}\r\nX-Slow: `;
  // After an answer, on the same connection.
  const later = new RawConnection(slowLab.port);
  const { authorization = "" } = slowLab.token("uwe", "read");
  later.write(`GET /v1/me HTTP/1.1\r\nHost: ${HERE}:${slowLab.port}\r\nAuthorization: ${authorization}\r\n\r\n`);
  await later.until("}");
  later.write(head);
  slow.push(later);
  for (let count = 0; count < SLOW; count++) {
    const connection = new RawConnection(slowLab.port);
    connection.write(head + "a".repeat(count % 7));
    slow.push(connection);
  }
});
afterAll(() => slowLab.close());

const DRAFT = { name: "nas" };
const joinCode = (headers: Record<string, string>) => lab.send("POST", "/v1/join-codes", headers, DRAFT);

describe("Host", () => {
  const rows: readonly (readonly [name: string, host: (port: number) => string, status: number])[] = [
    ["an address of ours", (port) => `Host: ${HERE}:${port}`, 401],
    ["a name of ours, in capitals", (port) => `Host: RELAY.example:${port}`, 401],
    ["another's name that leads here", (port) => `Host: evil.example:${port}`, 421],
    ["a name that begins with ours", (port) => `Host: relay.example.evil.example:${port}`, 421],
    ["another port", () => `Host: ${HERE}:1`, 421],
    ["no port", () => `Host: ${HERE}`, 421],
    ["none", () => "X-Nothing: 1", 400],
    ["an empty one", () => "Host:", 421],
    ["two", (port) => `Host: ${HERE}:${port}\r\nHost: evil.example`, 421],
    ["one with a path", (port) => `Host: ${HERE}:${port}/v1`, 421],
    ["one with a space", (port) => `Host: ${HERE}:${port} evil.example`, 421],
    ["one with a user", (port) => `Host: evil.example@${HERE}:${port}`, 421],
    ["only X-Forwarded-Host", (port) => `Host: evil.example\r\nX-Forwarded-Host: ${HERE}:${port}`, 421],
  ];
  for (const [name, host, status] of rows) {
    test(`${name}: ${status}`, async () => {
      expect(await rawStatus(lab.port, `GET /v1/me HTTP/1.1\r\n${host(lab.port)}`)).toBe(status);
    });
  }

  test("the page and its files ask for it as well", async () => {
    for (const path of ["/", "/openapi.json", "/docs/api", "/assets/app-0a1b2c3d.js"]) {
      expect(await rawStatus(lab.port, `GET ${path} HTTP/1.1\r\nHost: evil.example`)).toBe(421);
    }
  });
});

describe("a change by cookie", () => {
  const other = (origin: string) => ({ origin });
  const rows: readonly (readonly [name: string, change: (lab: ApiLab) => Record<string, string>, status: number])[] = [
    ["from a page of ours", () => ({}), 201],
    ["as Sec-Fetch-Site alone says", () => ({ origin: "", "sec-fetch-site": "same-origin" }), 201],
    ["of which the browser says nothing", () => ({ origin: "" }), 403],
    ["of an opaque origin", () => other("null"), 403],
    ["from another site", () => other("https://evil.example"), 403],
    ["from another port of our name, where somebody's service is", () => other(`http://${HERE}:1`), 403],
    ["from our port of another name", (one) => other(`http://evil.example:${one.port}`), 403],
    ["from a name that begins with ours", (one) => other(`${one.url}.evil.example`), 403],
    ["from a user at another site", (one) => other(`${one.url}@evil.example`), 403],
    ["from a file", (one) => other(`file://${HERE}:${one.port}`), 403],
    ["with two origins", (one) => other(`${one.url}, https://evil.example`), 403],
    ["from the same site, not the same origin", () => ({ "sec-fetch-site": "same-site" }), 403],
    ["from another site, by Sec-Fetch-Site", () => ({ "sec-fetch-site": "cross-site" }), 403],
    ["that somebody typed", () => ({ "sec-fetch-site": "none" }), 403],
    ["without the CSRF token", () => ({ [CSRF_HEADER]: "" }), 403],
    ["with a wrong CSRF token", () => ({ [CSRF_HEADER]: "csrf-0" }), 403],
    [
      "with the CSRF token of another session",
      (one) => ({ [CSRF_HEADER]: one.backend.access.begin("ada").session.csrf }),
      403,
    ],
  ];
  for (const [name, change, status] of rows) {
    test(`${name}: ${status}`, async () => {
      const headers = { ...lab.session("uwe"), ...change(lab) };
      const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ""));
      const response = await joinCode(sent);
      expect([response.status, lab.calls]).toEqual([status, status === 201 ? ["relay.makeJoinCode"] : []]);
    });
  }

  test("by a token needs neither", async () => {
    expect((await joinCode(lab.token("uwe", "all"))).status).toBe(201);
  });
});

test("another site cannot sign its visitors in as somebody else", async () => {
  const body = { name: "ada", password: "a long password" };
  const signIn = async (headers: Record<string, string>) =>
    (await lab.send("POST", "/v1/session", headers, body)).status;
  expect([
    await signIn({}),
    await signIn({ origin: lab.url, "sec-fetch-site": "same-origin" }),
    await signIn({ origin: "https://evil.example" }),
    await signIn({ "sec-fetch-site": "cross-site" }),
  ]).toEqual([201, 201, 403, 403]);
});

describe("a look by cookie", () => {
  for (const [site, status] of [
    ["same-origin", 200],
    ["none", 200],
    ["same-site", 403],
    ["cross-site", 403],
  ] as const) {
    test(`${site}: ${status}`, async () => {
      const headers = { ...lab.session("uwe"), "sec-fetch-site": site };
      expect((await lab.fetch("/v1/forwards", { headers })).status).toBe(status);
    });
  }
});

describe("a session", () => {
  const signIn = (headers: Record<string, string> = {}) =>
    lab.send("POST", "/v1/session", headers, { name: "ada", password: "a long password" });
  const cookieOf = (response: Response) => response.headers.get("set-cookie")?.split(";")[0] ?? "";
  const me = async (cookie: string) => (await lab.fetch("/v1/session", { headers: { cookie } })).status;

  test("is a cookie that no script and no other site has", async () => {
    const response = await signIn();
    expect(response.headers.get("set-cookie")).toMatch(
      /^hatchway=secret-\d+; Max-Age=3600; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(await response.text()).not.toContain("secret-");
  });

  test("is new after signing in, whatever cookie there was before", async () => {
    const planted = "hatchway=planted";
    const cookie = cookieOf(await signIn({ cookie: planted }));
    expect([cookie === planted, await me(cookie), await me(planted)]).toEqual([false, 200, 401]);
  });

  test("is over after signing out, for a stolen cookie too", async () => {
    const headers = lab.session("ada");
    const cookie = headers["cookie"] ?? "";
    const response = await lab.fetch("/v1/session", { method: "DELETE", headers });
    expect([response.status, response.headers.get("set-cookie"), await me(cookie)]).toEqual([
      204,
      "hatchway=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict",
      401,
    ]);
  });

  test("lives on when it is looked at", async () => {
    const { cookie = "" } = lab.session("ada");
    lab.nowMs += 600_000;
    const response = await lab.fetch("/v1/session", { headers: { cookie } });
    expect(response.headers.get("set-cookie")).toBe(`${cookie}; Max-Age=3000; Path=/; HttpOnly; SameSite=Strict`);
  });

  const cookies = [
    ["two of the name", (good: string) => `${good}; hatchway=planted`, 401],
    ["the same twice", (good: string) => `${good}; ${good}`, 401],
    ["one of a longer name", (good: string) => good.replace("hatchway", "hatchway2"), 401],
    ["the name with the prefix, without TLS", (good: string) => `__Host-${good}`, 401],
    ["among others", (good: string) => `theme=dark; ${good}; x=y`, 200],
    ["too long", () => `hatchway=${"s".repeat(2_000)}`, 401],
  ] as const;
  for (const [name, cookie, status] of cookies) {
    test(`${name}: ${status}`, async () => {
      expect(await me(cookie(lab.session("ada")["cookie"] ?? ""))).toBe(status);
    });
  }

  test("over TLS it is this host's alone", async () => {
    const { good, authority } = await certificateZoo();
    const secure = new ApiLab({ tls: true, hstsSec: 86_400 }, { tls: { cert: good.certificatePem, key: good.keyPem } });
    const response = await fetch(`${secure.url}/v1/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "ada", password: "a long password" }),
      tls: { ca: authority.certificatePem },
    });
    expect(response.headers.get("set-cookie")).toMatch(
      /^__Host-hatchway=secret-\d+; Max-Age=3600; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
    );
    expect(response.headers.get("strict-transport-security")).toBe("max-age=86400");
    const again = await fetch(`${secure.url}/v1/session`, {
      headers: { cookie: response.headers.get("set-cookie")?.split(";")[0] ?? "" },
      tls: { ca: authority.certificatePem },
    });
    expect(again.status).toBe(200);
    await secure.close();
  });
});

test("before the one-time link was used, that is what everybody is told", async () => {
  lab.backend.access.setUp = false;
  const response = await lab.fetch("/v1/me");
  expect([response.status, ((await response.json()) as { type: string }).type]).toEqual([
    403,
    "urn:hatchway:setup-needed",
  ]);
  expect(await (await lab.fetch("/v1/setup")).json()).toEqual({ needed: true });
});

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

describe("many at once", () => {
  async function held(count: number): Promise<{ statuses: number[]; release: () => void; answers: Promise<number>[] }> {
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    let inside = 0;
    lab.backend.relay.overview = async () => {
      inside++;
      if (inside === count) arrived.resolve();
      await gate.promise;
      return FAKE_OVERVIEW;
    };
    const headers = lab.session("uwe");
    const ask = async () => (await lab.fetch("/v1/overview", { headers })).status;
    const answers = Array.from({ length: count }, ask);
    await arrived.promise;
    return { statuses: [await ask()], release: () => gate.resolve(), answers };
  }

  test("from one address are refused, and let in again when some are done", async () => {
    await lab.close();
    lab = new ApiLab({ limits: { maxPerAddress: 4 } });
    const { statuses, release, answers } = await held(4);
    release();
    expect([statuses, await Promise.all(answers)]).toEqual([[429], [200, 200, 200, 200]]);
    expect((await lab.fetch("/v1/overview", { headers: lab.session("uwe") })).status).toBe(200);
  });

  test("from several addresses behind a trusted proxy are not one", async () => {
    await lab.close();
    const trusted = compileCidrs(["127.0.0.0/8" as Cidr]);
    lab = new ApiLab({ limits: { maxPerAddress: 1 }, trustedProxies: () => trusted });
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    lab.backend.relay.overview = async () => {
      arrived.resolve();
      await gate.promise;
      return FAKE_OVERVIEW;
    };
    const from = async (path: string, address: string) =>
      (await lab.fetch(path, { headers: { ...lab.session("uwe"), "x-forwarded-for": address } })).status;
    const first = from("/v1/overview", "203.0.113.1");
    await arrived.promise;
    const others = [await from("/v1/me", "203.0.113.1"), await from("/v1/me", "203.0.113.2")];
    gate.resolve();
    expect([others, await first]).toEqual([[429, 200], 200]);
  });

  test("1,000 are all answered", async () => {
    await lab.close();
    lab = new ApiLab({ limits: { maxPerAddress: 2_000 } });
    const headers = lab.session("uwe");
    const statuses = await Promise.all(
      Array.from({ length: 1_000 }, async () => (await lab.fetch("/v1/forwards", { headers })).status),
    );
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});

describe("slow senders", () => {
  test("of a body are cut off at the deadline, with a word", async () => {
    const { authorization = "" } = lab.token("uwe", "all");
    const connection = new RawConnection(lab.port);
    connection.write(
      `POST /v1/join-codes HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await lab.timers.fire(API_LIMITS.bodyDeadlineMs);
    await connection.closed;
    expect([connection.received, lab.calls, lab.unexpected]).toEqual([
      expect.stringMatching(/^HTTP\/1\.1 408/),
      [],
      [],
    ]);
  });

  test("that go away half-way leave nothing behind", async () => {
    const { authorization = "" } = lab.token("uwe", "all");
    const connection = new RawConnection(lab.port);
    connection.write(
      `POST /v1/join-codes HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await lab.timers.waiting(API_LIMITS.bodyDeadlineMs);
    connection.end();
    while (lab.timers.count() > 0) await lab.fetch("/v1/setup");
    expect([lab.calls, lab.unexpected]).toEqual([[], []]);
  });

  test(`of a head are cut off, ${SLOW} of them, and nobody else notices`, async () => {
    const honest = await Promise.all(Array.from({ length: 20 }, async () => (await slowLab.fetch("/v1/setup")).status));
    expect(honest.filter((status) => status !== 200)).toEqual([]);
    await Promise.all(slow.map(({ closed }) => closed));
    expect(slow.filter(({ received }) => received.startsWith("HTTP/1.1 2"))).toHaveLength(1);
  }, 20_000);
});
