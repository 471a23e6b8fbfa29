import { describe, expect, test } from "bun:test";
import { HelperClient, helperKernel } from "./client.ts";
import type { HelperSocket } from "./serve.ts";

/** The gateway's end, with a helper that does what a test says. */
function helper(onLine: (line: string) => void): {
  readonly client: HelperClient;
  answer(text: string): void;
  end(): void;
} {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const socket: HelperSocket = { input: readable, write: onLine };
  return {
    client: new HelperClient(socket),
    answer: (text) => void writer.write(new TextEncoder().encode(`${text}\n`)),
    end: () => void writer.close(),
  };
}

const NOTHING = { put: [], remove: [] };
const GONE = expect.stringContaining("privileged helper ended");

describe("a change of the kernel", () => {
  test("is done when the helper says so", async () => {
    const { client, answer } = helper(() => answer('{"id":1,"output":{"error":null}}'));
    expect(await helperKernel(client).plane.change(NOTHING)).toEqual({ ok: true, value: null });
  });

  test("that the helper does not take is a refusal, so that it is taken back", async () => {
    const { client, answer } = helper(() => answer('{"id":1,"failure":"not a port"}'));
    const refused = { ok: false, error: { kind: "refused", message: "not a port" } };
    expect(await helperKernel(client).plane.change(NOTHING)).toEqual(refused as never);
  });

  test("that a helper leaves unanswered at its end is a refusal", async () => {
    const { client, end } = helper(() => end());
    expect(await helperKernel(client).plane.change(NOTHING)).toMatchObject({ ok: false, error: { message: GONE } });
    await client.ended;
    expect(await helperKernel(client).plane.change(NOTHING)).toMatchObject({ ok: false, error: { message: GONE } });
  });

  test("that cannot be said any more is a refusal, and is told once", async () => {
    const { client, end } = helper(() => {
      throw Object.assign(new Error("EPIPE: broken pipe, write"), { code: "EPIPE" });
    });
    const asked = Array.from({ length: 3 }, () => helperKernel(client).plane.change(NOTHING));
    end();
    for (const one of asked) expect(await one).toMatchObject({ ok: false, error: { message: GONE } });
    await client.ended;
  });
});
