// What is in the executables, as CycloneDX 1.6 has it: every package of package-lock.json that is no tool of development,
// and the Bun around them. No time and no random number: the same lock gives the same bytes.
import { type LockedPackage, lockedPackages, TARGETS } from "./targets.ts";

const NODE_MODULES = "node_modules/";

/** npm leaves a licence out of the lock that the package has in another form than a string; each was read there by hand. */
const LICENSES: Readonly<Record<string, string>> = { ssh2: "MIT" };

interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
  readonly licenses?: readonly ({ license: { id: string } } | { expression: string })[];
  readonly purl?: string;
  readonly components?: readonly Component[];
}

export interface Sbom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

export function makeSbom(): Sbom {
  const packages = lockedPackages();
  const own = packages[""];
  if (own === undefined) throw new Error("package-lock.json does not name this package.");
  // What is optional is for other platforms or native code, and no executable has it. Bun's own packages stand within Bun.
  const within = Object.entries(packages).filter(
    ([path, { dev, devOptional, optional }]) => path !== "" && !dev && !devOptional && !optional,
  );
  const application: Component = { ...component("hatchway", own), type: "application" };
  const components = within.map(([path, locked]) => {
    const name = nameOf(path);
    return name === "bun" ? bunComponent(locked, packages) : component(name, locked);
  });
  const refs = new Map(within.map(([path, locked]) => [path, refOf(nameOf(path), locked.version)]));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: application },
    components,
    dependencies: [["", own] as const, ...within].map(([path, { dependencies }]) => ({
      ref: refs.get(path) ?? application["bom-ref"],
      dependsOn: Object.keys(dependencies ?? {}).flatMap((name) => refs.get(resolved(path, name, refs) ?? "") ?? []),
    })),
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf(NODE_MODULES) + NODE_MODULES.length);
}

/** The folder that `name` means in the package at `path`: the nearest one that has it, as Node looks for it. */
function resolved(path: string, name: string, known: ReadonlyMap<string, string>): string | null {
  for (let from = path; ; from = from.slice(0, Math.max(0, from.lastIndexOf(`/${NODE_MODULES}`)))) {
    const candidate = `${from === "" ? "" : `${from}/`}${NODE_MODULES}${name}`;
    if (known.has(candidate)) return candidate;
    if (from === "") return null;
  }
}

function refOf(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function component(fullName: string, { version, license, integrity }: LockedPackage): Component {
  const [group, name] = fullName.startsWith("@") ? fullName.split("/", 2) : [undefined, fullName];
  const licence = license ?? LICENSES[fullName];
  if (licence === undefined)
    throw new Error(`The licence of ${fullName} is not known: add it to scripts/release/sbom.ts.`);
  return {
    type: "library",
    "bom-ref": refOf(fullName, version),
    ...(group === undefined ? {} : { group }),
    name: name ?? fullName,
    version,
    ...(integrity === undefined ? {} : { hashes: [{ alg: "SHA-512", content: hexOf(integrity) }] }),
    licenses: [/[ ()]/.test(licence) ? { expression: licence } : { license: { id: licence } }],
    purl: refOf(fullName, version),
  };
}

function hexOf(integrity: string): string {
  return Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
}

/** Bun with the archives it comes from, one a target, and the libraries that it says it is built of. */
function bunComponent(locked: LockedPackage, packages: Readonly<Record<string, LockedPackage>>): Component {
  const runtimes = TARGETS.map(({ runtime }) => {
    const entry = packages[`${NODE_MODULES}${runtime}`];
    if (entry === undefined) throw new Error(`package-lock.json has no ${runtime}.`);
    return component(runtime, entry);
  });
  const libraries = Object.entries(process.versions)
    .filter(([name, version]) => !NOT_A_LIBRARY.includes(name) && typeof version === "string" && version !== "")
    .map(
      ([name, version]): Component => ({
        type: "library",
        "bom-ref": `bun/${name}@${version}`,
        name,
        version: `${version}`,
      }),
    );
  return { ...component("bun", locked), type: "platform", components: [...runtimes, ...libraries] };
}

/** What `process.versions` has besides: Bun itself, and the Node that it is like. */
const NOT_A_LIBRARY = ["bun", "node", "modules", "napi", "v8"];
