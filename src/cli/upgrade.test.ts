import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRoles } from "../../test/fixtures/no-roles.ts";
import { VERSION } from "../os/version.ts";
import { ownTarget } from "../roles/upgrade/check.ts";
import { encodeRelease } from "../wire/release.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-upgrade-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SHA = "0a".repeat(32);
/** A manifest of this version, in a folder of its own. */
function manifest(version: string): string {
  const path = join(mkdtempSync(join(root, "release-")), "release.json");
  const about = { bytes: 7, sha256: SHA };
  const files = [{ ...about, name: `hatchway-${version}-${ownTarget()}`, target: ownTarget() }];
  const sbom = { ...about, name: "sbom.json" };
  writeFileSync(path, encodeRelease({ v: 1, name: "hatchway", version, bun: "1.4.5", files, sbom }));
  return path;
}

async function upgrade(args: readonly string[], config = "") {
  const data = mkdtempSync(join(root, "data-"));
  if (config !== "") writeFileSync(join(data, "hatchway.toml"), config);
  let out = "";
  let err = "";
  const never = new AbortController().signal;
  const io: Io = {
    env: { HATCHWAY_DATA: data },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stdin: async () => "",
    isTerminal: false,
    columns: 80,
    isRoot: false,
    stop: never,
    stopNow: never,
    onHangup: () => () => {},
    startLog: async () => {},
    roles: noRoles(),
  };
  return { code: await runProgram(["upgrade", ...args], io), out, err };
}

describe("without --check", () => {
  test("it says how this one is replaced, and asks nobody", async () => {
    const { code, out, err } = await upgrade([], '[upgrade]\nmanifest = "/nowhere/release.json"\n');
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith(`This is Hatchway ${VERSION}, `);
    expect(out).toMatch(/^To replace it \(.+\):\n {2}\S/m);
  });

  test("--json says the same", async () => {
    const { out } = await upgrade(["--json"]);
    expect(JSON.parse(out)).toMatchObject({ v: 1, version: VERSION, steps: expect.any(Array), check: null });
  });
});

test("a source without --check is a mistake", async () => {
  const { code, err } = await upgrade(["--from", "release.json"]);
  expect({ code, err }).toEqual({ code: 2, err: "hatchway: --from goes with --check: without it nobody is asked.\n" });
});

describe("with --check", () => {
  test.each([
    ["99.0.0", 5, "Version 99.0.0 is there, says "],
    [VERSION, 0, " has nothing newer.\n"],
    ["0.0.1", 0, " is older: it has 0.0.1.\n"],
  ])("a source that has %s: exit code %d", async (version, code, said) => {
    const found = await upgrade(["--check", "--from", manifest(version)]);
    expect({ code: found.code, err: found.err }).toEqual({ code, err: "" });
    expect(found.out).toContain(said);
    expect(found.out).toContain("not signed by a key you named");
  });

  test("the config names the source, beside itself", async () => {
    const path = manifest("99.0.0");
    const { code, out } = await upgrade(
      ["--check", "--json"],
      `[upgrade]\nmanifest = "../${path.slice(root.length + 1)}"\n`,
    );
    expect(code).toBe(5);
    expect(JSON.parse(out).check).toEqual({
      from: path,
      signed: false,
      state: "newer",
      version: "99.0.0",
      file: { name: `hatchway-99.0.0-${ownTarget()}`, bytes: 7, sha256: SHA },
    });
  });

  test.each([
    ["no source", [], "", 2, "Nobody is asked unless you say whom: name a release.json by --from,"],
    ["a key that is none", ["--from", "x", "--key", "ssh-rsa AAAA"], "", 2, "--key is no `ssh-ed25519 AAAA…`"],
    ["a file that is not there", ["--from", "/none/release.json"], "", 2, "There is no file /none/release.json."],
    ["a config with a key that is none", [], '[upgrade]\nkey = "x"\n', 2, "must be a public key of ssh-keygen's"],
    ["a manifest that is none", ["--from", join(import.meta.dir, "upgrade.ts")], "", 3, "is not one of Hatchway's"],
  ] as const)("%s is told in one sentence", async (_, args, config, code, said) => {
    const found = await upgrade(["--check", ...args], config);
    expect({ code: found.code, out: found.out }).toEqual({ code, out: "" });
    expect(found.err).toContain(said);
    expect(found.err.trim().split("\n")).toHaveLength(1);
  });
});
