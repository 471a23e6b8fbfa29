import { describe, expect, test } from "bun:test";
import { natSettings } from "../../../test/contract/nat-plane.ts";
import { mappingsLab } from "../../../test/fixtures/mappings-lab.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import type { NatEntry } from "../../dataplanes/nat/state.ts";

const HOST = "192.168.1.7";
function spec(port: number, more: Partial<MappingSpec> = {}): MappingSpec {
  return {
    id: `tcp-${port}`,
    name: `port ${port}`,
    group: null,
    ports: [{ protocol: "tcp", first: port, last: port, internalFirst: port }],
    lifetimeSec: 60,
    to: HOST,
    requester: HOST,
    origin: "pcp",
    askedInternalPort: port,
    nonce: null,
    allow: [],
    deny: [],
    limits: {},
    enabled: true,
    ...more,
  };
}

describe("what is answered is true in the kernel and on the disk", () => {
  test("added, changed, renewed and removed", async () => {
    await using at = await mappingsLab();
    const { book, mappings, put } = await at.start();
    await put(spec(80));
    expect([at.kernel(), await at.rows()]).toEqual([[`${HOST}/tcp-80#0`], ["tcp-80"]]);
    await put(spec(80, { enabled: false }));
    expect(at.kernel()).toEqual([]);
    await put(spec(80));
    await put(spec(80));
    expect(at.news).toEqual(["opened tcp-80", "changed tcp-80", "changed tcp-80"]);
    await mappings.remove([...book.list()], "given back");
    await mappings.idle();
    expect([at.kernel(), await at.rows(), at.news.at(-1)]).toEqual([[], [], "closed tcp-80 removed"]);
  });

  test("a kernel that refuses leaves nothing in the book or on the disk", async () => {
    await using at = await mappingsLab();
    const { book, mappings, put } = await at.start();
    at.plane.failure = { kind: "refused", message: "The kernel says no." };
    await expect(put(spec(80))).rejects.toThrow("The kernel says no.");
    at.plane.failure = null;
    await mappings.idle();
    expect([book.size, at.kernel(), await at.rows(), at.news]).toEqual([0, [], [], []]);
    expect((await put(spec(80))).kind).toBe("added");
  });

  test("a kernel that refuses a change leaves what was before", async () => {
    await using at = await mappingsLab();
    const { book, mappings, put } = await at.start();
    await put(spec(80));
    at.plane.failure = { kind: "refused", message: "The kernel says no." };
    await expect(put(spec(80, { name: "other" }))).rejects.toThrow("The kernel says no.");
    at.plane.failure = null;
    await mappings.idle();
    expect(book.at("tcp", 80)?.spec.name).toBe("port 80");
    expect(await at.rows()).toEqual(["tcp-80"]);
  });

  test("a disk that is full opens nothing, and is no obstacle once there is room", async () => {
    await using at = await mappingsLab();
    const { book, mappings, put } = await at.start();
    at.setFull(true);
    await expect(put(spec(80))).rejects.toThrow("The disk is full.");
    await mappings.idle();
    expect([book.size, at.kernel()]).toEqual([0, []]);
    at.setFull(false);
    await put(spec(80));
    expect(at.kernel()).toEqual(at.held(book));
  });

  test("a disk that is full when a lease ends closes the port all the same, and says so", async () => {
    await using at = await mappingsLab();
    const { mappings, put } = await at.start();
    await put(spec(80));
    at.setFull(true);
    at.clock.nowMs += 60_000;
    await mappings.expire();
    await mappings.idle();
    expect([at.kernel(), at.news.at(-1)]).toEqual([[], "closed tcp-80 expired"]);
    expect(at.warnings).toEqual([expect.stringContaining("The disk is full.")]);
  });
});

describe("pinholes of one port share an entry of the kernel", () => {
  const HOST6 = "fd00::7";
  const hole = (id: string, remote: string | null, more: Partial<MappingSpec> = {}): MappingSpec =>
    spec(80, {
      id,
      to: HOST6,
      requester: HOST6,
      origin: "igd",
      allow: remote === null ? [] : [{ network: `${remote}/128` as never, port: null }],
      ...more,
    });
  const fixed = (id: string, ports: readonly [number, number], more: Partial<MappingSpec> = {}) =>
    hole(id, null, {
      ports: [{ protocol: "tcp", first: ports[0], last: ports[1], internalFirst: ports[0] }],
      requester: null,
      origin: "config",
      lifetimeSec: null,
      ...more,
    });
  const laid = (plane: { entries: ReadonlyMap<string, NatEntry> }) =>
    [...plane.entries.values()]
      .toSorted((a, b) => a.first - b.first)
      .map(({ first, last, allow }) => `${first}-${last} ${allow.map(({ network }) => network).join(" ") || "all"}`);

  test("who may come is all of them; one that ends takes its own host away", async () => {
    await using at = await mappingsLab();
    const { book, mappings, put } = await at.start();
    await put(hole("a", "2001:db8::1"));
    await put(hole("b", "2001:db8::2", { lifetimeSec: 10 }));
    await put(hole("c", "2001:db8::1"));
    expect(laid(at.plane)).toEqual(["80-80 2001:db8::1/128 2001:db8::2/128"]);
    await put(hole("d", null));
    expect(laid(at.plane)).toEqual(["80-80 all"]);
    await mappings.remove(
      book.find(({ spec }) => spec.id === "d" || spec.id === "a"),
      "given back",
    );
    expect(laid(at.plane)).toEqual(["80-80 2001:db8::1/128 2001:db8::2/128"]);
    at.clock.nowMs += 10_000;
    await mappings.expire();
    expect(laid(at.plane)).toEqual(["80-80 2001:db8::1/128"]);
    await mappings.remove([...book.list()], "given back");
    expect(laid(at.plane)).toEqual([]);
  });

  test("a kernel that refuses one leaves the others as they were", async () => {
    await using at = await mappingsLab();
    const { put } = await at.start();
    await put(hole("a", "2001:db8::1"));
    at.plane.failure = { kind: "refused", message: "The kernel says no." };
    await expect(put(hole("b", "2001:db8::2"))).rejects.toThrow("The kernel says no.");
    at.plane.failure = null;
    await put(hole("c", "2001:db8::3"));
    expect(laid(at.plane)).toEqual(["80-80 2001:db8::1/128 2001:db8::3/128"]);
  });

  test("the operator's ranges may overlap, and have the last word where an app has a port of them", async () => {
    await using at = await mappingsLab();
    const { mappings, put } = await at.start();
    await put(hole("a", "2001:db8::1"));
    const only = { allow: [{ network: "2001:db8:5::/48" as never, port: null }] };
    const report = await mappings.setFixed([fixed("x", [70, 85], only), fixed("y", [82, 90])], "config");
    expect(report).toMatchObject({ added: ["port 80", "port 80"], refused: [] });
    expect(laid(at.plane)).toEqual([
      "70-79 2001:db8:5::/48",
      "80-80 2001:db8:5::/48",
      "81-81 2001:db8:5::/48",
      "82-85 all",
      "86-90 all",
    ]);
    await mappings.setFixed([fixed("x", [75, 78], only)], "config");
    expect(laid(at.plane)).toEqual(["75-78 2001:db8:5::/48", "80-80 2001:db8::1/128"]);
    const second = await at.start([fixed("x", [70, 85], { ...only, enabled: false })]);
    await second.mappings.idle();
    expect(laid(at.plane)).toEqual([]);
  });

  test("the strictest of the operator's limits holds where they overlap", async () => {
    await using at = await mappingsLab();
    const { mappings } = await at.start();
    await mappings.setFixed(
      [
        fixed("x", [80, 80], { limits: { connectionsPerSource: 9 } }),
        fixed("y", [80, 80], { limits: { connectionsPerSource: 5, newPerSourcePerSec: 2 } }),
      ],
      "config",
    );
    const [entry] = [...at.plane.entries.values()];
    expect(entry?.limits).toEqual({ connectionsPerSource: 5, newPerSourcePerSec: 2 });
  });
});

describe("after a restart", () => {
  test("leases run on, the epoch too, and what ended meanwhile is gone", async () => {
    await using at = await mappingsLab();
    const first = await at.start();
    await first.put(spec(80));
    await first.put(spec(81, { lifetimeSec: 10 }));
    await first.mappings.idle();
    at.clock.wallMs += 20_000;
    at.clock.nowMs = 5;
    const second = await at.start();
    await second.mappings.idle();
    expect([at.held(second.book), at.kernel(), await at.rows()]).toEqual([
      [`${HOST}/tcp-80#0`],
      [`${HOST}/tcp-80#0`],
      ["tcp-80"],
    ]);
    expect(second.book.nextDeadlineMs()).toBe(40_005);
    expect(second.epoch.epochSec(at.clock.nowMs)).toBe(20);
  });

  test("a peer's ports that ended are still kept for it", async () => {
    await using at = await mappingsLab();
    at.sticky.add(HOST);
    const first = await at.start();
    await first.put(spec(80));
    at.clock.nowMs += 60_000;
    await first.mappings.expire();
    await first.mappings.idle();
    expect(await at.rows()).toEqual(["tcp-80"]);
    const second = await at.start();
    expect([second.book.size, second.book.isKept(spec(80))]).toEqual([0, true]);
    at.sticky.clear();
    const third = await at.start();
    await third.mappings.idle();
    expect([third.book.isKept(spec(80)), await at.rows()]).toEqual([false, []]);
  });

  test("the configuration goes first, and is not stored", async () => {
    await using at = await mappingsLab();
    const first = await at.start();
    await first.put(spec(80));
    const fixed = spec(80, {
      id: "mapping/web",
      requester: null,
      origin: "config",
      lifetimeSec: null,
      to: "192.168.1.9",
    });
    const second = await at.start([fixed]);
    await second.mappings.idle();
    expect([at.held(second.book), await at.rows()]).toEqual([["192.168.1.9/mapping/web#0"], []]);
    expect(at.warnings).toEqual([expect.stringContaining("was not restored")]);
  });
});

test("setFixed makes the configuration's mappings exactly these, and touches nothing that stays", async () => {
  await using at = await mappingsLab();
  const { mappings, put } = await at.start();
  const fixed = (port: number, more: Partial<MappingSpec> = {}) =>
    spec(port, {
      id: `mapping/${port}`,
      name: `${port}`,
      requester: null,
      origin: "config",
      lifetimeSec: null,
      ...more,
    });
  await put(spec(90));
  expect(await mappings.setFixed([fixed(80), fixed(81)], "config")).toMatchObject({ added: ["80", "81"], refused: [] });
  const report = await mappings.setFixed(
    [fixed(80), fixed(81, { deny: [], name: "81", limits: { connectionsPerSource: 3 } }), fixed(90)],
    "config",
  );
  expect(report).toMatchObject({ added: [], changed: ["81"], removed: [], refused: [expect.stringContaining("90")] });
  expect(await mappings.setFixed([], "config")).toMatchObject({ removed: ["80", "81"] });
  expect(at.kernel()).toEqual([`${HOST}/tcp-90#0`]);
});

test("setFixed says what the kernel refuses, and neither holds it nor tells of it as open", async () => {
  await using at = await mappingsLab();
  const { book, mappings } = await at.start();
  const fixed = spec(80, { id: "mapping/web", name: "web", requester: null, origin: "config", lifetimeSec: null });
  at.plane.failure = { kind: "refused", message: "The kernel says no." };
  const report = await mappings.setFixed([fixed], "config");
  expect(report).toEqual({ added: [], changed: [], removed: [], refused: ['mapping "web": The kernel says no.'] });
  expect([book.size, at.news]).toEqual([0, []]);
  at.plane.failure = null;
  expect(await mappings.setFixed([fixed], "config")).toMatchObject({ added: ["web"], refused: [] });
});

test("what a peer does not take is held, and not in the kernel", async () => {
  await using at = await mappingsLab();
  const { book, mappings, put } = await at.start();
  await put(spec(80));
  at.closed.add(HOST);
  await mappings.replace(natSettings());
  expect([book.size, at.kernel()]).toEqual([1, []]);
  at.closed.clear();
  await mappings.replace(natSettings());
  expect(at.kernel()).toEqual(at.held(book));
});
