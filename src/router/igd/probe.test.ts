import { describe, expect, test } from "bun:test";
import type { FakeLine, Misbehaviour } from "../../../test/fixtures/fake-router/igd.ts";
import { IgdBench, WISH } from "../../../test/fixtures/fake-router/igd-bench.ts";
import { xmlBomb } from "../../../test/fixtures/fake-router/igd-documents.ts";
import { FRAMINGS } from "../../../test/fixtures/fake-router/igd-framing.ts";
import { ROUTER_SAMPLES } from "../../../test/fixtures/igd/routers.ts";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import type { RouterFailureKind } from "../../core/router/model.ts";
import type { IgdProbe } from "./probe.ts";

/** search.ts: nothing was found until then; something was, and what comes with it has come. */
const END_MS = 2200;
const SETTLE_MS = 300;
/** exchange.ts */
const DEADLINE_MS = 3000;

const PPP: Partial<FakeLine> = { name: "WANPPPConnection" };

describe("a router is found", () => {
  test.each([
    ["of version 1", {}, "igd1", "WANIPConnection:1"],
    ["of version 2", { version: 2 }, "igd2", "WANIPConnection:2"],
    [
      "of version 2, whose service is of version 1",
      { version: 2, lines: [{ version: 1 }] },
      "igd2",
      "WANIPConnection:1",
    ],
    ["whose line is PPP", { lines: [PPP] }, "igd1", "WANPPPConnection:1"],
  ] as const)("%s", async (_name, options, protocol, type) => {
    await using bench = await IgdBench.start(options);
    const probed = await bench.probe();
    if (!probed.ok) throw new Error(probed.error.message);
    const { protocol: found, identity, gateway, descriptionUrl } = probed.value;
    expect([found, gateway, descriptionUrl]).toEqual([protocol, bench.fake.gateway, bench.fake.location()]);
    expect(identity).toMatchObject({ manufacturer: "Fakes", name: "Fake router", page: "http://127.0.0.1:80/" });
    // By the group and by name, and one line needs no choice.
    expect([bench.fake.count("search") >= 12, bench.fake.count("description"), bench.fake.asked]).toEqual([
      true,
      1,
      [],
    ]);
    await probed.value.externalAddress(bench.signal);
    expect(bench.fake.asked.at(-1)?.serviceType).toBe(`urn:schemas-upnp-org:service:${type}`);
    expect(bench.ignored).toEqual([]);
  });

  test.each(FRAMINGS)("that marks its replies off by: %s", async (framing) => {
    await using bench = await IgdBench.start();
    bench.fake.faults.framing = framing;
    const mapper = await bench.mapper();
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: "11.22.33.44" });
  });

  test.each(["none", "wrong", "undeclared"] as const)("whose documents have namespaces: %s", async (namespaces) => {
    await using bench = await IgdBench.start();
    bench.fake.faults.namespaces = namespaces;
    const mapper = await bench.mapper();
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: "11.22.33.44" });
  });

  test("whose description is on another port", async () => {
    await using bench = await IgdBench.start();
    const other = await bench.add({ ssdpPort: 0, lines: [{ external: "5.6.7.8" }] });
    bench.fake.faults.locations = [other.location()];
    const probed = await bench.probe();
    expect(probed.ok && (await probed.value.externalAddress(bench.signal))).toEqual({ ok: true, value: "5.6.7.8" });
    expect([bench.fake.count("description"), other.count("description")]).toEqual([0, 1]);
  });

  test("that answers the second time only", async () => {
    await using bench = await IgdBench.start();
    const timers = new ManualTimers();
    bench.fake.faults.silentSearch = true;
    const probing = bench.probe({ after: timers.after });
    await bench.fake.counted("search", 12);
    bench.fake.faults.silentSearch = false;
    await timers.fire(600);
    await timers.fire(SETTLE_MS);
    expect((await probing).ok).toBe(true);
  });

  test("that a person names: nothing is searched for, and its address is the router's", async () => {
    await using bench = await IgdBench.start({ address: "127.0.0.9" });
    const gateway = { ...bench.fake.gateway, address: "127.0.0.1" };
    const probed = await bench.probe({ gateway, descriptionUrl: bench.fake.location() });
    expect(probed.ok && probed.value.gateway.address).toBe("127.0.0.9");
    expect(bench.fake.count("search")).toBe(0);
  });
});

describe("people's routers", () => {
  const table = ROUTER_SAMPLES.filter(({ expected }) => expected.services.length > 0);
  test.each(table.map((sample) => [sample.name, sample] as const))("%s", async (_name, sample) => {
    await using bench = await IgdBench.start();
    const host = new RegExp(`http://${new URL(sample.location).hostname.replaceAll(".", "\\.")}(:\\d+)?`, "g");
    const here = new URL(bench.fake.location()).origin;
    bench.fake.faults.description = sample.description.replaceAll(host, here);
    const mapper = await bench.mapper();
    expect(mapper.identity.manufacturer).toBe(sample.expected.manufacturer);
    expect((await mapper.map(WISH, null, bench.signal)).ok).toBe(true);
    const [type] = sample.expected.services[0] ?? [];
    expect(bench.fake.asked[0]?.serviceType).toBe(`urn:schemas-upnp-org:service:${type}`);
  });
});

describe("which version", () => {
  test.each([
    ["1 of 1", 1, 1, "igd1", "WANIPConnection:1"],
    ["1 of 2", 2, 1, "igd1", "WANIPConnection:1"],
    ["2 of 2", 2, 2, "igd2", "WANIPConnection:2"],
  ] as const)("%s", async (_name, has, version, protocol, type) => {
    await using bench = await IgdBench.start({ version: has });
    const mapper = await bench.mapper({ version });
    await mapper.externalAddress(bench.signal);
    expect(mapper.protocol).toBe(protocol);
    expect(bench.fake.asked[0]?.serviceType).toBe(`urn:schemas-upnp-org:service:${type}`);
  });

  test("2 of 1", async () => {
    await using bench = await IgdBench.start();
    const probed = await bench.probe({ version: 2, descriptionUrl: bench.fake.location() });
    expect(probed).toMatchObject({
      ok: false,
      error: { kind: "unsupported", message: expect.stringContaining("not 2") },
    });
  });
});

describe("which line", () => {
  const up = { status: "Connected", external: "11.22.33.44" };
  const down = { status: "Disconnected", external: "0.0.0.0" };
  const table: readonly (readonly [name: string, lines: readonly Partial<FakeLine>[], chosen: number])[] = [
    ["the connected one", [down, up], 1],
    ["the one with an address", [{ ...up, external: "0.0.0.0" }, { ...up, external: "" }, up], 2],
    ["the first of two that are connected", [up, { ...up, external: "5.6.7.8" }], 0],
    ["the connected one, though it has no address", [down, { ...up, external: "0.0.0.0" }], 1],
    ["the first, when none is connected", [down, down], 0],
    ["PPP, when that is what is connected", [down, { ...PPP, ...up }], 1],
    ["the one of version 2", [{ ...up, version: 1 }, up], 1],
  ];
  for (const split of [false, true]) {
    test.each(table)(`%s, in ${split ? "two descriptions" : "one description"}`, async (_name, lines, chosen) => {
      await using bench = await IgdBench.start({ lines, split, version: 2 });
      const probed = await bench.probe();
      if (!probed.ok) throw new Error(probed.error.message);
      bench.fake.asked.length = 0;
      bench.fake.lines.forEach((line, at) => {
        line.external = `11.22.33.${at + 1}`;
      });
      expect(await probed.value.externalAddress(bench.signal)).toEqual({ ok: true, value: `11.22.33.${chosen + 1}` });
    });
  }
});

describe("what does not count", () => {
  test("an answer of another host", async () => {
    await using bench = await IgdBench.start();
    await bench.add({ address: "127.0.0.2", lines: [{ external: "6.6.6.6" }] });
    const timers = new ManualTimers();
    const probing = bench.probe({ after: timers.after });
    await bench.hasIgnored("other-host 127.0.0.2 2");
    await timers.fire(SETTLE_MS);
    const probed = await probing;
    expect(probed.ok && (await probed.value.externalAddress(bench.signal))).toEqual({ ok: true, value: "11.22.33.44" });
    expect(probed.ok && probed.value.ignored.get("other-host")).toBeGreaterThan(1);
  });

  test("an answer of another host, when the router says nothing", async () => {
    await using bench = await IgdBench.start();
    const other = await bench.add({ address: "127.0.0.2" });
    bench.fake.faults.silentSearch = true;
    const timers = new ManualTimers();
    const probing = bench.probe({ after: timers.after });
    await bench.hasIgnored("other-host 127.0.0.2 1");
    await timers.fire(END_MS);
    const probed = await probing;
    expect(probed).toMatchObject({
      ok: false,
      error: { kind: "silent", message: expect.stringMatching(/answers did not count/) },
    });
    expect(other.count("description")).toBe(0);
  });

  test.each([
    ["another host", (port: number) => `http://127.0.0.2:${port}/root-0.xml`],
    ["this machine's name", (port: number) => `http://localhost:${port}/root-0.xml`],
    ["a name that is like an address", (port: number) => `http://127.0.0.1.example.com:${port}/`],
  ])("a description at %s", async (_name, url) => {
    await using bench = await IgdBench.start();
    const other = await bench.add({ address: "127.0.0.2" });
    const location = url(other.port);
    bench.fake.faults.locations = [location];
    const timers = new ManualTimers();
    const probing = bench.probe({ after: timers.after });
    await bench.hasIgnored(`location-elsewhere ${location} 1`);
    await timers.fire(END_MS);
    expect(await probing).toMatchObject({ ok: false, error: { kind: "silent" } });
    expect(bench.fake.count("description") + other.count("description")).toBe(0);
  });

  test("control at another host", async () => {
    await using bench = await IgdBench.start({ lines: [{ controlUrl: "http://127.0.0.2:5000/ctl/0" }] });
    const probed = await bench.probe({ descriptionUrl: bench.fake.location() });
    expect(probed).toMatchObject({
      ok: false,
      error: { kind: "garbled", message: expect.stringContaining("another host") },
    });
    expect(bench.ignored).toEqual(["control-elsewhere http://127.0.0.2:5000/ctl/0 1"]);
  });

  test("control at another host, beside one at the router", async () => {
    await using bench = await IgdBench.start({ lines: [{ controlUrl: "//127.0.0.2/c" }, { external: "5.6.7.8" }] });
    const mapper = await bench.mapper();
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: "5.6.7.8" });
    expect(mapper.ignored).toEqual(new Map([["control-elsewhere", 1]]));
  });

  test("a datagram that is no SSDP", async () => {
    await using bench = await IgdBench.start();
    bench.fake.faults.locations = ["ftp://127.0.0.1/"];
    const timers = new ManualTimers();
    const probing = bench.probe({ after: timers.after });
    await bench.hasIgnored("unreadable 127.0.0.1 1");
    await timers.fire(END_MS);
    expect((await probing).ok).toBe(false);
  });
});

describe("a router that cannot be used", () => {
  const table: readonly (readonly [
    name: string,
    faults: Partial<Misbehaviour>,
    kind: RouterFailureKind,
    message: RegExp,
  ])[] = [
    ["entities that grow", { description: xmlBomb() }, "garbled", /dtd/],
    [
      "a description of 1 MB",
      { description: `<root>${" ".repeat(1_048_576)}</root>` },
      "garbled",
      /more than any router/,
    ],
    [
      "the same, of no length",
      { description: `<root>${" ".repeat(1_048_576)}</root>`, framing: "close" },
      "garbled",
      /more than any/,
    ],
    ["a page in its place", { description: "<html><body>Sign in</body></html>" }, "garbled", /no-device/],
    ["a description that is cut", { description: "<root><device>" }, "garbled", /truncated/],
    ["nothing that maps", { description: "<root><device/></root>" }, "unsupported", /maps no ports/],
    ["no description there", { status: 404 }, "garbled", /not there any more/],
    ["a redirect", { status: 302 }, "garbled", /status 302/],
    ["a password", { status: 401 }, "refused", /does not let/],
    ["no HTTP", { garble: () => new Uint8Array(0), description: "" }, "garbled", /truncated/],
  ];
  test.each(table)("%s", async (_name, faults, kind, message) => {
    await using bench = await IgdBench.start();
    Object.assign(bench.fake.faults, faults);
    const probed = await bench.probe({ descriptionUrl: bench.fake.location() });
    expect(probed).toMatchObject({ ok: false, error: { kind, message: expect.stringMatching(message) } });
  });

  test("nothing there", async () => {
    await using bench = await IgdBench.start();
    const location = bench.fake.location();
    await bench.fake.stopHttp();
    expect(await bench.probe({ descriptionUrl: location })).toMatchObject({ ok: false, error: { kind: "closed" } });
  });

  test("no answer to a search", async () => {
    await using bench = await IgdBench.start();
    bench.fake.faults.silentSearch = true;
    const timers = new ManualTimers();
    const probing = bench.probe({ after: timers.after });
    await timers.fire(END_MS);
    expect(await probing).toMatchObject({
      ok: false,
      error: { kind: "silent", message: expect.stringMatching(/turn UPnP on.*page\.$/) },
    });
  });

  test("no answer to a request", async () => {
    await using bench = await IgdBench.start();
    bench.fake.faults.silentHttp = true;
    const timers = new ManualTimers();
    const probing = bench.probe({ descriptionUrl: bench.fake.location(), after: timers.after });
    await bench.fake.counted("description");
    await timers.fire(DEADLINE_MS);
    expect(await probing).toMatchObject({ ok: false, error: { kind: "silent" } });
  });

  test.each([
    ["in the search", {}, "search"],
    ["in a request", { descriptionUrl: "named" }, "description"],
  ] as const)("called off %s", async (_name, over, event) => {
    await using bench = await IgdBench.start();
    bench.fake.faults.silentHttp = true;
    bench.fake.faults.silentSearch = true;
    const timers = new ManualTimers();
    const named: Partial<IgdProbe> = "descriptionUrl" in over ? { descriptionUrl: bench.fake.location() } : {};
    const probing = bench.probe({ ...named, after: timers.after });
    await bench.fake.counted(event);
    bench.ending.abort();
    expect(await probing).toMatchObject({ ok: false, error: { message: expect.stringContaining("called off") } });
    expect(timers.count()).toBe(0);
  });

  test.each(["router.lan", "http://router.lan:5000/x", "https://127.0.0.1/x", ""])(
    "the named description %j",
    async (descriptionUrl) => {
      await using bench = await IgdBench.start();
      expect(await bench.probe({ descriptionUrl })).toMatchObject({
        ok: false,
        error: { message: expect.stringContaining("http://ADDRESS") },
      });
    },
  );

  test("an address of this machine that has gone: the search cannot start", async () => {
    await using bench = await IgdBench.start();
    const gateway = { ...bench.fake.gateway, ownAddress: "203.0.113.77" };
    expect(await bench.probe({ gateway })).toMatchObject({
      ok: false,
      error: { kind: "silent", message: expect.stringContaining("still on its network") },
    });
  });
});
