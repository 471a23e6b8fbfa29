import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect, createServer as createPlainH2, type Http2Server } from "node:http2";
import { DEFAULT_OPTIONS, type ForwardOptions, type SiteSpec } from "../../src/core/forward.ts";
import type { ForwardSpec } from "../../src/roles/control.ts";
import { testAuthority } from "../fixtures/certificates.ts";
import { ask, curl } from "../fixtures/names-client.ts";
import { type NamesLab, openNamesLab, site } from "../fixtures/names-lab.ts";
import { away, failureOf, type LabAgent, until } from "../fixtures/roles-lab.ts";

/** Several devices behind one name, as several are behind one port (roles-groups.test.ts). */
const HERE = "127.0.0.1";
const NAME = "web.example.org";
const CHEAP = { algorithm: "argon2id", memoryCost: 8, timeCost: 1 } as const;
const CHECK = { healthCheck: { intervalSec: 0.01, timeoutSec: 1, failures: 1 } };

let running: AsyncDisposableStack;
let lab: NamesLab;
let first: LabAgent;
let second: LabAgent;
beforeEach(async () => {
  running = new AsyncDisposableStack();
  lab = await openNamesLab(running);
  [first, second] = [lab.agent, await lab.lab.agent("other")];
});
afterEach(() => running.disposeAsync());

function member(
  port: number,
  how: Partial<SiteSpec>,
  { id, host }: { readonly id: string; readonly host: string } = { id: "web", host: NAME },
  options: Partial<ForwardOptions> = {},
): ForwardSpec {
  const spec = site(id, [host], port, how);
  if (spec.kind !== "remote") throw new Error("a site is remote");
  return { ...spec, remote: { ...spec.remote, group: id, options: { ...DEFAULT_OPTIONS, ...options } } };
}

interface Stopping {
  readonly port: number;
  stop(): void;
}
interface Way {
  readonly name: string;
  readonly how: Partial<SiteSpec>;
  /** A service that says this. */
  serve(says: string, port?: number): Promise<Stopping>;
  /** What a new visitor is told. */
  visit(port: number, host: string): Promise<string>;
}

const owner = testAuthority("CA of the service");
const withTls = async () => {
  const pair = await (await owner).issue({ names: ["*.example.org"] });
  return { cert: pair.certificatePem, key: pair.keyPem };
};
function web(says: string, port: number, tls?: { cert: string; key: string }): Stopping {
  const server = Bun.serve({
    hostname: HERE,
    port,
    fetch: () => new Response(says),
    ...(tls === undefined ? {} : { tls }),
  });
  running.defer(() => server.stop(true));
  return { port: server.port as number, stop: () => void server.stop(true) };
}
async function h2c(says: string, port: number): Promise<Stopping> {
  const server: Http2Server = createPlainH2((_request, answer) => void answer.end(says));
  await new Promise<void>((resolve) => server.listen(port, HERE, resolve));
  const stop = () => void server.close();
  running.defer(stop);
  return { port: (server.address() as { port: number }).port, stop };
}
const get = (host = NAME) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const told = async (port: number, host: string, options: Parameters<typeof curl>[2]) =>
  (await curl(port, host, options)).body.trim();

const WAYS: Way[] = [
  {
    name: "by plain HTTP",
    how: { tls: "off" },
    serve: async (says, port = 0) => web(says, port),
    visit: async (port, host) => (await ask(port, get(host))).body,
  },
  {
    name: "whose TLS is passed through",
    how: { tls: "pass" },
    serve: async (says, port = 0) => web(says, port, await withTls()),
    visit: async (port, host) => told(port, host, { ca: (await owner).certificatePem }),
  },
  {
    name: "whose TLS is ended, by HTTP/1.1",
    how: { tls: "end" },
    serve: async (says, port = 0) => web(says, port),
    visit: (port, host) => told(port, host, { caFile: lab.caFile, args: ["--http1.1"] }),
  },
  {
    name: "whose TLS is ended, by HTTP/2",
    how: { tls: "end" },
    serve: async (says, port = 0) => web(says, port),
    visit: (port, host) => told(port, host, { caFile: lab.caFile, args: ["--http2"] }),
  },
  {
    name: "whose TLS is ended, and whose services speak HTTP/2",
    how: { tls: "end", service: "h2c" },
    serve: (says, port = 0) => h2c(says, port),
    visit: (port, host) => told(port, host, { caFile: lab.caFile, args: ["--http2"] }),
  },
];

test("devices serve in turn; who is away or ill is passed over, and comes back", async () => {
  const { relay } = lab.lab;
  const members = await Promise.all(
    WAYS.map(async (way, at) => {
      const [one, two] = [await way.serve("one"), await way.serve("two")];
      const spec = (service: Stopping) =>
        member(service.port, way.how, { id: `web${at}`, host: `web${at}.example.org` }, CHECK);
      const port = (await first.add(spec(one), true)).endpoints[0]?.port ?? 0;
      await second.add(spec(two), true);
      return { way, two, host: `web${at}.example.org`, port };
    }),
  );
  /** What two visitors are told, each way. */
  const twice = () =>
    Promise.all(
      members.map(async ({ way, host, port }) => {
        const heard = [await way.visit(port, host), await way.visit(port, host)];
        return [way.name, ...heard.toSorted()];
      }),
    );
  const all = (...says: string[]) => WAYS.map(({ name }) => [name, ...says]);
  const are = (device: string, state: string) =>
    until(async () => {
      const own = (await relay.listForwards()).filter((forward) => forward.device === device);
      return own.length === WAYS.length && own.every((forward) => forward.state === state);
    });
  expect(await twice()).toEqual(all("one", "two"));

  for (const { two } of members) two.stop();
  await are("other", "unhealthy");
  expect(await twice()).toEqual(all("one", "one"));
  await Promise.all(members.map(({ way, two }) => way.serve("two", two.port)));
  await are("other", "open");
  expect(await twice()).toEqual(all("one", "two"));

  await first.stop();
  await away(lab.lab, "home");
  expect(await twice()).toEqual(all("two", "two"));
  const again = await lab.lab.agent("home");
  await again.link("connected");
  await are("home", "open");
  expect(await twice()).toEqual(all("one", "two"));
}, 30_000);

test("the requests of one visitor's connection go to all of them, and on when one leaves in between", async () => {
  const [one, two] = [web("one", 0), web("two", 0)];
  const port = (await first.add(member(one.port, { tls: "end" }), true)).endpoints[0]?.port ?? 0;
  await second.add(member(two.port, { tls: "end" }), true);
  const client = connect(`https://${HERE}:${port}`, { ca: lab.ca, servername: NAME });
  running.defer(() => client.destroy());
  const asks = () =>
    new Promise<string>((resolve, reject) => {
      let heard = "";
      const asked = client.request({ ":path": "/", ":authority": NAME });
      asked.on("data", (bytes) => {
        heard += String(bytes);
      });
      asked.on("end", () => resolve(heard));
      asked.on("error", reject);
    });
  expect((await Promise.all([asks(), asks(), asks(), asks()])).toSorted()).toEqual(["one", "one", "two", "two"]);
  await second.stop();
  await away(lab.lab, "other");
  expect(await Promise.all([asks(), asks()])).toEqual(["one", "one"]);
});

test("a password is one where all write it down as the same hash", async () => {
  const logins = [{ user: "ann", hash: await Bun.password.hash("right", CHEAP) }];
  const port = (await first.add(member(web("one", 0).port, { logins }))).endpoints[0]?.port ?? 0;
  await second.add(member(web("two", 0).port, { logins }));
  const asks = async (password: string) => {
    const authorization = `Authorization: Basic ${Buffer.from(`ann:${password}`).toString("base64")}`;
    return (await ask(port, get().replace("\r\n", `\r\n${authorization}\r\n`))).body;
  };
  expect([await asks("right"), await asks("right")].toSorted()).toEqual(["one", "two"]);
  expect(await asks("wrong")).toContain("password");
});

describe("who would treat visitors otherwise is no member", () => {
  const OTHERS: [string, Partial<SiteSpec>][] = [
    ["tls", { tls: "pass" }],
    ["http2", { tls: "end", service: "h2c" }],
    ["basic-auth-file", { tls: "end", logins: [{ user: "ann", hash: Bun.password.hashSync("x", CHEAP) }] }],
  ];
  for (const [what, how] of OTHERS) {
    test(what, async () => {
      const service = web("one", 0);
      await first.add(member(service.port, { tls: "end" }), true);
      expect(await failureOf(second.add(member(service.port, how)))).toMatchObject({
        message: expect.stringContaining(`has another "${what}" for the group "web"`),
      });
    });
  }
});
