import { beforeEach, expect, test } from "bun:test";
import { H2Conduct } from "../../core/names/h2-conduct.ts";
import type { ByteEnd } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { Clients } from "../proxy/clients.ts";
import { H2Wire } from "./h2-wire.ts";

const LONG_MS = 80_000;
const PIECE = new Uint8Array(100_000);

let heard: string[];
let queued: number;
let nowMs: number;
let clients: Clients;
let client: ByteEnd;
let wire: H2Wire;

beforeEach(() => {
  heard = [];
  queued = 0;
  nowMs = 0;
  clients = new Clients({ ...startSweeper(AbortSignal.abort()), nowMs: () => nowMs });
  client = {
    sink: SILENT_SINK,
    write: (bytes) => {
      queued += bytes.length;
      return queued;
    },
    backlog: () => undefined,
    end: () => void heard.push("end"),
    reset: (reason) => {
      heard.push(reason);
      client.sink.onClose(reason);
    },
  };
  const conduct = new H2Conduct(0);
  const left = () => void heard.push("left");
  wire = new H2Wire({ client, clients, conduct, nowMs: () => nowMs, misbehaved: () => undefined, left });
});

function later(): void {
  nowMs += LONG_MS;
  clients.sweep(nowMs);
}

function drained(): void {
  queued = 0;
  client.sink.onDrain(0);
}

test("a session that is over leaves its visitor the time to take the rest, and to close", () => {
  wire.write(PIECE);
  wire.destroy();
  expect(heard).toEqual(["end"]);
  later();
  expect([heard, wire.queuedBytes]).toEqual([["end"], PIECE.length]);
  drained();
  client.sink.onClose(null);
  expect([heard, wire.queuedBytes]).toEqual([["end", "left"], 0]);
  later();
  expect(heard).toEqual(["end", "left"]);
});

test("whoever has taken it and does not close is cut", () => {
  wire.write(PIECE);
  wire.destroy();
  drained();
  later();
  expect(heard).toEqual(["end", "idle", "left"]);
});

test("frames of this turn go out before the end", () => {
  wire.write(new Uint8Array(10));
  expect(queued).toBe(0);
  wire.destroy();
  expect([queued, heard]).toEqual([10, ["end"]]);
});

test("one that is cut hears no more, and its session neither", async () => {
  const closed = new Promise((resolve) => wire.on("close", resolve));
  wire.write(PIECE);
  wire.cut("rateLimit");
  await closed;
  expect([heard, wire.destroyed]).toEqual([["rateLimit", "left"], true]);
});

test("when the relay closes nothing is waited for", () => {
  wire.write(PIECE);
  wire.destroy();
  clients.close();
  expect(heard).toEqual(["end", "shutdown", "left"]);
});
