import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildConsole, firstLoadBytes } from "../../scripts/console.ts";
import { PATHS } from "../../src/console/paths.ts";
import { AXE_RULES, axeFaults } from "../fixtures/console-axe.ts";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { anAppForward, aPeer, aTrigger, bothWorld, VPN_SERVER } from "../fixtures/console-gateway.ts";
import { aKey } from "../fixtures/console-keys.ts";
import { ConsoleServer } from "../fixtures/console-server.ts";
import { aDevice, aForward, aRouter, type World } from "../fixtures/console-world.ts";
import { PUBLIC_KEYS } from "../fixtures/ssh-keys.ts";

const TIMEOUT_MS = 60_000;
const BUDGET_BYTES = 250_000;
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

const PAGES = Object.values(PATHS).filter((path) => !["/sign-in", "/setup", "/invite", "/reset"].includes(path));

async function read({ page }: Visit): Promise<void> {
  await page
    .getByRole("main")
    .getByText(/^Reading/)
    .first()
    .waitFor({ state: "detached" });
}

describe("what is served", () => {
  test("the first load is within its budget, and has nothing inline", async () => {
    const files = await buildConsole();
    expect(firstLoadBytes(files)).toBeLessThan(BUDGET_BYTES);
    expect(
      [...files.keys()].every((path) => path === "/index.html" || /^\/assets\/[\w-]+-\w{8}\.(js|css|svg)$/.test(path)),
    ).toBe(true);
    const html = new TextDecoder().decode(files.get("/index.html")?.bytes);
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:/i);
  });

  test("source files make no markup from text", async () => {
    const sources = [...new Bun.Glob("src/console/**/*.{ts,tsx}").scanSync({ cwd: `${import.meta.dir}/../..` })];
    expect(sources.length).toBeGreaterThan(40);
    for (const source of sources) {
      const text = await Bun.file(`${import.meta.dir}/../../${source}`).text();
      expect([
        source,
        /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/.test(text),
      ]).toEqual([source, false]);
    }
  });
});

/** What comes when somebody asks for it. */
async function ask({ page }: Visit, path: string): Promise<void> {
  if (path !== "/checks") return;
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByRole("region", { name: "What the router says" }).waitFor();
}

describe("axe finds nothing serious", () => {
  type Look = (visit: Visit) => Promise<void>;
  const page =
    (path: string): Look =>
    async (visit) => {
      await visit.signedIn(path);
      await read(visit);
      await ask(visit, path);
    };
  /** Each thing that a person looks at: one page, or what opens on it. */
  const LOOKS: readonly (readonly [name: string, look: Look])[] = [
    [
      "/sign-in",
      async (visit) => {
        await visit.open("/sign-in");
        await visit.page.getByLabel("Name").waitFor();
      },
    ],
    ...PAGES.map((path) => [path, page(path)] as const),
    [
      "a forward at work",
      async (visit) => {
        await visit.signedIn("/forwards");
        await visit.page.getByLabel("Ports", { exact: true }).fill("8820, 8815-8810, 1");
        await visit.page.getByRole("button", { name: /^More:/ }).click();
        await visit.page.getByRole("button", { name: "Test now: Web" }).click();
        await visit.page.getByRole("button", { name: "Test again" }).waitFor();
      },
    ],
    [
      "a forward that is edited",
      async (visit) => {
        await visit.signedIn("/forwards");
        await visit.page.getByRole("button", { name: "Edit Web" }).click();
        await visit.page.getByRole("dialog").getByLabel("Ports", { exact: true }).waitFor();
      },
    ],
    [
      "an SSH key that was let in, and a private key that was not",
      async (visit) => {
        await visit.signedIn("/devices");
        await visit.page.getByLabel("Public key").fill(PUBLIC_KEYS.ed25519);
        await visit.page.getByLabel("Name of the new device").fill("tablet");
        await visit.page.getByRole("button", { name: "Let the key in" }).click();
        await visit.page.getByRole("region", { name: "ssh command of tablet" }).waitFor();
        await visit.page.getByLabel("Public key").fill("-----BEGIN OPENSSH PRIVATE KEY-----");
        await visit.page.getByText("This is a private key").waitFor();
      },
    ],
    [
      "a peer's file",
      async (visit) => {
        await visit.signedIn("/devices");
        await visit.page.getByLabel("Name of the peer").fill("tablet");
        await visit.page.getByLabel("What reaches it from outside").selectOption("only");
        await visit.page.getByLabel("Its ports").fill("8840");
        await visit.page.getByRole("button", { name: "Add peer" }).click();
        await visit.page.getByRole("region", { name: "File of tablet" }).waitFor();
      },
    ],
    [
      "a peer that is edited",
      async (visit) => {
        await visit.signedIn("/devices");
        await visit.page.getByRole("button", { name: "Edit phone" }).click();
        await visit.page.getByRole("dialog").getByLabel("Its ports").waitFor();
      },
    ],
  ];

  test.each(LOOKS)(
    "%s, in light and in dark",
    async (_, look) => {
      const server = await ConsoleServer.start(bothWorld());
      await browser.visit(server, async (visit) => {
        await look(visit);
        for (const colorScheme of ["light", "dark"] as const) {
          await visit.colors(colorScheme);
          expect([colorScheme, ...(await axeFaults(visit.page, AXE_RULES[colorScheme]))]).toEqual([colorScheme]);
        }
      });
      await server.stop();
    },
    TIMEOUT_MS,
  );
});

describe("what others wrote stays text", () => {
  const PAYLOADS = [
    `<img src=x onerror="alert(1)">`,
    `"><script>alert(1)</script>`,
    `javascript:alert(1)`,
    `</textarea><svg/onload=alert(1)>`,
    `{{constructor.constructor('alert(1)')()}}`,
  ];
  const EVIL = PAYLOADS.join(" ");

  /** Whatever reaches out of the window, and makes the page scroll sideways by it. */
  const WIDER = `[...document.querySelectorAll("main, main *, header *")].filter((element) => !element.matches("input, thead *") &&
      getComputedStyle(element).overflowX === "visible" && element.getClientRects().length > 0 &&
      (element.getBoundingClientRect().right > innerWidth + 0.5 || element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0))
    .map((element) => element.tagName + "." + element.className)
    .concat((scrollTo(9999, 0), scrollX) === 0 ? [] : ["the page"])`;

  function evilWorld(): World {
    const world = bothWorld();
    const account = { id: EVIL, name: EVIL };
    world.me = { ...world.me, name: EVIL, account };
    world.devices = [
      aDevice(EVIL, { account: { id: "other", name: EVIL }, address: EVIL, version: EVIL }),
      ...world.devices,
    ];
    world.forwards = [
      aForward("f1", EVIL, EVIL, {
        device: { id: EVIL, name: EVIL },
        account: { id: "other", name: EVIL },
        to: EVIL,
        state: "refused",
        message: EVIL,
        allow: [EVIL],
        endpoints: [{ protocol: "tcp", host: EVIL, port: 1, lastPort: 1, internalHost: EVIL, internalPort: 1 }],
      }),
      aForward("f2", EVIL, "80", { allow: [EVIL] }),
      anAppForward("u1", EVIL, "igd", { device: { id: EVIL, name: EVIL }, state: "refused", message: EVIL }),
    ];
    world.peers = [aPeer(2, EVIL, { account: { id: "other", name: EVIL }, endpoint: EVIL, mode: "only", ports: EVIL })];
    world.ssh = { host: EVIL, port: 1, fingerprint: EVIL, knownHosts: EVIL };
    world.sshKeys = [
      aKey(EVIL, { device: { id: EVIL, name: EVIL }, account: { id: "other", name: EVIL }, type: EVIL, ports: EVIL }),
    ];
    world.triggers = [aTrigger(EVIL, { out: EVIL, in: EVIL, state: "open", host: EVIL, closesMs: 0 })];
    world.vpn = { ...VPN_SERVER, endpointHost: EVIL, message: EVIL, network4: EVIL };
    world.gateway = {
      wan: [EVIL],
      lan: [EVIL],
      externalAddress: EVIL,
      servers: [{ name: EVIL, listening: false, message: EVIL }],
      dropped: { [EVIL]: 1 },
      warnings: [EVIL],
    };
    world.visits = world.visits.map((visit) => ({
      ...visit,
      visitor: EVIL,
      forwardName: EVIL,
      device: EVIL,
      entry: EVIL,
    }));
    const counts = { accounts: 1, people: 1, devices: 1, forwards: 1 };
    world.restore = { state: "staged", madeMs: 1, version: EVIL, counts, parts: [EVIL] };
    const routers = [{ family: 4, address: EVIL, interfaceName: EVIL, ownAddress: EVIL }] as const;
    const verdict = { kind: "cgnat", sure: false, sentence: EVIL, evidence: [EVIL], advice: [EVIL] } as const;
    world.router = aRouter({ routers, name: EVIL, page: PAYLOADS[2]!, speaks: EVIL, externalAddress: EVIL, verdict });
    const { relay } = world.settings;
    world.settings = {
      ...world.settings,
      version: EVIL,
      dataDirectory: EVIL,
      configFile: EVIL,
      relay: relay === null ? null : { ...relay, publicHost: EVIL, ports: EVIL },
      console: { ...world.settings.console, hosts: [EVIL] },
    };
    world.users = [world.userOf("u9", EVIL, "user")];
    world.tokens = world.tokens.map((token) => ({ ...token, name: EVIL }));
    world.audit = [{ id: 1, atMs: 0, actor: EVIL, action: EVIL, subject: EVIL, detail: { [EVIL]: EVIL } }];
    return world;
  }

  test(
    "in every field of every page: no script runs, no element comes of it, nothing is wider than the window",
    async () => {
      const server = await ConsoleServer.start(evilWorld());
      await browser.visit(
        server,
        async (visit) => {
          const { page } = visit;
          for (const path of PAGES) {
            await visit.signedIn(path);
            await read(visit);
            await ask(visit, path);
            expect([path, await page.evaluate("document.body.innerText.includes('onerror=')")]).toEqual([path, true]);
            expect(
              await page.locator("body img, body script, [onerror], [onload], a[href^='javascript:']").count(),
            ).toBe(0);
            expect([path, ...(await page.evaluate<string[]>(WIDER))]).toEqual([path]);
          }
          await visit.signedIn("/forwards");
          await page.getByRole("button", { name: "Remove", exact: false }).first().click();
          await page.getByText("Removed").waitFor();
          expect(await page.locator("body img, body script").count()).toBe(0);
        },
        { viewport: { width: 390, height: 844 } },
      );
      await server.stop();
    },
    TIMEOUT_MS,
  );
});
