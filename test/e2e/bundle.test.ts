import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The real program from its bundle, which loads packages in another order than src does. In a place of its own: what else runs
 * from this checkout has its bundle in node_modules/.cache.
 */
const ROOT = join(import.meta.dir, "../..");
const root = mkdtempSync(join(tmpdir(), "hatchway-bundle-"));
const at = (path: string) => join(root, path);

beforeAll(async () => {
  for (const path of ["bin", "scripts/bundle.ts", "package.json"])
    cpSync(join(ROOT, path), at(path), { recursive: true });
  symlinkSync(join(ROOT, "src"), at("src"));
  mkdirSync(at("node_modules"));
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (name !== ".cache") symlinkSync(join(ROOT, "node_modules", name), at(`node_modules/${name}`));
  }
  const bundling = Bun.spawn([process.execPath, "--no-env-file", at("scripts/bundle.ts")], { stderr: "pipe" });
  expect(await bundling.stderr.text()).toBe("");
  expect(await bundling.exited).toBe(0);
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** bin/launch.ts runs src when there is no bundle of exactly these files. */
async function hasBundle(): Promise<boolean> {
  const { sourceState }: typeof import("../../bin/bundle-path.ts") = await import(at("bin/bundle-path.ts"));
  return existsSync(join(sourceState().bundle, "main.js"));
}

/** Starts the relay, and stops it when it is ready. What it says on standard output, and how it ends. */
async function startAndStop() {
  const places = ["--listen", "127.0.0.1:0", "--public", "127.0.0.1", "--console", "127.0.0.1:0"];
  const child = Bun.spawn([at("bin/hatchway"), "serve", ...places, "--data", at("data"), "--json"], {
    env: { PATH: process.env["PATH"] ?? "", HOME: root },
    stdout: "pipe",
    stderr: "pipe",
  });
  const err = child.stderr.text();
  let out = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    if (out.includes("\n")) child.kill("SIGTERM");
  }
  return { out, err: await err, code: await child.exited };
}

// The first start makes the relay's certificate, and loads what makes certificates; the second one only reads it.
test("a relay with a console starts from the bundle, and again with the same data", async () => {
  for (const start of ["first", "second"]) {
    expect(await hasBundle()).toBe(true);
    const { out, err, code } = await startAndStop();
    expect({ start, code, err: code === 0 ? "" : err }).toEqual({ start, code: 0, err: "" });
    const [line = ""] = out.split("\n");
    expect(JSON.parse(line)).toMatchObject({ event: "ready", console: { url: expect.stringMatching(/^http:/) } });
  }
}, 60_000);
