import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { err, ok } from "../wire/result.ts";
import { readRoutes } from "./routes.ts";

const signal = new AbortController().signal;
const V4 = "Iface\tDestination\tGateway\neth9\t00000000\t0101A8C0\t0003\t0\t0\t7\t00000000\t0\t0\t0\n";

test("this machine's own tables are read", async () => {
  const { routes, addresses, problem } = await readRoutes({ signal });
  expect(problem).toBeNull();
  expect(Array.isArray(routes)).toBe(true);
  expect(addresses.find(({ address }) => address === "127.0.0.1")).toMatchObject({ temporary: false, steady: true });
});

test("Linux: files, and those that are missing are empty", async () => {
  const root = mkdtempSync(join(tmpdir(), "hatchway-routes-"));
  writeFileSync(join(root, "route"), V4);
  // An own address of every machine: what the kernel says of it counts.
  writeFileSync(join(root, "if_inet6"), "00000000000000000000000000000001 01 80 10 21       lo\n");
  const { routes, addresses, problem } = await readRoutes({ signal, system: "linux", root });
  expect(routes).toEqual([{ family: 4, gateway: "192.168.1.1", interface: { kind: "name", name: "eth9" }, metric: 7 }]);
  for (const one of addresses.filter(({ address }) => address === "::1")) {
    expect(one).toMatchObject({ temporary: true, steady: false });
  }
  expect(problem).toBeNull();
});

test("Linux: a file that cannot be read is told", async () => {
  const root = mkdtempSync(join(tmpdir(), "hatchway-routes-"));
  writeFileSync(join(root, "in-the-way"), "");
  const { routes, problem } = await readRoutes({ signal, system: "linux", root: join(root, "in-the-way") });
  expect(routes).toEqual([]);
  expect(problem).toContain("in-the-way/route cannot be read");
});

describe("elsewhere programs tell", () => {
  const outputs: Record<string, string> = {
    "netstat -rn -f inet": "Destination Gateway Flags Netif\ndefault 192.168.1.1 UGSc en0\n",
    "netstat -rn -f inet6": "Destination Gateway Flags Netif\ndefault fe80::1%en0 UGc en0\n",
    ifconfig: "\tinet6 ::1 prefixlen 128 temporary\n",
    "route print -4": "0.0.0.0 0.0.0.0 192.168.1.1 192.168.1.23 25\r\n",
    "route print -6": "12 281 ::/0 fe80::1\r\n",
  };
  const answering = (broken = "") => {
    const asked: string[] = [];
    const run = async (argv: readonly string[]) => {
      const line = argv.join(" ");
      asked.push(line);
      return ok({ exitCode: line === broken ? 1 : 0, stdout: outputs[line] ?? "", stderr: "no such thing\n" });
    };
    return { asked, run };
  };

  test.each<[NodeJS.Platform, string[]]>([
    ["darwin", ["netstat -rn -f inet", "netstat -rn -f inet6", "ifconfig"]],
    ["freebsd", ["netstat -rn -f inet", "netstat -rn -f inet6"]],
    ["win32", ["route print -4", "route print -6"]],
  ])("%s", async (system, expected) => {
    const { asked, run } = answering();
    const { routes, addresses, problem } = await readRoutes({ signal, system, run });
    expect(asked).toEqual(expected);
    expect(routes.map(({ gateway }) => gateway)).toEqual(["192.168.1.1", "fe80::1"]);
    expect(problem).toBeNull();
    for (const one of addresses) expect(one.temporary).toBe(system === "darwin" && one.address === "::1");
  });

  test("one that fails is told, and the others count", async () => {
    const { run } = answering("netstat -rn -f inet6");
    const { routes, problem } = await readRoutes({ signal, system: "darwin", run });
    expect(routes).toHaveLength(1);
    expect(problem).toBe('"netstat -rn -f inet6" ended with 1: no such thing');
  });
  test("as is one that is missing", async () => {
    const run = async () => err({ kind: "missing" as const, message: "There is no program route." });
    const read = await readRoutes({ signal, system: "win32", run });
    expect(read).toMatchObject({ routes: [], problem: "There is no program route." });
  });
});
