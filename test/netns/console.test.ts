import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Child } from "./child.ts";
import { AGENT_PORT, command, type Home, newHome, PUBLIC_PORTS } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

setDefaultTimeout(60_000);

/** A new user in a real browser, in the visitor's place; a relay, an agent and services, each on a machine of its own. */
const CONSOLE_PORT = 7780;
const PATIENCE_MS = 15_000;

let lab: Lab;
let relay: Child;
let browser: Browser;
let page: Page;
let setupLink: string;
let services: Child;

beforeAll(async () => {
  lab = createLab();
  const home = newHome(lab, lab.relay);
  const listen = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", lab.relay.v4, "--ports", PUBLIC_PORTS];
  const argv = command(home, "serve", ...listen, "--console", `0.0.0.0:${CONSOLE_PORT}`, "--json");
  relay = lab.spawn(lab.relay, argv);
  const ready = await relay.event<{ console: { setupLink: string } }>("ready", { deadlineMs: 20_000 });
  setupLink = ready.console.setupLink;
  services = await startService(lab, lab.agent, "port:tcp:8810-8815", "port:tcp:8820", "port:tcp:8840");
  browser = await chromium.launch({ executablePath: browserAt(lab), args: ["--no-sandbox", "--disable-gpu"] });
  // The relay's own certificate: a person has to accept it, too.
  page = await browser.newPage({ ignoreHTTPSErrors: true });
  page.setDefaultTimeout(PATIENCE_MS);
}, 60_000);
afterAll(async () => {
  await browser.close();
  await lab[Symbol.asyncDispose]();
});

/** Chromium as a program on the visitor's machine. */
function browserAt({ directory, visitor }: Lab): string {
  const path = join(directory, "chromium");
  writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${visitor.namespace} /usr/bin/chromium "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** What answers a visitor at the relay's port: the service's own port; "" = nothing. */
async function portAt(port: number): Promise<string> {
  const script = `exec 3<>/dev/tcp/${lab.relay.v4}/${port}; head -n 1 <&3`;
  return (await lab.exec(lab.visitor, ["timeout", "3", "bash", "-c", script])).stdout.trim();
}

const row = (name: string) => page.getByRole("row").filter({ hasText: name });

async function openPorts(text: string, meaning: string): Promise<void> {
  await page.getByLabel("Ports", { exact: true }).fill(text);
  await page.getByText(meaning).first().waitFor();
  await page.getByLabel("Device", { exact: true }).selectOption({ label: "den" });
  await page.getByRole("button", { name: "Save" }).click();
  await row(text.replaceAll(" ", "").split(",")[0] ?? text)
    .getByText("Open", { exact: true })
    .waitFor();
}

describe("a new user", () => {
  let agent: Home;

  test("opens the one-time link, chooses a password, and is in; the link is good once", async () => {
    await page.goto(setupLink);
    await page.getByLabel("Name").fill("ann");
    await page.getByLabel("Password").fill("correct horse battery");
    await page.getByRole("button", { name: "Set up" }).click();
    await page.getByText("Signed in as ann").waitFor();
    await page.reload();
    await page.getByText("Signed in as ann").waitFor();
    const again = await browser.newContext({ ignoreHTTPSErrors: true });
    const other = await again.newPage();
    await other.goto(setupLink);
    await other.getByLabel("Name").fill("eve");
    await other.getByLabel("Password").fill("another horse battery");
    await other.getByRole("button", { name: "Set up" }).click();
    await other.getByRole("alert").first().waitFor();
    await again.close();
  });

  test("adds a device by the command that the console shows", async () => {
    await page.getByRole("link", { name: "Devices" }).click();
    await page.getByLabel("Name of the device").fill("den");
    await page.getByRole("button", { name: "Make a join command" }).click();
    const shown = await page.getByText(/^hatchway agent/).innerText();
    const [program, ...args] = shown.split(" ");
    expect(program).toBe("hatchway");
    agent = newHome(lab, lab.agent);
    const child = lab.spawn(lab.agent, command(agent, ...args, "--json"));
    await child.event("connected", { deadlineMs: 20_000 });
    await row("den").getByText("Connected").waitFor();
  });

  test("types ports as people write them, saves, and a visitor reaches each over the tunnel", async () => {
    await page.getByRole("link", { name: "Port forwarding" }).click();
    await openPorts("8840, 8820", "TCP 8840");
    await openPorts("8810-8815", "8810 to 8815");
    for (const port of [8840, 8820, 8810, 8811, 8812, 8813, 8814, 8815]) expect(await portAt(port)).toBe(String(port));
    expect(await portAt(8816)).toBe("");
  });

  test("tests one: open", async () => {
    await row("8810")
      .getByRole("button", { name: /^Test now/ })
      .click();
    await page
      .getByRole("region", { name: /^Test of/ })
      .getByText("Open", { exact: true })
      .waitFor();
  });

  test("disables one: its visitors are refused at once, the other's are not", async () => {
    await row("8810").getByRole("switch").click();
    await row("8810").getByText("Off", { exact: true }).waitFor();
    expect(await portAt(8812)).toBe("");
    expect(await portAt(8840)).toBe("8840");
  });

  test("tests that one: closed", async () => {
    await page.getByRole("button", { name: "Test again" }).click();
    await page
      .getByRole("region", { name: /^Test of/ })
      .getByText("Closed", { exact: true })
      .waitFor();
    await page.getByRole("button", { name: "Close test" }).click();
  });

  test("tests the other when its service is gone: the way is open, the service dead", async () => {
    await services.kill();
    await row("8840")
      .getByRole("button", { name: /^Test now/ })
      .click();
    await page
      .getByRole("region", { name: /^Test of/ })
      .getByText("Way open, service dead")
      .waitFor();
  });
});
