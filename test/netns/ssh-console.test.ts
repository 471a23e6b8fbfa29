import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { Client } from "../../src/servers/api/client.ts";
import { launchChromium } from "../fixtures/chromium.ts";
import { keepScreen } from "../fixtures/console-browser.ts";
import { firstAdmin, newPerson } from "./api-kit.ts";
import { browserAt } from "./desk.ts";
import { type Home, joinCode, newHome, query, run, startAgent, startRelay } from "./hatchway.ts";
import { curl, startNginx } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";
import { newKey, readKey, SSH_PORT, SSH_TOML, sshArgs, stay } from "./ssh-kit.ts";

setDefaultTimeout(30_000);

/** Keys of plain ssh over the API and in the console, and the key of a device's own agent: Debian's OpenSSH uses them. */
const CONSOLE_PORT = 7780;
let lab: Lab;
let relay: Home;
let agentHome: Home;
let ann: Client;
let url: string;

const page = async (port: number) => (await curl(lab, lab.visitor, `http://${lab.relay.v4}:${port}/`)).stdout;
const login = (key: string, ...args: readonly string[]) =>
  lab.exec(lab.other, [...sshArgs(lab, key), ...args, `x@${lab.relay.v4}`]);

beforeAll(async () => {
  lab = createLab();
  relay = newHome(lab, lab.relay, `[console]\nlisten = "0.0.0.0:${CONSOLE_PORT}"\n${SSH_TOML}`);
  const ready = await (await startRelay(lab, relay)).event<{ console: { url: string; setupLink: string } }>("ready");
  url = ready.console.url;
  ann = await firstAdmin(lab, lab.visitor, ready.console);
  agentHome = newHome(lab, lab.agent);
  await startNginx(lab, lab.other, 8080, "hello by ssh");
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

test("a user's keys let their device in; one that they remove has neither connection nor port a second later", async () => {
  const { link } = await ann.makeInvite({ role: "user" });
  const bob = await newPerson(lab, lab.visitor, url, link, "bob");
  const { server } = await bob.getSsh();
  expect(server).toMatchObject({ host: lab.relay.v4, port: SSH_PORT });
  const [first, second] = [await newKey(lab, lab.other, "first"), await newKey(lab, lab.other, "second")];
  const draft = { key: readKey(first), device: "laptop", ports: "18000-18009" };
  const added = await bob.addSshKey(draft, { idempotencyKey: "once" });
  expect(await bob.addSshKey(draft, { idempotencyKey: "once" })).toEqual(added);
  expect(added).toMatchObject({ comment: "first", account: { name: "bob" }, endsDevice: true, lastUsedMs: null });
  await bob.addSshKey({ key: readKey(second), device: added.device.id });

  await using one = await stay(lab, lab.other, lab.relay, first, "-R", "18000:localhost:8080");
  await using other = await stay(lab, lab.other, lab.relay, second, "-R", "18001:localhost:8080");
  expect([await page(18_000), await page(18_001)]).toEqual(["hello by ssh", "hello by ssh"]);
  const { items } = await bob.listSshKeys({ device: "laptop" });
  expect(items.map(({ lastUsedMs, endsDevice }) => [lastUsedMs !== null, endsDevice])).toEqual([
    [true, false],
    [true, false],
  ]);

  await bob.removeSshKey(added.fingerprint);
  const startedMs = performance.now();
  await one.exited;
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(await page(18_000)).toBe("");
  expect((await login(first, "-N")).stderr).toContain("Permission denied (publickey)");
  // The other key of the device is as it was.
  expect(await page(18_001)).toBe("hello by ssh");

  const [left] = (await ann.listSshKeys()).items;
  expect(left).toMatchObject({ comment: "second", endsDevice: true });
  await ann.removeSshKey(left?.fingerprint ?? "");
  await other.exited;
  expect(await page(18_001)).toBe("");
  expect((await bob.listDevices()).items).toEqual([]);
  const actions = (await ann.listAudit({ limit: 20 })).items.map(({ action, actor }) => `${action} ${actor}`);
  expect(actions).toContain("ssh-key.added user:bob");
  expect(actions).toContain("ssh-key.removed user:ann");
});

test("in the console: a key is pasted, the command that is shown works, and removing it ends that", async () => {
  const key = await newKey(lab, lab.other, "tablet-key");
  const browser: Browser = await launchChromium(await browserAt(lab, lab.visitor));
  try {
    const window: Page = await browser.newPage({ ignoreHTTPSErrors: true });
    window.setDefaultTimeout(15_000);
    await window.goto(`${url}/devices`);
    await window.getByLabel("Name").fill("ann");
    await window.getByLabel("Password").fill("correct horse battery");
    await window.getByRole("button", { name: "Sign in", exact: true }).click();
    await window.getByRole("link", { name: "Devices" }).click();
    const card = window.getByRole("region", { name: "Plain ssh" });
    await card.getByLabel("Public key").fill(readKey(key));
    await card.getByLabel("Name of the new device").fill("tablet");
    await card.getByLabel("Ports that ssh may open").fill("18100-18109");
    await card.getByRole("button", { name: "Let the key in" }).click();
    const made = window.getByRole("region", { name: "ssh command of tablet" });
    const shown = await made.getByText(/^ssh -p/).innerText();
    expect(shown).toBe(`ssh -p ${SSH_PORT} -N -R 18100:localhost:80 ${lab.relay.v4}`);

    const pinned = join(lab.directory, "pinned");
    await Bun.write(pinned, `${await card.getByText(`[${lab.relay.v4}]`).innerText()}\n`);
    const [, ...words] = shown.replace("localhost:80 ", "localhost:8080 ").split(" ");
    const options = ["StrictHostKeyChecking=yes", `UserKnownHostsFile=${pinned}`, "BatchMode=yes"];
    const own = ["-F", "none", "-i", key, ...options.flatMap((option) => ["-o", option])];
    await using ssh = lab.spawn(lab.other, ["ssh", ...own, ...words]);
    await made.getByText("tablet is connected").waitFor();
    await eventually("its port", async () => ((await page(18_100)) === "hello by ssh" ? true : undefined));
    await card.getByRole("row").filter({ hasText: "tablet-key" }).getByText("just now").waitFor();
    await keepScreen(window, "ssh-real");

    await card.getByRole("button", { name: "Remove the key tablet-key" }).click();
    await window.getByRole("button", { name: "Remove key" }).click();
    await ssh.exited;
    expect(await page(18_100)).toBe("");
    await card.getByText("No SSH key is let in yet.").waitFor();
  } finally {
    await browser.close();
  }
});

test("a device's own key comes in by ssh, as that device and with its ports alone", async () => {
  const code = await joinCode(lab, relay, "attic", "--ports", "18200-18209");
  const agent = await startAgent(lab, agentHome, code);
  const key = join(lab.directory, "attic-ssh");
  const exported = await query<{ device: string; host: string; fingerprint: string; publicKey: string }>(
    lab,
    agentHome,
    "ssh-key",
    "export",
    key,
  );
  expect(exported).toMatchObject({ device: "attic", host: lab.relay.v4 });
  // OpenSSH's own tool reads it, and nobody else may.
  const listed = await lab.exec(lab.other, ["ssh-keygen", "-l", "-f", key]);
  expect(listed.stdout).toContain(`${exported.fingerprint} attic (ED25519)`);
  expect((await lab.exec(lab.other, ["stat", "-c", "%a", key])).stdout.trim()).toBe("600");
  expect((await run(lab, agentHome, "ssh-key", "export", key)).exitCode).toBe(2);

  // Its agent has its ports while it is connected.
  expect((await login(key, "-N", "-R", "18200:localhost:8080")).exitCode).toBe(255);
  agent.signal("SIGTERM");
  await agent.exited;
  await using ssh = await stay(lab, lab.other, lab.relay, key, "-R", "18200:localhost:8080");
  expect(await page(18_200)).toBe("hello by ssh");
  const [attic] = (await ann.listDevices()).items;
  expect(attic).toMatchObject({ name: "attic", connected: true, version: "ssh", forwards: 1 });
  expect(await login(key, "-N", "-R", "18210:localhost:8080")).toMatchObject({
    exitCode: 255,
    stderr: expect.stringContaining("remote port forwarding failed"),
  });
  // It is no key that is listed, and it may not become another device's.
  expect((await ann.listSshKeys()).items).toEqual([]);
  const taken = await ann.addSshKey({ key: exported.publicKey, device: "other" }).catch((error: Error) => error);
  expect(taken).toMatchObject({ message: expect.stringContaining("in use already") });

  await ann.removeDevice(attic?.id ?? "");
  await ssh.exited;
  expect(await page(18_200)).toBe("");
  expect((await login(key, "-N")).stderr).toContain("Permission denied (publickey)");
});
