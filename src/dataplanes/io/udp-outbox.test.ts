import { describe, expect, test } from "bun:test";
import { udpBuffers } from "./udp-buffers.ts";
import {
  CONNECTED,
  MAX_GATHERED,
  type ManySender,
  type Sender,
  UdpOutbox,
  UdpQueue,
  UNCONNECTED,
} from "./udp-outbox.ts";
import { bindUdp, connectUdp, MAX_DATAGRAM_BYTES } from "./udp-socket.ts";

const LOCAL = "127.0.0.1";

class Losses implements Sender {
  readonly bytes: number[] = [];

  dropped(bytes: number): void {
    this.bytes.push(bytes);
  }
}

/** A socket that keeps what it receives. */
function receiver() {
  const got: Uint8Array[] = [];
  let heard = Promise.withResolvers<void>();
  const socket = bindUdp(LOCAL, 0, {
    data: (_socket, datagram) => {
      got.push(datagram);
      heard.resolve();
      heard = Promise.withResolvers<void>();
    },
  });
  if (!socket.ok) throw socket.error;
  udpBuffers()(socket.value);
  const until = async (count: number) => {
    while (got.length < count) await heard.promise;
    return got;
  };
  return { port: socket.value.port, until, close: () => socket.value.close() };
}

type Push = (datagram: Uint8Array) => void;

/** Both kinds of sockets, each sending to `port`. */
const KINDS: Record<string, (outbox: UdpOutbox, sender: Sender, port: number) => { push: Push; close(): void }> = {
  connected: (outbox, sender, port) => {
    const socket = connectUdp(LOCAL, port, { error: () => undefined });
    if (!socket.ok) throw socket.error;
    const queue = new UdpQueue(outbox, socket.value, CONNECTED);
    return { push: (datagram) => queue.push(sender, datagram, null), close: () => socket.value.close() };
  },
  unconnected: (outbox, sender, port) => {
    const socket = bindUdp(LOCAL, 0, { error: () => undefined });
    if (!socket.ok) throw socket.error;
    const queue = new UdpQueue(outbox, socket.value, UNCONNECTED);
    return { push: (datagram) => queue.pushTo(sender, datagram, port, LOCAL), close: () => socket.value.close() };
  },
};

for (const [kind, make] of Object.entries(KINDS)) {
  describe(`a socket that is ${kind}`, () => {
    const TOO_LONG = MAX_DATAGRAM_BYTES + 1;
    const batches: [string, number[]][] = [
      ["one alone", [5]],
      ["every size", [0, 1, 1_400, 0, 9_000, 7]],
      ["the largest, whole", [1, MAX_DATAGRAM_BYTES, 2]],
      ["one that is too long, first", [TOO_LONG, 1, 2, 3]],
      ["in the middle", [1, 2, TOO_LONG, 3, 4]],
      ["last", [1, 2, TOO_LONG]],
      ["several, side by side and apart", [TOO_LONG, TOO_LONG, 1, TOO_LONG, 2, TOO_LONG, TOO_LONG, 3]],
      ["more than leave together", Array.from({ length: MAX_GATHERED + 20 }, (_, at) => at)],
    ];
    for (const [name, sizes] of batches) {
      test(`sends each once, in order, and tells each it could not send once: ${name}`, async () => {
        const { port, until, close } = receiver();
        const losses = new Losses();
        const sender = make(new UdpOutbox(), losses, port);
        const good = sizes.filter((size) => size <= MAX_DATAGRAM_BYTES);
        for (const [at, size] of sizes.entries()) sender.push(new Uint8Array(size).fill(at));
        // The end mark shows that nothing came twice.
        await until(good.length);
        sender.push(new Uint8Array(3).fill(255));
        const got = await until(good.length + 1);
        expect(got.map(({ length }) => length)).toEqual([...good, 3]);
        const marks = sizes.flatMap((size, at) => (size <= MAX_DATAGRAM_BYTES ? [size === 0 ? undefined : at] : []));
        expect(got.map((datagram) => datagram[0])).toEqual([...marks, 255]);
        expect(losses.bytes).toEqual(sizes.filter((size) => size > MAX_DATAGRAM_BYTES));
        sender.close();
        close();
      });
    }

    test("a copy waits: the buffer may be used again at once", async () => {
      const { port, until, close } = receiver();
      const sender = make(new UdpOutbox(), new Losses(), port);
      const buffer = Buffer.alloc(4);
      for (const mark of [1, 2, 3]) sender.push(buffer.fill(mark));
      expect((await until(3)).map((datagram) => datagram[3])).toEqual([1, 2, 3]);
      sender.close();
      close();
    });
  });
}

test("the ICMP answer to one visitor's datagram costs the next visitors none of theirs", async () => {
  const gone = receiver();
  gone.close();
  const { port, until, close } = receiver();
  const refused = Promise.withResolvers<void>();
  const socket = bindUdp(LOCAL, 0, { error: () => refused.resolve() });
  if (!socket.ok) throw socket.error;
  const [outbox, losses] = [new UdpOutbox(), new Losses()];
  const queue = new UdpQueue(outbox, socket.value, UNCONNECTED);
  queue.pushTo(losses, Uint8Array.of(0), gone.port, LOCAL);
  // On loopback the answer is there before the call returns, and waits in the socket.
  outbox.flush();
  for (const mark of [1, 2, 3]) queue.pushTo(losses, Uint8Array.of(mark), port, LOCAL);
  outbox.flush();
  expect((await until(3)).map(([mark]) => mark)).toEqual([1, 2, 3]);
  expect(losses.bytes).toEqual([]);
  await refused.promise;
  socket.value.close();
  close();
});

/** Takes `room` datagrams, then none. */
class FullSocket implements ManySender {
  readonly calls: number[] = [];
  constructor(public room: number) {}

  sendMany(packets: readonly unknown[]): number {
    this.calls.push(packets.length);
    const sent = Math.min(this.room, packets.length);
    this.room -= sent;
    return sent;
  }
}

describe("the turn's end", () => {
  test("sends with one call for each socket what the turn gathered after its first datagram", async () => {
    const outbox = new UdpOutbox();
    const sockets = [new FullSocket(9), new FullSocket(9)];
    const queues = sockets.map((socket) => new UdpQueue(outbox, socket, CONNECTED));
    for (let sent = 0; sent < 4; sent++) for (const queue of queues) queue.push(new Losses(), new Uint8Array(1), null);
    expect(sockets.map(({ calls }) => calls)).toEqual([[1], []]);
    await new Promise(setImmediate);
    queues[0]?.push(new Losses(), new Uint8Array(1), null);
    await new Promise(setImmediate);
    expect(sockets.map(({ calls }) => calls)).toEqual([[1, 3, 1], [4]]);
  });

  test("a full socket drops what is left, and tells", () => {
    const [outbox, losses, socket] = [new UdpOutbox(), new Losses(), new FullSocket(2)];
    const queue = new UdpQueue(outbox, socket, CONNECTED);
    for (let bytes = 1; bytes <= 5; bytes++) queue.push(losses, new Uint8Array(bytes), null);
    outbox.flush();
    expect(losses.bytes).toEqual([3, 4, 5]);
    expect(socket.calls).toEqual([1, 4, 3]);
    socket.room = 1;
    queue.push(losses, new Uint8Array(6), null);
    outbox.flush();
    expect(losses.bytes).toEqual([3, 4, 5]);
  });

  test("comes early for large datagrams: what waits is bounded", () => {
    const [outbox, socket] = [new UdpOutbox(), new FullSocket(1_000)];
    const queue = new UdpQueue(outbox, socket, CONNECTED);
    for (let sent = 0; sent < 9; sent++)
      queue.push(new Losses(), new Uint8Array(MAX_DATAGRAM_BYTES), new Uint8Array(28));
    queue.flush();
    expect(socket.calls).toEqual([1, 3, 4, 1]);
  });
});
