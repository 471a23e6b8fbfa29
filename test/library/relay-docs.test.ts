import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { mapping, type RolesLab, rolesLab } from "../fixtures/roles-lab.ts";
import { tcpService } from "../fixtures/services.ts";
import { libraryExamples } from "./examples.ts";
import { bundleLibrary, nodeProgram } from "./node.ts";

/** The programs of docs/library.md for a relay, run as they stand there. */
const HERE = "127.0.0.1";
const STEP_MS = 30_000;
const [enrolling = "", serving = "", web = "", sharing = "", leaving = "", ...more] = libraryExamples().relay;

/** A program that runs, and what it prints. */
class Running {
  readonly #lines: AsyncIterator<string>;
  readonly exited: Promise<number | null>;
  readonly errors: Promise<string>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    this.exited = once(child, "close").then(([code]) => code as number | null);
    this.errors = text(child.stderr!);
  }

  /** "" = it prints no more. */
  async line(): Promise<string> {
    return (await this.#lines.next()).value ?? "";
  }

  interrupt(): void {
    this.#child.kill("SIGINT");
  }
}

test("there are five", () => {
  const [all, begins] = [
    [enrolling, serving, sharing, leaving],
    ["enrol(", "expose(", "openRelay(", "openRelay("],
  ];
  expect(all.every((code, at) => code.includes(begins[at] ?? ""))).toBe(true);
  expect(more).toEqual([]);
});

describe.each<[string, () => string[]]>([
  ["Node", () => [nodeProgram()]],
  ["Bun", () => [process.execPath, "--no-env-file", "--config=/dev/null"]],
])("on %s", (runtime, command) => {
  let lab: RolesLab;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

  const run = (name: string, code: string, env: Readonly<Record<string, string>> = {}): Running => {
    writeFileSync(join(directory.path, name), code);
    const [program = "", ...args] = command();
    const options = { cwd: directory.path, env: { PATH: process.env["PATH"], ...env } };
    return new Running(spawn(program, [...args, name], options));
  };

  beforeAll(async () => {
    if (runtime === "Node") bundleLibrary();
    [lab, directory] = await Promise.all([rolesLab(), temporaryDirectory()]);
    mkdirSync(join(directory.path, "node_modules"));
    symlinkSync(join(import.meta.dir, "../.."), join(directory.path, "node_modules/hatchway"));
    const JOIN_CODE = await lab.relay.createJoinCode({ name: "app", lifetimeSec: 600 });
    const program = run("enrol.mts", enrolling, { JOIN_CODE });
    expect(await program.line()).toBe(`app joined ${HERE}:${lab.relay.ready.listen.port}`);
    expect([await program.exited, await program.errors]).toEqual([0, ""]);
    expect(readFileSync(join(directory.path, "relay.key"), "utf8")).toStartWith("hatchwaykey1-");
  }, STEP_MS);
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  test(
    "visitors in the process",
    async () => {
      const program = run("serve.mts", serving);
      const [, port] = /^visitors come to 127\.0\.0\.1 (\d+)$/.exec(await program.line()) ?? [];
      const visitor = connect({ host: HERE, port: Number(port), allowHalfOpen: true });
      visitor.end("and back");
      expect(await text(visitor)).toBe(`hello ${HERE}\nand back`);
      program.interrupt();
      expect(await program.line()).toBe("closed");
      expect([await program.exited, await program.errors]).toEqual([0, ""]);
    },
    STEP_MS,
  );

  test(
    "an HTTP server without a port",
    async () => {
      const program = run("web.mts", web);
      const url = await program.line();
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
      // The second comes by the connection of the first.
      for (const _ of [1, 2]) expect(await (await fetch(url)).text()).toBe(`hello ${HERE}\n`);
      program.interrupt();
      expect([await program.line(), await program.exited, await program.errors]).toEqual(["", 0, ""]);
    },
    STEP_MS,
  );

  test(
    "UDP in the process, and a service",
    async () => {
      const program = run("share.mts", sharing);
      const [, udp, tcp] = /^udp (\d+), tcp (\d+)$/.exec(await program.line()) ?? [];
      const visitor = createSocket("udp4");
      visitor.send("datagram", Number(udp), HERE);
      const [answer] = await once(visitor, "message");
      expect(String(answer)).toBe("datagram");
      visitor.close();
      expect(lab.pool).toContain(Number(tcp));
      program.interrupt();
      expect([await program.line(), await program.exited, await program.errors]).toEqual(["", 0, ""]);
    },
    STEP_MS,
  );

  test(
    "connections to elsewhere",
    async () => {
      using service = tcpService("server");
      await lab.agent("server", { allow: [{ host: HERE, ports: [mapping("tcp", service.port, service.port, 0)] }] });
      const program = run("leave.mts", leaving, { SERVICE_PORT: `${service.port}` });
      expect(await program.line()).toBe("server:hello");
      expect(await program.line()).toMatch(/^here at 127\.0\.0\.1 \d+, by SOCKS and HTTP CONNECT at \d+$/);
      expect(await program.errors).toMatch(/^refused: 127\.0\.0\.1:1 .*\.\n$/);
      expect(await program.exited).toBe(0);
    },
    STEP_MS,
  );
});
