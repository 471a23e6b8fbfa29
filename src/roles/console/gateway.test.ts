import { describe, expect, test } from "bun:test";
import { gatewayLab, wgKey } from "../../../test/fixtures/gateway-lab.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { VpnPeerDraft, VpnPeerPatch } from "../../servers/api/schema.ts";

const PAGE = { limit: 100, cursor: null };

const draft = (name: string, seed: number, more: Partial<VpnPeerDraft> = {}): VpnPeerDraft => ({
  name,
  publicKey: wgKey(seed),
  presharedKey: null,
  mode: "block-all",
  ...more,
});

/** `kind path`: what a refusal says besides its sentence. */
async function refusalOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof ApiFailure) return [error.kind, ...error.errors.map(({ path }) => path)].join(" ");
    throw error;
  }
  return "nothing";
}

async function started() {
  const lab = await gatewayLab();
  const gateway = await lab.start();
  const ann = await lab.person("ann", "admin", "owner");
  const add = async (name: string, seed: number, more: Partial<VpnPeerDraft> = {}) =>
    (await gateway.vpn.addVpnPeer(ann, draft(name, seed, more))).peer;
  return Object.assign(lab, { ...gateway, ann, add });
}

describe("a peer's mode", () => {
  test("only: its ports are led to it, and nothing else; block all and open all take that away", async () => {
    await using lab = await started();
    const phone = await lab.add("phone", 1, { mode: "only", ports: "8840, 8810-8811/udp" });
    expect(phone).toMatchObject({ mode: "only", ports: "8810-8811/udp, 8840", forwarded: true, forwards: 1 });
    const open = ["tcp 8840 -> 10.77.0.2:8840", "udp 8810-8811 -> 10.77.0.2:8810", "udp 8840 -> 10.77.0.2:8840"];
    expect(lab.kernel()).toEqual(open);
    const change = (patch: VpnPeerPatch) => lab.vpn.changeVpnPeer(lab.ann, phone.id, patch);
    expect(await change({ ports: "8841" })).toMatchObject({ mode: "only", ports: "8841", forwarded: true });
    expect(lab.kernel()).toEqual(["tcp 8841 -> 10.77.0.2:8841", "udp 8841 -> 10.77.0.2:8841"]);
    expect(await change({ mode: "block-all" })).toMatchObject({ mode: "block-all", ports: null, forwarded: false });
    expect(lab.kernel()).toEqual([]);
    expect(await change({ mode: "only", ports: "8840/tcp" })).toMatchObject({ forwarded: true });
    expect(lab.kernel()).toEqual(["tcp 8840 -> 10.77.0.2:8840"]);
    expect(await change({ mode: "open-all" })).toMatchObject({ mode: "open-all", forwarded: false, forwards: 0 });
    expect(lab.kernel()).toEqual([]);
  });

  test("only, not forwarded: its programs have to ask", async () => {
    await using lab = await started();
    const phone = await lab.add("phone", 1, { mode: "only", ports: "8840", forwarded: false });
    expect(phone.forwarded).toBe(false);
    expect(lab.kernel()).toEqual([]);
    expect(await lab.vpn.changeVpnPeer(lab.ann, phone.id, { forwarded: true })).toMatchObject({ forwarded: true });
    expect(lab.kernel()).toHaveLength(2);
    expect(await lab.vpn.changeVpnPeer(lab.ann, phone.id, { forwarded: false })).toMatchObject({ mode: "only" });
    expect(lab.kernel()).toEqual([]);
  });

  test("what is changed beside it leaves the ports alone, and the command line's change takes them along", async () => {
    await using lab = await started();
    const phone = await lab.add("phone", 1, { mode: "only", ports: "8840/tcp" });
    await lab.vpn.changeVpnPeer(lab.ann, phone.id, { name: "mobile" });
    expect((await lab.forwards.listForwards(lab.ann, PAGE, ALL)).items).toMatchObject([{ name: "mobile" }]);
    await lab.view.peers.change("mobile", { mode: "only 8850/tcp" });
    expect(lab.kernel()).toEqual(["tcp 8850 -> 10.77.0.2:8850"]);
    await lab.view.peers.change("mobile", { mode: "block-all" });
    expect((await lab.forwards.listForwards(lab.ann, PAGE, ALL)).items).toEqual([]);
  });

  test("its forwards are there again after a restart", async () => {
    await using lab = await started();
    const phone = await lab.add("phone", 1, { mode: "only", ports: "8840/tcp" });
    lab.plane.entries.clear();
    const again = await lab.start();
    expect(lab.kernel()).toEqual(["tcp 8840 -> 10.77.0.2:8840"]);
    expect(await again.vpn.getVpnPeer(lab.ann, phone.id)).toMatchObject({ mode: "only", forwarded: true });
  });

  test.each([
    ["another's", "8840", "conflict ports"],
    ["the machine's own", "22/tcp", "conflict ports"],
    ["for what goes out", "61000", "conflict ports"],
    ["no ports", "88400", "invalid ports"],
  ])("with a port that is %s is refused, and nothing is changed", async (_name, ports, expected) => {
    await using lab = await started();
    const tablet = await lab.add("tablet", 1, { mode: "only", ports: "8840" });
    const phone = await lab.add("phone", 2, { mode: "only", ports: "8850/tcp" });
    const before = lab.kernel();
    expect(await refusalOf(lab.vpn.changeVpnPeer(lab.ann, phone.id, { ports, name: "other" }))).toBe(expected);
    expect(lab.kernel()).toEqual(before);
    expect(await lab.vpn.getVpnPeer(lab.ann, phone.id)).toEqual({ ...phone });
    expect(await refusalOf(lab.add("third", 3, { mode: "only", ports }))).toBe(expected);
    expect((await lab.vpn.listVpnPeers(lab.ann, PAGE)).items.map(({ id }) => id)).toEqual([phone.id, tablet.id]);
  });

  test("that the peer cannot have as well is refused, and its ports are as they were", async () => {
    await using lab = await started();
    await lab.add("tablet", 1);
    const phone = await lab.add("phone", 2, { mode: "only", ports: "8840/tcp" });
    const asked = lab.vpn.changeVpnPeer(lab.ann, phone.id, { name: "TABLET", ports: "8850/tcp" });
    expect(await refusalOf(asked)).toBe("conflict name");
    expect(lab.kernel()).toEqual(["tcp 8840 -> 10.77.0.3:8840"]);
    expect(await lab.vpn.getVpnPeer(lab.ann, phone.id)).toMatchObject({ name: "phone", ports: "8840/tcp" });
  });

  test("that the kernel refuses is refused, and is as it was when the kernel takes things again", async () => {
    await using lab = await started();
    const phone = await lab.add("phone", 1, { mode: "only", ports: "8840/tcp" });
    lab.plane.failure = { kind: "refused", message: "The kernel is full." };
    expect(await refusalOf(lab.vpn.changeVpnPeer(lab.ann, phone.id, { ports: "8850/tcp" }))).toBe("unavailable");
    lab.plane.failure = null;
    const held = (await lab.forwards.listForwards(lab.ann, PAGE, ALL)).items;
    const { ports } = await lab.vpn.getVpnPeer(lab.ann, phone.id);
    expect(held.map((one) => one.ports)).toEqual([ports ?? ""]);
  });

  test.each<[string, VpnPeerPatch, string]>([
    ["only without ports", { mode: "only" }, "invalid ports"],
    ["ports without only", { mode: "open-all", ports: "80" }, "invalid ports"],
    ["ports of a peer that takes none", { ports: "80" }, "invalid ports"],
    ["forwarded without only", { mode: "block-all", forwarded: true }, "invalid forwarded"],
    ["a name that is none", { name: "-" }, "invalid name"],
  ])("%s is refused by its field", async (_name, patch, expected) => {
    await using lab = await started();
    const phone = await lab.add("phone", 1);
    expect(await refusalOf(lab.vpn.changeVpnPeer(lab.ann, phone.id, patch))).toBe(expected);
  });
});

const ALL = { device: null, text: null };

describe("a peer", () => {
  test("is added, changed, given new keys and removed, under the name of who did it", async () => {
    await using lab = await started();
    const phone = await lab.add("phone", 1, { mode: "only", ports: "8840/tcp", lifetimeSec: 60, maxPorts: 3 });
    expect(phone).toMatchObject({ expiresMs: lab.clock.wallMs + 60_000, maxPorts: 3, account: { id: "owner" } });
    await lab.vpn.changeVpnPeer(lab.ann, phone.id, { disabled: true, lifetimeSec: null });
    expect(lab.kernel()).toEqual([]);
    const keys = { publicKey: wgKey(7), presharedKey: wgKey(8) };
    const { peer, server } = await lab.vpn.rotateVpnPeer(lab.ann, phone.id, keys);
    expect([peer.publicKey, peer.state, server.endpointHost]).toEqual([wgKey(7), "disabled", "203.0.113.20"]);
    await lab.vpn.removeVpnPeer(lab.ann, phone.id);
    expect(await refusalOf(lab.vpn.getVpnPeer(lab.ann, phone.id))).toBe("not-found");
    expect((await lab.audit()).filter((line) => /peer|mapping/.test(line))).toEqual([
      `user:ann vpn-peer.removed`,
      `user:ann mapping.removed`,
      `user:ann vpn-peer.rotated`,
      `user:ann vpn-peer.changed`,
      `user:ann mapping.opened`,
      `user:ann vpn-peer.added`,
    ]);
  });

  test.each<[string, Partial<VpnPeerDraft>, string]>([
    ["a name that another has", { name: "Phone" }, "conflict name"],
    ["a key that another has", { publicKey: wgKey(1) }, "conflict publicKey"],
    ["an account that there is not", { account: "nobody" }, "invalid account"],
  ])("with %s is refused by its field", async (_name, more, expected) => {
    await using lab = await started();
    await lab.add("phone", 1);
    expect(await refusalOf(lab.add("tablet", 2, more))).toBe(expected);
  });

  test("needs a VPN first, which is made by its settings", async () => {
    await using lab = await gatewayLab();
    const { vpn } = await lab.start(false);
    const ann = await lab.person("ann", "admin", "owner");
    expect(await vpn.vpn()).toBeNull();
    expect(await refusalOf(vpn.addVpnPeer(ann, draft("phone", 1)))).toBe("conflict");
    const made = await vpn.changeVpn(ann, { endpointHost: "vpn.example", listenPort: 5_182 });
    expect(made).toMatchObject({ endpointHost: "vpn.example", listenPort: 5_182, message: null });
    expect(lab.machine.interfaces.size).toBe(1);
    await vpn.addVpnPeer(ann, draft("phone", 1));
    expect(await refusalOf(vpn.changeVpn(ann, { network4: "10.99.0.0/24" as never }))).toBe("conflict");
    expect((await vpn.vpn())?.network4).toBe("10.77.0.0/24");
    expect(await lab.audit()).toContain("user:ann vpn.set");
  });
});

describe("who is no administrator", () => {
  async function withOthers() {
    const lab = await started();
    const bob = await lab.person("bob", "user");
    const eve = await lab.person("eve", "user");
    const phone = await lab.add("phone", 1, { account: bob.accountId });
    const tablet = await lab.add("tablet", 2);
    return Object.assign(lab, { bob, eve, phone, tablet });
  }

  test("sees and changes their account's peers alone", async () => {
    await using lab = await withOthers();
    const { bob, eve, phone, tablet, vpn } = lab;
    const names = async (who: Principal) => (await vpn.listVpnPeers(who, PAGE)).items.map(({ name }) => name);
    expect([await names(bob), await names(eve), await names(lab.ann)]).toEqual([["phone"], [], ["phone", "tablet"]]);
    expect(await refusalOf(vpn.getVpnPeer(bob, tablet.id))).toBe("not-found");
    expect(await refusalOf(vpn.changeVpnPeer(eve, phone.id, { mode: "open-all" }))).toBe("not-found");
    expect(await refusalOf(vpn.rotateVpnPeer(eve, phone.id, { publicKey: wgKey(9), presharedKey: null }))).toBe(
      "not-found",
    );
    expect(await vpn.changeVpnPeer(bob, phone.id, { mode: "only", ports: "8840/tcp" })).toMatchObject({
      forwarded: true,
      account: { id: bob.accountId, name: "bob" },
    });
    expect(await refusalOf(vpn.changeVpnPeer(bob, phone.id, { maxPorts: null }))).toBe("forbidden maxPorts");
    expect(await refusalOf(vpn.changeVpnPeer(bob, phone.id, { disabled: false }))).toBe("forbidden disabled");
    expect(await vpn.listTriggers(bob)).toEqual([]);
  });

  test.each<[string, VpnPeerPatch, string]>([
    ["its ports", { mode: "only", ports: "8840-8841/tcp" }, "nothing"],
    ["others", { mode: "only", ports: "9000/tcp" }, "forbidden ports"],
    ["others, when a program asks for them", { mode: "only", ports: "9000/tcp", forwarded: false }, "forbidden ports"],
    ["more than it may have", { mode: "only", ports: "8840-8843/tcp" }, "forbidden ports"],
    ["every port", { mode: "open-all" }, "forbidden mode"],
    ["none", { mode: "block-all" }, "nothing"],
  ])("has of what their account may have: %s", async (_name, patch, expected) => {
    await using lab = await withOthers();
    const changed = await lab.store.users.change(
      lab.bob.userId,
      { limits: { ports: "8840-8849", quotaPorts: 3 } },
      3_000,
      "test",
    );
    expect(changed.ok).toBe(true);
    expect(await refusalOf(lab.vpn.changeVpnPeer(lab.bob, lab.phone.id, patch))).toBe(expected);
    expect(await refusalOf(lab.vpn.changeVpnPeer(lab.ann, lab.phone.id, patch))).toBe("nothing");
  });

  test("leaves their peers to administrators when they go", async () => {
    await using lab = await withOthers();
    const { bob, phone, vpn } = lab;
    await vpn.changeVpnPeer(bob, phone.id, { mode: "only", ports: "8840/tcp" });
    expect((await lab.store.users.remove(bob.userId, 4_000, "test")).ok).toBe(true);
    await lab.accountChanged(bob.accountId);
    expect(await vpn.getVpnPeer(lab.ann, phone.id)).toMatchObject({ account: { id: "owner" }, forwarded: true });
    const again = await lab.start();
    expect(await again.vpn.getVpnPeer(lab.ann, phone.id)).toMatchObject({ forwarded: true });
  });
});

describe("triggers", () => {
  test("are added, told with whom they are open to, and removed", async () => {
    await using lab = await started();
    const added = await lab.vpn.addTrigger(lab.ann, { name: "irc", out: "6667", in: "113", timeoutSec: 30 });
    expect(added).toMatchObject({ id: "irc", removable: true, state: "armed", out: "6667/tcp", timeoutSec: 30 });
    lab.plane.triggers = [{ name: "irc", host: "192.168.1.9", remainingSec: 25 }];
    lab.later();
    expect(await lab.vpn.listTriggers(lab.ann)).toMatchObject([
      { state: "open", host: "192.168.1.9", closesMs: lab.clock.wallMs + 25_000 },
    ]);
    const same = { name: "irc", out: "1", in: "2" };
    expect(await refusalOf(lab.vpn.addTrigger(lab.ann, same))).toBe("conflict name");
    await lab.vpn.removeTrigger(lab.ann, "irc");
    expect(await refusalOf(lab.vpn.removeTrigger(lab.ann, "irc"))).toBe("not-found");
    expect((await lab.audit()).slice(0, 2)).toEqual(["user:ann trigger.removed", "user:ann trigger.added"]);
  });

  test.each([
    ["ports that are none", { name: "irc", out: "0", in: "113" }, "invalid out"],
    ["ports that lead to others", { name: "irc", out: "6667", in: "113:80" }, "invalid in"],
    ["a name that is none", { name: "-", out: "6667", in: "113" }, "invalid name"],
  ])("with %s are refused by their field", async (_name, given, expected) => {
    await using lab = await started();
    expect(await refusalOf(lab.vpn.addTrigger(lab.ann, given))).toBe(expected);
  });

  test("of the configuration are removed there", async () => {
    await using lab = await started();
    lab.view.triggers.configure([
      {
        name: "ftp",
        out: { tcp: [{ first: 21, last: 21 }], udp: [] },
        in: { tcp: [{ first: 20, last: 20 }], udp: [] },
        timeoutSec: 60,
        secondHost: "refused",
      },
    ]);
    expect(await lab.vpn.listTriggers(lab.ann)).toMatchObject([{ id: "ftp", removable: false, origin: "config" }]);
    expect(await refusalOf(lab.vpn.removeTrigger(lab.ann, "ftp"))).toBe("conflict");
  });
});
