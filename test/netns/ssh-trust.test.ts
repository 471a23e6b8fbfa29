import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Site, startSite } from "./hatchway.ts";
import { curl, startNginx } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { newDevice, newKey, SSH_PORT, SSH_TOML, sshArgs, stay } from "./ssh-kit.ts";

/** Who is let in by SSH, and what attackers do to those who are. */
const HALF_OPEN = 1_000;
let lab: Lab;
let site: Site;
let ca: string;
const login = (key: string, user: string) =>
  lab.exec(lab.other, [...sshArgs(lab, key), "-W", "/", `${user}@${lab.relay.v4}`]);

beforeAll(async () => {
  lab = createLab();
  const authorities = join(lab.directory, "ca.pub");
  ca = await newKey(lab, lab.relay, "ca");
  site = await startSite(lab, { relay: `${SSH_TOML}trusted-user-ca = "${authorities}"\n` });
  await startNginx(lab, lab.other, 8080, "hello by ssh");
}, 40_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** A key with a certificate beside it, which OpenSSH shows by itself. */
async function certified(name: string, ...options: readonly string[]): Promise<string> {
  const key = await newKey(lab, lab.other, name);
  const signed = await lab.exec(lab.other, ["ssh-keygen", "-q", "-s", ca, "-I", name, ...options, `${key}.pub`]);
  if (signed.exitCode !== 0) throw new Error(signed.stderr);
  return key;
}

describe("certificates of a trusted CA", () => {
  beforeAll(async () => {
    await newDevice(lab, site.relayHome, "tablet");
  });

  test("let a device in by its name, from where it may be", async () => {
    const key = await certified("good", "-n", "tablet", "-V", "+1h", "-O", `source-address=${lab.nat.v4}/32`);
    await using _ = await stay(lab, lab.other, lab.relay, key, "-l", "tablet", "-R", "18400:localhost:8080");
    expect((await curl(lab, lab.visitor, `http://${lab.relay.v4}:18400/`)).stdout).toBe("hello by ssh");
  }, 20_000);

  test.each([
    ["another name", "tablet", ["-n", "laptop", "-V", "+1h"]],
    ["no name at all", "tablet", ["-V", "+1h"]],
    ["a device that is not there", "nobody", ["-n", "nobody", "-V", "+1h"]],
    ["a time that is over", "tablet", ["-n", "tablet", "-V", "20200101:20200102"]],
    ["another network", "tablet", ["-n", "tablet", "-V", "+1h", "-O", "source-address=198.51.100.0/24"]],
    ["an option that is not known here", "tablet", ["-n", "tablet", "-V", "+1h", "-O", "force-command=id"]],
    ["no right to forward", "tablet", ["-n", "tablet", "-V", "+1h", "-O", "no-port-forwarding"]],
  ])("not with %s", async (name, user, options) => {
    const key = await certified(name.replaceAll(" ", "-"), ...options);
    expect((await login(key, user)).stderr).toContain("Permission denied (publickey)");
  });

  test("not of another CA", async () => {
    const trusted = ca;
    ca = await newKey(lab, lab.other, "other-ca");
    const key = await certified("forged", "-n", "tablet", "-V", "+1h");
    ca = trusted;
    expect((await login(key, "tablet")).stderr).toContain("Permission denied (publickey)");
  });
});

test("the SSH key of a device that its agent serves reaches, and opens no ports beside it", async () => {
  const key = await newDevice(lab, site.relayHome, "attic");
  const refused = [...sshArgs(lab, key), "-N", "-R", "18500:localhost:8080", `x@${lab.relay.v4}`];
  expect(await lab.exec(lab.other, refused)).toMatchObject({
    exitCode: 255,
    stderr: expect.stringContaining("remote port forwarding failed"),
  });
  await using _ = await stay(lab, lab.other, lab.relay, key, "-L", "9008:203.0.113.10:1");
}, 20_000);

test(`${HALF_OPEN} half-open connections keep nobody out who has a key`, async () => {
  const key = await newDevice(lab, site.relayHome, "honest");
  await using ssh = await stay(lab, lab.other, lab.relay, key, "-R", "18600:localhost:8080");
  const peer = join(import.meta.dir, "peers/half-open.ts");
  await using flood = lab.spawn(lab.visitor, [
    process.execPath,
    peer,
    lab.relay.v4,
    String(SSH_PORT),
    String(HALF_OPEN),
  ]);
  await flood.event("begun");
  const startedMs = performance.now();
  await using _ = await stay(lab, lab.other, lab.relay, key, "-R", "18601:localhost:8080");
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  for (const port of [18_600, 18_601]) {
    expect((await curl(lab, lab.visitor, `http://${lab.relay.v4}:${port}/`)).stdout).toBe("hello by ssh");
  }
  expect(ssh.stderr.join("\n")).not.toContain("disconnect");
}, 30_000);
