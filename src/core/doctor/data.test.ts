import { describe, expect, test } from "bun:test";
import { judgementTable as table } from "../../../test/fixtures/judgement-table.ts";
import {
  type DirectoryFacts,
  type FileFacts,
  judgeConfig,
  judgeDirectory,
  judgeDisk,
  judgeFiles,
  judgeRoles,
  judgeStore,
} from "./data.ts";
import type { Judgement } from "./model.ts";

const DIRECTORY: DirectoryFacts = {
  path: "/d",
  kind: "directory",
  mode: 0o700,
  owner: "user ann",
  isOwn: true,
  isRoot: false,
  isWritable: true,
  excessBytes: 0,
  systemDirectory: null,
};
const directory = (more: Partial<DirectoryFacts>) => judgeDirectory({ ...DIRECTORY, ...more });
const none = { kind: "none" } as const;
const runs = (version: string) => ({ kind: "runs", status: { version } }) as const;
const roles = (relay: Parameters<typeof judgeRoles>[0]["roles"][number]["sight"], agent: typeof relay = none) =>
  judgeRoles({
    version: "1.2.3",
    roles: [
      { name: "relay", sight: relay },
      { name: "agent", sight: agent },
    ],
  });
table("what is said", [
  ["right", directory({}), "ok", "/d, of user ann", null],
  ["missing", directory({ kind: "missing" }), "ok", "not there yet", null],
  [
    "missing, and a service's is there",
    directory({ kind: "missing", systemDirectory: "/var/lib/hatchway" }),
    "ok",
    "but /var/lib/hatchway is",
    "sudo",
  ],
  ["a file", directory({ kind: "other" }), "failure", "not a directory", "--data"],
  ["denied", directory({ kind: "denied" }), "failure", "may not look", "as its owner"],
  ["open to all", directory({ mode: 0o777 }), "failure", "Others may write", "chmod 700 /d"],
  ["of the group", directory({ mode: 0o770 }), "failure", "Others may write", "chmod 700 /d"],
  ["readable by all", directory({ mode: 0o755 }), "ok", "/d", null],
  ["another's", directory({ isOwn: false }), "warning", "belongs to user ann", "as its owner"],
  ["another's, for root", directory({ isOwn: false, isRoot: true }), "ok", "/d", null],
  ["read-only", directory({ isWritable: false }), "failure", "cannot be written", "read-only"],
  ["too long", directory({ excessBytes: 3 }), "failure", "3 bytes too long", "--data"],
  ["config", judgeConfig({ path: "/c", forwards: 2, isDenied: false, problem: null }), "ok", "lists 2 forwards", null],
  [
    "no config",
    judgeConfig({ path: "/c", forwards: null, isDenied: false, problem: null }),
    "ok",
    "There is no /c",
    null,
  ],
  [
    "config's mistake",
    judgeConfig({
      path: "/c",
      forwards: null,
      isDenied: false,
      problem: '/c:2:1: "prot" is no key.\n/c:3:1: Bad.\n  x\n  ^\n/c:4:1: Bad.',
    }),
    "failure",
    '/c:2:1: "prot" is no key. There are 2 more mistakes.',
    "config validate",
  ],
  [
    "config denied",
    judgeConfig({ path: "/c", forwards: null, isDenied: true, problem: "x" }),
    "warning",
    "may not read /c",
    "as its owner",
  ],
  [
    "a password of another user",
    judgeConfig({
      path: "/c",
      forwards: null,
      isDenied: false,
      problem: '/c:2:1: "password-file": Cannot read /p: user x is not allowed to.',
    }),
    "warning",
    "not allowed",
    "as its owner",
  ],
  ["disk", judgeDisk({ freeBytes: 81e9, freeFiles: 1e6 }), "ok", "81 GB left", null],
  ["disk low", judgeDisk({ freeBytes: 150e6, freeFiles: null }), "warning", "150 MB left", "Make room"],
  ["disk full", judgeDisk({ freeBytes: 1e6, freeFiles: null }), "failure", "1 MB left", "Make room"],
  ["no inodes", judgeDisk({ freeBytes: 81e9, freeFiles: 3 }), "failure", "3 more files", "Remove"],
  ["disk unknown", judgeDisk(null), "skipped", "does not tell", null],
  ["no store", judgeStore({ path: "/s", kind: "missing" }), "skipped", "No relay or gateway", null],
  ["store", judgeStore({ path: "/s", kind: "sound" }), "ok", "can be written", null],
  ["no database", judgeStore({ path: "/s", kind: "not-a-database" }), "failure", "not a database", "backup"],
  ["store denied", judgeStore({ path: "/s", kind: "denied" }), "warning", "may not read", "as its owner"],
  ["store read-only", judgeStore({ path: "/s", kind: "read-only" }), "failure", "cannot be written", "owner"],
  ["nothing runs", roles(none), "ok", "No relay, agent or gateway", null],
  ["two run", roles(runs("1.2.3"), runs("1.2.3")), "ok", "A relay and an agent run", null],
  ["one of another version", roles(none, runs("1.2.2")), "warning", "agent is version 1.2.2", "Start the agent again"],
  ["one that does not answer", roles({ kind: "odd", message: "it hangs" }), "warning", "it hangs.", "as its owner"],
]);

const KEY: FileFacts = {
  path: "/d/device-key.pem",
  mode: 0o600,
  uid: 1,
  wantedOwner: { uid: 1, text: "user ann" },
  kind: "secret",
};
describe("files", () => {
  const first = (file: Partial<FileFacts>): Judgement => {
    const [one] = judgeFiles([{ ...KEY, ...file }, KEY]);
    if (one === undefined) throw new Error("no judgement");
    return "judgement" in one ? one.judgement : one;
  };
  test.each([
    ["closed", {}, "ok", null],
    ["readable by the group", { mode: 0o640 }, "failure", "chmod 600 /d/device-key.pem"],
    ["root's, in a user's directory", { uid: 0 }, "warning", "chown 1 /d/device-key.pem"],
    ["in root's directory", { uid: 5, wantedOwner: { uid: 0, text: "user root" } }, "ok", null],
    ["a config that all may read", { kind: "public", mode: 0o644 }, "ok", null],
    ["a config that all may change", { kind: "public", mode: 0o666 }, "warning", "chmod go-w /d/device-key.pem"],
  ] as const)("%s", (_name, file, state, remedy) => {
    const judgement = first(file);
    expect(judgement.state).toBe(state);
    if (remedy === null) expect(judgement.remedy).toBeNull();
    else expect(judgement.remedy).toContain(remedy);
  });
  test("each wrong one by its name", () => {
    expect(judgeFiles([{ ...KEY, mode: 0o644 }])).toMatchObject([{ name: "device-key.pem" }]);
    expect(judgeFiles([])).toMatchObject([{ state: "skipped" }]);
  });
});
