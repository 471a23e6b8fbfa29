import { strict as assert } from "node:assert";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, connect as dial } from "node:net";
import { text } from "node:stream/consumers";
import type * as library from "../../src/index.ts";
import { decodeDeviceIdentity, encodeDeviceIdentity } from "../../src/wire/device-identity.ts";
import { ABORT_CASES } from "./abort-cases.ts";
import {
  ask,
  becomes,
  type Case,
  type CaseLab,
  gone,
  HERE,
  kindOf,
  type Library,
  MIB,
  next,
  STALL_BOUND_BYTES,
  service,
  settled,
  udpService,
  writeAll,
} from "./case-kit.ts";
import { LOCAL_UDP_CASES } from "./local-udp-cases.ts";
import { OUTGOING_CASES } from "./outgoing-cases.ts";
import { SERVER_CASES } from "./server-cases.ts";

export const CASES = {
  async "a visitor is the app's socket, and half-closes"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("half") });
    const [port = 0] = await lab.ports(1);
    const seen: unknown[] = [];
    await using server = await lib.expose({ key, ports: port }, async (socket) => {
      seen.push([socket.remoteAddress, socket.remotePort > 0, socket.localPort]);
      const asked = await text(socket);
      socket.end(`all of it: ${asked}`);
    });
    assert.deepEqual(server.endpoints, [{ protocol: "tcp", host: HERE, port, lastPort: port, internalPort: port }]);
    assert.equal(server.state, "open");
    assert.equal(await ask(port), "all of it: hello");
    assert.deepEqual(seen, [[HERE, true, port]]);
  },

  async "the app ends first, and then receives"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("first") });
    const [port = 0] = await lab.ports(1);
    const received = Promise.withResolvers<number>();
    await using _server = await lib.expose({ key, ports: port }, async (socket) => {
      socket.end("go on");
      let bytes = 0;
      for await (const chunk of socket) bytes += chunk.length;
      received.resolve(bytes);
    });
    const visitor = dial({ port, host: HERE, allowHalfOpen: true });
    const [said] = (await once(visitor, "data")) as [Buffer];
    assert.equal(String(said), "go on");
    if (!visitor.readableEnded) await once(visitor, "end");
    await writeAll(visitor, new Uint8Array(100_000), 100);
    visitor.end();
    assert.equal(await received.promise, 10_000_000);
  },

  async "an app that does not read holds its visitor back, and loses nothing"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("slow") });
    const [port = 0] = await lab.ports(1);
    const came = Promise.withResolvers<library.TunnelSocket>();
    await using _server = await lib.expose({ key, ports: port }, (socket) => came.resolve(socket));
    const visitor = dial({ port, host: HERE, allowHalfOpen: true });
    const times = 64;
    const writing = writeAll(visitor, new Uint8Array(MIB), times);
    const socket = await came.promise;
    const sent = await settled(() => visitor.bytesWritten - visitor.writableLength);
    assert.ok(sent < STALL_BOUND_BYTES, `${sent} bytes are on their way to a reader that stands still`);
    let bytes = 0;
    socket.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
    });
    const ended = once(socket, "end");
    await writing;
    visitor.end();
    await ended;
    assert.equal(bytes, times * MIB);
    socket.end();
  },

  async "a visitor that does not read holds the app back, and loses nothing"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("pour") });
    const [port = 0] = await lab.ports(1);
    const times = 64;
    let taken = 0;
    await using _server = await lib.expose({ key, ports: port }, async (socket) => {
      for (let written = 0; written < times; written++) {
        taken += MIB;
        if (!socket.write(new Uint8Array(MIB))) await once(socket, "drain");
      }
      socket.end();
    });
    const visitor = dial({ port, host: HERE, allowHalfOpen: true });
    visitor.pause();
    await once(visitor, "connect");
    const held = await settled(() => taken);
    assert.ok(held < STALL_BOUND_BYTES, `${held} bytes were taken of the app`);
    let bytes = 0;
    visitor.on("data", (chunk) => {
      bytes += chunk.length;
    });
    visitor.resume();
    await once(visitor, "end");
    assert.equal(bytes, times * MIB);
    visitor.end();
  },

  async "resets pass, both ways, and end no program"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("reset") });
    const [port = 0] = await lab.ports(1);
    const came = Promise.withResolvers<library.TunnelSocket>();
    const told = Promise.withResolvers<unknown>();
    let visitors = 0;
    await using _server = await lib.expose({ key, ports: port }, async (socket) => {
      visitors += 1;
      if (visitors === 1) return came.resolve(socket);
      if (visitors === 2) return void socket.on("error", (error: { kind?: string }) => told.resolve(error.kind));
      // Its reading is cut: that is no error of the program.
      for await (const chunk of socket) socket.write(chunk);
    });
    const first = dial(port, HERE);
    (await came.promise).destroy();
    await gone(first);
    for (const number of [2, 3]) {
      const visitor = dial(port, HERE);
      visitor.write("x");
      await once(visitor, "connect");
      await becomes(() => visitors, number);
      visitor.resetAndDestroy();
    }
    assert.equal(await told.promise, "reset");
    await becomes(() => _server.visitors, 0);
  },

  async "ranges, both protocols of a number, and several by one connection: each is closed alone"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("several") });
    const [first = 0, , last = 0, single = 0] = await lab.ports(4);
    await using relay = await lib.openRelay({ key });
    const both = await relay.expose(
      { ports: `${first}-${last}`, protocol: "tcp+udp" },
      {
        socket: (socket) => socket.end(`tcp ${socket.localPort}`),
        async flow(flow) {
          for await (const _ of flow) flow.send(Buffer.from(`udp ${flow.localPort}`));
        },
      },
    );
    await using other = await relay.expose({ ports: 25565, externalPort: single }, (socket) => socket.end("other"));
    const runs = both.endpoints.map((run) => `${run.protocol} ${run.port}-${run.lastPort}`).sort();
    assert.deepEqual(runs, [`tcp ${first}-${last}`, `udp ${first}-${last}`]);
    assert.deepEqual([other.endpoints[0]?.port, other.endpoints[0]?.internalPort], [single, 25565]);
    const visitor = createSocket("udp4");
    for (let port = first; port <= last; port++) {
      assert.equal(await ask(port), `tcp ${port}`);
      visitor.send("x", port, HERE);
      const [answer] = (await once(visitor, "message")) as [Buffer];
      assert.equal(String(answer), `udp ${port}`);
    }
    visitor.close();
    await both.close();
    await assert.rejects(once(dial(first, HERE), "connect"));
    assert.equal(await ask(single), "other");
  },

  async "an abort closes it, and the port with it"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("abort") });
    const [port = 0] = await lab.ports(1);
    const stop = new AbortController();
    const server = await lib.expose({ key, ports: port, signal: stop.signal }, (socket) => socket.pipe(socket));
    const visitor = dial(port, HERE);
    visitor.write("hello");
    await once(visitor, "data");
    const left = gone(visitor);
    const events = server.events();
    const over = events.next();
    stop.abort();
    assert.equal(server.state, "closed");
    assert.deepEqual(server.endpoints, []);
    await server.close();
    assert.equal((await over).done, true);
    await left;
    await assert.rejects(once(dial(port, HERE), "connect"));
    const calledOff = AbortSignal.abort();
    assert.equal(await kindOf(lib.expose({ key, ports: port, signal: calledOff })), "aborted");
    await becomes(async () => (await lab.devices()).find(({ name }) => name === "abort")?.connected, false);
  },

  async "the relay starts again: the same port, and visitors"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("kept") });
    await using relay = await lib.openRelay({ key });
    await using server = await relay.expose({ ports: 8080, externalPort: "any" }, (socket) => socket.pipe(socket));
    const port = server.endpoints[0]?.port ?? 0;
    assert.equal(await ask(port), "hello");
    const [events, links] = [server.events(), relay.events()];
    const [lost, down] = [next(events), next(links)];
    await lab.restart();
    const toldOf = async (coming: typeof lost) => {
      const { type, kind, message } = (await coming) as library.ExposedEvent & { type: "lost" };
      return [type, kind, message.replace(/\(.+\)/, "(why)")];
    };
    const broke = `The connection to the relay at ${relay.address} was lost (why): it is made again as soon as the relay answers.`;
    assert.deepEqual(await toldOf(lost), ["lost", "lost", broke]);
    assert.deepEqual(await toldOf(down), ["down", "lost", broke]);
    assert.equal((await next(events))?.type, "reopened");
    assert.equal((await next(links))?.type, "up");
    assert.deepEqual([server.state, server.error, relay.state, server.endpoints[0]?.port], ["open", null, "up", port]);
    assert.equal(await ask(port), "hello");
  },

  async "another program with the same key takes its place, and its port"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("twice") });
    const options = { key, ports: 8080, externalPort: "any" } as const;
    await using first = await lib.expose(options, (socket) => socket.end("first"));
    const port = first.endpoints[0]?.port ?? 0;
    const lost = next(first.events());
    await using second = await lib.expose(options, (socket) => socket.end("second"));
    assert.equal(second.endpoints[0]?.port, port);
    assert.equal(await ask(port), "second");
    assert.equal((await lost)?.type, "lost");
    assert.equal(first.error?.kind, "lost");
    assert.match(first.error?.message ?? "", /^Another program connected .+ with this device's key: enrol each/);
  },

  async "a revoked device hears so, and everything of it is closed"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("revoked") });
    const [port = 0] = await lab.ports(1);
    const relay = await lib.openRelay({ key });
    const server = await relay.expose({ ports: port }, (socket) => socket.pipe(socket));
    const read = async () => {
      for await (const _event of server.events());
    };
    const heard = kindOf(read());
    await lab.revoke("revoked");
    assert.equal(await heard, "denied");
    assert.deepEqual([server.state, server.error?.kind, relay.state], ["closed", "denied", "closed"]);
    assert.equal(await kindOf(relay.expose({ ports: port })), "denied");
  },

  async "another relay than the one that it enrolled at is sent nothing"(lib, lab) {
    const device = await lib.enrol({ joinCode: await lab.joinCode("pinned") });
    assert.equal(device.name, "pinned");
    const identity = decodeDeviceIdentity(device.key);
    assert.ok(identity.ok);
    const key = encodeDeviceIdentity({ ...identity.value, fingerprint: new Uint8Array(32).fill(1) });
    assert.equal(await kindOf(lib.openRelay({ key })), "untrusted");
    const seen = (await lab.devices()).find(({ name }) => name === "pinned");
    assert.equal(seen?.connected, false);
    const publicCa = encodeDeviceIdentity({ ...identity.value, trust: "public-ca", fingerprint: null });
    assert.equal(await kindOf(lib.openRelay({ key: publicCa })), "untrusted");
    // Nobody, and nobody who speaks TLS.
    const nobody = createServer((socket) => void gone(socket.resume().end("hello"))).listen(0, HERE);
    await once(nobody, "listening");
    const address = nobody.address() as { port: number };
    assert.equal(await kindOf(lib.openRelay({ key: device.key, relay: `${HERE}:${address.port}` })), "unreachable");
    nobody.close();
    await once(nobody, "close");
    assert.equal(await kindOf(lib.openRelay({ key: device.key, relay: `${HERE}:${address.port}` })), "unreachable");
  },

  async "a join code is good for one device"(lib, lab) {
    const joinCode = await lab.joinCode("once");
    const device = await lib.enrol({ joinCode });
    assert.equal(device.id.length, 16);
    assert.equal(await kindOf(lib.enrol({ joinCode })), "denied");
    assert.equal(await kindOf(lib.enrol({ joinCode: "hatchway1-abc" })), "usage");
    assert.equal(await kindOf(lib.openRelay({ key: "hatchwaykey1-abc" })), "usage");
  },

  async "an app takes an agent's place by its data directory"(lib, lab) {
    const directory = await lab.dataDirectory();
    const device = await lib.deviceOf(directory);
    const enrolled = (await lab.devices()).find(({ name }) => name === "server");
    assert.deepEqual([device.name, device.id], ["server", enrolled?.id]);
    const identity = decodeDeviceIdentity(device.key);
    assert.ok(identity.ok && identity.value.fingerprint !== null);
    assert.equal(await kindOf(lib.deviceOf(`${directory}/nothing`)), "usage");
  },

  async "without a function visitors are led to a service"(lib, lab) {
    const web = await service("web");
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("to") });
    const [port = 0, refused = 0] = await lab.ports(2);
    await using relay = await lib.openRelay({ key });
    await using server = await relay.expose({ ports: `${port}:${web.port}`, to: "localhost" });
    assert.equal(await ask(port), "web:hello");
    assert.equal(server.endpoints[0]?.internalPort, web.port);
    assert.equal(await kindOf(relay.expose({ ports: `${port}:${web.port}`, to: "localhost" })), "usage");
    assert.equal(await kindOf(relay.expose({ ports: `${port}:7`, name: "the same" })), "conflict");
    assert.equal(await kindOf(relay.expose({ ports: 1 })), "refused");
    await using _denied = await relay.expose({ ports: refused, deny: [HERE] }, (socket) => socket.end("no"));
    await assert.rejects(ask(refused));
    web.close();
  },

  async "an app that reads a flow late has the newest of it, and no more than its memory"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("late") });
    const [port = 0] = await lab.ports(1);
    const came = Promise.withResolvers<library.TunnelFlow>();
    await using server = await lib.expose({ key, ports: `${port}/udp` }, { flow: came.resolve });
    const visitor = createSocket("udp4");
    for (let number = 0; number < 200; number++) {
      visitor.send(Buffer.alloc(32_000, number), port, HERE);
      // One by one: the kernel's buffers are none of the app's.
      if (number % 8 === 7) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const flow = await came.promise;
    // Of what comes to a busy machine all at once some is dropped, by the kernel too.
    for (let times = 0; times < 10; times++) {
      visitor.send("last", port, HERE);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const waiting: Uint8Array[] = [];
    await settled(() => flow.localPort);
    void server.close();
    for await (const datagram of flow) waiting.push(datagram);
    const bytes = waiting.reduce((sum, { length }) => sum + length, 0);
    assert.ok(bytes > 0 && bytes <= MIB, `${bytes} bytes waited`);
    assert.equal(Buffer.from(waiting.at(-1) ?? []).toString(), "last");
    visitor.close();
  },

  async "a UDP flow is the app's"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("udp") });
    const [port = 0] = await lab.ports(1);
    const ended = Promise.withResolvers<void>();
    await using _server = await lib.expose(
      { key, ports: `${port}/udp` },
      {
        async flow(flow) {
          for await (const datagram of flow) flow.send(Buffer.concat([Buffer.from("echo:"), datagram]));
          ended.resolve();
        },
      },
    );
    const visitor = createSocket("udp4");
    for (const bytes of [5, 1_400, 60_000]) {
      visitor.send(Buffer.alloc(bytes, 120), port, HERE);
      const [answer] = (await once(visitor, "message")) as [Buffer];
      assert.equal(answer.length, bytes + 5);
    }
    await _server.close();
    await ended.promise;
    // Led to a service instead, of which the first datagrams wait until there is a socket.
    const dns = await udpService("dns");
    const { key: another } = await lib.enrol({ joinCode: await lab.joinCode("udp-to") });
    await using _led = await lib.expose({ key: another, ports: `${port}:${dns.port}/udp` });
    const answers: string[] = [];
    visitor.on("message", (bytes) => answers.push(String(bytes)));
    for (const said of ["a", "b", "c"]) visitor.send(said, port, HERE);
    while (answers.length < 3) await once(visitor, "message");
    assert.deepEqual(answers.sort(), ["dns:a", "dns:b", "dns:c"]);
    visitor.close();
    dns.close();
  },
  ...ABORT_CASES,
  ...OUTGOING_CASES,
  ...LOCAL_UDP_CASES,
  ...SERVER_CASES,
} satisfies Record<string, Case>;

export type CaseName = keyof typeof CASES;
export const CASE_NAMES = Object.keys(CASES) as CaseName[];

export async function runCase(name: CaseName, lib: Library, lab: CaseLab): Promise<void> {
  const run: Case = CASES[name];
  await run(lib, lab);
}
