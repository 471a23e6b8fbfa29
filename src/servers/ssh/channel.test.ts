import { describe, expect, test } from "bun:test";
import { Recorder } from "../../../test/contract/recorder.ts";
import { WindowBudget } from "../../core/tunnel/window.ts";
import { SshChannel } from "./channel.ts";

const MIB = 1024 * 1024;
const SIDE = { id: 7, packetBytes: 32_768 };

/** A channel that this side opened and the client confirmed, with what the client is told. */
function openChannel(windowBytes = MIB) {
  const told: string[] = [];
  const channel = new SshChannel(
    {
      peer: {
        channelData: (_, data) => told.push(`data ${data.length}`),
        channelExtData: (_, data) => told.push(`words ${data.length}`),
        channelEOF: () => told.push("eof"),
        channelClose: () => told.push("close"),
        channelWindowAdjust: () => told.push("window"),
        channelOpenConfirm: () => told.push("confirm"),
        channelOpenFail: () => told.push("fail"),
      },
      budget: new WindowBudget(64 * MIB),
      rttMs: 20,
      ready: true,
      nowMs: () => 0,
      await: () => undefined,
      forget: () => told.push("forget"),
      abandoned: () => undefined,
      ended: () => undefined,
      violated: (why) => {
        throw new Error(why);
      },
    },
    1,
    null,
  );
  const sink = new Recorder(channel);
  channel.receiveConfirmation({ ...SIDE, windowBytes });
  return { channel, sink, told };
}

describe("a client that closes a channel whose visitor has not ended", () => {
  test("delivers what it had sent, and the visitor's end is in order", () => {
    const { channel, sink, told } = openChannel();
    channel.receiveData(Buffer.from("bye"));
    channel.receiveClose();
    expect({ text: sink.text, events: sink.events }).toEqual({ text: "bye", events: ["open", "data", "end", "drain"] });
    channel.end();
    expect({ closed: sink.closed, told }).toEqual({ closed: null, told: ["close", "forget"] });
  });

  test("resets a visitor that goes on sending, as a closed socket does", () => {
    const { channel, sink, told } = openChannel();
    channel.receiveEnd();
    channel.write(Buffer.from("too late"));
    channel.receiveClose();
    expect(sink.closed).toBeUndefined();
    channel.write(Buffer.from("still here"));
    expect({ closed: sink.closed, told }).toEqual({ closed: "reset", told: ["data 8", "close", "forget"] });
  });

  test("lets a visitor go on that waited for its window, so that it learns", () => {
    const { channel, sink } = openChannel(10);
    expect(channel.write(Buffer.alloc(100))).toBe(90);
    sink.queued = 90;
    channel.receiveClose();
    expect(sink.queued).toBe(0);
  });

  test("may lose its connection meanwhile", () => {
    const { channel, sink, told } = openChannel();
    channel.receiveClose();
    channel.reset("deviceAway");
    expect({ closed: sink.closed, told }).toEqual({ closed: "deviceAway", told: ["close", "forget"] });
  });
});

test("a visitor that ended is done when the client closes, also with something on its way", () => {
  const { channel, sink, told } = openChannel(10);
  channel.write(Buffer.alloc(100));
  channel.end();
  channel.receiveClose();
  expect({ closed: sink.closed, told }).toEqual({ closed: null, told: ["data 10", "close", "forget"] });
});
