import "reflect-metadata";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import { X509Certificate } from "@peculiar/x509";
import { testAuthority } from "../../../test/fixtures/certificates.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS, type SiteSpec } from "../../core/forward.ts";
import { endPair } from "../../dataplanes/io/end-pair.ts";
import { openNamed } from "../../dataplanes/io/entry.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { proofCertificate } from "../../os/proof-certificate.ts";
import { NamesServer } from "./server.ts";

const HERE = "127.0.0.1";
const ACME = "acme-tls/1";
const AUTHORIZATION = "token.thumbprint";
/** id-pe-acmeIdentifier (RFC 8737 section 3). */
const IDENTIFIER = "1.3.6.1.5.5.7.1.31";

const ended = new AbortController();
let server: NamesServer;
let port: number;
/** What services with their own TLS were sent, as it came. */
let passed: string;

beforeAll(async () => {
  const sweeper = startSweeper(ended.signal);
  const { certificatePem, keyPem } = await (await testAuthority("CA of the sites")).issue({
    names: ["*.example.org"],
  });
  const certificate = createSecureContext({ cert: certificatePem, key: keyPem });
  server = new NamesServer({
    sweeper,
    certificate: (name) => (name === "new.example.org" ? null : certificate),
    unexpected: (error) => {
      throw error;
    },
  });
  const opened = server.openHttps({ host: HERE, port: 0 });
  if (!opened.ok) throw new Error(opened.error.message);
  port = server.ports.https ?? 0;
  const names = { end: "end", open: "end", new: "end", pass: "pass", off: "off" } as const;
  for (const [id, tls] of Object.entries(names)) {
    // One lets nobody in: a CA is no visitor.
    const source = { allow: [], deny: id === "end" ? (["0.0.0.0/0"] as never) : [] };
    const options = { ...DEFAULT_OPTIONS, source };
    const spec: SiteSpec = {
      hosts: [`${id}.example.org`],
      tls,
      service: "http1",
      logins: [],
    };
    const { host } = openNamed(
      { bind: HERE, ports: [], options, admission: new Admission(options), sweeper },
      { connect: service, openFlow: () => Promise.reject(new Error("no flows")) as never },
    );
    server.sites.add({ spec, host, externalPort: port });
  }
  for (const id of ["end", "open", "new", "pass", "nobody"]) {
    server.proofs.showIn(`${id}.example.org`, await contextOf(`${id}.example.org`));
  }
});
afterAll(() => {
  server.close();
  ended.abort();
});

function service() {
  const { a, b } = endPair();
  b.sink = {
    ...SILENT_SINK,
    onData: (bytes) => {
      passed += Buffer.from(bytes).toString("latin1");
      b.reset("serviceRefused");
    },
  };
  return a;
}

async function contextOf(name: string): Promise<SecureContext> {
  const { certificatePem, keyPem } = await proofCertificate(name, AUTHORIZATION, Date.now());
  return createSecureContext({ cert: certificatePem, key: keyPem });
}

interface Shown {
  readonly certificate: X509Certificate | null;
  readonly protocol: string | false | null;
  /** It was closed in order, and not one byte came. */
  readonly endedEmpty: boolean;
}

/** What a client is shown that says a few words after its handshake. */
function shown(servername: string, protocols: readonly string[], more: object = {}): Promise<Shown> {
  passed = "";
  return new Promise((resolve) => {
    let certificate: X509Certificate | null = null;
    let heard = 0;
    let isEnd = false;
    const options = { host: HERE, port, servername, ALPNProtocols: [...protocols], rejectUnauthorized: false };
    const socket = connectTls({ ...options, ...more });
    socket.on("secureConnect", () => {
      certificate = new X509Certificate(new Uint8Array(socket.getPeerCertificate().raw));
      socket.write("GET / HTTP/1.1\r\nHost: end.example.org\r\n\r\n");
    });
    socket.on("data", (bytes) => {
      heard += bytes.length;
    });
    socket.on("end", () => {
      isEnd = true;
      socket.end();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () =>
      resolve({
        certificate,
        protocol: certificate === null ? null : socket.alpnProtocol,
        endedEmpty: isEnd && heard === 0,
      }),
    );
  });
}

test.each<[string, string, object]>([
  ["of a site", "end.example.org", {}],
  ["of a site that has no certificate yet", "new.example.org", {}],
  ["of a site that is gone meanwhile", "nobody.example.org", {}],
  ["by TLS 1.2", "end.example.org", { maxVersion: "TLSv1.2" }],
])("a name %s is proven, and nothing is said after it", async (_what, name, more) => {
  const { certificate, protocol, endedEmpty } = await shown(name, [ACME], more);
  expect([protocol, endedEmpty]).toEqual([ACME, true]);
  const extension = certificate?.getExtension(IDENTIFIER);
  expect(extension?.critical).toBe(true);
  const digest = createHash("sha256").update(AUTHORIZATION).digest("hex");
  expect(Buffer.from(extension?.value ?? new ArrayBuffer(0)).toString("hex")).toBe(`0420${digest}`);
  const names = certificate?.getExtension("2.5.29.17");
  expect(Buffer.from(names?.value ?? new ArrayBuffer(0)).toString("latin1")).toEndWith(name);
});

test.each<[string, string, readonly string[], "the site's own" | "none"]>([
  ["a browser", "open.example.org", ["h2", "http/1.1"], "the site's own"],
  ["who offers more than that", "open.example.org", [ACME, "http/1.1"], "the site's own"],
  ["who offers nothing", "open.example.org", [], "the site's own"],
  ["who offers something like it", "open.example.org", ["acme-tls/2"], "none"],
  ["who asks for a name that nobody proves", "off.example.org", [ACME], "none"],
  ["who asks for a name below", "a.open.example.org", [ACME], "none"],
])("%s never sees a proof", async (_who, name, protocols, sees) => {
  const { certificate } = await shown(name, protocols);
  expect(certificate === null ? "none" : "the site's own").toBe(sees);
  expect(certificate?.getExtension(IDENTIFIER) ?? null).toBeNull();
});

test("a service with its own TLS is asked itself", async () => {
  const { certificate } = await shown("pass.example.org", [ACME]);
  expect([certificate, passed.includes(ACME), passed.includes("pass.example.org")]).toEqual([null, true, true]);
});

test("a proof is shown as long as it is asked for, and the one after it is not taken away by its end", async () => {
  const first = server.proofs.showIn("two.example.org", await contextOf("two.example.org"));
  const second = server.proofs.showIn("two.example.org", await contextOf("two.example.org"));
  first();
  expect((await shown("two.example.org", [ACME])).protocol).toBe(ACME);
  second();
  expect((await shown("two.example.org", [ACME])).certificate).toBeNull();
});

test("who goes away in the middle of a proof leaves nothing behind", async () => {
  const gone = Promise.withResolvers<void>();
  const socket = connectTls({ host: HERE, port, servername: "end.example.org", ALPNProtocols: [ACME] });
  socket.on("error", () => undefined);
  socket.on("close", () => gone.resolve());
  // Its own check of the certificate fails, and it cuts the connection.
  await gone.promise;
  expect((await shown("end.example.org", [ACME])).endedEmpty).toBe(true);
});
