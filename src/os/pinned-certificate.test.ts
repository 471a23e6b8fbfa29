import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CertificateZoo, certificateZoo, spkiFingerprint } from "../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { loadOrCreateRelayCertificate } from "./certificate.ts";
import { pinnedCertificate } from "./pinned-certificate.ts";

const HERE = "127.0.0.1";
const never = new AbortController().signal;
let zoo: CertificateZoo;
let own: { readonly certificatePem: string; readonly keyPem: string; readonly fingerprint: Uint8Array };
const servers: { stop(now: boolean): unknown }[] = [];

function serve(cert: string, key: string): { readonly host: string; readonly port: number } {
  const server = Bun.serve({ port: 0, hostname: HERE, tls: { cert, key }, fetch: () => new Response("here") });
  servers.push(server);
  return { host: HERE, port: server.port ?? 0 };
}

beforeAll(async () => {
  zoo = await certificateZoo();
  await using directory = await temporaryDirectory();
  const made = await loadOrCreateRelayCertificate(directory.path, ["relay.example"], Date.now());
  if (!made.ok) throw new Error(made.error.message);
  own = made.value;
});
afterAll(() => Promise.all(servers.map((server) => server.stop(true))));

describe("a server's own certificate", () => {
  test("is found by its key, and lets a fetch in to that server alone", async () => {
    const server = serve(own.certificatePem, own.keyPem);
    const found = await pinnedCertificate(server, own.fingerprint, never);
    if (!found.ok) throw new Error(found.error.message);
    const tls = { ca: found.value, checkServerIdentity: () => undefined };
    const get = (port: number) => fetch(`https://${HERE}:${port}`, { tls, keepalive: false });
    expect(await (await get(server.port)).text()).toBe("here");
    for (const other of [zoo.good, zoo.rogue]) {
      const refused = await get(serve(other.certificatePem, other.keyPem).port).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
    }
  });

  test("of another key is refused", async () => {
    const server = serve(own.certificatePem, own.keyPem);
    expect(await pinnedCertificate(server, zoo.good.fingerprint, never)).toMatchObject({
      ok: false,
      error: { kind: "other-key", message: expect.stringContaining(Buffer.from(own.fingerprint).toString("hex")) },
    });
    expect(await pinnedCertificate(server, own.fingerprint.slice(1), never)).toMatchObject({ ok: false });
  });

  test("that a CA signed is none by itself", async () => {
    const { certificatePem, keyPem } = zoo.good;
    const found = await pinnedCertificate(serve(certificatePem, keyPem), spkiFingerprint(certificatePem), never);
    expect(found).toMatchObject({ ok: false, error: { kind: "not-self-signed" } });
  });
});

describe("no TLS comes about with", () => {
  const unreachable = { ok: false, error: { kind: "unreachable" } };

  test("nobody", async () => {
    const server = Bun.serve({ port: 0, hostname: HERE, fetch: () => new Response("") });
    const port = server.port ?? 0;
    await server.stop(true);
    expect(await pinnedCertificate({ host: HERE, port }, own.fingerprint, never)).toMatchObject(unreachable);
  });

  test("a server that speaks something else", async () => {
    const server = Bun.serve({ port: 0, hostname: HERE, fetch: () => new Response("") });
    servers.push(server);
    const at = { host: HERE, port: server.port ?? 0 };
    expect(await pinnedCertificate(at, own.fingerprint, never)).toMatchObject(unreachable);
  });

  test("a server that says nothing, when it has been waited for long enough", async () => {
    const { promise: connected, resolve } = Promise.withResolvers<void>();
    const silent = Bun.listen({ port: 0, hostname: HERE, socket: { open: () => resolve(), data: () => undefined } });
    servers.push(silent);
    const stop = new AbortController();
    const asked = pinnedCertificate({ host: HERE, port: silent.port }, own.fingerprint, stop.signal);
    await connected;
    stop.abort();
    expect(await asked).toMatchObject(unreachable);
  });
});
