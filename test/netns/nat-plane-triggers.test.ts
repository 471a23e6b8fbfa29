import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { TriggerRule } from "../../src/dataplanes/nat/state.ts";
import { natForward } from "../contract/nat-plane.ts";
import { createNatLab, type NatLab } from "./nat-plane-lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(30_000);

const GATEWAY = "203.0.113.20";
const VISITOR = "203.0.113.10";
const AGENT = "192.168.77.2";
const OTHER = "192.168.78.2";

const made: { net: NatLab | null } = { net: null };
const net = (): NatLab => made.net!;

beforeAll(async () => {
  made.net = createNatLab();
  const { lab, serve } = net();
  await serve(lab.agent, "agent", "tcp:5001", "udp:5001", "udp:5005");
  await serve(lab.other, "other", "tcp:5001", "udp:5001", "udp:5005");
  await serve(lab.visitor, "visitor", "tcp:6667", "udp:6667");
  await serve(lab.nat, "gateway", "udp:5004", "tcp:5001");
});
afterAll(async () => {
  await net()[Symbol.asyncDispose]();
});

const rule = (name: string, options: Partial<TriggerRule> = {}): TriggerRule => ({
  name,
  out: { tcp: [{ first: 6660, last: 6669 }], udp: [{ first: 6667, last: 6667 }] },
  in: { tcp: [{ first: 5000, last: 5010 }], udp: [{ first: 5000, last: 5010 }] },
  timeoutSec: 600,
  secondHost: "refused",
  ...options,
});
const openTo = async (): Promise<string[]> => (await net().plane.openTriggers()).map(({ host }) => host);
/** An outgoing datagram to a trigger's port; the answer shows that it passed. */
const fire = async (from: "agent" | "other"): Promise<void> => {
  const { lab, askUdp } = net();
  expect(await askUdp(lab[from], VISITOR, 6667, from === "agent" ? AGENT : OTHER)).toStartWith(
    "visitor 6667 203.0.113.20",
  );
};
const askUdp = (port = 5001): Promise<string> => net().askUdp(net().lab.visitor, GATEWAY, port);
const name = (answer: string): string => answer.split(" ").slice(0, 2).join(" ");

describe("port triggering", () => {
  test("closed, the ports are the gateway's own", async () => {
    await net().set({ triggers: [rule("closed")] });
    expect(await net().askTcp(net().lab.visitor, GATEWAY, 5001)).toStartWith("gateway 5001");
    expect(await openTo()).toEqual([]);
  });

  test("an outgoing packet opens all of the rule's ports to its sender, untranslated", async () => {
    await net().set({ triggers: [rule("opens", { timeoutSec: 601 })] });
    await fire("agent");
    expect(await net().plane.openTriggers()).toEqual([
      { name: "opens", host: AGENT, remainingSec: expect.any(Number) as unknown as number },
    ]);
    expect((await net().plane.openTriggers())[0]!.remainingSec).toBeGreaterThan(590);
    expect(await askUdp()).toStartWith(`agent 5001 ${VISITOR}`);
    expect(await net().askTcp(net().lab.visitor, GATEWAY, 5001)).toStartWith(`agent 5001 ${VISITOR}`);
  });

  test("the first host keeps it", async () => {
    await net().set({ triggers: [rule("first")] });
    await fire("agent");
    await fire("other");
    expect(await openTo()).toEqual([AGENT]);
    expect(name(await askUdp())).toBe("agent 5001");
  });

  test("or the last has it, and the first one's connections are cut at once", async () => {
    const { lab, set, peer, dropped, forgotten } = net();
    await set({ triggers: [rule("last", { secondHost: "takesOver" })] });
    await fire("agent");
    await using open = peer(lab.visitor, "keep", GATEWAY, 5001);
    await open.event("open");
    expect(await openTo()).toEqual([AGENT]);
    forgotten.length = 0;
    await fire("other");
    const fromLine = open.stdout.length;
    await dropped("triggerClosed", () => {
      open.signal("SIGUSR1");
      return lab.spawn(lab.visitor, ["true"]);
    });
    expect(open.stdout.slice(fromLine)).toEqual([]);
    expect(name(await askUdp())).toBe("other 5001");
    expect(await openTo()).toEqual([OTHER]);
    expect(
      forgotten.filter(({ to }) => to === AGENT).map(({ protocol, first, last }) => [protocol, first, last]),
    ).toEqual([
      ["tcp", 5000, 5010],
      ["udp", 5000, 5010],
    ]);
    // And back again: the new owner's traffic passes, the old one's is what it was.
    await fire("agent");
    expect(name(await askUdp())).toBe("agent 5001");
  });

  test("it closes when nothing passes, and what it opened is cut", async () => {
    const { lab, set, peer, dropped } = net();
    // Long enough for a visitor's program to start, on a busy machine too.
    await set({ triggers: [rule("short", { timeoutSec: 3 })] });
    await fire("agent");
    await using open = peer(lab.visitor, "keep", GATEWAY, 5001);
    await open.event("open");
    await eventually("closed", async () => ((await openTo()).length === 0 ? true : undefined));
    await dropped("triggerClosed", () => {
      open.signal("SIGUSR1");
      return lab.spawn(lab.visitor, ["true"]);
    });
    expect(await net().askTcp(lab.visitor, GATEWAY, 5001)).toStartWith("gateway 5001");
  });

  test("traffic keeps it open", async () => {
    const { lab, set, peer } = net();
    await set({ triggers: [rule("kept", { timeoutSec: 4 })] });
    await fire("agent");
    await using open = peer(lab.visitor, "keep", GATEWAY, 5001);
    await open.event("open");
    const remaining = async (): Promise<number> => (await net().plane.openTriggers())[0]?.remainingSec ?? -1;
    // Longer than the timeout: each time that half of it has gone, a question and its answer bring it back.
    for (let round = 0; round < 3; round++) {
      await eventually("half of it has gone", async () => ((await remaining()) < 2 ? true : undefined));
      const fromLine = open.stdout.length;
      open.signal("SIGUSR1");
      await open.event("pong", { fromLine });
    }
    expect(await openTo()).toEqual([AGENT]);
  });

  test("a port that a forward or the gateway has is no trigger's", async () => {
    const { set } = net();
    await set(
      { triggers: [rule("shared")], insideOnly: { tcp: [], udp: [] }, vpn: { interface: "wg0", listenPort: 5004 } },
      [natForward({ protocol: "udp", first: 5005, to: OTHER })],
    );
    await fire("agent");
    expect(name(await askUdp(5005))).toBe("other 5005");
    expect(name(await askUdp(5001))).toBe("agent 5001");
    // The last: whom this port has answered is a peer of the VPN, and comes to nothing else.
    expect(name(await askUdp(5004))).toBe("gateway 5004");
  });

  test("what is open stays open when other rules change", async () => {
    const { set } = net();
    await set({ triggers: [rule("stays"), rule("goes", { out: { tcp: [], udp: [{ first: 9, last: 9 }] } })] });
    await fire("agent");
    await set({
      triggers: [rule("new", { out: { tcp: [], udp: [{ first: 10, last: 10 }] } }), rule("stays")],
      dropUnforwarded: false,
    });
    expect(await openTo()).toEqual([AGENT]);
    expect(name(await askUdp())).toBe("agent 5001");
  });

  test("who may not come to forwards may not come to triggers", async () => {
    const { lab, set, dropped, udpAttempt } = net();
    await set({ triggers: [rule("guarded")], sources: { allow: [], deny: ["203.0.113.11/32" as never] } });
    await fire("agent");
    expect(await dropped("sourceNotAllowed", () => udpAttempt(lab.visitor, GATEWAY, 5001, "203.0.113.11"))).toEqual([]);
  });
});
