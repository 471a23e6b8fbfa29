import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Recorder } from "../../../test/contract/recorder.ts";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { WindowBudget } from "../../core/tunnel/window.ts";
import { encodeHeader, FrameType, type FrameTypeCode, HEADER_BYTES } from "../../wire/tunnel/frame.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import type { ByteEnd } from "../io/ends.ts";
import { startSweeper } from "../io/sweeper.ts";
import type { Pipe, PipeEvents } from "./pipe.ts";
import { listenForPipes, openPipe } from "./pipe-sockets.ts";

const SOMEWHERE = { address: "192.0.2.1", port: 9 };
const REQUEST: OpenRequest = {
  kind: "dial",
  device: "7",
  host: "db",
  port: 5_432,
  visitor: SOMEWHERE,
  entry: SOMEWHERE,
};
const BULK_BYTES = 8 * 1024 * 1024;

/** One end of a pipe, and what it hears. */
class End implements PipeEvents {
  readonly opened = Promise.withResolvers<Pipe>();
  readonly closed = Promise.withResolvers<string>();
  readonly streams: Recorder[] = [];
  readonly requests: OpenRequest[] = [];
  onText: (text: string) => void = () => undefined;
  /** What becomes of a stream of the other end. */
  accept: (stream: ByteEnd) => void = (stream) => stream.opened?.();

  onOpen(pipe: Pipe): void {
    this.opened.resolve(pipe);
  }

  onMessage(_pipe: Pipe, message: Uint8Array): void {
    this.onText(new TextDecoder().decode(message));
  }

  onStream(_pipe: Pipe, request: OpenRequest, stream: ByteEnd): void {
    this.requests.push(request);
    this.streams.push(new Recorder(stream));
    this.accept(stream);
  }

  onClose(_pipe: Pipe, why: string): void {
    this.closed.resolve(why);
  }
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let abort: AbortController;
let path: string;
let listener: { stop(): void };
let near: End;
let far: End;

const shared = () => {
  const { turnstile } = startSweeper(abort.signal);
  return { budget: new WindowBudget(64 * 1024 * 1024), turnstile, nowMs: () => performance.now() };
};

beforeEach(async () => {
  directory = await temporaryDirectory();
  abort = new AbortController();
  path = join(directory.path, "pipe.sock");
  near = new End();
  far = new End();
  listener = listenForPipes(path, shared(), () => far);
});
afterEach(async () => {
  listener.stop();
  abort.abort();
  await directory[Symbol.asyncDispose]();
});

async function connect(): Promise<{ readonly here: Pipe; readonly there: Pipe }> {
  await openPipe(path, shared(), near);
  return { here: await near.opened.promise, there: await far.opened.promise };
}

function open(pipe: Pipe, onGone: (() => void) | null = null): Recorder {
  const stream = pipe.openStream(REQUEST, onGone);
  if (typeof stream === "string") throw new Error(stream);
  return new Recorder(stream);
}

describe("a pipe between two processes", () => {
  test("carries messages in their order", async () => {
    const { here } = await connect();
    const heard: string[] = [];
    const all = new Promise<void>((resolve) => {
      far.onText = (text) => heard.push(text) === 3 && resolve();
    });
    for (const text of ["one", "two", "three"]) here.send(new TextEncoder().encode(text));
    await all;
    expect(heard).toEqual(["one", "two", "three"]);
  });

  test("carries streams that either side opens, with their requests, half-closes and ends", async () => {
    const { here, there } = await connect();
    for (const [opener, acceptor] of [
      [here, far],
      [there, near],
    ] as const) {
      let gone = 0;
      const stream = open(opener, () => gone++);
      stream.end.write(Buffer.from("ping"));
      stream.end.end();
      await stream.whenOpen();
      const other = acceptor.streams[0]!;
      await other.whenEnded();
      expect([acceptor.requests[0], other.text]).toEqual([REQUEST, "ping"]);
      other.end.write(Buffer.from("pong"));
      other.end.end();
      await stream.whenClosed();
      expect([stream.text, stream.closed, gone, opener.openStreams]).toEqual(["pong", null, 1, 0]);
    }
  });

  test("a refusal and a reset keep their reasons", async () => {
    const { here } = await connect();
    far.accept = (stream) => stream.reset("hostNotFound");
    const refused = open(here);
    await refused.whenClosed();
    expect([refused.opened, refused.closed]).toEqual([false, "hostNotFound"]);
    far.accept = (stream) => stream.opened?.();
    const reset = open(here);
    await reset.whenOpen();
    reset.end.reset("killed");
    const other = far.streams[1]!;
    await other.whenClosed();
    expect(other.closed).toBe("killed");
  });

  test("a stream whose reader stands still holds nobody else up, and arrives whole", async () => {
    const { here } = await connect();
    far.accept = (stream) => {
      stream.opened?.();
      // The first one is read later.
      if (far.streams.length === 1) stream.backlog(BULK_BYTES * 2);
    };
    const slow = open(here);
    expect(slow.end.write(new Uint8Array(BULK_BYTES))).toBeGreaterThan(0);
    const quick = open(here);
    quick.end.write(new Uint8Array(BULK_BYTES));
    await slow.whenOpen();
    await quick.whenOpen();
    await far.streams[1]!.whenBytes(BULK_BYTES);
    expect(far.streams[0]!.bytes).toBeLessThan(BULK_BYTES);
    far.streams[0]!.end.backlog(0);
    await far.streams[0]!.whenBytes(BULK_BYTES);
  });

  test("its end cuts what is open, on both sides, and opens nothing more", async () => {
    const { here, there } = await connect();
    const stream = open(here);
    await stream.whenOpen();
    here.close("enough");
    expect(await near.closed.promise).toBe("enough");
    await far.closed.promise;
    await far.streams[0]!.whenClosed();
    expect([stream.closed, far.streams[0]!.closed]).toEqual(["carrierLost", "carrierLost"]);
    expect([here.openStream(REQUEST, null), there.openStream(REQUEST, null)]).toEqual(["deviceAway", "deviceAway"]);
  });

  const WRONG: Readonly<Record<string, Uint8Array>> = {
    "a stream id that is this side's to give": frame(FrameType.open, 2, Uint8Array.of(1)),
    "an OPEN that is none": frame(FrameType.open, 1, Uint8Array.of(9)),
    "a frame of another use": frame(FrameType.flowOpen, 1, Uint8Array.of(1)),
    "an unknown frame": Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0),
  };
  for (const [name, bytes] of Object.entries(WRONG)) {
    test(`${name} ends it`, async () => {
      const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
      socket.write(bytes);
      expect(await far.closed.promise).toMatch(/the (other process|peer) (opened|sent)/);
    });
  }
});

function frame(type: FrameTypeCode, id: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  encodeHeader(bytes, 0, type, id, payload.length);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}
