import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { certificateZoo } from "../../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { FakeAcme } from "../../../test/fixtures/fake-acme.ts";
import { certificateOf } from "../../os/certificate.ts";
import type { Logger } from "../../os/log.ts";
import { Proofs } from "../../servers/names/proofs.ts";
import { fixedCertificate } from "../certificate/source.ts";
import { SiteAcme } from "./site-acme.ts";

const HERE = "127.0.0.1";
const zoo = await certificateZoo();
const ours = certificateOf(zoo.good.certificatePem, zoo.good.keyPem, []);
if (ours === null) throw new Error("no fallback");
const fallback = fixedCertificate(ours);

let running: AsyncDisposableStack;
let acme: FakeAcme;
let dataDir: string;
let wanted: string[];
let sites: SiteAcme;

beforeEach(async () => {
  running = new AsyncDisposableStack();
  acme = running.use(await FakeAcme.start());
  dataDir = running.use(await temporaryDirectory()).path;
  const proofs = new Proofs();
  const port80 = Bun.serve({
    hostname: HERE,
    port: 0,
    fetch: ({ url }) => new Response(proofs.ofToken(url.split("/").at(-1) ?? "") ?? "none"),
  });
  running.defer(() => port80.stop(true));
  acme.httpPort = port80.port ?? 0;
  const ended = new AbortController();
  running.defer(() => ended.abort());
  const ca = join(dataDir, "ca.pem");
  await writeFile(ca, acme.caPem);
  wanted = [];
  sites = await SiteAcme.open({
    settings: { email: null, directory: acme.directory, ca, challenge: null },
    dataDir,
    fallback,
    ports: { http: 80, https: 443 },
    proofs,
    canProve: () => true,
    wanted: () => wanted,
    log: { info: () => undefined, warn: () => undefined } as unknown as Logger,
    signal: ended.signal,
  });
});
afterEach(() => running.disposeAsync());

/** What is due is done: files are read first, and orders are made at the next look. */
async function settled(): Promise<void> {
  sites.sweep();
  await sites.idle();
  sites.sweep();
  await sites.idle();
}

const names = (count: number) => Array.from({ length: count }, (_, at) => `site${at}.example.org`);
const states = () => wanted.map((name) => sites.stateOf(name).kind);

test("every name gets its own, four at a time", async () => {
  wanted = names(6);
  expect(states()).toEqual(Array.from({ length: 6 }, () => "ordered"));
  await settled();
  expect(states()).toEqual(["there", "there", "there", "there", "ordered", "ordered"]);
  await settled();
  expect(new Set(states())).toEqual(new Set(["there"]));
  expect([acme.count("newOrder"), acme.accounts.size]).toEqual([6, 1]);
  wanted = [];
  sites.sweep();
  expect(sites.contextOf("site0.example.org")).toBeNull();
});

test("a CA that wants no more orders is left alone by every name, also at a reload", async () => {
  acme.faults.push({ at: "newOrder", status: 429, type: "rateLimited", headers: { "retry-after": "3600" } });
  wanted = names(6);
  await settled();
  await settled();
  expect(states().toSorted()).toEqual(["failed", "ordered", "ordered", "there", "there", "there"]);
  expect(await sites.look()).toMatchObject({
    kind: "refused",
    message: expect.stringContaining("wants no more orders"),
  });
  await settled();
  expect(acme.count("newOrder")).toBe(4);
});

test("a reload tries all at once that failed, and says what may not be", async () => {
  const port = acme.httpPort;
  acme.httpPort = 1;
  wanted = names(3);
  await settled();
  expect(states()).toEqual(["failed", "failed", "failed"]);
  await settled();
  expect(acme.count("newOrder")).toBe(3);
  acme.httpPort = port;
  expect(await sites.look()).toEqual({ kind: "same" });
  expect(states()).toEqual(["ordered", "ordered", "ordered"]);
  await sites.idle();
  expect(states()).toEqual(["there", "there", "there"]);
});

test("what cannot be kept is said, and mended by a reload", async () => {
  wanted = names(1);
  const inTheWay = join(dataDir, "names", "site0.example.org");
  await mkdir(join(dataDir, "names"), { recursive: true });
  await writeFile(inTheWay, "");
  await settled();
  expect(sites.stateOf("site0.example.org")).toMatchObject({
    kind: "failed",
    message: expect.stringContaining("cannot be kept"),
    retryAtMs: null,
  });
  await rm(inTheWay);
  await sites.look();
  await settled();
  expect(states()).toEqual(["there"]);
});
