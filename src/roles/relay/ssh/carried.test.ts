import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Recorder } from "../../../../test/contract/recorder.ts";
import { temporaryDirectory } from "../../../../test/fixtures/directory.ts";
import { WindowBudget } from "../../../core/tunnel/window.ts";
import type { ByteEnd } from "../../../dataplanes/io/ends.ts";
import { startSweeper } from "../../../dataplanes/io/sweeper.ts";
import { listenForPipes, openPipe } from "../../../dataplanes/tunnel/pipe-sockets.ts";
import { decodeCarried, encodeCarried } from "../../../wire/carried.ts";
import type { HostPort } from "../../../wire/endpoint.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import { Gate } from "../gate.ts";
import type { SshPrincipal } from "./authority.ts";
import { CarriedClients } from "./carried.ts";
import type { SshClient } from "./client.ts";
import { Following } from "./following.ts";
import type { ClientConnection, ServedForward } from "./model.ts";
import { MovableClient } from "./movable.ts";

const VISITOR = { address: "203.0.113.7", port: 40_000 };
const ENTRY = { address: "198.51.100.1", port: 2_222 };
const FORBIDDEN_PORT = 25;
const REVOKED = "revoked";
const open = (id: string, port: number, handle = -1): ServedForward => ({ id, port, handle, bindHost: "localhost" });

/** What is told, in its order, that tests wait for. */
class Told {
  readonly all: string[] = [];
  #waiting: { readonly text: string; readonly resolve: () => void }[] = [];

  say(text: string): void {
    this.all.push(text);
    for (const one of this.#waiting) if (one.text === text) one.resolve();
  }

  heard(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ text, resolve });
    if (this.all.includes(text)) resolve();
    return promise;
  }
}

/** A client as a hub has it: what it is asked is told. */
function fakeClient(name: string, told: Told, connection: ClientConnection, device = "device"): SshClient {
  const forwards = new Map<number, ServedForward>();
  const dialled = (what: string, channel: ByteEnd) => {
    told.say(`${name}: ${what}`);
    channel.sink = new Recorder(channel);
    channel.opened?.();
    channel.write(Buffer.from(what));
    channel.end();
  };
  const client = {
    forwards,
    connection,
    device: { peer: { deviceId: device } },
    keyFingerprint: "SHA256:key",
    view: { lines: () => [], counters: () => "" },
    elsewhere: null as SshClient["elsewhere"],
    traffic: () => {
      told.say(`${name}: traffic`);
      return { visitorsTotal: 1, visitorsOpen: 1, bytesIn: 10, bytesOut: 20 };
    },
    socketName: (path: string) => path.slice(1),
    async forward({ host, port }: HostPort): Promise<Result<number, string>> {
      told.say(`${name}: forward ${host}:${port}`);
      if (port === FORBIDDEN_PORT) return err("Not that one.");
      const given = port === 0 ? 20_000 : port;
      forwards.set(given, open(`ssh-${port}`, given));
      return ok(given);
    },
    async resume(served: ServedForward): Promise<Result<number, string>> {
      told.say(`${name}: resume ${served.id} ${served.port}`);
      if (served.port === FORBIDDEN_PORT) return err("It was removed.");
      forwards.set(served.port, { ...served, handle: -7 });
      return ok(served.port);
    },
    async cancelForward({ port }: HostPort) {
      return forwards.delete(port);
    },
    async forwardSocket(path: string) {
      told.say(`${name}: socket ${path}`);
      return ok(null);
    },
    async cancelSocket(path: string) {
      told.say(`${name}: no socket ${path}`);
      return true;
    },
    dial: ({ host, port }: HostPort, channel: ByteEnd) => dialled(`dial ${host}:${port}`, channel),
    dialSocket: (path: string, channel: ByteEnd) => dialled(`dial ${path}`, channel),
    adopt: (served: ServedForward) => forwards.set(served.port, served),
    lose: (port: number) => {
      told.say(`${name}: lost ${port}`);
      forwards.delete(port);
    },
    closed: (why: string) => told.say(`${name}: closed, ${why}`),
  };
  return client as unknown as SshClient;
}

/** The SSH connection of a client, at the process that carries it. */
function fakeConnection(told: Told, channels: Recorder[], pair: () => ByteEnd): ClientConnection {
  const visited = (what: string) => {
    told.say(`visited ${what}`);
    const end = pair();
    channels.push(new Recorder(end));
    return end;
  };
  return {
    remoteAddress: "203.0.113.7:40000",
    localAddress: ENTRY.address,
    ends: { visitor: VISITOR, entry: ENTRY },
    measuredRttMs: null,
    openForwarded: ({ host, port }, visitor) => visited(`${host}:${port} by ${visitor.address}`),
    openForwardedSocket: (path) => visited(path),
    say: () => undefined,
    close: (why) => told.say(`ended: ${why}`),
  };
}

/** An end that takes everything and opens at once. */
class Sponge implements ByteEnd {
  sink: ByteEnd["sink"] = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
  text = "";
  write(bytes: Uint8Array): number {
    this.text += new TextDecoder().decode(bytes);
    return 0;
  }
  backlog(): void {}
  end(): void {
    told.say(`sponge ${this.text}`);
    this.sink.onClose(null);
  }
  opened(): void {}
  reset(reason: string): void {
    told.say(`sponge reset ${reason}`);
    this.sink.onClose(null);
  }
}

let told: Told;
let abort: AbortController;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;
const ends: (() => void)[] = [];

beforeEach(async () => {
  told = new Told();
  abort = new AbortController();
  directory = await temporaryDirectory();
  path = join(directory.path, "ssh.sock");
});
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  abort.abort();
  await directory[Symbol.asyncDispose]();
});

const shared = () => ({
  budget: new WindowBudget(1024 * 1024),
  turnstile: startSweeper(abort.signal).turnstile,
  nowMs: () => performance.now(),
});

/** A process that is the relay. */
function relay(name: string, gate = new Gate()) {
  const clients: SshClient[] = [];
  const carried = new CarriedClients({
    path,
    shared: shared(),
    gate,
    find: async (device, key) =>
      device === REVOKED ? null : ({ peer: { deviceId: device }, keyFingerprint: key } as SshPrincipal),
    open: (principal, connection) => {
      const client = fakeClient(name, told, connection, principal.peer.deviceId);
      clients.push(client);
      told.say(`${name}: open ${principal.peer.deviceId} ${principal.keyFingerprint} ${connection.remoteAddress}`);
      return client;
    },
    arrived: (device) => told.say(`${name}: arrived ${device}`),
    failed: (error) => {
      throw error;
    },
  });
  carried.listen();
  ends.push(() => carried.close());
  return { carried, clients, gate };
}

/** A process that was it, with one client. */
function carrier({ forwards = [], device = "device" }: { forwards?: readonly ServedForward[]; device?: string } = {}) {
  const channels: Recorder[] = [];
  const sponges: Sponge[] = [];
  const connection = fakeConnection(told, channels, () => {
    const sponge = new Sponge();
    sponges.push(sponge);
    return sponge;
  });
  const client = fakeClient("own", told, connection, device);
  for (const served of forwards) client.adopt(served);
  const gate = new Gate();
  gate.close();
  const own = new Set<MovableClient>();
  const clock = { nowMs: 0, stepMs: 0 };
  const following = new Following({
    path,
    shared: shared(),
    sweeper: {
      nowMs: () => {
        clock.nowMs += clock.stepMs;
        return clock.nowMs;
      },
    },
    clients: () => own,
    nextHandle: () => -2,
  });
  const movable = new MovableClient(1, client, gate, (why) => {
    own.delete(movable);
    following.left(movable, why);
  });
  own.add(movable);
  ends.push(() => following.close());
  return { client, movable, following, sponges, clock };
}

describe("a client that another process carries", () => {
  test("is here with all that was open for it", async () => {
    const { carried } = relay("new");
    const { following, movable } = carrier({ forwards: [open("ssh-any-1", 20_001), open("ssh-8080", 8_080)] });
    movable.sockets.add("/web");
    following.start();
    await told.heard("new: arrived device");
    expect(told.all).toEqual([
      "new: open device SHA256:key 203.0.113.7:40000",
      "new: resume ssh-any-1 20001",
      "new: resume ssh-8080 8080",
      "new: socket /web",
      "new: arrived device",
    ]);
    expect([carried.carriers, carried.clients]).toEqual([1, 1]);
  });

  test("what it asked while nobody was the relay is answered by the new one", async () => {
    const { movable, following, client } = carrier();
    const asked = movable.forward({ host: "localhost", port: 0 });
    const refused = movable.forward({ host: "localhost", port: FORBIDDEN_PORT });
    following.start();
    relay("new");
    expect([await asked, await refused]).toEqual([ok(20_000), err("Not that one.")]);
    expect(client.forwards.get(20_000)).toMatchObject({ id: "ssh-0", bindHost: "localhost" });
    expect(await movable.cancelForward({ host: "localhost", port: 20_000 })).toBe(true);
    expect(await movable.cancelForward({ host: "localhost", port: 20_000 })).toBe(false);
    expect(await movable.forwardSocket("/web")).toEqual(ok(null));
    expect([await movable.cancelSocket("/web"), [...movable.sockets]]).toEqual([true, []]);
    expect(told.all.filter((one) => one.startsWith("own: forward"))).toEqual([]);
  });

  test("a name that is too long is refused, and harms no other client", async () => {
    relay("new");
    const { movable, following } = carrier();
    following.start();
    const host = "x".repeat(10_000);
    expect(await movable.forward({ host, port: 80 })).toMatchObject({ ok: false });
    expect(await movable.forwardSocket(host)).toMatchObject({ ok: false });
    expect(await movable.forward({ host: "localhost", port: 8_080 })).toEqual(ok(8_080));
  });

  test("what it dials is dialled here until the devices are there that it may name", async () => {
    const { carried } = relay("new");
    const { movable, following } = carrier();
    following.start();
    await told.heard("new: arrived device");
    movable.dial({ host: "attic", port: 80 }, new Sponge());
    expect(told.all).toContain("own: dial attic:80");
    carried.whole();
    // Of sockets the other process knows all names at once; when it has answered, it has said the other thing before.
    await movable.forward({ host: "localhost", port: 8_080 });
    movable.dial({ host: "attic", port: 81 }, new Sponge());
    await told.heard("new: dial attic:81");
  });

  test("its visitors are led to it, and what it dials is dialled there", async () => {
    const { clients, carried } = relay("new");
    carried.whole();
    const { movable, following } = carrier({ forwards: [open("ssh-8080", 8_080)] });
    following.start();
    await told.heard("new: arrived device");
    const { connection } = clients[0]!;
    const visit = connection.openForwarded(
      { host: "", port: 8_080 },
      { address: "192.0.2.9", port: 5 },
      null,
    ) as ByteEnd;
    visit.sink = new Recorder(visit);
    visit.write(Buffer.from("hello"));
    visit.end();
    await told.heard("sponge hello");
    expect(told.all).toContain("visited localhost:8080 by 192.0.2.9");
    const unknown = new Recorder(connection.openForwarded({ host: "", port: 9 }, VISITOR, null) as ByteEnd);
    await unknown.whenClosed();
    expect(unknown.closed).toBe("deviceAway");
    const bySocket = new Recorder(connection.openForwardedSocket("/web", null) as ByteEnd);
    await told.heard("visited /web");
    bySocket.end.reset("killed");
    movable.dial({ host: "attic", port: 80 }, new Sponge());
    movable.dialSocket("/other", new Sponge());
    await told.heard("sponge dial attic:80");
    await told.heard("sponge dial /other");
    movable.dial({ host: "attic", port: 0 }, new Sponge());
    await told.heard("sponge reset hostNotFound");
  });

  const ENDS: readonly (readonly [string, Parameters<typeof carrier>[0], string])[] = [
    ["its device was revoked meanwhile", { device: REVOKED }, "ended: its device was revoked"],
    ["a forward of it is no more", { forwards: [open("ssh-25", FORBIDDEN_PORT)] }, "ended: It was removed."],
  ];
  for (const [why, made, said] of ENDS) {
    test(`ends when ${why}`, async () => {
      const { carried } = relay("new");
      carrier(made).following.start();
      await told.heard(said);
      expect(carried.clients).toBe(0);
      // Nobody waits for it there.
      await told.heard(`new: arrived ${made?.device ?? "device"}`);
    });
  }

  test("ends when the relay ends it, and is gone there when it leaves", async () => {
    const { clients, carried } = relay("new");
    const { following, movable } = carrier();
    following.start();
    await told.heard("new: arrived device");
    clients[0]!.connection.close("its key was removed");
    await told.heard("ended: its key was removed");
    expect(told.all).toContain("new: closed, its key was removed");
    expect(carried.clients).toBe(0);
    const second = carrier({ device: "other" });
    second.following.start();
    await told.heard("new: arrived other");
    second.movable.closed("the client said goodbye");
    await told.heard("new: closed, the client said goodbye");
    movable.closed("over");
  });

  test("loses a port that another connection of its device has now", async () => {
    const { clients } = relay("new");
    const { following } = carrier({ forwards: [open("ssh-8080", 8_080)] });
    following.start();
    await told.heard("new: arrived device");
    clients[0]!.connection.lost?.(8_080);
    await told.heard("own: lost 8080");
  });

  test("follows to a further process; what is open stays with the one before, until that lets it go", async () => {
    const first = relay("new");
    const { following, movable } = carrier({ forwards: [open("ssh-8080", 8_080)] });
    following.start();
    await told.heard("new: arrived device");
    const visit = new Recorder(
      first.clients[0]!.connection.openForwarded({ host: "", port: 8_080 }, VISITOR, null) as ByteEnd,
    );
    await told.heard("visited localhost:8080 by 203.0.113.7");
    first.gate.close();
    const asked = movable.forward({ host: "localhost", port: 8_081 });
    first.carried.moved();
    relay("newest");
    expect(await asked).toEqual(ok(8_081));
    expect(told.all).toContain("newest: forward localhost:8081");
    first.carried.letGo();
    expect([first.carried.carriers, visit.closed]).toEqual([1, undefined]);
    visit.end.write(Buffer.from("still here"));
    visit.end.end();
    await visit.whenClosed();
    first.carried.letGo();
    expect(first.carried.carriers).toBe(0);
    await told.heard("sponge still here");
  });

  test("shows what each process counted for it, and asks only when somebody looks", async () => {
    const first = relay("new");
    const { following, movable, client } = carrier({ forwards: [open("ssh-8080", 8_080)] });
    movable.sockets.add("/web");
    following.start();
    // Its answers come in the order of what was asked.
    const answered = () => movable.forward({ host: "localhost", port: 8_080 });
    await answered();
    expect(client.elsewhere?.sockets()).toEqual(["web"]);
    const shown = () => client.elsewhere?.traffic();
    const asked = { visitorsTotal: 1, visitorsOpen: 1, bytesIn: 10, bytesOut: 20 };
    expect(shown()).toEqual({ visitorsTotal: 0, visitorsOpen: 0, bytesIn: 0, bytesOut: 0 });
    shown();
    await answered();
    expect([shown(), told.all.filter((one) => one === "new: traffic").length]).toEqual([asked, 1]);
    first.carried.moved();
    // This question has no answer any more.
    shown();
    relay("newest");
    await answered();
    expect(shown()).toEqual({ ...asked, visitorsOpen: 0 });
    await answered();
    expect(shown()).toEqual({ visitorsTotal: 2, visitorsOpen: 1, bytesIn: 20, bytesOut: 40 });
  });

  test("asks no process for what it counted that does not know the question", async () => {
    const heard: string[] = [];
    const listener = listenForPipes(path, shared(), () => ({
      onOpen() {},
      onStream() {},
      onClose() {},
      onMessage: (pipe, bytes) => {
        const message = decodeCarried(bytes);
        if (!message.ok) return;
        heard.push(message.value.t);
        if (message.value.t === "here") pipe.send(encodeCarried({ t: "ready", client: 1 }));
        if (message.value.t === "cancel") pipe.send(encodeCarried({ ...message.value, t: "done" }));
      },
    }));
    ends.push(() => listener.stop());
    const { following, movable, client } = carrier();
    following.start();
    const ask = () => movable.cancelForward({ host: "localhost", port: 8_080 });
    await ask();
    client.elsewhere?.traffic();
    await ask();
    expect(heard).toEqual(["hello", "here", "all", "cancel", "cancel"]);
  });

  test("is taken in again after a crash, and ends when nobody takes it in", async () => {
    const first = relay("new");
    const { following, clock } = carrier({ forwards: [open("ssh-8080", 8_080)] });
    following.start();
    await told.heard("new: arrived device");
    first.carried.close();
    const second = relay("again");
    await told.heard("again: resume ssh-8080 8080");
    clock.stepMs = 10_000;
    second.carried.close();
    await told.heard("ended: the relay takes no SSH clients in now");
  });

  test("is not offered for ever to a process that turns it away", async () => {
    let offered = 0;
    const shut = { onMessage() {}, onStream() {}, onClose() {} };
    const listener = listenForPipes(path, shared(), () => ({
      ...shut,
      onOpen: (pipe) => {
        offered += 1;
        pipe.close("not here");
      },
    }));
    ends.push(() => listener.stop());
    const { following, clock } = carrier();
    clock.stepMs = 5_000;
    following.start();
    await told.heard("ended: the relay takes no SSH clients in now");
    expect(offered).toBeLessThanOrEqual(4);
  });

  test("who does not begin in order is turned away", async () => {
    relay("new");
    for (const message of [
      { t: "gone", client: 1, why: "" },
      { t: "hello", v: 99 },
    ] as const) {
      const closed = Promise.withResolvers<void>();
      await openPipe(path, shared(), {
        onOpen: (pipe) => pipe.send(encodeCarried(message)),
        onMessage: () => undefined,
        onStream: () => undefined,
        onClose: () => closed.resolve(),
      });
      await closed.promise;
    }
  });
});
