import { describe, expect, test } from "bun:test";
import { KeepLab, wishesFor, wishFor } from "../../test/fixtures/fake-router/lab.ts";
import { FAKE_GATEWAY, fault } from "../../test/fixtures/fake-router/mapper.ts";
import { compactEndpoints } from "../core/router/endpoints.ts";
import type { Gateway } from "../core/router/model.ts";

const OPEN = "203.0.113.5";
const GATEWAY6: Gateway = { ...FAKE_GATEWAY, family: 6, address: "fe80::1", ownAddress: "2001:db8::10" };
const SPEAKS_UPNP = { router: { speaks: ["igd1"] } } as const;
const ALL_SILENT = () => "silent" as const;

describe("which protocol", () => {
  test("the best that answers; the others are probed at the same time, once", async () => {
    const lab = new KeepLab({ router: { speaks: ["nat-pmp", "igd1"] } });
    await lab.keep([wishFor(25565), wishFor(80)]);
    expect(lab.told()).toEqual([`opened 25565 ${OPEN}:25565`, `opened 80 ${OPEN}:80`]);
    expect(lab.router.said("probe")).toEqual(["probe pcp", "probe nat-pmp", "probe igd2", "probe igd1"]);
    expect(new Set(lab.router.calls.filter(({ kind }) => kind === "map").map(({ protocol }) => protocol))).toEqual(
      new Set(["nat-pmp"]),
    );
    await lab.stop();
  });

  test("only one, when that is wanted", async () => {
    const lab = new KeepLab({ router: { speaks: ["pcp", "igd1"] }, only: "igd1" });
    await lab.keep([wishFor(25565)]);
    expect(lab.router.said("probe", "map")).toEqual(["probe igd1", "map 25565"]);
    await lab.stop();
  });

  test("the next one, when one fails for the wish; later wishes begin there", async () => {
    const lab = new KeepLab({ router: { speaks: ["pcp", "nat-pmp", "igd1"] } });
    lab.router.outcome = ({ kind, protocol }) => (kind === "map" && protocol !== "igd1" ? "refused" : null);
    const kept = await lab.keep([wishFor(25565)]);
    const asked = () => lab.router.calls.filter(({ kind }) => kind === "map").map(({ protocol }) => protocol);
    expect(asked()).toEqual(["pcp", "nat-pmp", "igd1"]);
    kept.set([wishFor(25565), wishFor(80)]);
    await lab.clock.settle();
    expect(asked().slice(3)).toEqual(["igd1"]);
    expect(lab.told("opened")).toHaveLength(2);
    await lab.stop();
  });

  test("a conflict is not asked about by another one", async () => {
    const lab = new KeepLab({ router: { speaks: ["pcp", "igd1"] } });
    lab.router.take("tcp", 25565);
    await lab.keep([wishFor(25565, { exact: true })]);
    expect(lab.router.said("map")).toEqual(["map 25565"]);
    expect(lab.told()).toEqual(["refused 25565: The router was conflict."]);
    await lab.stop();
  });

  test("what one protocol's silence outlasts is not looked for again on the same way up", async () => {
    const lab = new KeepLab({ router: { speaks: [] } });
    // PCP's port is closed at once, and would be worth another look after a second; UPnP takes four.
    lab.router.outcome = ({ protocol }) => (protocol.startsWith("igd") ? "never" : null);
    await lab.keep([wishFor(25565)]);
    await lab.pass(4);
    expect(lab.told("failing")).toHaveLength(1);
    expect(lab.router.said("probe")).toEqual(["probe pcp", "probe nat-pmp", "probe igd2", "probe igd1"]);
    await lab.stop();
  });

  test("nothing answers: one sentence, and it is looked for again", async () => {
    const lab = new KeepLab({ router: { speaks: [] } });
    const kept = await lab.keep([wishFor(25565)]);
    expect(lab.told()).toEqual([
      "failing 25565: The router at 192.168.1.1 answers neither PCP nor NAT-PMP nor UPnP: turn one on in its settings, forward the port there by hand, or use a relay (hatchway expose --via relay).",
    ]);
    expect(kept.snapshot()[0]?.state.kind).toBe("retrying");
    // UPnP is turned on.
    lab.router.speaks.add("igd2");
    await lab.pass(3);
    expect(lab.told()).toEqual([`opened 25565 ${OPEN}:25565`]);
    await lab.stop();
  });

  test("a protocol that is turned on is found for one mapping, and used for all at once", async () => {
    const lab = new KeepLab({ router: { speaks: [] }, random: Math.random });
    await lab.keep(wishesFor(1000, 50));
    await lab.pass(600);
    lab.router.speaks.add("igd1");
    await lab.pass(62);
    const askedAt = lab.router.calls.filter(({ kind }) => kind === "map").map(({ atMs }) => atMs);
    expect(lab.router.live()).toHaveLength(50);
    expect(Math.max(...askedAt) - Math.min(...askedAt)).toBeLessThan(2500);
    await lab.stop();
  });

  test("IPv6 has a router of its own, and the address is this machine's", async () => {
    const lab = new KeepLab({ router: { gateway6: GATEWAY6 } });
    const kept = await lab.keep([wishFor(80), wishFor(80, { family: 6, exact: true })]);
    expect(lab.router.calls.filter(({ kind }) => kind === "map").map(({ wish }) => wish?.internalAddress)).toEqual([
      "2001:db8::10",
      "192.168.1.10",
    ]);
    expect(compactEndpoints(kept.snapshot()).map(({ family, address, first }) => [family, address, first])).toEqual([
      [4, OPEN, 80],
      [6, "2001:db8::10", 80],
    ]);
    await lab.stop();
  });
});

describe("the whole desired state", () => {
  test("what is new is asked for, what is left out is taken away, the rest is not touched", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(1), wishFor(2)]);
    await lab.pass(10);
    lab.told();
    kept.set([wishFor(2), wishFor(3)]);
    await lab.clock.settle();
    expect(lab.router.said("map", "unmap")).toEqual(["map 1", "map 2", "unmap 1", "map 3"]);
    expect(lab.told()).toEqual(["closed 1", `opened 3 ${OPEN}:3`]);
    expect(kept.snapshot().map(({ wish, state }) => [wish.internalPort, state.kind])).toEqual([
      [2, "held"],
      [3, "held"],
    ]);
    kept.set([wishFor(2), wishFor(3)]);
    await lab.clock.settle();
    expect(lab.router.said("map", "unmap")).toHaveLength(4);
    await lab.stop();
  });

  test("a port that leads elsewhere now: the old mapping is gone before the new one is asked for", async () => {
    const lab = new KeepLab({ router: { latencyMs: 10 } });
    const kept = await lab.keep([wishFor(80, { externalPort: 8000 })]);
    await lab.pass(1);
    kept.set([wishFor(81, { externalPort: 8000 })]);
    await lab.pass(1);
    expect(lab.router.said("map", "unmap")).toEqual(["map 8000", "unmap 8000", "map 8000"]);
    expect(lab.router.live()).toEqual(["tcp 8000"]);
    expect(lab.router.overwritten).toBe(0);
    await lab.stop();
  });

  test("taken out and put back: it is closed, and opened again", async () => {
    const lab = new KeepLab({ router: { latencyMs: 10 } });
    const kept = await lab.keep([wishFor(80)]);
    await lab.pass(1);
    kept.set([]);
    kept.set([wishFor(80)]);
    await lab.pass(1);
    expect(lab.told()).toEqual([`opened 80 ${OPEN}:80`, "closed 80", `opened 80 ${OPEN}:80`]);
    expect(lab.router.live()).toEqual(["tcp 80"]);
    await lab.stop();
  });

  test("put back and taken out before it was begun", async () => {
    const lab = new KeepLab({ router: { latencyMs: 10 } });
    const kept = await lab.keep([wishFor(80)]);
    await lab.pass(1);
    kept.set([]);
    kept.set([wishFor(80)]);
    kept.set([]);
    await lab.pass(1);
    expect(lab.router.said("map", "unmap")).toEqual(["map 80", "unmap 80"]);
    await lab.stop();
    expect(lab.router.live()).toEqual([]);
  });

  test("wishes that get in each other's way: the later one is refused, and not asked for", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80, { externalPort: 8000 }), wishFor(80, { externalPort: 9000 })]);
    const reason = "Port 80/tcp is to be reached at both 8000 and 9000, and routers give a port one outside: keep one.";
    expect(lab.told()).toEqual([`refused 80: ${reason}`, `opened 80 ${OPEN}:8000`]);
    expect(lab.router.said("map")).toEqual(["map 8000"]);
    expect(kept.snapshot().map(({ state }) => state.kind)).toEqual(["held", "refused"]);
    // Said once; and when the other one goes, it is opened.
    kept.set([wishFor(80, { externalPort: 8000 }), wishFor(80, { externalPort: 9000 })]);
    expect(lab.told()).toEqual([]);
    kept.set([wishFor(80, { externalPort: 9000 })]);
    await lab.clock.settle();
    expect(lab.told()).toEqual(["closed 80", `opened 80 ${OPEN}:9000`]);
    await lab.stop();
  });

  test("a port that is taken moves to none that another wish wants", async () => {
    const lab = new KeepLab();
    lab.router.take("tcp", 25565);
    const kept = await lab.keep([wishFor(25565), wishFor(25566), wishFor(25567)]);
    expect(lab.router.live()).toEqual(["tcp 25565", "tcp 25566", "tcp 25567", "tcp 40000"]);
    expect(kept.snapshot()[0]?.state).toMatchObject({ kind: "held", mapping: { externalPort: 40_000 } });
    expect(lab.router.overwritten).toBe(0);
    await lab.stop();
  });

  test("a port that the router gave to another mapping of ours is not taken from it", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80, { externalPort: 0 })]);
    expect(lab.told()).toEqual([`opened 80 ${OPEN}:50000`]);
    kept.set([wishFor(80, { externalPort: 0 }), wishFor(81, { externalPort: 50_000, exact: true })]);
    await lab.clock.settle();
    expect(lab.told()).toEqual(["refused 81: External port 50000/tcp is in use for 80/tcp of this machine."]);
    expect(lab.router.overwritten).toBe(0);
    await lab.stop();
  });

  test("nor one that another mapping is just asking for", async () => {
    const lab = new KeepLab({ router: { latencyMs: 20 } });
    lab.router.take("tcp", 1104);
    const kept = await lab.keep([wishFor(1104)]);
    // Its own port is taken: it asks for the next one.
    await lab.pass(0.05);
    expect(lab.router.said("map")).toEqual(["map 1104", "map 1105"]);
    kept.set([wishFor(1104), wishFor(1105)]);
    await lab.pass(1);
    expect(lab.router.overwritten).toBe(0);
    expect(lab.told("opened", "lost")).toEqual([`opened 1104 ${OPEN}:1105`, `opened 1105 ${OPEN}:1106`]);
    await lab.stop();
  });

  test("who must have one port asks before those who may have any", async () => {
    const lab = new KeepLab();
    await lab.keep([wishFor(1), wishFor(2, { exact: true }), wishFor(3)]);
    expect(lab.router.said("map")).toEqual(["map 2", "map 1", "map 3"]);
    await lab.stop();
  });
});

describe("ends", () => {
  test("everything is taken away at once, in parallel, and nothing goes on", async () => {
    const lab = new KeepLab({ router: { latencyMs: 100, speaks: ["igd1"] } });
    await lab.keep(wishesFor(1000, 100));
    await lab.pass(5);
    expect(lab.router.live()).toHaveLength(100);
    const stoppedMs = lab.clock.nowMs();
    await lab.stop();
    expect(lab.router.live()).toEqual([]);
    // A hundred, eight at a time, a tenth of a second each.
    expect(lab.clock.nowMs() - stoppedMs).toBeLessThan(1500);
    expect(lab.told("closed")).toHaveLength(100);
    expect(lab.clock.timers).toBe(0);
    expect([...lab.router.mappers].every(({ isClosed, isHeard }) => isClosed && !isHeard)).toBe(true);
  });

  test("one that has nothing to take away does not end it for the others", async () => {
    const lab = new KeepLab();
    lab.router.take("tcp", 80);
    await lab.keep([wishFor(80, { exact: true }), wishFor(81), wishFor(82)]);
    await lab.stop();
    expect(lab.router.said("unmap")).toEqual(["unmap 81", "unmap 82"]);
    expect(lab.router.live()).toEqual(["tcp 80"]);
  });

  test("a router that says nothing: 3 s, and what may stay open is told", async () => {
    const lab = new KeepLab();
    await lab.keep(wishesFor(1000, 20));
    lab.told();
    lab.router.outcome = () => "never";
    const stoppedMs = lab.clock.nowMs();
    await lab.stop();
    expect(lab.clock.nowMs() - stoppedMs).toBe(3000);
    const told = lab.told();
    expect(told).toHaveLength(20);
    expect(told[0]).toBe(
      "closed 1000: The router did not say that it closed port 1000/tcp; it may stay open until its lease ends.",
    );
    expect(lab.clock.timers).toBe(0);
  });

  test("while it asks: what the router grants meanwhile is taken away", async () => {
    const lab = new KeepLab({ router: { latencyMs: 500 } });
    await lab.keep(wishesFor(1000, 20));
    await lab.pass(1.2);
    await lab.stop();
    expect(lab.router.live()).toEqual([]);
    // Those that waited for their turn were not sent.
    expect(lab.router.said("map").length).toBeLessThan(20);
  });

  test("while it looks for the router: nobody waits for that", async () => {
    const lab = new KeepLab();
    lab.router.outcome = () => "never";
    await lab.keep([wishFor(80)]);
    const stoppedMs = lab.clock.nowMs();
    await lab.stop();
    expect(lab.clock.nowMs()).toBe(stoppedMs);
    expect(lab.told()).toEqual(["closed 80"]);
    expect(lab.clock.timers).toBe(0);
  });

  test("a signal that has aborted opens nothing", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80)], { signal: AbortSignal.abort() });
    await kept.ended;
    expect(lab.router.said("map")).toEqual([]);
    expect(lab.clock.timers).toBe(0);
  });

  test("afterwards nothing is kept, whatever is said", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80)]);
    await lab.stop();
    kept.set([wishFor(81)]);
    kept.networkChanged();
    kept.resumed(1000);
    await lab.pass(100);
    expect(lab.router.said("map")).toEqual(["map 80"]);
    expect(kept.snapshot()).toEqual([]);
  });

  test("what fails unforeseen is not kept quiet", async () => {
    const lab = new KeepLab();
    const broken = new Error("a mapper's fault");
    lab.router.outcome = ({ kind }) => {
      if (kind === "map") throw broken;
      return null;
    };
    const kept = await lab.keep([wishFor(80)]);
    expect(await kept.ended.catch((error: unknown) => error)).toBe(broken);
  });

  test("nor in a probe", async () => {
    const lab = new KeepLab();
    const broken = new Error("a probe's fault");
    lab.router.outcome = ({ protocol }) => {
      if (protocol === "igd1") throw broken;
      return null;
    };
    const kept = await lab.keep([wishFor(80)]);
    expect(await kept.ended.catch((error: unknown) => error)).toBe(broken);
  });
});

describe("a router that fails", () => {
  test("never more than eight requests at once", async () => {
    const lab = new KeepLab({ router: { latencyMs: 20 } });
    await lab.keep(wishesFor(1000, 256));
    await lab.pass(5);
    expect(lab.router.live()).toHaveLength(256);
    expect(lab.router.busiest).toBe(8);
    await lab.stop();
  });

  test("a slow one is asked one thing at a time, and as much as before when it is quick again", async () => {
    const lab = new KeepLab({ router: { latencyMs: 700 } });
    const kept = await lab.keep(wishesFor(1000, 30));
    await lab.pass(10);
    lab.router.busiest = 0;
    await lab.pass(5);
    expect(lab.router.busiest).toBe(1);
    lab.router.latencyMs = 10;
    await lab.pass(20);
    expect(lab.router.live()).toHaveLength(30);
    kept.set(wishesFor(1000, 100));
    await lab.pass(10);
    expect(lab.router.live()).toHaveLength(100);
    expect(lab.router.busiest).toBe(8);
    await lab.stop();
  });

  test("it restarts and announces it: everything is back within 10 s", async () => {
    const lab = new KeepLab({ router: { latencyMs: 5 }, random: Math.random });
    await lab.keep(wishesFor(1000, 256));
    await lab.pass(60);
    lab.told();
    lab.router.reboot();
    await lab.pass(10);
    expect(lab.router.live()).toHaveLength(256);
    expect(lab.told("lost", "failing", "refused")).toEqual([]);
    await lab.stop();
  });

  test("it tells of its restart in IPv4 alone: what it had opened in IPv6 is asked for again as well", async () => {
    const lab = new KeepLab({ router: { gateway6: GATEWAY6 } });
    await lab.keep([wishFor(25565), wishFor(25565, { family: 6 })]);
    await lab.pass(100);
    lab.router.reboot(false);
    for (const mapper of lab.router.mappers) if (mapper.gateway.family === 4) mapper.tellForgot();
    await lab.pass(10);
    expect(lab.router.live()).toEqual(["tcp 25565", "tcp [2001:db8::10]:25565"]);
    await lab.stop();
  });

  test("it restarts, says nothing and takes a while: lost, and back when it is", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    await lab.keep(wishesFor(1000, 3, { lifetimeSec: null }));
    await lab.pass(10);
    lab.told();
    lab.router.reboot(false);
    lab.router.outcome = ALL_SILENT;
    await lab.pass(100);
    expect(lab.told()).toEqual([]);
    lab.router.outcome = () => null;
    await lab.pass(60);
    // The first check finds it missing, and the others look at once.
    expect(lab.told("renewed")).toHaveLength(3);
    expect(lab.router.live()).toHaveLength(3);
    await lab.stop();
  });

  test("one mapping is found missing: the others are looked at then, not a minute later", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    await lab.keep(wishesFor(1000, 10));
    await lab.pass(1);
    lab.router.reboot(false);
    const checkedAt: number[] = [];
    lab.router.outcome = ({ kind, atMs }) => {
      if (kind === "holds") checkedAt.push(atMs);
      return null;
    };
    await lab.pass(46);
    expect(lab.router.live()).toHaveLength(10);
    expect(Math.max(...checkedAt) - Math.min(...checkedAt)).toBeLessThan(1000);
    await lab.stop();
  });

  test("a port that we have is given to another mapping of ours: so it forgot, and the first one asks for another", async () => {
    const lab = new KeepLab();
    const any = (port: number) => wishFor(port, { externalPort: 0 });
    const kept = await lab.keep([any(80)]);
    await lab.pass(10);
    lab.router.reboot(false);
    kept.set([any(80), any(81)]);
    await lab.clock.settle();
    expect(lab.told()).toEqual([
      `opened 80 ${OPEN}:50000`,
      `opened 81 ${OPEN}:50000`,
      "lost 80: The router lost this mapping, and gave its port to another one of this machine.",
      `opened 80 ${OPEN}:40000`,
    ]);
    expect(lab.router.overwritten).toBe(0);
    await lab.stop();
  });

  test("it falls silent: hundreds of mappings ask it no more than one would", async () => {
    const lab = new KeepLab({ random: Math.random });
    await lab.keep(wishesFor(1000, 256));
    await lab.pass(100);
    lab.router.calls.splice(0);
    lab.router.outcome = ALL_SILENT;
    // The network may have changed: each of them wants to know.
    lab.kept?.networkChanged();
    await lab.pass(3600);
    // Eight under way when it began, one each time the pause is over, and the watch's two in 30 s.
    expect(lab.router.calls.length).toBeLessThan(8 + 3600 / 15 + 240);
    await lab.stop();
  });

  test("it comes back: all are asked for within seconds, and not when their own pauses are over", async () => {
    const lab = new KeepLab({ random: Math.random });
    await lab.keep(wishesFor(1000, 100, { lifetimeSec: 120 }));
    lab.router.outcome = ALL_SILENT;
    lab.router.table.clear();
    await lab.pass(600);
    expect(lab.told("lost")).toHaveLength(100);
    lab.router.outcome = () => null;
    await lab.pass(62);
    expect(lab.router.live()).toHaveLength(100);
    const openedAt = lab.router.calls
      .filter(({ kind, renews, atMs }) => kind === "map" && !renews && atMs > 600_000)
      .map(({ atMs }) => atMs);
    expect(Math.max(...openedAt) - Math.min(...openedAt)).toBeLessThan(5000);
    await lab.stop();
  });

  test("a protocol that goes away: the next one takes over when the lease is over", async () => {
    const lab = new KeepLab({ router: { speaks: ["pcp", "igd1"] } });
    await lab.keep([wishFor(80, { lifetimeSec: 60 })]);
    lab.router.outcome = ({ protocol }) => (protocol === "pcp" ? "closed" : null);
    await lab.pass(70);
    expect(lab.told()).toEqual([
      `opened 80 ${OPEN}:80`,
      "failing 80: The router was closed.",
      "lost 80: The lease of port 80/tcp ended. The router was closed.",
      `opened 80 ${OPEN}:80`,
    ]);
    expect(lab.kept?.snapshot()[0]?.state).toMatchObject({ kind: "held", mapping: { via: "igd1" } });
    await lab.stop();
  });
});

describe("the router's address", () => {
  test("is asked for once when grants do not say it", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    await lab.keep(wishesFor(1000, 20));
    expect(lab.router.said("address")).toEqual(["address igd1"]);
    expect(lab.told("opened")).toHaveLength(20);
    await lab.stop();
  });

  test("is looked at every 30 s, with whether it lost its mappings; another one is told", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    await lab.keep([wishFor(80)]);
    await lab.pass(31);
    expect(lab.router.said("address", "uptime")).toEqual(["address igd1", "uptime igd1", "address igd1"]);
    lab.told();
    lab.router.externalAddress = "198.51.100.9";
    await lab.pass(30);
    expect(lab.told()).toEqual(["changed 80 198.51.100.9:80"]);
    await lab.stop();
  });

  test("nobody is asked while nothing is open", async () => {
    const lab = new KeepLab({ router: { speaks: ["igd1"] } });
    lab.router.take("tcp", 80);
    await lab.keep([wishFor(80, { exact: true })]);
    await lab.pass(100);
    expect(lab.router.said("address", "uptime")).toEqual([]);
    await lab.stop();
  });

  test("that the router does not tell is null", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    lab.router.externalAddress = null;
    await lab.keep([wishFor(80)]);
    expect(lab.told()).toEqual(["opened 80 null:80"]);
    await lab.stop();
  });
});

describe("another network", () => {
  test("none at first, then one", async () => {
    const lab = new KeepLab();
    lab.router.gateways[4] = null;
    const kept = await lab.keep([wishFor(80)]);
    expect(lab.told()).toEqual(["failing 80: This machine has no IPv4 router: connect it to a network that has one."]);
    lab.router.gateways[4] = FAKE_GATEWAY;
    kept.networkChanged();
    await lab.pass(1);
    expect(lab.told()).toEqual([`opened 80 ${OPEN}:80`]);
    await lab.stop();
  });

  test("another router: found out anew, the same port asked for there, the one before left alone", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80)]);
    await lab.pass(10);
    const [old] = lab.router.mappers;
    lab.router.gateways[4] = { ...FAKE_GATEWAY, address: "10.0.0.1", ownAddress: "10.0.0.7" };
    lab.router.table.clear();
    lab.router.externalAddress = "198.51.100.9";
    lab.router.calls.splice(0);
    kept.networkChanged();
    await lab.clock.settle();
    expect(lab.router.said("probe", "map", "unmap")).toEqual([
      "probe pcp",
      "probe nat-pmp",
      "probe igd2",
      "probe igd1",
      "map 80",
    ]);
    expect(lab.told()).toEqual([`opened 80 ${OPEN}:80`, "changed 80 198.51.100.9:80"]);
    expect(old?.isClosed).toBe(true);
    await lab.stop();
  });

  test("the router before is asked something: its answer does not count", async () => {
    const lab = new KeepLab();
    lab.router.outcome = ({ kind }) => (kind === "map" ? "never" : null);
    const kept = await lab.keep([wishFor(80)]);
    lab.router.outcome = () => null;
    lab.router.gateways[4] = { ...FAKE_GATEWAY, address: "10.0.0.1", ownAddress: "10.0.0.7" };
    kept.networkChanged();
    await lab.pass(2);
    expect(lab.told()).toEqual([`opened 80 ${OPEN}:80`]);
    expect(lab.router.calls.at(-1)?.wish?.internalAddress).toBe("10.0.0.7");
    await lab.stop();
  });

  test("another address of ours: the old mapping is taken away, then made anew", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    const kept = await lab.keep([wishFor(80, { exact: true })]);
    await lab.pass(10);
    lab.router.gateways[4] = { ...FAKE_GATEWAY, ownAddress: "192.168.1.44" };
    kept.networkChanged();
    await lab.clock.settle();
    expect(lab.router.said("map", "unmap")).toEqual(["map 80", "unmap 80", "map 80"]);
    expect([...lab.router.table.values()].map(({ wish }) => wish.internalAddress)).toEqual(["192.168.1.44"]);
    expect(lab.told()).toEqual([`opened 80 ${OPEN}:80`, `renewed 80 ${OPEN}:80`]);
    await lab.stop();
  });

  test("another router with the address of the one before: nobody else's mapping is taken away", async () => {
    const lab = new KeepLab(SPEAKS_UPNP);
    const kept = await lab.keep([wishFor(80, { exact: true })]);
    await lab.pass(10);
    lab.router.table.clear();
    lab.router.take("tcp", 80);
    lab.router.gateways[4] = { ...FAKE_GATEWAY, ownAddress: "192.168.1.44" };
    kept.networkChanged();
    await lab.clock.settle();
    expect(lab.router.said("unmap")).toEqual([]);
    expect(lab.router.list().map(({ internalAddress }) => internalAddress)).toEqual(["192.168.1.99"]);
    expect(lab.told("lost")).toEqual(["lost 80: This machine's network is another now. The router was conflict."]);
    await lab.stop();
    expect(lab.router.live()).toEqual(["tcp 80"]);
  });

  test("the same one: everything is asked for once more, with what it has", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80), wishFor(81)]);
    await lab.pass(10);
    kept.networkChanged();
    kept.networkChanged();
    kept.networkChanged();
    await lab.pass(1);
    expect(lab.router.said("map")).toEqual(["map 80", "map 81", "renew 80", "renew 81"]);
    expect(lab.router.said("probe")).toHaveLength(4);
    await lab.stop();
  });

  test("after a sleep the lease is shorter by it", async () => {
    const lab = new KeepLab();
    const kept = await lab.keep([wishFor(80)]);
    await lab.pass(10);
    lab.told();
    lab.router.outcome = ({ kind }) => (kind === "map" ? "silent" : null);
    kept.resumed(3_000_000);
    expect(kept.snapshot()[0]?.state).toMatchObject({ mapping: { endsMs: 600_000 } });
    kept.resumed(3_000_000);
    await lab.clock.settle();
    expect(lab.told("lost")).toEqual(["lost 80: The lease of port 80/tcp ended. The router did not renew it in time."]);
    await lab.stop();
  });
});

test("a sentence of the router reaches people as it is", async () => {
  const lab = new KeepLab();
  lab.router.outcome = ({ kind }) => (kind === "map" ? fault("refused", "The router forbids ports below 1024.") : null);
  await lab.keep([wishFor(80)]);
  expect(lab.told()).toEqual(["refused 80: The router forbids ports below 1024."]);
  await lab.stop();
});
