import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { forwards, query, run, type Site, startSite } from "./hatchway.ts";
import { curl, startNginx, startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";
import { allocatedPort, newDevice, newKey, SSH_PORT, SSH_TOML, sshArgs, stay } from "./ssh-kit.ts";

/** Debian's own clients, with nothing of ours installed, from behind a NAT. */
let lab: Lab;
let site: Site;
let laptop: string;
const page = (port: number, host = lab.relay.v4) => curl(lab, lab.visitor, `http://${host}:${port}/`);
const webHere = (port: number) => curl(lab, lab.other, `http://127.0.0.1:${port}/`);

beforeAll(async () => {
  lab = createLab();
  const sockets = join(lab.directory, "sockets");
  mkdirSync(sockets);
  // The visitor's machine is a public address to the relay's exit policy; its port 7000 is an exit here.
  const relay = `[relay]\nallow = ["203.0.113.10:7000"]\n${SSH_TOML}sockets = "${sockets}"\n`;
  site = await startSite(lab, { relay, agent: '[agent]\nallow = ["localhost:22"]\n' });
  laptop = await newDevice(lab, site.relayHome, "laptop");
  await startNginx(lab, lab.other, 8080, "hello by ssh");
  await startService(lab, lab.visitor, "port:tcp:7000");
  await startService(lab, lab.agent, "port:tcp:22");
}, 40_000);
afterAll(() => lab[Symbol.asyncDispose]());

describe("ssh -R", () => {
  test("opens a public port, and closes it with the connection", async () => {
    {
      await using ssh = await stay(lab, lab.other, lab.relay, laptop, "-R", "18080:localhost:8080");
      expect((await page(18080)).stdout).toBe("hello by ssh");
      expect((await page(18080, `[${lab.relay.v6}]`)).stdout).toBe("hello by ssh");
      const [line] = (await forwards(lab, site.relayHome)).filter(({ name }) => name === "ssh 18080");
      expect(line).toMatchObject({ type: "remote", state: "open", endpoints: [{ port: 18080, host: lab.relay.v4 }] });
      expect(line?.counters.visitorsTotal).toBe(2);
      ssh.signal("SIGTERM");
      await ssh.exited;
    }
    await eventually("the forward is away", async () => {
      const state = (await forwards(lab, site.relayHome)).find(({ name }) => name === "ssh 18080")?.state;
      return state === "away" ? true : undefined;
    });
  }, 20_000);

  test("port 0 is the same port after a reconnect", async () => {
    const ports: number[] = [];
    for (let round = 0; round < 2; round++) {
      await using ssh = await stay(lab, lab.other, lab.relay, laptop, "-R", "0:localhost:8080");
      const port = await allocatedPort(ssh);
      ports.push(port);
      expect((await page(port)).stdout).toBe("hello by ssh");
    }
    expect(ports[1]).toBe(ports[0]);
  }, 20_000);

  test("several make a range, and a second connection of the device takes a port over", async () => {
    const range = [18_100, 18_101, 18_102].flatMap((port) => ["-R", `${port}:localhost:8080`]);
    await using _ = await stay(lab, lab.other, lab.relay, laptop, ...range);
    for (const port of [18_100, 18_101, 18_102]) expect((await page(port)).stdout).toBe("hello by ssh");
    await using __ = await stay(lab, lab.other, lab.relay, laptop, "-R", "18101:localhost:9");
    expect((await page(18_101)).exitCode).not.toBe(0);
    expect((await page(18_102)).stdout).toBe("hello by ssh");
  }, 20_000);

  test("a visitor that sends on to a service that has closed is told", async () => {
    const service = "socat TCP-LISTEN:8090,fork,reuseaddr SYSTEM:'head -c 1'";
    await using _service = lab.spawn(lab.other, ["sh", "-c", `exec ${service}`]);
    await eventually("the service", async () => {
      const { exitCode } = await lab.exec(lab.other, ["sh", "-c", "echo | socat - TCP:127.0.0.1:8090"]);
      return exitCode === 0 ? true : undefined;
    });
    await using _ = await stay(lab, lab.other, lab.relay, laptop, "-R", "18090:localhost:8090");
    const upload = ["timeout", "8", "sh", "-c", `yes | socat -u - TCP:${lab.relay.v4}:18090`];
    // 124 would be the time that is over.
    expect(await lab.exec(lab.visitor, upload)).toMatchObject({ exitCode: 1 });
  }, 20_000);

  test("what the device may not have is refused, and said so", async () => {
    const narrow = await newDevice(lab, site.relayHome, "narrow", "--ports", "19000-19009");
    const refused = await lab.exec(lab.other, [
      ...sshArgs(lab, narrow, "ExitOnForwardFailure=yes"),
      "-N",
      "-R",
      "19010:localhost:8080",
      `x@${lab.relay.v4}`,
    ]);
    expect(refused).toMatchObject({ exitCode: 255, stderr: expect.stringContaining("remote port forwarding failed") });
    await using _ = await stay(lab, lab.other, lab.relay, narrow, "-R", "19009:localhost:8080");
    expect((await page(19_009)).stdout).toBe("hello by ssh");
  }, 20_000);
});

describe("ssh -L, -D, -J", () => {
  test("reach what the relay may, and nothing else", async () => {
    const exits = ["-L", "9001:203.0.113.10:7000", "-L", "9002:203.0.113.10:7001", "-L", "9003:127.0.0.1:7744"];
    await using ssh = await stay(lab, lab.other, lab.relay, laptop, ...exits, "-D", "9004");
    expect((await lab.exec(lab.other, ["curl", "-s", "--http0.9", "http://127.0.0.1:9001/"])).stdout).toBe("7000");
    expect((await webHere(9002)).exitCode).not.toBe(0);
    expect((await webHere(9003)).exitCode).not.toBe(0);
    const bySocks = ["curl", "-s", "--http0.9", "-x", "socks5h://127.0.0.1:9004", "http://203.0.113.10:7000/"];
    expect((await lab.exec(lab.other, bySocks)).stdout).toBe("7000");
    expect(ssh.stderr.join("\n")).toContain("this destination is not allowed");
  }, 20_000);

  test("reach an agent by its name, and a public port of the same account", async () => {
    const toAgent = await lab.exec(lab.other, [...sshArgs(lab, laptop), "-W", "attic:22", `x@${lab.relay.v4}`]);
    expect(toAgent.stdout).toBe("22");
    const byName = [...sshArgs(lab, laptop), "-W", "attic.device:22", `x@${lab.relay.v4}`];
    expect((await lab.exec(lab.other, byName)).stdout).toBe("22");
    await using _ = await stay(
      lab,
      lab.other,
      lab.relay,
      laptop,
      "-R",
      "18080:localhost:8080",
      "-L",
      "9005:localhost:18080",
    );
    expect((await webHere(9005)).stdout).toBe("hello by ssh");
  }, 20_000);
});

describe("Unix sockets", () => {
  test("a name of the account: a file for the relay's machine, and -L for its devices", async () => {
    await using _ = await stay(lab, lab.other, lab.relay, laptop, "-R", "/web:localhost:8080");
    const file = join(lab.directory, "sockets", "owner", "web");
    const there = await curl(lab, lab.relay, "--unix-socket", file, "http://relay/");
    expect(there).toMatchObject({ stdout: "hello by ssh" });
    await using __ = await stay(lab, lab.other, lab.relay, laptop, "-L", "9006:/web");
    expect((await webHere(9006)).stdout).toBe("hello by ssh");
    const outside = [...sshArgs(lab, laptop), "-N", "-R", "/etc/cron.d/x:localhost:8080", `x@${lab.relay.v4}`];
    expect((await lab.exec(lab.other, outside)).exitCode).toBe(255);
  }, 20_000);
});

describe("who comes in", () => {
  test("a removed key loses its connection and its ports within a second", async () => {
    const key = await newDevice(lab, site.relayHome, "guest");
    await using ssh = await stay(lab, lab.other, lab.relay, key, "-R", "18200:localhost:8080");
    expect((await page(18_200)).stdout).toBe("hello by ssh");
    const { fingerprint } = await keyCalled("guest");
    await query(lab, site.relayHome, "ssh-key", "rm", fingerprint);
    const startedMs = performance.now();
    await ssh.exited;
    const endedMs = performance.now() - startedMs;
    expect((await page(18_200)).exitCode).toBe(7);
    expect(endedMs).toBeLessThan(1_000);
    expect((await lab.exec(lab.other, [...sshArgs(lab, key), "-N", `x@${lab.relay.v4}`])).stderr).toContain(
      "Permission denied (publickey)",
    );
  }, 20_000);

  test("RSA and ECDSA keys do; an unknown key and a password do not", async () => {
    for (const type of ["rsa", "ecdsa"]) {
      const key = await newKey(lab, lab.relay, `by-${type}`, type);
      await query(lab, site.relayHome, "ssh-key", "add", `${key}.pub`, "--name", `by-${type}`);
      await using _ = await stay(lab, lab.other, lab.relay, key);
    }
    const unknown = await newKey(lab, lab.relay, "unknown");
    const denied = await lab.exec(lab.other, [...sshArgs(lab, unknown), "-N", `x@${lab.relay.v4}`]);
    expect(denied).toMatchObject({ exitCode: 255, stderr: expect.stringContaining("Permission denied (publickey)") });
  }, 20_000);

  test("a session shows what is open, and runs nothing", async () => {
    const ssh = [...sshArgs(lab, laptop), "-R", "18080:localhost:8080", `x@${lab.relay.v4}`];
    const shown = await lab.exec(lab.other, ["sh", "-c", '(sleep 0.3; printf "?q") | "$@"', "sh", ...ssh]);
    expect(shown.stdout).toContain(`${lab.relay.v4}:18080/tcp`);
    expect(shown.stdout).toContain("Goodbye.");
    const command = await lab.exec(lab.other, [...sshArgs(lab, laptop), `x@${lab.relay.v4}`, "id"]);
    expect(command).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: expect.stringContaining("No commands are run here"),
    });
    const copied = await lab.exec(lab.other, [
      "sftp",
      ...sshArgs(lab, laptop)
        .slice(1)
        .map((one) => (one === "-p" ? "-P" : one)),
      `x@${lab.relay.v4}`,
    ]);
    expect(copied).toMatchObject({ exitCode: 255, stderr: expect.stringContaining("No files are kept here") });
  }, 20_000);

  test("the host key is pinned by the line that `ssh-key host` prints", async () => {
    const { knownHosts, fingerprint } = await query<{ knownHosts: string; fingerprint: string }>(
      lab,
      site.relayHome,
      "ssh-key",
      "host",
    );
    expect(knownHosts).toStartWith(`[${lab.relay.v4}]:${SSH_PORT} ssh-ed25519 AAAA`);
    expect(fingerprint).toStartWith("SHA256:");
    const known = join(lab.directory, "pinned");
    await Bun.write(known, `${knownHosts}\n`);
    const pinned = ["StrictHostKeyChecking=yes", `UserKnownHostsFile=${known}`];
    await using _ = lab.spawn(lab.other, [
      ...sshArgs(lab, laptop, ...pinned),
      "-N",
      "-R",
      "18080:localhost:8080",
      `x@${lab.relay.v4}`,
    ]);
    await eventually("the pinned connection", async () => ((await page(18080)).exitCode === 0 ? true : undefined));
  }, 20_000);
});

describe("PuTTY's plink", () => {
  test("-R and -L", async () => {
    const key = join(lab.directory, "laptop.ppk");
    await lab.exec(lab.other, ["puttygen", laptop, "-o", key]);
    const { fingerprint } = await query<{ fingerprint: string }>(lab, site.relayHome, "ssh-key", "host");
    const plink = ["plink", "-batch", "-N", "-P", String(SSH_PORT), "-i", key, "-hostkey", fingerprint];
    const ports = ["-R", "18300:localhost:8080", "-L", "9007:203.0.113.10:7000", `x@${lab.relay.v4}`];
    await using _ = lab.spawn(lab.other, [...plink, ...ports]);
    const stdout = await eventually("plink's forward", async () => (await page(18_300)).stdout || undefined);
    expect(stdout).toBe("hello by ssh");
    expect((await lab.exec(lab.other, ["curl", "-s", "--http0.9", "http://127.0.0.1:9007/"])).stdout).toBe("7000");
  }, 20_000);
});

describe("dropbear's dbclient, as routers have it", () => {
  test("-R and -L", async () => {
    const key = join(lab.directory, "laptop.dropbear");
    await lab.exec(lab.other, ["dropbearconvert", "openssh", "dropbear", laptop, key]);
    const dbclient = ["dbclient", "-y", "-y", "-N", "-p", String(SSH_PORT), "-i", key];
    const ports = ["-R", "18310:localhost:8080", "-L", "9009:203.0.113.10:7000", `x@${lab.relay.v4}`];
    await using _ = lab.spawn(lab.other, [...dbclient, ...ports]);
    const stdout = await eventually("dbclient's forward", async () => (await page(18_310)).stdout || undefined);
    expect(stdout).toBe("hello by ssh");
    expect((await lab.exec(lab.other, ["curl", "-s", "--http0.9", "http://127.0.0.1:9009/"])).stdout).toBe("7000");
  }, 20_000);
});

async function keyCalled(device: string): Promise<{ fingerprint: string }> {
  const { keys } = await query<{ keys: { device: string; fingerprint: string }[] }>(
    lab,
    site.relayHome,
    "ssh-key",
    "ls",
  );
  const found = keys.find((key) => key.device === device);
  if (found === undefined)
    throw new Error(`no key of ${device}: ${JSON.stringify(await run(lab, site.relayHome, "ssh-key", "ls"))}`);
  return found;
}
