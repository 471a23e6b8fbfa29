import { afterAll, describe, expect, test } from "bun:test";
import { makeZoo, TunnelLab } from "../../../test/fixtures/tunnel-lab.ts";
import { lookAtRelay } from "./look.ts";

const zoo = await makeZoo();
const lab = new TunnelLab(zoo);
afterAll(() => lab.close());
const pinned = (certificate: { readonly fingerprint: Uint8Array }) =>
  ({ kind: "pinned", fingerprint: certificate.fingerprint }) as const;
const look = (
  port: number,
  trust: Parameters<typeof lookAtRelay>[0]["trust"] = pinned(zoo.good),
  signal = new AbortController().signal,
) => lookAtRelay({ relay: { host: "127.0.0.1", port }, trust, wallMs: Date.now(), signal });

describe("a relay's certificate, without a word said", () => {
  test("the pinned one, and until when it is good", async () => {
    const sight = await look(lab.relay.port);
    expect(sight.kind).toBe("trusted");
    expect(sight.kind === "trusted" && sight.notAfterMs > Date.now()).toBe(true);
  });
  test("another one", async () => {
    expect(await look(lab.relay.port, pinned(zoo.rogue))).toMatchObject({
      kind: "untrusted",
      message: expect.stringContaining("not the one the join code named"),
    });
  });
  test("one of a CA", async () => {
    expect((await look(lab.relay.port, { kind: "verified", ca: zoo.authority.certificatePem })).kind).toBe("trusted");
    expect((await look(lab.relay.port, { kind: "verified", ca: null })).kind).toBe("untrusted");
  });
});

describe("no relay", () => {
  test("a service that speaks no TLS", async () => {
    using other = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end("220 hello\r\n"), data: () => undefined },
    });
    expect((await look(other.port)).kind).toBe("broken");
  });
  test("nothing there", async () => {
    const gone = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    gone.stop(true);
    expect(await look(gone.port)).toMatchObject({
      kind: "broken",
      message: expect.stringContaining("does not answer"),
    });
  });
  test("TLS of another protocol", async () => {
    using web = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: zoo.good.certificatePem, key: zoo.good.keyPem },
      fetch: () => new Response(),
    });
    expect((await look(web.port ?? 0)).kind).toBe("broken");
  });
  test("a stop", async () => {
    using mute = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const stop = new AbortController();
    const seen = look(mute.port, undefined, stop.signal);
    stop.abort();
    expect(await seen).toEqual({ kind: "broken", message: "stopped" });
  });
});
