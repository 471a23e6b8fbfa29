import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AXE_RULES, axeFaults } from "../fixtures/console-axe.ts";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { ConsoleServer } from "../fixtures/console-server.ts";
import { OFFER, shownSite } from "../fixtures/console-sites.ts";
import { aForward, World } from "../fixtures/console-world.ts";

const TIMEOUT_MS = 30_000;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

/** A relay that hands out names, with a site that asks for a password. */
function world(): World {
  const made = World.furnished();
  made.names = OFFER;
  made.leads.set("here.example.org", "here");
  const site = {
    hosts: ["shop.example.org", "www.shop.example.org"],
    tls: "end",
    http2: false,
    users: ["guest"],
  } as const;
  made.forwards.push(aForward("s1", "Shop", "8080", { ...shownSite(site, "8080") }));
  return made;
}

async function onForwards(
  use: (page: Visit["page"], server: ConsoleServer, visit: Visit) => Promise<void>,
  of = world(),
  options: Parameters<TestBrowser["visit"]>[2] = {},
): Promise<void> {
  const server = await ConsoleServer.start(of);
  try {
    await browser.visit(
      server,
      async (visit) => {
        await visit.signedIn("/forwards");
        await visit.page.getByLabel("Ports", { exact: true }).waitFor();
        await use(visit.page, server, visit);
      },
      options,
    );
  } finally {
    await server.stop();
  }
}

const row = (page: Visit["page"], name: string) => page.getByRole("row").filter({ hasText: name });
const QUIET = ["/v1/forwards/preview", "/v1/names/check"];
const changes = ({ asked }: ConsoleServer) => asked.filter(({ path }) => !QUIET.includes(path));
const meaning = (page: Visit["page"]) => page.getByRole("region", { name: "What this does" });
const chooseSite = (page: Visit["page"]) => page.getByRole("button", { name: "A name (website)" }).click();

describe("a site", () => {
  test(
    "is told in words, looked up, and saved as it is written",
    () =>
      onForwards(async (page, server) => {
        await chooseSite(page);
        await page.getByLabel("Name of the site").fill("Here.example.org, new.example.org");
        await page.getByLabel("Port of the service").fill("8080");
        // What was written is there again after a look at ports.
        await page.getByRole("button", { name: "A port", exact: true }).click();
        await page.getByLabel("Ports", { exact: true }).waitFor();
        await chooseSite(page);
        await meaning(page).getByText("https://here.example.org").waitFor();
        await meaning(page).getByText("here.example.org leads to this relay.").waitFor();
        const records = page.getByRole("list", { name: "Records of new.example.org" });
        await records.waitFor();
        expect(await records.getByRole("definition").allTextContents()).toEqual([
          "new.example.org",
          "CNAME",
          "relay.example",
        ]);
        await page.getByRole("button", { name: "Ask for a password" }).click();
        await page.getByLabel("User", { exact: true }).fill("guest");
        await page.getByLabel("Password", { exact: true }).fill("swordfish");
        await meaning(page).getByText("anyone, with a password").waitFor();
        await page.getByRole("button", { name: "Save" }).click();
        await row(page, "here.example.org, new.example.org").waitFor();
        expect(changes(server)).toEqual([
          {
            method: "POST",
            path: "/v1/forwards",
            body: {
              device: "d-den",
              ports: "8080",
              host: ["here.example.org", "new.example.org"],
              tls: "end",
              logins: [{ user: "guest", password: "swordfish" }],
            },
          },
        ]);
        expect(await page.getByLabel("Name of the site").inputValue()).toBe("");
      }),
    TIMEOUT_MS,
  );

  test(
    "that lacks something says what at its field, and nothing is sent",
    () =>
      onForwards(async (page, server) => {
        await chooseSite(page);
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Write the site's name, for example app.example.org.").waitFor();
        await page.getByText("Write the service's port, for example 8080.").waitFor();
        await page.getByLabel("Name of the site").fill("192.0.2.1");
        await page.getByLabel("Port of the service").fill("8080");
        await page.getByRole("button", { name: "Ask for a password" }).click();
        await page.getByLabel("User", { exact: true }).fill("guest");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Write the name of a site in ASCII with a dot in it").waitFor();
        await page.getByText("Write a password for guest.").waitFor();
        expect(changes(server)).toEqual([]);
      }),
    TIMEOUT_MS,
  );

  test(
    "of somebody else's name is told before Save, and by Save at its field",
    () =>
      onForwards(async (page, server) => {
        await chooseSite(page);
        await page.getByLabel("Name of the site").fill("taken.example.org");
        await page.getByLabel("Port of the service").fill("8080");
        await meaning(page).getByText("somebody else's").waitFor();
        await page.getByRole("button", { name: "Save" }).click();
        await page.locator(".site-names").getByText("taken.example.org is somebody else's").waitFor();
        // Nobody looks up what they may not have.
        expect(server.asked.filter(({ path }) => path === "/v1/names/check")).toEqual([]);
      }),
    TIMEOUT_MS,
  );

  test(
    "is listed by its URLs, and found by them",
    () =>
      onForwards(async (page) => {
        const link = row(page, "Shop").getByRole("link", { name: "https://shop.example.org", exact: true });
        expect(await link.getAttribute("href")).toBe("https://shop.example.org");
        await row(page, "Shop").getByText("TLS by the relay, with a password").waitFor();
        await page.getByLabel("Filter by name, port, device").fill("www.shop");
        await page.getByText("1 of").waitFor();
        await row(page, "Shop").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "is edited: only what changed is sent, and a password that is not typed stays",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("button", { name: "Edit Shop" }).click();
        const dialog = page.getByRole("dialog", { name: "Edit Shop" });
        const names = dialog.getByLabel("Name of the site");
        await names.waitFor();
        expect(await names.inputValue()).toBe("shop.example.org, www.shop.example.org");
        expect(await dialog.getByRole("button", { name: "A port" }).count()).toBe(0);
        expect(await dialog.getByLabel("New password").inputValue()).toBe("");
        await names.fill("shop.example.org");
        await dialog.getByRole("button", { name: "Add another" }).click();
        await dialog.getByLabel("User", { exact: true }).nth(1).fill("ann");
        await dialog.getByLabel("Password", { exact: true }).fill("trout");
        await dialog.getByRole("button", { name: "Save" }).click();
        await dialog.waitFor({ state: "detached" });
        expect(changes(server)).toEqual([
          {
            method: "PATCH",
            path: "/v1/forwards/s1",
            body: { host: ["shop.example.org"], logins: [{ user: "guest" }, { user: "ann", password: "trout" }] },
          },
        ]);
        expect(await row(page, "Shop").getByRole("link").allTextContents()).toEqual(["https://shop.example.org"]);
      }),
    TIMEOUT_MS,
  );

  test(
    "is not offered where the relay hands out no names, nor TLS where it has no port for it",
    async () => {
      const without = world();
      without.names = null;
      await onForwards(async (page) => {
        expect(await page.getByRole("button", { name: "A name (website)" }).count()).toBe(0);
      }, without);
      const plain = world();
      plain.names = { ...OFFER, https: null };
      await onForwards(async (page) => {
        await chooseSite(page);
        expect(await page.getByLabel("Certificate (TLS)").locator("option").allTextContents()).toEqual([
          "None: plain HTTP",
        ]);
      }, plain);
    },
    TIMEOUT_MS,
  );
});

/** How far the page scrolls sideways. */
const SIDEWAYS = "(scrollTo(9999, 0), scrollX)";

describe("its pages fit, axe finds nothing serious, and their pictures are kept:", () => {
  for (const [kind, options, rules] of [
    ["wide", {}, AXE_RULES.light],
    ["phone", { ...PHONE, colorScheme: "dark" }, AXE_RULES.dark],
  ] as const) {
    test(
      kind,
      () =>
        onForwards(
          async (page, server, visit) => {
            server.world.leads.set("shop.example.org", "here");
            await chooseSite(page);
            await page.getByLabel("Name of the site").fill("a-rather-long-name-of-a-site.of-many-labels.example.org");
            await page.getByLabel("Port of the service").fill("8080");
            await page.getByRole("button", { name: "Ask for a password" }).click();
            await page.getByRole("list", { name: /Records of/ }).waitFor();
            expect(await page.evaluate(SIDEWAYS)).toBe(0);
            expect(await axeFaults(page, rules)).toEqual([]);
            await visit.screen(`site-new-${kind}`);
            await page.getByRole("button", { name: "Edit Shop" }).click();
            await page.getByRole("dialog").getByText("shop.example.org leads to this relay.").first().waitFor();
            expect(await page.evaluate(SIDEWAYS)).toBe(0);
            expect(await axeFaults(page, rules)).toEqual([]);
            await visit.screen(`site-edit-${kind}`);
          },
          world(),
          options,
        ),
      TIMEOUT_MS,
    );
  }
});
