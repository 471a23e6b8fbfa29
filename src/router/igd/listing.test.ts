import { describe, expect, test } from "bun:test";
import type { FakeMapping } from "../../../test/fixtures/fake-router/igd.ts";
import { IgdBench } from "../../../test/fixtures/fake-router/igd-bench.ts";
import type { ListedMapping } from "../../core/router/model.ts";
import { renderPortListing } from "../../wire/igd/port-listing.ts";

const MAPPING: FakeMapping = {
  client: "127.0.0.5",
  internalPort: 80,
  enabled: true,
  description: "a & b",
  leaseSec: 60,
};
const LISTED: ListedMapping = {
  protocol: "tcp",
  externalPort: 8080,
  internalAddress: "127.0.0.5",
  internalPort: 80,
  enabled: true,
  description: "a & b",
  remainingSec: 60,
};

async function benchWith(mappings: Readonly<Record<string, FakeMapping>>, version: 1 | 2 = 1) {
  const bench = await IgdBench.start({ version });
  const mapper = await bench.mapper();
  for (const [key, mapping] of Object.entries(mappings)) bench.fake.mappings.set(key, { ...mapping });
  return { bench, mapper };
}

describe("one by one, as version 1 has it", () => {
  test.each([
    ["nothing", {}, []],
    ["one", { "tcp 8080": MAPPING }, [LISTED]],
    [
      "more",
      { "tcp 8080": MAPPING, "udp 53": { ...MAPPING, enabled: false, leaseSec: 0, description: "x\u0007\ty" } },
      [
        LISTED,
        { ...LISTED, protocol: "udp", externalPort: 53, enabled: false, remainingSec: null, description: "x y" },
      ],
    ],
  ] as const)("%s", async (_name, mappings, expected) => {
    const { bench, mapper } = await benchWith(mappings);
    await using _bench = bench;
    expect(await mapper.list(bench.signal)).toEqual({ ok: true, value: [...expected] });
  });

  test.each([713, 714, 402, 501])("the end in the word %p", async (code) => {
    const { bench, mapper } = await benchWith({ "tcp 8080": MAPPING });
    await using _bench = bench;
    bench.fake.faults.refuse = (_action, args) => (args.get("NewPortMappingIndex") === "0" ? null : code);
    expect(await mapper.list(bench.signal)).toEqual({ ok: true, value: [LISTED] });
  });

  test.each([
    [401, "unsupported"],
    [606, "refused"],
  ] as const)("not at all: %p", async (code, kind) => {
    const { bench, mapper } = await benchWith({});
    await using _bench = bench;
    bench.fake.faults.refuse = () => code;
    expect(await mapper.list(bench.signal)).toMatchObject({ ok: false, error: { kind } });
  });

  test("a router that repeats its last one for ever", async () => {
    const { bench, mapper } = await benchWith({ "tcp 8080": MAPPING });
    await using _bench = bench;
    bench.fake.repeatsLast = true;
    expect(await mapper.list(bench.signal)).toEqual({ ok: true, value: [LISTED] });
    expect(bench.fake.count("GetGenericPortMappingEntry")).toBe(2);
  });

  test("a row that makes no sense is left out", async () => {
    const { bench, mapper } = await benchWith({ "tcp 8080": { ...MAPPING, client: "my-pc" }, "tcp 8081": MAPPING });
    await using _bench = bench;
    expect(await mapper.list(bench.signal)).toEqual({ ok: true, value: [{ ...LISTED, externalPort: 8081 }] });
  });

  test("what came in ten seconds is the list", async () => {
    const { bench, mapper } = await benchWith({ "tcp 8080": MAPPING, "tcp 8081": MAPPING, "tcp 8082": MAPPING });
    await using _bench = bench;
    bench.fake.faults.refuse = () => {
      bench.nowMs += 6000;
      return null;
    };
    const listed = await mapper.list(bench.signal);
    expect(listed.ok && listed.value.map(({ externalPort }) => externalPort)).toEqual([8080, 8081]);
  });

  test("a router that goes away", async () => {
    const { bench, mapper } = await benchWith({ "tcp 8080": MAPPING });
    await using _bench = bench;
    bench.fake.faults.silentSearch = true;
    await bench.fake.stopHttp();
    expect(await mapper.list(bench.signal)).toMatchObject({ ok: false, error: { kind: "closed" } });
  });
});

describe("at once, as version 2 has it", () => {
  const row = (protocol: "tcp" | "udp", externalPort: number) => ({
    remoteHost: null,
    externalPort,
    protocol,
    internalPort: 80,
    internalClient: "127.0.0.5",
    enabled: true,
    description: "a & b",
    leaseSec: 60,
  });

  /** Answers GetListOfPortMappings itself. */
  function listing(bench: IgdBench, page: (args: ReadonlyMap<string, string>) => string | number): void {
    bench.fake.perform = (action, args) => {
      if (action !== "GetListOfPortMappings") return null;
      const answer = page(args);
      return typeof answer === "number" ? answer : { NewPortListing: answer };
    };
  }

  test("both protocols, those of other hosts with it", async () => {
    const { bench, mapper } = await benchWith({}, 2);
    await using _bench = bench;
    listing(bench, (args) => (args.get("NewProtocol") === "TCP" ? renderPortListing([row("tcp", 8080)]) : 730));
    expect(await mapper.list(bench.signal)).toEqual({ ok: true, value: [LISTED] });
    expect(bench.fake.asked.map(({ args }) => [...args.values()])).toEqual([
      ["0", "65535", "TCP", "1", "1000"],
      ["0", "65535", "UDP", "1", "1000"],
    ]);
  });

  test("a router that shows a host its own only", async () => {
    const { bench, mapper } = await benchWith({}, 2);
    await using _bench = bench;
    listing(bench, (args) => (args.get("NewManage") === "1" ? 606 : renderPortListing([row("tcp", 8080)])));
    const listed = await mapper.list(bench.signal);
    expect(listed.ok && listed.value).toHaveLength(2);
  });

  test("a router that cuts its list is asked for the rest", async () => {
    const { bench, mapper } = await benchWith({}, 2);
    await using _bench = bench;
    listing(bench, (args) => {
      if (args.get("NewProtocol") === "UDP") return 730;
      const start = Number(args.get("NewStartPort"));
      const ports = Array.from({ length: 300 }, (_, at) => 1000 + at).filter((port) => port >= start);
      return ports.length === 0 ? 730 : renderPortListing(ports.slice(0, 200).map((port) => row("tcp", port)));
    });
    const listed = await mapper.list(bench.signal);
    expect(listed.ok && listed.value.map(({ externalPort }) => externalPort)).toEqual(
      Array.from({ length: 300 }, (_, at) => 1000 + at),
    );
  });

  test("miniupnpd's order is no reason to ask again", async () => {
    const { bench, mapper } = await benchWith({}, 2);
    await using _bench = bench;
    const ports = Array.from({ length: 200 }, (_, at) => 2000 - at);
    listing(bench, (args) =>
      args.get("NewProtocol") === "UDP" ? 730 : renderPortListing(ports.map((port) => row("tcp", port))),
    );
    const listed = await mapper.list(bench.signal);
    expect([listed.ok && listed.value.length, bench.fake.count("GetListOfPortMappings")]).toEqual([200, 2]);
  });

  test("a thousand at most", async () => {
    const { bench, mapper } = await benchWith({}, 2);
    await using _bench = bench;
    listing(bench, (args) => {
      const start = Number(args.get("NewStartPort"));
      return renderPortListing(Array.from({ length: 500 }, (_, at) => row("tcp", start + at)));
    });
    const listed = await mapper.list(bench.signal);
    expect(listed.ok && listed.value.length).toBe(1000);
  });

  test.each([401, 602, 501])("a version 2 that does not do it (%p): one by one", async (code) => {
    const { bench, mapper } = await benchWith({ "tcp 8080": MAPPING }, 2);
    await using _bench = bench;
    listing(bench, () => code);
    expect(await mapper.list(bench.signal)).toEqual({ ok: true, value: [LISTED] });
  });

  test("a listing that cannot be read", async () => {
    const { bench, mapper } = await benchWith({}, 2);
    await using _bench = bench;
    listing(bench, () => "<p:PortMappingList>");
    expect(await mapper.list(bench.signal)).toMatchObject({ ok: false, error: { kind: "garbled" } });
  });
});
