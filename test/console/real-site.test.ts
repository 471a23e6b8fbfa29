import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { TestBrowser } from "../fixtures/console-browser.ts";
import { ask, curl } from "../fixtures/names-client.ts";
import { type SiteLab, siteLab } from "../fixtures/site-lab.ts";

setDefaultTimeout(60_000);

/** What a stand-in cannot show: that what a person writes opens a site of a real relay, to real visitors. */
const HOST = "shop.example.org";
const running = new AsyncDisposableStack();
let site: SiteLab;
let browser: TestBrowser;
let service: number;
beforeAll(async () => {
  [site, browser] = await Promise.all([siteLab(false), TestBrowser.launch()]);
  running.use(site);
  running.defer(() => browser.close());
  await site.lab.agent("den", { managed: true });
  const web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("the shop") });
  running.defer(() => web.stop(true));
  service = web.port as number;
});
afterAll(() => running.disposeAsync());

test("a site is opened with a password, visited, changed to plain HTTP for everybody, and removed", async () => {
  const { console } = site.lab.relay.ready;
  await browser.visit({ origin: console?.url ?? "" }, async (visit) => {
    const { page } = visit;
    await page.goto(console?.setupLink ?? "");
    await page.getByLabel("Name").fill("ann");
    await page.getByLabel("Password").fill("correct horse battery");
    await page.getByRole("button", { name: "Set up" }).click();
    await page.getByText("Signed in as ann").waitFor();

    await visit.open("/forwards");
    await page.getByRole("button", { name: "A name (website)" }).click();
    await page.getByLabel("Name of the site").fill("elsewhere.example.net");
    await page.getByLabel("Port of the service").fill(`${service}`);
    await page.getByRole("alert").getByText("none that this relay hands out").waitFor();
    await page.getByLabel("Name of the site").fill(HOST);
    await page.getByRole("button", { name: "Ask for a password" }).click();
    await page.getByLabel("User", { exact: true }).fill("guest");
    await page.getByLabel("Password", { exact: true }).fill("swordfish");
    await page.getByRole("button", { name: "Save" }).click();
    const row = page.getByRole("row").filter({ hasText: HOST });
    await row.getByText("Open", { exact: true }).waitFor();
    const https = portOf(await row.getByRole("link").getAttribute("href"));
    const { caFile } = site;
    expect((await curl(https, HOST, { caFile, args: ["-u", "guest:swordfish"] })).body).toBe("the shop");
    expect((await curl(https, HOST, { caFile, args: ["-u", "guest:trout"] })).body).not.toContain("the shop");

    await row.getByRole("button", { name: /^Edit/ }).click();
    const dialog = page.getByRole("dialog", { name: `Edit ${HOST}` });
    await dialog.getByRole("button", { name: "Take guest away" }).click();
    await dialog.getByLabel("Certificate (TLS)").selectOption("off");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "detached" });
    const link = row.getByRole("link", { name: `http://${HOST}` });
    await link.waitFor();
    await row.getByText("Open", { exact: true }).waitFor();
    const http = portOf(await link.getAttribute("href"));
    const request = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;
    expect((await ask(http, request)).body).toBe("the shop");

    await row.getByRole("button", { name: /^Test now/ }).click();
    const report = page.getByRole("region", { name: `Test of ${HOST}` });
    await report.getByText("answers with status 200").waitFor();
    await visit.screen("site-real");
    await row.getByRole("button", { name: /^Remove/ }).click();
    await row.waitFor({ state: "detached" });
    expect((await ask(http, request)).status).toBe(404);
  });
});

function portOf(url: string | null): number {
  return Number(new URL(url ?? "").port);
}
