import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { validate as validateDockerfile } from "dockerfile-utils";
import { formOf, formOfFile } from "../../scripts/release/form.ts";
import { makeSbom, type Sbom } from "../../scripts/release/sbom.ts";
import { TARGETS } from "../../scripts/release/targets.ts";
import { ownTarget } from "../../src/roles/upgrade/check.ts";
import { IMAGE_VARIABLE } from "../../src/roles/upgrade/installation.ts";

const ROOT = join(import.meta.dir, "../..");
const readJson = (path: string) => JSON.parse(readFileSync(join(ROOT, path), "utf8"));
const LOCK: Record<string, { version: string; dev?: true; integrity?: string }> =
  readJson("package-lock.json").packages;

describe("the SBOM", () => {
  const sbom: Sbom = makeSbom();
  const SCHEMAS = "node_modules/@cyclonedx/cyclonedx-library/res/schema";

  test("is CycloneDX 1.6, by its own schema", () => {
    // `strict` minds keywords of the schema itself; two formats are those of other drafts.
    const ajv = new Ajv({ strict: false, allErrors: true, formats: { "iri-reference": true, "idn-email": true } });
    addFormats(ajv);
    for (const name of ["spdx", "jsf-0.82", "cryptography-defs"].map((one) => `${one}.SNAPSHOT.schema.json`)) {
      const { $id: _, ...schema } = readJson(`${SCHEMAS}/${name}`);
      ajv.addSchema(schema, `http://cyclonedx.org/schema/${name}`);
    }
    const validate = ajv.compile(readJson(`${SCHEMAS}/bom-1.6.SNAPSHOT.schema.json`));
    validate(sbom);
    expect(validate.errors).toBeNull();
    expect(validate({ ...sbom, components: [{ type: "library" }] })).toBe(false);
  });

  test("has each package that the program needs, with its version, licence and hash, and no other", () => {
    const { dependencies } = readJson("package.json");
    const named = (components: Sbom["components"]) =>
      components.map(({ group, name, version }) => `${group === undefined ? "" : `${group}/`}${name}@${version}`);
    expect(named(sbom.components)).toEqual(
      expect.arrayContaining(Object.entries(dependencies).map(([name, version]) => `${name}@${version}`)),
    );
    expect(named(sbom.components).filter((name) => /typescript|biome|@types|cpu-features/.test(name))).toEqual([]);
    for (const { name, licenses, hashes } of sbom.components) {
      expect({ name, licenses: licenses?.length, hash: hashes?.[0]?.content }).toEqual({
        name,
        licenses: 1,
        hash: expect.stringMatching(/^[0-9a-f]{128}$/),
      });
    }
  });

  test("has the Bun of each target, as package-lock.json has it", () => {
    const bun = sbom.components.find(({ name }) => name === "bun");
    for (const { runtime } of TARGETS) {
      const part = bun?.components?.find(({ group, name }) => `${group}/${name}` === runtime);
      const integrity = `sha512-${Buffer.from(part?.hashes?.[0]?.content ?? "", "hex").toString("base64")}`;
      expect({ runtime, integrity }).toEqual({ runtime, integrity: LOCK[`node_modules/${runtime}`]?.integrity ?? "" });
    }
  });

  test("says what needs what, by names that it has", () => {
    const refs = new Set([sbom.metadata.component, ...sbom.components].map((one) => one["bom-ref"]));
    const named = sbom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]);
    expect(named.filter((ref) => !refs.has(ref))).toEqual([]);
    // Two versions of one package, each where it is asked for.
    const needs = (start: string) => sbom.dependencies.find(({ ref }) => ref.startsWith(start))?.dependsOn;
    expect(needs("pkg:npm/tsyringe@")).toEqual([expect.stringMatching(/^pkg:npm\/tslib@1\./)]);
    expect(needs("pkg:npm/%40peculiar/x509@")).toContainEqual(expect.stringMatching(/^pkg:npm\/tslib@2\./));
  });
});

describe("the form of an executable", () => {
  /** Bytes at their places, in a header of zeros. */
  const header = (parts: Readonly<Record<number, string>>) => {
    const bytes = Buffer.alloc(512);
    for (const [at, hex] of Object.entries(parts)) bytes.write(hex, Number(at), "hex");
    return bytes;
  };

  test.each([
    ["ELF for x86-64", header({ 0: "7f454c46", 18: "3e00" }), "linux-x64"],
    ["ELF for AArch64", header({ 0: "7f454c46", 18: "b700" }), "linux-arm64"],
    ["ELF for RISC-V", header({ 0: "7f454c46", 18: "f300" }), null],
    ["Mach-O for x86-64", header({ 0: "cffaedfe", 4: "07000001" }), "macos-x64"],
    ["Mach-O for arm64", header({ 0: "cffaedfe", 4: "0c000001" }), "macos-arm64"],
    ["PE for x86-64", header({ 0: "4d5a", 60: "80000000", 128: "50450000", 132: "6486" }), "windows-x64"],
    ["MZ of DOS", header({ 0: "4d5a", 60: "80000000" }), null],
    ["MZ that points beyond", header({ 0: "4d5a", 60: "ffffff7f" }), null],
    ["a script", Buffer.from(`#!/bin/sh\n${"#".repeat(100)}`), null],
    ["nothing", Buffer.alloc(0), null],
  ])("%s", (_, bytes, form) => {
    expect(formOf(bytes)).toBe(form);
  });

  test("the Bun that runs this is for this machine", () => {
    expect(formOfFile(process.execPath)).toBe(ownTarget());
  });
});

describe("the container's files", () => {
  const dockerfile = readFileSync(join(ROOT, "Dockerfile"), "utf8");
  const compose = readFileSync(join(ROOT, "compose.yaml"), "utf8");

  test("the Dockerfile is one", () => {
    expect(validateDockerfile(dockerfile)).toEqual([]);
    expect(validateDockerfile("FORM scratch\nEXPOSE web\n").length).toBeGreaterThan(1);
  });

  test("it builds only what scripts/release.ts knows, and copies what is there", () => {
    const targets = [...dockerfile.matchAll(/target=([a-z0-9-]+)/g)].map(([, name]) => name ?? "");
    const known = TARGETS.map(({ name }) => name);
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.filter((name) => !known.includes(name))).toEqual([]);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = ""]) =>
      names.split(" "),
    );
    expect(copied.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
    const run = [...dockerfile.matchAll(/(\S+\/\S+\.(?:ts|js))\b/g)].map(([, path]) => path ?? "");
    expect(run.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test("its last stage has no shell to run, no root, and a check of its health", () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
    expect(last).not.toMatch(/^RUN /m);
    expect(last).toMatch(/^USER 65532:65532$/m);
    expect(last).toMatch(/^HEALTHCHECK .*CMD \[/m);
    expect(last).toMatch(/^ENTRYPOINT \[/m);
    expect(last).toMatch(new RegExp(`^ENV .*\\b${IMAGE_VARIABLE}=1$`, "m"));
  });

  test("what it leaves out is not what the build reads", () => {
    const ignored = readFileSync(join(ROOT, ".dockerignore"), "utf8").trim().split("\n");
    expect(ignored).toContain("node_modules");
    expect(["src", "scripts", "package.json", "package-lock.json"].filter((name) => ignored.includes(name))).toEqual(
      [],
    );
  });

  test("compose.yaml works for each machine by what that one's .env says", () => {
    // Compose puts variables into the whole file first, and then looks at profiles: one that is required is so everywhere.
    expect(compose).not.toMatch(/\$\{\w+:?\?/);
    const { services } = Bun.YAML.parse(compose) as { services: Record<string, { profiles?: string[] }> };
    const started = (profile: string) =>
      Object.keys(services).filter((name) => services[name]?.profiles?.includes(profile));
    expect([started("relay"), started("agent")]).toEqual([["relay"], ["agent", "web"]]);
    expect(Object.values(services).filter(({ profiles }) => profiles === undefined)).toEqual([]);
    // The code is a secret until it was used.
    for (const file of [".gitignore", ".dockerignore"]) {
      expect(readFileSync(join(ROOT, file), "utf8").split("\n")).toContain(".env");
    }
  });

  test("compose.yaml is what the Compose Specification says", () => {
    // https://github.com/compose-spec/compose-spec, of June 2026
    const ajv = new Ajv({ strict: false, allErrors: true, allowUnionTypes: true, formats: { duration: true } });
    addFormats(ajv);
    const { $schema: _, ...schema } = readJson("test/fixtures/compose-spec.json");
    const validate = ajv.compile(schema);
    const value = Bun.YAML.parse(compose);
    validate(value);
    expect(validate.errors).toBeNull();
    expect(validate({ services: { relay: { imagine: "hatchway" } } })).toBe(false);
  });
});
