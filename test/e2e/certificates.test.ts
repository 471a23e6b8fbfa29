import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PUBLIC_ONLY } from "../../src/core/exit-rule.ts";
import { startAgent } from "../../src/roles/agent.ts";
import {
  type AgentSettings,
  type CertificateFiles,
  ControlError,
  type RelaySettings,
  type RunningAgent,
  type RunningRelay,
} from "../../src/roles/control.ts";
import { startRelay } from "../../src/roles/relay.ts";
import { ALPN } from "../../src/wire/tunnel/control.ts";
import { type CertificateZoo, certificateZoo, type TestCertificate } from "../fixtures/certificates.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { until } from "../fixtures/roles-lab.ts";
import { shownFingerprint } from "../fixtures/shown-certificate.ts";

let zoo: CertificateZoo;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let files = 0;
const running: (RunningRelay | RunningAgent)[] = [];

beforeAll(async () => {
  zoo = await certificateZoo();
  directory = await temporaryDirectory();
});
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop({ drainMs: 0 });
});
afterAll(() => directory[Symbol.asyncDispose]());

async function save(pem: string): Promise<string> {
  const path = join(directory.path, `${files++}.pem`);
  await writeFile(path, pem, { mode: 0o600 });
  return path;
}

async function saved({ certificatePem, keyPem }: TestCertificate): Promise<CertificateFiles> {
  return { certificate: await save(certificatePem), key: await save(keyPem) };
}

/** Writes another pair into the files of one. */
async function overwrite(files: CertificateFiles, { certificatePem, keyPem }: TestCertificate): Promise<void> {
  await writeFile(files.certificate, certificatePem);
  await writeFile(files.key, keyPem);
}

async function relay(settings: Partial<RelaySettings>): Promise<RunningRelay> {
  const all: RelaySettings = {
    listen: { host: "127.0.0.1", port: 0 },
    publicHost: "127.0.0.1",
    ports: [],
    allow: PUBLIC_ONLY,
    certificate: null,
    clientCa: null,
    stun: false,
    proxyProtocolFrom: [],
    check: { listen: null, hosts: [], private: false, trustedProxies: [] },
    console: null,
    metrics: null,
    ...settings,
  };
  const dataDir = join(directory.path, `relay${files++}`);
  const started = await startRelay({ dataDir, readSettings: () => Promise.resolve(all) });
  running.push(started);
  return started;
}

/** Resolves with the kind of failure, or with "joined". */
async function joinWith(to: RunningRelay, settings: Partial<AgentSettings>, name = "den"): Promise<string> {
  const all: AgentSettings = {
    name: null,
    relay: null,
    allow: [],
    managed: null,
    certificate: null,
    ca: null,
    forwards: [],
    ...settings,
  };
  const joinCode = await to.createJoinCode({ name, lifetimeSec: 60 });
  const dataDir = join(directory.path, `agent${files++}`);
  try {
    const agent = await startAgent({ dataDir, joinCode, readSettings: () => Promise.resolve(all), runListed: false });
    running.push(agent);
    return "joined";
  } catch (error) {
    if (error instanceof ControlError) return `${error.kind}: ${error.message}`;
    throw error;
  }
}

describe("a relay with a certificate of its own", () => {
  test("is joined by an agent that trusts its CA, and by no other", async () => {
    const certified = await relay({ certificate: await saved(zoo.good) });
    const ca = await save(zoo.authority.certificatePem);
    expect(await joinWith(certified, { ca })).toBe("joined");
    expect(await joinWith(certified, {}, "attic")).toContain("unreachable: ");
  });

  const refused = [
    ["rogue", "not trusted"],
    ["wrongName", "does not match"],
  ] as const;
  test.each(refused)("that is %s is told apart: nothing is shown to it", async (kind, words) => {
    const certified = await relay({ certificate: await saved(zoo[kind]) });
    const outcome = await joinWith(certified, { ca: await save(zoo.authority.certificatePem) });
    expect(outcome).toContain("unreachable: ");
    expect(outcome).toContain(words);
    expect((await certified.listDevices()).length).toBe(0);
  });

  test.each(["expired", "notYetValid"] as const)("that is %s does not start", async (kind) => {
    const starting = relay({ certificate: await saved(zoo[kind]) });
    expect(starting).rejects.toMatchObject({ kind: "usage" });
    await starting.catch(() => undefined);
  });

  test("takes a renewed one at a reload: agents stay, and others join by it", async () => {
    const files = await saved(zoo.good);
    const listen = { host: "127.0.0.1", port: 0 };
    const certified = await relay({
      certificate: files,
      console: { listen, hosts: [], certificate: null, tls: true, trustedProxies: [] },
    });
    const ca = await save(zoo.authority.certificatePem);
    expect(await joinWith(certified, { ca })).toBe("joined");
    const agentPort = certified.ready.listen.port;
    const consolePort = Number(new URL(certified.ready.console?.url ?? "").port);
    const connected = async () => (await certified.listDevices()).map(({ connected }) => connected);
    await until(async () => (await connected()).every((one) => one));

    const next = await zoo.authority.issue({ names: ["localhost", "127.0.0.1"] });
    await overwrite(files, { ...next, keyPem: zoo.good.keyPem });
    const refused = await certified.reload();
    expect([refused.changed, refused.refused]).toEqual([[], [expect.stringContaining("does not belong")]]);
    expect(await shownFingerprint(agentPort, ALPN)).toEqual(zoo.good.fingerprint);

    await overwrite(files, next);
    const renewed = await certified.reload();
    expect([renewed.changed, renewed.refused, renewed.needRestart]).toEqual([["relay.certificate"], [], []]);
    expect(await shownFingerprint(agentPort, ALPN)).toEqual(next.fingerprint);
    // The console has none of its own.
    expect(await shownFingerprint(consolePort)).toEqual(next.fingerprint);
    expect((await certified.status()).fingerprint).toBe(Buffer.from(next.fingerprint).toString("hex"));
    expect(await connected()).toEqual([true]);
    expect(await joinWith(certified, { ca }, "attic")).toBe("joined");
    await until(async () => (await connected()).join() === "true,true");
  });

  test("a console's own one is renewed alone", async () => {
    const [ofRelay, ofConsole] = [await saved(zoo.good), await saved(zoo.wrongName)];
    const listen = { host: "127.0.0.1", port: 0 };
    const certified = await relay({
      certificate: ofRelay,
      console: { listen, hosts: [], certificate: ofConsole, tls: true, trustedProxies: [] },
    });
    const consolePort = Number(new URL(certified.ready.console?.url ?? "").port);
    await overwrite(ofConsole, zoo.rogue);
    expect((await certified.reload()).changed).toEqual(["console.certificate"]);
    expect(await shownFingerprint(consolePort)).toEqual(zoo.rogue.fingerprint);
    expect(await shownFingerprint(certified.ready.listen.port, ALPN)).toEqual(zoo.good.fingerprint);
  });

  test("a file that holds no CA is named", async () => {
    const certified = await relay({ certificate: await saved(zoo.good) });
    expect(await joinWith(certified, { ca: await save("nothing") })).toContain("holds no certificate in PEM");
  });
});

describe("a relay with a client CA", () => {
  const asking = async () => relay({ clientCa: await save(zoo.authority.certificatePem) });

  test("takes a device whose certificate names it", async () => {
    const own = await zoo.authority.issue({ names: ["den"] });
    expect(await joinWith(await asking(), { certificate: await saved(own) })).toBe("joined");
  });

  test("takes no device without a certificate", async () => {
    const to = await asking();
    expect(await joinWith(to, {})).not.toBe("joined");
    expect((await to.listDevices()).length).toBe(0);
  });

  test("takes no certificate of another CA", async () => {
    const to = await asking();
    expect(await joinWith(to, { certificate: await saved(zoo.rogue) })).not.toBe("joined");
    expect((await to.listDevices()).length).toBe(0);
  });

  test("takes no certificate that names another device", async () => {
    const other = await zoo.authority.issue({ names: ["attic"] });
    const to = await asking();
    expect(await joinWith(to, { certificate: await saved(other) })).toContain("refused: ");
  });

  test("an expired certificate is refused before it is shown", async () => {
    expect(await joinWith(await asking(), { certificate: await saved(zoo.expired) })).toContain("expired");
  });
});
