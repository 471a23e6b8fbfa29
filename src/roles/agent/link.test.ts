import { afterEach, describe, expect, test } from "bun:test";
import { Recorder } from "../../../test/contract/recorder.ts";
import { Bell, makeZoo, openStream, TunnelLab } from "../../../test/fixtures/tunnel-lab.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { Link, type LinkState } from "./link.ts";

const zoo = await makeZoo();
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Two processes of one relay, and the link of an agent that is connected to the first. */
async function handoverLab() {
  const before = new TunnelLab(zoo);
  const after = new TunnelLab(zoo);
  ends.push(
    () => before.close(),
    () => after.close(),
  );
  const device = before.device("nas");
  after.devices.push(device);
  const abort = new AbortController();
  ends.push(() => abort.abort());
  const bell = new Bell();
  const states: LinkState["kind"][] = [];
  const streams: string[] = [];
  const place = { port: before.relay.port };
  const { publicKey, sign, trust, clientCertificate, budget, nowMs, wallMs, version } = before.agentOptions(
    device,
    before.atRelay,
  );
  const link = new Link({
    ...{ publicKey, sign, trust, clientCertificate, budget, nowMs, wallMs, version },
    relay: () => ({ host: "127.0.0.1", port: place.port }),
    join: () => null,
    sweeper: startSweeper(abort.signal),
    random: () => 0,
    events: {
      onState: ({ kind }) => {
        states.push(kind);
        bell.ring();
      },
      onControl: () => undefined,
      onStream: (session, _request, stream) => {
        streams.push(session.id);
        new Recorder(stream);
        bell.ring();
      },
      onFlow: () => undefined,
    },
  });
  const run = link.run(abort.signal);
  ends.push(() => void run);
  await bell.when(() => link.session !== null);
  const relaySession = (lab: TunnelLab): Session => {
    const session = lab.relay.session("nas");
    if (session === undefined) throw new Error("the device is not there");
    return session;
  };
  return { before, after, link, bell, states, streams, place, relaySession };
}

describe("a relay that hands over", () => {
  test("is followed before it is left, and what it still has goes on", async () => {
    const { before, after, link, bell, states, streams, place, relaySession } = await handoverLab();
    const first = link.session;
    place.port = after.relay.port;
    relaySession(before).send({ t: "handover" });
    await bell.when(() => link.session !== null && link.session !== first);
    expect(states).toEqual(["connecting", "up", "up"]);
    expect(first?.ready).toBe(true);
    // Whom it dials may still be there.
    expect(link.dialSession).toBe(first);
    before.clock.aheadMs += 3_000;
    expect(link.dialSession).toBe(link.session);
    openStream(relaySession(before));
    openStream(relaySession(after));
    await bell.when(() => streams.length === 2);
    expect(streams.toSorted()).toEqual([first?.id ?? "", link.session?.id ?? ""].toSorted());
    relaySession(before).send({ t: "bye", why: "shutdown" });
    relaySession(before).close("drained", true);
    await before.atRelay.bell.when(() => before.atRelay.closed.length > 0);
    expect([link.session?.ready, states]).toEqual([true, ["connecting", "up", "up"]]);
  });

  test("is kept while nobody answers where it handed over to, and tried again when it ends", async () => {
    const { before, after, link, bell, states, place, relaySession } = await handoverLab();
    after.admits = false;
    place.port = after.relay.port;
    const first = relaySession(before);
    first.send({ t: "handover" });
    await after.atRelay.bell.when(() => true);
    expect(link.session?.ready).toBe(true);
    first.close("killed");
    await bell.when(() => states.includes("down"));
    after.admits = true;
    await bell.when(() => states.at(-1) === "up");
    expect(after.relay.session("nas")?.ready).toBe(true);
  });
});
