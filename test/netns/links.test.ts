import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Follow, Run } from "../../src/os/command.ts";
import { type Links, readLinks, watchLinks } from "../../src/os/links.ts";
import { ok } from "../../src/wire/result.ts";
import { createLab, type Lab } from "./lab.ts";
import { ipBatch } from "./namespaces.ts";
import { eventually } from "./ready.ts";

let lab: Lab;
beforeAll(() => {
  lab = createLab({ natRules: false });
});
afterAll(() => lab?.[Symbol.asyncDispose]());

test("a gateway sees its interfaces, and that they change", async () => {
  const run: Run = async (argv) => ok(await lab.exec(lab.nat, argv));
  const read = async (): Promise<Links> => {
    const result = await readLinks(run);
    if (!result.ok) throw new Error(result.error.message);
    return result.value;
  };
  const follow: Follow = (argv, { signal, onLine }) => {
    const child = lab.spawn(lab.nat, argv);
    signal.addEventListener("abort", () => child.signal("SIGKILL"));
    const seen = { lines: 0 };
    void child
      .line("line", () => {
        for (; seen.lines < child.stdout.length; seen.lines++) onLine(child.stdout[seen.lines] ?? "");
        return undefined;
      })
      .catch(() => undefined);
    return ok({ exited: child.exited });
  };
  const abort = new AbortController();
  const told = { changes: 0 };
  const onChange = (): void => {
    told.changes++;
  };
  const watching = watchLinks({ follow, onChange, signal: abort.signal });

  const links = await read();
  expect(links.links.map(({ name }) => name).sort()).toEqual(["lan1", "lan2", "lo", "wan"]);
  expect(links.links.find(({ name }) => name === "wan")?.addresses).toContainEqual({
    address: lab.nat.v4,
    family: 4,
    prefixLength: 24,
    scope: "global",
    passing: false,
  });
  expect(links.defaultRoute).toEqual({ v4: null, v6: null });

  ipBatch(lab.nat.namespace, ["link add br0 type bridge", "route add default via 203.0.113.1"]);
  // The first is told because it began; nobody says when it listens, so there is a change until one is heard.
  await eventually("a change is told", () => {
    ipBatch(lab.nat.namespace, ["address replace 192.0.2.1/32 dev lo", "address del 192.0.2.1/32 dev lo"]);
    return told.changes > 1 || undefined;
  });
  const now = await read();
  expect(now.links.find(({ name }) => name === "br0")).toEqual({ name: "br0", up: false, addresses: [] });
  expect(now.defaultRoute.v4).toBe("wan");

  abort.abort();
  expect(await watching).toEqual(ok(null));
});
