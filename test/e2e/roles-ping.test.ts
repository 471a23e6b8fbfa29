import { describe, expect, test } from "bun:test";
import type { PingEvent, PingRequest, RunningAgent } from "../../src/roles/control.ts";
import { ControlError } from "../../src/roles/control.ts";
import { startPing } from "../../src/roles/ping.ts";
import { agentClient } from "../../src/servers/local/client.ts";
import { delayingLink } from "../fixtures/delaying-link.ts";
import { fastestMs } from "../fixtures/fastest.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { anyPort, failureOf, local, mapping, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { tcpService, udpService } from "../fixtures/services.ts";

const HERE = "127.0.0.1";
/** Each way; a round trip over the link takes twice that. */
const DELAY_MS = 10;
/** Of a difference that is one round trip over the link: none would be 0, two of them 40 ms. */
const ONE_ROUND_TRIP = { min: 18, max: 35 };
const MAX_ROUNDS = 8;

const allow = (port: number) => [{ host: HERE, ports: [mapping("tcp", port), mapping("udp", port)] }];
const base64 = (text: string): string => Buffer.from(text).toString("base64");

function request(target: PingRequest["target"], more: Partial<PingRequest> = {}): PingRequest {
  const settings = { count: 6, intervalMs: 20, timeoutMs: 1_000 };
  return { target, via: null, only: null, payload: null, ...settings, ...more };
}

const host = (port: number, protocol: "tcp" | "udp" = "tcp"): PingRequest["target"] => {
  return { kind: "host", host: HERE, port, protocol };
};

interface Measured {
  readonly started: Extract<PingEvent, { event: "started" }>;
  readonly probes: readonly Extract<PingEvent, { event: "probe" }>[];
  /** Of the fastest probe: what a busy machine adds is in the others. */
  minMs(path: "direct" | "forwarded"): number;
  lost(path: "direct" | "forwarded"): readonly string[];
}

async function measured(events: AsyncIterable<PingEvent>): Promise<Measured> {
  let started: Measured["started"] | null = null;
  const probes: Measured["probes"][number][] = [];
  for await (const event of events) {
    if (event.event === "started") started = event;
    else probes.push(event);
  }
  if (started === null) throw new Error("nothing was started");
  const of = (path: string) => probes.filter((probe) => probe.path === path);
  return {
    started,
    probes,
    minMs: (path) => Math.min(...of(path).flatMap(({ ms }) => (ms === null ? [] : [ms]))),
    lost: (path) => of(path).flatMap(({ lost }) => (lost === null ? [] : [lost])),
  };
}

const never = new AbortController().signal;
const run = (agent: { running: RunningAgent }, asked: PingRequest) => measured(agent.running.ping(asked, never));

async function failure(promise: Promise<unknown>): Promise<[string, string]> {
  const error = await failureOf(promise);
  if (!(error instanceof ControlError)) throw error;
  return [error.kind, error.message];
}

/**
 * The forwarded path takes one round trip over the link more. What a busy machine adds is in some probes, a second round
 * trip would be in each: it is measured again as long as all were slow.
 */
async function oneRoundTrip(measure: () => Promise<Measured>): Promise<Measured> {
  let [direct, forwarded] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 1; ; round++) {
    const found = await measure();
    direct = Math.min(direct, found.minMs("direct"));
    forwarded = Math.min(forwarded, found.minMs("forwarded"));
    expect(forwarded).toBeGreaterThan(ONE_ROUND_TRIP.min);
    if (round < MAX_ROUNDS && forwarded - direct >= ONE_ROUND_TRIP.max) continue;
    expect(direct).toBeLessThan(forwarded);
    expect(forwarded - direct).toBeLessThan(ONE_ROUND_TRIP.max);
    return found;
  }
}

describe("a host through the relay", () => {
  test("is measured on both paths, in turns, until the far end is connected", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("laptop", { relay: link.address });
    const found = await oneRoundTrip(() => run(agent, request(host(service.port), { via: { kind: "relay" } })));
    expect(found.started).toMatchObject({
      v: 1,
      protocol: "tcp",
      paths: [
        { path: "direct", via: "here", to: `${HERE}:${service.port}`, measure: "connect" },
        { path: "forwarded", via: "relay", to: `${HERE}:${service.port}`, measure: "connect" },
      ],
    });
    for (const path of ["direct", "forwarded"]) {
      const numbers = found.probes.filter((probe) => probe.path === path).map(({ seq }) => seq);
      expect(numbers.toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  test("by a payload: from the payload to the answer, without the connection's making", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("laptop", { relay: link.address });
    const found = await oneRoundTrip(() =>
      run(agent, request(host(service.port), { via: { kind: "relay" }, payload: base64("ping") })),
    );
    expect(found.started.paths.map(({ measure }) => measure)).toEqual(["answer", "answer"]);
  });

  test("whose service greets: the greeting, which nobody asked for, is no answer", async () => {
    using service = greeter("220 hello\r\n", "250 fine\r\n");
    await using lab = await rolesLab({ allow: allow(service.port) });
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("laptop", { relay: link.address });
    await oneRoundTrip(() =>
      run(agent, request(host(service.port), { via: { kind: "relay" }, payload: base64("NOOP\r\n") })),
    );
  });

  test("by datagrams", async () => {
    using service = await udpService("dns");
    await using lab = await rolesLab({ allow: allow(service.port) });
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("laptop", { relay: link.address });
    const found = await oneRoundTrip(() => run(agent, request(host(service.port, "udp"), { via: { kind: "relay" } })));
    expect(found.started.paths.map(({ measure }) => measure)).toEqual(["answer", "answer"]);
  });

  test("leaves nothing behind, at no hop", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    const agent = await lab.agent("laptop");
    await run(agent, request(host(service.port), { via: { kind: "relay" } }));
    await until(async () => service.open === 0 && (await lab.relay.visits()).length === 0);
    // Six of each path that count, and the one of each that opens the way.
    expect(service.total).toBe(14);
    expect(await agent.running.visits()).toEqual([]);
  });

  test("that the relay does not allow is refused before anything is measured", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab();
    const agent = await lab.agent("laptop");
    const [kind, message] = await failure(run(agent, request(host(service.port), { via: { kind: "relay" } })));
    expect(kind).toBe("refused");
    expect(message).toContain(`add "127.0.0.1:${service.port}" to allow under [relay]`);
  });

  test("while the relay is away: the direct path alone, or why not", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    const agent = await lab.agent("laptop");
    const down = agent.link("disconnected");
    await lab.relay.stop({ drainMs: 0 });
    await down;
    const via = { kind: "relay" } as const;
    const [kind, message] = await failure(run(agent, request(host(service.port), { via })));
    expect([kind, message]).toEqual(["unreachable", expect.stringContaining("The relay could not be reached: ")]);
    const direct = await run(agent, request(host(service.port), { via, only: "direct" }));
    expect(direct.started.paths).toHaveLength(1);
    expect(direct.probes).toHaveLength(6);
  });

  test("that is closed is lost on both paths, and the reason is told", async () => {
    const [port] = await freePorts(1);
    await using lab = await rolesLab({ allow: allow(port!) });
    const agent = await lab.agent("laptop");
    const found = await run(agent, request(host(port!), { via: { kind: "relay" }, count: 2 }));
    expect(found.lost("direct")).toEqual(["serviceRefused", "serviceRefused"]);
    expect(found.lost("forwarded")).toEqual(["serviceRefused", "serviceRefused"]);
  });
});

describe("a host through another agent", () => {
  test("is measured to where that agent connects", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab();
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    await lab.agent("office", { allow: allow(service.port), relay: link.address });
    const agent = await lab.agent("laptop");
    const via = { kind: "agent", device: "office" } as const;
    const found = await oneRoundTrip(() => run(agent, request(host(service.port), { via })));
    expect(found.started.paths[1]).toMatchObject({ via: "agent:office" });
  });

  for (const { name, device, kind, words } of [
    { name: "that is away", device: "nobody", kind: "unreachable", words: 'The agent "nobody" is not connected' },
    { name: "that does not allow it", device: "office", kind: "refused", words: "to allow under [agent]" },
    { name: "that is this one", device: "laptop", kind: "refused", words: "name another agent than this one" },
  ]) {
    test(name, async () => {
      using service = tcpService("db");
      await using lab = await rolesLab();
      await lab.agent("office");
      const agent = await lab.agent("laptop");
      const asked = request(host(service.port), { via: { kind: "agent", device } });
      const [found, message] = await failure(run(agent, asked));
      expect([found, message]).toEqual([kind, expect.stringContaining(words)]);
    });
  }
});

describe("a forward of one's own", () => {
  const forward = (port: number, protocol: "tcp" | "udp" = "tcp"): PingRequest["target"] => {
    return { kind: "forward", id: "web", port, protocol };
  };

  for (const { name, service } of [
    { name: "that closes when its visitor does", service: () => tcpService("web") },
    { name: "that greets", service: () => greeter("220 hello\r\n", "") },
  ]) {
    test(`${name} shows itself: one round trip over the tunnel more than from the agent`, async () => {
      using held = service();
      await using lab = await rolesLab();
      using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
      const agent = await lab.agent("attic", { relay: link.address });
      const { endpoints } = await agent.add(remote("web", anyPort(held.port)));
      const port = endpoints[0]!.port;
      const found = await oneRoundTrip(() => run(agent, request(forward(port))));
      expect(found.started.paths).toEqual([
        { path: "direct", via: "here", to: `${HERE}:${held.port}`, measure: "sign" },
        { path: "forwarded", via: "entry", to: `${HERE}:${port}`, measure: "sign" },
      ]);
    });
  }

  test("that says nothing: the entry's accept is what is left, and it is called so", async () => {
    using held = mute();
    await using lab = await rolesLab();
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("attic", { relay: link.address });
    const { endpoints } = await agent.add(remote("web", anyPort(held.port)));
    const acceptedMs = async () => {
      const found = await run(agent, request(forward(endpoints[0]!.port), { timeoutMs: 200 }));
      expect(found.started.paths.map(({ measure }) => measure)).toEqual(["connect", "accept"]);
      return found.minMs("forwarded");
    };
    // The lie that the name warns of: the tunnel's delay is not in it. It would be in each probe, the fastest too.
    expect(await fastestMs(2 * DELAY_MS, acceptedMs)).toBeLessThan(2 * DELAY_MS);
  });

  test("that says nothing but answers a payload is measured by it", async () => {
    using held = mute("pong");
    await using lab = await rolesLab();
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("attic", { relay: link.address });
    const { endpoints } = await agent.add(remote("web", anyPort(held.port)));
    const found = await oneRoundTrip(() =>
      run(agent, request(forward(endpoints[0]!.port), { payload: base64("ping") })),
    );
    expect(found.started.paths.map(({ measure }) => measure)).toEqual(["answer", "answer"]);
  });

  test("by datagrams", async () => {
    using held = await udpService("dns");
    await using lab = await rolesLab();
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("attic", { relay: link.address });
    const { endpoints } = await agent.add(remote("web", anyPort(held.port, "udp")));
    await oneRoundTrip(() => run(agent, request(forward(endpoints[0]!.port, "udp"))));
  });

  test("whose service is down answers on no path, though its entry accepts", async () => {
    const [nobody] = await freePorts(1);
    await using lab = await rolesLab();
    const agent = await lab.agent("attic");
    const { endpoints } = await agent.add(remote("web", anyPort(nobody!)));
    const found = await run(agent, request(forward(endpoints[0]!.port), { count: 2 }));
    expect(found.lost("direct")).toEqual(["serviceRefused", "serviceRefused"]);
    expect(found.lost("forwarded")).toEqual(["reset", "reset"]);
  });

  test("of many ports is measured at the one that is named", async () => {
    using held = tcpService("web");
    await using lab = await rolesLab();
    const agent = await lab.agent("attic");
    const [first] = lab.pool;
    await agent.add(remote("web", [mapping("tcp", first!, first! + 3, held.port - 2)]));
    const found = await run(agent, request(forward(first! + 2), { count: 1 }));
    expect(found.started.paths.map(({ to }) => to)).toEqual([`${HERE}:${held.port}`, `${HERE}:${first! + 2}`]);
    expect([found.lost("direct"), found.lost("forwarded")]).toEqual([[], []]);
  });

  test("that is local leaves by its own way", async () => {
    using held = tcpService("db");
    await using lab = await rolesLab({ allow: allow(held.port) });
    using link = delayingLink(lab.relay.ready.listen, DELAY_MS);
    const agent = await lab.agent("laptop", { relay: link.address });
    const [port] = await freePorts(1);
    await agent.add(local("web", { ports: [mapping("tcp", port!, port!, held.port)], via: { kind: "relay" } }));
    const found = await oneRoundTrip(() => run(agent, request(forward(port!))));
    expect(found.started.paths[1]).toMatchObject({ via: "relay", measure: "connect" });
  });

  test("that is a proxy has no target, and one that is not open no port", async () => {
    await using lab = await rolesLab();
    const agent = await lab.agent("laptop");
    const [port] = await freePorts(1);
    await agent.add(local("web", { type: "dynamic", to: null, ports: [mapping("tcp", port!)] }));
    const proxy = await failure(run(agent, request(forward(port!))));
    expect(proxy).toEqual(["usage", expect.stringContaining(`ping HOST:PORT --via socks5://127.0.0.1:${port}`)]);
    expect(await failure(run(agent, request(forward(9))))).toEqual([
      "failed",
      expect.stringContaining("no open port 9/tcp"),
    ]);
    const other = request({ kind: "forward", id: "nobody", port: 9, protocol: "tcp" });
    expect(await failure(run(agent, other))).toEqual(["usage", expect.stringContaining("forward ls")]);
  });
});

describe("a host through a SOCKS5 proxy, without an agent", () => {
  /** The agent's own proxy, and the way to it that takes its time. */
  async function proxyBehind(lab: Awaited<ReturnType<typeof rolesLab>>, target: number) {
    const agent = await lab.agent("laptop", { allow: allow(target) });
    const [port] = await freePorts(1);
    const socks = local("socks", { type: "dynamic", to: null, ports: [mapping("tcp", port!)], via: { kind: "here" } });
    await agent.add(socks);
    return delayingLink({ host: HERE, port: port! }, DELAY_MS);
  }

  for (const payload of [null, base64("ping")]) {
    test(`TCP${payload === null ? "" : " by a payload"}: reaching the proxy and greeting it is not counted`, async () => {
      using service = tcpService("db");
      await using lab = await rolesLab();
      using link = await proxyBehind(lab, service.port);
      const via = { kind: "socks5", proxy: link.address } as const;
      const found = await oneRoundTrip(() => measured(startPing(request(host(service.port), { via, payload }), never)));
      expect(found.started.paths[1]).toMatchObject({ via: `socks5://127.0.0.1:${link.address.port}` });
    });
  }

  test("UDP: making the association is not counted, and its datagrams go past the link", async () => {
    using service = await udpService("dns");
    await using lab = await rolesLab();
    using link = await proxyBehind(lab, service.port);
    const via = { kind: "socks5", proxy: link.address } as const;
    const answeredMs = async () => {
      const found = await measured(startPing(request(host(service.port, "udp"), { via }), never));
      expect(found.lost("forwarded")).toEqual([]);
      return found.minMs("forwarded");
    };
    expect(await fastestMs(DELAY_MS, answeredMs)).toBeLessThan(DELAY_MS);
  });

  test("that forbids it", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab();
    const agent = await lab.agent("laptop");
    const [port] = await freePorts(1);
    await agent.add(
      local("socks", { type: "dynamic", to: null, ports: [mapping("tcp", port!)], via: { kind: "here" } }),
    );
    const via = { kind: "socks5", proxy: { host: HERE, port: port! } } as const;
    const [kind, message] = await failure(measured(startPing(request(host(service.port), { via }), never)));
    expect([kind, message]).toEqual(["refused", expect.stringContaining("does not let you out")]);
  });
});

describe("a measurement", () => {
  test("is the same over the agent's socket", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    await lab.agent("laptop");
    const client = agentClient(`${lab.directoryOf("laptop")}/agent.sock`);
    const asked = request(host(service.port), { via: { kind: "relay" }, count: 3 });
    const found = await measured(client.ping(asked, never));
    expect(found.probes).toHaveLength(6);
    const error = await failure(measured(client.ping({ ...asked, via: { kind: "agent", device: "nobody" } }, never)));
    expect(error[0]).toBe("unreachable");
  });

  test("ends when it is stopped, and nothing of it stays", async () => {
    using held = mute();
    await using lab = await rolesLab({ allow: allow(held.port) });
    const agent = await lab.agent("laptop");
    const stop = new AbortController();
    const asked = request(host(held.port), {
      via: { kind: "relay" },
      payload: base64("x"),
      timeoutMs: 5_000,
      count: 9,
    });
    // No answer ever comes: it is still opening the way.
    const ended = measured(agent.running.ping(asked, stop.signal)).catch(() => "nothing was started");
    await until(() => held.open === 1);
    stop.abort();
    expect(await ended).toBe("nothing was started");
    await until(() => held.open === 0);
  });

  test("ends with its agent, and says so", async () => {
    using service = tcpService("db");
    await using lab = await rolesLab({ allow: allow(service.port) });
    const agent = await lab.agent("laptop");
    const events = agent.running.ping(request(host(service.port), { via: { kind: "relay" }, count: 1_000 }), never);
    const first = await events[Symbol.asyncIterator]().next();
    expect(first.value).toMatchObject({ event: "started" });
    const rest = failure(measured(events));
    await agent.stop();
    expect(await rest).toEqual(["unreachable", "The agent was stopped."]);
  });
});

/** A service that speaks first, and then answers each line. */
function greeter(greeting: string, answer: string) {
  const listener = Bun.listen({
    hostname: HERE,
    port: 0,
    socket: {
      open: (socket) => void socket.write(greeting),
      data: (socket) => void socket.write(answer),
      error: () => undefined,
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

/** A service that neither speaks first nor ends when its visitor does; `answer`: what it says when it is asked. */
function mute(answer: string | null = null) {
  let open = 0;
  const listener = Bun.listen({
    hostname: HERE,
    port: 0,
    allowHalfOpen: true,
    socket: {
      open: () => void open++,
      data: (socket) => {
        if (answer !== null) socket.write(answer);
      },
      end: () => undefined,
      close: () => void open--,
      error: () => undefined,
    },
  });
  return {
    port: listener.port,
    get open() {
      return open;
    },
    [Symbol.dispose]: () => listener.stop(true),
  };
}
