import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { libraryExamples } from "./examples.ts";
import { nodeProgram } from "./node.ts";

/** The packages as apps get them: packed, and installed in projects of their own, where nothing of this checkout is. */
const ROOT = join(import.meta.dir, "../..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const INSTALL_MS = 120_000;
const STEP_MS = 30_000;
/** With the library alone (scripts/package.ts), and with everything (npm pack). */
const app = mkdtempSync(join(tmpdir(), "hatchway-app-"));
const whole = mkdtempSync(join(tmpdir(), "hatchway-whole-"));
afterAll(() => {
  for (const directory of [app, whole]) rmSync(directory, { recursive: true, force: true });
});

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

function write(name: string, text: string, directory = app): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const INSTALL = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];

beforeAll(async () => {
  for (const directory of [app, whole]) write("package.json", '{ "private": true, "type": "module" }\n', directory);
  const alone = (await succeed(ROOT, process.execPath, "scripts/package.ts", "--out", app)).trim();
  await succeed(app, "npm", ...INSTALL, alone);
  const packed = await succeed(ROOT, "npm", "pack", "--json", "--loglevel=error", "--pack-destination", whole);
  // What the scripts before it say may stand above.
  const [{ filename }] = JSON.parse(packed.slice(packed.lastIndexOf("\n[") + 1)) as [{ filename: string }];
  // The programs that Bun's package brings for each system are left out, and so are scripts, as many people have it.
  await succeed(whole, "npm", ...INSTALL, "--ignore-scripts", "--omit=optional", join(whole, filename));
}, INSTALL_MS);

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
const RUNTIMES: [string, () => string][] = [
  ["Node", nodeProgram],
  ["Bun", () => process.execPath],
];

describe("the library alone", () => {
  test("is small, says whose code it has, and brings nothing else", async () => {
    const packages = (await succeed(app, "ls", "node_modules")).trim().split("\n");
    expect(packages).toEqual(["hatchway"]);
    const files = (
      await succeed(join(app, "node_modules/hatchway"), "find", ".", "-type", "f", "-size", "-1024k")
    ).trim();
    expect(
      files
        .split("\n")
        .map((name) => name.slice(2))
        .sort(),
    ).toEqual([
      "LICENSE",
      "NOTICES.md",
      "README.md",
      "client-shapes.d.ts",
      "client.d.ts",
      "client.mjs",
      "hatchway-errors.d.ts",
      "hatchway-options.d.ts",
      "hatchway-relay.d.ts",
      "hatchway-router.d.ts",
      "hatchway-sockets.d.ts",
      "hatchway.d.ts",
      "hatchway.mjs",
      "package.json",
    ]);
    const notices = readFileSync(join(app, "node_modules/hatchway/NOTICES.md"), "utf8");
    for (const name of ["zod", "ipaddr.js", "@logtape/logtape"]) expect(notices).toContain(`# ${name} `);
    const readme = readFileSync(join(app, "node_modules/hatchway/README.md"), "utf8");
    expect(readme).not.toMatch(/\]\([a-z-]+\.md/);
  });

  test.each(RUNTIMES)(
    "works on %s, silently",
    async (_runtime, program) => {
      const ended = await run(app, program(), write("app.mjs", PROGRAM));
      expect(ended).toEqual({ exitCode: 0, stdout: "usage usage aborted function 0\n", stderr: "" });
    },
    STEP_MS,
  );

  test.each(RUNTIMES)(
    "is there for require, too, on %s",
    async (_runtime, program) => {
      const code = `
        const { HatchwayError, ...calls } = require("hatchway");
        console.log(HatchwayError.name, Object.keys(calls).sort().join(" "), typeof require("hatchway/client").createClient);`;
      expect(await run(app, program(), write("app.cjs", code))).toEqual({
        exitCode: 0,
        stdout: "HatchwayError OpenPortError connect deviceOf enrol expose listen openPort openRelay socks function\n",
        stderr: "",
      });
    },
    STEP_MS,
  );

  test("imports nothing but Node's own modules", () => {
    const bundle = readFileSync(join(app, "node_modules/hatchway/hatchway.mjs"), "utf8");
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

describe("the whole package", () => {
  test("has the bundle, the types and no test", async () => {
    const files = (await succeed(join(whole, "node_modules/hatchway"), "find", ".", "-type", "f")).split("\n");
    for (const name of [
      "dist/hatchway.mjs",
      "dist/client.mjs",
      "src/client.ts",
      "src/library/hatchway.d.ts",
      "src/library/client.d.ts",
      "src/library/client-shapes.d.ts",
    ]) {
      expect(files).toContain(`./${name}`);
    }
    expect(files.filter((name) => /\.test\.ts$|^\.\/(test|bench|data|dist\/(package|release))\//.test(name))).toEqual(
      [],
    );
  });

  test.each(RUNTIMES)(
    "works on %s, silently",
    async (_runtime, program) => {
      const ended = await run(whole, program(), write("app.mjs", PROGRAM, whole));
      expect(ended).toEqual({ exitCode: 0, stdout: "usage usage aborted function 0\n", stderr: "" });
    },
    STEP_MS,
  );

  test(
    "brings the command line, which finds Bun beside the package",
    async () => {
      // Without its script, npm has put a placeholder there.
      rmSync(join(whole, "node_modules/bun"), { recursive: true });
      symlinkSync(join(ROOT, "node_modules/bun"), join(whole, "node_modules/bun"));
      expect(await succeed(whole, join(whole, "node_modules/.bin/hatchway"), "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    },
    STEP_MS,
  );
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
    // With no types of Node's or Bun's; with them it is a Duplex, as the programs of the docs have it.
    socket.destroy();
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
      const DUPLEX = `
        import type { Duplex } from "node:stream";
        import { pipeline } from "node:stream/promises";
        import { connect as secure } from "node:tls";
        import { openRelay, type TunnelSocket } from "hatchway";

        await using relay = await openRelay({ key: "" });
        const socket: TunnelSocket = await relay.connect({ host: "db", port: 1 });
        const duplex: Duplex = socket;
        await pipeline(socket, secure({ socket: duplex }), socket);`;
      const paths = [...router, ...relay, DUPLEX].map((code, index) => write(`example-${index}.mts`, code));
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
