import { describe, expect, test } from "bun:test";
import { DEFAULT_OPTIONS, type ForwardOptions } from "../../src/core/forward.ts";
import { parseCidr } from "../../src/wire/address.ts";
import { away, failureOf, mapping, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";

const CHECK = { ...DEFAULT_OPTIONS, healthCheck: { intervalSec: 0.01, timeoutSec: 1, failures: 1 } };

describe("devices of one group", () => {
  test("share a port in turn, and the rest go on when one leaves", async () => {
    await using lab = await rolesLab();
    using one = tcpService("one");
    using two = tcpService("two");
    const port = lab.pool[0]!;
    const first = await lab.agent("web1");
    const second = await lab.agent("web2");
    await first.add(remote("web", [mapping("tcp", port, port, one.port)], { group: "web" }), true);
    await second.add(remote("www", [mapping("tcp", port, port, two.port)], { group: "web" }), true);
    using a = await visit(port);
    using b = await visit(port);
    const answers = [await a.ask("x"), await b.ask("x")].sort();
    expect(answers).toEqual(["one:x", "two:x"]);
    const ofTwo = answers[0] === (await a.ask("x")) ? b : a;

    await first.running.removeForward("web");
    await until(async () => (await lab.relay.listForwards()).length === 1);
    expect([await ask(port), await ask(port)]).toEqual(["two:hello", "two:hello"]);
    // Its neighbour's visitors stayed.
    expect(await ofTwo.ask("still")).toMatch(/^(one|two):still$/);

    await first.add(remote("web", [mapping("tcp", port, port, one.port)], { group: "web" }), true);
    await second.stop();
    await away(lab, "web2");
    expect([await ask(port), await ask(port)]).toEqual(["one:hello", "one:hello"]);
  });

  test("the one whose service stops gets no more visitors until it is back", async () => {
    await using lab = await rolesLab();
    using one = tcpService("one");
    const stopping = tcpService("two");
    const port = lab.pool[0]!;
    const first = await lab.agent("web1");
    const second = await lab.agent("web2");
    await first.add(remote("web", [mapping("tcp", port, port, one.port)], { group: "web", options: CHECK }));
    await second.add(remote("web", [mapping("tcp", port, port, stopping.port)], { group: "web", options: CHECK }));
    const stateOf = async (device: string) =>
      (await lab.relay.listForwards()).find((forward) => forward.device === device)?.state;
    const { port: service } = stopping;
    stopping[Symbol.dispose]();
    await until(async () => (await stateOf("web2")) === "unhealthy");
    expect((await second.forward("web"))?.state).toBe("unhealthy");
    for (let n = 0; n < 4; n++) expect(await ask(port)).toBe("one:hello");
    using _again = tcpService("two", service);
    await until(async () => (await stateOf("web2")) === "open");
    expect([await ask(port), await ask(port)].sort()).toEqual(["one:hello", "two:hello"]);
  }, 20_000);

  test("have the same rules for visitors: who disagrees is refused and serves no more until it agrees", async () => {
    await using lab = await rolesLab();
    using one = tcpService("one");
    using two = tcpService("two");
    const port = lab.pool[0]!;
    const spec = (service: number, options: Partial<ForwardOptions> = {}) =>
      remote("web", [mapping("tcp", port, port, service)], {
        group: "web",
        options: { ...DEFAULT_OPTIONS, ...options },
      });
    const limited = { limits: { connections: 1 } };
    const first = await lab.agent("web1", { forwards: [spec(one.port)] });
    await until(async () => (await first.forward("web"))?.state === "open");
    const second = await lab.agent("web2");
    expect(await failureOf(second.add(spec(two.port, limited)))).toMatchObject({
      kind: "failed",
      message: `Device "web1" has another "connections" for the group "web": give the same to all of its devices, and this one joins them.`,
    });
    // What only its own service is told may differ.
    await second.add(spec(two.port, { healthCheck: CHECK.healthCheck }));
    expect([await ask(port), await ask(port)].sort()).toEqual(["one:hello", "two:hello"]);

    // From a config the change comes device by device: the first steps aside, then the second is the first to have it.
    first.settings = { ...first.settings, forwards: [spec(one.port, limited)] };
    expect((await first.running.reload()).refused).toHaveLength(1);
    expect((await first.forward("web"))?.state).toBe("refused");
    expect([await ask(port), await ask(port)]).toEqual(["two:hello", "two:hello"]);
    await second.add(spec(two.port, limited));
    using staying = await visit(port);
    expect(await staying.ask("x")).toBe("two:x");
    expect(await ask(port)).toBe("cut");
    await first.running.reload();
    expect((await first.forward("web"))?.state).toBe("open");
    expect(await staying.ask("y")).toBe("two:y");
  });

  test("go by the one that serves when the others are away", async () => {
    await using lab = await rolesLab();
    using one = tcpService("one");
    const port = lab.pool[0]!;
    const here = parseCidr("127.0.0.1");
    const spec = (closed: boolean) =>
      remote("web", [mapping("tcp", port, port, one.port)], {
        group: "web",
        options: { ...DEFAULT_OPTIONS, source: { allow: [], deny: closed && here.ok ? [here.value] : [] } },
      });
    const first = await lab.agent("web1");
    const second = await lab.agent("web2");
    await first.add(spec(true), true);
    await second.add(spec(true), true);
    await first.stop();
    await away(lab, "web1");
    await second.add(spec(false), true);
    expect(await ask(port)).toBe("one:hello");
    await second.stop();
    await away(lab, "web2");
    const again = await lab.agent("web1");
    await until(async () => (await again.forward("web"))?.state === "open");
    expect(await ask(port)).toBe("cut");
  });

  test("write the same ports in another order", async () => {
    await using lab = await rolesLab();
    using one = tcpService("one");
    const [a, b] = [lab.pool[0]!, lab.pool[1]!];
    const first = await lab.agent("web1");
    const second = await lab.agent("web2");
    await first.add(remote("web", [mapping("tcp", a, a, one.port), mapping("tcp", b, b, one.port)], { group: "web" }));
    await second.add(remote("web", [mapping("tcp", b, b, one.port), mapping("tcp", a, a, one.port)], { group: "web" }));
    expect([await ask(a), await ask(b)]).toEqual(["one:hello", "one:hello"]);
  });
});

test("a disabled forward holds its port and accepts nothing, and opens when it is enabled", async () => {
  await using lab = await rolesLab();
  using service = tcpService("web");
  const port = lab.pool[0]!;
  const agent = await lab.agent("web1");
  const other = await lab.agent("web2");
  const spec = (enabled: boolean) => remote("web", [mapping("tcp", port, port, service.port)], { enabled });
  expect((await agent.add(spec(false))).state).toBe("disabled");
  expect(await ask(port)).toBe("ECONNREFUSED");
  expect(await failureOf(other.add(remote("web", [mapping("tcp", port)])))).toMatchObject({
    message: expect.stringContaining('held by device "web1"'),
  });
  expect((await agent.add(spec(true))).state).toBe("open");
  using staying = await visit(port);
  expect(await staying.ask("x")).toBe("web:x");
  expect((await agent.add(spec(false))).state).toBe("disabled");
  expect(await staying.ended).toBe("reset");
  expect(await ask(port)).toBe("ECONNREFUSED");
  expect((await lab.relay.listForwards())[0]).toMatchObject({
    state: "disabled",
    message: "Its owner has disabled it.",
  });
});
