import { describe, expect, test } from "bun:test";
import { processorMs } from "../../../test/fixtures/processor-time.ts";
import { PRESETS } from "./presets.ts";
import { findPreset, searchPresets } from "./search.ts";

const ids = (query: string): string[] => searchPresets(query).map(({ id }) => id);

describe("the first that is found", () => {
  test.each<[string, string, string]>([
    ["an id", "minecraft-bedrock", "minecraft-bedrock"],
    ["a name", "Project Zomboid", "project-zomboid"],
    ["a name and its variant", "fantasy grounds classic", "fantasy-grounds-classic"],
    ["words in another order", "bedrock minecraft", "minecraft-bedrock"],
    ["capitals", "PLEX", "plex"],
    ["an accent", "Pléx", "plex"],
    ["an apostrophe", "don’t starve", "dont-starve-together"],
    ["a beginning", "jelly", "jellyfin"],
    ["a middle", "torrent", "bittorrent"],
    ["in one piece", "counterstrike", "counter-strike-2"],
    ["apart", "team speak", "teamspeak"],
    ["an alias", "mc", "minecraft-java"],
    ["an alias with a number", "cs2", "counter-strike-2"],
    ["another", "7dtd", "7-days-to-die"],
    ["what the console is called", "ps5", "playstation"],
    ["a port", "25565", "minecraft-java"],
    ["a port and its protocol", "19132/udp", "minecraft-bedrock"],
    ["a port that only one opens", "32400", "plex"],
    ["a port within a range", "50005", "ftp"],
    ["a name and a port", "minecraft 19132", "minecraft-bedrock"],
    ["a letter left out", "valhem", "valheim"],
    ["a letter replaced", "plax", "plex"],
    ["neighbours swapped", "minecarft", "minecraft-java"],
    ["two slips in a long word", "sattisfactori", "satisfactory"],
    ["a slip in each word", "mincraft bedrok", "minecraft-bedrock"],
  ])("%s: %p", (_name, query, expected) => {
    expect(ids(query)[0]).toBe(expected);
  });
});

describe("what else is found", () => {
  test.each<[string, string, readonly string[]]>([
    ["variants, in the table's order", "minecraft", ["minecraft-java", "minecraft-bedrock", "minecraft-geyser"]],
    ["nothing for nonsense", "qqzzqq", []],
    ["nothing for signs", "!?*", []],
    ["nothing when one of the words is wrong", "minecraft qqzzqq", []],
    ["no slips in short words", "msh", []],
    ["no slips in numbers", "25564", []],
    ["nothing above the last port", "65536", []],
  ])("%s: %p", (_name, query, expected) => {
    expect(ids(query)).toEqual([...expected]);
  });

  test("all of them, for nothing", () => {
    expect(searchPresets("  ")).toEqual(PRESETS);
  });

  test("what opens a port goes before what keeps it closed", () => {
    const found = ids("27015");
    expect(found.indexOf("counter-strike-2")).toBeLessThan(found.indexOf("factorio"));
  });

  test("every preset is the first for its own id, and findable by its name and aliases", () => {
    for (const { id, name, aliases } of PRESETS) {
      expect([id, ids(id)[0]]).toEqual([id, id]);
      for (const word of [name, ...aliases]) expect([word, ids(word).includes(id)]).toEqual([word, true]);
    }
  });
});

describe("a word in the place of ports", () => {
  test.each<[string, object]>([
    ["plex", { kind: "one", preset: { id: "plex" } }],
    ["Counter-Strike 2", { kind: "one", preset: { id: "counter-strike-2" } }],
    ["MINECRAFT_JAVA", { kind: "one", preset: { id: "minecraft-java" } }],
    ["valheim", { kind: "one", preset: { id: "valheim" } }],
    ["ark", { kind: "several", presets: [{ id: "ark-survival-evolved" }, { id: "ark-survival-ascended" }] }],
    ["terrria", { kind: "none", near: [{ id: "terraria" }] }],
    [
      "minecarft",
      { kind: "none", near: [{ id: "minecraft-java" }, { id: "minecraft-bedrock" }, { id: "minecraft-geyser" }] },
    ],
    ["plex server", { kind: "none", near: [] }],
    ["25565", { kind: "none", near: [] }],
    ["", { kind: "none", near: [] }],
    ["…", { kind: "none", near: [] }],
  ])("%p", (text, expected) => {
    expect(findPreset(text)).toMatchObject(expected);
  });
});

test("a hostile query costs no time", () => {
  const query = "minecraft ".repeat(100_000);
  const tookMs = processorMs(() => {
    searchPresets(query);
    findPreset(query);
    searchPresets("é".repeat(1_000_000));
  });
  expect(tookMs).toBeLessThan(500);
});
