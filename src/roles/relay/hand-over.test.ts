import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { join } from "node:path";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import type { Sweepable } from "../../dataplanes/io/sweeper.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { areaLogger } from "../../os/log.ts";
import { type HandoverLink, joinPredecessor } from "../../servers/local/handover-link.ts";
import { HANDOVER_VERSION, type HandoverMessage } from "../../wire/handover.ts";
import type { ControlMessage } from "../../wire/tunnel/control.ts";
import { ControlError } from "../control.ts";
import { HandOver, type HandOverOptions } from "./hand-over.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A device's session as the relay sees it. */
class FakeSession {
  openStreams = 1;
  readonly openFlows = 0;
  readonly heard: string[] = [];
  isClosed = false;
  readonly peer: Session["peer"];

  constructor(deviceId: string, features: readonly string[]) {
    this.peer = { deviceId, name: deviceId, account: "main", version: "", features };
  }

  send(message: ControlMessage): void {
    this.heard.push(message.t);
  }

  close(): void {
    this.isClosed = true;
  }
}

/** Whose requests end with `answered`. */
const serversOf = (answered: Promise<void>): HandOverOptions["servers"] => ({
  openPorts: { tcp: [], udp: [] },
  setShared: () => true,
  leave: () => undefined,
  retire: () => answered,
  close: () => answered,
});

/** A relay that hands over, without a network, and the process that comes. */
async function handOverLab(options: Partial<HandOverOptions> = {}) {
  const directory = await temporaryDirectory();
  ends.push(() => directory[Symbol.asyncDispose]());
  const did: string[] = [];
  const sessions = [new FakeSession("old", []), new FakeSession("new", ["handover"])];
  const ssh = {
    listener: { port: 2_222 },
    listen: () => undefined,
    devices: ["by ssh"],
    setShared: () => true,
    give: () => void did.push("ssh given"),
    letGo: () => void did.push("ssh let go"),
    isEmpty: false,
    stopListening: () => void did.push("ssh stopped listening"),
  };
  const clock = { nowMs: 0 };
  const swept: Sweepable[] = [];
  const handOver = new HandOver({
    path: join(directory.path, "upgrade.sock"),
    agentPort: {
      port: 7_744,
      sessions: () => sessions.filter(({ isClosed }) => !isClosed) as unknown as Session[],
      setShared: (shared) => did.push(shared ? "lent" : "taken back") > 0,
      dropPending: () => void did.push("dropped"),
      stopListening: () => void did.push("stopped listening"),
    },
    entries: { all: () => [], get: () => undefined, close: () => undefined },
    forwards: { get: () => null },
    names: { ports: [], setShared: () => true, drain: () => undefined },
    ssh,
    startSuccessor: null,
    kill: (pid) => void did.push(`kill ${pid}`),
    handedOver: async (pid) => void did.push(`supervise ${pid}`),
    settled: () => Promise.resolve(),
    refusal: () => null,
    pause: async () => void did.push("paused"),
    resume: async () => void did.push("resumed"),
    give: () => void did.push("given"),
    servers: {
      openPorts: { tcp: [7_780], udp: [7_744] },
      setShared: () => true,
      leave: () => void did.push("servers left"),
      retire: async () => void did.push("servers retired"),
      close: async () => void did.push("servers closed"),
    },
    otherVisits: () => 0,
    predecessorEnded: () => true,
    drained: () => void did.push("drained"),
    stop: (drainMs) => void did.push(`stop ${drainMs}`),
    drainLimitMs: () => 3_600_000,
    cut: (device) => void did.push(`cut ${device}`),
    sweeper: { add: (one) => void swept.push(one), nowMs: () => clock.nowMs },
    log: areaLogger("relay"),
    ...options,
  });
  const said: HandoverMessage[] = [];
  const waiting = new Map<string, () => void>();
  const arrives = (t: HandoverMessage["t"] | "end") => new Promise<void>((resolve) => waiting.set(t, resolve));
  const come = async (): Promise<HandoverLink> => {
    const link = await joinPredecessor(await handOver.offer(), {
      onMessage: (_link, message) => {
        said.push(message);
        waiting.get(message.t)?.();
      },
      onEnd: () => waiting.get("end")?.(),
    });
    ends.push(() => link.close());
    link.send({ t: "hello", v: HANDOVER_VERSION, pid: 42, version: "2.0.0" });
    return link;
  };
  /** Comes, and becomes the relay. */
  const takeOver = async (free: HandoverMessage = { t: "free", beside: true }): Promise<HandoverLink> => {
    const yours = arrives("yours");
    const link = await come();
    await yours;
    const freed = arrives("freed");
    link.send({ t: "serving" });
    link.send(free);
    await freed;
    return link;
  };
  const later = (ms: number) => {
    clock.nowMs += ms;
    for (const one of swept) one.sweep(clock.nowMs);
  };
  return { handOver, did, sessions, ssh, said, arrives, come, takeOver, later };
}

describe("a relay that hands over", () => {
  test("lends what it has, and gives it when the other serves", async () => {
    const { handOver, did, takeOver } = await handOverLab();
    expect(handOver.isGiven).toBe(false);
    await takeOver();
    expect(handOver.isGiven).toBe(true);
    expect(did).toEqual(["paused", "lent", "given", "supervise 42", "dropped", "ssh given", "servers left"]);
  });

  test("leaves its servers when the other listens beside them, and closes their listeners 2 s later", async () => {
    const { did, takeOver, later } = await handOverLab();
    await takeOver();
    later(1_999);
    expect(did).not.toContain("servers retired");
    later(1);
    expect(did).toContain("servers retired");
  });

  test("closes its servers at once for a version that was lent none of their ports", async () => {
    const { did, takeOver, later } = await handOverLab();
    await takeOver({ t: "free" });
    later(2_000);
    expect(did.filter((what) => what.startsWith("servers"))).toEqual(["servers closed"]);
  });

  test("keeps its servers for connections that have begun, and goes on until their requests have ended", async () => {
    const requests = Promise.withResolvers<void>();
    const { did, ssh, sessions, takeOver, arrives, later } = await handOverLab({
      servers: serversOf(requests.promise),
    });
    for (const session of sessions) session.openStreams = 0;
    ssh.isEmpty = true;
    const link = await takeOver();
    const released = arrives("released");
    link.send({ t: "done" });
    const sweeping = setInterval(() => later(1_000), 1);
    ends.push(() => clearInterval(sweeping));
    await released;
    later(10_000);
    expect(did).not.toContain("drained");
    requests.resolve();
    await new Promise(setImmediate);
    later(1_000);
    expect(did).toContain("drained");
  });

  test("leaves the ports of its servers when the other ends before it has opened them", async () => {
    const retired = Promise.withResolvers<void>();
    const servers = { ...serversOf(Promise.resolve()), retire: async () => retired.resolve() };
    const { handOver, did, come, arrives } = await handOverLab({ servers });
    const yours = arrives("yours");
    const link = await come();
    await yours;
    link.send({ t: "serving" });
    link.close();
    await retired.promise;
    expect([handOver.isGiven, did.includes("resumed")]).toEqual([true, false]);
  });

  test("lends the port of SSH, and names the devices that are connected by it", async () => {
    const { said, takeOver } = await handOverLab();
    await takeOver();
    expect(said.find(({ t }) => t === "yours")).toMatchObject({
      ports: [
        { protocol: "tcp", first: 2_222, last: 2_222 },
        { protocol: "tcp", first: 7_780, last: 7_780 },
        { protocol: "udp", first: 7_744, last: 7_744 },
      ],
      servers: true,
      devices: ["old", "new"],
      bySsh: ["by ssh"],
    });
  });

  test("lets SSH clients in until the other has all, and ends when none of their connections goes on", async () => {
    const { did, ssh, sessions, arrives, takeOver, later } = await handOverLab();
    const link = await takeOver();
    for (const session of sessions) session.openStreams = 0;
    const released = arrives("released");
    expect(did).not.toContain("ssh stopped listening");
    link.send({ t: "done" });
    const sweeping = setInterval(() => later(1_000), 1);
    await released;
    clearInterval(sweeping);
    later(1_000);
    later(1_000);
    expect(did).toContain("ssh stopped listening");
    expect(did).toContain("ssh let go");
    expect(did).not.toContain("drained");
    ssh.isEmpty = true;
    later(1_000);
    expect(did).toContain("drained");
  });

  test("tells the devices that can follow, and lets them go when the other has all and they are idle", async () => {
    const { sessions, arrives, takeOver, later } = await handOverLab();
    const [, follower] = sessions;
    const link = await takeOver();
    expect(follower?.heard).toEqual(["handover"]);
    if (follower !== undefined) follower.openStreams = 0;
    later(5_000);
    expect(follower?.isClosed).toBe(false);
    const released = arrives("released");
    link.send({ t: "done" });
    // The message is on its way; a sweep after it came releases.
    const sweeping = setInterval(() => later(1_000), 1);
    ends.push(() => clearInterval(sweeping));
    await released;
    later(1_000);
    expect([follower?.isClosed, follower?.heard]).toEqual([true, ["handover", "bye"]]);
  });

  test("lets the devices go that cannot follow: when they are idle, or after a while", async () => {
    const { sessions, takeOver, later } = await handOverLab();
    const [busy] = sessions;
    await takeOver();
    later(9_000);
    expect(busy?.isClosed).toBe(false);
    later(1_000);
    expect([busy?.isClosed, busy?.heard]).toEqual([true, ["bye"]]);
  });

  test("ends when its time is over, whatever is open", async () => {
    const { did, takeOver, later } = await handOverLab({ drainLimitMs: () => 20_000 });
    await takeOver();
    later(19_000);
    expect(did).not.toContain("drained");
    later(1_000);
    expect(did).toContain("drained");
  });

  test("goes on as it was when the other ends before it serves", async () => {
    const resumed = Promise.withResolvers<void>();
    const { handOver, did, sessions, arrives, come, takeOver } = await handOverLab({
      resume: async () => resumed.resolve(),
    });
    const yours = arrives("yours");
    const link = await come();
    await yours;
    link.close();
    await resumed.promise;
    expect(did).toEqual(["paused", "lent", "taken back"]);
    expect(sessions.map(({ heard }) => heard)).toEqual([[], []]);
    // And another may come.
    await takeOver();
    expect(handOver.isGiven).toBe(true);
  });

  test("passes on why the other cannot take over", async () => {
    const { handOver, arrives, come } = await handOverLab({
      startSuccessor: () => ({ exited: new Promise(() => undefined), kill: () => undefined }),
    });
    const upgrade = handOver.upgrade({ program: ["hatchway"] });
    // It may fail before it is looked at below.
    upgrade.catch(() => undefined);
    const yours = arrives("yours");
    const link = await come();
    await yours;
    link.send({ t: "refused", message: "The disk is full." });
    await expect(upgrade).rejects.toThrow("did not take over: The disk is full. This relay goes on as it was.");
  });

  test("does not begin to hold still for a version that it does not understand", async () => {
    const { handOver, did } = await handOverLab();
    const ended = Promise.withResolvers<void>();
    const link = await joinPredecessor(await handOver.offer(), {
      onMessage: () => undefined,
      onEnd: () => ended.resolve(),
    });
    link.send({ t: "hello", v: HANDOVER_VERSION + 1, pid: 42, version: "9.0.0" });
    await ended.promise;
    expect(did).toEqual([]);
    // And the next may come.
    expect(await handOver.offer()).toContain("upgrade.sock");
  });

  test("takes back no sooner than it has laid everything down", async () => {
    const pausing = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const resumed = Promise.withResolvers<void>();
    const did: string[] = [];
    const { come } = await handOverLab({
      pause: () => {
        begun.resolve();
        return pausing.promise.then(() => void did.push("paused"));
      },
      resume: async () => {
        did.push("resumed");
        resumed.resolve();
      },
    });
    const link = await come();
    await begun.promise;
    link.close();
    pausing.resolve();
    await resumed.promise;
    expect(did).toEqual(["paused", "resumed"]);
  });

  test("listens to nobody who has not been greeted", async () => {
    const { handOver, did } = await handOverLab();
    const ended = Promise.withResolvers<void>();
    const stranger = await joinPredecessor(await handOver.offer(), {
      onMessage: () => undefined,
      onEnd: () => ended.resolve(),
    });
    stranger.send({ t: "serving" });
    await ended.promise;
    expect([handOver.isGiven, did]).toEqual([false, []]);
  });

  test("does what the other tells it", async () => {
    const stopped = Promise.withResolvers<void>();
    const { did, takeOver } = await handOverLab({ stop: () => stopped.resolve() });
    const link = await takeOver();
    link.send({ t: "cut", device: "stolen" });
    link.send({ t: "stop", drainMs: 10_000 });
    await stopped.promise;
    expect(did.at(-1)).toBe("cut stolen");
  });

  test("refuses with the reason", async () => {
    const { handOver } = await handOverLab({ refusal: () => "It is a gateway as well." });
    await expect(handOver.offer()).rejects.toThrow(new ControlError("failed", "It is a gateway as well."));
  });

  test("says why a program that was started did not come", async () => {
    const startSuccessor = () => ({ exited: Promise.resolve(2), kill: () => undefined });
    const { handOver } = await handOverLab({ startSuccessor });
    await expect(handOver.upgrade({ program: ["hatchway"] })).rejects.toThrow(/exit code 2.*goes on as it was/);
  });

  describe("ends what hangs, and goes on as it was", () => {
    beforeEach(() => void jest.useFakeTimers());
    afterEach(() => void jest.useRealTimers());
    const never = new Promise<number>(() => undefined);

    test("a program that does not come within 30 s", async () => {
      const killed: string[] = [];
      const started = Promise.withResolvers<void>();
      const startSuccessor = ([program = ""]: readonly string[]) => {
        started.resolve();
        return { exited: never, kill: () => void killed.push(program) };
      };
      const { handOver, did } = await handOverLab({ startSuccessor });
      const upgrade = handOver.upgrade({ program: ["hatchway"] });
      // It may fail before it is looked at below.
      upgrade.catch(() => undefined);
      await started.promise;
      jest.advanceTimersByTime(29_999);
      expect(killed).toEqual([]);
      jest.advanceTimersByTime(1);
      await expect(upgrade).rejects.toThrow(/did not come within 30 s.*goes on as it was/);
      expect([killed, did]).toEqual([["hatchway"], []]);
    });

    test("one that came, and has the data directory, after 60 s", async () => {
      const resumed = Promise.withResolvers<void>();
      const { did, arrives, come } = await handOverLab({ resume: async () => resumed.resolve() });
      const yours = arrives("yours");
      await come();
      await yours;
      jest.advanceTimersByTime(60_000);
      await resumed.promise;
      expect(did).toEqual(["paused", "lent", "kill 42", "taken back"]);
    });
  });
});
