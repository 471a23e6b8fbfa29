// Makes a release in dist/release: an executable for each target, release.json, SHA256SUMS and an SBOM.
//   npm run release -- [--target NAME]… [--out DIRECTORY] [--sign KEY-FILE] [--runtime FILE]
// --runtime: the Bun of the one target, when it is here already; else npm fetches those that package-lock.json names.
// --sign: a private Ed25519 key of ssh-keygen's; it signs release.json and SHA256SUMS (ssh-keygen -Y sign).
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { BUN_VERSION, VERSION } from "../src/os/version.ts";
import { SIGNATURE_NAMESPACE } from "../src/roles/upgrade/check.ts";
import { encodeRelease, type Release } from "../src/wire/release.ts";
import { writeConsole } from "./console-files.ts";
import { makeExecutable } from "./release/executable.ts";
import { formOfFile } from "./release/form.ts";
import { runtimeOf } from "./release/runtime.ts";
import { makeSbom } from "./release/sbom.ts";
import { ROOT, TARGETS, type Target } from "./release/targets.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    out: { type: "string", default: join(ROOT, "dist/release") },
    sign: { type: "string" },
    runtime: { type: "string" },
  },
});

function fail(sentence: string): never {
  console.error(`hatchway: ${sentence}`);
  process.exit(1);
}

function targetsOf(names: readonly string[] | undefined): readonly Target[] {
  if (names === undefined) return TARGETS;
  return names.map((name) => {
    const target = TARGETS.find((one) => one.name === name);
    return target ?? fail(`unknown target "${name}"; there are ${TARGETS.map((one) => one.name).join(", ")}.`);
  });
}

async function run(argv: readonly string[]): Promise<void> {
  const child = Bun.spawn([...argv], { stdio: ["ignore", 2, 2] });
  if ((await child.exited) !== 0) fail(`${argv.join(" ")} failed: see the lines above.`);
}

async function fileFacts(directory: string, name: string) {
  const bytes = await Bun.file(join(directory, name)).bytes();
  return { name, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

if (Bun.version !== BUN_VERSION)
  fail(`a release is made by Bun ${BUN_VERSION}, and this is ${Bun.version}: run npm ci.`);
const targets = targetsOf(values.target);
const given = values.runtime === undefined ? null : resolve(values.runtime);
if (given !== null && targets.length !== 1) fail("--runtime is the Bun of one target: name that by --target.");
const signer = values.sign === undefined ? null : resolve(values.sign);
const out = resolve(values.out);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

// The names of the console's files depend on where their sources lie, as seen from here (Bun 1.4.5).
process.chdir(ROOT);
const consoleFolder = mkdtempSync(join(tmpdir(), "hatchway-console-"));
await writeConsole(consoleFolder);
const files: Release["files"] = [];
for (const target of targets) {
  const name = `hatchway-${VERSION}-${target.name}${target.extension}`;
  const path = join(out, name);
  await makeExecutable({ target, runtime: given ?? (await runtimeOf(target)), console: consoleFolder, path });
  const form = formOfFile(path);
  if (form !== target.name) fail(`what was made for ${target.name} is for ${form ?? "nothing that is known"}.`);
  chmodSync(path, 0o755);
  files.push({ ...(await fileFacts(out, name)), target: target.name });
  console.log(name);
}
rmSync(consoleFolder, { recursive: true });

const sbom = `hatchway-${VERSION}.cdx.json`;
await Bun.write(join(out, sbom), `${JSON.stringify(makeSbom(), null, 2)}\n`);
const release: Release = {
  v: 1,
  name: "hatchway",
  version: VERSION,
  bun: BUN_VERSION,
  files,
  sbom: await fileFacts(out, sbom),
};
await Bun.write(join(out, "release.json"), encodeRelease(release));
const summed = [...files, release.sbom, await fileFacts(out, "release.json")];
await Bun.write(join(out, "SHA256SUMS"), summed.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(""));
console.log(`${sbom}\nrelease.json\nSHA256SUMS`);

if (signer !== null) {
  const paths = ["release.json", "SHA256SUMS"].map((name) => join(out, name));
  await run(["ssh-keygen", "-Y", "sign", "-q", "-f", signer, "-n", SIGNATURE_NAMESPACE, ...paths]);
  console.log("release.json.sig\nSHA256SUMS.sig");
}
