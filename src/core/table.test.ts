import { describe, expect, test } from "bun:test";
import { processorMs } from "../../test/fixtures/processor-time.ts";
import { externalPorts } from "./external-ports.ts";
import type { RemoteSpec } from "./forward.ts";
import type { Owner } from "./held.ts";
import { mappings, remoteSpec } from "./table.fixture.ts";
import { ForwardTable, type TableError } from "./table.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const nas: Owner = { account: "ann", device: "nas" };
const pi: Owner = { account: "ann", device: "pi" };
const bob: Owner = { account: "bob", device: "laptop" };

function put(table: ForwardTable, owner: Owner, spec: RemoteSpec, nowMs = 0): TableError | string {
  const outcome = table.put(owner, spec, "*", nowMs);
  return outcome.ok ? outcome.value.kind : outcome.error;
}

function message(table: ForwardTable, owner: Owner, spec: RemoteSpec, nowMs = 0): string {
  const outcome = put(table, owner, spec, nowMs);
  return typeof outcome === "string" ? outcome : outcome.message;
}

const ids = (forwards: Iterable<{ spec: RemoteSpec }>): string[] => [...forwards].map((forward) => forward.spec.id);

describe("put", () => {
  test("adds, finds by port, by device and by id", () => {
    const table = new ForwardTable();
    expect(put(table, nas, remoteSpec("web", mappings("8000-8999", "53/udp")))).toBe("added");
    for (const port of [8000, 8500, 8999]) expect(ids(table.at("tcp", port))).toEqual(["web"]);
    for (const port of [7999, 9000, 53]) expect(table.at("tcp", port)).toEqual([]);
    expect(ids(table.at("udp", 53))).toEqual(["web"]);
    expect(table.at("udp", 8000)).toEqual([]);
    expect(ids(table.ofDevice("nas"))).toEqual(["web"]);
    expect(table.ofDevice("pi")).toEqual([]);
    expect(table.get("nas", "web")?.bind).toBe("*");
    expect(table.get("nas", "ftp")).toBeNull();
    expect(ids(table.list())).toEqual(["web"]);
    expect(table.size).toBe(1);
  });

  test("the same again changes nothing", () => {
    const table = new ForwardTable();
    put(table, nas, remoteSpec("web", mappings("80")));
    const held = table.get("nas", "web");
    expect(put(table, nas, remoteSpec("web", mappings("80")))).toBe("unchanged");
    expect(table.get("nas", "web")).toBe(held);
  });

  test("a change of ports gives the old ones back", () => {
    const table = new ForwardTable();
    put(table, nas, remoteSpec("web", mappings("80-90")));
    const outcome = table.put(nas, remoteSpec("web", mappings("85-95")), "*", 0);
    expect(outcome.ok && outcome.value.kind === "changed" && outcome.value.before.spec.ports).toEqual(
      mappings("80-90"),
    );
    expect(table.at("tcp", 80)).toEqual([]);
    expect(ids(table.at("tcp", 90))).toEqual(["web"]);
    expect(table.size).toBe(1);
  });

  test("a refused change leaves what was there", () => {
    const table = new ForwardTable();
    put(table, bob, remoteSpec("mail", mappings("25")));
    put(table, nas, remoteSpec("web", mappings("80")));
    expect(put(table, nas, remoteSpec("web", mappings("20-30")))).toMatchObject({
      kind: "conflict",
      taken: { port: 25 },
    });
    expect(ids(table.at("tcp", 80))).toEqual(["web"]);
    expect(ids(table.at("tcp", 25))).toEqual(["mail"]);
  });

  test("another bind address is a change, not a second entry", () => {
    const table = new ForwardTable();
    put(table, nas, remoteSpec("web", mappings("80")));
    const outcome = table.put(nas, remoteSpec("web", mappings("80")), "192.0.2.1", 0);
    expect(outcome.ok && outcome.value.kind).toBe("changed");
    expect(table.put(bob, remoteSpec("web", mappings("80")), "192.0.2.2", 0).ok).toBe(false);
  });

  test("a disabled forward keeps its ports", () => {
    const table = new ForwardTable();
    put(table, nas, remoteSpec("web", mappings("80"), { enabled: false }));
    expect(put(table, bob, remoteSpec("web", mappings("80")))).toMatchObject({ kind: "conflict" });
  });
});

describe("ports that make no sense are invalid", () => {
  const cases: [string, ReturnType<typeof mappings>, string][] = [
    ["none", [], "The forward names no port; give it at least one."],
    ["port 0", mappings("0"), "Ports run from 1 to 65535, lower one first; 0 does not."],
    ["above the last", mappings("65000-65536"), "Ports run from 1 to 65535, lower one first; 65000-65536 does not."],
    ["backwards", mappings("90-80"), "Ports run from 1 to 65535, lower one first; 90-80 does not."],
    ["half a port", mappings("80.5"), "Ports run from 1 to 65535, lower one first; 80.5 does not."],
    ["inside too high", mappings("80-90:65530"), "Ports run from 1 to 65535, lower one first; 80-90 does not."],
    ["twice", mappings("80-90", "85:1"), "The forward names an external port twice; name each one once."],
  ];
  for (const [name, ports, expected] of cases) {
    test(name, () => {
      expect(put(new ForwardTable(), nas, remoteSpec("x", ports))).toEqual({ kind: "invalid", message: expected });
    });
  }
  test("the same number for tcp and udp is fine", () => {
    const external = externalPorts(mappings("53", "53/udp"));
    expect(external.ok && external.value.count).toBe(2);
  });
});

describe("a taken port: the message names the holder and until when", () => {
  const table = new ForwardTable({ holderName: (device) => `device "${device}.home"` });
  table.deviceBack("nas");
  put(table, nas, remoteSpec("web", mappings("80-90")));
  put(table, pi, remoteSpec("ssh", mappings("22"), { lifetimeSec: 600 }));
  put(table, pi, remoteSpec("vpn", mappings("1194"), { lifetimeSec: null }));
  put(table, pi, remoteSpec("pool", mappings("500-509"), { group: "g" }));
  const late = 2 * MINUTE_MS + 500;
  const cases: [string, Owner, RemoteSpec, string][] = [
    [
      "connected, another account",
      bob,
      remoteSpec("x", mappings("70-100")),
      'Port 80/tcp is held by device "nas.home", which is connected; choose another port.',
    ],
    [
      "away, another account",
      bob,
      remoteSpec("x", mappings("22")),
      'Port 22/tcp is reserved for device "pi.home" for another 8 min; choose another port, or try again then.',
    ],
    [
      "away for good, the same account",
      nas,
      remoteSpec("x", mappings("1190-1200")),
      'Port 1194/tcp is reserved for good for device "pi.home"; choose another port, or remove that forward.',
    ],
    [
      "the same device",
      nas,
      remoteSpec("x", mappings("85")),
      'Port 85/tcp is already used by this device\'s forward "web"; choose another port, or remove that forward.',
    ],
    [
      "could share",
      pi,
      remoteSpec("x", mappings("80-90")),
      'Port 80/tcp is held by device "nas.home", which is connected; choose another port, remove that forward, or give both the same group to share it.',
    ],
    [
      "the same group, other ports",
      nas,
      remoteSpec("x", mappings("505-510"), { group: "g" }),
      'Port 505/tcp is reserved for device "pi.home" for another 8 min; give both forwards of group "g" the same external ports.',
    ],
  ];
  for (const [name, owner, spec, expected] of cases) {
    test(name, () => expect(message(table, owner, spec, late)).toBe(expected));
  }
});

describe("groups", () => {
  const member = (id: string, ...ports: string[]): RemoteSpec => remoteSpec(id, mappings(...ports), { group: "web" });

  test("devices of one account share an entry, whatever their internal ports and the way the range is written", () => {
    const table = new ForwardTable();
    expect(put(table, nas, member("a", "80-90"))).toBe("added");
    expect(put(table, pi, member("b", "80-85:8080", "86-90:9086"))).toBe("added");
    expect(ids(table.at("tcp", 86))).toEqual(["a", "b"]);
    table.remove("nas", "a");
    expect(ids(table.at("tcp", 86))).toEqual(["b"]);
  });

  test("not another account, not another group, not other ports", () => {
    const table = new ForwardTable();
    put(table, nas, member("a", "80-90"));
    expect(put(table, bob, member("b", "80-90"))).toMatchObject({ kind: "conflict" });
    expect(put(table, pi, remoteSpec("b", mappings("80-90"), { group: "other" }))).toMatchObject({ kind: "conflict" });
    expect(put(table, pi, member("b", "80-91"))).toMatchObject({ kind: "conflict" });
    expect(put(table, pi, member("b", "80-90", "80/udp"))).toMatchObject({ kind: "conflict" });
  });

  test("a member that leaves the group while others stay is a conflict; the last one may", () => {
    const table = new ForwardTable();
    put(table, nas, member("a", "80"));
    put(table, pi, member("b", "80"));
    expect(put(table, pi, remoteSpec("b", mappings("80")))).toMatchObject({ kind: "conflict" });
    table.remove("nas", "a");
    expect(put(table, pi, remoteSpec("b", mappings("80")))).toBe("changed");
  });
});

describe("leases", () => {
  function held(more: Partial<RemoteSpec> = {}): ForwardTable {
    const table = new ForwardTable();
    table.deviceBack("nas");
    put(table, nas, remoteSpec("web", mappings("80"), more));
    return table;
  }

  test("no deadline while the device is connected, whatever the clock does", () => {
    const table = held();
    expect(table.nextDeadlineMs()).toBeNull();
    expect(table.expire(1000 * HOUR_MS)).toEqual([]);
    expect(table.isConnected("nas")).toBe(true);
  });

  test("ports stay reserved for the lifetime after the device went", () => {
    const table = held();
    expect(ids(table.deviceGone("nas", MINUTE_MS))).toEqual(["web"]);
    expect(table.nextDeadlineMs()).toBe(11 * MINUTE_MS);
    expect(table.leaseEndMs(table.ofDevice("nas")[0]!)).toBe(11 * MINUTE_MS);
    expect(table.expire(11 * MINUTE_MS - 1)).toEqual([]);
    expect(put(table, bob, remoteSpec("x", mappings("80")), 11 * MINUTE_MS - 1)).toMatchObject({ remainingMs: 1 });
    expect(ids(table.expire(11 * MINUTE_MS))).toEqual(["web"]);
    expect(put(table, bob, remoteSpec("x", mappings("80")), 11 * MINUTE_MS)).toBe("added");
  });

  test("a lease that ran out holds until expire returned it", () => {
    const table = held();
    table.deviceGone("nas", 0);
    expect(put(table, bob, remoteSpec("x", mappings("80")), HOUR_MS)).toMatchObject({
      kind: "conflict",
      remainingMs: 0,
    });
    expect(ids(table.deviceBack("nas"))).toEqual(["web"]);
    expect(table.expire(HOUR_MS)).toEqual([]);
  });

  test("a device that comes back has all it held, and its next lease is whole", () => {
    const table = held();
    table.deviceGone("nas", 0);
    expect(ids(table.deviceBack("nas"))).toEqual(["web"]);
    expect(table.nextDeadlineMs()).toBeNull();
    table.deviceGone("nas", 5 * MINUTE_MS);
    expect(table.nextDeadlineMs()).toBe(15 * MINUTE_MS);
  });

  test("gone twice does not extend the lease", () => {
    const table = held();
    table.deviceGone("nas", 0);
    table.deviceGone("nas", 5 * MINUTE_MS);
    expect(table.nextDeadlineMs()).toBe(10 * MINUTE_MS);
  });

  test("permanent never ends; zero ends at once", () => {
    const permanent = held({ lifetimeSec: null });
    permanent.deviceGone("nas", 0);
    expect(permanent.nextDeadlineMs()).toBeNull();
    const brief = held({ lifetimeSec: 0 });
    brief.deviceGone("nas", 0);
    expect(ids(brief.expire(0))).toEqual(["web"]);
  });

  test("a forward put for a device that is away has a lease; the same again does not renew it, a change does", () => {
    const table = new ForwardTable();
    put(table, nas, remoteSpec("web", mappings("80")), 0);
    expect(table.nextDeadlineMs()).toBe(10 * MINUTE_MS);
    put(table, nas, remoteSpec("web", mappings("80")), MINUTE_MS);
    expect(table.nextDeadlineMs()).toBe(10 * MINUTE_MS);
    put(table, nas, remoteSpec("web", mappings("80"), { name: "site" }), MINUTE_MS);
    expect(table.nextDeadlineMs()).toBe(11 * MINUTE_MS);
  });

  test("a clock that steps back an hour stands still: nothing ends early", () => {
    const table = held();
    table.deviceGone("nas", HOUR_MS);
    table.expire(0);
    put(table, pi, remoteSpec("ssh", mappings("22")), 0);
    expect(table.expire(HOUR_MS + 10 * MINUTE_MS - 1)).toEqual([]);
    expect(ids(table.expire(HOUR_MS + 10 * MINUTE_MS)).sort()).toEqual(["ssh", "web"]);
  });
});

describe("removal", () => {
  test("remove gives the ports back at once; a second time there is nothing", () => {
    const table = new ForwardTable();
    put(table, nas, remoteSpec("web", mappings("80")));
    expect(table.remove("nas", "web")?.spec.id).toBe("web");
    expect(table.remove("nas", "web")).toBeNull();
    expect(table.at("tcp", 80)).toEqual([]);
    expect(table.nextDeadlineMs()).toBeNull();
    expect(put(table, bob, remoteSpec("x", mappings("80")))).toBe("added");
  });

  test("removeDevice takes all of it", () => {
    const table = new ForwardTable();
    table.deviceBack("nas");
    put(table, nas, remoteSpec("web", mappings("80")));
    put(table, nas, remoteSpec("ssh", mappings("22")));
    put(table, pi, remoteSpec("ftp", mappings("21")));
    expect(ids(table.removeDevice("nas"))).toEqual(["web", "ssh"]);
    expect(table.isConnected("nas")).toBe(false);
    expect(ids(table.list())).toEqual(["ftp"]);
  });
});

test("restore holds every row for its whole lifetime and reports the ones that contradict", () => {
  const table = new ForwardTable();
  const rows = [
    { owner: nas, spec: remoteSpec("web", mappings("80")), bind: "*" },
    { owner: bob, spec: remoteSpec("web", mappings("80")), bind: "*" },
    { owner: pi, spec: remoteSpec("ssh", mappings("22")), bind: "*" },
  ];
  const rejected = table.restore(rows, 5000);
  expect(rejected.map(({ row, error }) => [row.owner.device, error.kind])).toEqual([["laptop", "conflict"]]);
  expect(ids(table.list())).toEqual(["web", "ssh"]);
  expect(table.nextDeadlineMs()).toBe(5000 + 10 * MINUTE_MS);
});

test("usage counts forwards and ports, per account and device, less the one to be replaced", () => {
  const table = new ForwardTable();
  put(table, nas, remoteSpec("web", mappings("80-89", "80/udp")));
  put(table, pi, remoteSpec("ssh", mappings("22")));
  expect(table.usage(nas)).toEqual({ account: { forwards: 2, ports: 12 }, device: { forwards: 1, ports: 11 } });
  expect(table.usage(nas, table.get("nas", "web"))).toEqual({
    account: { forwards: 1, ports: 1 },
    device: { forwards: 0, ports: 0 },
  });
  expect(table.usage(bob, table.get("nas", "web"))).toEqual({
    account: { forwards: 0, ports: 0 },
    device: { forwards: 0, ports: 0 },
  });
  table.removeDevice("nas");
  table.removeDevice("pi");
  expect(table.usage(nas).account).toEqual({ forwards: 0, ports: 0 });
});

test("10,000 forwards and 1,000-port ranges stay quick", () => {
  const table = new ForwardTable();
  const tookMs = processorMs(() => {
    for (let n = 0; n < 10_000; n++) {
      const port = 1 + ((n * 7919) % 10_000);
      put(table, { account: "ann", device: `d${n % 200}` }, remoteSpec(`f${n}`, mappings(`${port}`)), 0);
    }
    for (let n = 0; n < 50; n++)
      put(table, bob, remoteSpec(`r${n}`, mappings(`${11_000 + n * 1000}-${11_999 + n * 1000}`)));
    let found = 0;
    for (let n = 0; n < 100_000; n++) found += table.at("tcp", 1 + (n % 60_000)).length;
    for (let n = 0; n < 200; n++) table.deviceBack(`d${n}`);
    for (let n = 0; n < 200; n++) table.deviceGone(`d${n}`, 1);
    expect(table.expire(HOUR_MS)).toHaveLength(10_050);
    expect(found).toBeGreaterThan(90_000);
  });
  // About 80 ms here; the bound only catches what is quadratic.
  expect(tookMs).toBeLessThan(3000);
});
