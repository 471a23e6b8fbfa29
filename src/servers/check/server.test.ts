import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { PROBE_IDS } from "../../core/check/probes.ts";
import { type Cidr, compileCidrs } from "../../wire/address.ts";
import { err, ok } from "../../wire/result.ts";
import { visitorOf } from "../visitor.ts";
import { type PageAsk, type PageSaw, serveCheckPage } from "./server.ts";

const HERE = "127.0.0.1";
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const asked: PageAsk[] = [];
const unexpected: unknown[] = [];
let seen: PageSaw | "refuses" | "throws" = { saw: "open", fits: null, elapsedMs: 1.4 };
let proxies: Cidr[] = [];

const served = serveCheckPage({
  bind: HERE,
  port: 0,
  hosts: () => ["check.example"],
  trustedProxies: () => compileCidrs(proxies),
  async look(ask) {
    asked.push(ask);
    if (seen === "throws") throw new Error("boom");
    return seen === "refuses" ? err({ why: "policy", message: "Not <now>." }) : ok(seen);
  },
  onUnexpected: (error) => unexpected.push(error),
});
if (!served.ok) throw new Error(served.error.message);
const server = served.value;
const url = `http://${HERE}:${server.port}/`;
afterAll(() => server.close());

beforeEach(() => {
  asked.length = 0;
  seen = { saw: "open", fits: null, elapsedMs: 1.4 };
  proxies = [];
});

const post = (form: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body: new URLSearchParams(form), headers: { ...FORM, ...headers } });

describe("a program", () => {
  test("asks by POST and gets JSON", async () => {
    const reply = await post({ port: "25565" });
    expect(await reply.json()).toEqual({
      v: 1,
      address: HERE,
      port: 25_565,
      protocol: "tcp",
      state: "open",
      sentence: "127.0.0.1:25565/tcp is open: it takes connections.",
      remedy: null,
      elapsedMs: 1,
    });
    expect(asked).toMatchObject([{ address: HERE, protocol: "tcp", port: 25_565, probe: null }]);
  });

  for (const [as, probe] of [
    ["udp", "dns"],
    ["quic", "quic"],
    ["echo", "echo"],
  ] as const) {
    test(`asks as=${as}: ${probe}`, async () => {
      seen = { saw: "silent", fits: null, elapsedMs: 2 };
      expect(await (await post({ port: "53", as })).json()).toMatchObject({ protocol: "udp", state: "unknown" });
      expect(asked).toMatchObject([{ protocol: "udp", port: 53, probe }]);
    });
  }

  test("gets its address by GET, and no packet is sent for it", async () => {
    const get = await fetch(`${url}?port=22&as=tcp`);
    expect(await get.json()).toEqual({ v: 1, address: HERE });
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, await head.text(), asked.length]).toEqual([200, "", 0]);
  });

  test("is counted what it sent: at least its form and what every connection costs", async () => {
    await post({ port: "53", as: "dns", pad: ".".repeat(1_000) });
    await post({ port: "53", as: "dns" });
    const [long = 0, short = 0] = asked.map(({ allowanceBytes }) => allowanceBytes);
    expect(long - short).toBe(1_000 + "&pad=".length + ("1014".length - "14".length));
    expect(short).toBeGreaterThan(240);
    expect(short).toBeLessThan(800);
  });

  const wrong: readonly (readonly [name: string, init: RequestInit, status: number, says: string])[] = [
    ["no port", { body: "as=tcp" }, 400, "1 to 65535"],
    ["port 0", { body: "port=0" }, 400, "1 to 65535"],
    ["a port with words", { body: "port=80;81" }, 400, "1 to 65535"],
    ["an unknown service", { body: "port=80&as=telnet" }, 400, PROBE_IDS.join(", ")],
    ["JSON", { body: '{"port":80}', headers: { "content-type": "application/json" } }, 400, "x-www-form-urlencoded"],
  ];
  for (const [name, init, status, says] of wrong) {
    test(`with ${name} gets a sentence`, async () => {
      const reply = await fetch(url, { method: "POST", headers: FORM, ...init });
      expect([reply.status, ((await reply.json()) as { error: string }).error]).toEqual([
        status,
        expect.stringContaining(says),
      ]);
      expect(asked).toEqual([]);
    });
  }

  test("with another method, path or a long body gets no check", async () => {
    const statuses = [
      (await fetch(url, { method: "PUT", body: "port=80", headers: FORM })).status,
      (await fetch(`${url}check?port=80`)).status,
      (await fetch(url, { method: "POST", body: `port=80&pad=${".".repeat(20_000)}`, headers: FORM })).status,
    ];
    expect(statuses).toEqual([405, 404, 413]);
    expect(asked).toEqual([]);
  });

  test("that is refused is told why, and a fault of the program is told to its log", async () => {
    seen = "refuses";
    const refused = await post({ port: "80" });
    expect([refused.status, await refused.json()]).toEqual([403, { v: 1, address: HERE, error: "Not <now>." }]);
    seen = "throws";
    expect((await post({ port: "80" })).status).toBe(503);
    expect(unexpected).toHaveLength(1);
  });
});

describe("a browser", () => {
  const html = { accept: "text/html,application/xhtml+xml" };

  test("gets a page that needs nothing from anywhere", async () => {
    const reply = await fetch(url, { headers: html });
    const page = await reply.text();
    const policy = reply.headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith("default-src 'none'; style-src 'sha256-");
    expect(policy).toContain("form-action 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
    expect(reply.headers.get("cache-control")).toBe("no-store");
    expect(reply.headers.get("set-cookie")).toBeNull();
    expect(page).toContain(HERE);
    expect(page).not.toMatch(/https?:|<script|<img|<link|\son\w+=|\bstyle=/);
    expect(page.length).toBeLessThan(10_000);
  });

  test("the style is the one that the policy allows", async () => {
    const reply = await fetch(url, { headers: html });
    const style = /<style>([\s\S]*)<\/style>/.exec(await reply.text())?.[1] ?? "";
    const digest = new Bun.CryptoHasher("sha256").update(style).digest("base64");
    expect(reply.headers.get("content-security-policy")).toContain(`'sha256-${digest}'`);
  });

  test("sends the page's own form, which is padded enough for every probe", async () => {
    const page = await (await fetch(url, { headers: html })).text();
    const pad = /name="pad" value="(\.+)"/.exec(page)?.[1] ?? "";
    const reply = await post({ port: "443", as: "quic", pad }, { ...html, origin: `http://${HERE}:${server.port}` });
    expect(await reply.text()).toContain('<section class="open" role="status"><p><strong>Open</strong></p>');
    expect(asked[0]?.allowanceBytes).toBeGreaterThan(3 * 1_248);
  });

  test("sees what it filled in again, and nothing of it as markup", async () => {
    const reply = await post({ port: '"><b>', as: "dns" }, html);
    const page = await reply.text();
    expect(page).not.toContain("<b>");
    expect(page).toContain('<option value="dns" selected>');
    seen = "refuses";
    expect(await (await post({ port: "80" }, html)).text()).toContain("Not &lt;now&gt;.");
  });
});

describe("another site's page", () => {
  const own = `http://${HERE}:${HERE}`;
  const cases: readonly (readonly [name: string, headers: Record<string, string>, status: number])[] = [
    ["none", {}, 200],
    ["its own origin", { origin: "http://check.example" }, 200],
    ["another's origin", { origin: "https://evil.example" }, 403],
    ["no origin that it would say", { origin: "null" }, 403],
    ["an origin that makes no sense", { origin: own }, 403],
    ["a request from another site", { "sec-fetch-site": "cross-site" }, 403],
    ["a request from a neighbour", { "sec-fetch-site": "same-site" }, 403],
    ["a request from the page", { "sec-fetch-site": "same-origin" }, 200],
  ];
  for (const [name, headers, status] of cases) {
    test(`${name}: ${status}`, async () => {
      expect((await post({ port: "80" }, headers)).status).toBe(status);
      expect(asked).toHaveLength(status === 200 ? 1 : 0);
    });
  }

  for (const [host, status] of [
    ["check.example", 200],
    ["check.example:8443", 200],
    ["localhost", 200],
    ["192.0.2.7:80", 200],
    ["[2001:db8::7]", 200],
    ["evil.example", 403],
    ["check.example.evil.example", 403],
    ["check.example@evil.example", 403],
  ] as const) {
    test(`whose name leads here (${host}): ${status}`, async () => {
      expect((await fetch(url, { headers: { host } })).status).toBe(status);
      expect((await post({ port: "80" }, { host })).status).toBe(status);
    });
  }
});

describe("who asks", () => {
  const trusted = compileCidrs(["10.0.0.0/8" as Cidr, "2001:db8::1/128" as Cidr]);
  const table: readonly (readonly [peer: string, forwardedFor: string | null, visitor: string | null])[] = [
    ["198.51.100.7", null, "198.51.100.7"],
    ["::ffff:198.51.100.7", null, "198.51.100.7"],
    ["198.51.100.7", "203.0.113.9", "198.51.100.7"],
    ["10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"],
    ["10.0.0.1", "1.1.1.1,203.0.113.9 , 10.2.3.4", "203.0.113.9"],
    ["2001:db8::1", "2001:db8::7", "2001:db8::7"],
    ["10.0.0.1", null, null],
    ["10.0.0.1", "", null],
    ["10.0.0.1", "10.0.0.2", null],
    ["10.0.0.1", "203.0.113.9, unknown", null],
    ["10.0.0.1", "203.0.113.9:1234", null],
    ["", null, null],
  ];
  for (const [peer, forwardedFor, visitor] of table) {
    test(`${peer || "nobody"}, forwarded for ${forwardedFor ?? "nobody"}: ${visitor ?? "unknown"}`, () => {
      expect(visitorOf(peer, forwardedFor, trusted)).toBe(visitor);
    });
  }

  test("a header from who is no proxy is not believed, from one it is", async () => {
    const forged = { "x-forwarded-for": "198.51.100.7" };
    expect(await (await post({ port: "80" }, forged)).json()).toMatchObject({ address: HERE });
    proxies = ["127.0.0.1/32" as Cidr];
    expect(await (await post({ port: "80" }, forged)).json()).toMatchObject({ address: "198.51.100.7" });
    expect((await post({ port: "80" })).status).toBe(400);
    expect(asked.map(({ address }) => address)).toEqual([HERE, "198.51.100.7"]);
  });
});

test("each request has a connection of its own", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: HERE,
    port: server.port,
    socket: {
      data: (_socket, bytes) => {
        text += bytes.toString();
      },
      close: () => resolve(text),
      error: () => undefined,
    },
  });
  socket.write(`GET / HTTP/1.1\r\nhost: ${HERE}\r\n\r\n`);
  expect((await promise).toLowerCase()).toContain("connection: close");
});

test("a port that is taken is a sentence", () => {
  const again = serveCheckPage({
    bind: HERE,
    port: server.port,
    hosts: () => [],
    trustedProxies: () => compileCidrs([]),
    look: () => Promise.reject(new Error("nobody asks")),
    onUnexpected: () => undefined,
  });
  expect(again.ok ? "open" : again.error.kind).toBe("inUse");
});
