import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The real program with `--log-format json`: whatever comes on standard error is one object a line. */
const MAIN = join(import.meta.dir, "../../src/main.ts");
const root = mkdtempSync(join(tmpdir(), "hatchway-log-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Line {
  readonly time: string;
  readonly level: string;
  readonly area: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([process.execPath, "--no-env-file", MAIN, ...args], {
    env: { PATH: process.env["PATH"] ?? "", HOME: root, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: string[] = [];
  let wake = Promise.withResolvers<void>();
  const reading = (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      wake.resolve();
      wake = Promise.withResolvers();
    }
    if (rest !== "") lines.push(rest);
    wake.resolve();
  })();
  let ended = false;
  void reading.then(() => {
    ended = true;
  });
  return {
    lines,
    stdout: () => child.stdout.text(),
    /** Resolves with the first line that has the text; rejects when the program ends without one. */
    async line(text: string): Promise<string> {
      for (;;) {
        const found = lines.find((line) => line.includes(text));
        if (found !== undefined) return found;
        if (ended) throw new Error(`no line has ${text}: ${lines.join("\n")}`);
        await wake.promise;
      }
    },
    async end(): Promise<number> {
      child.kill("SIGTERM");
      await reading;
      return await child.exited;
    },
    ended: async () => {
      await reading;
      return await child.exited;
    },
  };
}

/** What a collector makes of it: each line an object with these five, and no other. */
function parsed(lines: readonly string[]): Line[] {
  return lines.map((line) => {
    const value: Line = JSON.parse(line);
    expect(Object.keys(value)).toEqual(["time", "level", "area", "message", "fields"]);
    expect(new Date(value.time).toISOString()).toBe(value.time);
    expect(["debug", "info", "warning", "error"]).toContain(value.level);
    expect([value.area, value.message].every((text) => typeof text === "string" && text !== "")).toBe(true);
    expect(typeof value.fields).toBe("object");
    return value;
  });
}

const JSON_LOG = ["--log-format", "json"];
const data = (name: string) => ["--data", join(root, name)];

describe("--log-format json", () => {
  test("a relay and an agent write objects alone, and no secret", async () => {
    const listen = ["--listen", "127.0.0.1:0", "--public", "127.0.0.1", "--console", "127.0.0.1:0"];
    const relay = start(["serve", ...listen, ...data("relay"), "--verbose", ...JSON_LOG]);
    await relay.line("The relay is ready");
    const made = start(["join-code", "create", "--name", "den", ...data("relay")]);
    const code = (await made.stdout()).trim();
    expect(code).toStartWith("hatchway1-");
    const invited = start(["user", "invite", "--role", "admin", ...data("relay")]);
    const link = (await invited.stdout()).trim();
    const agent = start(["agent", ...data("agent"), "--verbose", ...JSON_LOG], { HATCHWAY_JOIN: code });
    await agent.line("Connected to");
    await relay.line("a device connected");
    // The same code again, and by somebody else.
    const thief = start(["agent", ...data("thief"), ...JSON_LOG], { HATCHWAY_JOIN: code });
    expect(await thief.ended()).toBe(3);
    await relay.line("a credential was refused");
    expect(await agent.end()).toBe(0);
    expect(await relay.end()).toBe(0);
    const [ofRelay, ofAgent, ofThief] = [relay.lines, agent.lines, thief.lines].map(parsed);
    expect(ofRelay).toContainEqual(
      expect.objectContaining({
        level: "info",
        area: "relay",
        message: "a device connected",
        fields: { device: "den", address: expect.stringContaining("127.0.0.1") },
      }),
    );
    expect(ofRelay?.find(({ message }) => message.includes("administrator"))?.message).toContain(
      "hatchway user invite",
    );
    expect(ofAgent?.some(({ message }) => message.startsWith("Connected to"))).toBe(true);
    expect(ofThief?.at(-1)).toMatchObject({ level: "error", area: "hatchway" });
    const all = [...relay.lines, ...agent.lines, ...thief.lines].join("\n");
    const secrets = [code.slice("hatchway1-".length, -8), link.slice(link.indexOf("#") + 1), "/setup#", "PRIVATE KEY"];
    expect(secrets.filter((secret) => secret.length > 5 && all.includes(secret))).toEqual([]);
  }, 30_000);

  test("a mistake in the config is an object, too", async () => {
    await Bun.write(join(root, "wrong/hatchway.toml"), "[relay]\nlisten = 5\nprots = 1\n");
    const relay = start(["serve", ...data("wrong"), ...JSON_LOG]);
    expect(await relay.ended()).toBe(2);
    const [line, ...more] = parsed(relay.lines);
    expect(more).toEqual([]);
    expect(line?.level).toBe("error");
    expect(line?.message).toContain("hatchway.toml:2:");
    expect(line?.message).toContain("hatchway.toml:3:");
  });

  test("what a command answers stays as it is", async () => {
    const version = start(["version", ...JSON_LOG]);
    expect(await version.stdout()).toMatch(/^hatchway \d|^\d/);
    expect(await version.ended()).toBe(0);
  });

  test("another format is wrong usage", async () => {
    const wrong = start(["version", "--log-format", "xml"]);
    expect(await wrong.ended()).toBe(2);
    expect(wrong.lines.join("\n")).toContain("human, json");
  });
});
