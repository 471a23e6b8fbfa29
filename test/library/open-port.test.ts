import { describe, expect, test } from "bun:test";
import { ROUTER_PROTOCOLS, type RouterFailureKind } from "../../src/core/router/model.ts";
import * as library from "../../src/index.ts";
import type * as declared from "../../src/library/hatchway.d.ts";
import type { OpenPortOptions, Router } from "../../src/library/hatchway.d.ts";
import { openPortBy } from "../../src/library/open-port.ts";
import { systemAccess } from "../../src/router/system-access.ts";
import { IgdBench } from "../fixtures/fake-router/igd-bench.ts";
import { FAKE_GATEWAY } from "../fixtures/fake-router/mapper.ts";
import { PortMapBench } from "../fixtures/fake-router/portmap-bench.ts";
import { Events, LibraryLab } from "./lab.ts";

const { OpenPortError } = library;

/** What a promise was rejected with, which must be the one error that there is. */
async function failureOf(promise: Promise<unknown>): Promise<library.OpenPortError> {
  const error: unknown = await promise.then(
    () => new Error("it opened"),
    (why: unknown) => why,
  );
  if (error instanceof OpenPortError) return error;
  throw error;
}

test("what is declared for apps is what is there, and nothing else", () => {
  const there: typeof declared = library;
  const names: Record<keyof typeof declared, true> = {
    openPort: true,
    OpenPortError: true,
    HatchwayError: true,
    enrol: true,
    deviceOf: true,
    openRelay: true,
    expose: true,
    connect: true,
    listen: true,
    socks: true,
  };
  expect(Object.keys(there).sort()).toEqual(Object.keys(names).sort());
});

describe("an open port", () => {
  test("tells where it is, at which router, and until when", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(25_565, { lifetimeSec: 600 });
    expect(port.state).toBe("open");
    expect(port.endpoints).toEqual([
      {
        protocol: "tcp",
        family: "ipv4",
        host: "203.0.113.5",
        port: 25_565,
        lastPort: 25_565,
        internalHost: "192.168.1.10",
        internalPort: 25_565,
      },
    ]);
    expect(port.router).toEqual({ protocol: "pcp", address: "192.168.1.1", model: "Fake" });
    expect(port.leaseEnds).toEqual(new Date(600_000));
    // 203.0.113.0/24 is for documentation.
    expect(port.note?.kind).toBe("not-public");
  });

  test("is closed once, however often that is asked for; then nothing is there", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort("80, 81/udp");
    expect(lab.router.live()).toEqual(["tcp 80", "udp 81"]);
    const first = port.close();
    expect(port.state).toBe("closed");
    expect(port.close()).toBe(first);
    await first;
    await port.close();
    expect(lab.router.live()).toEqual([]);
    expect(lab.router.said("unmap")).toEqual(["unmap 80", "unmap 81"]);
    expect([port.endpoints, port.leaseEnds, port.note]).toEqual([[], null, null]);
    expect(await Array.fromAsync(port.events())).toEqual([]);
  });

  test("`await using` closes it", async () => {
    const lab = new LibraryLab();
    {
      await using port = await lab.openPort(80);
      expect(lab.router.live()).toEqual([`tcp ${port.endpoints[0]?.port}`]);
    }
    expect(lab.router.live()).toEqual([]);
  });

  test("two calls share nothing: closing one leaves the other", async () => {
    await using lab = new LibraryLab();
    const [one, other] = await Promise.all([lab.openPort(80), lab.openPort(81)]);
    await one.close();
    expect(lab.router.live()).toEqual(["tcp 81"]);
    expect(other.state).toBe("open");
  });

  test("a router that does not answer holds up its closing for 3 s at most", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80);
    lab.router.outcome = () => "never";
    const startMs = lab.clock.nowMs();
    await lab.passing(port.close());
    expect(lab.clock.nowMs() - startMs).toBeLessThanOrEqual(3_000);
  });
});

describe("options", () => {
  const TABLE: [string, number | string, OpenPortOptions, object[]][] = [
    ["a number is a TCP port", 80, {}, [{ protocol: "tcp", internalPort: 80, externalPort: 80, lifetimeSec: 3600 }]],
    ["protocol", 80, { protocol: "udp" }, [{ protocol: "udp" }]],
    ["both protocols", 80, { protocol: "tcp+udp" }, [{ protocol: "tcp" }, { protocol: "udp" }]],
    ["the text says the protocol", "80/udp", { protocol: "tcp" }, [{ protocol: "udp" }]],
    ["a set", "80-81,90/udp", {}, [{ externalPort: 80 }, { externalPort: 81 }, { externalPort: 90 }]],
    ["outside:inside", "8443:443", {}, [{ externalPort: 8443, internalPort: 443 }]],
    ["externalPort", 443, { externalPort: 8443 }, [{ externalPort: 8443, internalPort: 443 }]],
    ["externalPort any", 443, { externalPort: "any" }, [{ externalPort: 0, internalPort: 443 }]],
    ["samePort", 80, { samePort: true }, [{ exact: true }]],
    ["a port may move", 80, {}, [{ exact: false }]],
    ["a range may not", "80-81", {}, [{ exact: true }, { exact: true }]],
    ["to", 80, { to: "192.168.1.77" }, [{ internalAddress: "192.168.1.77" }]],
    ["to: this machine", 80, {}, [{ internalAddress: "192.168.1.10" }]],
    ["lifetimeSec", 80, { lifetimeSec: 30 }, [{ lifetimeSec: 30 }]],
    ["name", 80, { name: "chess" }, [{ description: "Hatchway chess" }]],
    ["no name", "8443:443", {}, [{ description: expect.stringContaining("Hatchway 8443:443") }]],
    ["undefined is left out", 80, { name: undefined, to: undefined, signal: undefined }, [{ protocol: "tcp" }]],
  ];
  test.each(TABLE)("%s", async (_what, ports, options, asked) => {
    await using lab = new LibraryLab();
    await lab.openPort(ports, options);
    const wishes = lab.router.calls.filter(({ kind }) => kind === "map").map(({ wish }) => wish);
    expect(wishes).toMatchObject(asked);
  });

  const GATEWAY6 = { ...FAKE_GATEWAY, family: 6, address: "fe80::1", ownAddress: "2a00:91::20" } as const;
  test.each<[OpenPortOptions["family"], string[]]>([
    [undefined, ["ipv4 203.0.113.5", "ipv6 2a00:91::20"]],
    ["both", ["ipv4 203.0.113.5", "ipv6 2a00:91::20"]],
    ["ipv4", ["ipv4 203.0.113.5"]],
    ["ipv6", ["ipv6 2a00:91::20"]],
  ])("family %p", async (family, expected) => {
    await using lab = new LibraryLab({ gateway6: GATEWAY6 });
    const { endpoints } = await lab.openPort(80, { family });
    expect(endpoints.map((one) => `${one.family} ${one.host}`)).toEqual(expected);
  });

  test.each<[OpenPortOptions["protocolOnly"], readonly Router["protocol"][], string]>([
    [undefined, ROUTER_PROTOCOLS, "pcp"],
    ["nat-pmp", ["nat-pmp"], "nat-pmp"],
    ["igd", ["igd2", "igd1"], "pcp"],
    ["igd1", ["igd1"], "igd1"],
  ])("protocolOnly %p", async (protocolOnly, allowed, used) => {
    await using lab = new LibraryLab({ speaks: ROUTER_PROTOCOLS });
    const port = await lab.openPort(80, { protocolOnly });
    // What is allowed is the real access's to keep to; the fake one has all four.
    expect(lab.means?.allowed).toEqual(allowed);
    expect(port.router.protocol).toBe(used as Router["protocol"]);
  });

  test("router: that one is asked", async () => {
    await using lab = new LibraryLab();
    await lab.openPort(80, { router: "127.0.0.9" });
    const gateways = await lab.means?.gateways(new AbortController().signal);
    expect(gateways).toMatchObject({ v4: { address: "127.0.0.9" }, v6: null });
  });
});

describe("by real sockets", () => {
  test.each(["pcp", "nat-pmp"] as const)("%s", async (protocolOnly) => {
    await using bench = await PortMapBench.start();
    const { fake, clientPort } = bench;
    const ports = { portMap: fake.port, portMapClient: clientPort };
    const openPort = openPortBy({
      access: (means) => systemAccess({ ...means, ports, gateways: async () => ({ v4: fake.gateway, v6: null }) }),
    });
    const port = await openPort(8080, { protocolOnly, name: "web" });
    expect(port.endpoints).toMatchObject([{ host: "203.0.113.20", port: 8080, internalHost: "127.0.0.1" }]);
    expect(port.router).toEqual({ protocol: protocolOnly, address: "127.0.0.1", model: null });
    expect(fake.list).toEqual(["tcp 8080>8080"]);
    await port.close();
    expect(fake.list).toEqual([]);
  });

  test("UPnP", async () => {
    await using bench = await IgdBench.start();
    const { fake, ssdpPort } = bench;
    const openPort = openPortBy({
      access: (means) =>
        systemAccess({ ...means, ports: { ssdp: ssdpPort }, gateways: async () => ({ v4: fake.gateway, v6: null }) }),
    });
    const port = await openPort("8080:80", { protocolOnly: "igd", name: "web" });
    expect(port.endpoints).toMatchObject([{ host: "11.22.33.44", port: 8080, internalPort: 80 }]);
    expect(port.router).toMatchObject({ protocol: "igd1", address: "127.0.0.1", model: expect.any(String) });
    expect(port.note).toBeNull();
    expect(fake.mappings.get("tcp 8080")).toMatchObject({ internalPort: 80, description: "Hatchway web" });
    await port.close();
    expect([...fake.mappings]).toEqual([]);
  });
});

describe("what cannot be opened", () => {
  const KINDS: RouterFailureKind[] = [
    "silent",
    "closed",
    "unsupported",
    "conflict",
    "refused",
    "exhausted",
    "no-uplink",
    "garbled",
  ];
  // A router that is silent, or closed, is summed up: nobody there speaks any protocol.
  test.each(KINDS)("%s: one error, one sentence, nothing left", async (kind) => {
    await using lab = new LibraryLab();
    lab.router.outcome = (call) => (call.kind === "map" ? kind : null);
    const error = await failureOf(lab.openPort(80, { samePort: true }));
    expect(error).toMatchObject({ name: "OpenPortError", kind: kind === "closed" ? "silent" : kind });
    expect(error.message).toMatch(/^[A-Z].*\.$/s);
    expect(error).toBeInstanceOf(Error);
    expect(lab.router.live()).toEqual([]);
  });

  test("one port of several: the others are taken back", async () => {
    await using lab = new LibraryLab();
    lab.router.take("tcp", 81);
    expect(await failureOf(lab.openPort("80-82"))).toMatchObject({ kind: "conflict" });
    expect(lab.router.live()).toEqual(["tcp 81"]);
  });

  test("no router", async () => {
    await using lab = new LibraryLab();
    lab.router.gateways[4] = null;
    expect(await failureOf(lab.openPort(80))).toMatchObject({ kind: "no-uplink" });
  });

  test("a router that speaks nothing", async () => {
    await using lab = new LibraryLab({ speaks: [] });
    expect(await failureOf(lab.openPort(80))).toMatchObject({ kind: "silent" });
  });

  /** What nobody can write in TypeScript. */
  const loose = (options: unknown): OpenPortOptions => options as OpenPortOptions;
  test.each<[string, number | string, OpenPortOptions, RegExp]>([
    ["no port", "", {}, /^ports: Write at least one port/],
    ["a port that is none", 70_000, {}, /^ports: .*65535/],
    ["half a range", "80-", {}, /^ports: "80-" is not a port/],
    ["no number", Number.NaN, {}, /^ports must be/],
    ["too many", "1-300", {}, /256/],
    ["the same twice", "80:81, 90:81", {}, /81/],
    ["loopback", 80, { to: "127.0.0.1" }, /cannot forward to 127\.0\.0\.1/],
    ["a host name", 80, { to: "nas" }, /^to: "nas" is not an IP address/],
    ["an address of the other family", 80, { to: "192.168.1.7", family: "ipv6" }, /192\.168\.1\.7 is an IPv4 address/],
    ["a lease of 5 s", 80, { lifetimeSec: 5 }, /^lifetimeSec must be from 30s to 7d/],
    ["half a second", 80, { lifetimeSec: 60.5 }, /^lifetimeSec must be a whole number/],
    ["no such protocol", 80, { protocolOnly: "upnp" as never }, /^protocolOnly must be/],
    ["too few outside", "80-81", { externalPort: 90 }, /^externalPort/],
    ["a name with a line break", 80, { name: "a\nb" }, /^name must be a name/],
    ["an option of another name", 80, loose({ lifetime: 60 }), /no option "lifetime": did you mean lifetimeSec\?/],
    ["an option of the config file", 80, loose({ enabled: false }), /no option "enabled": the options are protocol,/],
    ["no signal", 80, loose({ signal: {} }), /^signal must be an AbortSignal/],
  ])("usage: %s", async (_what, ports, options, sentence) => {
    await using lab = new LibraryLab();
    const error = await failureOf(lab.openPort(ports, options));
    expect(error.kind).toBe("usage");
    expect(error.message).toMatch(sentence);
    expect(error.message).not.toContain("\n");
    expect(lab.router.calls).toEqual([]);
  });
});

describe("the signal", () => {
  test("aborted before: nobody is asked", async () => {
    await using lab = new LibraryLab();
    const why = new Error("not today");
    const error = await failureOf(lab.openPort(80, { signal: AbortSignal.abort(why) }));
    expect(error).toMatchObject({ kind: "aborted", cause: why });
    expect([lab.means, lab.router.calls]).toEqual([null, []]);
  });

  test("aborted while the router is asked: rejects, and what it opened meanwhile is taken back", async () => {
    await using lab = new LibraryLab({ latencyMs: 50 });
    const stop = new AbortController();
    lab.router.outcome = (call) => {
      if (call.kind === "map") stop.abort("enough");
      return null;
    };
    const error = await failureOf(lab.openPort(80, { signal: stop.signal }));
    expect(error).toMatchObject({ kind: "aborted", cause: "enough" });
    expect(lab.router.said("map")).toEqual(["map 80"]);
    expect(lab.router.live()).toEqual([]);
  });

  test("aborted while the router is looked for", async () => {
    await using lab = new LibraryLab();
    const stop = new AbortController();
    lab.router.outcome = (call) => {
      if (call.kind === "probe") stop.abort();
      return "never";
    };
    expect(await failureOf(lab.openPort(80, { signal: stop.signal }))).toMatchObject({ kind: "aborted" });
    expect(lab.clock.nowMs()).toBeLessThanOrEqual(3_000);
  });

  test("aborted after: the port is closed, and its events end", async () => {
    await using lab = new LibraryLab();
    const stop = new AbortController();
    const port = await lab.openPort(80, { signal: stop.signal });
    const events = new Events(port);
    stop.abort();
    expect(port.state).toBe("closed");
    expect(await lab.passing(events.next())).toBeNull();
    expect(lab.router.live()).toEqual([]);
    await port.close();
  });

  test("a closed port leaves nothing at a signal that lives on", async () => {
    await using lab = new LibraryLab();
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners.add(args[1]);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners.delete(args[1]);
      remove(...args);
    };
    const port = await lab.openPort(80, { signal });
    expect(listeners.size).toBe(1);
    await port.close();
    expect(listeners.size).toBe(0);
  });
});

describe("events", () => {
  test("renewed after half the lease", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80, { lifetimeSec: 600 });
    const events = new Events(port);
    await lab.clock.advance(400_000);
    const event = await events.next();
    expect(event).toEqual({ type: "renewed", leaseEnds: port.leaseEnds });
    // RFC 6887 §11.2.1: between half and 5/8 of it.
    expect(port.leaseEnds?.getTime()).toBeWithin(900_000, 975_001);
    await port.close();
    expect(await events.next()).toBeNull();
  });

  test("who does not read is left the newest", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80);
    const events = new Events(port);
    for (let number = 0; number < 100; number++) {
      lab.router.externalAddress = `8.8.4.${number}`;
      lab.router.reboot();
      await lab.clock.advance(10_000);
    }
    await port.close();
    const heard: string[] = [];
    for (let event = await events.next(); event !== null; event = await events.next()) {
      if (event.type === "changed") heard.push(event.endpoints[0]?.host ?? "");
    }
    // The first was taken at once.
    expect(heard).toHaveLength(65);
    expect(heard.at(-1)).toBe("8.8.4.99");
  });

  test("renewed: the router lost it, and has it again with a longer lease", async () => {
    await using lab = new LibraryLab();
    lab.router.maxLifetimeSec = 600;
    const port = await lab.openPort(80);
    const events = new Events(port);
    lab.router.maxLifetimeSec = 1200;
    lab.router.reboot();
    const event = await lab.passing(events.next());
    expect(event).toEqual({ type: "renewed", leaseEnds: port.leaseEnds });
    expect((port.leaseEnds?.getTime() ?? 0) - lab.clock.nowMs()).toBeGreaterThan(1_100_000);
    expect(lab.router.live()).toEqual(["tcp 80"]);
  });

  test("changed: another address outside", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80);
    const before = port.endpoints;
    const events = new Events(port);
    lab.router.externalAddress = "8.8.4.4";
    lab.router.reboot();
    expect(await lab.passing(events.news())).toEqual({ type: "changed", endpoints: port.endpoints, before });
    expect([before[0]?.host, port.endpoints[0]?.host]).toEqual(["203.0.113.5", "8.8.4.4"]);
    expect(port.note).toBeNull();
  });

  test("lost and reopened, and each reader hears it", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80);
    const before = port.endpoints;
    const [one, other] = [new Events(port), new Events(port)];
    lab.router.outcome = (call) => (call.kind === "map" ? "refused" : null);
    lab.router.reboot();
    const lost = { type: "lost", kind: "refused", message: "The router was refused." } as const;
    expect(await lab.passing(one.news())).toEqual(lost);
    expect(port.state).toBe("lost");
    expect(port.endpoints).toEqual([]);
    expect(port.leaseEnds).toBeNull();
    expect(port.note).toEqual({ kind: "lost", message: lost.message });
    expect(port.router.address).toBe("192.168.1.1");
    lab.router.outcome = () => null;
    lab.router.reboot();
    expect(await lab.passing(one.news())).toEqual({ type: "reopened", endpoints: before, before });
    expect(port.state).toBe("open");
    expect([await other.news(), await other.news()]).toEqual([lost, { type: "reopened", endpoints: before, before }]);
  });

  test("a reader who leaves early hears no more; the port stays", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80);
    const first = (async () => {
      for await (const event of port.events()) return event.type;
      return null;
    })();
    lab.router.externalAddress = "8.8.4.4";
    lab.router.reboot();
    expect(await lab.passing(first)).toBe("changed");
    expect(port.state).toBe("open");
  });
});

describe("a fault of ours", () => {
  const fault = new Error("this cannot happen");
  const broken = () => {
    throw fault;
  };

  test("while it is opened: that is what openPort rejects with", async () => {
    await using lab = new LibraryLab();
    lab.router.outcome = broken;
    const why: unknown = await lab.openPort(80).catch((error: unknown) => error);
    expect(why).toBe(fault);
  });

  test("later: readers are thrown it, and the port is closed", async () => {
    await using lab = new LibraryLab();
    const port = await lab.openPort(80);
    const events = new Events(port);
    lab.router.outcome = broken;
    lab.router.reboot();
    const why: unknown = await lab.passing(events.next()).catch((error: unknown) => error);
    expect(why).toBe(fault);
    expect(port.state).toBe("closed");
    await lab.passing(port.close());
    const late: unknown = await Array.fromAsync(port.events()).catch((error: unknown) => error);
    expect(late).toBe(fault);
  });
});

test("another port than asked for: a note", async () => {
  await using lab = new LibraryLab();
  lab.router.externalAddress = "8.8.4.4";
  lab.router.take("tcp", 80);
  const port = await lab.openPort(80);
  expect(port.endpoints[0]?.port).not.toBe(80);
  expect(port.note?.kind).toBe("other-port");
  expect(port.note?.message).toMatch(/^Port 80\/tcp is taken at the router, so it is \d+ outside\.$/);
});

test("a router that does not tell its address: null, and a note", async () => {
  await using lab = new LibraryLab();
  lab.router.externalAddress = null;
  const port = await lab.openPort(80);
  expect(port.endpoints[0]?.host).toBeNull();
  expect(port.note?.kind).toBe("address-untold");
});
