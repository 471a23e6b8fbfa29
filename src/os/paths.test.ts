import { describe, expect, test } from "bun:test";
import { chmod, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { replaceFile } from "./files.ts";
import { dataPaths, openDataDirectory } from "./paths.ts";

describe("the data directory", () => {
  test("its layout", () => {
    expect(dataPaths("/var/lib/hatchway")).toEqual({
      directory: "/var/lib/hatchway",
      database: "/var/lib/hatchway/hatchway.db",
      relayCertificate: "/var/lib/hatchway/relay-cert.pem",
      relayKey: "/var/lib/hatchway/relay-key.pem",
      acmeState: "/var/lib/hatchway/acme.json",
      sites: "/var/lib/hatchway/names",
      sshHostKey: "/var/lib/hatchway/ssh_host_ed25519_key",
      deviceKey: "/var/lib/hatchway/device-key.pem",
      agentState: "/var/lib/hatchway/agent.json",
      relaySocket: "/var/lib/hatchway/relay.sock",
      agentSocket: "/var/lib/hatchway/agent.sock",
      gatewaySocket: "/var/lib/hatchway/gateway.sock",
      upgradeSocket: "/var/lib/hatchway/upgrade.sock",
      privileged: "/var/lib/hatchway/privileged",
    });
  });

  test("is made with mode 0700, parents too, and opening it again changes nothing", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "a", "b");
    expect(await openDataDirectory(path)).toEqual({ ok: true, value: dataPaths(path) });
    expect(await openDataDirectory(path)).toEqual({ ok: true, value: dataPaths(path) });
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  test("one that others may write to is refused", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "open");
    await mkdir(path);
    await chmod(path, 0o777);
    const opened = await openDataDirectory(path);
    expect(opened.ok ? null : opened.error.kind).toBe("exposed");
    expect((await stat(path)).mode & 0o777).toBe(0o777);
  });

  test("a file in its place is refused", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "file");
    await replaceFile(path, "");
    const opened = await openDataDirectory(path);
    expect(opened.ok ? "" : opened.error.message).toContain("a file is where a directory should be");
  });

  test("a path too long for a Unix socket is refused, with by how much", async () => {
    await using directory = await temporaryDirectory();
    const opened = await openDataDirectory(join(directory.path, "x".repeat(120)));
    expect(opened.ok ? "" : opened.error.message).toMatch(/is \d+ bytes too long for the sockets/);
  });
});
