// Makes what apps install, in dist/package: hatchway-VERSION.tgz, the library for Node and Bun alone. It has no dependency: no
// program, no Bun, no console (docs/decisions/0047-the-library-is-a-package-of-its-own.md).
//   npm run package -- [--out DIRECTORY]
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import own from "../package.json" with { type: "json" };
import { bundleLibrary } from "./library.ts";

const ROOT = join(import.meta.dir, "..");
const TYPES = join(ROOT, "src/library");

const { values } = parseArgs({ options: { out: { type: "string", default: join(ROOT, "dist/package") } } });

const manifest = {
  name: own.name,
  version: own.version,
  description: "Opens public ports for an app: at the router that is there, or through a Hatchway relay.",
  license: own.license,
  type: "module",
  // For TypeScript before moduleResolution "node16"; everything else reads exports.
  types: "./hatchway.d.ts",
  main: "./hatchway.mjs",
  exports: {
    ".": { types: "./hatchway.d.ts", default: "./hatchway.mjs" },
    "./client": { types: "./client.d.ts", default: "./client.mjs" },
    "./package.json": "./package.json",
  },
  sideEffects: false,
  // process.getBuiltinModule; require() of a module from 22.12 on.
  engines: { node: ">=22.3", bun: `>=${own.dependencies.bun}` },
};

/** The page of the docs, without its links to pages that are not here. */
function readme(): string {
  const text = readFileSync(join(ROOT, "docs/library.md"), "utf8");
  return text.replace(/\[([^\]]+)\]\((?!#|https?:)[^)]+\)/g, "$1");
}

/** Whose code is in the bundles, and under which terms. */
function notices(packages: readonly string[]): string {
  const parts = packages.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((one) => /^licen[cs]e(\.\w+)?$/i.test(one));
    if (file === undefined) throw new Error(`${name} has no licence file.`);
    return `# ${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return `The code of these packages is in hatchway.mjs and client.mjs.\n\n${parts.join("\n")}`;
}

const out = resolve(values.out);
mkdirSync(out, { recursive: true });
const directory = mkdtempSync(join(tmpdir(), "hatchway-package-"));
try {
  const packages = await bundleLibrary(directory);
  for (const name of readdirSync(TYPES).filter((one) => one.endsWith(".d.ts"))) {
    cpSync(join(TYPES, name), join(directory, name));
  }
  cpSync(join(ROOT, "LICENSE"), join(directory, "LICENSE"));
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(join(directory, "README.md"), readme());
  writeFileSync(join(directory, "NOTICES.md"), notices(packages));
  const npm = Bun.spawn(["npm", "pack", "--silent", "--pack-destination", out], {
    cwd: directory,
    stdio: ["ignore", "pipe", 2],
  });
  const name = (await npm.stdout.text()).trim();
  if ((await npm.exited) !== 0) throw new Error("npm could not pack the library: see the lines above.");
  console.log(join(out, basename(name)));
} finally {
  rmSync(directory, { recursive: true });
}
