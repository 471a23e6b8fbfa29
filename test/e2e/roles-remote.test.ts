import { describe, expect, test } from "bun:test";
import { DEFAULT_OPTIONS } from "../../src/core/forward.ts";
import { NO_LIMITS } from "../../src/store/accounts.ts";
import { parseCidr } from "../../src/wire/address.ts";
import { breakableLink } from "../fixtures/breakable-link.ts";
import {
  anyPort,
  attach,
  away,
  failureOf,
  mapping,
  remote,
  rolesLab,
  tcpAndUdp,
  until,
} from "../fixtures/roles-lab.ts";
import { ask, askUdp, tcpService, udpService, visit } from "../fixtures/services.ts";

const portOf = (info: { endpoints: readonly { port: number }[] } | undefined) => info?.endpoints[0]?.port ?? 0;

describe("a remote forward", () => {
  test("carries TCP to the agent's service and back", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("web1");
    const info = await agent.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service.port)]));
    expect(info).toMatchObject({
      state: "open",
      message: null,
      endpoints: [{ protocol: "tcp", host: "127.0.0.1", port: lab.pool[0], internalPort: service.port }],
    });
    expect(await ask(lab.pool[0]!)).toBe("web:hello");
  });

  test("carries UDP to the agent's service and back", async () => {
    await using lab = await rolesLab();
    using service = await udpService("dns");
    const agent = await lab.agent("web1");
    await agent.add(remote("dns", [mapping("udp", lab.pool[0]!, lab.pool[0]!, service.port)]));
    expect(await askUdp(lab.pool[0]!)).toBe("dns:hello");
  });

  test("with a range leads each port to its own", async () => {
    await using lab = await rolesLab();
    using first = tcpService("first");
    const agent = await lab.agent("web1");
    await agent.add(remote("range", [mapping("tcp", lab.pool[0]!, lab.pool[2]!, first.port - 1)]));
    expect(await ask(lab.pool[1]!)).toBe("first:hello");
  });

  test("asking for any port gets the lowest free one, and the next the next", async () => {
    await using lab = await rolesLab();
    using service = tcpService("any");
    const agent = await lab.agent("web1");
    expect(portOf(await agent.add(remote("a", anyPort(service.port))))).toBe(lab.pool[0]!);
    expect(portOf(await agent.add(remote("b", anyPort(service.port))))).toBe(lab.pool[1]!);
    expect(await ask(lab.pool[1]!)).toBe("any:hello");
  });

  test("asking for any port keeps it when the agent starts again", async () => {
    await using lab = await rolesLab();
    using service = tcpService("any");
    const agent = await lab.agent("web1");
    await agent.add(remote("a", anyPort(service.port)), true);
    await agent.add(remote("b", anyPort(service.port)), true);
    await agent.running.removeForward("a");
    await agent.stop();
    const again = await lab.agent("web1");
    await again.link("connected");
    // The lower port is free now; what was settled stays.
    expect(portOf(await again.add(remote("b", anyPort(service.port)), true))).toBe(lab.pool[1]!);
    expect(await ask(lab.pool[1]!)).toBe("any:hello");
  });

  test("asking for any port keeps it when the relay starts again", async () => {
    await using lab = await rolesLab();
    using service = tcpService("any");
    const agent = await lab.agent("web1");
    await agent.add(remote("a", anyPort(service.port)));
    await agent.add(remote("b", anyPort(service.port)));
    await agent.running.removeForward("a");
    await lab.restartRelay();
    await agent.link("connected");
    expect(portOf(await agent.add(remote("b", anyPort(service.port))))).toBe(lab.pool[1]!);
    expect(await ask(lab.pool[1]!)).toBe("any:hello");
  });

  test("that gets other ports keeps the visitors of those it keeps", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const [a, b, c, taken] = lab.pool as readonly [number, number, number, number];
    const agent = await lab.agent("web1");
    const ports = (first: number, last: number) =>
      Array.from({ length: last - first + 1 }, (_, n) => mapping("tcp", first + n, first + n, service.port));
    await agent.add(remote("web", ports(a, b)));
    using gone = await visit(a);
    using kept = await visit(b);
    await gone.ask("x");
    await kept.ask("x");
    expect(await agent.add(remote("web", ports(b, c)))).toMatchObject({ state: "open" });
    expect(await gone.ended).toBe("reset");
    expect(await kept.ask("still")).toBe("web:still");
    expect([await ask(a), await ask(c)]).toEqual(["ECONNREFUSED", "web:hello"]);

    using _program = tcpService("program", taken);
    expect(await failureOf(agent.add(remote("web", ports(c, taken))))).toMatchObject({ kind: "failed" });
    expect(await kept.ask("and still")).toBe("web:and still");
    expect(await ask(b)).toBe("web:hello");
    expect((await lab.relay.listForwards())[0]?.counters.visitorsTotal).toBe(4);
  });

  test("that is removed stays in the totals of relay and agent", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1");
    const deny = parseCidr("127.0.0.1");
    const source = { allow: [], deny: deny.ok ? [deny.value] : [] };
    const spec = remote("web", [mapping("tcp", port, port, service.port)]);
    const closed = remote("web", [mapping("tcp", port, port, service.port)], {
      options: { ...DEFAULT_OPTIONS, source },
    });
    const counted = async () =>
      [(await lab.relay.status()).counters, (await agent.running.status()).counters].map(
        ({ visitorsTotal, bytesIn, refused }) => ({ visitorsTotal, bytesIn, refused }),
      );
    await agent.add(spec);
    await ask(port);
    await agent.add(closed);
    await ask(port);
    const once = { visitorsTotal: 1, bytesIn: 5, refused: { sourceNotAllowed: 1, reset: 1 } };
    await until(async () => (await counted()).every((one) => one.refused.reset === 1));
    expect(await counted()).toEqual([once, once]);
    await agent.running.removeForward("web");
    await until(async () => (await lab.relay.listForwards()).length === 0);
    expect(await counted()).toEqual([once, once]);
    await agent.add(spec);
    await ask(port);
    await until(async () => (await counted()).every((one) => one.refused.reset === 2));
    const twice = { visitorsTotal: 2, bytesIn: 10, refused: { sourceNotAllowed: 1, reset: 2 } };
    expect(await counted()).toEqual([twice, twice]);
    await agent.running.removeForward("web");
    expect(await counted()).toEqual([twice, twice]);
  });

  test("has TCP and UDP of one number together", async () => {
    await using lab = await rolesLab();
    using tcp = tcpService("tcp");
    const agent = await lab.agent("web1");
    const info = await agent.add(remote("both", tcpAndUdp(lab.pool[3]!, lab.pool[3]!, tcp.port)));
    expect(info.endpoints.map(({ protocol, port }) => `${port}/${protocol}`)).toEqual([
      `${lab.pool[3]}/tcp`,
      `${lab.pool[3]}/udp`,
    ]);
    expect(await ask(lab.pool[3]!)).toBe("tcp:hello");
  });
});

describe("what the relay refuses", () => {
  const cases = [
    {
      name: "a port outside its pool",
      ports: undefined,
      asks: (pool: readonly number[]) => mapping("tcp", pool[0]! - 1),
      says: (pool: readonly number[]) =>
        `Port ${pool[0]! - 1}/tcp is outside the tcp ports this relay hands out (${pool[0]}-${pool.at(-1)}); choose one of those, or ask the relay's operator to add it to --ports.`,
    },
    {
      name: "a port that the join code does not grant",
      ports: (pool: readonly number[]) => `${pool[0]}-${pool[1]}`,
      asks: (pool: readonly number[]) => mapping("tcp", pool[2]!),
      says: (pool: readonly number[]) =>
        `Port ${pool[2]} is outside the ports granted to this device (${pool[0]}-${pool[1]}); choose one of those, or come with a join code or an SSH key that has it in --ports.`,
    },
  ];
  for (const { name, ports, asks, says } of cases) {
    test(name, async () => {
      await using lab = await rolesLab();
      const agent = await lab.agent("web1", ports === undefined ? {} : { ports: ports(lab.pool) });
      const added = agent.add(remote("web", [asks(lab.pool)]));
      expect(await failureOf(added)).toMatchObject({ name: "ControlError", kind: "refused", message: says(lab.pool) });
      expect(await agent.running.listForwards()).toEqual([]);
      expect(await lab.relay.listForwards()).toEqual([]);
    });
  }

  test("its own agent port", async () => {
    await using lab = await rolesLab();
    const { port } = lab.relay.ready.listen;
    lab.relaySettings = { ...lab.relaySettings, ports: tcpAndUdp(1024, 65_535) };
    await lab.relay.reload();
    const agent = await lab.agent("web1");
    const message = `Port ${port}/tcp is the relay's agent port; choose another port.`;
    expect(await failureOf(agent.add(remote("web", [mapping("tcp", port)])))).toMatchObject({
      kind: "refused",
      message,
    });
  });

  test("more than the account's quotas", async () => {
    await using lab = await rolesLab();
    await lab.restartRelay(async () => {
      const store = await lab.openStore();
      await store.accounts.setLimits("owner", { ...NO_LIMITS, quotaForwards: 2, quotaPorts: 3 }, 1);
      await store.close();
    });
    const agent = await lab.agent("web1");
    await agent.add(remote("two", [mapping("tcp", lab.pool[0]!, lab.pool[1]!)]));
    const four = agent.add(remote("four", [mapping("tcp", lab.pool[2]!, lab.pool[3]!)]));
    expect(await failureOf(four)).toMatchObject({
      kind: "refused",
      message:
        "This account may hold 3 ports, has 2 and asks for 2 more; ask for fewer, remove a forward, or ask the relay's operator for a larger quota.",
    });
    // A change counts once.
    await agent.add(remote("two", [mapping("tcp", lab.pool[1]!, lab.pool[2]!)]));
    await agent.add(remote("one", [mapping("tcp", lab.pool[3]!)]));
    const any = agent.add(remote("any", anyPort(80)));
    expect(await failureOf(any)).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("may have 2 forwards"),
    });
  });

  test("more than one message carries, which costs the device nothing else", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    await agent.add(remote("web", anyPort(80)));
    const many = Array.from({ length: 1_001 }, (_, n) => mapping("tcp", 1_024 + 2 * n));
    expect(await failureOf(agent.add(remote("many", many)))).toMatchObject({
      message: "A forward has at most 1,000 runs of ports, and 1,000 networks in each list; split it into several.",
    });
    expect(await agent.running.status()).toMatchObject({ link: "up", forwardsOpen: 1 });
  });

  test("any port when all are held", async () => {
    await using lab = await rolesLab({}, 2);
    const agent = await lab.agent("web1");
    await agent.add(remote("all", [mapping("tcp", lab.pool[0]!, lab.pool[1]!)]));
    const message = "The relay has no such run of free ports left for this device; ask for fewer.";
    expect(await failureOf(agent.add(remote("any", anyPort(80))))).toMatchObject({ kind: "refused", message });
  });
});

describe("a port that is held", () => {
  test("is refused to another device, which is told who holds it", async () => {
    await using lab = await rolesLab();
    const first = await lab.agent("web1");
    const second = await lab.agent("web2");
    const spec = remote("web", [mapping("tcp", lab.pool[0]!)]);
    await first.add(spec);
    const held = `Port ${lab.pool[0]}/tcp is held by device "web1", which is connected; choose another port, remove that forward, or give both the same group to share it.`;
    expect(await failureOf(second.add(spec))).toMatchObject({ kind: "failed", message: held });
    await first.stop();
    await away(lab, "web1");
    expect(await failureOf(second.add(spec))).toMatchObject({
      message: expect.stringMatching(
        /^Port \d+\/tcp is reserved for device "web1" for another (10 min|9 min \d\d s); /,
      ),
    });
  });

  test("is free at once when its forward is removed", async () => {
    await using lab = await rolesLab();
    using service = tcpService("second");
    const first = await lab.agent("web1");
    const second = await lab.agent("web2");
    await first.add(remote("web", [mapping("tcp", lab.pool[0]!)]), true);
    await first.running.removeForward("web");
    // The relay carries out the requests of one device in their order.
    await first.running.status();
    await first.add(remote("other", [mapping("tcp", lab.pool[1]!)]));
    await second.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service.port)]));
    expect(await ask(lab.pool[0]!)).toBe("second:hello");
  });

  test("by another program on the relay is a conflict, and the table stays as it was", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    using taken = Bun.listen({ hostname: "::", port: lab.pool[0]!, socket: { data: () => undefined } });
    const added = agent.add(remote("web", [mapping("tcp", lab.pool[0]!)]));
    const message = `TCP port ${lab.pool[0]} is in use on this machine; stop the program that has it or choose another port.`;
    expect(await failureOf(added)).toMatchObject({ kind: "failed", message });
    expect(await lab.relay.listForwards()).toEqual([]);
    taken.stop(true);
    expect((await agent.add(remote("web", [mapping("tcp", lab.pool[0]!)]))).state).toBe("open");
  });

  test("is passed over when any port is asked for", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("web1");
    using _taken = Bun.listen({ hostname: "::", port: lab.pool[0]!, socket: { data: () => undefined } });
    expect(portOf(await agent.add(remote("any", anyPort(80))))).toBe(lab.pool[1]!);
  });

  for (const { name, from, to } of [
    { name: "elsewhere", from: [0, 0], to: [1, 1] },
    { name: "grown over it", from: [0, 0], to: [0, 1] },
  ]) {
    test(`leaves a forward that was to move there (${name}) as it was`, async () => {
      await using lab = await rolesLab();
      using service = tcpService("web");
      const agent = await lab.agent("web1");
      const at = ([first, last]: number[]) =>
        remote("web", [mapping("tcp", lab.pool[first!]!, lab.pool[last!]!, service.port)]);
      await agent.add(at(from));
      using visitor = await visit(lab.pool[0]!);
      expect(await visitor.ask("before")).toBe("web:before");
      using _taken = Bun.listen({ hostname: "::", port: lab.pool[1]!, socket: { data: () => undefined } });
      expect(await failureOf(agent.add(at(to)))).toMatchObject({ kind: "failed" });
      expect(await ask(lab.pool[0]!)).toBe("web:hello");
      expect((await lab.relay.listForwards()).map(({ state, endpoints }) => [state, endpoints[0]?.port])).toEqual([
        ["open", lab.pool[0]],
      ]);
      if (name === "elsewhere") expect(await visitor.ask("after")).toBe("web:after");
    });
  }
});

describe("a device that comes back", () => {
  test("after its connections were killed has its ports, which nobody could take meanwhile", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    using link = breakableLink(lab.relay.ready.listen);
    const port = lab.pool[0]!;
    const agent = await lab.agent("web1", { relay: link.address });
    const other = await lab.agent("web2");
    await agent.add(remote("web", [mapping("tcp", port, port, service.port)]), true);
    using visitor = await visit(port);
    expect(await visitor.ask("x")).toBe("web:x");
    const down = agent.link("disconnected");
    link.accepts = false;
    link.break();
    await down;
    expect(await visitor.ended).toBe("reset");
    await away(lab, "web1");
    expect(await failureOf(other.add(remote("web", [mapping("tcp", port)])))).toMatchObject({
      message: expect.stringContaining('is reserved for device "web1"'),
    });
    expect(await ask(port)).toBe("cut");
    link.accepts = true;
    await agent.link("connected");
    await until(async () => (await agent.forward("web"))?.state === "open");
    expect(await ask(port)).toBe("web:hello");
    expect((await lab.relay.listForwards())[0]?.leaseEndsMs).toBeNull();
  });

  test("takes its forwards back after its link broke, and its visitors find it", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("web1");
    await agent.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service.port)]), true);
    const { listen } = lab.relay.ready;
    await lab.restartRelay();
    expect(lab.relay.ready.listen).toEqual(listen);
    await agent.running.status();
    // Asked for again: answered after what came before it.
    await agent.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service.port)]), true);
    expect(await ask(lab.pool[0]!)).toBe("web:hello");
  });

  test("as another process of the same key takes over at once", async () => {
    await using lab = await rolesLab();
    using old = tcpService("old");
    using young = tcpService("young");
    const first = await lab.agent("web1");
    await first.add(remote("other", [mapping("tcp", lab.pool[1]!, lab.pool[1]!, old.port)]), true);
    await first.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, old.port)]), true);
    const { cp } = await import("node:fs/promises");
    await cp(lab.directoryOf("web1"), lab.directoryOf("copy"), {
      recursive: true,
      filter: (path) => !path.endsWith(".sock") && !path.endsWith(".lock"),
    });
    const down = first.link("disconnected");
    lab.knows("copy");
    const second = await lab.agent("copy");
    expect(await down).toMatchObject({ message: "another program connected with this device's key" });
    // It numbers its forwards anew: no visitor may come by the old numbers.
    await second.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, young.port)]), true);
    expect(await ask(lab.pool[0]!)).toBe("young:hello");
  });
});

test("a thousand forwards open, and come back, without a write for those that did not change", async () => {
  await using lab = await rolesLab({}, 1_000);
  const agent = await lab.agent("web1");
  const attached = attach(
    agent,
    lab.pool.map((port) => remote(`f${port}`, [mapping("tcp", port)])),
  );
  for (let n = 0; n < 1_000; n++) await attached.next("exposed");
  const changes = async () => {
    const store = await lab.openStore();
    const rows = await store.forwards.list();
    await store.close();
    return rows.map(({ updatedMs }) => updatedMs);
  };
  const before = await changes();
  expect(before).toHaveLength(1_000);
  await lab.restartRelay();
  await agent.running.status();
  expect(await changes()).toEqual(before);
  attached.abort();
}, 30_000);
