import { describe, expect, test } from "bun:test";
import { areaLogger, type LogOptions, startLog } from "./log.ts";
import { hideSecrets } from "./log-redaction.ts";

const CODE = `hatchway1-${"abcdefgh".repeat(12)}`;
const PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----";

async function linesOf(format: LogOptions["format"], log: () => void): Promise<string[]> {
  const lines: string[] = [];
  const stop = await startLog({ format, level: "info", write: (line) => lines.push(line) });
  log();
  await stop();
  return lines;
}

describe("log lines", () => {
  test("human: time, level, area, message, fields", async () => {
    const [line, ...more] = await linesOf("human", () => {
      areaLogger("relay").debug("not written");
      areaLogger("relay").info("device connected", { device: "web1", address: "192.0.2.1:5", note: "two words" });
    });
    expect(more).toEqual([]);
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z info {4}relay: device connected device=web1 address=192\.0\.2\.1:5 note="two words"\n$/,
    );
  });

  test("json: one object a line", async () => {
    const [line] = await linesOf("json", () =>
      areaLogger("store").error("{what} failed", { what: "the write", cause: new Error("disk full") }),
    );
    expect(JSON.parse(line ?? "")).toEqual({
      time: expect.any(String),
      level: "error",
      area: "store",
      message: "the write failed",
      fields: { what: "the write", cause: { error: "Error", message: "disk full" } },
    });
  });

  test.each(["human", "json"] as const)(
    "%s: what a visitor sent cannot forge a line or move the cursor",
    async (format) => {
      const lines = await linesOf(format, () => {
        areaLogger("socks").info("host {host}", { host: "a\nerror relay: b\u001b[2K" });
      });
      expect(lines).toHaveLength(1);
      expect(lines[0]?.slice(0, -1)).not.toMatch(/\p{Cc}/u);
    },
  );

  test.each(["human", "json"] as const)("%s: no secret is written", async (format) => {
    const secret = new TextEncoder().encode("sixteen secret b");
    const lines = await linesOf(format, () => {
      areaLogger("agent").info(`joining with ${CODE}`, {
        argument: CODE,
        secret,
        nested: { exported: secret, credentials: { username: "u", password: "sesame" }, keyPem: PEM },
        text: `key: ${PEM}`,
        proxy: "http://user:sesame@proxy.example",
        cause: new Error(`cannot read ${CODE}`, { cause: new Error(PEM) }),
      });
    });
    expect(lines).toHaveLength(1);
    for (const part of ["abcdefgh", "MC4CAQAw", "sesame", "sixteen", "115,105"]) expect(lines[0]).not.toContain(part);
  });

  test("before it is set up, logging is silent", () => {
    areaLogger("relay").fatal("nobody listens");
  });
});

test.each<[string, unknown, unknown]>([
  ["bytes", new Uint8Array(32), "(32 bytes)"],
  ["a big number", 10n ** 20n, "100000000000000000000"],
  ["no number", Number.NaN, "NaN"],
  ["a date", new Date(0), "1970-01-01T00:00:00.000Z"],
  ["no date", new Date(Number.NaN), "(no date)"],
  ["a map", new Map([["a", new Uint8Array(2)]]), { a: "(2 bytes)" }],
  ["a set", new Set([1]), [1]],
  ["nothing", undefined, null],
  [
    "one-time links",
    "open https://a.example/setup#first-1 or /invite#second_2 or /reset#third-3/ann",
    "open https://a.example/setup#(hidden) or /invite#(hidden) or /reset#(hidden)/ann",
  ],
  ["an app's key", "opened by hatchwaykey1-pmrgq33tori", "opened by (hidden)"],
  ["an absent secret", { password: null }, { password: null }],
  [
    "an error with a code",
    Object.assign(new Error("x"), { code: "EIO" }),
    { error: "Error", message: "x", code: "EIO" },
  ],
])("hideSecrets: %s", (_what, value, hidden) => {
  expect(hideSecrets(value)).toEqual(hidden);
});

test("hideSecrets ends on a circle", () => {
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  expect(JSON.stringify(hideSecrets(circle))).toContain("(…)");
});
