import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Recorder } from "../../../test/contract/recorder.ts";
import {
  frame,
  type Link,
  makeZoo,
  openFlow,
  openFrame,
  openStream,
  RAW_INDEX,
  RawCarrier,
  type RawSession,
  rawSession,
  SOMEWHERE,
  TunnelLab,
  u32,
} from "../../../test/fixtures/tunnel-lab.ts";
import { INITIAL_WINDOW_BYTES } from "../../core/tunnel/window.ts";
import { Reason } from "../../wire/reason.ts";
import { encodeControl } from "../../wire/tunnel/control.ts";
import { FrameType } from "../../wire/tunnel/frame.ts";
import type { ByteEnd } from "../io/ends.ts";

const zoo = await makeZoo();
const NOTHING = new Uint8Array(0);

describe("the end of a session", () => {
  let lab: TunnelLab;
  let link: Link;
  beforeEach(async () => {
    lab = new TunnelLab(zoo);
    link = await lab.connect("device");
  });
  afterEach(() => lab.close());

  /** Streams and flows that each side opened, busy, some with bytes that wait. */
  const busy = async () => {
    const recorders: Recorder[] = [];
    const flowEnds: (string | null)[] = [];
    const accept = (stream: ByteEnd) => {
      const recorder = new Recorder(stream);
      recorder.onBytes = () => stream.backlog(64 * 1024 * 1024);
      recorders.push(recorder);
      stream.opened?.();
    };
    link.agent.onStream = accept;
    lab.atRelay.onStream = accept;
    const flowSink = { onDatagram: () => undefined, onClose: (reason: string | null) => void flowEnds.push(reason) };
    link.agent.onFlow = (flow) => {
      flow.sink = flowSink;
    };
    lab.atRelay.onFlow = link.agent.onFlow;
    for (const session of [link.relaySession, link.agentSession]) {
      for (let at = 0; at < 5; at++) {
        const recorder = new Recorder(openStream(session));
        recorders.push(recorder);
        recorder.end.write(new Uint8Array(at * 300_000));
        const flow = openFlow(session);
        flow.sink = flowSink;
        flow.send(Uint8Array.of(1));
      }
    }
    await lab.atRelay.bell.when(() => lab.atRelay.streams.length === 5 && lab.atRelay.flows.length === 5);
    await link.agent.bell.when(() => link.agent.streams.length === 5 && link.agent.flows.length === 5);
    return { recorders, flowEnds };
  };

  const enders: Record<string, () => void> = {
    "the relay closes it": () => link.relaySession.close("test"),
    "the relay closes it in order": () => link.relaySession.close("test", true),
    "the agent closes it": () => link.agentSession.close("test"),
    "the device is revoked": () => lab.relay.revoke("device"),
    "the relay shuts down": () => lab.relay.close(),
  };
  for (const [name, end] of Object.entries(enders)) {
    test(`${name}: everything hears carrierLost once, and nothing is left`, async () => {
      const { recorders, flowEnds } = await busy();
      end();
      await Promise.all([lab.atRelay.whenClosed(link.relaySession), link.agent.whenClosed(link.agentSession)]);
      expect(recorders).toHaveLength(20);
      for (const recorder of recorders) {
        expect(recorder.closed).toBe("carrierLost");
        expect(recorder.events.filter((event) => event.startsWith("close"))).toEqual(["close"]);
        expect(recorder.events.some((event) => event.includes("after"))).toBe(false);
      }
      expect(flowEnds).toEqual(Array.from({ length: 20 }, () => "carrierLost"));
      for (const session of [link.relaySession, link.agentSession]) {
        expect([session.openStreams, session.openFlows]).toEqual([0, 0]);
        expect(session.openStream(SOMEWHERE)).toBe("deviceAway");
        expect(session.openFlow(SOMEWHERE)).toBe("deviceAway");
      }
      expect([lab.relayBudget.usedBytes, link.options.budget.usedBytes]).toEqual([0, 0]);
      expect([lab.atRelay.closed.length, link.agent.closed.length]).toEqual([1, 1]);
      expect(lab.relay.session("device")).toBeUndefined();
    });
  }

  test("a stream that its acceptor resets at once needs no sink, and the session goes on", async () => {
    link.agent.onStream = (stream) => stream.reset("serviceTimeout");
    const refused = new Recorder(openStream(link.relaySession));
    refused.end.write(new Uint8Array(300_000));
    await refused.whenClosed();
    expect([refused.closed, refused.events]).toEqual(["serviceTimeout", ["close"]]);
    expect(link.relaySession.ready).toBe(true);
  });

  test("a control message too long for a frame ends the session, and says so", async () => {
    const ids = Array.from({ length: 20_000 }, () => "x".repeat(64));
    link.agentSession.send({ t: "sync", rid: 1, ids });
    expect(link.agent.whyClosed(link.agentSession)).toContain("longer than the tunnel carries");
  });
});

describe("a peer that keeps to the protocol", () => {
  let lab: TunnelLab;
  let raw: RawSession;
  beforeAll(async () => {
    lab = new TunnelLab(zoo);
    raw = await rawSession(lab, "raw");
  });
  afterAll(() => lab.close());

  test("gets everything before OPENED on the carrier of OPEN; a MOVE only after it", async () => {
    const stream = new Recorder(openStream(raw.relaySession));
    stream.queued = stream.end.write(new Uint8Array(400_000));
    expect(stream.queued).toBe(400_000 - INITIAL_WINDOW_BYTES);
    await raw.light.bell.when(() => raw.light.dataBytes === INITIAL_WINDOW_BYTES);
    const open = await raw.light.whenHeard(FrameType.open);
    expect(raw.light.heard.some(({ type }) => type === FrameType.move)).toBe(false);
    expect(raw.bulk.map(({ dataBytes }) => dataBytes)).toEqual([0, 0]);
    raw.light.send(FrameType.opened, open.id);
    raw.light.send(FrameType.credit, open.id, u32(200_000));
    const move = await raw.light.whenHeard(FrameType.move);
    const target = raw.bulk[RAW_INDEX.bulk.indexOf(move.payload[0] as 2)];
    await target?.bell.when(() => target.dataBytes === 400_000 - INITIAL_WINDOW_BYTES);
    raw.light.send(FrameType.reset, open.id, Uint8Array.of(Reason.killed));
    await stream.whenClosed();
    expect(stream.closed).toBe("killed");
  });

  test("DATA that overtakes its MOVE waits, and END with it", async () => {
    const accepted = Promise.withResolvers<Recorder>();
    lab.atRelay.onStream = (stream) => accepted.resolve(new Recorder(stream));
    raw.light.write(openFrame(FrameType.open, 1));
    raw.light.write(frame(FrameType.data, 1, new TextEncoder().encode("one ")));
    const stream = await accepted.promise;
    await stream.whenBytes(4);
    raw.bulk[1].write(frame(FrameType.data, 1, new TextEncoder().encode("four")));
    raw.bulk[1].send(FrameType.end, 1);
    raw.bulk[0].write(frame(FrameType.data, 1, new TextEncoder().encode("three ")));
    raw.bulk[0].send(FrameType.move, 1, Uint8Array.of(RAW_INDEX.bulk[1]));
    // A PONG on each says that the relay has read what went before it.
    for (const carrier of raw.bulk) {
      carrier.send(FrameType.ping, 0, new Uint8Array(8));
      await carrier.whenHeard(FrameType.pong);
    }
    expect(stream.text).toBe("one ");
    raw.light.write(frame(FrameType.data, 1, new TextEncoder().encode("two ")));
    raw.light.send(FrameType.move, 1, Uint8Array.of(RAW_INDEX.bulk[0]));
    await stream.whenEnded();
    expect(stream.text).toBe("one two three four");
    stream.end.end();
    await stream.whenClosed();
    expect(stream.closed).toBeNull();
  });

  test("what waits for a MOVE is not credited", async () => {
    const accepted = Promise.withResolvers<Recorder>();
    lab.atRelay.onStream = (stream) => accepted.resolve(new Recorder(stream));
    const before = raw.light.heard.filter(({ type }) => type === FrameType.credit).length;
    const credits = () => raw.light.heard.filter(({ type }) => type === FrameType.credit).slice(before);
    raw.light.write(openFrame(FrameType.open, 3));
    const stream = await accepted.promise;
    raw.bulk[0].write(frame(FrameType.data, 3, new Uint8Array(200_000)));
    raw.bulk[0].send(FrameType.ping, 0, new Uint8Array(8));
    await raw.bulk[0].whenHeard(
      FrameType.pong,
      raw.bulk[0].heard.filter(({ type }) => type === FrameType.pong).length + 1,
    );
    raw.light.write(frame(FrameType.data, 3, new Uint8Array(50_000)));
    await stream.whenBytes(50_000);
    expect(credits()).toEqual([]);
    raw.light.send(FrameType.move, 3, Uint8Array.of(RAW_INDEX.bulk[0]));
    await stream.whenBytes(250_000);
    await raw.light.bell.when(() => credits().length > 0);
    stream.end.reset("killed");
    await stream.whenClosed();
  });

  test("closes a flow, and gets no answer to datagrams and closes for flows that are not there", async () => {
    raw.datagram.send(FrameType.datagram, 999, new Uint8Array(10));
    raw.datagram.send(FrameType.flowClose, 999, Uint8Array.of(Reason.idle));
    raw.light.send(FrameType.credit, 998, u32(1));
    raw.light.send(FrameType.end, 998);
    raw.light.send(FrameType.reset, 998, Uint8Array.of(Reason.reset));
    raw.light.send(FrameType.opened, 998);
    raw.light.send(FrameType.refused, 998, Uint8Array.of(Reason.policy));
    raw.light.write(frame(FrameType.data, 998, new Uint8Array(100)));
    raw.light.send(FrameType.move, 998, Uint8Array.of(RAW_INDEX.bulk[0]));
    const closed: (string | null)[] = [];
    const flow = openFlow(raw.relaySession);
    flow.sink = { onDatagram: () => undefined, onClose: (reason) => void closed.push(reason) };
    const { id } = await raw.datagram.whenHeard(FrameType.flowOpen);
    raw.datagram.send(FrameType.flowClose, id, Uint8Array.of(Reason.serviceRefused));
    raw.datagram.send(FrameType.ping, 0, new Uint8Array(8));
    await raw.datagram.whenHeard(FrameType.pong);
    expect(closed).toEqual(["serviceRefused"]);
    expect(flow.send(new Uint8Array(1))).toBe(false);
    expect([raw.relaySession.ready, raw.relaySession.openFlows]).toEqual([true, 0]);
  });

  test("a reason from a newer peer reads as a reset", async () => {
    const stream = new Recorder(openStream(raw.relaySession));
    const count = raw.light.heard.filter(({ type }) => type === FrameType.open).length;
    const { id } = await raw.light.whenHeard(FrameType.open, count + 1).catch(() => ({ id: 0 }));
    raw.light.send(FrameType.refused, id, Uint8Array.of(250));
    await stream.whenClosed();
    expect(stream.closed).toBe("reset");
  });
});

describe("a peer that breaks the protocol is cut, and harms no other session", () => {
  let lab: TunnelLab;
  let neighbour: { readonly a: Recorder; readonly b: Recorder; readonly link: Link };
  beforeAll(async () => {
    lab = new TunnelLab(zoo);
    const link = await lab.connect("neighbour");
    const accepted = Promise.withResolvers<Recorder>();
    link.agent.onStream = (stream) => {
      accepted.resolve(new Recorder(stream));
      stream.opened?.();
    };
    const a = new Recorder(openStream(link.relaySession));
    neighbour = { a, b: await accepted.promise, link };
  });
  afterAll(() => lab.close());

  const sessionBreakers: Record<string, (raw: RawSession) => void> = {
    "a stream with the relay's parity": (raw) => raw.light.write(openFrame(FrameType.open, 2)),
    "stream 0": (raw) => raw.light.write(openFrame(FrameType.open, 0)),
    "the same stream twice": (raw) => {
      raw.light.write(openFrame(FrameType.open, 1));
      raw.light.write(openFrame(FrameType.open, 1));
    },
    "a flow with the id of a stream": (raw) => {
      raw.light.write(openFrame(FrameType.open, 1));
      raw.light.send(FrameType.ping, 0, new Uint8Array(8));
      raw.light.whenHeard(FrameType.pong).then(
        () => raw.datagram.write(openFrame(FrameType.flowOpen, 1)),
        () => undefined,
      );
    },
    "a flow with the relay's parity": (raw) => raw.datagram.write(openFrame(FrameType.flowOpen, 2)),
    "an OPEN that says nothing": (raw) => raw.light.send(FrameType.open, 1, Uint8Array.of(9)),
    "a FLOW_OPEN that says nothing": (raw) => raw.datagram.send(FrameType.flowOpen, 1, Uint8Array.of(9)),
    "a MOVE to a carrier that is none": (raw) => {
      raw.light.write(openFrame(FrameType.open, 1));
      raw.light.send(FrameType.move, 1, Uint8Array.of(200));
    },
    "an unknown frame type": (raw) => raw.light.write(Uint8Array.of(77, 0, 0, 0, 0, 0, 0, 1)),
    "DATA longer than a frame may be": (raw) => raw.light.write(Uint8Array.of(FrameType.data, 4, 0, 1, 0, 0, 0, 1)),
    "a CREDIT of three bytes": (raw) => raw.light.write(Uint8Array.of(FrameType.credit, 0, 0, 3, 0, 0, 0, 1)),
    "garbage instead of a control message": (raw) => raw.control.send(FrameType.control, 0, Uint8Array.of(0xff, 1)),
    "an unknown control message": (raw) =>
      raw.control.send(FrameType.control, 0, new TextEncoder().encode('{"t":"exec"}')),
    "random bytes": (raw) => raw.bulk[0].write(crypto.getRandomValues(new Uint8Array(10_000)).fill(0xee, 0, 8)),
    "a carrier that goes away": (raw) => raw.bulk[1].close(),
  };
  for (const [name, act] of Object.entries(sessionBreakers)) {
    test(`${name}: the session ends`, async () => {
      lab.atRelay.onStream = (stream) => void new Recorder(stream);
      const raw = await rawSession(lab, `bad ${name}`);
      act(raw);
      await lab.atRelay.whenClosed(raw.relaySession);
      await Promise.all([raw.control.whenClosed(), raw.light.whenClosed(), raw.datagram.whenClosed()]);
      const before = neighbour.b.bytes;
      neighbour.a.end.write(new Uint8Array(1000));
      await neighbour.b.whenBytes(before + 1000);
      expect(neighbour.link.relaySession.ready).toBe(true);
    });
  }

  for (const [name, type] of [
    ["a stream", FrameType.open],
    ["a flow", FrameType.flowOpen],
  ] as const) {
    test(`${name} before its other carriers are there: the session ends`, async () => {
      const control = await RawCarrier.connect(lab.relay.port);
      control.hello(lab.device(`early ${name}`), "control");
      await control.whenControl("welcome");
      control.write(openFrame(type, 1));
      await control.whenClosed();
      expect(lab.atRelay.closed.at(-1)?.why).toContain("which is not its to open");
      expect(neighbour.link.relaySession.ready).toBe(true);
    });
  }

  const streamBreakers: Record<string, (raw: RawSession, stream: Recorder) => void> = {
    "DATA beyond its credit": (raw, stream) => {
      stream.end.backlog(64 * 1024 * 1024);
      for (let at = 0; at < 5; at++) raw.light.write(frame(FrameType.data, 1, new Uint8Array(60_000)));
    },
    "DATA beyond its credit, out of order": (raw, stream) => {
      stream.end.backlog(64 * 1024 * 1024);
      for (let at = 0; at < 5; at++) raw.bulk[0].write(frame(FrameType.data, 1, new Uint8Array(60_000)));
    },
    "DATA after END": (raw) => {
      raw.light.send(FrameType.end, 1);
      raw.light.write(frame(FrameType.data, 1, new Uint8Array(1)));
    },
    "DATA after END, both kept for a MOVE": (raw) => {
      raw.bulk[0].write(
        Buffer.concat([
          frame(FrameType.end, 1, NOTHING),
          frame(FrameType.data, 1, new Uint8Array(1)),
          frame(FrameType.ping, 0, new Uint8Array(8)),
        ]),
      );
      raw.bulk[0].whenHeard(FrameType.pong).then(
        () => raw.light.send(FrameType.move, 1, Uint8Array.of(RAW_INDEX.bulk[0])),
        () => undefined,
      );
    },
    "END twice": (raw) => {
      raw.light.send(FrameType.end, 1);
      raw.light.send(FrameType.end, 1);
    },
    "credit beyond a u32": (raw) => {
      raw.light.send(FrameType.credit, 1, u32(0xffff_ffff));
      raw.light.send(FrameType.credit, 1, u32(0xffff_ffff));
    },
    "a flood of MOVEs that never come to pass": (raw) => {
      for (let at = 0; at < 100; at++) raw.bulk[0].send(FrameType.move, 1, Uint8Array.of(RAW_INDEX.light));
    },
  };
  for (const [name, act] of Object.entries(streamBreakers)) {
    test(`${name}: the stream is reset, the session goes on`, async () => {
      const accepted = Promise.withResolvers<Recorder>();
      lab.atRelay.onStream = (stream) => {
        accepted.resolve(new Recorder(stream));
        stream.opened?.();
      };
      const raw = await rawSession(lab, `rude ${name}`);
      raw.light.write(openFrame(FrameType.open, 1));
      const stream = await accepted.promise;
      act(raw, stream);
      await stream.whenClosed();
      expect(stream.closed).toBe("protocolError");
      expect(stream.events.filter((event) => event.includes("after"))).toEqual([]);
      const reset = await raw.light.whenHeard(FrameType.reset);
      expect([reset.id, reset.payload[0]]).toEqual([1, Reason.protocolError]);
      expect([raw.relaySession.ready, raw.relaySession.openStreams]).toEqual([true, 0]);
      raw.relaySession.close("done");
    });
  }

  test("a peer that asks and does not read is cut when 8 MiB wait for it", async () => {
    const raw = await rawSession(lab, "deaf");
    raw.light.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 2_000 }, () => frame(FrameType.ping, 0, new Uint8Array(8))));
    let closed = false;
    lab.atRelay.whenClosed(raw.relaySession).then(
      () => {
        closed = true;
      },
      () => undefined,
    );
    while (!closed) {
      raw.light.socket.write(pings);
      await new Promise(setImmediate);
    }
    expect(lab.atRelay.whyClosed(raw.relaySession)).toContain("does not read what it asks for");
  });

  test("a closed session that still drains takes no streams and hands on no messages", async () => {
    const raw = await rawSession(lab, "late");
    const [streams, messages] = [lab.atRelay.streams.length, lab.atRelay.control.length];
    raw.relaySession.close("done", true);
    raw.light.write(openFrame(FrameType.open, 1));
    raw.control.send(FrameType.control, 0, encodeControl({ t: "remove", rid: 1, id: "f" }));
    await raw.light.whenClosed();
    expect([lab.atRelay.streams.length, lab.atRelay.control.length]).toEqual([streams, messages]);
  });
});
