import { describe, expect, test } from "bun:test";
import { formatAge, formatAgo, formatBytes, formatLeft } from "../../src/console/format.ts";
import { draftOf, emptyFields, type ForwardFields, fieldsOf, patchOf } from "../../src/console/forwards/draft.ts";
import { presetText, presetTitle, requiredPorts } from "../../src/console/forwards/preset.ts";
import { markPlace, meaningOf, mend, portCount, sourcesWords } from "../../src/console/forwards/words.ts";
import { everySlot, firstSlotMs, PERIODS, type Period, sumOf } from "../../src/console/pages/traffic/slots.ts";
import { pageAt } from "../../src/console/paths.ts";
import { applyEvent, type LiveData, NOTHING_YET, TRAFFIC_POINTS } from "../../src/console/state/live-data.ts";
import { filterRows, pageOf, sortRows } from "../../src/console/ui/table-view.ts";
import { isHeard, reachWords } from "../../src/console/vpn/peer-words.ts";
import type { ForwardPatch, LiveEvent } from "../../src/servers/api/schema.ts";
import { parsePortSet } from "../../src/wire/port-set.ts";
import { aPeer, aTrigger } from "../fixtures/console-gateway.ts";
import { aDevice, aForward, NOW_MS, PRESETS } from "../fixtures/console-world.ts";

function parsed(text: string) {
  const set = parsePortSet(text);
  if (!set.ok) throw new Error(set.error.message);
  return set.value;
}

describe("ports in words", () => {
  test.each([
    ["8840, 8820", "tcp", ["TCP 8820 =", "TCP 8840 ="], "2 ports"],
    ["8810-8815", "udp", ["UDP 8810 to 8815 ="], "6 ports"],
    ["25565", "tcp+udp", ["TCP and UDP 25565 ="], "1 port"],
    ["8000-8001:80", "tcp", ["TCP 8000 to 8001 80 to 81"], "2 ports"],
    ["53/udp, 80/tcp", "tcp+udp", ["UDP 53 =", "TCP 80 ="], "2 ports"],
  ] as const)("%s as %s", (text, protocol, words, ports) => {
    const meaning = meaningOf(parsed(text), protocol);
    expect(meaning.map(({ protocols, outside, inside }) => `${protocols} ${outside} ${inside ?? "="}`)).toEqual([
      ...words,
    ]);
    expect(portCount(meaning)).toBe(ports);
  });

  test.each([
    ["8820, 8815-8810", "8815-8810", "8820, 8810-8815"],
    ["8810 - 8815, 80", "8810 - 8815", "8810-8815, 80"],
    ["tcp80", "tcp", "80/tcp"],
    ["80, 0443", "0443", "80, 443"],
    ["9000-99999", "99999", "9000-65535"],
  ])("%s: the place is marked, and the item mended", (text, place, mended) => {
    const set = parsePortSet(text);
    if (set.ok || set.error.suggestion === undefined) throw new Error("no suggestion");
    expect(markPlace(text, set.error).place).toBe(place);
    expect(mend(text, { ...set.error, suggestion: set.error.suggestion })).toBe(mended);
  });

  test.each([
    [[], [], "anyone"],
    [["10.0.0.0/8"], [], "10.0.0.0/8"],
    [["a", "b", "c"], ["d"], "3 networks, except d"],
    [[], ["a", "b", "c"], "anyone, except 3 networks"],
  ])("sources %p, but not %p", (allow, deny, words) => {
    expect(sourcesWords({ allow, deny })).toBe(words);
  });
});

describe("the form of a forward", () => {
  const forward = aForward("f1", "Web", "80, 443", {
    limits: { connections: 5, connectionsPerSource: null, newPerSourcePerSec: 0.5, bandwidthBytesPerSec: 12_500_000 },
    allow: ["10.0.0.0/8"],
  });

  test("what is empty is left to the relay", () => {
    expect(draftOf({ ...emptyFields("den"), ports: " 80 " }, "relay")).toEqual({
      device: "den",
      ports: "80",
      protocol: "tcp",
    });
  });

  test("the limits are texts that the relay reads", () => {
    expect(fieldsOf(forward)).toMatchObject({ connections: "5", newPerSource: "30/m", bandwidth: "12500 kB/s" });
  });

  test.each<[string, Partial<ForwardFields>, ForwardPatch]>([
    ["nothing", {}, {}],
    ["the ports, with their protocol", { ports: "81" }, { ports: "81", protocol: "tcp" }],
    ["a limit that goes", { connections: "" }, { connections: null }],
    ["sources", { allow: "10.0.0.0/8 192.0.2.1" }, { allow: ["10.0.0.0/8", "192.0.2.1"] }],
    ["anyone again", { allow: "" }, { allow: [] }],
  ])("a change of %s sends that alone", (_, change, patch) => {
    const before = fieldsOf(forward);
    expect(patchOf(before, { ...before, ...change })).toEqual(patch);
  });
});

describe("presets", () => {
  const [minecraft] = PRESETS;
  test("only what is needed, each port with its protocol", () => {
    if (minecraft === undefined) throw new Error("no preset");
    expect(presetTitle(minecraft)).toBe("Minecraft: Java");
    expect(presetText(requiredPorts(minecraft))).toBe("25565/tcp");
    expect(presetText(minecraft.ports)).toBe("25565/tcp+udp, 25575/tcp");
  });
});

describe("live data", () => {
  const read: LiveData = { ...NOTHING_YET, forwards: [aForward("f1", "a", "80")], devices: [aDevice("den")] };
  const traffic = (atMs: number, bytesIn: number): LiveEvent => ({
    event: "traffic",
    atMs,
    visitorsOpen: 1,
    forwards: [{ id: "f1", visitorsOpen: 1, visitorsTotal: 2, bytesIn, bytesOut: 0 }],
  });

  test("before the lists are read, no event begins one", () => {
    expect(applyEvent(NOTHING_YET, { event: "forward", forward: aForward("f", "a", "80") })).toBe(NOTHING_YET);
  });

  test("put, change, drop", () => {
    const added = applyEvent(read, { event: "forward", forward: aForward("f2", "b", "81") });
    expect(added.forwards?.map(({ id }) => id)).toEqual(["f1", "f2"]);
    const changed = applyEvent(added, { event: "forward", forward: aForward("f1", "c", "80") });
    expect(changed.forwards?.map(({ name }) => name)).toEqual(["c", "b"]);
    expect(applyEvent(changed, { event: "forward-gone", id: "f1" }).forwards?.map(({ id }) => id)).toEqual(["f2"]);
    expect(applyEvent(read, { event: "device-gone", id: "d-den" }).devices).toEqual([]);
  });

  test("traffic is by the second, keeps a minute, and never goes below zero when counters begin again", () => {
    let data = applyEvent(read, traffic(NOW_MS, 5_000));
    data = applyEvent(data, traffic(NOW_MS + 2_000, 9_000));
    data = applyEvent(data, traffic(NOW_MS + 3_000, 100));
    expect(data.traffic.map(({ bytesInPerSec }) => bytesInPerSec)).toEqual([0, 2_000, 0]);
    expect(data.forwards?.[0]?.counters).toMatchObject({ visitorsTotal: 2, bytesIn: 100 });
    for (let second = 0; second < 100; second++) data = applyEvent(data, traffic(NOW_MS + 4_000 + second, 100));
    expect(data.traffic).toHaveLength(TRAFFIC_POINTS);
    // What did not change stays the same object, so that its row is not drawn again.
    expect(applyEvent(data, traffic(NOW_MS + 200_000, 100)).forwards?.[0]).toBe(data.forwards?.[0]);
  });
});

describe("tables", () => {
  const rows = ["web 10", "web 2", "Alpha", null].map((name, id) => ({ name, id }));
  const columns = [{ id: "name", sortBy: (row: (typeof rows)[number]) => row.name }];
  test.each([
    [false, ["Alpha", "web 2", "web 10", null]],
    [true, ["web 10", "web 2", "Alpha", null]],
  ])("by number in the text, what is not known last; descending %p", (descending, names) => {
    expect(sortRows(rows, columns, { column: "name", descending }).map(({ name }) => name)).toEqual(names);
  });

  test("every word must be there", () => {
    expect(filterRows(rows, ({ name }) => name ?? "", "WEB 2").map(({ name }) => name)).toEqual(["web 2"]);
    expect(filterRows(rows, ({ name }) => name ?? "", "  ")).toHaveLength(4);
  });

  test.each([
    [0, 1, 2, 0],
    [1, 3, 4, 1],
    [9, 3, 4, 1],
  ])("page %i of two a page", (wanted, first, last, page) => {
    expect(pageOf(rows, wanted, 2)).toMatchObject({ first, last, page, pages: 2 });
  });

  test("nothing is one page", () => {
    expect(pageOf([], 3, 2)).toEqual({ rows: [], page: 0, pages: 1, first: 0, last: 0 });
  });
});

describe("numbers and paths", () => {
  test.each([
    [999, "999 B"],
    [1_500, "1.5 kB"],
    [20_000_000, "20 MB"],
  ])("%i bytes", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [45_000, "45 s"],
    [12 * 60_000, "12 min"],
    [200 * 60_000, "3 h 20 min"],
    [52 * 3_600_000, "2 d 4 h"],
  ])("%i ms", (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });

  test("ago", () => {
    expect([formatAgo(null, 0), formatAgo(0, 59_000), formatAgo(0, 60_000)]).toEqual([
      "never",
      "just now",
      "1 min ago",
    ]);
  });

  test.each([
    ["/", "overview"],
    ["/forwards", "forwards"],
    ["/forwards/", "forwards"],
    ["/nothing", null],
  ])("%s", (path, page) => {
    expect(pageAt(path)).toBe(page as ReturnType<typeof pageAt>);
  });
});

describe("traffic's slots", () => {
  test.each(Object.keys(PERIODS) as Period[])("%s: each in its place, up to the one of now", (period) => {
    const { span, slots } = PERIODS[period];
    const lengthMs = { hour: 3_600_000, day: 86_400_000 }[span];
    const lastMs = Math.floor(NOW_MS / lengthMs) * lengthMs;
    const carried = [{ slotMs: lastMs, bytesIn: 1, bytesOut: 2, visitors: 3 }];
    const all = everySlot(period, NOW_MS + 59_000, carried);
    expect(all).toHaveLength(slots);
    expect([all[0]?.slotMs, all.at(-1)]).toEqual([firstSlotMs(period, NOW_MS), carried[0]]);
    expect(sumOf(all)).toEqual({ bytesIn: 1, bytesOut: 2, visitors: 3 });
  });
});

describe("what a gateway has, in words", () => {
  test.each([
    [0, "0:00"],
    [-5_000, "0:00"],
    [1, "0:01"],
    [59_000, "0:59"],
    [59_001, "1:00"],
    [760_000, "12:40"],
    [11_100_000, "3:05:00"],
    [86_399_000, "23:59:59"],
    [187_200_000, "2 d 4 h"],
  ])("%d ms are left: %s", (milliseconds, words) => {
    expect(formatLeft(milliseconds)).toBe(words);
  });

  test.each([
    ["never", {}, false],
    ["just now", { latestHandshakeMs: NOW_MS }, true],
    ["a session ago", { latestHandshakeMs: NOW_MS - 180_000 }, false],
    ["just now, and is turned off", { latestHandshakeMs: NOW_MS, state: "disabled" }, false],
  ] as const)("a peer that was heard %s", (_when, more, heard) => {
    expect(isHeard(aPeer(2, "phone", more), NOW_MS)).toBe(heard);
  });

  test.each([
    [{ mode: "block-all" }, "nothing"],
    [{ mode: "open-all" }, "what it asks for"],
    [{ mode: "only", ports: "80,443", forwarded: true }, "80, 443"],
    [{ mode: "only", ports: "80,443", forwarded: false }, "80, 443, when it asks"],
  ] as const)("%o is reached by %s", (more, words) => {
    expect(reachWords(aPeer(2, "phone", more))).toBe(words);
  });

  test("peers and triggers come and go by events, and only after their lists", () => {
    const peer = aPeer(2, "phone");
    expect(applyEvent(NOTHING_YET, { event: "vpn-peer", peer }).peers).toBeNull();
    const read: LiveData = { ...NOTHING_YET, peers: [], triggers: [] };
    const with1 = applyEvent(read, { event: "vpn-peer", peer });
    expect(applyEvent(with1, { event: "vpn-peer", peer: { ...peer, name: "tablet" } }).peers).toEqual([
      { ...peer, name: "tablet" },
    ]);
    expect(applyEvent(with1, { event: "vpn-peer-gone", id: peer.id }).peers).toEqual([]);
    const trigger = aTrigger("irc");
    const armed = applyEvent(read, { event: "trigger", trigger });
    expect(armed.triggers).toEqual([trigger]);
    expect(applyEvent(armed, { event: "trigger-gone", id: trigger.id }).triggers).toEqual([]);
  });
});
