import { describe, expect, test } from "bun:test";
import { EXTERNAL, gatewayLab, wgKey } from "../../../test/fixtures/gateway-lab.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import { flowKey } from "../../dataplanes/nat/conntrack.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardDraft, ForwardPatch, LiveEvent } from "../../servers/api/schema.ts";
import { specOf } from "../gateway/fixed.ts";

const PAGE = { limit: 100, cursor: null };
const ALL = { device: null, text: null };
const HOST = "192.168.1.9";

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
  const { view } = gateway;
  const ann = await lab.person("ann", "admin", "owner");
  const bob = await lab.person("bob", "user");
  const addPeer = async (name: string, seed: number, account: string) => {
    const draft = { name, publicKey: wgKey(seed), presharedKey: null, mode: "open-all", account } as const;
    return (await gateway.vpn.addVpnPeer(ann, draft)).peer;
  };
  const phone = await addPeer("phone", 1, bob.accountId);
  const tablet = await addPeer("tablet", 2, "owner");
  const put = async (spec: MappingSpec) => {
    const outcome = view.book.put(spec, lab.clock.nowMs);
    if (!outcome.ok) throw new Error(outcome.error.message);
    await view.mappings.carryOut(outcome.value);
  };
  /** As `[[mapping]]` of hatchway.toml does, or an app that asks. */
  const opened = async (name: string, port: number, more: Partial<MappingSpec>) => {
    const ports = [{ protocol: "tcp", first: port, last: port, internalFirst: port } as const];
    const draft = { id: name, name, ports, lifetimeSec: null, allow: [], deny: [], limits: {}, enabled: true };
    await put({ ...specOf(draft, HOST, "config"), ...more });
  };
  const add = async (device: string, ports: string, more: Partial<ForwardDraft> = {}) =>
    (await gateway.forwards.addForward(ann, { device, ports, ...more }, false)).value;
  return Object.assign(lab, { ...gateway, ann, bob, phone, tablet, opened, add });
}

describe("a forward", () => {
  test("is opened, changed, disabled and removed, under the name of who did it", async () => {
    await using lab = await started();
    const made = await lab.forwards.addForward(
      lab.ann,
      {
        device: HOST,
        ports: "8000:80, 8810-8811",
        name: "web",
        allow: ["198.51.100.0/24"],
        connectionsPerSource: 4,
      },
      false,
    );
    expect(made.value).toMatchObject({
      name: "web",
      device: { id: HOST, name: HOST },
      origin: "api",
      way: "kernel",
      editable: true,
      removable: true,
      state: "open",
      to: HOST,
      allow: ["198.51.100.0/24"],
      limits: { connectionsPerSource: 4, bandwidthBytesPerSec: null },
      leaseEndsMs: null,
    });
    expect(made.value.endpoints).toContainEqual({
      protocol: "tcp",
      host: EXTERNAL,
      port: 8000,
      lastPort: 8000,
      internalHost: HOST,
      internalPort: 80,
    });
    expect(lab.kernel()).toEqual([`tcp 8000 -> ${HOST}:80`, `tcp 8810-8811 -> ${HOST}:8810`]);
    const { id } = made.value;
    const changed = await lab.forwards.changeForward(lab.ann, id, { ports: "8001:80", allow: [] }, made.version);
    expect(changed.value).toMatchObject({ id, name: "web", allow: [], limits: { connectionsPerSource: 4 } });
    expect(lab.kernel()).toEqual([`tcp 8001 -> ${HOST}:80`]);
    expect(await refusalOf(lab.forwards.removeForward(lab.ann, id, made.version))).toBe("changed");
    const disabled = await lab.forwards.changeForward(
      lab.ann,
      id,
      { enabled: false, connectionsPerSource: null },
      null,
    );
    expect(disabled.value).toMatchObject({ state: "disabled", limits: { connectionsPerSource: null } });
    expect(lab.kernel()).toEqual([]);
    await lab.forwards.removeForward(lab.ann, id, disabled.version);
    expect(await refusalOf(lab.forwards.getForward(lab.ann, id))).toBe("not-found");
    expect((await lab.audit()).slice(0, 4)).toEqual([
      "user:ann mapping.removed",
      "user:ann mapping.opened",
      "user:ann mapping.opened",
      "user:ann mapping.opened",
    ]);
  });

  test("leads to a peer by its name, its id and its device's; it is there after a restart", async () => {
    await using lab = await started();
    await lab.add("phone", "8840");
    await lab.add(lab.phone.id, "8841");
    await lab.add(`vpn-${lab.phone.id}`, "8842");
    expect(lab.kernel()).toEqual([8840, 8841, 8842].map((port) => `tcp ${port} -> 10.77.0.2:${port}`));
    lab.plane.entries.clear();
    const again = await lab.start();
    expect(lab.kernel()).toHaveLength(3);
    const { items } = await again.forwards.listForwards(lab.ann, PAGE, { device: "phone", text: null });
    expect(items).toMatchObject([{ device: { id: `vpn-${lab.phone.id}`, name: "phone" } }, {}, {}]);
  });

  test.each<[string, Partial<ForwardDraft>, string]>([
    ["a port that another has", { ports: "8840" }, "conflict ports"],
    ["a port of the machine's own", { ports: "22" }, "conflict ports"],
    ["a port for what goes out", { ports: "61000" }, "conflict ports"],
    ["a name that the device has", { name: "web", ports: "9000" }, "conflict name"],
    ["a device that there is not", { device: "fridge" }, "invalid device"],
    ["a device elsewhere", { device: "198.51.100.7" }, "invalid device"],
    ["ports that are none", { ports: "8815-8810" }, "invalid ports"],
    ["a network that is none", { allow: ["300.0.0.0/8"] }, "invalid allow"],
    ["what only a relay does", { proxyProtocol: "v2", bandwidth: "1 MB/s" }, "invalid bandwidth proxyProtocol"],
    ["connections of all together", { connections: 5 }, "invalid connections"],
    ["a health check", { healthCheck: true }, "invalid healthCheck"],
    ["another host than the device", { to: "192.168.1.10" }, "invalid to"],
  ])("with %s is refused by its field, and by the preview", async (_name, more, expected) => {
    await using lab = await started();
    await lab.add(HOST, "8840", { name: "web" });
    const before = lab.kernel();
    const draft = { device: HOST, ports: "9000", ...more };
    expect(await refusalOf(lab.forwards.addForward(lab.ann, draft, false))).toBe(expected);
    const { problems } = await lab.forwards.previewForward(lab.ann, draft, null);
    expect(problems.map(({ path }) => path)).toEqual(expected.split(" ").slice(1));
    expect(lab.kernel()).toEqual(before);
  });

  test("is previewed as it would be, opening nothing", async () => {
    await using lab = await started();
    const draft = { device: HOST, ports: "8810-8815", healthCheck: false, to: HOST };
    expect(await lab.forwards.previewForward(lab.ann, draft, null)).toMatchObject({ problems: [] });
    expect(lab.kernel()).toEqual([]);
    const { id } = await lab.add(HOST, "8810-8815", { name: "game" });
    expect(await lab.forwards.previewForward(lab.ann, { ...draft, ports: "8812" }, id)).toMatchObject({ problems: [] });
    expect((await lab.forwards.previewForward(lab.ann, { ...draft, ports: "8812" }, null)).problems).toHaveLength(1);
  });

  test.each<[string, ForwardPatch, string]>([
    ["a port that another has", { ports: "8850" }, "conflict ports"],
    ["what only a relay does", { bandwidth: "1 MB/s" }, "invalid bandwidth"],
    ["a site", { host: ["app.example.org"] }, "invalid host"],
    ["nothing of a relay's", { bandwidth: null, proxyProtocol: null, healthCheck: false, to: null }, "nothing"],
    ["another protocol", { ports: "8840", protocol: "udp" }, "nothing"],
  ])("that is changed to %s", async (_name, patch, expected) => {
    await using lab = await started();
    const { id } = await lab.add(HOST, "8840");
    await lab.add(HOST, "8850");
    expect(await refusalOf(lab.forwards.changeForward(lab.ann, id, patch, null))).toBe(expected);
    const port = patch.protocol === "udp" ? `udp 8840 -> ${HOST}:8840` : `tcp 8840 -> ${HOST}:8840`;
    expect(lab.kernel()).toContain(port);
  });
});

describe("what others made", () => {
  test("of hatchway.toml is shown, and changed there", async () => {
    await using lab = await started();
    await lab.opened("fixed", 8840, { origin: "config" });
    const [shown] = (await lab.forwards.listForwards(lab.ann, PAGE, ALL)).items;
    expect(shown).toMatchObject({ origin: "config", editable: false, removable: false });
    expect(await refusalOf(lab.forwards.removeForward(lab.ann, shown?.id ?? "", null))).toBe("forbidden");
    expect(await refusalOf(lab.forwards.changeForward(lab.ann, shown?.id ?? "", { enabled: false }, null))).toBe(
      "forbidden",
    );
    expect(await refusalOf(lab.forwards.removeDevice(lab.ann, HOST))).toBe("forbidden");
  });

  test("that an app asked for has its end, and can be removed", async () => {
    await using lab = await started();
    await lab.opened("app", 8840, { origin: "igd", requester: HOST, lifetimeSec: 60 });
    const [shown] = (await lab.forwards.listForwards(lab.ann, PAGE, ALL)).items;
    expect(shown).toMatchObject({
      origin: "igd",
      editable: false,
      removable: true,
      leaseEndsMs: lab.clock.wallMs + 60_000,
    });
    expect(await refusalOf(lab.forwards.changeForward(lab.ann, shown?.id ?? "", {}, null))).toBe("forbidden");
    await lab.forwards.removeForward(lab.ann, shown?.id ?? "", null);
    expect(lab.kernel()).toEqual([]);
  });

  test("of a peer's mode is changed at the peer, and can be taken away", async () => {
    await using lab = await started();
    await lab.vpn.changeVpnPeer(lab.ann, lab.phone.id, { mode: "only", ports: "8840/tcp" });
    const [shown] = (await lab.forwards.listForwards(lab.ann, PAGE, ALL)).items;
    expect(shown).toMatchObject({ name: "phone", editable: false, removable: true });
    expect(await refusalOf(lab.forwards.changeForward(lab.ann, shown?.id ?? "", {}, null))).toBe("forbidden");
    expect(await refusalOf(lab.forwards.addForward(lab.ann, { device: "phone", ports: "9000" }, false))).toBe(
      "forbidden ports",
    );
    await lab.forwards.removeForward(lab.ann, shown?.id ?? "", null);
    expect(await lab.vpn.getVpnPeer(lab.ann, lab.phone.id)).toMatchObject({ mode: "only", forwarded: false });
  });
});

test("what is carried is counted, and written down from the first look on", async () => {
  await using lab = await started();
  const { id } = await lab.add(HOST, "8840", { name: "web" });
  const key = [...lab.plane.entries.keys()][0] ?? "";
  const usage = { visitorsTotal: 3, bytesIn: 100, bytesOut: 200, packetsIn: 4, packetsOut: 5 };
  lab.plane.usages.set(key, usage);
  lab.setFlows(new Map([[flowKey("tcp", 8840, HOST), 2]]));
  lab.later();
  expect((await lab.forwards.getForward(lab.ann, id)).value.counters).toMatchObject({
    visitorsTotal: 3,
    visitorsOpen: 2,
    bytesIn: 100,
    bytesOut: 200,
  });
  await lab.record();
  lab.plane.usages.set(key, { ...usage, visitorsTotal: 4, bytesIn: 150 });
  lab.later();
  await lab.record();
  const query = { span: "hour", sinceMs: 0, forward: null, device: null } as const;
  expect(await lab.forwards.traffic(lab.ann, query)).toMatchObject({
    slots: [{ visitors: 1, bytesIn: 50, bytesOut: 0 }],
    forwards: [{ id, name: "web" }],
  });
  expect((await lab.forwards.traffic(lab.bob, query)).slots).toEqual([]);
});

describe("who is no administrator", () => {
  test("has to do with what leads to their account's peers alone", async () => {
    await using lab = await started();
    const { forwards, bob, ann } = lab;
    const own = await forwards.addForward(bob, { device: "phone", ports: "8840" }, false);
    const others = [await lab.add("tablet", "8850"), await lab.add(HOST, "8860")];
    expect((await forwards.listForwards(bob, PAGE, ALL)).items.map(({ id }) => id)).toEqual([own.value.id]);
    expect((await forwards.listForwards(ann, PAGE, ALL)).items).toHaveLength(3);
    expect((await forwards.listDevices(bob, PAGE)).items.map(({ name }) => name)).toEqual(["phone"]);
    expect((await forwards.listDevices(ann, PAGE)).items.map(({ name }) => name)).toEqual([HOST, "phone", "tablet"]);
    for (const { id } of others) {
      expect(await refusalOf(forwards.getForward(bob, id))).toBe("not-found");
      expect(await refusalOf(forwards.changeForward(bob, id, { enabled: false }, null))).toBe("not-found");
      expect(await refusalOf(forwards.removeForward(bob, id, null))).toBe("not-found");
      expect(await refusalOf(forwards.checkForward(bob, id))).toBe("not-found");
    }
    for (const device of ["tablet", HOST]) {
      expect(await refusalOf(forwards.addForward(bob, { device, ports: "9000" }, false))).toBe("not-found");
      expect(await refusalOf(forwards.previewForward(bob, { device, ports: "9000" }, null))).toBe("nothing");
      expect(await refusalOf(forwards.getDevice(bob, device))).toBe("not-found");
    }
    expect(await refusalOf(forwards.removeDevice(bob, "phone"))).toBe("forbidden");
    const seen = await forwards.overview(bob);
    expect([seen.gateway, seen.forwards, seen.memoryBytes]).toEqual([null, { open: 1, all: 1 }, null]);
    expect(await forwards.overview(ann)).toMatchObject({
      roles: ["gateway"],
      publicHost: EXTERNAL,
      ports: "1-59999, 65000-65535",
      gateway: { wan: ["wan"], externalAddress: EXTERNAL },
      forwards: { open: 3, all: 3 },
    });
  });

  test("opens no more than their account may have", async () => {
    await using lab = await started();
    const limits = { ports: "8840-8849", quotaForwards: 2 };
    await lab.store.users.change(lab.bob.userId, { limits }, 3_000, "test");
    const add = (ports: string) => lab.forwards.addForward(lab.bob, { device: "phone", ports }, false);
    expect(await refusalOf(add("9000"))).toBe("forbidden ports");
    const { value } = await add("8840");
    await add("8841");
    expect(await refusalOf(add("8842"))).toBe("forbidden ports");
    expect(await refusalOf(lab.forwards.changeForward(lab.bob, value.id, { ports: "8842" }, null))).toBe("nothing");
  });
});

describe("events", () => {
  test("tell of peers and triggers as of forwards, and not again what stays", async () => {
    await using lab = await started();
    const abort = new AbortController();
    const events = lab.forwards.events(lab.ann, abort.signal)[Symbol.asyncIterator]();
    const next = async (wanted: LiveEvent["event"]): Promise<LiveEvent> => {
      for (;;) {
        const { value, done } = await events.next();
        if (done === true) throw new Error(`no ${wanted} came`);
        if (value.event === wanted) return value;
      }
    };
    // What is there already is in the lists.
    await next("traffic");
    await lab.vpn.changeVpnPeer(lab.ann, lab.phone.id, { mode: "block-all" });
    expect(await next("vpn-peer")).toMatchObject({ peer: { id: lab.phone.id, mode: "block-all" } });
    await lab.vpn.addTrigger(lab.ann, { name: "irc", out: "6667", in: "113" });
    expect(await next("trigger")).toMatchObject({ trigger: { id: "irc", state: "armed" } });
    lab.plane.triggers = [{ name: "irc", host: HOST, remainingSec: 25 }];
    lab.later();
    expect(await next("trigger")).toMatchObject({ trigger: { state: "open", host: HOST } });
    await lab.vpn.removeTrigger(lab.ann, "irc");
    expect(await next("trigger-gone")).toEqual({ event: "trigger-gone", id: "irc" });
    await lab.vpn.removeVpnPeer(lab.ann, lab.phone.id);
    expect(await next("vpn-peer-gone")).toEqual({ event: "vpn-peer-gone", id: lab.phone.id });
    abort.abort();
  }, 20_000);
});

test("agents do not join a gateway", async () => {
  await using lab = await started();
  expect(await refusalOf(lab.forwards.makeJoinCode(lab.ann, { name: "den", lifetimeSec: 60 }))).toBe("invalid");
});
