import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as library from "../../src/index.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { type RolesLab, rolesLab, tcpAndUdp } from "../fixtures/roles-lab.ts";
import type { CaseLab } from "./case-kit.ts";
import { nodeProgram } from "./node.ts";
import { CASE_NAMES, type CaseName, runCase } from "./relay-cases.ts";

const HERE = "127.0.0.1";
const CASE_MS = 30_000;
const START_MS = 60_000;
const POOL = 32;

/** A relay and a device "server" beside it. */
async function openLab(): Promise<{ readonly lab: CaseLab; close(): Promise<void> }> {
  const roles: RolesLab = await rolesLab({}, POOL);
  const server = await roles.agent("server");
  const free = [...roles.pool];
  return {
    lab: {
      joinCode: (name) => roles.relay.createJoinCode({ name, lifetimeSec: 600 }),
      restart: () => roles.restartRelay(),
      revoke: async (name) => void (await roles.relay.revokeDevice(name)),
      // From above: free ones that the relay chooses come from below.
      ports: async (count) => free.splice(-count),
      async allow(port) {
        const rules = [{ host: HERE, ports: tcpAndUdp(port, port, port) }];
        roles.relaySettings = { ...roles.relaySettings, allow: rules };
        server.settings = { ...server.settings, allow: rules };
        await roles.relay.reload();
        await server.running.reload();
      },
      dataDirectory: () => Promise.resolve(roles.directoryOf("server")),
      devices: async () => await roles.relay.listDevices(),
    },
    close: async () => await roles[Symbol.asyncDispose](),
  };
}

describe("on Bun", () => {
  let open: Awaited<ReturnType<typeof openLab>>;
  beforeAll(async () => {
    open = await openLab();
  }, START_MS);
  afterAll(() => open.close());

  for (const name of CASE_NAMES) test(name, () => runCase(name, library, open.lab), CASE_MS);
});

describe("on Node", () => {
  let open: Awaited<ReturnType<typeof openLab>>;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let program: ChildProcess;
  const running = new Map<string, (failure: string | null) => void>();
  let ended: string | null = null;

  beforeAll(async () => {
    [open, directory] = await Promise.all([openLab(), temporaryDirectory()]);
    const built = await Bun.build({
      entrypoints: [join(import.meta.dir, "relay-on-node.ts")],
      outdir: directory.path,
      naming: "cases.mjs",
      target: "node",
    });
    expect(built.success).toBe(true);
    program = spawn(nodeProgram(), [join(directory.path, "cases.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
    const answer = async (method: keyof CaseLab, args: readonly never[]) => {
      const act = open.lab[method] as (...args: readonly never[]) => Promise<unknown>;
      program.stdin?.write(`${JSON.stringify({ answer: (await act(...args)) ?? null })}\n`);
    };
    createInterface({ input: program.stdout! }).on("line", (line) => {
      const message = JSON.parse(line);
      if ("ask" in message) void answer(message.ask, message.args);
      else running.get(message.done)?.(message.failure);
    });
    program.once("exit", (code) => {
      ended = `the program on Node ended with ${code}`;
      for (const done of running.values()) done(ended);
    });
  }, START_MS);
  afterAll(async () => {
    program.kill();
    await open.close();
    await directory[Symbol.asyncDispose]();
  });

  const runOnNode = (name: CaseName) => {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    running.set(name, resolve);
    if (ended !== null) return Promise.resolve(ended);
    program.stdin?.write(`${JSON.stringify({ run: name })}\n`);
    return promise;
  };
  for (const name of CASE_NAMES) test(name, async () => expect(await runOnNode(name)).toBeNull(), CASE_MS);
});
