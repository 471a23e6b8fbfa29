import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testAuthority } from "../fixtures/certificates.ts";
import { type ForwardLine, forwards, open, run, type Site, startSite } from "./hatchway.ts";
import { createLab, type Lab } from "./lab.ts";
import { listening } from "./ready.ts";

/** Sites of an agent behind NAT on the relay's ports 80 and 443, as curl and openssl see them from outside. */
const MEGABYTES = 8;
const PLAIN = 8080;
const SECURE = 8443;

let lab: Lab;
let site: Site;
let ca: string;
let ownCa: string;

/** nginx with a large file, plain (with PROXY protocol) and by TLS of its own. */
async function startServices(): Promise<void> {
  const directory = mkdtempSync(join(lab.directory, "nginx-names-"));
  const authority = await testAuthority("CA of the service");
  const own = await authority.issue({ names: ["pass.example.org"] });
  const file = (name: string, text: string | Uint8Array) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  ownCa = file("own-ca.pem", authority.certificatePem);
  file(
    "large",
    new Uint8Array(MEGABYTES * 1_048_576).map((_, index) => (index * 31) >> 3),
  );
  const config = `
    error_log stderr; pid ${directory}/pid; events {}
    http {
      access_log off; client_body_temp_path ${directory}/body; root ${directory};
      server {
        listen ${PLAIN} proxy_protocol;
        location /who { return 200 "$proxy_protocol_addr $http_x_forwarded_for $http_x_forwarded_proto $http_host"; }
      }
      server {
        listen ${SECURE} ssl http2;
        ssl_certificate ${file("cert.pem", own.certificatePem)}; ssl_certificate_key ${file("key.pem", own.keyPem)};
        location /who { return 200 "its own TLS, $server_protocol"; }
      }
    }`;
  const child = lab.spawn(lab.agent, ["nginx", "-c", file("nginx.conf", config), "-g", "daemon off; user root;"]);
  await listening(child, "tcp", SECURE);
}

beforeAll(async () => {
  lab = createLab();
  const authority = await testAuthority("CA of the relay's sites");
  const pair = await authority.issue({ names: ["*.example.org"] });
  const directory = mkdtempSync(join(lab.directory, "names-"));
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  ca = file("ca.pem", authority.certificatePem);
  const relay = `
[names]
http = "*:80"
https = "*:443"
domains = ["*.example.org"]
certificate = "${file("cert.pem", pair.certificatePem)}"
key = "${file("key.pem", pair.keyPem)}"
`;
  file("logins", "ann:secret\n");
  const agent = `
[[expose]]
ports = ${PLAIN}
host = ["app.example.org", "www.example.org"]
proxy-protocol = "v2"
[[expose]]
ports = ${PLAIN}
name = "private"
host = "private.example.org"
basic-auth-file = "${join(directory, "logins")}"
proxy-protocol = "v1"
`;
  await startServices();
  site = await startSite(lab, { relay, agent });
}, 40_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function curl(url: string, ...more: readonly string[]) {
  const { host, port, protocol } = new URL(url);
  const place = `${host}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}:${lab.relay.v4}`;
  const args = ["-sS", "--noproxy", "*", "--max-time", "30", "--resolve", place, "--cacert", ca, ...more];
  return lab.exec(lab.visitor, ["curl", ...args, url]);
}

test("sites of the config file are there, by HTTPS, with their URLs in lists", async () => {
  const listed: readonly ForwardLine[] = await forwards(lab, site.agentHome);
  const urls = listed.flatMap(({ endpoints }) => endpoints.map((endpoint) => (endpoint as { url?: string }).url));
  expect(urls.toSorted()).toEqual([
    "https://app.example.org",
    "https://private.example.org",
    "https://www.example.org",
  ]);
  const table = await run(lab, site.relayHome, "forward", "ls");
  expect(table.stdout).toContain("https://app.example.org");
  for (const version of ["--http1.1", "--http2"]) {
    const who = await curl("https://app.example.org/who", version, "-H", "X-Forwarded-For: 192.0.2.66");
    expect(who.stdout).toBe(`${lab.visitor.v4} ${lab.visitor.v4} https app.example.org`);
  }
  const moved = await curl("http://www.example.org/who?x", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}");
  expect(moved.stdout).toBe("308 https://www.example.org/who?x");
  const asked = await curl("https://private.example.org/who", "-o", "/dev/null", "-w", "%{http_code}");
  expect(asked.stdout).toBe("401");
  const letIn = await curl("https://private.example.org/who", "-u", "ann:secret");
  expect(letIn.stdout).toContain("private.example.org");
}, 30_000);

test("TLS is passed through beside it, and what disagrees is refused", async () => {
  await using _ = await open(lab, site.agentHome, "expose", `${SECURE}`, "--host", "pass.example.org", "--tls", "pass");
  const passed = await curl("https://pass.example.org/who", "--cacert", ownCa);
  expect(passed.stdout).toBe("its own TLS, HTTP/2.0");
  for (const version of ["--http1.1", "--http2"]) {
    const code = ["-o", "/dev/null", "-w", "%{http_code}"];
    const other = await curl("https://app.example.org/", version, "-H", "Host: private.example.org", ...code);
    expect([version, other.stdout]).toEqual([version, "421"]);
  }
  const to = `${lab.relay.v4}:443`;
  for (const sni of [["-noservername"], ["-servername", "nobody.example.org"]]) {
    const { exitCode, stderr, stdout } = await lab.exec(lab.visitor, ["openssl", "s_client", "-connect", to, ...sni]);
    expect([exitCode, `${stderr}${stdout}`]).toEqual([1, expect.stringContaining("unrecognized name")]);
  }
}, 30_000);

test("a name that is not handed out is refused in one sentence", async () => {
  const no = await run(lab, site.agentHome, "expose", "8080", "--host", "relay.example.net");
  expect([no.exitCode, no.stderr]).toEqual([3, expect.stringContaining("none that this relay hands out")]);
  const port = await run(lab, site.agentHome, "expose", "8080", "--as", "443");
  expect(port.stderr).toContain("shared by sites: expose one by --host");
}, 30_000);

test("a large file arrives whole, whichever way it comes", async () => {
  await using _ = await open(lab, site.agentHome, "expose", `${SECURE}`, "--host", "pass.example.org", "--tls", "pass");
  const sums = new Set<string>();
  for (const [name, url, ...args] of [
    ["HTTP/1.1, TLS ended here", "https://app.example.org/large", "--http1.1"],
    ["HTTP/2, TLS ended here", "https://app.example.org/large", "--http2"],
    ["TLS passed through", "https://pass.example.org/large", "--http1.1", "--cacert", ownCa],
  ] as const) {
    const target = join(lab.directory, "got");
    const got = await curl(url, "-o", target, "-w", "%{speed_download}", ...args);
    console.log(`${name}: ${((Number(got.stdout) * 8) / 1e9).toFixed(2)} Gbit/s`);
    sums.add((await lab.exec(lab.visitor, ["sha256sum", target])).stdout.split(" ")[0] ?? "");
    expect([name, got.exitCode, got.stderr]).toEqual([name, 0, ""]);
  }
  expect(sums.size).toBe(1);
}, 60_000);

test("a site without TLS is by HTTP", async () => {
  await using opened = await open(
    lab,
    site.agentHome,
    "expose",
    `${PLAIN}`,
    "--host",
    "plain.example.org",
    "--tls",
    "off",
    "--proxy-protocol",
    "v1",
  );
  expect(opened.endpoints).toMatchObject([{ host: "plain.example.org", port: 80, url: "http://plain.example.org" }]);
  const who = await curl("http://plain.example.org/who");
  expect(who.stdout).toBe(`${lab.visitor.v4} ${lab.visitor.v4} http plain.example.org`);
}, 30_000);
