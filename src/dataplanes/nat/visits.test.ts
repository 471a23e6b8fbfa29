import { describe, expect, test } from "bun:test";
import { natForward, natPinhole } from "../../../test/contract/nat-plane.ts";
import type { CommandOutput, Run } from "../../os/command.ts";
import { ok } from "../../wire/result.ts";
import type { EndedConnection, NatEntry } from "./state.ts";
import { createNatVisits, type NatVisitName, parseTracked, VISITS_MAX, VISITS_PER_ENTRY } from "./visits.ts";

const GATEWAY = "203.0.113.20";
const HOST = "192.168.77.2";
const HOST6 = "2001:db8::2";
const at = (address: string, port: number) => ({ address, port });

interface Shape {
  readonly protocol?: "tcp" | "udp";
  readonly port?: number;
  readonly to?: string;
  readonly toPort?: number;
  readonly id?: number;
  readonly sport?: number;
  readonly start?: string;
}
/** A line as conntrack 1.4.7 prints it, of a visitor who came to the gateway's port and was led to `to`. */
function led({
  protocol = "tcp",
  port = 80,
  to = HOST,
  toPort = 8080,
  id = 7,
  sport = 40_001,
  start,
}: Shape = {}): string {
  const state = protocol === "tcp" ? "tcp      6 431998 ESTABLISHED" : "udp      17 28";
  const since = start === undefined ? "" : ` delta-time=1 [start=${start}]`;
  return `${state} src=198.51.100.7 dst=${GATEWAY} sport=${sport} dport=${port} packets=3 bytes=170 src=${to} dst=198.51.100.7 sport=${toPort} dport=${sport} packets=2 bytes=112 [ASSURED] mark=0${since} use=1 id=${id}`;
}
const web = natForward({ id: "web", first: 80, to: HOST, internalFirst: 8080 });
const games = natForward({ id: "games", protocol: "udp", first: 7000, last: 7010, to: HOST, internalFirst: 8000 });
const camera = natPinhole({ id: "camera", first: 554, last: 554, to: HOST6 });

describe("what conntrack 1.4.7 prints", () => {
  test.each<[string, string, object | null]>([
    [
      "TCP, translated, with all that the kernel keeps",
      led({ start: "Sun Nov  9 01:42:26 2025" }),
      {
        protocol: "tcp",
        visitor: at("198.51.100.7", 40_001),
        entry: at(GATEWAY, 80),
        answeredBy: at(HOST, 8080),
        answeredTo: at("198.51.100.7", 40_001),
        id: 7,
        openedMs: Date.UTC(2025, 10, 9, 1, 42, 26),
        bytesIn: 170,
        bytesOut: 112,
      },
    ],
    [
      "UDP that nobody answered, where the kernel keeps nothing",
      "udp      17 28 src=198.51.100.7 dst=203.0.113.20 sport=55482 dport=9 [UNREPLIED] src=203.0.113.20 dst=198.51.100.7 sport=9 dport=55482 mark=0 use=1 id=1817284989",
      { protocol: "udp", id: 1_817_284_989, openedMs: null, bytesIn: null, bytesOut: null, entry: at(GATEWAY, 9) },
    ],
    [
      "IPv6",
      "tcp      6 117 SYN_SENT src=2001:db8:1::7 dst=2001:db8::2 sport=1 dport=554 packets=1 bytes=80 [UNREPLIED] src=2001:db8::2 dst=2001:db8:1::7 sport=554 dport=1 packets=0 bytes=0 mark=1 use=1 id=3",
      { visitor: at("2001:db8:1::7", 1), entry: at(HOST6, 554), bytesIn: 80, bytesOut: 0 },
    ],
    [
      "a flow that a flow table moves has no time-out and no state",
      "tcp      6 src=198.51.100.7 dst=203.0.113.20 sport=1 dport=80 packets=3 bytes=170 src=192.168.77.2 dst=198.51.100.7 sport=8080 dport=1 packets=2 bytes=112 [OFFLOAD] mark=0 use=3 id=9",
      { id: 9, bytesIn: 170, bytesOut: 112 },
    ],
    ["TCP that is over", led().replace("ESTABLISHED", "TIME_WAIT"), null],
    [
      "another protocol",
      "icmp     1 29 src=1.2.3.4 dst=5.6.7.8 type=8 code=0 id=1 src=5.6.7.8 dst=1.2.3.4 type=0 code=0 id=1 use=1 id=5",
      null,
    ],
    ["a line without the number", led().replace(/ id=\d+/, ""), null],
    ["half a line", led().slice(0, 90), null],
    ["nothing", "", null],
  ])("%s", (_, line, expected) => {
    expect(parseTracked(`${line}\n`)).toMatchObject(expected === null ? [] : [expected]);
  });
});

/** A program that prints these lists, and what it was asked. */
function lab(
  lists: { readonly ipv4?: readonly string[]; readonly ipv6?: readonly string[] },
  entries: readonly NatEntry[],
) {
  const asked: string[] = [];
  const shut: EndedConnection[] = [];
  const run: Run = async (argv) => {
    const family = argv[argv.indexOf("-f") + 1] === "ipv6" ? "ipv6" : "ipv4";
    const done = (exitCode: number, stdout: string, stderr = ""): CommandOutput => ({ exitCode, stdout, stderr });
    if (argv[1] === "-L") return ok(done(0, (lists[family] ?? []).map((line) => `${line}\n`).join("")));
    asked.push(`${shut.length} shut; ${argv.slice(1).join(" ")}`);
    return ok(done(0, `${lists[family]?.[0]}\n`));
  };
  const visits = createNatVisits({
    run,
    entries: () => new Map(entries.map((entry) => [entry.id, entry])),
    shut: async (connection) => void shut.push(connection),
  });
  const listed = async () => {
    const found = await visits.list();
    if (!found.ok) throw new Error(found.error.message);
    return found.value;
  };
  return { visits, listed, asked, shut };
}

describe("what is a visit", () => {
  test.each<[string, string, string | null]>([
    ["of a forward", led(), "web"],
    ["of a range, to the port that it leads to", led({ protocol: "udp", port: 7010, toPort: 8010 }), "games"],
    ["not of the range's next port", led({ protocol: "udp", port: 7011, toPort: 8011 }), null],
    ["not of another protocol", led({ port: 7000, toPort: 8000 }), null],
    ["not what leads to another port", led({ toPort: 8081 }), null],
    ["not what leads to another host", led({ to: "192.168.77.3" }), null],
    ["not what goes to this machine itself", led({ to: GATEWAY, toPort: 80 }), null],
    ["not what reaches the host untranslated", led().replace(`dst=${GATEWAY}`, `dst=${HOST}`), null],
  ])("%s", async (_, line, entryId) => {
    const { listed } = lab({ ipv4: [line] }, [games, web]);
    expect((await listed()).map((visit) => visit.entryId)).toEqual(entryId === null ? [] : [entryId]);
  });

  test("of a pinhole, to the host's own address", async () => {
    const line = (port: number) =>
      `tcp      6 9 ESTABLISHED src=2001:db8:1::7 dst=${HOST6} sport=1 dport=${port} src=${HOST6} dst=2001:db8:1::7 sport=${port} dport=1 [ASSURED] mark=1 use=1 id=${port}`;
    const { listed } = lab({ ipv6: [line(553), line(554), line(555)] }, [camera]);
    expect(await listed()).toMatchObject([{ entryId: "camera", id: 554, bytesIn: null }]);
  });

  test("the newest come first, those that are not known to have begun last", async () => {
    const lines = [
      led({ id: 1, start: "Sun Nov 29 01:00:00 2026" }),
      led({ id: 2 }),
      led({ id: 3, start: "Sun Nov 29 02:00:00 2026" }),
    ];
    expect((await lab({ ipv4: lines }, [web]).listed()).map(({ id }) => id)).toEqual([3, 1, 2]);
  });

  test("a flood of one entry hides no other, and there is an end", async () => {
    const flood = (entry: number) =>
      Array.from({ length: VISITS_PER_ENTRY + 5 }, (_, n) => led({ id: n, port: entry, toPort: entry }));
    const forwards = (count: number) =>
      Array.from({ length: count }, (_, n) => natForward({ id: `${n}`, first: n + 1, to: HOST, internalFirst: n + 1 }));
    const two = await lab({ ipv4: [...flood(1), led({ port: 2, toPort: 2 })] }, forwards(2)).listed();
    expect([two.length, two.some(({ entryId }) => entryId === "1")]).toEqual([VISITS_PER_ENTRY + 1, true]);
    const many = VISITS_MAX / VISITS_PER_ENTRY + 1;
    const all = Array.from({ length: many }, (_, n) => flood(n + 1)).flat();
    expect((await lab({ ipv4: all }, forwards(many)).listed()).length).toBe(VISITS_MAX);
  });
});

describe("ending", () => {
  const name: NatVisitName = { protocol: "tcp", visitor: at("198.51.100.7", 40_001), entry: at(GATEWAY, 80), id: 7 };
  const TUPLE =
    "-D -f ipv4 -p tcp -s 198.51.100.7 --sport 40001 -d 203.0.113.20 --dport 80 -r 192.168.77.2 --reply-port-src 8080 -q 198.51.100.7 --reply-port-dst 40001";

  test("one deletes exactly that, and its connection is shut before", async () => {
    const { visits, asked, shut } = lab({ ipv4: [led()] }, [web]);
    expect(await visits.end(name)).toEqual(ok(true));
    expect(asked).toEqual([`1 shut; ${TUPLE}`]);
    expect(shut).toEqual([{ visitor: name.visitor, entry: name.entry }]);
  });

  test("a UDP flow needs no shutting", async () => {
    const { visits, shut } = lab({ ipv4: [led({ protocol: "udp", port: 7000, toPort: 8000 })] }, [games]);
    expect(await visits.end({ ...name, protocol: "udp", entry: at(GATEWAY, 7000) })).toEqual(ok(true));
    expect(shut).toEqual([]);
  });

  test.each<[string, Partial<NatVisitName>, readonly NatEntry[]]>([
    ["one that came later from the same port", { id: 8 }, [web]],
    ["one of another visitor", { visitor: at("198.51.100.8", 40_001) }, [web]],
    ["one to another port", { entry: at(GATEWAY, 81) }, [web]],
    ["one of another protocol", { protocol: "udp" }, [web]],
    ["one of the other family", { entry: at(HOST6, 80) }, [web]],
    ["what no entry leads", {}, [games, camera]],
  ])("not %s", async (_, change, entries) => {
    const { visits, asked, shut } = lab({ ipv4: [led()] }, entries);
    expect(await visits.end({ ...name, ...change })).toEqual(ok(false));
    expect([asked, shut]).toEqual([[], []]);
  });

  test("one that ends by itself meanwhile is over", async () => {
    const gone = "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n";
    const run: Run = async (argv) =>
      ok(argv[1] === "-L" ? { exitCode: 0, stdout: led(), stderr: "" } : { exitCode: 1, stdout: "", stderr: gone });
    const visits = createNatVisits({ run, entries: () => new Map([["web", web]]), shut: async () => undefined });
    expect(await visits.end(name)).toEqual(ok(false));
  });

  test("what the program refuses is a sentence", async () => {
    const stderr = "conntrack v1.4.7 (conntrack-tools): Operation failed: Operation not permitted";
    const run: Run = async () => ok({ exitCode: 1, stdout: "", stderr });
    const visits = createNatVisits({ run, entries: () => new Map(), shut: async () => undefined });
    expect(await visits.list()).toMatchObject({ ok: false, error: { kind: "permission" } });
    expect(await visits.end(name)).toMatchObject({ ok: false, error: { kind: "permission" } });
  });
});
