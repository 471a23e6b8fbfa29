import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { testAuthority } from "../../../test/fixtures/certificates.ts";
import { after } from "../../os/timers.ts";
import type { ForwardInfo } from "../control.ts";
import { NO_COUNTERS } from "../views.ts";
import { checkSite, type SiteCheck } from "./site.ts";

const HERE = "127.0.0.1";
let running: AsyncDisposableStack;
beforeEach(() => {
  running = new AsyncDisposableStack();
});
afterEach(() => running.disposeAsync());

/** What stands for a relay's port: with a certificate, or plainly. */
async function port(tls: boolean, answer: (request: Request) => Response): Promise<number> {
  const pair = tls ? await (await testAuthority("CA")).issue({ names: ["app.example.org"] }) : null;
  const options = { hostname: HERE, port: 0, fetch: answer };
  const server =
    pair === null
      ? Bun.serve(options)
      : Bun.serve({ ...options, tls: { cert: pair.certificatePem, key: pair.keyPem } });
  running.defer(() => server.stop(true));
  return server.port as number;
}

function siteAt(at: number, more: Partial<ForwardInfo> = {}): ForwardInfo {
  const endpoint = { protocol: "tcp", host: "app.example.org", port: at, lastPort: at } as const;
  return {
    id: "f",
    name: "app",
    type: "remote",
    origin: "api",
    device: "den",
    group: null,
    state: "open",
    message: null,
    endpoints: [{ ...endpoint, internalHost: null, internalPort: 8080, url: "https://app.example.org" }],
    via: "agent:den",
    leaseEndsMs: null,
    counters: NO_COUNTERS,
    ...more,
  };
}

function check(site: ForwardInfo, more: Partial<SiteCheck> = {}) {
  return checkSite({
    site,
    tls: "end",
    again: async () => site,
    side: "relay",
    names: {
      resolver: { known: () => null, resolve: async (host) => (host === "app.example.org" ? [HERE] : []) },
      publicHost: HERE,
      ownAddresses: [HERE],
      after,
    },
    signal: new AbortController().signal,
    ...more,
  });
}

describe("a site is asked by its name", () => {
  test.each([
    ["in TLS", true, "end"],
    ["plainly", false, "off"],
  ] as const)("%s", async (_how, secure, tls) => {
    const asked: string[] = [];
    const at = await port(secure, ({ method, headers }) => {
      asked.push(`${method} ${headers.get("host")}`);
      return new Response("here");
    });
    const report = await check(siteAt(at), { tls });
    expect(asked).toEqual(["HEAD app.example.org"]);
    expect(report).toMatchObject({ state: "open", target: { host: "app.example.org", port: at, forward: "app" } });
    expect(report.evidence.map(({ hop, mark }) => `${hop} ${mark}`)).toEqual(
      ["dns here", "relay ok", "agent ok", "service ok"].map((line) => line.replace("here", "ok")),
    );
  });

  test("and not in what is the service's own TLS", async () => {
    const at = await port(true, () => new Response("here"));
    const report = await check(siteAt(at), { tls: "pass" });
    expect(report).toMatchObject({ state: "open", rule: "open" });
    expect(report.evidence).toContainEqual({ hop: "service", mark: "ok", text: "speaks TLS for this name" });
  });
});

test("a port that refuses TLS, one that nothing has, and one that speaks no HTTP", async () => {
  const plain = await port(false, () => new Response(""));
  expect(await check(siteAt(plain))).toMatchObject({ rule: "no certificate" });
  const gone = Bun.listen({ hostname: HERE, port: 0, socket: { data: () => undefined } });
  const { port: free } = gone;
  gone.stop(true);
  expect(await check(siteAt(free))).toMatchObject({ rule: "port not open" });
  const talker = Bun.listen({
    hostname: HERE,
    port: 0,
    socket: { data: (socket) => void socket.write("SSH-2.0-x\r\n....") },
  });
  running.defer(() => talker.stop(true));
  expect(await check(siteAt(talker.port), { tls: "off" })).toMatchObject({ rule: "not seen" });
});

test("a relay that listens at its public address alone is asked there", async () => {
  const server = Bun.serve({ hostname: "127.0.0.2", port: 0, fetch: () => new Response("here") });
  running.defer(() => server.stop(true));
  const names = {
    resolver: { known: () => null, resolve: async () => ["127.0.0.2"] },
    publicHost: "relay.example",
    ownAddresses: [],
    after,
  };
  for (const side of ["relay", "agent"] as const) {
    const report = await check(siteAt(server.port as number), { tls: "off", side, names });
    expect(report).toMatchObject({ state: "open", rule: "open" });
  }
});

test("what counts of the relay say while it is asked is believed", async () => {
  const at = await port(false, () => new Response("", { status: 503 }));
  const later = siteAt(at, { counters: { ...NO_COUNTERS, refused: { deviceAway: 1 } } });
  expect(await check(siteAt(at), { tls: "off", again: async () => later })).toMatchObject({ rule: "agent away" });
});

test("one that is off is not asked, and one that ends at once is no failure", async () => {
  let asked = 0;
  const at = await port(false, () => {
    asked++;
    return new Response("");
  });
  expect(await check(siteAt(at, { state: "disabled" }), { tls: "off" })).toMatchObject({ rule: "disabled" });
  expect(await check(siteAt(at), { tls: "off", signal: AbortSignal.abort() })).toMatchObject({ rule: "port not open" });
  expect(asked).toBe(0);
});
