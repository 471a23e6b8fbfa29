import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * The import walls and rules of docs/architecture.md. A rule that turns out wrong is changed here and there, in one commit.
 * Type-only imports count: a type is knowledge too. Test files may import what they like.
 */
const SRC = join(import.meta.dir, "../src");

/** Who may import whom, by folder of src; a longer path is a narrower permission. Own folder: always, unless SEALED. */
const ARROWS: Record<string, readonly string[]> = {
  "main.ts": ["cli", "os"],
  // What apps import: it asks a role, as the command line does.
  "index.ts": ["library"],
  // And what they ask a relay by, from anywhere.
  "client.ts": ["library", "servers/api/client.ts"],
  library: ["roles", "core", "wire", "os"],
  // The command line talks to a running relay or agent through servers/local's client, to a relay elsewhere (--remote) through
  // the API's, and reads what people write.
  cli: ["roles", "servers/local", "servers/api/client.ts", "core", "wire", "os"],
  // In a browser: of the API it knows the client and the types, and of the rest what is pure and small. core/vpn makes peers'
  // files there.
  console: ["servers/api", "core/vpn", "wire"],
  roles: ["servers", "dataplanes", "router", "store", "core", "wire", "os"],
  // A SOCKS server hands on the connection it accepted: it knows byte ends, and not where they lead.
  servers: ["dataplanes/io", "core", "wire", "os"],
  dataplanes: ["core", "wire", "os"],
  router: ["core", "wire", "os"],
  store: ["core", "wire", "os"],
  os: ["wire"],
  core: ["wire"],
  wire: [],
};
/** Data planes know nothing of each other; what they share is in dataplanes/io. */
const SEALED = ["dataplanes/tunnel", "dataplanes/direct", "dataplanes/nat"];
/** Packages that do no IO: the only ones that pure code may import. */
const PURE_PACKAGES = ["ipaddr.js", "zod"];
const PURE_FOLDERS = ["wire", "core"];
/** The API's client, and all that comes with it: it runs in browsers as well, where zod would be most of what is loaded. */
const CLIENT = ["servers/api/client.ts", "servers/api/client-http.ts", "servers/api/protocol.ts"];
/** The only files that start programs: by their arguments, in an environment that they name. */
const STARTERS = ["os/spawn.ts", "roles/gateway/helper/spawn.ts"];
/** Made by a program (scripts/client-types.ts), and read by programs: as long as what it describes. */
const GENERATED = ["library/client-shapes.d.ts"];
const MAX_LINES = 500;
const COMFORTABLE_LINES = 400;

interface Source {
  /** Relative to src, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments and without the content of strings (templates with a value in them stay). */
  readonly code: string;
  /** Module specifiers as written. */
  readonly specifiers: readonly string[];
  /** Those of them that only types are taken from. */
  readonly typesOf: readonly string[];
}

/** Imports that leave nothing in what is built. */
const TYPE_IMPORT = /(?:^|[\s;}])(?:import|export)\s+type\b[^;"'`()]*?\bfrom\s*["']([^"']+)["']/g;
const IMPORT = /(?:^|[\s;}])(?:import|export)\b(?:[^;"'`()]*?\bfrom)?\s*["']([^"']+)["']/g;
const DYNAMIC_IMPORT = /\bimport\(\s*["']([^"']+)["']/g;
const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\$])*`/g;

function withoutComments(text: string): string {
  return text.replace(COMMENT_OR_STRING, (found) => (found.startsWith("/") ? " " : found));
}

function withoutStrings(text: string): string {
  return text.replace(COMMENT_OR_STRING, (found) => (found.startsWith("/") ? found.replace(/[^\n]/g, " ") : '""'));
}

function readSource(path: string): Source {
  const text = readFileSync(join(SRC, path), "utf8");
  const uncommented = withoutComments(text);
  const specifiers = [...uncommented.matchAll(IMPORT), ...uncommented.matchAll(DYNAMIC_IMPORT)].map(
    (match) => match[1]!,
  );
  const typesOf = [...uncommented.matchAll(TYPE_IMPORT)].map((match) => match[1]!);
  return { path, text, code: withoutStrings(text), specifiers, typesOf };
}

const isSource = (path: string) => /\.tsx?$/.test(path);
const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => isSource(path) && !/\.test\.tsx?$/.test(path))
  .map(readSource);
const known = new Set(sources.map((source) => source.path));

/** The path in src that a relative specifier means, or null for a package. */
function resolveInSrc(from: string, specifier: string): string | null {
  return specifier.startsWith(".") ? relative(SRC, join(SRC, dirname(from), specifier)) : null;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function mayImport(from: string, to: string): boolean {
  const sealed = SEALED.find((folder) => isWithin(to, folder));
  const top = from.split("/")[0]!;
  if (sealed !== undefined && top === "dataplanes") return isWithin(from, sealed);
  return isWithin(to, top) || (ARROWS[top] ?? []).some((folder) => isWithin(to, folder));
}

/** Every cycle that a depth-first walk closes, as the paths along it. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return cycles;
}

/** `path:line: what` for each place where `pattern` stands in code. */
function places(pattern: RegExp, among: readonly Source[] = sources): string[] {
  return among.flatMap(({ path, code }) =>
    [...code.matchAll(new RegExp(pattern, "gm"))].map((match) => {
      const line = code.slice(0, match.index).split("\n").length;
      return `${path}:${line}: ${match[0].trim()}`;
    }),
  );
}

const pure = sources.filter(({ path }) => PURE_FOLDERS.some((folder) => isWithin(path, folder)));

describe("import walls", () => {
  test("every folder of src has its arrows", () => {
    const folders = new Set(sources.map(({ path }) => path.split("/")[0]!));
    expect([...folders].filter((folder) => !(folder in ARROWS))).toEqual([]);
  });

  test("relative imports end in .ts, .tsx or .json and lead to a file", () => {
    const broken = sources.flatMap(({ path, specifiers }) =>
      specifiers.filter((specifier) => {
        const target = resolveInSrc(path, specifier);
        return target !== null && isSource(target) ? !known.has(target) : target !== null && !target.endsWith(".json");
      }),
    );
    expect(broken).toEqual([]);
  });

  test("imports follow the arrows", () => {
    const wrong = sources.flatMap(({ path, specifiers }) =>
      specifiers
        .map((specifier) => resolveInSrc(path, specifier))
        .filter((target) => target !== null && isSource(target) && !mayImport(path, target))
        .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("the console takes the API's client and types, and nothing else that runs", () => {
    const wrong = sources
      .filter(({ path }) => isWithin(path, "console") || CLIENT.includes(path))
      .flatMap(({ path, specifiers, typesOf }) =>
        specifiers
          .filter((specifier) => isWithin(resolveInSrc(path, specifier) ?? "", "servers") || CLIENT.includes(path))
          .filter((specifier) => !CLIENT.includes(resolveInSrc(path, specifier) ?? ""))
          .filter((specifier) => !typesOf.includes(specifier))
          .map((specifier) => `${path} → ${specifier}`),
      );
    expect(wrong).toEqual([]);
    // zod is large, and node: and bun: are in no browser.
    const foreign = sources
      .filter(({ path }) => isWithin(path, "console"))
      .flatMap(({ path, specifiers }) =>
        specifiers.filter((specifier) => /^(zod$|node:|bun($|:))/.test(specifier)).map((one) => `${path} → ${one}`),
      );
    expect(foreign).toEqual([]);
  });

  test("no import cycles", () => {
    const graph = new Map(
      sources.map(({ path, specifiers }) => [
        path,
        specifiers.map((specifier) => resolveInSrc(path, specifier)).filter((target) => target !== null),
      ]),
    );
    expect(findCycles(graph)).toEqual([]);
  });

  test("wire and core import no runtime module and only pure packages", () => {
    const wrong = pure.flatMap(({ path, specifiers }) =>
      specifiers
        .filter((specifier) => !specifier.startsWith(".") && !PURE_PACKAGES.includes(specifier))
        .map((specifier) => `${path} → ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe("rules of the house", () => {
  test("wire and core take time, chance and IO from outside", () => {
    const impure =
      /(?<![.\w])(Date\.now|new Date\(\)|Math\.random|performance\.\w+|crypto\.\w+|set(Timeout|Interval|Immediate)|queueMicrotask|process\.\w+|Bun\.\w+|console\.\w+|fetch)\b/;
    expect(places(impure, pure)).toEqual([]);
  });

  test("only main.ts ends the process, and only os/child.ts those that it started", () => {
    const allowed = ["main.ts", "os/child.ts"];
    const ends = places(/\bprocess\.(exit|abort|kill|reallyExit)\b/);
    expect(ends.filter((place) => !allowed.some((path) => place.startsWith(`${path}:`)))).toEqual([]);
    // An imported name would not be seen.
    expect(sources.filter(({ specifiers }) => specifiers.includes("node:process")).map(({ path }) => path)).toEqual([]);
  });

  test("programs are started at few places, and never by a shell", () => {
    const starters = sources.filter(({ code }) => /\bBun\.(spawn|spawnSync|\$)/.test(code)).map(({ path }) => path);
    expect(starters.toSorted()).toEqual(STARTERS);
    expect(sources.filter(({ text }) => text.includes("child_process")).map(({ path }) => path)).toEqual([
      "os/spawn.ts",
    ]);
  });

  test("types are not escaped", () => {
    expect(places(/\bas any *[;,)\]}.&|?]|:\s*any\b|<any>/)).toEqual([]);
    // Only where the runtime's own types are wrong.
    const nearRuntime = ["dataplanes/", "os/"];
    const doubleCasts = places(/\bas unknown as\b/);
    expect(doubleCasts.filter((place) => !nearRuntime.some((folder) => place.startsWith(folder)))).toEqual([]);
    const directives = sources.filter(({ text }) => /@ts-(ignore|nocheck|expect-error)/.test(text));
    // Apps have Node's types, or have not: what is right with them is an error without.
    expect(directives.map(({ path }) => path)).toEqual(["library/hatchway-sockets.d.ts"]);
  });

  test("no mutable module state and no default export", () => {
    expect(places(/^(export )?(let|var) \w+|^export default\b/)).toEqual([]);
  });

  test(`files have at most ${MAX_LINES} lines`, () => {
    const written = sources.filter(({ path }) => !GENERATED.includes(path));
    const lengths = written.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
    for (const { path, lines } of lengths) {
      if (lines > COMFORTABLE_LINES)
        console.warn(`src/${path} has ${lines} lines: time to split it (${COMFORTABLE_LINES})`);
    }
    expect(lengths.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });
});

describe("this test sees what it should", () => {
  test.each([
    ["wire/a.ts", "core/b.ts", false],
    ["core/a.ts", "wire/b.ts", true],
    ["core/a.ts", "os/clock.ts", false],
    ["servers/socks/a.ts", "dataplanes/io/ends.ts", true],
    ["servers/socks/a.ts", "dataplanes/tunnel/relay.ts", false],
    ["dataplanes/direct/a.ts", "dataplanes/tunnel/b.ts", false],
    ["dataplanes/direct/a.ts", "dataplanes/io/ends.ts", true],
    ["dataplanes/io/a.ts", "dataplanes/tunnel/b.ts", false],
    ["roles/relay.ts", "dataplanes/tunnel/b.ts", true],
    ["store/a.ts", "roles/relay.ts", false],
    ["cli/a.ts", "store/db.ts", false],
    ["cli/a.ts", "servers/api/client.ts", true],
    ["cli/a.ts", "servers/api/backend.ts", false],
    ["console/a.tsx", "wire/port-set.ts", true],
    ["console/a.tsx", "servers/api/schema.ts", true],
    ["console/a.tsx", "servers/local/schema.ts", false],
    ["console/a.tsx", "core/policy.ts", false],
    ["roles/relay.ts", "console/app.tsx", false],
  ])("%s → %s: %p", (from, to, allowed) => {
    expect(mayImport(from, to)).toBe(allowed);
  });

  test("imports of every form are found", () => {
    const text =
      'import { a,\n b } from "./1.ts";\nimport type { c } from "./2.ts";\nexport * from "./3.ts";\nimport "./4.ts";\nawait import("./5.ts"); // import "./no.ts"\n';
    const uncommented = withoutComments(text);
    const found = [...uncommented.matchAll(IMPORT), ...uncommented.matchAll(DYNAMIC_IMPORT)].map((match) => match[1]!);
    expect(found).toEqual(["./1.ts", "./2.ts", "./3.ts", "./4.ts", "./5.ts"]);
  });

  test("imports of types are told from others", () => {
    const text =
      'import type { a,\n b } from "./1.ts";\nexport type { c } from "./2.ts";\nimport { type d, e } from "./3.ts";\n';
    expect([...text.matchAll(TYPE_IMPORT)].map((match) => match[1]!)).toEqual(["./1.ts", "./2.ts"]);
  });

  test("a cycle is found", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b"]],
    ]);
    expect(findCycles(graph)).toEqual(["b → c → b"]);
  });
});
