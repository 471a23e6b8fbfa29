import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import type { ConsoleSettings, NamesSettings, RelaySettings } from "../../src/roles/control.ts";
import { createClient } from "../../src/servers/api/client.ts";
import type { ChallengeType } from "../../src/wire/acme/messages.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { FakeAcme } from "../fixtures/fake-acme.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { ask, firstTrusted } from "../fixtures/names-client.ts";
import { NAMES, site, startWeb } from "../fixtures/names-lab.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { type Pebble, type PebbleOptions, startPebble } from "../fixtures/pebble.ts";
import { failureOf, type LabAgent, type RolesLab, remote, rolesLab, until } from "../fixtures/roles-lab.ts";

const HERE = "127.0.0.1";
const NAME = "end.example.org";
const CONSOLE = "console.example.com";
/** It is renewed at two thirds of that. */
const VALIDITY_SEC = 6;
let running: AsyncDisposableStack;
beforeEach(() => {
  running = new AsyncDisposableStack();
});
afterEach(() => running.disposeAsync());

interface AcmeLab {
  readonly lab: RolesLab;
  readonly agent: LabAgent;
  readonly pebble: Pebble;
  readonly httpPort: number;
}

/** A relay with sites at ports that Pebble knows, as far as `where` says. */
async function acmeLab(
  where: { readonly http: boolean; readonly https: boolean },
  challenge: ChallengeType | null = null,
  options: PebbleOptions = {},
  more: (names: NamesSettings) => Partial<RelaySettings> = () => ({}),
): Promise<AcmeLab> {
  const [httpPort = 0, tlsPort = 0] = await freePorts(2);
  const proven = { ...(where.http ? { httpPort } : {}), ...(where.https ? { tlsPort } : {}) };
  const pebble = running.use(await startPebble({ ...proven, ...options }));
  const directory = running.use(await temporaryDirectory());
  const ca = join(directory.path, "pebble.pem");
  await writeFile(ca, pebble.ca);
  const names: NamesSettings = {
    ...NAMES,
    http: where.http ? { host: HERE, port: httpPort } : null,
    https: { host: HERE, port: tlsPort },
    acme: { email: null, directory: pebble.directory, ca, challenge },
  };
  const lab = running.use(await rolesLab({ names, ...more(names) }));
  return { lab, agent: await lab.agent("home"), pebble, httpPort };
}

const web = () => startWeb(running, () => new Response("served"));

/** What the relay agrees to speak; null = it refuses. */
function agreedProtocol(port: number, protocols: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({
      host: HERE,
      port,
      servername: NAME,
      ALPNProtocols: [...protocols],
      rejectUnauthorized: false,
    });
    socket.on("secureConnect", () => resolve(socket.alpnProtocol === false ? null : socket.alpnProtocol));
    socket.on("error", () => resolve(null));
  });
}

test("a certificate is ordered for each name, renewed, and no connection is lost by that", async () => {
  const cases: [string, { http: boolean; https: boolean }, ChallengeType | null][] = [
    ["by http-01, where port 80 is", { http: true, https: false }, null],
    ["by tls-alpn-01, where only port 443 is", { http: false, https: true }, null],
    ["by tls-alpn-01, where it is chosen", { http: true, https: true }, "tls-alpn-01"],
  ];
  // At once: they mostly wait.
  const kept = await Promise.all(cases.map(async ([name, ...options]) => [name, await renewed(...options)]));
  expect(kept).toEqual(cases.map(([name]) => [name, { failed: null, sharesAccount: true, proofAfter: null }]));
}, 40_000);

test("the console's names are proven where sites are, and people are sent to it", async () => {
  const [port = 0] = await freePorts(1);
  const shown: ConsoleSettings = {
    listen: { host: HERE, port },
    hosts: [],
    certificate: null,
    tls: true,
    trustedProxies: [],
    hstsSec: 3_600,
  };
  const { lab, agent, pebble, httpPort } = await acmeLab({ http: true, https: false }, null, {}, ({ acme, http }) => ({
    console: {
      ...shown,
      acme: {
        hosts: [CONSOLE],
        email: null,
        directory: acme?.directory ?? "",
        ca: acme?.ca ?? null,
        listen: http ?? { host: HERE, port: 0 },
      },
    },
  }));
  await agent.add(site("end", [NAME], web(), { tls: "end" }));
  await agent.add(site("off", ["off.example.org"], web()));
  const root = await pebble.root();
  const pages = await firstTrusted(port, CONSOLE, root);
  pages.close();
  const end = await firstTrusted((await agent.forward("end"))?.endpoints[0]?.port ?? 0, NAME, root);
  expect(await end.ask("/")).toContain("served");
  end.close();
  const to = (host: string, path: string) =>
    ask(httpPort, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect(await to(CONSOLE, "/x")).toMatchObject({
    status: 308,
    head: expect.stringContaining(`Location: https://${CONSOLE}:${port}/\r\n`),
  });
  expect(await to("off.example.org", "/")).toMatchObject({ status: 200, body: "served" });
  const token = `/.well-known/acme-challenge/${"t".repeat(43)}`;
  expect((await to(CONSOLE, token)).status).toBe(308);
  expect((await to("nobody.example.org", token)).status).toBe(404);
  // Nobody else has the port.
  const taken = remote("taken", [{ protocol: "tcp", first: httpPort, last: httpPort, internalFirst: 80 }]);
  expect(String(await failureOf(agent.add(taken)))).toContain("shared by sites");
  expect((await lab.relay.status()).consoleCertificate?.problem).toBeNull();
}, 40_000);

test("while a site has no certificate that is said, and a reload tries again what failed", async () => {
  const acme = running.use(await FakeAcme.start());
  const [httpPort = 0] = await freePorts(1);
  const directory = running.use(await temporaryDirectory());
  const ca = join(directory.path, "ca.pem");
  await writeFile(ca, acme.caPem);
  const lab = running.use(
    await rolesLab({
      names: {
        ...NAMES,
        http: { host: HERE, port: httpPort },
        acme: { email: null, directory: acme.directory, ca, challenge: null },
      },
      console: { listen: { host: HERE, port: 0 }, hosts: [], certificate: null, tls: false, trustedProxies: [] },
    }),
  );
  const agent = await lab.agent("home");
  const { url = "", setupLink = null } = lab.relay.ready.console ?? {};
  const api = createClient({ baseUrl: url, fetch: pageFetch(url) });
  await api.redeem({ token: secretOf(setupLink ?? ""), name: "ann", password: "correct horse battery" });
  /** `forward ls` at both ends, and `/v1/forwards`. */
  const states = async () => {
    const [atRelay, atAgent, { items }] = await Promise.all([
      lab.relay.listForwards(),
      agent.running.listForwards(),
      api.listForwards(),
    ]);
    return [atRelay, atAgent, items].map(([first]) => ({ state: first?.state, message: first?.message }));
  };
  // Nobody is where the CA looks.
  acme.httpPort = 1;
  const ended = new AbortController();
  running.defer(() => ended.abort());
  const events = agent.running.attach([site("end", [NAME], web(), { tls: "end" })], ended.signal);
  const notes: (string | null | undefined)[] = [];
  const whenNoted = async (fits: (note: string | null | undefined) => boolean) => {
    for (;;) {
      const { value, done } = await events[Symbol.asyncIterator]().next();
      if (done === true) throw new Error("no more events");
      if (value.event !== "exposed") continue;
      notes.push(value.note);
      if (fits(value.note)) return;
    }
  };
  await whenNoted((note) => note?.includes("could not be proven") === true);
  expect(notes[0]).toBe(`The certificate for ${NAME} is being ordered: wait a minute.`);
  const message = expect.stringMatching(
    /^end\.example\.org could not be proven \(connection: nobody answered\): let port 80 .*; the next try is at \d{4}-.*Z\.$/,
  );
  for (const one of await states()) expect(one).toEqual({ state: "refused", message });
  expect([(await lab.relay.status()).forwardsOpen, (await agent.running.status()).forwardsOpen]).toEqual([0, 0]);
  acme.httpPort = httpPort;
  const asked = acme.count("newOrder");
  expect(await lab.relay.reload()).toMatchObject({ refused: [] });
  await whenNoted((note) => note == null);
  expect(acme.count("newOrder")).toBe(asked + 1);
  for (const one of await states()) expect(one).toEqual({ state: "open", message: null });
}, 40_000);

test("where port 80 is closed on the way, the next try goes by 443", async () => {
  const [nobody = 0] = await freePorts(1);
  const { lab, agent, pebble } = await acmeLab({ http: true, https: true }, null, { httpPort: nobody });
  const added = await agent.add(site("end", [NAME], web(), { tls: "end" }));
  await until(async () => (await lab.relay.listForwards())[0]?.state === "refused");
  await lab.relay.reload();
  (await firstTrusted(added.endpoints[0]?.port ?? 0, NAME, await pebble.root())).close();
}, 40_000);

async function renewed(where: { readonly http: boolean; readonly https: boolean }, challenge: ChallengeType | null) {
  const { lab, agent, pebble } = await acmeLab(where, challenge, { validitySec: VALIDITY_SEC });
  const added = await agent.add(site("end", [NAME], web(), { tls: "end" }));
  const port = added.endpoints[0]?.port ?? 0;
  const root = await pebble.root();
  // Until it is there, whoever comes is refused rather than shown another one.
  const first = await firstTrusted(port, NAME, root);
  expect(await first.ask("/")).toContain("served");
  let next = first;
  while (next.serial === first.serial) {
    if (next !== first) next.close();
    // An order takes longer than such a certificate has left.
    next = await firstTrusted(port, NAME, root);
  }
  // The connection of before lives on.
  expect(await first.ask("/again")).toContain("served");
  expect(await next.ask("/")).toContain("served");
  first.close();
  next.close();
  const kept = JSON.parse(await readFile(join(lab.relayDirectory, `names/${NAME}/acme.json`), "utf8"));
  const shared = JSON.parse(await readFile(join(lab.relayDirectory, "names/acme.json"), "utf8"));
  return {
    failed: kept.failed,
    sharesAccount: Bun.deepEquals(kept.account, shared.account),
    // Nobody asks for one now.
    proofAfter: await agreedProtocol(port, ["acme-tls/1"]),
  };
}
