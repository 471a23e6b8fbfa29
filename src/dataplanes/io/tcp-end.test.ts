import { describe, expect, test } from "bun:test";
import { connect as connectNode } from "node:net";
import { type ByteEndHarness, describeByteEnd } from "../../../test/contract/byte-end.ts";
import { Recorder } from "../../../test/contract/recorder.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd } from "./ends.ts";
import { TcpEnd } from "./tcp-end.ts";

const REFUSING = { dialOpened() {}, dialFailed: (end: TcpEnd, reason: ReasonName) => end.refuse(reason) };

function dial(port: number, address = "127.0.0.1"): TcpEnd {
  const end = TcpEnd.dialled(REFUSING);
  end.dial(address, port);
  return end;
}

/** Hands out accepted ends in the order they come. */
function listen() {
  const waiting: ((end: TcpEnd) => void)[] = [];
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    data: { accepted: (end: TcpEnd) => waiting.shift()?.(end) },
    socket: TcpEnd.ACCEPT_HANDLERS,
  });
  const next = () => {
    const { promise, resolve } = Promise.withResolvers<TcpEnd>();
    waiting.push(resolve);
    return promise;
  };
  return { port: listener.port, next, stop: () => listener.stop(true) };
}

/** A port of loopback on which nothing listens. */
function closedPort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

describeByteEnd("TcpEnd", async (): Promise<ByteEndHarness> => {
  const server = listen();
  return {
    connect: async () => {
      // The accepted end needs its sink before any event: it is recorded in the turn it comes in.
      const accepted: Promise<ByteEnd> = server.next();
      return { dialled: dial(server.port), accepted };
    },
    refused: () => dial(closedPort()),
    close: server.stop,
  };
});

describe("TcpEnd and the wire", () => {
  test("a refused dial says serviceRefused", async () => {
    const heard = new Recorder(dial(closedPort()));
    await heard.whenClosed();
    expect(heard.closed).toBe("serviceRefused");
  });

  test("reset() is a RST on the wire", async () => {
    const server = listen();
    const next = server.next();
    const client = connectNode({ port: server.port, host: "127.0.0.1" });
    const error = new Promise<NodeJS.ErrnoException>((resolve) => client.once("error", resolve));
    (await next).reset("connectionLimit");
    expect((await error).code).toBe("ECONNRESET");
    server.stop();
  });

  test("who resets before being accepted is nobody, and the next one is somebody", async () => {
    const heard: string[] = [];
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      data: {
        accepted: (end: TcpEnd, address: string) => {
          heard.push(address);
          end.reset("killed");
        },
      },
      socket: TcpEnd.ACCEPT_HANDLERS,
    });
    // As long as this program waits for the other one it accepts nobody.
    const script = `const s=require("node:net").connect(${listener.port},"127.0.0.1",()=>s.resetAndDestroy())`;
    expect(Bun.spawnSync([process.execPath, "-e", script]).exitCode).toBe(0);
    const client = connectNode({ port: listener.port, host: "127.0.0.1" });
    await new Promise((resolve) => client.once("error", resolve));
    expect(heard).toEqual(["127.0.0.1"]);
    listener.stop(true);
  });

  test("a peer's RST after its FIN is a reset", async () => {
    const server = listen();
    const next = server.next();
    const a = new Recorder(dial(server.port));
    const b = new Recorder(await next);
    await a.whenOpen();
    a.end.end();
    await b.whenEnded();
    a.end.reset("killed");
    await b.whenClosed();
    expect(b.closed).toBe("reset");
    server.stop();
  });

  test("a peer's FIN waits behind the bytes it held back", async () => {
    const server = listen();
    const next = server.next();
    const a = new Recorder(dial(server.port));
    const b = new Recorder(await next);
    b.end.backlog(10_000_000);
    await a.whenOpen();
    await a.pour(100_000);
    a.end.end();
    await Bun.sleep(0);
    expect(b.ended).toBe(false);
    b.end.backlog(0);
    await b.whenEnded();
    expect(b.bytes).toBe(100_000);
    b.end.end();
    await a.whenClosed();
    expect(a.closed).toBeNull();
    server.stop();
  });

  test("end() flushes the queue before the FIN", async () => {
    const server = listen();
    const next = server.next();
    const a = new Recorder(dial(server.port));
    const b = new Recorder(await next);
    b.end.backlog(100_000_000);
    await a.whenOpen();
    const total = 20_000_000;
    expect(a.end.write(new Uint8Array(total))).toBeGreaterThan(0);
    a.end.end();
    b.end.backlog(0);
    await b.whenEnded();
    expect(b.bytes).toBe(total);
    b.end.reset("reset");
    server.stop();
  });
});
