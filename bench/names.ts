// Sites whose TLS the relay ends, beside a port forward, TLS passed through, and nginx and HAProxy that end TLS in front of the
// same service: requests a second, the processor time of a request, and one large file, all on this machine's loopback, in rounds.
// node_modules/.bin/bun bench/names.ts [rounds; 3] [seconds a load; 3] [only ways with this in their name]
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect as connectH2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { testAuthority } from "../test/fixtures/certificates.ts";
import { freePorts } from "../test/fixtures/free-ports.ts";
import { findProgram, ROOT, run } from "./lab/commands.ts";
import { usage, withChildren } from "./lab/processes.ts";
import { startProgram } from "./lab/program.ts";
import { describeMachine } from "./report/machine.ts";

const HERE = "127.0.0.1";
const HOST = "end.example.org";
const PASSED = "pass.example.org";
const CONNECTIONS = 16;
const FILE_BYTES = 128 * 1_048_576;
const SMALL = "x".repeat(100);

const [rounds = "3", seconds = "3", only = ""] = process.argv.slice(2);
const directory = await mkdtemp(join(tmpdir(), "hatchway-names-"));
const file = (name: string) => join(directory, name);
const authority = await testAuthority("CA of the bench");
const pair = await authority.issue({ names: ["*.example.org"] });
await Bun.write(file("ca.pem"), authority.certificatePem);
await Bun.write(file("cert.pem"), pair.certificatePem);
await Bun.write(file("key.pem"), pair.keyPem);
await Bun.write(file("both.pem"), `${pair.certificatePem}${pair.keyPem}`);
await Bun.write(file("www/large"), new Uint8Array(FILE_BYTES));
await Bun.write(file("www/small"), SMALL);
const ports = await freePorts(8);
const [plain = 0, own = 0, nginx = 0, haproxy = 0, agentPort = 0, http = 0, https = 0, forwarded = 0] = ports;

const programs: number[] = [];
/** What stands between visitor and service, by the first word of a way's name. */
const between: Record<string, number[]> = { Hatchway: [], nginx: [], HAProxy: [] };
function start(name: string, command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const program = startProgram((words) => [...words], command, {
    name,
    environment,
    directory,
    logFile: file(`${name}.log`),
  });
  programs.push(program.id);
  return program;
}

interface Way {
  readonly name: string;
  readonly port: number;
  readonly host: string;
  readonly speaks: "http" | "https" | "h2";
}
const WAYS: readonly Way[] = [
  { name: "the service itself", port: plain, host: HOST, speaks: "http" },
  { name: "Hatchway: a port", port: forwarded, host: HOST, speaks: "http" },
  { name: "Hatchway: a site, plain", port: http, host: "plain.example.org", speaks: "http" },
  { name: "Hatchway: a site, TLS passed", port: https, host: PASSED, speaks: "https" },
  { name: "Hatchway: a site, TLS ended", port: https, host: HOST, speaks: "https" },
  { name: "Hatchway: a site, HTTP/2", port: https, host: HOST, speaks: "h2" },
  { name: "nginx ends TLS", port: nginx, host: HOST, speaks: "https" },
  { name: "nginx ends TLS, HTTP/2", port: nginx, host: HOST, speaks: "h2" },
  { name: "HAProxy ends TLS", port: haproxy, host: HOST, speaks: "https" },
  { name: "HAProxy ends TLS, HTTP/2", port: haproxy, host: HOST, speaks: "h2" },
];

async function startAll(): Promise<void> {
  const tls = `ssl_certificate ${file("cert.pem")}; ssl_certificate_key ${file("key.pem")};`;
  await Bun.write(
    file("nginx.conf"),
    `error_log stderr; pid ${file("nginx.pid")}; worker_processes 1; events { worker_connections 4096; }
     http {
       access_log off; client_body_temp_path ${file("body")}; sendfile on; keepalive_requests 10000000;
       server { listen ${HERE}:${plain}; root ${file("www")}; }
       server { listen ${HERE}:${own} ssl; ${tls} root ${file("www")}; }
     }`,
  );
  await Bun.write(
    file("front.conf"),
    `error_log stderr; pid ${file("front.pid")}; worker_processes 1; events { worker_connections 4096; }
     http {
       access_log off; client_body_temp_path ${file("front-body")}; proxy_temp_path ${file("proxy")}; keepalive_requests 10000000;
       upstream service { server ${HERE}:${plain}; keepalive 64; keepalive_requests 10000000; }
       server { listen ${HERE}:${nginx} ssl http2; ${tls} http2_max_requests 10000000;
         location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; } }
     }`,
  );
  await Bun.write(
    file("haproxy.cfg"),
    `global
  nbthread 1
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend in
  bind ${HERE}:${haproxy} ssl crt ${file("both.pem")} alpn h2,http/1.1
  default_backend service
backend service
  http-reuse always
  server service ${HERE}:${plain}
`,
  );
  const nginxBy = (name: string) => [
    findProgram("nginx") ?? "nginx",
    "-c",
    file(`${name}.conf`),
    "-g",
    "daemon off; user root;",
  ];
  await start("nginx", nginxBy("nginx")).listening(own);
  const front = start("front", nginxBy("front"));
  await front.listening(nginx);
  const balancer = start("haproxy", [findProgram("haproxy") ?? "haproxy", "-db", "-f", file("haproxy.cfg")]);
  await balancer.listening(haproxy);
  const program = join(ROOT, "bin/hatchway");
  const [relay, agent] = [file("relay"), file("agent")];
  for (const data of [relay, agent]) await mkdir(data, { mode: 0o700 });
  await Bun.write(
    join(relay, "hatchway.toml"),
    `[names]\nhttp = "${HERE}:${http}"\nhttps = "${HERE}:${https}"\ndomains = ["*.example.org"]\ncertificate = "${file("cert.pem")}"\nkey = "${file("key.pem")}"\n`,
  );
  const site = (host: string, port: number, tls: string) =>
    `[[expose]]\nports = ${port}\nname = "${host}"\nhost = "${host}"\ntls = "${tls}"\n`;
  await Bun.write(
    join(agent, "hatchway.toml"),
    [
      site(HOST, plain, "end"),
      site(PASSED, own, "pass"),
      site("plain.example.org", plain, "off"),
      `[[expose]]\nports = "${forwarded}:${plain}"\n`,
    ].join(""),
  );
  const options = (data: string) => ["--data", data, "--config", join(data, "hatchway.toml"), "--json"];
  const where = ["--listen", `${HERE}:${agentPort}`, "--public", HERE, "--ports", `${forwarded}`];
  const serving = start("relay", [program, "serve", ...where, ...options(relay)]);
  await serving.printed('"event":"ready"');
  const code = (await run([program, "join-code", "create", "--name", "bench", "--data", relay])).trim();
  const away = start("agent", [program, "agent", "--join", code, ...options(agent)]);
  Object.assign(between, { Hatchway: [serving.id, away.id], nginx: [front.id], HAProxy: [balancer.id] });
  const asked = () => run([program, "forward", "ls", "--json", "--data", relay]);
  while ((await asked()).split('"state":"open"').length < 5) await Bun.sleep(100);
}

/** Seconds of processor time that what stands between has had. */
async function spentSec({ name }: Way): Promise<number> {
  const ids = await Promise.all((between[name.split(/[: ]/)[0] ?? ""] ?? []).map(withChildren));
  return (await usage(ids.flat())).cpuSec;
}

interface Load {
  readonly perSec: number;
  /** Processor time of a request, of all that stands between. */
  readonly cpuUs: number;
}

/** Keep-alive requests, the next as soon as one is answered. */
async function requests(way: Way, forMs: number): Promise<Load> {
  const before = await spentSec(way);
  const until = performance.now() + forMs;
  let answered = 0;
  const one = way.speaks === "h2" ? overH2 : overHttp1;
  await Promise.all(
    Array.from({ length: way.speaks === "h2" ? 1 : CONNECTIONS }, () =>
      one(way, () => {
        answered += 1;
        return performance.now() < until;
      }),
    ),
  );
  const cpuUs = (((await spentSec(way)) - before) * 1e6) / answered;
  return { perSec: (answered * 1_000) / forMs, cpuUs };
}

function overHttp1({ port, host, speaks }: Way, goesOn: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const text = `GET /small HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const ask = () => socket.write(text);
  const secure = { host: HERE, port, servername: host, ca: authority.certificatePem, ALPNProtocols: ["http/1.1"] };
  const socket: Socket = speaks === "http" ? connectTcp({ host: HERE, port }, ask) : connectTls(secure, ask);
  let heard = "";
  socket.on("data", (bytes) => {
    heard += bytes.toString("latin1");
    if (!heard.endsWith(SMALL)) return;
    heard = "";
    if (goesOn()) ask();
    else socket.destroy();
  });
  socket.on("error", reject);
  socket.on("close", () => resolve());
  return promise;
}

/** As many at once as there are connections elsewhere, over one. */
async function overH2({ port, host }: Way, goesOn: () => boolean): Promise<void> {
  const session = connectH2(`https://${HERE}:${port}`, { servername: host, ca: authority.certificatePem });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  session.on("error", reject);
  const once = () =>
    new Promise<void>((resolve, fail) => {
      const asked = session.request({ ":path": "/small", ":authority": host });
      asked.on("data", () => undefined);
      asked.on("end", resolve);
      asked.on("error", fail);
    });
  const loop = async () => {
    do await once();
    while (goesOn());
  };
  await Promise.race([failed, Promise.all(Array.from({ length: CONNECTIONS }, loop))]);
  session.destroy();
}

/** Gbit/s of one download. */
async function bulk({ port, host, speaks }: Way): Promise<number> {
  const scheme = speaks === "http" ? "http" : "https";
  const version = speaks === "h2" ? "--http2" : "--http1.1";
  const place = [
    "--resolve",
    `${host}:${port}:${HERE}`,
    "--cacert",
    file("ca.pem"),
    "--noproxy",
    "*",
    "--max-time",
    "60",
  ];
  const about = ["-sS", "-o", "/dev/null", "-w", "%{size_download} %{speed_download}"];
  const told = await run(["curl", ...about, version, ...place, `${scheme}://${host}:${port}/large`]);
  const [bytes, speed] = told.split(" ").map(Number);
  if (bytes !== FILE_BYTES) throw new Error(`${host}: ${told}`);
  return ((speed ?? 0) * 8) / 1e9;
}

const median = (samples: readonly number[]) => samples.toSorted((a, b) => a - b)[samples.length >> 1] ?? 0;
try {
  await startAll();
  const rows = new Map(
    WAYS.filter(({ name }) => name.includes(only)).map((way) => [
      way,
      { perSec: [] as number[], cpuUs: [] as number[], gbits: [] as number[] },
    ]),
  );
  for (let round = 0; round < Number(rounds); round++) {
    for (const [way, { perSec, cpuUs, gbits }] of rows) {
      await requests(way, 500);
      const load = await requests(way, Number(seconds) * 1_000);
      perSec.push(load.perSec);
      cpuUs.push(load.cpuUs);
      gbits.push(await bulk(way));
      console.error(`round ${round + 1}: ${way.name}`);
    }
  }
  console.log(await describeMachine());
  console.log("| way | requests/s | CPU µs a request | Gbit/s |\n|---|---|---|---|");
  for (const [{ name }, { perSec, cpuUs, gbits }] of rows) {
    console.log(
      `| ${name} | ${Math.round(median(perSec))} | ${Math.round(median(cpuUs))} | ${median(gbits).toFixed(2)} |`,
    );
  }
} finally {
  for (const id of programs.toReversed()) process.kill(id);
  await rm(directory, { recursive: true, force: true });
}
