import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepConnectionAccounts } from "./connection-accounts.ts";

const ACCT = "netfilter/nf_conntrack_acct";
const TIMESTAMP = "netfilter/nf_conntrack_timestamp";
const made: string[] = [];
afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true });
});

/** `/proc/sys/net` in small; a value that is null is one that nobody can write. */
function settings(values: Readonly<Record<string, number | null>>): string {
  const root = mkdtempSync(join(tmpdir(), "hatchway-sysctl-"));
  made.push(root);
  mkdirSync(join(root, "netfilter"));
  for (const [path, value] of Object.entries(values)) {
    if (value === null) mkdirSync(join(root, path));
    else writeFileSync(join(root, path), `${value}\n`);
  }
  return root;
}

test.each<[string, Record<string, number>, Record<string, number>]>([
  ["both are off", { [ACCT]: 0, [TIMESTAMP]: 0 }, { [ACCT]: 0, [TIMESTAMP]: 0 }],
  ["one is on", { [ACCT]: 1, [TIMESTAMP]: 0 }, { [TIMESTAMP]: 0 }],
  ["both are on", { [ACCT]: 1, [TIMESTAMP]: 1 }, {}],
  ["the kernel has none of it", {}, {}],
])("%s", (_, before, changed) => {
  const root = settings(before);
  expect(keepConnectionAccounts(root)).toEqual({ changed, problem: null });
  for (const path of Object.keys(before)) expect(readFileSync(join(root, path), "utf8")).toBe("1\n");
  expect(keepConnectionAccounts(root)).toEqual({ changed: {}, problem: null });
});

test("what the system does not allow is one sentence, and what was changed is to be put back", () => {
  const { changed, problem } = keepConnectionAccounts(settings({ [ACCT]: 0, [TIMESTAMP]: null }));
  expect(changed).toEqual({ [ACCT]: 0 });
  expect(problem).toContain("set net.netfilter.nf_conntrack_timestamp to 1 with sysctl");
});
