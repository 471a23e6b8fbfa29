import { afterEach, beforeEach, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { connect as connectH2, createServer, type ServerHttp2Stream } from "node:http2";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { DEFAULT_OPTIONS } from "../../src/core/forward.ts";
import { loginsOf } from "../../src/roles/config/logins.ts";
import type { ForwardSpec } from "../../src/roles/control.ts";
import { testAuthority } from "../fixtures/certificates.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { ask, curl, talk } from "../fixtures/names-client.ts";
import { openNamesLab, site, startWeb, tellOf } from "../fixtures/names-lab.ts";
import { away, failureOf, type LabAgent, until } from "../fixtures/roles-lab.ts";

const HERE = "127.0.0.1";
let running: AsyncDisposableStack;
beforeEach(() => {
  running = new AsyncDisposableStack();
});
afterEach(() => running.disposeAsync());

const namesLab = () => openNamesLab(running);
const web = (answer?: (request: Request) => Response | Promise<Response>) => startWeb(running, answer);
const portOf = async (agent: LabAgent, id: string) => (await agent.forward(id))?.endpoints[0]?.port ?? 0;

test("two sites on one port are told apart by Host, and the visitor is named", async () => {
  const { agent } = await namesLab();
  const [one, two] = [web(), web(() => new Response("two"))];
  const added = await agent.add(site("one", ["one.example.org"], one));
  expect(added).toMatchObject({ state: "open" });
  const port = added.endpoints[0]?.port ?? 0;
  expect(added.endpoints).toMatchObject([{ host: "one.example.org", url: `http://one.example.org:${port}` }]);
  await agent.add(site("two", ["two.example.org", "zwei.example.org"], two));
  const lies = "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\n";
  const told = await ask(port, `GET /x HTTP/1.1\r\nHost: ONE.example.org:${port}\r\n${lies}Connection: close\r\n\r\n`);
  expect(told.status).toBe(200);
  const { headers, path } = JSON.parse(told.body);
  expect([path, headers.host]).toEqual(["/x", `one.example.org:${port}`]);
  expect([headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["forwarded"]]).toEqual([
    HERE,
    "http",
    undefined,
  ]);
  for (const host of ["two.example.org", "zwei.example.org."]) {
    expect(await ask(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatchObject({
      body: "two",
    });
  }
  const refused: [string, number][] = [
    ["GET / HTTP/1.1\r\nHost: three.example.org\r\n\r\n", 404],
    ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404],
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: one.example.org\r\nHost: two.example.org\r\n\r\n", 400],
    ["GET http://two.example.org/ HTTP/1.1\r\nHost: one.example.org\r\n\r\n", 421],
    [
      "POST / HTTP/1.1\r\nHost: one.example.org\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["GET / HTTP/1.1\nHost: one.example.org\r\n\r\n", 400],
  ];
  for (const [text, status] of refused) expect([text, (await ask(port, text)).status]).toEqual([text, status]);
});

test("one connection is for one site, and each request is answered before the next is read", async () => {
  const { agent } = await namesLab();
  const seen: string[] = [];
  const service = web(async (request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
    return new Response(`for ${new URL(request.url).pathname}`);
  });
  await agent.add(site("one", ["one.example.org"], service));
  await agent.add(site("two", ["two.example.org"], service));
  const port = await portOf(agent, "one");
  const host = "Host: one.example.org\r\n";
  const chunked = `POST /b HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
  const pipelined = `GET /a HTTP/1.1\r\n${host}\r\n${chunked}GET /c HTTP/1.1\r\n${host}\r\n`;
  const other = "GET /d HTTP/1.1\r\nHost: two.example.org\r\n\r\n";
  const text = await talk(port, pipelined + other);
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 421"]);
  expect(text.match(/for \/\w/g)).toEqual(["for /a", "for /b", "for /c"]);
  expect(seen).toEqual(["GET /a ", "POST /b abc", "GET /c "]);
});

test("a name is somebody's, as a port is", async () => {
  const { lab, agent } = await namesLab();
  const service = web();
  await agent.add(site("one", ["one.example.org"], service));
  const other = await lab.agent("other");
  const refusals: [ForwardSpec, string][] = [
    [site("x", ["ONE.example.org".toLowerCase()], service), 'held by device "home"'],
    [site("x", ["one.example.net"], service), "none that this relay hands out"],
    [site("x", ["x.ann.example.org"], service), "belongs to another account"],
    [site("x", ["*.apps.example.org"], service, { tls: "end" }), "no certificate"],
  ];
  for (const [spec, words] of refusals) {
    expect(String(await failureOf(other.add(spec)))).toContain(words);
  }
  await agent.running.removeForward("one");
  await until(async () => (await lab.relay.listForwards()).length === 0);
  expect((await other.add(site("y", ["one.example.org"], service))).state).toBe("open");
});

test("who is away is said so, and comes back to its name", async () => {
  const { lab, agent } = await namesLab();
  const service = web(() => new Response("here"));
  await agent.add(site("one", ["one.example.org"], service), true);
  const port = await portOf(agent, "one");
  const request = "GET / HTTP/1.1\r\nHost: one.example.org\r\nConnection: close\r\n\r\n";
  expect((await ask(port, request)).body).toBe("here");
  await agent.stop();
  await away(lab, "home");
  expect(await ask(port, request)).toMatchObject({ status: 503, head: expect.stringContaining("Retry-After") });
  const again = await lab.agent("home");
  await until(async () => (await again.forward("one"))?.state === "open");
  const back = await ask(await portOf(again, "one"), request);
  expect(back.body).toBe("here");
});

test("TLS is passed through by the name in it, or ended", async () => {
  const { agent, caFile } = await namesLab();
  const authority = await testAuthority("CA of the service");
  const own = await authority.issue({ names: ["pass.example.org"] });
  const tls = { cert: own.certificatePem, key: own.keyPem };
  const secure = Bun.serve({ hostname: HERE, port: 0, tls, fetch: () => new Response("by its own TLS") });
  running.defer(() => secure.stop(true));
  const plain = web();
  await agent.add(site("pass", ["pass.example.org"], secure.port as number, { tls: "pass" }));
  const ended = await agent.add(site("end", ["end.example.org"], plain, { tls: "end" }));
  const port = ended.endpoints[0]?.port ?? 0;
  const passed = await curl(port, "pass.example.org", { ca: authority.certificatePem });
  expect(passed.body).toBe("by its own TLS");
  const told = await curl(port, "end.example.org", { caFile, args: ["--http1.1"] });
  expect([told.exit, told.status]).toEqual([0, 200]);
  expect(JSON.parse(told.body).headers).toMatchObject({
    "x-forwarded-proto": "https",
    "x-forwarded-for": HERE,
    host: `end.example.org:${port}`,
  });
  const large = await curl(port, "end.example.org", { caFile, args: ["--http1.1", "-H", "Host: pass.example.org"] });
  expect(large.status).toBe(421);
  // A name that is nobody's, and no name at all.
  for (const servername of ["nobody.example.org", ""]) {
    const failure = await new Promise<Error>((resolve) => {
      const options = { host: HERE, port, rejectUnauthorized: false };
      connectTls({ ...options, ...(servername === "" ? {} : { servername }) }).on("error", resolve);
    });
    expect("code" in failure && String(failure.code)).toMatch(/UNRECOGNIZED|ALERT|EPROTO|ECONNRESET/);
  }
  // By plain HTTP it is sent to HTTPS.
  const http = (await agent.add(site("http", ["http.example.org"], plain))).endpoints[0]?.port ?? 0;
  const moved = await ask(http, "GET /a?b HTTP/1.1\r\nHost: end.example.org\r\n\r\n");
  expect(moved).toMatchObject({ status: 308, head: expect.stringContaining(`https://end.example.org:${port}/a?b`) });
});

test("a WebSocket passes, and what only asks for one does not get past the relay", async () => {
  const { agent, ca } = await namesLab();
  const chat = Bun.serve<undefined>({
    hostname: HERE,
    port: 0,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 426 })),
    websocket: { message: (socket, text) => void socket.send(`echo ${text}`) },
  });
  running.defer(() => chat.stop(true));
  const added = await agent.add(site("chat", ["chat.example.org"], chat.port as number, { tls: "end" }));
  const port = added.endpoints[0]?.port ?? 0;
  const socket = new WebSocket(`wss://${HERE}:${port}/`, {
    headers: { host: "chat.example.org" },
    tls: { ca, serverName: "chat.example.org" },
  } as never);
  const heard = Promise.withResolvers<string>();
  socket.onmessage = ({ data }) => heard.resolve(String(data));
  socket.onerror = () => heard.reject(new Error("the WebSocket failed"));
  socket.onopen = () => socket.send("hello");
  expect(await heard.promise).toBe("echo hello");
  socket.close();
  const web1 = await agent.add(
    site(
      "web",
      ["web.example.org"],
      web(() => new Response("no", { status: 426 })),
    ),
  );
  const http = web1.endpoints[0]?.port ?? 0;
  const asks = "GET / HTTP/1.1\r\nHost: web.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const text = await talk(http, `${asks}GET /admin HTTP/1.1\r\nHost: other.example.org\r\n\r\n`);
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 426", "HTTP/1.1 421"]);
});

test("a site has its own source list and limits", async () => {
  const { agent } = await namesLab();
  const service = web(() => new Response("in"));
  const deny = ["127.0.0.0/8"] as never;
  const closed = site("closed", ["closed.example.org"], service);
  const spec = {
    ...closed,
    remote: {
      ...(closed as never as { remote: object }).remote,
      options: { ...DEFAULT_OPTIONS, source: { allow: [], deny } },
    },
  };
  await agent.add(spec as ForwardSpec);
  await agent.add(site("open", ["open.example.org"], service));
  const port = await portOf(agent, "open");
  const to = (host: string) => ask(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect((await to("closed.example.org")).status).toBe(403);
  expect((await to("open.example.org")).body).toBe("in");
});

test("HTTP/2 comes to a service of HTTP/1.1", async () => {
  const { agent, caFile } = await namesLab();
  const service = web(async (request) => Response.json({ ...tellOf(request), body: await request.text() }));
  const added = await agent.add(site("end", ["end.example.org"], service, { tls: "end" }));
  const port = added.endpoints[0]?.port ?? 0;
  const get = await curl(port, "end.example.org", { caFile, args: ["--http2"] });
  expect([get.status, get.version]).toEqual([200, "2"]);
  expect(JSON.parse(get.body).headers).toMatchObject({ "x-forwarded-proto": "https", host: `end.example.org:${port}` });
  const large = "x".repeat(300_000);
  const file = join(running.use(await temporaryDirectory()).path, "body");
  await writeFile(file, large);
  for (const args of [[], ["-H", "Transfer-Encoding: chunked"]]) {
    const post = await curl(port, "end.example.org", {
      caFile,
      args: ["--http2", "--data-binary", `@${file}`, ...args],
    });
    expect([post.status, JSON.parse(post.body).body.length]).toEqual([200, large.length]);
  }
  const other = await curl(port, "end.example.org", { caFile, args: ["--http2", "-H", "Host: pass.example.org"] });
  expect(other.status).toBe(421);
});

test("a service whose answer HTTP/2 cannot say ends its own request and no other", async () => {
  const { agent, caFile } = await namesLab();
  const answers = [
    "Bad\u00ff: \u00ff",
    "Upgrade: x\r\nHTTP2-Settings: y",
    ":status: 200",
    "Content-Length: 1\r\nContent-Length: 2",
  ];
  let turn = 0;
  const odd = Bun.listen({
    hostname: HERE,
    port: 0,
    socket: {
      data(socket) {
        const field = answers[turn++ % answers.length];
        socket.write(Buffer.from(`HTTP/1.1 200 OK\r\n${field}\r\nConnection: close\r\n\r\nx`, "latin1"));
        socket.end();
      },
    },
  });
  running.defer(() => odd.stop(true));
  const added = await agent.add(site("end", ["end.example.org"], odd.port, { tls: "end" }));
  const port = added.endpoints[0]?.port ?? 0;
  const statuses: number[] = [];
  for (const _ of answers) statuses.push((await curl(port, "end.example.org", { caFile, args: ["--http2"] })).status);
  expect(statuses.every((status) => status === 200 || status === 502)).toBe(true);
  expect(statuses.at(-1)).toBe(502);
  await agent.add(
    site(
      "web",
      ["web.example.org"],
      web(() => new Response("fine")),
      { tls: "end" },
    ),
  );
  expect((await curl(port, "web.example.org", { caFile, args: ["--http2"] })).body).toBe("fine");
});

test("a stream like gRPC's passes both ways at once, with its trailers", async () => {
  const { agent, ca } = await namesLab();
  const grpc = createServer();
  const seen: string[] = [];
  grpc.on("stream", (stream: ServerHttp2Stream, headers) => {
    seen.push(`${headers[":authority"]} ${headers["x-forwarded-for"]} ${headers["te"]}`);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("data", (bytes: Uint8Array) => stream.write(`echo ${Buffer.from(bytes)}`));
    stream.on("end", () => stream.end());
  });
  await new Promise<void>((resolve) => grpc.listen(0, HERE, resolve));
  running.defer(() => void grpc.close());
  const own = (grpc.address() as { port: number }).port;
  const added = await agent.add(site("rpc", ["rpc.example.org"], own, { tls: "end", service: "h2c" }));
  const client = connectH2(`https://${HERE}:${added.endpoints[0]?.port}`, { ca, servername: "rpc.example.org" });
  running.defer(() => client.destroy());
  const call = (authority: string) =>
    client.request({
      ":method": "POST",
      ":path": "/x",
      ":authority": authority,
      te: "trailers",
      "x-forwarded-for": "1.2.3.4",
    });
  const stream = call("rpc.example.org");
  const heard: string[] = [];
  const trailers = Promise.withResolvers<unknown>();
  stream.on("trailers", (fields) => trailers.resolve(fields["grpc-status"]));
  stream.on("error", trailers.reject);
  stream.on("data", (bytes) => {
    heard.push(String(bytes));
    if (heard.length < 3) stream.write(`${heard.length}`);
    else stream.end();
  });
  stream.write("0");
  expect(await trailers.promise).toBe("0");
  expect(heard).toEqual(["echo 0", "echo 1", "echo 2"]);
  expect(seen).toEqual([`rpc.example.org ${HERE} trailers`]);
  // The same connection, another name that the certificate has as well.
  const status = new Promise((resolve) =>
    call("end.example.org").on("response", (fields) => resolve(fields[":status"])),
  );
  expect(await status).toBe(421);
});

test("a site asks for a password, and the service never sees it", async () => {
  const { agent, caFile } = await namesLab();
  const directory = running.use(await temporaryDirectory());
  const logins = await loginsOf({ "basic-auth-file": "logins" }, () => join(directory.path, "logins"));
  expect(logins.ok).toBe(false);
  await writeFile(join(directory.path, "logins"), "# who\nann:right:one\nbob:other\n", { mode: 0o600 });
  const known = await loginsOf({ "basic-auth-file": "logins" }, () => join(directory.path, "logins"));
  if (!known.ok || known.value === undefined) throw new Error("no logins");
  expect(JSON.stringify(known.value)).not.toContain("right");
  const port =
    (await agent.add(site("ask", ["ask.example.org"], web(), { logins: known.value }))).endpoints[0]?.port ?? 0;
  const secure = await agent.add(site("end", ["end.example.org"], web(), { tls: "end", logins: known.value }));
  const to = (more: string) => ask(port, `GET / HTTP/1.1\r\nHost: ask.example.org\r\n${more}Connection: close\r\n\r\n`);
  const basic = (text: string) => `Authorization: Basic ${Buffer.from(text).toString("base64")}\r\n`;
  expect(await to("")).toMatchObject({ status: 401, head: expect.stringContaining("WWW-Authenticate: Basic") });
  for (const text of ["ann:right:one", "bob:other"]) {
    const told = await to(basic(text));
    expect([told.status, JSON.parse(told.body).headers.authorization]).toEqual([200, undefined]);
  }
  expect((await to(basic("ann:right:one") + basic("bob:other"))).status).toBe(401);
  expect((await to("Authorization: Bearer x\r\n")).status).toBe(401);
  const own = secure.endpoints[0]?.port ?? 0;
  for (const version of ["--http1.1", "--http2"]) {
    const visit = (user: string) => curl(own, "end.example.org", { caFile, args: [version, "-u", user] });
    expect([version, (await visit("ann:right:one")).status]).toEqual([version, 200]);
    expect((await curl(own, "end.example.org", { caFile, args: [version] })).status).toBe(401);
  }
  // Whoever guesses waits for the answer.
  expect((await to(basic("ann:wrong"))).status).toBe(401);
});
