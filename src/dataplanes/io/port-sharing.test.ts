import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { MemoryEnd } from "../../../test/contract/memory-end.ts";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { ask } from "../../../test/fixtures/services.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { Exit, FlowEnd, FlowSink } from "./ends.ts";
import { type Entry, openEntry } from "./entry.ts";
import { PortSharing } from "./port-sharing.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { startSweeper } from "./sweeper.ts";
import { systemSockets } from "./system-sockets.ts";
import { connectUdp } from "./udp-socket.ts";

const HERE = "127.0.0.1";
const abort = new AbortController();
const sweeper = startSweeper(abort.signal);
const open: Entry[] = [];
afterEach(() => {
  for (const entry of open.splice(0)) entry.close();
});
afterAll(() => abort.abort());

/** Answers with its name, and what it was sent. */
function exitCalled(name: string): Exit {
  const answer = (bytes: Uint8Array) => Buffer.from(`${name}:${Buffer.from(bytes)}`);
  return {
    connect() {
      const { dialled, accepted } = MemoryEnd.pair();
      accepted.sink = {
        onOpen: () => undefined,
        onData: (bytes) => void accepted.write(answer(bytes)),
        onDrain: () => undefined,
        onEnd: () => accepted.end(),
        onClose: () => undefined,
      };
      queueMicrotask(() => accepted.opened());
      return dialled;
    },
    openFlow: () => new NamedFlow(answer),
  };
}

class NamedFlow implements FlowEnd {
  sink: FlowSink = SILENT_SINK;
  constructor(readonly answer: (bytes: Uint8Array) => Uint8Array) {}
  send(datagram: Uint8Array): boolean {
    this.sink.onDatagram(this.answer(datagram));
    return true;
  }
  close(): void {}
}

/** An entry as one of two processes would have it. */
function entryOf(name: string, protocol: Protocol, port: number, sharing = new PortSharing(systemSockets())) {
  const admission = new Admission(DEFAULT_OPTIONS);
  const ports = [{ protocol, first: port, last: port, internalFirst: port }];
  const opened = openEntry(
    { bind: "*", ports, options: DEFAULT_OPTIONS, admission, sweeper, sharing },
    exitCalled(name),
  );
  if (opened.ok) open.push(opened.value);
  return opened;
}

function entry(name: string, protocol: Protocol, port: number, sharing?: PortSharing): Entry {
  const opened = entryOf(name, protocol, port, sharing);
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

/** Beside an entry that lets it in. */
function successor(name: string, protocol: Protocol, port: number): Entry {
  const sharing = new PortSharing(systemSockets());
  sharing.expect([{ protocol, port }]);
  return entry(name, protocol, port, sharing);
}

const asked: { close(): void }[] = [];
afterEach(() => {
  for (const socket of asked.splice(0)) socket.close();
});

/** From a port that no other question of the test has had: what comes from the port of an open flow is no new visitor. */
async function askFromNewPort(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = await Bun.udpSocket({ socket: { data: (_own, bytes) => resolve(bytes.toString()) } });
  asked.push(socket);
  socket.send("hello", port, HERE);
  return await promise;
}

const ASKS = 20;
const times = async (question: () => Promise<string>): Promise<Set<string>> => {
  const answers = new Set<string>();
  for (let count = 0; count < ASKS; count++) answers.add(await question());
  return answers;
};

// SO_REUSEPORT's groups are Linux's.
describe.if(process.platform === "linux")("a port that is lent", () => {
  for (const [protocol, question] of [
    ["tcp", ask],
    ["udp", askFromNewPort],
  ] as const) {
    test(`${protocol}: is in use for others, before, during and after`, async () => {
      const [port = 0] = await freePorts(1);
      const before = entry("old", protocol, port);
      expect(entryOf("stranger", protocol, port).ok).toBe(false);
      const late = new PortSharing(systemSockets());
      late.expect([{ protocol, port }]);
      expect(entryOf("not let in", protocol, port, late).ok).toBe(false);
      before.setShared(true);
      expect(entryOf("stranger", protocol, port).ok).toBe(false);
      const after = successor("new", protocol, port);
      before.retire();
      after.setShared(false);
      expect(entryOf("stranger", protocol, port).ok).toBe(false);
    });

    test(`${protocol}: what is new goes to the newer, and to the one that is left`, async () => {
      const [port = 0] = await freePorts(1);
      const before = entry("old", protocol, port);
      expect(await times(() => question(port))).toEqual(new Set(["old:hello"]));
      expect(before.setShared(true)).toBe(true);
      const after = successor("new", protocol, port);
      expect(await times(() => question(port))).toEqual(new Set(["new:hello"]));
      after.close();
      expect(await times(() => question(port))).toEqual(new Set(["old:hello"]));
      const again = successor("newer", protocol, port);
      before.retire();
      expect(await times(() => question(port))).toEqual(new Set(["newer:hello"]));
      expect(again.setShared(true)).toBe(true);
      successor("newest", protocol, port);
      expect(await times(() => question(port))).toEqual(new Set(["newest:hello"]));
    });
  }

  test("udp: flows that are open stay, until they are ended", async () => {
    const [port = 0] = await freePorts(1);
    const before = entry("old", "udp", port);
    const answers: string[] = [];
    let heard = Promise.withResolvers<void>();
    const visitor = connectUdp(HERE, port, {
      data: (_socket, bytes) => {
        answers.push(bytes.toString());
        heard.resolve();
      },
      error: () => undefined,
    });
    if (!visitor.ok) throw visitor.error;
    const say = async (text: string) => {
      heard = Promise.withResolvers<void>();
      visitor.value.send(text);
      await heard.promise;
    };
    await say("1");
    before.setShared(true);
    await say("2");
    const after = successor("new", "udp", port);
    await say("3");
    before.retire();
    await say("4");
    expect(before.visits.size).toBe(1);
    before.endFlows();
    await say("5");
    expect(answers).toEqual(["old:1", "old:2", "old:3", "old:4", "new:5"]);
    expect([before.visits.size, after.visits.size]).toEqual([0, 1]);
    visitor.value.close();
  });
});
