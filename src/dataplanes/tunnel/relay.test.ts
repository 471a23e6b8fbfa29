import { afterEach, describe, expect, test } from "bun:test";
import { Recorder } from "../../../test/contract/recorder.ts";
import {
  frame,
  labDevice,
  makeZoo,
  openFlow,
  openFrame,
  openStream,
  RawCarrier,
  rawSession,
  SOMEWHERE,
  TunnelLab,
} from "../../../test/fixtures/tunnel-lab.ts";
import { Reason } from "../../wire/reason.ts";
import { encodeControl } from "../../wire/tunnel/control.ts";
import { FrameType } from "../../wire/tunnel/frame.ts";
import type { RelayTunnelOptions } from "./relay.ts";
import { HANDSHAKE_MS } from "./tls.ts";

const zoo = await makeZoo();
let lab: TunnelLab;
afterEach(() => lab.close());

function newLab(options: Partial<RelayTunnelOptions> = {}): TunnelLab {
  lab = new TunnelLab(zoo, options);
  return lab;
}

describe("hello", () => {
  test("a device that is known gets a session with all its carriers", async () => {
    const { relaySession, agentSession, welcome } = await newLab().connect("nas");
    expect(welcome).toMatchObject({ device: "nas", account: "main", publicHost: "relay.example" });
    expect([relaySession.carrierCount, agentSession.carrierCount]).toEqual([5, 5]);
    expect([relaySession.ready, agentSession.ready]).toEqual([true, true]);
    expect(lab.settled.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 5 }, () => "accepted"));
    expect(lab.relay.pendingCount).toBe(0);
  });

  test("a session knows what its device understands, which may be nothing", async () => {
    newLab();
    expect((await lab.connect("old")).relaySession.peer.features).toEqual([]);
    expect((await lab.connect("new", { features: ["handover"] })).relaySession.peer.features).toEqual(["handover"]);
  });

  test("a join code's secret is shown with the proven key, on the control carrier only", async () => {
    newLab();
    const device = labDevice("new");
    lab.devices.push(device);
    await lab.connect("new", { join: lab.join });
    expect(lab.shown.map(({ join }) => join)).toEqual([lab.join, null, null, null, null]);
    expect(lab.shown.every(({ publicKey }) => Buffer.compare(publicKey, device.publicKey) === 0)).toBe(true);
  });

  const wrong: Record<string, (carrier: RawCarrier) => void> = {
    "an unknown key": (carrier) => void carrier.hello(labDevice("stranger"), "control"),
    "an unknown key and a wrong join code": (carrier) =>
      void carrier.hello(labDevice("stranger"), "control", { join: "guess" }),
    "a good join code with a signature that proves nothing": (carrier) =>
      void carrier.hello(labDevice("stranger"), "control", { join: lab.join, sig: "A".repeat(86) }),
    "a known key with another's signature": (carrier) => {
      const key = Buffer.from(lab.device("victim").publicKey).toString("base64url");
      carrier.hello(labDevice("thief"), "control", { key });
    },
    "a short key": (carrier) => void carrier.hello(labDevice("x"), "control", { key: "AAAA" }),
    "a signature that is none": (carrier) => void carrier.hello(labDevice("x"), "control", { sig: "" }),
    "another version of the tunnel": (carrier) => void carrier.hello(lab.device("newer"), "control", { v: 2 }),
    "a carrier of a session, by a stranger": (carrier) =>
      void carrier.hello(labDevice("x"), "bulk", { session: "s", index: 2 }),
  };
  test("every wrong credential gets the same bytes after the same wait", async () => {
    newLab().deniedAfterMs = 60;
    const answers: { readonly name: string; readonly bytes: string; readonly afterMs: number }[] = [];
    for (const [name, show] of Object.entries(wrong)) {
      const carrier = await RawCarrier.connect(lab.relay.port);
      const startedMs = performance.now();
      show(carrier);
      await carrier.whenClosed();
      const bytes = carrier.heard.map(({ payload }) => Buffer.from(payload).toString()).join();
      answers.push({ name, bytes, afterMs: performance.now() - startedMs });
    }
    for (const { name, bytes, afterMs } of answers) {
      expect([name, bytes]).toEqual([name, '{"t":"denied","retrySec":1}']);
      expect(afterMs).toBeGreaterThanOrEqual(59);
      // The wait is the same timer for all; the bound is loose for a busy machine.
      expect(afterMs).toBeLessThan(1_000);
    }
    expect(lab.settled.map(({ outcome }) => outcome)).toEqual(answers.map(() => "failed"));
    // No secret was looked at for a key that was not proven.
    expect(lab.shown.map(({ join }) => join)).toEqual([null, "guess", null, null, null, null, null, null]);
    expect(lab.relay.pendingCount).toBe(0);
  });

  test("an agent hears that it was denied, and for how long", async () => {
    newLab().deniedAfterMs = 20;
    const outcome = await lab.tryConnect(lab.agentOptions(labDevice("stranger"), lab.atRelay));
    expect(outcome).toEqual({ ok: false, error: { kind: "denied", retrySec: 1 } });
  });

  test("a peer that leaves during its penalty is settled as failed, once", async () => {
    newLab().deniedAfterMs = 60_000;
    const carrier = await RawCarrier.connect(lab.relay.port);
    carrier.hello(labDevice("stranger"), "control");
    await lab.atRelay.bell.when(() => lab.shown.length === 1);
    carrier.close();
    await lab.atRelay.bell.when(() => lab.settled.length === 1);
    expect(lab.settled[0]?.outcome).toBe("failed");
    expect(lab.relay.pendingCount).toBe(0);
  });

  const rude: Record<string, (carrier: RawCarrier) => void> = {
    "a second hello while the first waits": (carrier) => {
      carrier.hello(labDevice("x"), "control");
      carrier.hello(labDevice("x"), "control");
    },
    "a stream before the hello": (carrier) => carrier.write(openFrame(FrameType.open, 1)),
    "data before the hello": (carrier) => carrier.write(frame(FrameType.data, 1, new Uint8Array(100))),
    "a ping before the hello": (carrier) => carrier.send(FrameType.ping, 0, new Uint8Array(8)),
    "another message": (carrier) =>
      carrier.send(FrameType.control, 0, encodeControl({ t: "remove", rid: 1, id: "forward" })),
    "a message that is none": (carrier) => carrier.send(FrameType.control, 0, new TextEncoder().encode("{}")),
  };
  for (const [name, act] of Object.entries(rude)) {
    test(`${name}: cut without an answer`, async () => {
      newLab().deniedAfterMs = 60_000;
      const carrier = await RawCarrier.connect(lab.relay.port);
      act(carrier);
      await carrier.whenClosed();
      expect(carrier.heard).toEqual([]);
      expect(lab.settled.map(({ outcome }) => outcome)).toEqual(["failed"]);
    });
  }

  test("a hello longer than 8 KiB is cut at its header", async () => {
    newLab();
    const carrier = await RawCarrier.connect(lab.relay.port);
    carrier.write(Uint8Array.of(FrameType.control, 0, 0x20, 0x01, 0, 0, 0, 0));
    await carrier.whenClosed();
    expect(lab.settled).toHaveLength(1);
  });

  test("a source that is not admitted is cut before TLS", async () => {
    newLab().admits = false;
    await expect(RawCarrier.connect(lab.relay.port)).rejects.toThrow("no TLS");
    expect(lab.settled).toEqual([]);
  });

  test("a database that fails is no acceptance", async () => {
    newLab({ authenticate: () => Promise.reject(new Error("disk full")) });
    const outcome = await lab.tryConnect(lab.agentOptions(labDevice("x"), lab.atRelay));
    expect(outcome.ok ? "connected" : outcome.error.kind).toBe("unreachable");
    await lab.atRelay.bell.when(() => lab.settled.length === 1);
    expect(lab.settled[0]?.outcome).toBe("failed");
  });
});

describe("deadlines", () => {
  const stallers: Record<string, (port: number) => Promise<{ readonly closed: Promise<void> }>> = {
    "TCP and nothing more": (port) => rawTcp(port, new Uint8Array(0)),
    "half a TLS hello": (port) => rawTcp(port, Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252)),
    "TLS and no hello": async (port) => ({ closed: (await RawCarrier.connect(port)).whenClosed() }),
    "half a frame": async (port) => {
      const carrier = await RawCarrier.connect(port);
      carrier.write(Uint8Array.of(FrameType.control, 0, 0, 100, 0));
      return { closed: carrier.whenClosed() };
    },
  };
  for (const [name, stall] of Object.entries(stallers)) {
    test(`${name}: closed at the deadline`, async () => {
      newLab();
      const { closed } = await stall(lab.relay.port);
      let isClosed = false;
      const done = closed.then(() => {
        isClosed = true;
      });
      await lab.atRelay.bell.when(() => true);
      lab.clock.aheadMs += HANDSHAKE_MS - 5_000;
      await Bun.sleep(0);
      expect(isClosed).toBe(false);
      lab.clock.aheadMs += 5_000;
      await done;
      await lab.atRelay.bell.when(() => lab.settled.length === 1);
      expect(lab.settled[0]?.outcome).toBe("timeout");
      expect(lab.relay.pendingCount).toBe(0);
    });
  }

  test("a session whose carriers do not all come is closed", async () => {
    newLab();
    const device = lab.device("half");
    const control = await RawCarrier.connect(lab.relay.port);
    control.hello(device, "control");
    const { session } = await control.whenControl("welcome");
    const light = await RawCarrier.connect(lab.relay.port);
    light.hello(device, "light", { session, index: 1 });
    lab.clock.aheadMs += HANDSHAKE_MS + 1;
    await Promise.all([control.whenClosed(), light.whenClosed()]);
    expect(lab.atRelay.closed.map(({ why }) => why)).toEqual(["its carriers did not all come"]);
    expect(lab.atRelay.ready).toEqual([]);
  });

  test("a device that begins again ends its own beginning, so that they do not pile up", async () => {
    newLab();
    const device = lab.device("hasty");
    const first = await RawCarrier.connect(lab.relay.port);
    first.hello(device, "control");
    await first.whenControl("welcome");
    const second = await RawCarrier.connect(lab.relay.port);
    second.hello(device, "control");
    await second.whenControl("welcome");
    await first.whenClosed();
    expect(lab.atRelay.closed.map(({ why }) => why)).toEqual(["the device began another session"]);
  });
});

describe("carriers of a session", () => {
  const wrong: Record<string, { role: "light" | "control" | "bulk"; index?: number; session?: string; other?: true }> =
    {
      "an unknown session": { role: "light", index: 1, session: "none" },
      "another device's session": { role: "light", index: 1, other: true },
      "no index": { role: "light" },
      "index 0": { role: "light", index: 0 },
    };
  for (const [name, { role, index, session, other }] of Object.entries(wrong)) {
    test(`${name}: denied, and the session goes on`, async () => {
      newLab();
      const device = lab.device("nas");
      const control = await RawCarrier.connect(lab.relay.port);
      control.hello(device, "control");
      const welcome = await control.whenControl("welcome");
      const carrier = await RawCarrier.connect(lab.relay.port);
      carrier.hello(other ? lab.device("other") : device, role, {
        session: session ?? welcome.session,
        ...(index === undefined ? {} : { index }),
      });
      expect(await carrier.whenControl("denied")).toEqual({ t: "denied", retrySec: 0 });
      await carrier.whenClosed();
      expect(control.closed).toBe(false);
    });
  }

  test("one too many of a role, and an index that is taken", async () => {
    newLab();
    const raw = await rawSession(lab, "nas");
    const device = lab.devices[0] as ReturnType<typeof labDevice>;
    for (const [role, index] of [
      ["light", 9],
      ["bulk", 2],
    ] as const) {
      const carrier = await RawCarrier.connect(lab.relay.port);
      carrier.hello(device, role, { session: raw.relaySession.id, index });
      await carrier.whenControl("denied");
    }
    expect(raw.relaySession.ready).toBe(true);
  });
});

describe("takeover", () => {
  test("the device's next session takes over; the old one hears so and ends", async () => {
    newLab();
    const first = await lab.connect("nas");
    const second = await lab.connect("nas");
    await first.agent.whenClosed(first.agentSession);
    expect(first.agent.control).toEqual([{ t: "bye", why: "takeover" }]);
    expect(lab.relay.session("nas")).toBe(second.relaySession);
    expect(second.relaySession.ready).toBe(true);
    expect([...lab.relay.allSessions()]).toEqual([second.relaySession]);
    expect(lab.atRelay.whyClosed(first.relaySession)).toBe("the device connected again");
  });

  test("only once it is ready: half a session takes nothing over", async () => {
    newLab();
    const first = await lab.connect("nas");
    const control = await RawCarrier.connect(lab.relay.port);
    control.hello(lab.devices[0] as ReturnType<typeof labDevice>, "control");
    await control.whenControl("welcome");
    expect(lab.relay.session("nas")).toBe(first.relaySession);
    expect(first.relaySession.ready).toBe(true);
  });

  test("a revoked device hears so", async () => {
    newLab();
    const link = await lab.connect("nas");
    lab.relay.revoke("nas");
    await link.agent.whenClosed(link.agentSession);
    expect(link.agent.control).toEqual([{ t: "bye", why: "revoked" }]);
  });
});

describe("a dead link", () => {
  test("is seen by both sides after three heartbeats, not before", async () => {
    newLab();
    const proxy = blackHoleProxy(lab.relay.port);
    const link = await lab.connect("nas", { relay: { host: "127.0.0.1", port: proxy.port } });
    const beat = () => {
      lab.clock.aheadMs += 10_000;
      for (const session of [link.relaySession, link.agentSession]) session.tick(lab.clock.nowMs());
    };
    const stream = new Recorder(openStream(link.relaySession));
    proxy.swallow();
    beat();
    beat();
    expect([link.relaySession.ready, link.agentSession.ready]).toEqual([true, true]);
    beat();
    expect(lab.atRelay.whyClosed(link.relaySession)).toContain("three heartbeats");
    expect(link.agent.whyClosed(link.agentSession)).toContain("three heartbeats");
    expect(stream.closed).toBe("carrierLost");
    proxy.close();
  });

  test("a link that only pauses lives on", async () => {
    newLab();
    const link = await lab.connect("nas");
    for (let beat = 0; beat < 8; beat++) {
      lab.clock.aheadMs += 10_000;
      const pongs = Promise.withResolvers<void>();
      link.agentSession.tick(lab.clock.nowMs());
      link.relaySession.tick(lab.clock.nowMs());
      link.agent.onStream = (stream) => {
        stream.reset("noForward");
        pongs.resolve();
      };
      openStream(link.relaySession);
      await pongs.promise;
      await new Promise(setImmediate);
    }
    expect([link.relaySession.ready, link.agentSession.ready]).toEqual([true, true]);
    expect(link.relaySession.rttMs).toBeLessThan(1_000);
  });
});

describe("limits", () => {
  test("20,000 streams of one peer; the next is refused for want of resources", async () => {
    newLab();
    const raw = await rawSession(lab, "many");
    lab.atRelay.onStream = (stream) => void new Recorder(stream);
    const opens = Array.from({ length: 20_001 }, (_, at) => openFrame(FrameType.open, 2 * at + 1));
    const all = Buffer.concat(opens);
    for (let at = 0; at < all.length; ) {
      at += Math.max(0, raw.light.socket.write(all.subarray(at, at + 100_000)));
      await new Promise(setImmediate);
    }
    const refused = await raw.light.whenHeard(FrameType.refused);
    expect([refused.id, refused.payload[0]]).toEqual([40_001, Reason.resources]);
    expect(raw.relaySession.openStreams).toBe(20_000);
    expect(raw.relaySession.openStream(SOMEWHERE)).toBe("resources");
    expect(raw.relaySession.ready).toBe(true);
    raw.relaySession.close("done");
    expect(raw.relaySession.openStreams).toBe(0);
  });

  test("ids wrap, and skip what is still open", async () => {
    newLab();
    const raw = await rawSession(lab, "old");
    const first = new Recorder(openStream(raw.relaySession));
    Object.assign(raw.relaySession, { nextId: 0xffff_fffe });
    openStream(raw.relaySession);
    openFlow(raw.relaySession);
    openStream(raw.relaySession);
    await raw.light.whenHeard(FrameType.open, 3);
    await raw.datagram.whenHeard(FrameType.flowOpen);
    const ids = [...raw.light.heard, ...raw.datagram.heard]
      .filter(({ type }) => type === FrameType.open || type === FrameType.flowOpen)
      .map(({ id }) => id);
    expect(ids.sort((a, b) => a - b)).toEqual([2, 4, 6, 0xffff_fffe]);
    expect(first.closed).toBeUndefined();
  });
});

async function rawTcp(port: number, bytes: Uint8Array): Promise<{ readonly closed: Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(bytes),
      data: () => undefined,
      close: () => resolve(),
      error: () => undefined,
    },
  });
  return { closed: promise };
}

/** Forwards TCP until it is told to swallow everything, as a cut cable does. */
function blackHoleProxy(targetPort: number) {
  let swallowing = false;
  const sockets: { terminate(): void }[] = [];
  const listener = Bun.listen<{ early: Uint8Array[]; peer: { write(bytes: Uint8Array): number } | null }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { early: [], peer: null };
        sockets.push(socket);
        Bun.connect({
          hostname: "127.0.0.1",
          port: targetPort,
          socket: {
            open(upstream) {
              sockets.push(upstream);
              socket.data.peer = upstream;
              for (const bytes of socket.data.early) upstream.write(bytes);
            },
            data: (_upstream, bytes) => void (swallowing || socket.write(bytes)),
            close: () => void (swallowing || socket.end()),
            error: () => undefined,
          },
        }).catch(() => undefined);
      },
      data(socket, bytes) {
        if (swallowing) return;
        if (socket.data.peer === null) socket.data.early.push(bytes.slice());
        else socket.data.peer.write(bytes);
      },
      close: () => undefined,
      error: () => undefined,
    },
  });
  return {
    port: listener.port,
    swallow: () => {
      swallowing = true;
    },
    close: () => {
      for (const socket of sockets) socket.terminate();
      listener.stop(true);
    },
  };
}
