import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NatEntry } from "../../src/dataplanes/nat/state.ts";
import { cidr, natForward, natPinhole, natPlaneContract, natSettings } from "../contract/nat-plane.ts";
import type { Child } from "./child.ts";
import { createNatLab, type NatLab } from "./nat-plane-lab.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(30_000);

const GATEWAY = "203.0.113.20";
const OTHERS =
  "table inet admin {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}";
const MENDED_WITHIN_MS = 5_000;

const made: { net: NatLab | null } = { net: null };
const net = (): NatLab => made.net!;

beforeAll(async () => {
  made.net = createNatLab();
  const { lab, serve } = net();
  await serve(lab.agent, "agent", "tcp:8001", "tcp:8002", "udp:8001");
});
afterAll(async () => {
  await net()[Symbol.asyncDispose]();
});

natPlaneContract("the kernel's plane", () => net().newPlane());

const answers = async (port: number): Promise<boolean> =>
  (await net().askTcp(net().lab.visitor, GATEWAY, port)).startsWith("agent");
/** Elements in the order of their text: the kernel's is another one in each table. */
const ruleset = async (): Promise<string> =>
  (await net().nft("-s", "list", "ruleset"))
    .replace(/\{ ([^{}]+) \}/g, (_, list: string) => `{ ${list.split(/,\s+/).sort().join(", ")} }`)
    .trim();
/** Processes on the gateway that were started with these words. */
const running = async (commandLine: string): Promise<number[]> => {
  const { lab } = net();
  const pids = await lab.exec(lab.nat, ["ip", "netns", "pids", lab.nat.namespace]);
  return pids.stdout
    .split("\n")
    .filter(Boolean)
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8") === commandLine;
      } catch {
        // `ip netns pids` itself is gone by now.
        return false;
      }
    });
};
/** One may have died of the last changes, and be about to be started again. */
const monitors = (): Promise<number[]> =>
  eventually("a monitor runs", async () => {
    const pids = await running("nft\0monitor\0");
    return pids.length > 0 ? pids : undefined;
  });
/** The next answer on a connection that is open. */
const pong = async (child: Child): Promise<void> => {
  await child.event("open");
  const fromLine = child.stdout.length;
  child.signal("SIGUSR1");
  await child.event("pong", { fromLine });
};

describe("what others do to our table", () => {
  const entries: NatEntry[] = [
    natForward({ id: "web", first: 8001 }),
    natForward({ id: "dns", first: 8001, protocol: "udp" }),
    natForward({ id: "range", first: 9000, last: 9010 }),
    natForward({ id: "limited", first: 8002, limits: { connectionsPerSource: 9, newPerSourcePerSec: null } }),
    natPinhole({ id: "hole", first: 443, allow: [{ network: cidr("2001:db8::/32"), port: null }] }),
  ];
  let asWanted = "";

  beforeAll(async () => {
    await net().set({}, entries);
    asWanted = await ruleset();
  });
  const mended = (): Promise<true> =>
    eventually("mended", async () => ((await ruleset()) === asWanted ? true : undefined), MENDED_WITHIN_MS);

  // One that sends while there are no rules is reset: the kernel translates nothing then, not even what it knows.
  test("a flush of everything is mended, and an open connection lives", async () => {
    const { lab, nft, peer, forgotten } = net();
    await using open = peer(lab.visitor, "keep", GATEWAY, 8001);
    await pong(open);
    // The visitor's last word is an acknowledgement, up to 40 ms after the pong.
    await eventually("all acknowledged", async () => {
      const sockets = await lab.exec(lab.agent, ["ss", "-tinH", "state", "established"]);
      return sockets.stdout.includes("unacked:") ? undefined : true;
    });
    forgotten.length = 0;
    await nft("flush", "ruleset");
    await mended();
    await pong(open);
    expect(await answers(8001)).toBe(true);
    expect(open.stdout.filter((line) => line.includes("ended"))).toEqual([]);
    // UDP that came while the rules were away went to nobody; what was led right is not among these.
    expect(forgotten.map(({ protocol, first, to }) => `${protocol} ${first} ${to}`)).toEqual(["udp 8001 0.0.0.0"]);
  });

  const harms: [string, string][] = [
    ["an element deleted", "delete element inet hatchway hw_dnat { tcp . 8001 }"],
    ["a range deleted", "delete element inet hatchway hw_dnat_spans { tcp . 9000-9010 }"],
    ["an element of a pinhole deleted", "flush set inet hatchway hw_allowed6"],
    [
      "an element with other data",
      "delete element inet hatchway hw_dnat { tcp . 8001 }; add element inet hatchway hw_dnat { tcp . 8001 : 192.168.78.2 . 1 }",
    ],
    ["an element more", "add element inet hatchway hw_dnat { udp . 7 : 192.168.78.2 . 7 }"],
    ["a rule more", "insert rule inet hatchway hw_forward drop"],
    ["a chain emptied", "flush chain inet hatchway hw_dispatch"],
    [
      "a chain and a set more",
      "add chain inet hatchway mine; add set inet hatchway others { type ipv4_addr; }; add rule inet hatchway mine ip saddr @others drop",
    ],
    ["the table deleted", "delete table inet hatchway"],
  ];
  test.each(harms)("%s", async (_name, commands) => {
    await net().nft(commands);
    await mended();
  });

  test("a table of somebody else's is not touched", async () => {
    const { nft } = net();
    await nft("add table inet admin; add chain inet admin forward { type filter hook forward priority filter; }");
    expect(await answers(8001)).toBe(true);
    await nft("delete table inet hatchway");
    await eventually(
      "mended",
      async () => ((await ruleset()).includes("table inet hatchway") ? true : undefined),
      MENDED_WITHIN_MS,
    );
    expect(await ruleset()).toContain(OTHERS);
    await nft("delete table inet admin");
  });

  test("the monitor's end is no end of it", async () => {
    const { lab, nft } = net();
    for (const pid of await monitors()) await lab.exec(lab.nat, ["kill", "-9", String(pid)]);
    await nft("delete element inet hatchway hw_dnat { tcp . 8001 }");
    await mended();
  });
});

describe("counters", () => {
  test("go on through changes of others, of settings, and a restart", async () => {
    const { lab, plane, set, peer } = net();
    const entry = natForward({ id: "counted", first: 8001 });
    await set({}, [entry]);
    await using open = peer(lab.visitor, "keep", GATEWAY, 8001);
    await pong(open);
    const usage = async (of = plane) => (await of.usage()).get("counted")!;
    const first = await usage();
    expect(first.visitorsTotal).toBe(1);
    expect(first.bytesIn).toBeGreaterThan(150);
    expect(first.bytesOut).toBeGreaterThan(150);
    expect(first.packetsIn).toBeGreaterThan(2);

    await plane.change({ put: [natForward({ id: "more", first: 8002 })], remove: [] });
    await set({ insideOnly: { tcp: [], udp: [5351] } }, [entry]);
    await plane.change({ put: [entry], remove: [] });
    await pong(open);
    const second = await usage();
    expect(second.visitorsTotal).toBe(1);
    expect(second.bytesIn).toBeGreaterThan(first.bytesIn);
    expect(second.packetsOut).toBeGreaterThan(first.packetsOut);
  });
});

describe("start and end", () => {
  test("a start mends what a crash left, keeps what is right, and an end leaves no trace", async () => {
    const { lab, nft, plane, newPlane, peer, forgotten } = net();
    await plane.close({ clean: true });
    await nft("add table inet admin; add chain inet admin forward { type filter hook forward priority filter; }");
    const before = await nft("list", "ruleset");

    const first = newPlane();
    const stays = natForward({ id: "stays", first: 8001 });
    const goes = natForward({ id: "goes", first: 8002 });
    expect(await first.replace(natSettings(), [stays, goes])).toEqual({ ok: true, value: null });
    await using open = peer(lab.visitor, "keep", GATEWAY, 8001);
    await pong(open);
    await first.close({ clean: false });
    expect(await answers(8002)).toBe(true);
    // As a crash in the middle of something would leave it.
    await nft("flush chain inet hatchway hw_count_out4; add element inet hatchway hw_in_tcp { 5 }");

    forgotten.length = 0;
    const second = newPlane();
    expect(await second.replace(natSettings({ insideOnly: { tcp: [5000], udp: [] } }), [stays])).toEqual({
      ok: true,
      value: null,
    });
    await pong(open);
    expect((await second.usage()).get("stays")?.visitorsTotal).toBe(1);
    expect(forgotten.map(({ kind, first, to }) => `${kind} ${first} ${to}`)).toEqual(["forward 8002 192.168.77.2"]);
    await second.close({ clean: true });
    expect(await nft("list", "ruleset")).toBe(before);
  });

  test("a look that fails is taken again, though nobody rings", async () => {
    const { lab, nft, newPlane } = net();
    const fault = join(lab.directory, "fault");
    const faulty = `if [ "$6" = -s ] && rm "${fault}" 2> /dev/null; then exit 1; fi; exec "$@"`;
    const plane = newPlane({ prefix: ["sh", "-c", faulty, "sh", "ip", "netns", "exec", lab.nat.namespace] });
    expect(await plane.replace(natSettings(), [natForward({ first: 8001 })])).toEqual({ ok: true, value: null });
    const asWanted = await ruleset();
    await Bun.write(fault, "");
    await nft("flush chain inet hatchway hw_dispatch");
    await eventually("mended", async () => ((await ruleset()) === asWanted ? true : undefined), MENDED_WITHIN_MS);
    expect(await Bun.file(fault).exists()).toBe(false);
    await plane.close({ clean: true });
  });

  test("1,000 changes that come together go in few transactions", async () => {
    const { lab, newPlane } = net();
    const calls = join(lab.directory, "calls");
    const counting = ["sh", "-c", `echo "$*" >> ${calls}; exec "$@"`, "sh", "ip", "netns", "exec", lab.nat.namespace];
    const plane = newPlane({ prefix: counting });
    expect(await plane.replace(natSettings(), [])).toEqual({ ok: true, value: null });
    const transactions = async (): Promise<number> => (await Bun.file(calls).text()).match(/ -f -$/gm)?.length ?? 0;
    const before = await transactions();
    const results = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        plane.change({ put: [natForward({ id: `${index}`, first: 10_000 + index })], remove: [] }),
      ),
    );
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    expect((await transactions()) - before).toBeLessThanOrEqual(2);
    expect((await plane.usage()).size).toBe(1_000);
    await plane.close({ clean: true });
  });

  test("a table that is not ours under our name is made anew", async () => {
    const { nft, newPlane } = net();
    await nft(
      "add table inet hatchway; add chain inet hatchway hw_forward { type filter hook input priority 5; }; add set inet hatchway hw_dnat { type ipv4_addr; }",
    );
    const plane = newPlane();
    expect(await plane.replace(natSettings(), [natForward({ first: 8001 })])).toEqual({ ok: true, value: null });
    expect(await answers(8001)).toBe(true);
    await plane.close({ clean: true });
  });

  test("no nft on the machine is said in words", async () => {
    const plane = net().newPlane({ prefix: ["env", "PATH=/nowhere"] });
    const done = await plane.replace(natSettings(), []);
    expect(done).toMatchObject({ ok: false, error: { kind: "missing" } });
    await plane.close({ clean: true });
  });
});
