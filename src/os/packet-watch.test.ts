import { describe, expect, test } from "bun:test";
import { watchPackets } from "./packet-watch.ts";

/** A packet socket takes root: without it the watch says so, and the namespaces' tests cannot run at all. */
const isRoot = process.platform === "linux" && process.geteuid?.() === 0;

const connectTo = async (hostname: string, port: number) => {
  const socket = await Bun.connect({ hostname, port, socket: { data: () => undefined } }).catch(() => null);
  socket?.terminate();
};

test.if(!isRoot)("without the right to see packets there is no watch", () => {
  expect(watchPackets("tcp", 9)).toBeNull();
});

describe.if(isRoot)("packets to a port", () => {
  for (const host of ["127.0.0.1", "::1"]) {
    test(`a connection is seen though nothing listens, over ${host}`, async () => {
      using listener = Bun.listen({ hostname: host, port: 0, socket: { data: () => undefined } });
      const { port } = listener;
      listener.stop(true);
      const watch = watchPackets("tcp", port);
      expect([...(watch?.sources() ?? ["none"])]).toEqual([]);
      await connectTo(host, port);
      expect([...(watch?.sources() ?? [])]).toEqual([host]);
      expect(watch?.missed).toBe(false);
      watch?.close();
      expect([...(watch?.sources() ?? [])]).toEqual([host]);
    });

    test(`a datagram is seen, over ${host}`, async () => {
      const service = await Bun.udpSocket({ hostname: host, socket: { data: () => undefined } });
      const watch = watchPackets("udp", service.port);
      const visitor = await Bun.udpSocket({ hostname: host, socket: {} });
      visitor.send("x", service.port, host);
      expect([...(watch?.sources() ?? [])]).toEqual([host]);
      for (const socket of [service, visitor]) socket.close();
      watch?.close();
    });
  }

  test("other ports, the other protocol, and what belongs to a connection that stands are not", async () => {
    const arrived = Promise.withResolvers<void>();
    using listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => arrived.resolve() } });
    const before = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data: () => undefined } });
    const watches = [watchPackets("tcp", listener.port), watchPackets("udp", listener.port), watchPackets("tcp", 9)];
    before.write("x");
    await arrived.promise;
    expect(watches.map((watch) => watch?.sources().size)).toEqual([0, 0, 0]);
    await connectTo("127.0.0.1", listener.port);
    expect(watches.map((watch) => watch?.sources().size)).toEqual([1, 0, 0]);
    before.terminate();
    for (const watch of watches) watch?.close();
  });

  test("a flood that is not looked at is told as missed", async () => {
    const service = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data: () => undefined } });
    const watch = watchPackets("udp", service.port);
    const visitor = await Bun.udpSocket({ hostname: "127.0.0.1", socket: {} });
    for (let n = 0; n < 20_000; n++) visitor.send("x", service.port, "127.0.0.1");
    watch?.sources();
    expect(watch?.missed).toBe(true);
    for (const socket of [service, visitor]) socket.close();
    watch?.close();
  });
});
