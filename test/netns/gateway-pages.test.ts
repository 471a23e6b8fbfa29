import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Locator, Page } from "playwright-core";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { readQr } from "../fixtures/read-qr.ts";
import type { ConsoleReady } from "./api-kit.ts";
import { browserAt } from "./desk.ts";
import { type GatewaySite, openPorts, startGateway } from "./gateway-kit.ts";
import { startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { freshInterfaceName, startClient, sweepSockets } from "./wireguard.ts";

setDefaultTimeout(40_000);

/**
 * The pages of a real gateway, in a browser on a host of its LAN: what is set there is what visitors outside find, and what
 * hosts inside ask for is what stands there.
 */
const CONSOLE_PORT = 7780;
const TRIGGER_SEC = 4;
const APP_PORT = 8007;
let lab: Lab;
let site: GatewaySite;
let browser: TestBrowser;
let visit: Visit;
let page: Page;

beforeAll(async () => {
  sweepSockets();
  lab = createLab({ natRules: false });
  const [vpn, services] = [`[vpn]\ninterface = "${freshInterfaceName()}"\n`, ["peer:tcp:8810-8812", "peer:tcp:8820"]];
  [site, browser] = await Promise.all([
    startGateway(lab, vpn, "--vpn", "--console", `0.0.0.0:${CONSOLE_PORT}`),
    browserAt(lab, lab.other).then((path) => TestBrowser.launch(path)),
    startService(lab, lab.agent, "--host", "0.0.0.0", "peer:tcp:8840", ...services),
    startService(lab, lab.other, "--host", "0.0.0.0", `peer:tcp:${APP_PORT}`, "peer:tcp:6201"),
    startService(lab, lab.relay, "peer:tcp:6112"),
  ]);
  const { console } = await site.child.event<{ console: ConsoleReady }>("ready");
  // The gateway's own certificate: a person has to accept it, too.
  visit = await browser.window({ origin: console.url }, { ignoreHTTPSErrors: true });
  page = visit.page;
  await page.goto(console.setupLink ?? "");
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill("correct horse battery");
  await page.getByRole("button", { name: "Set up" }).click();
  await page.getByText("Signed in as ann").waitFor();
  await page.evaluate("globalThis.isStillThatPage = true");
}, 60_000);
afterAll(async () => {
  await browser.close();
  await lab[Symbol.asyncDispose]();
  sweepSockets();
});

const link = (name: string) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name });
const row = (name: string) => page.getByRole("row").filter({ hasText: name });

/** Who was seen there by the service behind it; "" = nobody answers. */
const reach = async (port: number): Promise<string> =>
  (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", "-m", "3", `${lab.nat.v4}:${port}`])).stdout.trim();
const reached = async (...ports: number[]): Promise<number[]> => {
  const answers = await Promise.all(ports.map(async (port) => [port, await reach(port)] as const));
  return answers.filter(([, answer]) => answer.startsWith(`${lab.visitor.v4} `)).map(([port]) => port);
};

describe("a device of the VPN", () => {
  test("is added for only these ports; the file in its QR code connects it, and they lead to it", async () => {
    await link("Devices").click();
    await page.getByLabel("Name of the peer").fill("phone");
    await page.getByLabel("What reaches it from outside").selectOption({ label: "Only these ports" });
    await page.getByLabel("Its ports").fill("8840, 8810-8811");
    expect(await page.getByLabel("Forward them now").isChecked()).toBe(true);
    await page.getByRole("button", { name: "Add peer" }).click();
    const made = page.getByRole("region", { name: "File of phone" });
    const picture = await made.getByRole("img", { name: /^QR code/ }).screenshot();
    await row("phone").getByText("Not yet").waitFor();

    await lab.exec(lab.agent, ["ip", "route", "add", lab.nat.v4, "via", "192.168.77.1"]);
    await startClient(lab.agent, (await readQr(page, picture)) ?? "");
    await made.getByText("phone has connected").waitFor();
    await row("phone").getByText("Connected").waitFor();
    await row("phone").getByText(`from ${lab.agent.v4}`, { exact: true }).waitFor();
    await visit.screen("gateway-pages-vpn");
    expect(await reached(8840, 8810, 8811, 8812, 8820)).toEqual([8840, 8810, 8811]);
    await made.getByRole("button", { name: "Done" }).click();
  });

  /** As the pencil in its row lets a person do it. */
  async function chooseMode(label: string, words: string): Promise<void> {
    await page.getByRole("button", { name: "Edit phone" }).click();
    const form = page.getByRole("form", { name: "Edit phone" });
    await form.getByLabel("What reaches it from outside").selectOption({ label });
    await form.getByRole("button", { name: "Save" }).click();
    await row("phone").getByText(words, { exact: true }).waitFor();
  }

  test("set to block all, is reached by nobody at once", async () => {
    await chooseMode("Nothing (block all ports)", "nothing");
    expect(await reached(8840, 8810, 8811, 8820)).toEqual([]);
    expect(await openPorts(lab, site)).toEqual([]);
  });

  test("set to open all, is reached by what a forward leads to it", async () => {
    await chooseMode("What it asks for (open all)", "what it asks for");
    await link("Port forwarding").click();
    const form = page.getByRole("form", { name: "New forward" });
    await form.getByLabel("Ports", { exact: true }).fill("8820");
    await form.getByLabel("Leads to", { exact: true }).selectOption({ label: "phone" });
    await form.getByRole("button", { name: "Save" }).click();
    await row("8820").getByText("Open", { exact: true }).waitFor();
    expect(await reached(8840, 8820)).toEqual([8820]);
    await row("8820").getByText("1 in all").waitFor();
    await row("8820").getByText("0 now").waitFor();
  });
});

describe("what hosts inside ask for, on the page that is open,", () => {
  /** Each text that its countdown shows from now on. */
  async function watch(name: string): Promise<() => Promise<number[]>> {
    await page.evaluate(`(() => {
      globalThis.shown = [];
      new MutationObserver(() => {
        const row = [...document.querySelectorAll("tr")].find(({ textContent }) => textContent.includes("${name}"));
        const text = row?.querySelector("time.countdown")?.textContent;
        if (text !== undefined && text !== shown.at(-1)) shown.push(text);
      }).observe(document.body, { childList: true, characterData: true, subtree: true });
    })()`);
    return async () => (await page.evaluate<string[]>("shown")).map(secondsOf);
  }
  const secondsOf = (text: string): number => text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  const stepsDown = (seconds: readonly number[]): number =>
    seconds.filter((one, at) => at > 0 && one < (seconds[at - 1] ?? 0)).length;
  const countdown = (of: Locator) => of.locator("time.countdown");

  /** upnpc as it is called there, told where the gateway is: then it takes one with an address of a documentation range. */
  async function upnpcAt(): Promise<(...args: readonly string[]) => Promise<void>> {
    const found = await lab.exec(lab.other, ["upnpc", "-m", "eth0", "-s"]);
    const url = /desc: (\S+)/.exec(found.stdout)?.[1] ?? "";
    return async (...args) => {
      expect(await lab.exec(lab.other, ["upnpc", "-u", url, "-i", ...args])).toMatchObject({ exitCode: 0 });
    };
  }

  test("a UPnP mapping appears with its countdown, and goes when it is deleted", async () => {
    await link("App-opened ports").click();
    await page.getByText("No program has asked for a port").waitFor();
    const [shown, upnpc] = [await watch("Halo"), await upnpcAt()];
    await upnpc("-e", "Halo", "-a", lab.other.v4, `${APP_PORT}`, `${APP_PORT}`, "tcp", "90");
    await row("Halo").getByText("asked by UPnP").waitFor();
    await row("Halo").getByText(lab.other.v4).first().waitFor();
    const first = await countdown(row("Halo")).innerText();
    expect(secondsOf(first)).toBeWithin(60, 91);
    await countdown(row("Halo")).filter({ hasNotText: first }).waitFor();
    expect(stepsDown(await shown())).toBeGreaterThan(0);
    expect(await reached(APP_PORT)).toEqual([APP_PORT]);
    await upnpc("-d", `${APP_PORT}`, "tcp");
    await row("Halo").waitFor({ state: "detached" });
    expect(await reached(APP_PORT)).toEqual([]);
  });

  test("a port trigger opens to whom, counts down, and is armed again", async () => {
    await link("Port forwarding").click();
    await page.getByLabel("Name of the trigger").fill("game");
    await page.getByLabel("When a client sends to").fill("6112");
    await page.getByLabel("Open to it").fill("6201");
    await page.getByLabel("Close after seconds without traffic").fill(`${TRIGGER_SEC}`);
    await page.getByRole("button", { name: "Add trigger" }).click();
    await row("game").getByText("Armed").waitFor();
    const shown = await watch("game");
    await lab.exec(lab.other, ["socat", "-u", `TCP4:${lab.relay.v4}:6112,connect-timeout=2`, "-"]);
    await row("game").getByText(`to ${lab.other.v4}`).waitFor();
    await row("game").getByText("closes in").waitFor();
    expect(await reached(6201)).toEqual([6201]);
    await page.setViewportSize({ width: 390, height: 844 });
    await page.evaluate("scrollTo(0, 0)");
    await visit.screen("gateway-pages-trigger-phone");
    await row("game").getByText("Armed").waitFor();
    expect(await row("game").getByText(`to ${lab.other.v4}`).count()).toBe(0);
    expect(stepsDown(await shown())).toBeGreaterThan(0);
    expect(await reached(6201)).toEqual([]);
  });

  test("all of it without a reload, a script's error, or a request to somebody else", async () => {
    expect(await page.evaluate<boolean>("globalThis.isStillThatPage === true")).toBe(true);
    expect(visit.faults).toEqual([]);
  });
});
