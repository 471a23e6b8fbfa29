import { afterAll, describe, expect, test } from "bun:test";
import { tcpService, udpService } from "../../../test/fixtures/services.ts";
import { probeTcp, probeUdp } from "./probe.ts";

const HERE = "127.0.0.1";
const never = new AbortController().signal;
/** Nothing here waits for its end. */
const DEADLINE_MS = 15_000;
const HOLD_MS = 200;

/** A listener that does this with each connection. */
function listener(open: (socket: Bun.Socket<undefined>) => void) {
  return Bun.listen({ hostname: HERE, port: 0, socket: { open, data: () => undefined, error: () => undefined } });
}

const listeners = {
  waits: listener(() => undefined),
  speaks: listener((socket) => void socket.end("hello")),
  ends: listener((socket) => void socket.end()),
  resets: listener((socket) => void setImmediate(() => socket.terminate())),
};
afterAll(() => {
  for (const one of Object.values(listeners)) one.stop(true);
});

describe("a TCP probe", () => {
  for (const { name, port, holdMs, saw } of [
    { name: "of a service that waits", port: listeners.waits.port, holdMs: HOLD_MS, saw: "open" },
    { name: "of a service that speaks and ends", port: listeners.speaks.port, holdMs: HOLD_MS, saw: "open" },
    { name: "of a service that ends the connection", port: listeners.ends.port, holdMs: DEADLINE_MS, saw: "ended" },
    { name: "of a service that resets it", port: listeners.resets.port, holdMs: DEADLINE_MS, saw: "ended" },
    { name: "that does not look how it goes on", port: listeners.ends.port, holdMs: 0, saw: "open" },
    { name: "of a port that nobody has", port: 1, holdMs: 0, saw: "closed" },
  ] as const) {
    test(`${name}: ${saw}`, async () => {
      const result = await probeTcp({ address: HERE, port, deadlineMs: DEADLINE_MS, holdMs, signal: never });
      expect(result).toMatchObject({ saw, from: HERE, fits: null });
    });
  }

  test("leaves nothing open", async () => {
    using service = tcpService("x");
    for (const holdMs of [0, 20]) {
      await probeTcp({ address: HERE, port: service.port, deadlineMs: DEADLINE_MS, holdMs, signal: never });
    }
    while (service.open > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(service.total).toBe(2);
  });

  test("ends with its signal, before it began and while it waits", async () => {
    const stop = new AbortController();
    const probe = {
      address: HERE,
      port: listeners.waits.port,
      deadlineMs: 60_000,
      holdMs: 60_000,
      signal: stop.signal,
    };
    const waiting = probeTcp(probe);
    stop.abort();
    expect((await waiting).saw).toBe("failed");
    expect((await probeTcp(probe)).saw).toBe("failed");
  });
});

describe("a UDP probe", () => {
  const payload = Uint8Array.of(1, 2, 3);
  const base = { address: HERE, payload, tries: 1, signal: never, fits: () => true };

  test("is answered", async () => {
    using service = await udpService("x");
    const answers: string[] = [];
    const fits = (answer: Uint8Array) => answers.push(Buffer.from(answer).toString("latin1")) > 0;
    expect(await probeUdp({ ...base, port: service.port, fits })).toMatchObject({
      saw: "open",
      from: HERE,
      fits: true,
    });
    expect(answers).toEqual(["x:\x01\x02\x03"]);
  });

  test("is answered as by something else", async () => {
    using service = await udpService("x");
    expect(await probeUdp({ ...base, port: service.port, fits: () => false })).toMatchObject({
      saw: "open",
      fits: false,
    });
  });

  test("is not answered, and sent no more often than it may be", async () => {
    let received = 0;
    const service = await Bun.udpSocket({ hostname: HERE, socket: { data: () => void received++ } });
    expect(await probeUdp({ ...base, port: service.port, tries: 2 })).toMatchObject({ saw: "silent", fits: null });
    expect(received).toBe(2);
    service.close();
  });

  test("believes nobody but who was asked", async () => {
    // It is told that nobody takes what it sends.
    const stranger = await Bun.udpSocket({ hostname: HERE, socket: { error: () => undefined } });
    const service = await Bun.udpSocket({
      hostname: HERE,
      socket: { data: (_own, bytes, port, address) => void stranger.send(bytes, port, address) },
    });
    expect(await probeUdp({ ...base, port: service.port })).toMatchObject({ saw: "silent" });
    for (const socket of [service, stranger]) socket.close();
  });

  test("is refused", async () => {
    expect(await probeUdp({ ...base, port: 1 })).toMatchObject({ saw: "closed", fits: null });
  });

  test("ends with its signal", async () => {
    const service = await Bun.udpSocket({ hostname: HERE, socket: { data: () => undefined } });
    const stop = new AbortController();
    const waiting = probeUdp({ ...base, port: service.port, tries: 3, signal: stop.signal });
    stop.abort();
    expect((await waiting).saw).toBe("failed");
    service.close();
  });
});
