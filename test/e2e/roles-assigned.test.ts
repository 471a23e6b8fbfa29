import { describe, expect, test } from "bun:test";
import type { ForwardInfo } from "../../src/roles/control.ts";
import type { PortMapping } from "../../src/wire/port-set.ts";
import {
  away,
  failureOf,
  type LabAgent,
  mapping,
  type RolesLab,
  remote,
  rolesLab,
  until,
} from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";

/** Forwards that people at the relay give its devices. */
function request(device: string, id: string, ports: readonly PortMapping[], to = "127.0.0.1", enabled = true) {
  const spec = remote(id, ports, { enabled, lifetimeSec: null });
  if (spec.kind !== "remote") throw new Error("not remote");
  return { device, spec: spec.remote, to };
}

const atRelay = async (lab: RolesLab, id: string): Promise<ForwardInfo | undefined> =>
  (await lab.relay.listForwards()).find((info) => info.id === id);

const stateAtRelay = async (lab: RolesLab, id: string) => (await atRelay(lab, id))?.state;

async function open(lab: RolesLab, id: string): Promise<void> {
  await until(async () => (await stateAtRelay(lab, id)) === "open");
}

describe("a managed agent", () => {
  test("takes up what is assigned to it, and gives it back", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("den", { managed: true });
    const [port = 0] = lab.pool;
    const { forward } = await lab.relay.addForward(
      request("den", "relay/web", [mapping("tcp", port, port, service.port)]),
    );
    expect(forward).toMatchObject({
      device: "den",
      origin: "api",
      endpoints: [{ protocol: "tcp", port, internalHost: "127.0.0.1", internalPort: service.port }],
    });
    await open(lab, "relay/web");
    expect(await ask(port)).toBe("web:hello");
    expect(await agent.forward("relay/web")).toMatchObject({ origin: "api", state: "open" });
    await lab.relay.removeForward("relay/web", null);
    expect(await ask(port)).toBe("ECONNREFUSED");
    await until(async () => (await agent.forward("relay/web")) === undefined);
    expect(await lab.relay.listForwards()).toEqual([]);
  });

  test("leads elsewhere, is disabled and enabled as it is said at the relay", async () => {
    await using lab = await rolesLab();
    using first = tcpService("first");
    using second = tcpService("second");
    await lab.agent("den", { managed: true });
    const [port = 0] = lab.pool;
    const put = (to: number, enabled: boolean) =>
      lab.relay.addForward(request("den", "relay/web", [mapping("tcp", port, port, to)], "127.0.0.1", enabled));
    await put(first.port, true);
    await open(lab, "relay/web");
    expect(await ask(port)).toBe("first:hello");
    await put(second.port, true);
    await until(async () => (await ask(port).catch(() => "")) === "second:hello");
    await put(second.port, false);
    expect(await ask(port)).toBe("ECONNREFUSED");
    expect(await stateAtRelay(lab, "relay/web")).toBe("disabled");
    await put(second.port, true);
    await open(lab, "relay/web");
    expect(await ask(port)).toBe("second:hello");
  });

  test("has them again after it, or the relay, was started again; what was assigned meanwhile too", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("den", { managed: true });
    const [one = 0, two = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/one", [mapping("tcp", one, one, service.port)]));
    await open(lab, "relay/one");
    await lab.restartRelay();
    await open(lab, "relay/one");
    await agent.stop();
    await away(lab, "den");
    await lab.relay.addForward(request("den", "relay/two", [mapping("tcp", two, two, service.port)]));
    expect((await atRelay(lab, "relay/two"))?.state).toBe("away");
    await lab.agent("den", { managed: true });
    await Promise.all([open(lab, "relay/one"), open(lab, "relay/two")]);
    expect([await ask(one), await ask(two)]).toEqual(["web:hello", "web:hello"]);
  });

  test("keeps its visitors when another forward is assigned", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    await lab.agent("den", { managed: true });
    const [one = 0, two = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/one", [mapping("tcp", one, one, service.port)]));
    await open(lab, "relay/one");
    using visitor = await visit(one);
    expect(await visitor.ask("a")).toBe("web:a");
    await lab.relay.addForward(request("den", "relay/two", [mapping("tcp", two, two, service.port)]));
    await open(lab, "relay/two");
    await lab.relay.removeForward("relay/two", null);
    expect(await visitor.ask("b")).toBe("web:b");
  });

  test("takes up more than a message holds", async () => {
    await using lab = await rolesLab({}, 400);
    await lab.agent("den", { managed: true });
    const wide = (at: number) => `relay/${"x".repeat(50)}${at}`;
    const given = lab.pool
      .slice(0, 300)
      .map((port, at) => lab.relay.addForward(request("den", wide(at), [mapping("tcp", port)])));
    await Promise.all(given);
    await lab.restartRelay();
    await until(async () => (await lab.relay.listForwards()).every(({ state }) => state === "open"));
  });
});

describe("an owner who did not allow it", () => {
  test.each<[string, Partial<{ managed: boolean; allow: LabAgent["settings"]["allow"] }>, string, RegExp]>([
    [
      "takes none",
      {},
      "127.0.0.1",
      /^Its device does not allow it: it takes no forwards from its relay; start it with --managed/,
    ],
    [
      "takes none of other machines",
      { managed: true },
      "192.0.2.7",
      /"allow" in its hatchway.toml does not have 192\.0\.2\.7, port/,
    ],
  ])("%s", async (_name, options, to, why) => {
    await using lab = await rolesLab();
    const agent = await lab.agent("den", options);
    const [port = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", port)], to));
    await until(async () => (await stateAtRelay(lab, "relay/web")) === "refused");
    expect((await atRelay(lab, "relay/web"))?.message).toMatch(why);
    expect(await agent.running.listForwards()).toEqual([]);
  });

  test("a reload allows it, and forbids it again", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("den");
    const [port = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", port, port, service.port)]));
    await until(async () => (await stateAtRelay(lab, "relay/web")) === "refused");
    agent.settings = { ...agent.settings, managed: true };
    await agent.running.reload();
    await open(lab, "relay/web");
    expect(await ask(port)).toBe("web:hello");
    agent.settings = { ...agent.settings, managed: false };
    await agent.running.reload();
    await until(async () => (await stateAtRelay(lab, "relay/web")) === "refused");
    expect(await agent.running.listForwards()).toEqual([]);
  });

  test("what `allow` has of other machines is taken up", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("den", { managed: true, allow: [{ host: "192.0.2.7", ports: null }] });
    const [port = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", port)], "192.0.2.7"));
    await open(lab, "relay/web");
    expect(await agent.forward("relay/web")).toMatchObject({ endpoints: [{ internalHost: "192.0.2.7" }] });
  });
});

describe("who has the say", () => {
  test("a port that is taken is refused before anything changes", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("den", { managed: true });
    const [port = 0] = lab.pool;
    await agent.add(remote("mine", [mapping("tcp", port)]));
    expect(await failureOf(lab.relay.addForward(request("den", "relay/web", [mapping("tcp", port)])))).toMatchObject({
      kind: "failed",
      message: expect.stringContaining(`${port}`),
    });
    expect((await lab.relay.listForwards()).map(({ id }) => id)).toEqual(["mine"]);
  });

  test("outside what the device may open it is refused, also while that is away", async () => {
    await using lab = await rolesLab();
    const [first = 0, second = 0] = lab.pool;
    const agent = await lab.agent("den", { managed: true, ports: `${first}` });
    await agent.stop();
    await away(lab, "den");
    const asked = request("den", "relay/web", [mapping("tcp", second)]);
    expect(await failureOf(lab.relay.addForward(asked))).toMatchObject({ kind: "refused" });
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", first)]));
  });

  test("the device can neither remove nor change it; the relay neither removes nor replaces the device's own", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("den", { managed: true });
    const [one = 0, two = 0, three = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", one)]));
    await open(lab, "relay/web");
    expect(await failureOf(agent.running.removeForward("relay/web"))).toMatchObject({ kind: "usage" });
    expect(await failureOf(agent.add(remote("relay/web", [mapping("tcp", two)])))).toMatchObject({ kind: "usage" });
    await agent.add(remote("mine", [mapping("tcp", three)]));
    expect(await failureOf(lab.relay.removeForward("mine", null))).toMatchObject({
      kind: "usage",
      message: '"mine" was made on its device: remove it there.',
    });
    expect(await failureOf(lab.relay.addForward(request("den", "mine", [mapping("tcp", two)])))).toMatchObject({
      kind: "usage",
    });
  });

  test("of two devices with one name for it, the one that is named", async () => {
    await using lab = await rolesLab();
    await lab.agent("den", { managed: true });
    await lab.agent("attic", { managed: true });
    const [one = 0, two = 0] = lab.pool;
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", one)]));
    await lab.relay.addForward(request("attic", "relay/web", [mapping("tcp", two)]));
    expect(await failureOf(lab.relay.removeForward("relay/web", null))).toMatchObject({ kind: "usage" });
    expect(await lab.relay.removeForward("relay/web", "attic")).toMatchObject({ device: "attic" });
    expect((await lab.relay.listForwards()).map(({ device }) => device)).toEqual(["den"]);
  });

  test("a device that is revoked has none any more", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("den", { managed: true });
    await lab.relay.addForward(request("den", "relay/web", [mapping("tcp", lab.pool[0] ?? 0)]));
    await lab.relay.revokeDevice("den");
    expect(await lab.relay.listForwards()).toEqual([]);
    await agent.stop();
    await lab.restartRelay();
    expect(await lab.relay.listForwards()).toEqual([]);
  });

  test("nobody gets one who does not exist", async () => {
    await using lab = await rolesLab();
    expect(await failureOf(lab.relay.addForward(request("nobody", "relay/web", [mapping("tcp", 1)])))).toMatchObject({
      kind: "usage",
    });
  });
});
