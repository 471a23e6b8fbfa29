import { afterAll, beforeAll, expect, test } from "bun:test";
import { repainted, TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { gatewayWorld } from "../fixtures/console-gateway.ts";
import { ConsoleServer } from "../fixtures/console-server.ts";
import { NOW_MS, World } from "../fixtures/console-world.ts";

const PAGES = [
  ["overview", "/"],
  ["forwards", "/forwards"],
  ["devices", "/devices"],
  ["live", "/live"],
  ["traffic", "/traffic"],
  ["checks", "/checks"],
  ["people", "/people"],
  ["audit", "/audit"],
  ["settings", "/settings"],
  ["account", "/account"],
] as const;
const TOUCH = { isMobile: true, hasTouch: true };
const PHONE = { viewport: { width: 390, height: 844 }, ...TOUCH };
const NARROWEST_PHONE = { width: 360, height: 740 };
const WIDE = { viewport: { width: 1280, height: 900 } };
const TIMEOUT_MS = 60_000;

let browser: TestBrowser;
let server: ConsoleServer;
let gateway: ConsoleServer;
beforeAll(async () => {
  [browser, server, gateway] = await Promise.all([
    TestBrowser.launch(),
    ConsoleServer.start(World.furnished()),
    ConsoleServer.start(gatewayWorld()),
  ]);
  server.world.verdicts.set("Remote Desktop", "dead-service");
});
afterAll(async () => {
  await browser.close();
  await Promise.all([server.stop(), gateway.stop()]);
});

async function read({ page }: Visit): Promise<void> {
  await page
    .getByRole("main")
    .getByText(/Reading/)
    .first()
    .waitFor({ state: "detached" });
}

/** The page as it is while somebody works on it. */
async function writeForward({ page }: Visit): Promise<void> {
  await page.getByLabel("Ports", { exact: true }).fill("8840, 8820, 8810-8815");
  await page.getByText("8810 to 8815").waitFor();
  await page.getByRole("button", { name: "Test now: Remote Desktop" }).click();
  await page.getByText("To do:").waitFor();
}

async function askForCode({ page }: Visit): Promise<void> {
  await page.getByLabel("Name of the device").fill("cellar");
  await page.getByRole("button", { name: "Make a join command" }).click();
  await page.getByText("Waiting for cellar to join.").waitFor();
}

async function tryOut({ page }: Visit): Promise<void> {
  await page.getByRole("button", { name: "Test all" }).click();
  await page.getByText("To do:").first().waitFor();
  await page.getByRole("button", { name: "Measure" }).click();
  await page.getByText("was measured.").waitFor();
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByRole("region", { name: "What the router says" }).waitFor();
}

const GATEWAY_PAGES = [
  ["overview", "/"],
  ["forwards", "/forwards"],
  ["devices", "/devices"],
  ["live", "/live"],
  ["app-ports", "/app-ports"],
] as const;

async function addPeer({ page }: Visit, name: string): Promise<void> {
  await page.getByLabel("Name of the peer").fill(name);
  await page.getByLabel("What reaches it from outside").selectOption("only");
  await page.getByLabel("Its ports").fill("51413");
  await page.getByRole("button", { name: "Add peer" }).click();
  await page.getByRole("region", { name: `File of ${name}` }).waitFor();
}

/** What a relay says each second while things move. */
function emitTraffic(): void {
  for (let second = 0; second < 40; second++) {
    const wave = 1 + Math.sin(second / 4);
    server.emit({
      event: "traffic",
      atMs: NOW_MS + second * 1_000,
      visitorsOpen: 10 + Math.round(wave * 4),
      forwards: [
        {
          id: "f1",
          visitorsOpen: 12,
          visitorsTotal: 20_481 + second,
          bytesIn: 51_000_000 + second * 90_000,
          bytesOut: 2_400_000_000 + second * 2_000_000 + Math.round(wave * 4_000_000),
        },
      ],
    });
  }
}

/** How far the page scrolls sideways, and which tables are wider than their card, which would hide their end. */
const SIDEWAYS = `[(scrollTo(9999, 0), scrollX), ...[...document.querySelectorAll(".table")]
  .filter((table) => table.offsetWidth > table.parentElement.clientWidth)
  .map((table) => table.getAttribute("aria-label") + " " + table.offsetWidth + " > " + table.parentElement.clientWidth)]`;

for (const [kind, window] of [
  ["wide", WIDE],
  ["phone", PHONE],
] as const) {
  const expectFits = async ({ page }: Visit, name: string) =>
    expect([name, ...(await page.evaluate<unknown[]>(SIDEWAYS))]).toEqual([name, 0]);
  /** A page is opened once: its colours change under it, as they do in the evening. */
  const keep = async (visit: Visit, name: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await visit.colors(colorScheme);
      await expectFits(visit, name);
      await visit.screen(`${name}-${kind}-${colorScheme}`);
    }
    if (kind === "wide") return;
    await visit.page.setViewportSize(NARROWEST_PHONE);
    await repainted(visit.page);
    await expectFits(visit, name);
    await visit.page.setViewportSize(PHONE.viewport);
  };

  test(
    `${kind}: each page fits in light and in dark, and its picture is kept`,
    () =>
      browser.visit(
        server,
        async (visit) => {
          await visit.open("/sign-in");
          await visit.page.getByLabel("Name").waitFor();
          await keep(visit, "sign-in");
          for (const [name, path] of PAGES) {
            await visit.signedIn(path);
            await read(visit);
            if (name === "overview") {
              emitTraffic();
              await visit.page.getByLabel("Traffic in the last minute").waitFor();
            }
            if (name === "forwards") await writeForward(visit);
            if (name === "devices") await askForCode(visit);
            if (name === "checks") await tryOut(visit);
            await keep(visit, name);
          }
        },
        window,
      ),
    TIMEOUT_MS,
  );

  test(
    `${kind}: so do those of a gateway`,
    () =>
      browser.visit(
        gateway,
        async (visit) => {
          for (const [name, path] of GATEWAY_PAGES) {
            await visit.signedIn(path);
            await read(visit);
            if (name === "devices") await addPeer(visit, `tablet-${kind}`);
            await keep(visit, `gateway-${name}`);
          }
        },
        window,
      ),
    TIMEOUT_MS,
  );
}
