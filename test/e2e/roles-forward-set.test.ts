import { describe, expect, test } from "bun:test";
import { failureOf, type LabAgent, mapping, type RolesLab, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { tcpService, visit } from "../fixtures/services.ts";

const ELSEWHERE = "192.0.2.0/24";

/** What `forward set` does to a forward of the agent's own, and to one that the relay gave it. */
const PLACES: Readonly<
  Record<
    string,
    {
      add(lab: RolesLab, agent: LabAgent, port: number, to: number): Promise<unknown>;
      change(
        lab: RolesLab,
        agent: LabAgent,
        patch: Parameters<LabAgent["running"]["changeForward"]>[1],
      ): Promise<unknown>;
    }
  >
> = {
  "on the device": {
    add: (_lab, agent, port, to) => agent.add(remote("web", [mapping("tcp", port, port, to)]), true),
    change: (_lab, agent, patch) => agent.running.changeForward("web", patch),
  },
  "at the relay": {
    add(lab, _agent, port, to) {
      const spec = remote("web", [mapping("tcp", port, port, to)], { lifetimeSec: null });
      if (spec.kind !== "remote") throw new Error("not remote");
      return lab.relay.addForward({ device: "den", spec: spec.remote, to: "127.0.0.1" });
    },
    change: (lab, _agent, patch) => lab.relay.changeForward("web", null, patch),
  },
};

describe.each(Object.entries(PLACES))("a forward is changed %s", (_where, { add, change }) => {
  test("in one thing: it is for who comes from now on, and whoever is in stays until it is disabled", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("den", { managed: true });
    const [port = 0] = lab.pool;
    await add(lab, agent, port, service.port);
    await until(async () => (await agent.forward("web"))?.state === "open");
    using visitor = await visit(port);
    expect(await visitor.ask("hello")).toBe("web:hello");

    await change(lab, agent, { connections: 1 });
    expect(await visitor.ask("still")).toBe("web:still");
    using second = await visit(port);
    expect(await second.ended).toBe("reset");

    await change(lab, agent, { bandwidth: "10 MB/s" });
    expect(await visitor.ask("still")).toBe("web:still");
    using third = await visit(port);
    expect(await third.ended).toBe("reset");

    await change(lab, agent, { allow: [ELSEWHERE], connections: null });
    expect(await visitor.ask("still")).toBe("web:still");
    using fourth = await visit(port);
    expect(await fourth.ended).toBe("reset");

    await change(lab, agent, { enabled: false });
    expect(await visitor.ended).toBe("reset");
    await change(lab, agent, { enabled: true, allow: [] });
    await until(async () => (await agent.forward("web"))?.state === "open");
    using fifth = await visit(port);
    expect(await fifth.ask("hello")).toBe("web:hello");
  });

  test("in ways that make no sense, or that are not to be had: it stays as it was", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("den", { managed: true });
    const [port = 0] = lab.pool;
    await add(lab, agent, port, service.port);
    await until(async () => (await agent.forward("web"))?.state === "open");
    expect(await failureOf(change(lab, agent, { ports: "9-8" }))).toMatchObject({ kind: "usage" });
    expect(await failureOf(change(lab, agent, { host: ["app.example.org"] }))).toMatchObject({ kind: "usage" });
    expect(await failureOf(change(lab, agent, { ports: `1:${service.port}` }))).toMatchObject({ kind: "refused" });
    using visitor = await visit(port);
    expect(await visitor.ask("hello")).toBe("web:hello");
  });
});

describe("an agent changes", () => {
  test("what it was told to keep, and has it so after a restart", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("den");
    const [port = 0] = lab.pool;
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
    await agent.running.changeForward("web", { enabled: false });
    await agent.stop();
    const again = await lab.agent("den");
    await until(async () => (await again.forward("web"))?.state === "disabled");
    await again.running.changeForward("web", { enabled: true });
    await until(async () => (await again.forward("web"))?.state === "open");
  });

  test("nothing that is the config file's, the relay's or a command's", async () => {
    await using lab = await rolesLab();
    const [one = 0, two = 0] = lab.pool;
    const agent = await lab.agent("den", { managed: true, forwards: [remote("listed", [mapping("tcp", one)])] });
    const spec = remote("given", [mapping("tcp", two)], { lifetimeSec: null });
    if (spec.kind !== "remote") throw new Error("not remote");
    await lab.relay.addForward({ device: "den", spec: spec.remote, to: "127.0.0.1" });
    await until(async () => (await agent.forward("given")) !== undefined);
    const refusals = {
      listed: "is listed in hatchway.toml: change it there",
      given: "was set at the relay: change it there",
      nothing: "There is no forward",
    };
    for (const [name, sentence] of Object.entries(refusals)) {
      expect(await failureOf(agent.running.changeForward(name, { enabled: false }))).toMatchObject({
        kind: "usage",
        message: expect.stringContaining(sentence),
      });
    }
  });
});
