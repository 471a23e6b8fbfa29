import { strict as assert } from "node:assert";
import { createServer as createWebServer } from "node:http";
import { createServer, connect as dial } from "node:net";
import { text } from "node:stream/consumers";
import { ask, type Case, gone, HERE } from "./case-kit.ts";

/** Long enough that a request comes in time, short enough to wait for. */
const IDLE_MS = 300;

/** Servers of Node's that get visitors as connections of their own, and call what they call of a socket. */
export const SERVER_CASES = {
  async "a server of node:net takes a visitor as a socket of its own"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("net server") });
    const [port = 0] = await lab.ports(1);
    const server = createServer((socket) => {
      socket.setNoDelay(true).setKeepAlive(true, 1_000).setTimeout(10_000).unref().ref();
      socket.once("end", () => {
        const { remoteFamily, localFamily, connecting, bytesRead, timeout } = socket;
        socket.end(JSON.stringify([remoteFamily, localFamily, socket.address(), connecting, bytesRead, timeout]));
      });
      socket.resume();
    });
    await using _server = await lib.expose({ key, ports: port }, (socket) => server.emit("connection", socket));
    const address = { address: HERE, family: "IPv4", port };
    assert.deepEqual(JSON.parse(await ask(port)), ["IPv4", "IPv4", address, false, 5, 10_000]);
  },

  async "a socket that is idle tells so, once, and no sooner"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("idle") });
    const [port = 0] = await lab.ports(1);
    const idleMs: number[] = [];
    await using _server = await lib.expose({ key, ports: port }, (socket) => {
      let lastMs = performance.now();
      socket.setTimeout(IDLE_MS, () => {
        idleMs.push(performance.now() - lastMs);
        socket.end("idle");
      });
      socket.on("data", (bytes: Uint8Array) => {
        lastMs = performance.now();
        socket.write(bytes);
      });
    });
    const visitor = dial({ port, host: HERE });
    const timer = setInterval(() => visitor.write("."), IDLE_MS / 6);
    setTimeout(() => clearInterval(timer), IDLE_MS * 2);
    assert.match(await text(visitor), /^\.{6,}idle$/);
    assert.equal(idleMs.length, 1);
    assert.ok((idleMs[0] ?? 0) >= IDLE_MS - 5, `${idleMs[0]} ms after the last byte`);
  },

  async "a web server ends what it keeps alive for nobody, and time limits of requests hold"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("web server") });
    const [port = 0] = await lab.ports(1);
    const web = createWebServer((request, response) => {
      if (request.url === "/late") response.setTimeout(IDLE_MS, () => response.end("late"));
      else response.end("in time");
    });
    // Bun's server keeps its time limits with sockets of its own alone (docs/library.md says what to do).
    const isNode = process.versions["bun"] === undefined;
    web.keepAliveTimeout = IDLE_MS;
    await using _server = await lib.expose({ key, ports: port }, (socket) => {
      if (!isNode) socket.setTimeout(IDLE_MS, () => socket.end());
      web.emit("connection", socket);
    });
    const visit = async (path: string): Promise<string> => {
      const visitor = dial({ port, host: HERE });
      const said: string[] = [];
      visitor.on("data", (bytes) => said.push(String(bytes)));
      visitor.write(`GET ${path} HTTP/1.1\r\nhost: app.example\r\n\r\n`);
      await gone(visitor);
      return said.join("");
    };
    assert.match(await visit("/"), /in time/);
    if (isNode) assert.match(await visit("/late"), /late/);
  },

  async "a time limit that was taken back, or whose socket is gone, tells nothing"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("no limit") });
    const ports = await lab.ports(2);
    const calls: string[] = [];
    const later = Promise.withResolvers<void>();
    await using _server = await lib.expose({ key, ports: ports.join(",") }, (socket) => {
      socket.setTimeout(IDLE_MS, () => calls.push(`${socket.localPort}`));
      if (socket.localPort === ports[0]) socket.setTimeout(0);
      else socket.destroy();
      setTimeout(later.resolve, IDLE_MS * 2);
    });
    const visitors = ports.map((port) => dial({ port, host: HERE }));
    await Promise.all([later.promise, ...visitors.slice(1).map(gone)]);
    assert.deepEqual(calls, []);
    for (const visitor of visitors) visitor.destroy();
  },
} satisfies Record<string, Case>;
