import { expect, test } from "bun:test";
import { WindowBudget } from "../../core/tunnel/window.ts";
import { Channels } from "./channels.ts";

const MIB = 1024 * 1024;

function channelsOf(refused: () => void): Channels {
  const ignore = () => undefined;
  return new Channels({
    peer: {
      channelData: ignore,
      channelExtData: ignore,
      channelEOF: ignore,
      channelClose: ignore,
      channelWindowAdjust: ignore,
      channelOpenConfirm: ignore,
      channelOpenFail: refused,
    },
    budget: new WindowBudget(64 * MIB),
    rttMs: 20,
    ready: true,
    nowMs: () => 0,
    violated: (why) => {
      throw new Error(why);
    },
  });
}

test("a client that closes none of the channels that ended gets no more at some time, and more when it does", () => {
  let refused = 0;
  const channels = channelsOf(() => {
    refused++;
  });
  const ended: number[] = [];
  for (let sender = 0; sender < 30_000; sender++) {
    const channel = channels.accept({ type: "direct-tcpip", sender, window: MIB, packetSize: 32_768, data: {} });
    if (channel === null) continue;
    ended.push(channel.id);
    channel.opened();
    channel.reset("hostNotFound");
  }
  expect({ refused, kept: channels.size }).toEqual({ refused: 8_000, kept: 22_000 });
  channels.get(ended[0] ?? 0)?.receiveClose();
  const next = { type: "direct-tcpip", sender: 30_000, window: MIB, packetSize: 32_768, data: {} };
  expect(channels.accept(next)).not.toBeNull();
});

test("what the client closed and its visitor has not ended goes with the connection", () => {
  const channels = channelsOf(() => undefined);
  const gone: number[] = [];
  for (const sender of [1, 2]) {
    const channel = channels.accept({ type: "direct-tcpip", sender, window: MIB, packetSize: 32_768, data: {} });
    channel?.opened();
    if (channel !== null) channel.onGone = () => void gone.push(sender);
    channel?.receiveClose();
    if (sender === 1) channel?.end();
  }
  expect({ gone, size: channels.size }).toEqual({ gone: [1], size: 0 });
  channels.cutAll();
  expect(gone).toEqual([1, 2]);
});
