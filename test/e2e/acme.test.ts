import { afterEach, beforeEach, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PUBLIC_ONLY } from "../../src/core/exit-rule.ts";
import type { ConsoleSettings, RunningRelay } from "../../src/roles/control.ts";
import { startRelay } from "../../src/roles/relay.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { FakeAcme } from "../fixtures/fake-acme.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { startPebble } from "../fixtures/pebble.ts";

const HERE = "127.0.0.1";
const NAME = "console.example.com";
let running: AsyncDisposableStack;
beforeEach(() => {
  running = new AsyncDisposableStack();
});
afterEach(() => running.disposeAsync());

interface Server {
  readonly directory: string;
  readonly ca: string;
}

/** A relay whose console orders its certificate at `server`, which proves names at `httpPort`. */
async function relayAt(server: Server, httpPort: number): Promise<RunningRelay> {
  const directory = running.use(await temporaryDirectory());
  const ca = join(directory.path, "ca.pem");
  await writeFile(ca, server.ca);
  const acme = { hosts: [NAME], email: null, directory: server.directory, ca, listen: { host: HERE, port: httpPort } };
  const pages: ConsoleSettings = {
    listen: { host: HERE, port: 0 },
    hosts: [],
    certificate: null,
    tls: true,
    trustedProxies: [],
    acme,
    hstsSec: 3_600,
  };
  const relay = await startRelay({
    dataDir: join(directory.path, "data"),
    readSettings: () =>
      Promise.resolve({
        listen: { host: HERE, port: 0 },
        publicHost: HERE,
        ports: [],
        allow: PUBLIC_ONLY,
        certificate: null,
        clientCa: null,
        stun: false,
        proxyProtocolFrom: [],
        check: { listen: null, hosts: [], private: false, trustedProxies: [] },
        metrics: null,
        console: pages,
      }),
  });
  running.defer(() => relay.stop({ drainMs: 0 }));
  return relay;
}

/**
 * As a browser that has `ca` sees it: by name, verified. Null = it does not trust what it is shown, or was in the middle
 * of a handshake when the certificate was changed (decision 0026).
 */
async function visit(port: number, ca: string): Promise<Response | null> {
  try {
    return await fetch(`https://${HERE}:${port}/v1/setup`, {
      headers: { host: `${NAME}:${port}` },
      tls: { ca, serverName: NAME },
      keepalive: false,
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && /CERT|SIGNATURE|ECONNRE/.test(String(error.code))) return null;
    throw error;
  }
}

async function whenTrusted(port: number, ca: string): Promise<Response> {
  for (;;) {
    const response = await visit(port, ca);
    if (response !== null) return response;
  }
}

test("the console gets its certificate, shows it without a restart, and keeps it", async () => {
  const server = running.use(await FakeAcme.start());
  const [httpPort = 0] = await freePorts(1);
  server.httpPort = httpPort;
  const relay = await relayAt({ directory: server.directory, ca: server.caPem }, httpPort);
  const url = relay.ready.console?.url ?? "";
  expect(new URL(url).hostname).toBe(NAME);
  const port = Number(new URL(url).port);
  const response = await whenTrusted(port, server.issuerPem);
  expect([response.status, await response.json()]).toEqual([200, { needed: true }]);
  expect(response.headers.get("strict-transport-security")).toBe("max-age=3600");
  // Agents know the relay by its own key still.
  expect(relay.ready.fingerprint).toBe((await relay.status()).fingerprint);
  const { consoleCertificate } = await relay.status();
  const days = ((consoleCertificate?.untilMs ?? 0) - Date.now()) / 86_400_000;
  expect([Math.round(days), consoleCertificate?.problem]).toEqual([90, null]);
  const home = await fetch(`http://${HERE}:${httpPort}/anything`, { redirect: "manual" });
  expect([home.status, home.headers.get("location")]).toEqual([308, `https://${NAME}:${port}/`]);
}, 30_000);

test("Pebble, which refuses nonces and keeps to the RFC, issues it too", async () => {
  const [httpPort = 0] = await freePorts(1);
  const pebble = running.use(await startPebble({ httpPort }));
  const relay = await relayAt(pebble, httpPort);
  const port = Number(new URL(relay.ready.console?.url ?? "").port);
  const response = await whenTrusted(port, await pebble.root());
  expect(response.status).toBe(200);
}, 60_000);
