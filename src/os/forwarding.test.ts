import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { enableForwarding, type ForwardingState, readForwarding, restoreForwarding } from "./forwarding.ts";

const made: string[] = [];
afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true });
});

/** `/proc/sys/net` in small. */
function settings(values: Record<string, number>): string {
  const root = mkdtempSync(join(tmpdir(), "hatchway-sysctl-"));
  made.push(root);
  for (const [path, value] of Object.entries(values)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${value}\n`);
  }
  return root;
}
const V4 = "ipv4/ip_forward";
const V6 = "ipv6/conf/all/forwarding";
const RA = "ipv6/conf/wan/accept_ra";
const APART = "ipv6/conf/wan/forwarding";
const valuesOf = (root: string): number[] =>
  [V4, V6, RA]
    .filter((path) => existsSync(join(root, path)))
    .map((path) => Number(readFileSync(join(root, path), "utf8")));

describe("a machine that becomes a gateway, and stops being one", () => {
  const cases: readonly [string, number[], boolean, number[], ForwardingState][] = [
    ["a host with router advertisements", [0, 0, 1], true, [1, 1, 2], { ipv4: false, ipv6: false, along: { [RA]: 1 } }],
    ["a host that ignores them", [0, 0, 0], true, [1, 1, 0], { ipv4: false, ipv6: false, along: { [RA]: 0 } }],
    ["IPv4 only", [0, 0, 1], false, [1, 0, 1], { ipv4: false, ipv6: null, along: {} }],
    ["a router already", [1, 1, 1], true, [1, 1, 1], { ipv4: true, ipv6: true, along: { [RA]: 1 } }],
    ["a router that takes them", [1, 1, 2], true, [1, 1, 2], { ipv4: true, ipv6: true, along: { [RA]: 2 } }],
    ["a kernel without IPv6", [0], true, [1], { ipv4: false, ipv6: null, along: {} }],
  ];
  test.each(cases)("%s", (_, [v4 = 0, v6, ra], ipv6, during, state) => {
    const root = settings({ [V4]: v4, ...(v6 === undefined ? {} : { [V6]: v6, [RA]: ra ?? 0 }) });
    const before = valuesOf(root);
    const enabled = enableForwarding({ wan: ["wan", "absent"], ipv6, root });
    expect(enabled).toMatchObject({ ok: true, value: { ipv4: state.ipv4, ipv6: state.ipv6 } });
    if (!enabled.ok) return;
    expect(enabled.value.along[RA]).toBe(state.along[RA]);
    expect(valuesOf(root)).toEqual(during);
    expect(restoreForwarding(enabled.value, root)).toEqual({ ok: true, value: null });
    expect(valuesOf(root)).toEqual(before);
  });

  test("what the kernel changes along is put back: interfaces apart, redirects", () => {
    const redirects = "ipv4/conf/all/accept_redirects";
    const root = settings({ [V4]: 0, [V6]: 0, [RA]: 1, [APART]: 1, [redirects]: 0 });
    const before = enableForwarding({ wan: ["wan"], ipv6: true, root });
    if (!before.ok) throw before.error;
    for (const path of [APART, redirects]) writeFileSync(join(root, path), path === APART ? "0\n" : "1\n");
    expect(restoreForwarding(before.value, root)).toMatchObject({ ok: true });
    expect([APART, redirects].map((path) => readFileSync(join(root, path), "utf8"))).toEqual(["1\n", "0\n"]);
  });

  const again: readonly [string, number[], number, number, number][] = [
    ["listens again where it listened", [0, 0, 1], 1, 2, 1],
    ["is left alone where the operator says that it never listens", [0, 0, 1], 0, 0, 0],
    ["is left alone on a router that did not listen", [1, 1, 1], 1, 1, 1],
  ];
  test.each(again)("a WAN that is made anew %s", (_, [v4 = 0, v6 = 0, ra = 0], made, during, after) => {
    const root = settings({ [V4]: v4, [V6]: v6, [RA]: ra });
    const options = { wan: ["wan", "wan2"], ipv6: true, root };
    const first = enableForwarding(options);
    if (!first.ok) throw first.error;
    expect(enableForwarding(options, first.value)).toEqual(first);
    // One that went and came, and one that was not there before.
    const second = "ipv6/conf/wan2/accept_ra";
    mkdirSync(dirname(join(root, second)), { recursive: true });
    for (const path of [RA, second]) writeFileSync(join(root, path), `${made}\n`);
    const state = enableForwarding(options, first.value);
    if (!state.ok) throw state.error;
    const read = () => [RA, second].map((path) => Number(readFileSync(join(root, path), "utf8")));
    expect([valuesOf(root).slice(0, 2), read()]).toEqual([
      [1, 1],
      [during, during],
    ]);
    restoreForwarding(state.value, root);
    expect(read()[1]).toBe(after);
    expect(valuesOf(root).slice(0, 2)).toEqual([v4, v6]);
  });

  test("an interface that went meanwhile is no failure", () => {
    const root = settings({ [V4]: 0, [V6]: 0, [RA]: 1 });
    const before = enableForwarding({ wan: ["wan"], ipv6: true, root });
    rmSync(join(root, "ipv6/conf/wan"), { recursive: true });
    if (!before.ok) throw before.error;
    expect(restoreForwarding(before.value, root)).toMatchObject({ ok: true });
    expect(valuesOf(root)).toEqual([0, 0]);
  });

  test("no such settings, in one sentence", () => {
    const result = readForwarding({ wan: [], ipv6: true, root: settings({}) });
    expect(result).toMatchObject({ ok: false, error: { kind: "unsupported" } });
  });

  test("reads this machine", () => {
    expect(readForwarding({ wan: [], ipv6: true })).toMatchObject({ ok: true });
  });
});
