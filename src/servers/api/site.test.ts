import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { certificateZoo } from "../../../test/fixtures/certificates.ts";
import { rawStatus } from "../../../test/fixtures/raw-http.ts";
import { PAGE_KEY_HEADER } from "./protocol.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const DRAFT = { name: "nas" };
const keyOf = (headers: Record<string, string>) => headers[PAGE_KEY_HEADER] ?? "";
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
    ["without the page key", () => ({ [PAGE_KEY_HEADER]: "" }), 401],
    ["with a wrong page key", () => ({ [PAGE_KEY_HEADER]: "header-0" }), 401],
    ["with the page key of another session", (one) => ({ [PAGE_KEY_HEADER]: keyOf(one.session("ada")) }), 401],
  ];
  for (const [name, change, status] of rows) {
    test(`${name}: ${status}`, async () => {
      const headers = { ...lab.session("uwe"), ...change(lab) };
      const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ""));
      const response = await joinCode(sent);
      expect([response.status, lab.calls]).toEqual([status, status === 201 ? ["forwards.makeJoinCode"] : []]);
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
  const me = async (cookie: string, pageKey: string) =>
    (await lab.fetch("/v1/session", { headers: { cookie, [PAGE_KEY_HEADER]: pageKey } })).status;
  const pageKeyIn = async (response: Response) => ((await response.json()) as { pageKey: string }).pageKey;

  test("is a cookie that no script and no other site has, and a key that no other port of the host gets", async () => {
    const response = await signIn();
    const cookie = /^hatchway=(cookie-\d+); Max-Age=3600; Path=\/; HttpOnly; SameSite=Strict$/.exec(
      response.headers.get("set-cookie") ?? "",
    )?.[1];
    const text = await response.text();
    expect([cookie, text]).toEqual([expect.stringMatching(/^cookie/), expect.stringMatching(/"pageKey":"header-/)]);
    expect(text).not.toContain(cookie);
  });

  test("is opened by neither half alone, for a look or a change", async () => {
    const { cookie = "", ...rest } = lab.session("uwe");
    const pageKey = keyOf(rest);
    const { origin = "" } = rest;
    const halves: Record<string, string>[] = [
      { cookie },
      { [PAGE_KEY_HEADER]: pageKey },
      { cookie: `hatchway=${pageKey}`, [PAGE_KEY_HEADER]: cookie.slice("hatchway=".length) },
      { cookie: `${cookie}${pageKey}` },
    ];
    for (const half of halves) {
      const look = await lab.fetch("/v1/forwards", { headers: { ...half, origin } });
      const change = await joinCode({ ...half, origin });
      expect([look.status, change.status]).toEqual([401, 401]);
    }
    expect(lab.calls).toEqual([]);
  });

  test("is new after signing in, whatever cookie there was before", async () => {
    const planted = "hatchway=planted";
    const response = await signIn({ cookie: planted });
    const [cookie, pageKey] = [cookieOf(response), await pageKeyIn(response)];
    expect([cookie === planted, await me(cookie, pageKey), await me(planted, pageKey)]).toEqual([false, 200, 401]);
  });

  test("is over after signing out, for a stolen cookie too", async () => {
    const headers = lab.session("ada");
    const cookie = headers["cookie"] ?? "";
    const response = await lab.fetch("/v1/session", { method: "DELETE", headers });
    expect([response.status, response.headers.get("set-cookie"), await me(cookie, keyOf(headers))]).toEqual([
      204,
      "hatchway=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict",
      401,
    ]);
  });

  test("lives on when it is looked at", async () => {
    const headers = lab.session("ada");
    const { cookie = "" } = headers;
    lab.nowMs += 600_000;
    const response = await lab.fetch("/v1/session", { headers });
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
      const headers = lab.session("ada");
      expect(await me(cookie(headers["cookie"] ?? ""), keyOf(headers))).toBe(status);
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
      /^__Host-hatchway=cookie-\d+; Max-Age=3600; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
    );
    expect(response.headers.get("strict-transport-security")).toBe("max-age=86400");
    const again = await fetch(`${secure.url}/v1/session`, {
      headers: { cookie: cookieOf(response), [PAGE_KEY_HEADER]: await pageKeyIn(response) },
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
