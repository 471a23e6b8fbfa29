import { describe, expect, test } from "bun:test";
import { outlineOf, parseElements, parseTable, tableBlock } from "./listing.ts";
import { lineReader } from "./monitor.ts";
import { classify } from "./nft.ts";

describe("what nft says is classified", () => {
  const cases: [string, number, string, string, string][] = [
    [
      "not root",
      1,
      "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted",
      "permission",
      "CAP_NET_ADMIN",
    ],
    [
      "no such kind of chain",
      1,
      "/dev/stdin:3:1-5: Error: Could not process rule: Operation not supported\nadd chain …",
      "unsupported",
      "Linux 5.10",
    ],
    [
      "no netlink",
      1,
      "internal:0:0-0: Error: Unable to initialize Netlink socket: Protocol not supported",
      "unsupported",
      "Linux 5.10",
    ],
    ["no nft behind ip", 255, 'exec of "nft" failed: No such file or directory', "missing", "Install nftables"],
    ["no nft behind another program", 127, "env: 'nft': No such file or directory", "missing", "Install nftables"],
    [
      "a conflict",
      1,
      "/dev/stdin:1:1-2: Error: Could not process rule: File exists\nadd element …\n^^^",
      "refused",
      "Could not process rule: File exists.",
    ],
    ["nothing at all", 1, "", "refused", "it did not say why"],
  ];
  test.each(cases)("%s", (_name, exitCode, stderr, kind, words) => {
    const error = classify({ exitCode, stdout: "", stderr });
    expect(error.kind).toBe(kind as typeof error.kind);
    expect(error.message).toContain(words);
    expect(error.message).toEndWith(".");
  });
});

describe("what nft lists is read", () => {
  const wrap = (kind: "set" | "map", rest: object): string =>
    JSON.stringify({
      nftables: [
        { metainfo: { version: "1.0.6" } },
        { [kind]: { family: "inet", table: "hatchway", name: "x", ...rest } },
      ],
    });

  test("a map of concatenations with counters, protocols by number or name", () => {
    const counter = { packets: 3, bytes: 180 };
    const text = wrap("map", {
      map: "ipv4_addr . inet_service",
      elem: [
        [{ elem: { val: { concat: ["tcp", 6] }, counter } }, { concat: ["192.0.2.1", 6] }],
        [{ elem: { val: { concat: [17, { range: [6, 17] }] }, counter } }, "192.0.2.1"],
        [{ concat: [6, 80] }, { jump: { target: "hw_open4_default" } }],
      ],
    });
    expect(parseElements(text, 0)).toEqual([
      { key: "tcp . 6", data: "192.0.2.1 . 6", packets: 3, bytes: 180, expiresSec: null },
      { key: "udp . 6-17", data: "192.0.2.1", packets: 3, bytes: 180, expiresSec: null },
      { key: "tcp . 80", data: "jump hw_open4_default", packets: 0, bytes: 0, expiresSec: null },
    ]);
  });

  test("a set with networks", () => {
    const text = wrap("set", {
      elem: [
        { concat: ["fd00::1", "tcp", 80, { prefix: { addr: "2001:db8::", len: 32 } }, { range: [0, 65_535] }] },
        { concat: ["fd00::1", "tcp", 81, { prefix: { addr: "2001:db8::1", len: 128 } }, 5] },
      ],
    });
    expect(parseElements(text, 1).map(({ key }) => key)).toEqual([
      "fd00::1 . tcp . 80 . 2001:db8::/32 . 0-65535",
      "fd00::1 . tcp . 81 . 2001:db8::1 . 5",
    ]);
  });

  test("one that goes by itself", () => {
    const text = wrap("map", {
      map: "ipv4_addr",
      elem: [[{ elem: { val: "ipv4", timeout: 600, expires: 599 } }, "192.0.2.1"]],
    });
    expect(parseElements(text, null)).toEqual([
      { key: "ipv4", data: "192.0.2.1", packets: 0, bytes: 0, expiresSec: 599 },
    ]);
  });

  test.each([
    ["no elements", wrap("set", {})],
    ["no output", ""],
  ])("%s", (_name, text) => {
    expect(parseElements(text, null)).toEqual([]);
  });

  test("our table among others", () => {
    const item = (kind: string, name: string, table = "hatchway", family = "inet"): object => ({
      [kind]: { family, table, name },
    });
    const text = JSON.stringify({
      nftables: [
        { table: { family: "inet", name: "hatchway" } },
        { counter: { family: "inet", table: "hatchway", name: "hw_drop_rate_limit", packets: 7, bytes: 420 } },
        item("set", "hw_in_tcp"),
        item("map", "hw_dnat"),
        item("chain", "hw_forward"),
        item("chain", "forward", "filter"),
        item("set", "theirs", "hatchway", "ip"),
      ],
    });
    expect(parseTable(text)).toEqual({
      chains: new Set(["hw_forward"]),
      sets: new Set(["hw_in_tcp"]),
      maps: new Set(["hw_dnat"]),
      counters: new Map([["hw_drop_rate_limit", 7]]),
    });
    expect(parseTable('{"nftables": [{"table": {"family": "ip", "name": "hatchway"}}]}')).toBeNull();
  });

  test("its block in a print", () => {
    const text = "table inet a {\n\tchain b {\n\t}\n}\ntable inet hatchway {\n\tset c {\n\t}\n}\ntable inet d {\n}\n";
    expect(tableBlock(text)).toBe("table inet hatchway {\n\tset c {\n\t}\n}");
    expect(tableBlock("table inet a {\n}\n")).toBeNull();
  });
});

test("what is in a print, and how many rules", () => {
  const block =
    "table inet hatchway {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n\n\tchain a {\n\t\ttype filter hook input priority 0; policy accept;\n\t\taccept\n\t\tip daddr { 1.1.1.1, 2.2.2.2 } drop\n\t}\n\n\tchain b {\n\t}\n}";
  expect(outlineOf(block)).toEqual(
    new Map([
      ["set s", 0],
      ["a", 2],
      ["b", 0],
    ]),
  );
});

describe("the monitor rings", () => {
  const generation = (pid: number): string => `# new generation 7 by process ${pid} (nft)`;
  const cases: [string, string[], number][] = [
    [
      "for another's change of our table",
      ["add element inet hatchway hw_dnat { tcp . 1 : 1.2.3.4 . 5 }", generation(9)],
      1,
    ],
    ["not for ours", ["add element inet hatchway hw_dnat { tcp . 1 : 1.2.3.4 . 5 }", generation(1)], 0],
    ["not for another table", ["add rule inet filter forward accept", generation(9)], 0],
    ["once a transaction", ["delete table inet hatchway", "delete chain inet hatchway hw_forward", generation(9)], 1],
    ["not for what came before", ["delete table inet hatchway", generation(1), "delete table ip x", generation(9)], 0],
  ];
  test.each(cases)("%s", (_name, lines, expected) => {
    let rings = 0;
    const read = lineReader({ isOurs: (pid) => pid === 1, onForeign: () => rings++ });
    for (const line of lines) read(line);
    expect(rings).toBe(expected);
  });
});
