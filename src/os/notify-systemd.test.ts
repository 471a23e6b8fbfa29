import { afterAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monotonicUsec, NOTICE, notifySystemd } from "./notify-systemd.ts";

const directory = mkdtempSync(join(tmpdir(), "hatchway-notify-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Bun has no Unix datagram sockets: Python plays systemd, and prints each datagram as JSON. */
async function supervisor(address: string) {
  const program = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
a = sys.argv[1]
s.bind("\\0" + a[1:] if a.startswith("@") else a)
print("bound", flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;
  const child: ChildProcess = spawn("python3", ["-c", program, address], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let wake = () => {};
  child.stdout?.on("data", (bytes: Buffer) => {
    text += bytes.toString();
    wake();
  });
  const line = async (at: number): Promise<string> => {
    while (text.split("\n").length <= at + 1) await new Promise<void>((resolve) => (wake = resolve));
    return text.split("\n")[at] ?? "";
  };
  await line(0);
  return {
    received: async (at: number): Promise<unknown> => JSON.parse(await line(at + 1)),
    async end() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

describe.skipIf(process.platform !== "linux")("what systemd is told", () => {
  test.each([
    ["a path", join(directory, "notify")],
    ["an abstract name", `@hatchway-notify-${process.pid}`],
  ])("arrives as one datagram at %s", async (_what, address) => {
    const systemd = await supervisor(address);
    try {
      expect(notifySystemd([NOTICE.ready, NOTICE.status("two\nlines")], address)).toEqual({ ok: true, value: "told" });
      expect(await systemd.received(0)).toBe("READY=1\nSTATUS=two lines");
      notifySystemd([NOTICE.mainPid(42)], address);
      expect(await systemd.received(1)).toBe("MAINPID=42");
    } finally {
      await systemd.end();
    }
  });

  test.each([
    ["a socket that nobody has", join(directory, "nobody"), "systemd could not be told: nothing takes it at"],
    ["a relative path", "notify", "which is no socket of this machine"],
    ["another family", "vsock:2:1234", "which is no socket of this machine"],
    ["a path that is too long", `/${"a".repeat(108)}`, "which is no socket of this machine"],
  ])("%s is a sentence", (_what, address, sentence) => {
    const result = notifySystemd([NOTICE.ready], address);
    expect(result.ok ? "" : result.error).toContain(sentence);
  });

  test("the monotonic clock is the system's, which /proc/uptime shows", () => {
    const uptimeSec = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(Math.abs(Number(monotonicUsec()) / 1e6 - uptimeSec)).toBeLessThan(5);
  });
});

test.each([undefined, ""])("without a supervisor (%p) nothing is told", (address) => {
  expect(notifySystemd([NOTICE.ready], address)).toEqual({ ok: true, value: "unsupervised" });
});
