import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../fixtures/chromium.ts";
import { ROOT } from "../fixtures/documents.ts";
import type { Child } from "./child.ts";
import { browserAt } from "./desk.ts";
import { AGENT_PORT, command, newHome, PUBLIC_PORTS } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";

setDefaultTimeout(60_000);

/**
 * A new user in a real browser: a relay, an agent and services, each on a machine of its own. The relay is either what
 * `npm start` runs, and its console is opened where it runs, or `hatchway serve` with a console for everywhere, opened in
 * the visitor's place.
 */
interface Way {
  readonly name: string;
  /** Where the browser is. */
  readonly desk: (lab: Lab) => Host;
  /** The device that runs beside the relay from the start; null = there is none. */
  readonly ownDevice: string | null;
  /** Starts it, and gives the one-time link that it prints. */
  readonly start: (lab: Lab) => Promise<string>;
}

const CONSOLE_PORT = 7780;
const PATIENCE_MS = 15_000;
const START_DEADLINE_MS = 20_000;

const NPM_START: Way = {
  name: "from npm start",
  desk: ({ relay }) => relay,
  ownDevice: "demo",
  async start(lab) {
    const { data } = newHome(lab, lab.relay);
    const demo = lab.spawn(lab.relay, ["npm", "--prefix", ROOT, "start", "--", "--data", data]);
    // As a person finds it: the address in the text that ends with a secret.
    return demo.line("one-time link", (line) => /https?:\S+\/setup#\S+/.exec(line)?.[0], START_DEADLINE_MS);
  },
};

const SERVE: Way = {
  name: "from hatchway serve",
  desk: ({ visitor }) => visitor,
  ownDevice: null,
  async start(lab) {
    const listen = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", lab.relay.v4, "--ports", PUBLIC_PORTS];
    const argv = command(newHome(lab, lab.relay), "serve", ...listen, "--console", `0.0.0.0:${CONSOLE_PORT}`, "--json");
    const child = lab.spawn(lab.relay, argv);
    const ready = await child.event<{ console: { setupLink: string } }>("ready", { deadlineMs: START_DEADLINE_MS });
    return ready.console.setupLink;
  },
};

describe.each([NPM_START, SERVE])("a new user, $name,", ({ desk, ownDevice, start }) => {
  let lab: Lab;
  let browser: Browser;
  let page: Page;
  let setupLink: string;
  let services: Child;

  beforeAll(async () => {
    lab = createLab();
    setupLink = await start(lab);
    services = await startService(lab, lab.agent, "port:tcp:8810-8815", "port:tcp:8820", "port:tcp:8840");
    browser = await launchChromium(await browserAt(lab, desk(lab)));
    // The relay's own certificate: a person has to accept it, too.
    page = await browser.newPage({ ignoreHTTPSErrors: true });
    page.setDefaultTimeout(PATIENCE_MS);
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await lab[Symbol.asyncDispose]();
  });

  /** What answers a visitor at the relay's port: the service's own port; "" = nothing. */
  async function portAt(port: number): Promise<string> {
    const script = `exec 3<>/dev/tcp/${lab.relay.v4}/${port}; head -n 1 <&3`;
    return (await lab.exec(lab.visitor, ["timeout", "3", "bash", "-c", script])).stdout.trim();
  }

  const row = (name: string) => page.getByRole("row").filter({ hasText: name });

  async function openPorts(text: string, meaning: string, device = "den"): Promise<void> {
    await page.getByLabel("Ports", { exact: true }).fill(text);
    await page.getByText(meaning).first().waitFor();
    await page.getByLabel("Device", { exact: true }).selectOption({ label: device });
    await page.getByRole("button", { name: "Save" }).click();
    await row(text.replaceAll(" ", "").split(",")[0] ?? text)
      .getByText("Open", { exact: true })
      .waitFor();
  }

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
    const child = lab.spawn(lab.agent, command(newHome(lab, lab.agent), ...args, "--json"));
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

  if (ownDevice !== null) {
    test("sees the page that is there to look at, and opens another port of the same machine", async () => {
      await row("demo page").getByText("Open", { exact: true }).waitFor();
      await startService(lab, lab.relay, "port:tcp:9850");
      await openPorts("8850:9850", "TCP 8850", ownDevice);
      expect(await portAt(8850)).toBe("9850");
    });
  }

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
