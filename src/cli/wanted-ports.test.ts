import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { dataDirectories, fakeWorld, outcome } from "../../test/fixtures/fake-world.ts";
import { PRESETS } from "../core/presets/presets.ts";
import type { ForwardSpec } from "../roles/control.ts";
import { FakeAgent } from "../servers/local/fake-control.ts";
import { serveAgentControl } from "../servers/local/server.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const { freshData, joinedData, remove } = dataDirectories();
afterAll(remove);

/** Runs a foreground command until its ports are open, with the forward that was asked for. */
async function opened(args: readonly string[], data: string) {
  const world = fakeWorld();
  const standalone = await world.io.roles.standalone();
  const asked: { spec?: ForwardSpec } = {};
  const roles: Io["roles"] = {
    ...world.io.roles,
    standalone: async () => (specs, signal) => {
      [asked.spec] = specs as [ForwardSpec];
      return standalone(specs, signal);
    },
  };
  const ended = runProgram([...args, "--json", "--data", data], { ...world.io, roles });
  const lines = await Promise.race([world.lines(1), ended.then(() => [])]);
  world.stopped.abort();
  const code = await ended;
  const [first = "{}"] = lines;
  return { code, event: JSON.parse(first) as { name?: string }, spec: asked.spec, err: world.stderr() };
}

describe("a preset in the place of ports", () => {
  test.each<[string, string, string, string]>([
    ["an id", "minecraft-java", "minecraft-java", "25565/tcp"],
    ["a name", "Palworld", "palworld", "8211/udp"],
    ["an alias", "cs2", "counter-strike-2", "27015/udp"],
    ["several words", "project zomboid", "project-zomboid", "16261-16262/udp"],
    ["both protocols", "mumble", "mumble", "64738/tcp+udp"],
  ])("expose: %s", async (_name, word, id, ports) => {
    const { code, event, err } = await opened(["expose", word], await joinedData());
    expect({ code, name: event.name }).toEqual({ code: 0, name: id });
    expect(err.split("\n")[0]).toEndWith(`: ${ports}.`);
  });

  test("what is not opened is said, and the note, each once", async () => {
    const { err } = await opened(["expose", "minecraft-java"], await joinedData());
    expect(err).toBe(
      "Minecraft (Java Edition): 25565/tcp.\n" +
        "Turn on the whitelist and leave online-mode on: scanners try every server. Keep RCON (25575) private.\n" +
        "Left closed: 25565/udp (optional); 25575/tcp (for administrators).\n",
    );
  });

  test("--name and the options win over the preset's", async () => {
    const { event, code } = await opened(["expose", "plex", "--name", "films", "--to", "nas.lan"], await joinedData());
    expect({ code, event }).toMatchObject({
      code: 0,
      event: { name: "films", endpoints: [{ internalHost: "nas.lan" }] },
    });
  });

  test("map: the same port outside where it must be", async () => {
    const { spec, err } = await opened(["map", "xbox"], freshData());
    expect(spec).toMatchObject({ kind: "upstream", upstream: { name: "xbox", samePort: true } });
    expect(err).toContain("Xbox");
    const { spec: other } = await opened(["map", "plex"], freshData());
    expect(other).toMatchObject({ upstream: { name: "plex", samePort: false } });
    const { spec: moved, err: told } = await opened(["map", "syncthing", "--as", "22001/tcp+udp"], freshData());
    expect(moved).toMatchObject({ upstream: { samePort: false } });
    expect(told).toContain("leave --as out");
  });

  test("expose by the router: the same", async () => {
    const { spec } = await opened(["expose", "bittorrent", "--via", "router"], freshData());
    expect(spec).toMatchObject({ kind: "upstream", upstream: { name: "bittorrent", samePort: true } });
  });

  test("ftp: its control port and its passive range, the same outside", async () => {
    const { spec } = await opened(["map", "ftp"], freshData());
    expect(spec).toMatchObject({
      upstream: {
        ports: [
          { protocol: "tcp", first: 21, last: 21, internalFirst: 21 },
          { protocol: "tcp", first: 50_000, last: 50_019, internalFirst: 50_000 },
        ],
        samePort: true,
      },
    });
  });
});

describe("no preset", () => {
  test.each([
    [
      "several",
      "expose minecraft",
      'PORTSET: "minecraft" can be minecraft-java, minecraft-bedrock or minecraft-geyser: name one of them.',
    ],
    [
      "a slip",
      "expose terrria",
      'PORTSET: "terrria" is not a port; write ports like 8840, 8810-8815, 80/tcp or 8000:80.\n  terrria\n  ^^^^^^^\nDid you mean the preset terraria?',
    ],
    [
      "a slip in a name that several have",
      "map minecarft",
      'PORTSET: "minecarft" is not a port; write ports like 8840, 8810-8815, 80/tcp or 8000:80.\n  minecarft\n  ^^^^^^^^^\nDid you mean the preset minecraft-java, minecraft-bedrock or minecraft-geyser?',
    ],
    [
      "a word like none",
      "forward add qqzzqq",
      'PORTSET: "qqzzqq" is not a port; write ports like 8840, 8810-8815, 80/tcp or 8000:80.\n  qqzzqq\n  ^^^^^^',
    ],
    [
      "no forward needed",
      "map teamviewer",
      "TeamViewer: no port is to be opened. Both sides go out to TeamViewer's servers; a forward does nothing for it.",
    ],
    [
      "everything",
      "map switch",
      "Nintendo Switch: no port is to be opened. Nintendo's advice is to send it every UDP port,",
    ],
  ])("%s", async (_name, line, message) => {
    const { code, out, err } = await outcome([...line.split(" "), "--data", freshData()]);
    expect({ code, out, err: err.slice(0, message.length + 10) }).toEqual({
      code: 2,
      out: "",
      err: `hatchway: ${message}`,
    });
  });
});

describe("dangers", () => {
  const ALLOW = ["--allow", "198.51.100.0/24"];

  test.each([["rdp"], ["vnc"], ["ip-camera"]])(
    "expose %s: known addresses alone, unless everybody is named",
    async (id) => {
      const refused = await outcome(["expose", id, "--data", await joinedData()]);
      expect(refused).toMatchObject({ code: 2, out: "", err: expect.stringContaining("say whose with --allow") });
      // The fake relay gives out no ports below 1024, a camera's among them: that is its answer, and not ours.
      const { code } = await opened(["expose", id, ...ALLOW], await joinedData());
      expect(code).toBe(id === "ip-camera" ? 3 : 0);
    },
  );

  test("expose without a relay: not by the router unasked", async () => {
    const refused = await outcome(["expose", "rdp", "--data", freshData()]);
    expect(refused).toMatchObject({ code: 2, out: "", err: expect.stringContaining("say whose with --allow") });
    const limited = await outcome(["expose", "rdp", ...ALLOW, "--data", freshData()]);
    expect(limited).toMatchObject({ code: 2, out: "", err: expect.stringContaining("No relay was joined here") });
    const { err } = await opened(["expose", "rdp", "--via", "router"], freshData());
    expect(err).toContain("A router lets everybody in");
  });

  test("map: a router lets everybody in", async () => {
    const { code, err } = await opened(["map", "rdp"], freshData());
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringContaining("A router lets everybody in") });
  });

  test.each<[string, string, string]>([
    ["a port set", "3389", "Port 3389/tcp is for Windows Remote Desktop: "],
    ["the port inside", "13389:3389", "Port 3389/tcp is for Windows Remote Desktop: "],
    ["by --protocol", "53 --protocol udp", "Port 53/udp is for DNS: "],
  ])("map: %s", async (_name, line, sentence) => {
    const { err } = await opened(["map", ...line.split(" ")], freshData());
    expect(err).toStartWith(sentence);
    expect(err.trim().split("\n")).toHaveLength(1);
  });

  test("harmless and usual ports: not a word", async () => {
    expect((await opened(["map", "25565,80,443,22,19132/udp"], freshData())).err).toBe("");
  });
});

describe("forward add, to the agent that runs", () => {
  const data = freshData();
  const agent = serveAgentControl(new FakeAgent(), { path: join(data, "agent.sock"), onUnexpected: () => {} });
  afterAll(() => agent.close());

  test("plex", async () => {
    expect(await outcome(["forward", "add", "plex", "--data", data])).toEqual({
      code: 0,
      out: "relay.example:32400/tcp → 127.0.0.1:32400\n",
      err: expect.stringMatching(
        /^Plex Media Server: 32400\/tcp\.\nOnly 32400 may .*\nLeft closed: .*\(for the local network\)\.\n$/,
      ),
    });
    expect(await outcome(["forward", "rm", "plex", "--data", data])).toMatchObject({ code: 0, err: "Removed plex.\n" });
  });

  test("a dangerous one", async () => {
    const refused = await outcome(["forward", "add", "rdp", "--data", data]);
    expect(refused).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringContaining("Windows Remote Desktop is for known"),
    });
    const added = await outcome(["forward", "add", "rdp", "--allow", "198.51.100.7", "--data", data]);
    expect(added).toMatchObject({ code: 0, out: "relay.example:3389/tcp+udp → 127.0.0.1:3389\n" });
  });
});

describe("presets", () => {
  test("all, as a table", async () => {
    const { code, out, err } = await outcome(["presets"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("ID ");
    expect(out.trimEnd().split("\n")).toHaveLength(PRESETS.length + 1);
  });

  test("few, with what to know", async () => {
    const { out } = await outcome(["presets", "minecraft", "java"]);
    expect(out).toContain("25565/tcp");
    expect(out).toContain("minecraft-java:\n  Turn on the whitelist");
    expect(out).toContain("Left closed: 25565/udp (optional), 25575/tcp (admin).");
    expect(out).toContain("https://");
  });

  test("by port", async () => {
    expect((await outcome(["presets", "32400"])).out).toContain("plex");
  });

  test("none", async () => {
    const { code, out } = await outcome(["presets", "qqzzqq"]);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('No preset fits "qqzzqq"') });
  });

  test("--json", async () => {
    const { out } = await outcome(["presets", "mc", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ v: 1, presets: [{ id: "minecraft-java", risk: "low" }, {}, {}] });
    expect(JSON.parse((await outcome(["presets", "qqzzqq", "--json"])).out)).toEqual({ v: 1, presets: [] });
  });

  test("the JSON shape in the help has every field", async () => {
    const { out } = await outcome(["presets", "--help"]);
    for (const key of Object.keys(PRESETS[0] ?? {})) expect(out).toContain(`"${key}":`);
  });
});
