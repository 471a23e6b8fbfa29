import { describe, expect, test } from "bun:test";
import { EXTERNAL, gatewayLab, wgKey } from "../../../test/fixtures/gateway-lab.ts";
import type { NatVisit } from "../../dataplanes/nat/visits.ts";
import { ApiFailure, type Page } from "../../servers/api/backend.ts";
import { FakeBackend } from "../../servers/api/fake-backend.ts";
import type { Visit } from "../../servers/api/schema.ts";
import { bothBackends } from "./both.ts";

const PAGE = { limit: 100, cursor: null };
const HOST = "192.168.1.9";

function visit(entryId: string, id: number, more: Partial<NatVisit> = {}): NatVisit {
  return {
    entryId,
    protocol: "tcp",
    visitor: { address: "198.51.100.7", port: 40_000 + id },
    entry: { address: EXTERNAL, port: 8840 },
    id,
    openedMs: 1_700_000_000_000 + id * 1_000,
    bytesIn: 170,
    bytesOut: 112,
    ...more,
  };
}

/** Bob's phone has 8840, ann's tablet 8850 and every port of IPv6, a host of the LAN 8860: a visitor each. */
async function started() {
  const lab = await gatewayLab();
  const gateway = await lab.start();
  const ann = await lab.person("ann", "admin", "owner");
  const bob = await lab.person("bob", "user");
  const peers = [];
  for (const [name, seed, account] of [
    ["phone", 1, bob.accountId],
    ["tablet", 2, "owner"],
  ] as const) {
    const draft = { name, publicKey: wgKey(seed), presharedKey: null, mode: "open-all", account } as const;
    peers.push((await gateway.vpn.addVpnPeer(ann, draft)).peer);
  }
  for (const [device, ports] of [
    ["phone", "8840"],
    ["tablet", "8850"],
    [HOST, "8860"],
  ] as const) {
    await gateway.forwards.addForward(ann, { device, ports, name: `to ${device}` }, false);
  }
  const entryAt = (port: number) => {
    const found = [...lab.plane.entries.values()].find(({ kind, first }) => kind === "forward" && first === port);
    if (found === undefined) throw new Error(`nothing has ${port}`);
    return found.id;
  };
  const all = `vpn-${peers[1]?.id}/open-all#tcp`;
  lab.setVisits([
    visit(entryAt(8840), 1),
    visit(entryAt(8850), 2),
    visit(entryAt(8860), 3, { openedMs: null, bytesIn: null, bytesOut: null }),
    visit(all, 4, { entry: { address: "2001:db8::9", port: 22 } }),
    visit("gone/x#0", 5),
  ]);
  return Object.assign(lab, { ...gateway, ann, bob });
}

const shown = ({ items }: Page<Visit>) => items.map(({ forwardName, device }) => `${forwardName} @ ${device}`);

async function refusalOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof ApiFailure) return error.kind;
    throw error;
  }
  return "nothing";
}

test("visits are listed newest first, as a relay's are", async () => {
  await using lab = await started();
  const page = await lab.forwards.listVisits(lab.ann, PAGE);
  expect(shown(page)).toEqual(["all ports @ tablet", "to tablet @ tablet", "to phone @ phone", `to ${HOST} @ ${HOST}`]);
  const [forward] = (await lab.forwards.listForwards(lab.ann, PAGE, { device: "tablet", text: null })).items;
  expect(page.items[1]).toEqual({
    id: `${forward?.id}/2-40002`,
    forwardId: forward?.id ?? "",
    forwardName: "to tablet",
    device: "tablet",
    protocol: "tcp",
    visitor: "198.51.100.7:40002",
    entry: `${EXTERNAL}:8840`,
    openedMs: 1_700_000_002_000,
    bytesIn: 170,
    bytesOut: 112,
  });
  expect(page.items[3]).toMatchObject({ openedMs: null, bytesIn: null, bytesOut: null });
});

test("pages go on where the one before ended", async () => {
  await using lab = await started();
  const first = await lab.forwards.listVisits(lab.ann, { limit: 3, cursor: null });
  const second = await lab.forwards.listVisits(lab.ann, { limit: 3, cursor: first.next });
  expect([first.items.length, shown(second), second.next]).toEqual([3, [`to ${HOST} @ ${HOST}`], null]);
});

test("the kernel is asked once for all who look within a second", async () => {
  await using lab = await started();
  const look = () => Promise.all([lab.ann, lab.bob, lab.ann].map((who) => lab.forwards.listVisits(who, PAGE)));
  await look();
  await look();
  expect(lab.looks.visits).toBe(1);
  lab.later();
  await look();
  expect(lab.looks.visits).toBe(2);
});

describe("ending one", () => {
  test("ends it, and who looks next sees it gone", async () => {
    await using lab = await started();
    const [, found] = (await lab.forwards.listVisits(lab.ann, PAGE)).items;
    await lab.forwards.endVisit(lab.ann, found?.id ?? "");
    expect(shown(await lab.forwards.listVisits(lab.ann, PAGE))).not.toContain("to tablet @ tablet");
    expect(await refusalOf(lab.forwards.endVisit(lab.ann, found?.id ?? ""))).toBe("not-found");
  });

  test("that the kernel does not do is unavailable", async () => {
    await using lab = await started();
    const [found] = (await lab.forwards.listVisits(lab.ann, PAGE)).items;
    const { kernel } = lab.view;
    kernel.endVisit = () => Promise.reject(new Error("conntrack says no"));
    expect(await refusalOf(lab.forwards.endVisit(lab.ann, found?.id ?? ""))).toBe("unavailable");
  });
});

test("who is no administrator sees and ends those to their account's peers alone", async () => {
  await using lab = await started();
  const { forwards, ann, bob } = lab;
  expect(shown(await forwards.listVisits(bob, PAGE))).toEqual(["to phone @ phone"]);
  const every = (await forwards.listVisits(ann, PAGE)).items;
  for (const { id, forwardName } of every) {
    expect(await refusalOf(forwards.endVisit(bob, id))).toBe(forwardName === "to phone" ? "nothing" : "not-found");
  }
  expect((await forwards.listVisits(ann, PAGE)).items.length).toBe(every.length - 1);
});

test("in the commands of its own machine, the oldest come first", async () => {
  await using lab = await started();
  const { gatewayControl } = await import("../gateway/control.ts");
  const control = gatewayControl(lab.view);
  const names = (await control.visits()).map(({ forwardName }) => forwardName);
  expect(names).toEqual([`to ${HOST}`, "to phone", "to tablet", "all ports"]);
  const ids = new Set((await control.listForwards()).map(({ id }) => id));
  expect((await control.visits()).filter(({ forwardId }) => ids.has(forwardId)).length).toBe(3);
});

test("behind a relay's, where one process is both; an id says whose it is", async () => {
  await using lab = await started();
  const { forwards: relay } = new FakeBackend();
  const who = { ...lab.ann, accountId: "a-1" };
  const both = bothBackends({ relay, beside: lab, wallMs: () => 0, signal: new AbortController().signal });
  const relays = (await relay.listVisits(who, PAGE)).items;
  expect(relays.length).toBeGreaterThan(0);
  const every = (await both.listVisits(who, PAGE)).items;
  expect(every.map(({ id }) => id)).toEqual([
    ...relays.map(({ id }) => id),
    ...(await lab.forwards.listVisits(who, PAGE)).items.map(({ id }) => id),
  ]);
  await both.endVisit(who, every.at(-1)?.id ?? "");
  await both.endVisit(who, relays[0]?.id ?? "");
  expect((await both.listVisits(who, PAGE)).items.length).toBe(every.length - 2);
});
