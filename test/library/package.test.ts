import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { libraryExamples } from "./examples.ts";
import { nodeProgram } from "./node.ts";

/** The package as apps get it: packed, and installed in a project of its own, where nothing of this checkout is. */
const ROOT = join(import.meta.dir, "../..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const INSTALL_MS = 120_000;
const STEP_MS = 30_000;
const app = mkdtempSync(join(tmpdir(), "hatchway-app-"));
afterAll(() => rmSync(app, { recursive: true, force: true }));

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(cwd: string, program: string, ...args: readonly string[]): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const child = spawn(program, args, {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  child.stdout.on("data", (bytes) => stdout.push(String(bytes)));
  child.stderr.on("data", (bytes) => stderr.push(String(bytes)));
  child.once("error", reject);
  child.once("close", (exitCode) => resolve({ exitCode, stdout: stdout.join(""), stderr: stderr.join("") }));
  return promise;
}

async function succeed(cwd: string, program: string, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(cwd, program, ...args);
  if (exitCode !== 0) throw new Error(`${program} ${args.join(" ")}: exit code ${exitCode}\n${stdout}\n${stderr}`);
  return stdout;
}

function write(name: string, text: string): string {
  const path = join(app, name);
  writeFileSync(path, text);
  return path;
}

beforeAll(async () => {
  const packed = await succeed(ROOT, "npm", "pack", "--json", "--loglevel=error", "--pack-destination", app);
  // What the scripts before it say may stand above.
  const [{ filename }] = JSON.parse(packed.slice(packed.lastIndexOf("\n[") + 1)) as [{ filename: string }];
  write("package.json", '{ "private": true, "type": "module" }\n');
  // The programs that Bun's package brings for each system are left out, and so are scripts, as many people have it.
  const flags = [
    "--prefer-offline",
    "--ignore-scripts",
    "--omit=optional",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  await succeed(app, "npm", "install", ...flags, join(app, filename));
}, INSTALL_MS);

describe("the package", () => {
  test("has the bundle, the types and no test", async () => {
    const files = (await succeed(join(app, "node_modules/hatchway"), "find", ".", "-type", "f")).split("\n");
    expect(files).toContain("./dist/hatchway.mjs");
    expect(files).toContain("./src/library/hatchway.d.ts");
    for (const name of [
      "dist/client.mjs",
      "src/client.ts",
      "src/library/client.d.ts",
      "src/library/client-shapes.d.ts",
    ]) {
      expect(files).toContain(`./${name}`);
    }
    expect(files.filter((name) => /\.test\.ts$|^\.\/(test|bench|data)\//.test(name))).toEqual([]);
  });

  /** Each way in ends before a router is asked: there may be one where this runs. */
  const PROGRAM = `
    const { openPort, OpenPortError } = await import("hatchway");
    const kinds = [];
    for (const [ports, options] of [["80-", {}], [80, { lifetimeSec: 1 }], [80, { signal: AbortSignal.abort() }]]) {
      try {
        await openPort(ports, options);
      } catch (error) {
        kinds.push(error instanceof OpenPortError && error.kind);
      }
    }
    const { createClient } = await import("hatchway/client");
    kinds.push(typeof createClient({ baseUrl: "https://relay.example" }).listForwards);
    console.log(kinds.join(" "), Object.keys(globalThis).filter((name) => /hatchway/i.test(name)).length);
  `;
  test.each<[string, () => string]>([
    ["Node", nodeProgram],
    ["Bun", () => process.execPath],
  ])(
    "works on %s, silently",
    async (_runtime, program) => {
      const path = write("app.mjs", PROGRAM);
      expect(await run(app, program(), path)).toEqual({
        exitCode: 0,
        stdout: "usage usage aborted function 0\n",
        stderr: "",
      });
    },
    STEP_MS,
  );

  test(
    "works on Node without its dependencies, and for require",
    async () => {
      const alone = mkdtempSync(join(app, "alone-"));
      symlinkSync(join(app, "node_modules/hatchway"), join(alone, "hatchway"));
      writeFileSync(
        join(alone, "app.cjs"),
        'console.log(Object.keys(require("./hatchway/dist/hatchway.mjs")).join(" "));',
      );
      const options = ["--preserve-symlinks", join(alone, "app.cjs")];
      expect(await succeed(alone, nodeProgram(), ...options)).toBe(
        "HatchwayError OpenPortError connect deviceOf enrol expose listen openPort openRelay socks\n",
      );
    },
    STEP_MS,
  );

  test(
    "brings the command line, which finds Bun beside the package",
    async () => {
      // Without its script, npm has put a placeholder there.
      rmSync(join(app, "node_modules/bun"), { recursive: true });
      symlinkSync(join(ROOT, "node_modules/bun"), join(app, "node_modules/bun"));
      expect(await succeed(app, join(app, "node_modules/.bin/hatchway"), "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    },
    STEP_MS,
  );

  test("imports nothing but Node's own modules", () => {
    const bundle = readFileSync(join(app, "node_modules/hatchway/dist/hatchway.mjs"), "utf8");
    const imported = [...bundle.matchAll(/^\s*(?:import|export)\b[^"'\n]*from\s*["']([^"']+)["']/gm)].map(
      ([, name]) => name,
    );
    expect(imported.length).toBeGreaterThan(3);
    expect(
      imported.filter(
        (name) => !/^(node:)?(crypto|dgram|fs|net|os|path|stream|dns\/promises|fs\/promises)$/.test(name ?? ""),
      ),
    ).toEqual([]);
  });
});

describe("its types, without any others", () => {
  const USE = `
    import { type Endpoint, type OpenPort, OpenPortError, type OpenPortOptions, openPort, type PortEvent } from "hatchway";
    import { connect, enrol, type Exposed, expose, HatchwayError, listen, openRelay, socks, type TunnelSocket } from "hatchway";

    const options: OpenPortOptions = { signal: new AbortController().signal, family: "ipv4", to: undefined };
    await using port: OpenPort = await openPort("80/udp", options);
    const hosts: (string | null)[] = port.endpoints.map(({ host }: Endpoint) => host);
    function told(event: PortEvent): string {
      switch (event.type) {
        case "renewed":
          return String(event.leaseEnds?.getTime());
        case "changed":
        case "reopened":
          return event.before[0]?.internalHost ?? "";
        case "lost":
          return event.message;
      }
    }
    for await (const event of port.events()) hosts.push(told(event));
    const isUsage = (error: unknown): boolean => error instanceof OpenPortError && error.kind === "usage";
    const { key } = await enrol({ joinCode: "" });
    const server: Exposed = await expose({ key, ports: 80, lifetimeSec: null }, (socket: TunnelSocket) => socket.destroy());
    const relay = await openRelay({ key, relay: "relay.example" });
    await relay.expose({ ports: "9000/udp" }, { flow: (flow) => flow.send(new Uint8Array(1)) });
    const socket = await connect({ key, host: server.endpoints[0]?.host ?? "", port: 80, via: "agent:server" });
    const places: (number | undefined)[] = [socket.remotePort, (await listen({ key, port: 0, to: "db:1" })).port];
    places.push((await socks({ key, port: 1080 })).lastPort);
    const isDenied = (error: unknown): boolean => error instanceof HatchwayError && error.kind === "denied";
    for await (const event of server.events()) hosts.push(event.type === "lost" ? event.message : null);
    isDenied(new OpenPortError("usage", "")) satisfies boolean;
    // @ts-expect-error
    await connect({ key, host: "db", port: 80, via: "server" });
    // @ts-expect-error
    await expose({ ports: 80 });
    // @ts-expect-error
    await openPort(80, { lifetime: 60 });
    // @ts-expect-error
    port.state = "closed";
    // @ts-expect-error
    isUsage satisfies PortEvent;
  `;
  const STRICT = ["--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noImplicitReturns"];
  // AbortSignal is of the DOM's or of @types/node; neither Bun's types nor Node's are there.
  const PLAIN = [...STRICT, "--types", "", "--target", "es2022", "--lib", "es2022,dom"];
  test.each([
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ])(
    "module %s, moduleResolution %s",
    async (module, moduleResolution) => {
      const path = write("use.ts", USE);
      const flags = [...PLAIN, "--module", module, "--moduleResolution", moduleResolution];
      expect(await run(app, process.execPath, TSC, ...flags, path)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    },
    STEP_MS,
  );

  test(
    "the programs of docs/library.md",
    async () => {
      const { router, relay } = libraryExamples();
      const paths = [...router, ...relay].map((code, index) => write(`example-${index}.mts`, code));
      // They use modules of Node's, whose types an app that imports those has.
      const flags = [
        ...STRICT,
        "--typeRoots",
        join(ROOT, "node_modules/@types"),
        "--types",
        "node",
        "--target",
        "esnext",
        "--lib",
        "esnext,dom",
        "--module",
        "nodenext",
        "--skipLibCheck",
      ];
      expect(await run(app, process.execPath, TSC, ...flags, ...paths)).toEqual({
        exitCode: 0,
        stdout: "",
        stderr: "",
      });
    },
    STEP_MS,
  );
});
