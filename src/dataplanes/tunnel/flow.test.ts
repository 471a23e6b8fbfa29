import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Link, makeZoo, openFlow, rawSession, TunnelLab } from "../../../test/fixtures/tunnel-lab.ts";
import { FrameType } from "../../wire/tunnel/frame.ts";
import type { FlowEnd } from "../io/ends.ts";

const zoo = await makeZoo();
let lab: TunnelLab;
let link: Link;
beforeAll(async () => {
  lab = new TunnelLab(zoo);
  link = await lab.connect("device");
});
afterAll(() => lab.close());

/** The largest payload of a UDP datagram over IPv4: 65,535 − 20 − 8. */
const LARGEST = 65_507;

/** Opens a flow at the relay whose agent sends back what it gets, and resolves each answer in turn. */
function echoFlow() {
  link.agent.onFlow = (flow: FlowEnd) => {
    flow.sink = { onDatagram: (datagram) => void flow.send(datagram), onClose: () => undefined };
  };
  const flow = openFlow(link.relaySession);
  const answers: Uint8Array[] = [];
  let next = Promise.withResolvers<void>();
  flow.sink = {
    onDatagram(datagram) {
      answers.push(datagram.slice());
      next.resolve();
    },
    onClose: () => undefined,
  };
  const whenAnswers = async (count: number) => {
    while (answers.length < count) {
      next = Promise.withResolvers();
      await next.promise;
    }
  };
  return { flow, answers, whenAnswers };
}

for (const size of [0, 1, 64, 512, 1_400, 8_191, 8_192, 9_000, 16_384, 65_000, LARGEST]) {
  test(`a datagram of ${size} bytes comes back as it was`, async () => {
    const { flow, answers, whenAnswers } = echoFlow();
    const sent = crypto.getRandomValues(new Uint8Array(size));
    expect(flow.send(sent)).toBe(true);
    await whenAnswers(1);
    expect(answers[0]).toEqual(sent);
    flow.close(null);
  });
}

test("2,000 datagrams of mixed sizes keep their bounds and their flows", async () => {
  const flows = Array.from({ length: 8 }, echoFlow);
  const sent: Uint8Array[][] = flows.map(() => []);
  for (let at = 0; at < 2_000; at++) {
    const datagram = crypto.getRandomValues(new Uint8Array((at * 7) % 1_500));
    const flow = flows[at % 8];
    if (flow?.flow.send(datagram)) sent[at % 8]?.push(datagram);
    if (at % 50 === 0) await new Promise(setImmediate);
  }
  for (const [index, { answers, whenAnswers, flow }] of flows.entries()) {
    await whenAnswers(250);
    expect(answers).toEqual(sent[index] as Uint8Array[]);
    flow.close("idle");
  }
  expect(link.relaySession.datagramsDropped).toBe(0);
  await link.agent.bell.when(() => true);
  expect(link.relaySession.openFlows).toBe(0);
});

test("when the carrier is full, datagrams are dropped and counted, whole ones", async () => {
  const raw = await rawSession(lab, "slow");
  raw.datagram.socket.pause();
  const flow = openFlow(raw.relaySession);
  let taken = 0;
  let offered = 0;
  for (let dropped = 0; dropped < 500; offered++) {
    const datagram = new Uint8Array(1_000 + (offered % 400)).fill(offered % 251);
    new DataView(datagram.buffer).setUint32(0, offered);
    if (flow.send(datagram)) taken++;
    else dropped++;
    if (offered % 64 === 0) await new Promise(setImmediate);
    expect(offered).toBeLessThan(100_000);
  }
  expect(raw.relaySession.datagramsDropped).toBe(offered - taken);
  raw.datagram.socket.resume();
  await raw.datagram.whenHeard(FrameType.datagram, taken);
  let last = -1;
  for (const { type, payload } of raw.datagram.heard) {
    if (type !== FrameType.datagram) continue;
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    expect(number).toBeGreaterThan(last);
    last = number;
    expect(payload.length).toBe(1_000 + (number % 400));
    expect(payload.at(-1)).toBe(number % 251);
  }
  expect(flow.send(new Uint8Array(10))).toBe(true);
  expect(raw.relaySession.ready).toBe(true);
});

test("an orderly close sends what is queued before it closes", async () => {
  const raw = await rawSession(lab, "last words");
  raw.datagram.socket.pause();
  const flow = openFlow(raw.relaySession);
  let taken = 0;
  while (flow.send(new Uint8Array(1_400))) {
    taken++;
    if (taken % 64 === 0) await new Promise(setImmediate);
  }
  raw.relaySession.close("done", true);
  raw.datagram.socket.resume();
  await raw.datagram.whenHeard(FrameType.datagram, taken);
  await raw.datagram.whenClosed();
});

test("a flow that one side closes is closed at the other, and lets nothing through after", async () => {
  const { flow, answers, whenAnswers } = echoFlow();
  const closed: (string | null)[] = [];
  flow.send(Uint8Array.of(1));
  await whenAnswers(1);
  const accepted = link.agent.flows.at(-1) as FlowEnd;
  const gone = Promise.withResolvers<void>();
  accepted.sink = {
    onDatagram: () => closed.push("late"),
    onClose: (reason) => {
      closed.push(reason);
      gone.resolve();
    },
  };
  flow.close("killed");
  expect(flow.send(Uint8Array.of(2))).toBe(false);
  await gone.promise;
  expect(closed).toEqual(["killed"]);
  expect(accepted.send(Uint8Array.of(3))).toBe(false);
  expect(answers).toHaveLength(1);
  expect(link.relaySession.ready).toBe(true);
});
