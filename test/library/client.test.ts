import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientShapes, SHAPES_FILE } from "../../scripts/client-types.ts";
import type * as declared from "../../src/library/client.d.ts";
import type * as own from "../../src/servers/api/client.ts";
import { fakeDevice } from "../../src/servers/api/fake-data.ts";
import { ApiLab } from "../fixtures/api-lab.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { examplesOf } from "./examples.ts";
import { bundleLibrary, nodeProgram } from "./node.ts";

/** `hatchway/client`, as apps have it: by the name of the package, on both runtimes. */
const ROOT = join(import.meta.dir, "../..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const STEP_MS = 30_000;
const [CHANGING = "", WATCHING = ""] = examplesOf("api.md");
let app: Awaited<ReturnType<typeof temporaryDirectory>>;
let lab: ApiLab;

beforeAll(async () => {
  bundleLibrary();
  app = await temporaryDirectory();
  mkdirSync(join(app.path, "node_modules"));
  symlinkSync(ROOT, join(app.path, "node_modules/hatchway"));
  writeFileSync(join(app.path, "package.json"), '{ "type": "module" }\n');
  lab = new ApiLab();
  const account = lab.backend.forwards.devices.get("d-1")?.account ?? { id: "", name: "" };
  lab.backend.forwards.devices.set("d-nas", fakeDevice("d-nas", "nas", account));
}, STEP_MS);
afterAll(async () => {
  await lab.close();
  await app[Symbol.asyncDispose]();
});

function start(program: string, name: string, code: string) {
  const path = join(app.path, name);
  writeFileSync(path, code);
  const env = { ...process.env, HATCHWAY: lab.url, TOKEN: lab.backend.access.token("uwe", ["forwards"]) };
  const child = Bun.spawn([program, path], { cwd: app.path, env, stdout: "pipe", stderr: "pipe" });
  return Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
}

describe.each<[string, () => string]>([
  ["Node", nodeProgram],
  ["Bun", () => process.execPath],
])("the programs of docs/api.md, on %s", (runtime, program) => {
  test(
    "the one that changes",
    async () => {
      const [out, err, code] = await start(program(), `changing-${runtime}.mjs`, CHANGING);
      expect({ out: out.split("\n"), err, code }).toEqual({
        out: ["den web open", "nas 25565 open", "412 Somebody else changed it: read it again.", ""],
        err: "",
        code: 0,
      });
      for (const [id, { name }] of lab.backend.forwards.all) if (name === "25565") lab.backend.forwards.all.delete(id);
    },
    STEP_MS,
  );

  test(
    "the one that watches",
    async () => {
      const ended = start(program(), `watching-${runtime}.mjs`, WATCHING);
      await lab.backend.forwards.followed(1);
      const forward = lab.backend.forwards.all.get("f-1");
      if (forward === undefined) throw new Error("no forward");
      lab.backend.forwards.emit({ event: "forward", forward: { ...forward, state: "away" } });
      lab.backend.forwards.emit({ event: "forward", forward });
      expect(await ended).toEqual(["web away\nweb open\n", "", 0]);
      await lab.backend.forwards.followed(0);
    },
    STEP_MS,
  );
});

describe("its types", () => {
  test("are what the server takes and gives now: else run `node_modules/.bin/bun scripts/client-types.ts`", () => {
    expect(readFileSync(SHAPES_FILE, "utf8")).toBe(clientShapes());
  });

  test("say every function, and no other", () => {
    // The compiler looks at it: src/client.ts looks at the other direction.
    const same = (client: declared.Client): own.Client => client;
    expect(same).toBeFunction();
  });

  test(
    "need no others, and are those of the programs",
    async () => {
      const stubs = "declare const process: { readonly env: Readonly<Record<string, string | undefined>> };";
      const wrong = `
        import { type Client, createClient, type Forward, isProblem, PROBLEM_TYPES } from "hatchway/client";
        const client: Client = createClient({ baseUrl: "" });
        const forwards: readonly Forward[] = (await client.listForwards({ limit: 5 })).items;
        const why = (error: unknown): string => (isProblem(error, PROBLEM_TYPES.changed) ? error.problem.detail : "");
        // @ts-expect-error
        await client.addForward({ device: "nas" });
        // @ts-expect-error
        await client.changeForward(forwards[0].id, { state: "open" });
        // @ts-expect-error
        why("x") satisfies number;`;
      const programs = { "stubs.d.ts": stubs, "wrong.mts": wrong, "changing.mts": CHANGING, "watching.mts": WATCHING };
      for (const [name, code] of Object.entries(programs)) writeFileSync(join(app.path, name), code);
      const strict = ["--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noImplicitReturns"];
      const flags = [...strict, "--types", "", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext"];
      const child = Bun.spawn([process.execPath, TSC, ...flags, ...Object.keys(programs)], {
        cwd: app.path,
        stdout: "pipe",
      });
      expect([await child.stdout.text(), await child.exited]).toEqual(["", 0]);
    },
    STEP_MS,
  );
});

test("its bundle imports nothing", () => {
  const bundle = readFileSync(join(ROOT, "dist/client.mjs"), "utf8");
  expect([...bundle.matchAll(/^\s*import\b.*$/gm)].map(([line]) => line)).toEqual([]);
});
