import { describe, expect, test } from "bun:test";
import { MemoryEnd } from "../../../test/contract/memory-end.ts";
import { Recorder } from "../../../test/contract/recorder.ts";
import { Shaper } from "./shaper.ts";

const KIB = 1024;
const CHUNK = new Uint8Array(32 * KIB);

function shaped(shaper: Shaper) {
  const { dialled, accepted } = MemoryEnd.pair();
  return { sender: dialled, inner: accepted, reader: new Recorder(shaper.shape(accepted)) };
}

describe("Shaper", () => {
  test("lets a burst pass, then holds the end back until the rate allows more", async () => {
    const { sender, inner, reader } = shaped(new Shaper(640 * KIB));
    const started = performance.now();
    for (let sent = 0; sent < 6; sent++) sender.write(CHUNK);
    await reader.whenBytes(6 * CHUNK.length);
    // 192 KiB at 640 KiB/s, of which 64 KiB are burst and the last 32 KiB need not be waited for: 150 ms.
    expect(performance.now() - started).toBeGreaterThan(100);
    expect(inner.calls.some((call) => call === `backlog ${2 ** 30}`)).toBe(true);
  });

  test("tells the other side's backlog when it lets go", async () => {
    const { sender, inner, reader } = shaped(new Shaper(10_000_000));
    sender.write(new Uint8Array(2_000_000));
    await reader.whenBytes(2_000_000);
    reader.end.backlog(5_000);
    expect(inner.calls.at(-1)).toBe(`backlog ${2 ** 30}`);
    await inner.when(() => inner.calls.at(-1) === "backlog 5000");
  });

  test("a lifted limit lets go at once", async () => {
    const shaper = new Shaper(1);
    const { sender, inner, reader } = shaped(shaper);
    sender.write(new Uint8Array(200_000));
    await reader.whenBytes(200_000);
    shaper.setRate(null);
    expect(inner.calls.at(-1)).toBe("backlog 0");
    expect(shaper.allows(1_000_000_000)).toBe(true);
  });

  test("datagrams above the rate are dropped", () => {
    // At a byte a second: a busy machine may pause here for as long as it likes.
    const shaper = new Shaper(1);
    let passed = 0;
    for (let sent = 0; sent < 100; sent++) if (shaper.allows(1_400)) passed++;
    expect(passed).toBe(Math.floor((64 * KIB) / 1_400));
  });

  test("an end that is reset is forgotten, and everything else passes through", async () => {
    const { sender, inner, reader } = shaped(new Shaper(1));
    const far = new Recorder(sender);
    sender.write(new Uint8Array(200_000));
    await reader.whenBytes(200_000);
    reader.end.opened?.();
    await far.whenOpen();
    reader.end.write(CHUNK);
    await far.whenBytes(CHUNK.length);
    reader.end.keepAlive?.();
    reader.end.end();
    await far.whenEnded();
    sender.end();
    await reader.whenClosed();
    expect(inner.calls).toContain("keepAlive");
    expect(reader.closed).toBeNull();
  });
});
