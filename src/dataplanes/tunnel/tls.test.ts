import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { connect as connectTls } from "node:tls";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { labDevice, makeZoo, RawCarrier, Side, TunnelLab, verifyEd25519 } from "../../../test/fixtures/tunnel-lab.ts";
import { ALPN } from "../../wire/tunnel/control.ts";
import { FrameType } from "../../wire/tunnel/frame.ts";
import type { AgentTunnelOptions } from "./agent.ts";
import type { RelayTunnelOptions } from "./relay.ts";

const zoo = await makeZoo();
type Pair = { readonly certificatePem: string; readonly keyPem: string };
const pair = ({ certificatePem, keyPem }: Pair) => ({ cert: certificatePem, key: keyPem });
const VERIFIED = { kind: "verified", ca: zoo.authority.certificatePem } as const;

const labs: TunnelLab[] = [];
afterEach(() => {
  for (const lab of labs.splice(0)) lab.close();
});
function newLab(options: Partial<RelayTunnelOptions> = {}): TunnelLab {
  const lab = new TunnelLab(zoo, options);
  labs.push(lab);
  return lab;
}

async function attempt(lab: TunnelLab, more: Partial<AgentTunnelOptions>): Promise<string> {
  const outcome = await lab.tryConnect(lab.agentOptions(lab.device("nas"), new Side(), more));
  if (outcome.ok) return "connected";
  return outcome.error.kind === "denied" ? "denied" : `${outcome.error.kind}: ${outcome.error.message}`;
}

describe("the agent trusts", () => {
  const host = (name: string, lab: TunnelLab) => ({ host: name, port: lab.relay.port });
  const pinned = (certificate: { readonly fingerprint: Uint8Array }) =>
    ({ kind: "pinned", fingerprint: certificate.fingerprint }) as const;
  type Case = {
    readonly certificate: keyof typeof zoo;
    readonly trust: AgentTunnelOptions["trust"];
    readonly relay?: string;
    readonly outcome: RegExp;
  };
  const table: Record<string, Case> = {
    "the pinned key": { certificate: "good", trust: pinned(zoo.good), outcome: /^connected$/ },
    "not another key than the pinned one": {
      certificate: "rogue",
      trust: pinned(zoo.good),
      outcome: /^untrusted: .*not the one the join code named/,
    },
    "a pinned key whose certificate names another host": {
      certificate: "wrongName",
      trust: pinned(zoo.wrongName),
      outcome: /^connected$/,
    },
    "not an expired certificate of the pinned key": {
      certificate: "expired",
      trust: pinned(zoo.expired),
      outcome: /^untrusted: .*valid from .* not now/,
    },
    "not a certificate of the pinned key that is not valid yet": {
      certificate: "notYetValid",
      trust: pinned(zoo.notYetValid),
      outcome: /^untrusted: .*valid from .* not now/,
    },
    "a certificate of its CA for the relay's address": { certificate: "good", trust: VERIFIED, outcome: /^connected$/ },
    "a certificate of its CA for the relay's name": {
      certificate: "good",
      trust: VERIFIED,
      relay: "localhost",
      outcome: /^connected$/,
    },
    "not a CA that only the system would know": {
      certificate: "good",
      trust: { kind: "verified", ca: null },
      outcome: /^untrusted: .*not trusted/,
    },
    "not another CA": { certificate: "rogue", trust: VERIFIED, outcome: /^untrusted: .*not trusted/ },
    "not an expired certificate of its CA": { certificate: "expired", trust: VERIFIED, outcome: /^untrusted/ },
    "not one of its CA that is not valid yet": { certificate: "notYetValid", trust: VERIFIED, outcome: /^untrusted/ },
    "not another address": { certificate: "wrongName", trust: VERIFIED, outcome: /^untrusted/ },
    "not another name": { certificate: "wrongName", trust: VERIFIED, relay: "localhost", outcome: /^untrusted/ },
  };
  for (const [name, { certificate, trust, relay, outcome }] of Object.entries(table)) {
    test(name, async () => {
      const lab = newLab({ certificate: pair(zoo[certificate]) });
      expect(await attempt(lab, { trust, relay: host(relay ?? "127.0.0.1", lab) })).toMatch(outcome);
      // Nothing that proves who the agent is was shown to a relay that it does not trust.
      expect(lab.shown.length > 0).toBe(outcome.source === "^connected$");
    });
  }
});

describe("the relay trusts, when it asks for client certificates", () => {
  const table: readonly (readonly [string, Pair | null, boolean])[] = [
    ["none", null, false],
    ["one of a rogue CA", zoo.rogue, false],
    ["an expired one", zoo.expired, false],
    ["one that is not valid yet", zoo.notYetValid, false],
    ["one that signed itself", zoo.authority, true],
    ["a good one", zoo.good, true],
  ];
  for (const [name, certificate, good] of table.filter(([name]) => name !== "one that signed itself")) {
    test(`${name}: ${good ? "taken" : "refused before any hello"}`, async () => {
      const lab = newLab({ clientCa: zoo.authority.certificatePem });
      const outcome = await attempt(lab, { clientCertificate: certificate === null ? null : pair(certificate) });
      expect(outcome).toMatch(good ? /^connected$/ : /^unreachable/);
      expect(lab.shown.length > 0).toBe(good);
      if (good) expect(lab.shown[0]?.certificateNames).toEqual(["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"]);
      if (!good) await lab.atRelay.bell.when(() => lab.settled.length === 1);
    });
  }

  test("and asks for none otherwise", async () => {
    const lab = newLab();
    expect(await attempt(lab, {})).toBe("connected");
    expect(lab.shown[0]?.certificateNames).toBeNull();
  });
});

describe("TLS", () => {
  const versions = ["TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
  for (const version of versions) {
    test(`the relay ${version === "TLSv1.3" ? "speaks" : "refuses"} ${version}`, async () => {
      const lab = newLab();
      const outcome = await openssl(lab.relay.port, [`-${version.replace("v1.", "1_").toLowerCase()}`, "-alpn", ALPN]);
      if (version === "TLSv1.3") expect(outcome).toMatch(/New, TLSv1\.3/);
      else expect(outcome).not.toMatch(/New, TLSv1|Cipher is (?!\(NONE\))/);
    });
  }

  test("the agent refuses a relay that speaks TLS 1.2 only", async () => {
    const lab = newLab();
    for (const [version, outcome] of [
      ["-tls1_2", /^unreachable: TLS with .* failed/],
      // The same server with TLS 1.3 is talked to; what it says is no frame.
      ["-tls1_3", /^unreachable: .*bad frame/],
    ] as const) {
      const server = await opensslServer([version, "-alpn", ALPN]);
      expect(await attempt(lab, { relay: { host: "127.0.0.1", port: server.port } })).toMatch(outcome);
      server.stop();
    }
  });

  for (const [name, alpn] of [
    ["another protocol", "h2"],
    ["no protocol", null],
    ["a later version", "hatchway/2"],
  ] as const) {
    test(`the relay refuses ${name} by ALPN`, async () => {
      const lab = newLab();
      const closed = Promise.withResolvers<void>();
      const socket = connectTls({
        host: "127.0.0.1",
        port: lab.relay.port,
        rejectUnauthorized: false,
        ...(alpn === null ? {} : { ALPNProtocols: [alpn] }),
      });
      socket.on("error", () => undefined);
      socket.on("close", () => closed.resolve());
      await closed.promise;
      await lab.atRelay.bell.when(() => lab.settled.length === 1);
      expect(lab.shown).toEqual([]);
    });
  }

  test("the agent sends nothing to a server of another protocol", async () => {
    const lab = newLab();
    const heard: number[] = [];
    const web = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: pair(zoo.good),
      socket: { data: (_socket, bytes) => void heard.push(bytes.length), error: () => undefined },
    });
    expect(await attempt(lab, { relay: { host: "127.0.0.1", port: web.port } })).toMatch(
      /^untrusted: .*not a Hatchway relay/,
    );
    expect(heard).toEqual([]);
    web.stop(true);
  });
});

describe("somebody in between", () => {
  test("a hello relayed over another TLS session proves nothing", async () => {
    const lab = newLab();
    const victim = lab.device("victim");
    // The victim's hello to the attacker is good there, and there only.
    const attacker = newLab();
    const fromVictim = await RawCarrier.connect(attacker.relay.port);
    const hello = fromVictim.hello(victim, "control");
    expect(verifyEd25519(victim.publicKey, fromVictim.binding(), Buffer.from(hello.sig, "base64url"))).toBe(true);
    const toRelay = await RawCarrier.connect(lab.relay.port);
    const { t: _t, v: _v, role: _role, ...relayed } = hello;
    toRelay.hello(labDevice("mallory"), "control", relayed);
    expect(await toRelay.whenControl("denied")).toEqual({ t: "denied", retrySec: 0 });
    expect(lab.shown.map(({ publicKey }) => publicKey.length)).toEqual([0]);
  });

  test("a replayed hello on the same relay proves nothing either", async () => {
    const lab = newLab();
    const device = lab.device("nas");
    const first = await RawCarrier.connect(lab.relay.port);
    const hello = first.hello(device, "control");
    await first.whenControl("welcome");
    const second = await RawCarrier.connect(lab.relay.port);
    second.hello(device, "control", { sig: hello.sig });
    await second.whenControl("denied");
    expect(first.closed).toBe(false);
  });

  test("each TLS session has a binding of its own, the same at both ends", async () => {
    const lab = newLab();
    const a = await RawCarrier.connect(lab.relay.port);
    const b = await RawCarrier.connect(lab.relay.port);
    expect(a.binding().length).toBe(32);
    expect(Buffer.compare(a.binding(), b.binding())).not.toBe(0);
    a.hello(lab.device("nas"), "control");
    await a.whenControl("welcome");
  });
});

describe("NODE_TLS_REJECT_UNAUTHORIZED=0", () => {
  const lab = new TunnelLab(zoo, { certificate: pair(zoo.rogue) });
  const asking = new TunnelLab(zoo);
  afterAll(() => {
    lab.close();
    asking.close();
  });

  test("does not weaken the verified mode, nor send a hello", async () => {
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/../../../test/fixtures/verified-agent.ts`], {
      env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" },
      stdin: new Blob([JSON.stringify({ port: lab.relay.port, ca: zoo.authority.certificatePem })]),
      stdout: "pipe",
      stderr: "ignore",
    });
    expect(JSON.parse(await child.stdout.text())).toMatchObject({ ok: false, error: { kind: "untrusted" } });
    expect(lab.shown).toEqual([]);
  });
});

test("an agent that is aborted while it connects leaves nothing open", async () => {
  const lab = newLab();
  const reached = Promise.withResolvers<void>();
  const socket = { open: () => reached.resolve(), data: () => undefined };
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const side = new Side();
  const attempted = lab.tryConnect({
    ...lab.agentOptions(lab.device("nas"), side),
    relay: { host: "127.0.0.1", port: silent.port },
  });
  await reached.promise;
  lab.close();
  const outcome = await attempted;
  expect(outcome).toEqual({ ok: false, error: { kind: "unreachable", message: "stopped" } });
  expect([side.ready.length, side.closed.length]).toEqual([0, 0]);
  silent.stop(true);
});

test("a frame that a relay sends before its welcome ends the attempt", async () => {
  const lab = newLab();
  const rude = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { ...pair(zoo.good), ALPNProtocols: Buffer.concat([Buffer.from([ALPN.length]), Buffer.from(ALPN)]) },
    socket: {
      handshake: (socket) =>
        void socket.write(Uint8Array.of(FrameType.ping, 0, 0, 8, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)),
      data: () => undefined,
      error: () => undefined,
    },
  });
  expect(await attempt(lab, { relay: { host: "127.0.0.1", port: rude.port } })).toMatch(/^unreachable/);
  rude.stop(true);
});

/** `openssl s_server` with the pinned certificate; it takes one connection and says hello. */
async function opensslServer(options: readonly string[]): Promise<{ readonly port: number; stop(): void }> {
  await using directory = await temporaryDirectory();
  const [cert, key] = [`${directory.path}/cert.pem`, `${directory.path}/key.pem`];
  await Bun.write(cert, zoo.good.certificatePem);
  await Bun.write(key, zoo.good.keyPem);
  const child = Bun.spawn(
    ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key, "-naccept", "1", ...options],
    { stdin: new Blob(["hello, this is no frame\n"]), stdout: "pipe", stderr: "ignore" },
  );
  let said = "";
  for await (const chunk of child.stdout) {
    said += Buffer.from(chunk).toString();
    const port = /ACCEPT \S+:(\d+)/.exec(said)?.[1];
    if (port !== undefined) return { port: Number(port), stop: () => child.kill() };
  }
  throw new Error(`openssl s_server said ${said}`);
}

/** What `openssl s_client` says of a connection. */
async function openssl(port: number, options: readonly string[]): Promise<string> {
  const child = Bun.spawn(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...options], {
    stdin: new Blob([""]),
    stdout: "pipe",
    stderr: "pipe",
  });
  return (await child.stdout.text()) + (await child.stderr.text());
}
