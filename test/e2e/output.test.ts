import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeGateway } from "../../src/servers/local/fake-gateway.ts";
import { type LocalServer, serveGatewayControl } from "../../src/servers/local/server.ts";

/** A list of some megabytes: a pipe holds 64 KiB of it. */
const FORWARDS = 10_000;
const MAIN = join(import.meta.dir, "../../src/main.ts");

const root = mkdtempSync(join(tmpdir(), "hatchway-output-"));
const gateway = new FakeGateway();
let answered = Promise.withResolvers<void>();
let server: LocalServer;

beforeAll(async () => {
  for (let n = 0; n < FORWARDS; n++) {
    const port = 10_000 + n;
    const ports = [{ protocol: "tcp" as const, first: port, last: port, internalFirst: port }];
    const draft = { id: `id-${n}`, name: `web-${n}`, ports, to: "192.168.77.2", lifetimeSec: null, enabled: true };
    await gateway.addMapping({ ...draft, allow: [], deny: [], limits: {} });
  }
  const listForwards = gateway.listForwards.bind(gateway);
  gateway.listForwards = () => {
    answered.resolve();
    return listForwards();
  };
  server = serveGatewayControl(gateway, { path: join(root, "gateway.sock"), onUnexpected: () => {} });
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

/** `hatchway ARGS` in a shell's line: `$H`. What the line prints. */
async function shell(line: string): Promise<{ stdout: string; stderr: string }> {
  const env = { ...process.env, BUN: process.execPath, MAIN, DATA: root };
  const child = Bun.spawn(["sh", "-c", `H() { "$BUN" "$MAIN" --data "$DATA" "$@"; }; cd "$DATA"; ${line}`], {
    env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { stdout, stderr };
}

describe("a large answer on a pipe", () => {
  test("comes whole, by pieces of 512 bytes", async () => {
    const { stdout, stderr } = await shell("{ H forward ls --json; echo $? >code; } | dd bs=512 status=none; cat code");
    const [list = "", code] = stdout.trimEnd().split("\n");
    expect(stderr).toBe("");
    expect(JSON.parse(list).forwards).toHaveLength(FORWARDS);
    expect(code).toBe("0");
  });

  test("waits for a reader that begins when the command has its answer", async () => {
    answered = Promise.withResolvers();
    const read = shell("mkfifo gate; { H forward ls --json; } | { cat gate; cat; }");
    await answered.promise;
    const opened = await shell("echo go >gate");
    expect(opened.stderr).toBe("");
    const { stdout } = await read;
    expect(JSON.parse(stdout.replace("go\n", "")).forwards).toHaveLength(FORWARDS);
  });

  test("ends quietly when its reader goes away", async () => {
    const { stdout, stderr } = await shell("{ H forward ls --json; echo $? >code; } | head -c 7; cat code");
    expect({ stdout, stderr }).toEqual({ stdout: '{"v":1,0\n', stderr: "" });
  });

  test("goes on without a reader of standard error", async () => {
    const { stdout } = await shell("{ H forward rm nothing 2>&3; echo $? >code; } 3>&1 >/dev/null | true; cat code");
    expect(stdout).toBe("2\n");
  });

  test.if(process.platform === "linux")("a full disk is a failure, and told", async () => {
    const { stdout, stderr } = await shell("H forward ls --json >/dev/full; echo $?");
    expect(stdout).toBe("1\n");
    expect(stderr).toMatch(/^hatchway: Not all could be written to standard output: .*ENOSPC.*\n$/);
  });
});
