import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Io } from "../../src/cli/context.ts";
import { runProgram } from "../../src/cli/program.ts";
import { HOPS, PORT_STATES } from "../../src/core/check/evidence.ts";
import { CHECK_LIMITS } from "../../src/core/check/limits.ts";
import { PROBE_IDS, UDP_PROBES } from "../../src/core/check/probes.ts";
import { findPreset } from "../../src/core/presets/search.ts";
import { readConfig } from "../../src/roles/config/load.ts";
import { keysAt } from "../../src/roles/config/schema.ts";
import { EXIT_CODES } from "../../src/servers/local/error.ts";
import {
  AgentStatus,
  AttachEvent,
  Counters,
  DeviceInfo,
  Endpoint,
  ForwardInfo,
  GatewayStatus,
  RelayStatus,
  TriggerInfo,
  VisitInfo,
} from "../../src/servers/local/schema.ts";
import { VpnPeerInfo, VpnServerInfo } from "../../src/servers/local/vpn-schema.ts";
import { Reason } from "../../src/wire/reason.ts";
import { commandLines, ROOT, readDocument, recipes } from "../fixtures/documents.ts";
import { noRoles } from "../fixtures/no-roles.ts";

/** The documents against the program: what they name exists, and what exists is named. */
const read = readDocument;
const OPERATIONS = read("docs/operations.md");
const EXAMPLE = "docs/examples/hatchway.toml";
const WITH_COMMANDS = [
  "README.md",
  "docs/check.md",
  "docs/docker.md",
  "docs/doctor.md",
  "docs/gateway.md",
  "docs/install.md",
  "docs/operations.md",
  "docs/ping.md",
  "docs/router.md",
  "docs/security.md",
  "docs/service.md",
  "docs/architecture.md",
  "docs/README.md",
  "docs/concepts.md",
  ...recipes(),
];
const DOCUMENTS = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  ...[...new Bun.Glob("docs/**/*.md").scanSync(ROOT)].toSorted(),
];

async function help(path: readonly string[]): Promise<string> {
  let text = "";
  const never = new AbortController().signal;
  const io: Io = {
    env: {},
    out: (part) => (text += part),
    err: () => {},
    stdin: async () => "",
    isTerminal: false,
    columns: 400,
    isRoot: false,
    stop: never,
    stopNow: never,
    onHangup: () => () => {},
    startLog: async () => {},
    roles: noRoles(),
  };
  await runProgram([...path, "--help"], io);
  return text;
}

/** The command that the words begin with, and its help; null when they name none. */
async function commandOf(words: readonly string[]): Promise<{ path: string[]; help: string } | null> {
  const firstOther = words.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  const names = firstOther < 0 ? words : words.slice(0, firstOther);
  for (let length = Math.min(2, names.length); length > 0; length--) {
    const path = names.slice(0, length);
    const text = await help(path);
    if (!text.startsWith(`Usage: hatchway ${path.join(" ")} `)) continue;
    // A group does nothing by itself: the word behind it must have been one of its commands. These two do something, and
    // `map` with the name of a preset too.
    const next = names[length];
    const acts = ["gateway", "map"].includes(path.join(" ")) && (next === undefined || isPreset(next));
    return text.includes("\nCommands:") && !acts ? null : { path, help: text };
  }
  return null;
}

const isPreset = (word: string): boolean => findPreset(word).kind === "one";

const flagsIn = (text: string): string[] => [...text.matchAll(/(?<![\w-])--?[A-Za-z][a-z-]*/g)].map(([flag]) => flag);

/** The text of a document's section, up to the next heading. */
function section(title: string): string {
  const start = OPERATIONS.indexOf(`\n${title}`);
  expect({ title, found: start >= 0 }).toEqual({ title, found: true });
  const rest = OPERATIONS.slice(start + 1 + title.length);
  const end = rest.search(/\n##+ /);
  return end < 0 ? rest : rest.slice(0, end);
}

/** What the first cells of a section's table name between backticks. */
function firstCells(title: string): string[] {
  return section(title)
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) => [...(line.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

describe("commands in the documents exist, with their options", () => {
  const lines = WITH_COMMANDS.flatMap((path) => commandLines(read(path)).map((line) => [line, path] as const));
  test.each(lines)("hatchway %s (%s)", async (line) => {
    const command = await commandOf(line.split(/\s+/));
    expect(command).not.toBeNull();
    const unknown = flagsIn(line.replaceAll(/'[^']*'|"[^"]*"/g, "''")).filter(
      (flag) => !flagsIn(command?.help ?? "").includes(flag),
    );
    expect(unknown).toEqual([]);
  });

  test("there are some", () => expect(lines.length).toBeGreaterThan(15));

  test("options named in sentences are options of some command", async () => {
    const GATEWAY = [
      "gateway",
      "gateway stop",
      "vpn init",
      "vpn add",
      "vpn set",
      "trigger add",
      "forward add",
      "events",
    ];
    const paths = [
      "serve",
      "join-code create",
      "agent",
      "expose",
      "connect",
      "direct",
      "status",
      "ping",
      "map",
      "router",
      "config validate",
      "check",
      "doctor",
      "presets",
      "service install",
      ...GATEWAY,
    ];
    const known = new Set((await Promise.all(paths.map((path) => help(path.split(" "))))).flatMap(flagsIn));
    const named = WITH_COMMANDS.flatMap((path) =>
      [...read(path).matchAll(/`(--[a-z-]+)[^`\n]*`/g)].map(([, flag = ""]) => flag),
    );
    expect(named.filter((flag) => !known.has(flag))).toEqual([]);
  });
});

describe("hatchway.toml", () => {
  const text = read(EXAMPLE);
  test("the example is right", async () => {
    expect((await readConfig(text, EXAMPLE)).forwards).toHaveLength(5);
  });

  const GATEWAY = ["gateway", "upnp", "vpn", "mapping", "trigger", "hook", "gluetun"];
  test.each(["relay", "check", "console", "acme", "metrics", "agent", "expose", "forward", "socks", "map", ...GATEWAY])(
    "the example has every key of %s",
    (table) => {
      const part = text.split(/^\[+/m).filter((chunk) => chunk.startsWith(`${table}]`));
      const keys = keysAt([table]).filter((key) => !ADMISSION.includes(key) || !["forward", "socks"].includes(table));
      const shared = table === "forward" ? keys.filter((key) => !SERVICE.includes(key)) : keys;
      expect(shared.filter((key) => !new RegExp(`^(# )?${key} =`, "m").test(part.join("\n")))).toEqual([]);
    },
  );

  const SERVICE = firstCells("### Keys of services");
  const ADMISSION = firstCells("### Keys of visitors");
  test.each([
    ["relay", "### `[relay]`", []],
    ["acme", "### `[acme]`", []],
    ["agent", "### `[agent]`", []],
    ["expose", "### `[[expose]]`", [...SERVICE, ...ADMISSION]],
    ["forward", "### `[[forward]]`", [...SERVICE, ...ADMISSION]],
    ["socks", "### `[[socks]]`", ADMISSION],
    ["map", "### `[[map]]`", []],
    ["gateway", "### `[gateway]`", []],
    ["upnp", "### `[upnp]`", []],
    ["vpn", "### `[vpn]`", []],
    ["mapping", "### `[[mapping]]`", []],
    ["trigger", "### `[[trigger]]`", []],
  ])("the reference has the keys of %s and no others", (table, title, shared) => {
    expect([...firstCells(title), ...shared].toSorted()).toEqual(keysAt([table]).toSorted());
  });
});

describe("docs/check.md", () => {
  const text = read("docs/check.md");
  const cells = (from: string, to: string) =>
    [...text.slice(text.indexOf(from), text.indexOf(to)).matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);

  test("has the keys of [check], the states, the hops and the payloads, and no others", () => {
    expect(cells("## Settings", "## What it never")).toEqual([...keysAt(["check"])]);
    expect(cells("| state |", "| hop |").toSorted()).toEqual([...PORT_STATES].toSorted());
    expect(cells("| hop |", "`?` before")).toEqual(HOPS.filter((hop) => hop !== "none"));
    expect(cells("## UDP", "## Who looks")).toEqual([...PROBE_IDS]);
  });

  test("has the ports of the payloads", () => {
    for (const { id, ports } of UDP_PROBES) {
      if (ports.length > 0) expect(text).toContain(`| \`${id}\` | ${ports.join(", ")} |`);
    }
  });

  test("has the limits", () => {
    const { perAsker, total } = CHECK_LIMITS;
    const sentence = `${perAsker.burst} checks at once and then one each ${1 / perAsker.perSec} seconds; all together ${total.perSec} a second`;
    expect(text.replaceAll("\n  ", " ")).toContain(sentence);
  });
});

describe("output", () => {
  const lists = { Endpoint, Counters, ForwardInfo, VisitInfo, DeviceInfo, TriggerInfo, VpnServerInfo, VpnPeerInfo };
  const shapes = { ...lists, RelayStatus, AgentStatus, GatewayStatus };
  test.each(Object.entries(shapes))("%s has the fields that are described", (name, { shape }) => {
    expect(firstCells(`### ${name}\n`).toSorted()).toEqual(Object.keys(shape).toSorted());
  });

  test("the reasons are those of the code", () => {
    expect(firstCells("### Reasons").toSorted()).toEqual(Object.keys(Reason).toSorted());
  });

  test("the exit codes are those of the code", () => {
    const rows = [...section("## Exit codes").matchAll(/^\| (\d) \| (\w+)/gm)].map(([, code, kind]) => [
      kind,
      Number(code),
    ]);
    expect(Object.fromEntries(rows)).toEqual(EXIT_CODES);
  });

  test("the events are those of the code", () => {
    const foreground = AttachEvent.options.map((option) => option.shape.event.value);
    expect([...firstCells("### Events"), "refused"].toSorted()).toEqual(foreground.toSorted());
    const sources = [
      "src/cli/serve.ts",
      "src/cli/gateway.ts",
      "src/cli/demo.ts",
      "src/roles/control.ts",
      "src/servers/local/schema.ts",
    ]
      .map(read)
      .join("\n");
    const others = [...sources.matchAll(/event: "(\w+)"/g)].map(([, name = ""]) => name);
    const described = [...section("## JSON output").matchAll(/"event":"(\w+)"/g)].map(([, name = ""]) => name);
    expect([...new Set(described)].toSorted()).toEqual([...new Set(others)].toSorted());
  });
});

describe("links lead to what is there", () => {
  const anchors = (path: string): string[] =>
    [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} -]/gu, "")
        .replaceAll(" ", "-"),
    );

  test.each(DOCUMENTS)("%s", (path) => {
    const broken = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      if (!existsSync(join(ROOT, target))) return [link];
      return anchor === undefined || anchors(target).includes(anchor) ? [] : [link];
    });
    expect(broken).toEqual([]);
  });

  test("tests and sources that are named exist", () => {
    const named = DOCUMENTS.flatMap((path) => [...read(path).matchAll(/`((?:src|test|bench)\/[\w./-]+\.ts)`/g)]);
    expect(named.map(([, file = ""]) => file).filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  test("links by name have their address, and addresses their link", () => {
    for (const path of DOCUMENTS) {
      const text = read(path);
      const used = new Set([...text.matchAll(/\]\[([^\]]+)\]/g)].map(([, name = ""]) => name));
      const defined = new Set([...text.matchAll(/^\[([^\]]+)\]: \S+$/gm)].map(([, name = ""]) => name));
      expect({ path, names: [...used].toSorted() }).toEqual({ path, names: [...defined].toSorted() });
    }
  });

  test("every page is in the list of docs/README.md", () => {
    const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md") && name !== "README.md");
    expect(pages.filter((name) => !read("docs/README.md").includes(`(${name}`))).toEqual([]);
  });

  test("every decision is in the list", () => {
    const files = readdirSync(join(ROOT, "docs/decisions")).filter((name) => /^\d{4}-/.test(name));
    expect(files.filter((name) => !read("docs/decisions/README.md").includes(`(${name})`))).toEqual([]);
  });
});
