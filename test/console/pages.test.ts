import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import jsQR from "jsqr";
import { repainted, TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import type { ConsoleServer } from "../fixtures/console-server.ts";
import { aDevice, aRouter, World } from "../fixtures/console-world.ts";

const TIMEOUT_MS = 30_000;
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

async function on(
  path: string,
  use: (page: Visit["page"], server: ConsoleServer) => Promise<void>,
  world = World.furnished(),
): Promise<void> {
  await browser.signedIn(world, path, ({ page }, server) => use(page, server));
}

const row = (page: Visit["page"], name: string) => page.getByRole("row").filter({ hasText: name });

describe("devices", () => {
  test(
    "a join command is made to be copied, and the device is seen to join",
    () =>
      on("/devices", async (page, server) => {
        await page.getByLabel("Name of the device").fill("cellar");
        await page.getByLabel("Ports that it may open").fill("9000-9010");
        await page.getByRole("button", { name: "Make a join command" }).click();
        const made = page.getByRole("region", { name: "Join command of cellar" });
        await made.getByText("hatchway agent --join HW-cellar --managed").waitFor();
        await made.getByText("With --managed the agent takes forwards that are made here.").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ name: "cellar", ports: "9000-9010", lifetimeSec: 3_600 });
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await made.getByRole("button", { name: "Copy the join command" }).click();
        await made.getByText("Copied").waitFor();
        expect(await page.evaluate("navigator.clipboard.readText()")).toBe("hatchway agent --join HW-cellar --managed");
        await made.getByText("Waiting for cellar to join.").waitFor();
        server.emit({ event: "device", device: aDevice("cellar") });
        await made.getByText("cellar has joined").waitFor();
        await row(page, "cellar").getByText("Connected").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "removing one asks once, and Escape changes nothing",
    () =>
      on("/devices", async (page, server) => {
        await page.getByRole("button", { name: "Remove attic" }).click();
        await page.getByRole("alertdialog").waitFor();
        await page.keyboard.press("Escape");
        await page.getByRole("alertdialog").waitFor({ state: "detached" });
        expect(server.asked).toEqual([]);
        await page.getByRole("button", { name: "Remove attic" }).click();
        await page.getByRole("button", { name: "Remove device" }).click();
        await row(page, "attic").waitFor({ state: "detached" });
        expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual(["DELETE /v1/devices/d-attic"]);
      }),
    TIMEOUT_MS,
  );
});

describe("live connections", () => {
  test(
    "one is cut, the others stay",
    () =>
      on("/live", async (page, server) => {
        await row(page, "203.0.113.11:41122").waitFor();
        expect(await page.getByRole("columnheader", { name: "Country" }).count()).toBe(0);
        await page.getByRole("button", { name: "Cut 203.0.113.11:41122" }).click();
        await row(page, "203.0.113.11:41122").waitFor({ state: "detached" });
        expect(server.world.visits.map(({ id }) => id)).toEqual(["v0", "v2", "v3"]);
        await row(page, "203.0.113.12:42122").waitFor();
      }),
    TIMEOUT_MS,
  );
});

describe("traffic", () => {
  test(
    "what all carried, what one did alone, and another period",
    () =>
      on("/traffic", async (page, { world }) => {
        const all = world.forwards.length;
        await page.getByText(`${(17 * 45 * all).toLocaleString("en")} visitors`).waitFor();
        expect(await page.locator(".plot-out").count()).toBe(48);
        await page.getByRole("button", { name: "Show alone: Web" }).click();
        await page
          .getByRole("region", { name: "Web on den" })
          .getByText("54 MB in, 1.5 GB out, 765 visitors")
          .waitFor();
        await page.getByRole("button", { name: "1 year" }).click();
        await page.getByRole("img", { name: "Traffic by the day: 54 MB in" }).waitFor();
        expect(await page.locator(".plot-out").count()).toBe(365);
        await page.getByRole("button", { name: "Show all" }).click();
        await page.getByRole("region", { name: "All forwards" }).waitFor();
        await page.getByLabel("Device").selectOption("attic");
        const ofAttic = world.forwards.filter(({ device }) => device.name === "attic").length;
        await page
          .getByRole("region", { name: "All forwards of attic" })
          .getByText(`${(17 * 45 * ofAttic).toLocaleString("en")} visitors`)
          .waitFor();
        expect(await page.getByRole("row").filter({ hasText: "Show alone" }).count()).toBe(ofAttic);
      }),
    TIMEOUT_MS,
  );

  test(
    "nothing passed yet",
    () => on("/traffic", async (page) => void (await page.getByText("Nothing passed").waitFor()), new World()),
    TIMEOUT_MS,
  );
});

describe("checks", () => {
  test(
    "one forward is tested, then all that are on; the hop that fails is told",
    () => {
      const world = World.furnished();
      world.verdicts.set("Remote Desktop", "dead-service");
      return on(
        "/checks",
        async (page, server) => {
          await page.getByLabel("Forward to test").selectOption({ label: "Web on den (80, 443)" });
          await page.getByRole("button", { name: "Test", exact: true }).click();
          await page.getByRole("region", { name: "Test of Web" }).getByText("visitors get in").waitFor();
          await page.getByRole("button", { name: "Test all" }).click();
          await page
            .getByRole("region", { name: "Test of Remote Desktop" })
            .getByText("127.0.0.1 refuses the connection.")
            .waitFor();
          await page.getByText("Way open, service dead").first().waitFor();
          await page.getByRole("button", { name: "Test all" }).waitFor();
          // What is off is not tested.
          expect(server.asked.filter(({ path }) => path.includes("/f4/"))).toEqual([]);
          expect(new Set(server.asked.map(({ path }) => path)).size).toBe(5);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "the way to a service is measured, by keyboard: median, p90 and losses",
    () =>
      on("/checks", async (page) => {
        await page.getByLabel("Forward to measure").selectOption({ label: "Web on den (80, 443)" });
        await page.getByLabel("For", { exact: true }).selectOption("10 seconds");
        await page.getByRole("button", { name: "Measure" }).focus();
        await page.keyboard.press("Enter");
        const result = page.getByRole("region", { name: "Measurement of Web" });
        await result.getByText("was measured.").waitFor();
        await result.getByText("1 of 10 samples lost").waitFor();
        await result.getByText("Lost: connection refused.").waitFor();
        expect(await result.locator(".plot-lost").count()).toBe(1);
        await page.getByLabel("Forward to measure").selectOption({ label: "Camera on attic (554/tcp)" });
        await page.getByRole("button", { name: "Measure" }).click();
        await page.getByRole("region", { name: "Measurement of Camera" }).getByText("Lost: device away.").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "the server's router is asked, by keyboard: what it is, the verdict, and what to do",
    () => {
      const world = World.furnished();
      return on(
        "/checks",
        async (page, server) => {
          const card = page.getByRole("region", { name: "This server's router" });
          const answer = Promise.withResolvers<void>();
          await page.route("**/v1/router", async (route) => {
            await answer.promise;
            await route.continue();
          });
          await card.getByRole("button", { name: "Look" }).focus();
          await page.keyboard.press("Enter");
          await card.getByRole("status").getByText("Asking the router").waitFor();
          await page.keyboard.press("Enter");
          answer.resolve();
          await card.getByRole("status").getByText("no port opened on this router is reached.").waitFor();
          const found = card.getByRole("region", { name: "What the router says" });
          for (const said of [
            "Acme Home Box 7000 at 192.168.1.1",
            "PCP; not UPnP",
            "1 d 1 h",
            "100.64.0.2: providers",
          ]) {
            await found.getByText(said).waitFor();
          }
          expect(await found.getByRole("listitem").last().textContent()).toStartWith("Or ask the provider");
          expect(await found.getByText("Nobody outside was asked").count()).toBe(0);
          // Where its page is, is the router's word: nothing to click.
          expect(await card.getByRole("link").count()).toBe(0);
          expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual(["POST /v1/router"]);

          const { verdict } = aRouter();
          world.router = aRouter({ verdict: { ...verdict, kind: "open-internet", sure: false } });
          await page.keyboard.press("Enter");
          await found.getByText("hatchway router --stun HOST").waitFor();

          world.router = null;
          await page.keyboard.press("Enter");
          await card.getByRole("alert").getByText("was not through").waitFor();
          expect(await found.count()).toBe(0);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "no router at all, and whoever is no administrator does not ask",
    async () => {
      const world = new World();
      const { verdict } = aRouter();
      const none = { routers: [], protocols: [], name: null, page: null, externalAddress: null, uptimeSec: null };
      world.router = aRouter({ ...none, verdict: { ...verdict, kind: "no-network", evidence: [] } });
      await on(
        "/checks",
        async (page) => {
          await page.getByRole("button", { name: "Look" }).click();
          const found = page.getByRole("region", { name: "What the router says" });
          await found.getByText("none").waitFor();
          expect(await found.getByText("Evidence").count()).toBe(0);
        },
        world,
      );
      const other = World.furnished();
      other.me = { ...other.me, role: "user" };
      await on(
        "/checks",
        async (page) => {
          await page.getByRole("button", { name: "Measure" }).waitFor();
          expect(await page.getByText("This server's router").count()).toBe(0);
        },
        other,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "nothing to check, and a viewer who may not",
    async () => {
      await on(
        "/checks",
        async (page) => void (await page.getByText("There is no forward to check").waitFor()),
        new World(),
      );
      const world = World.furnished();
      world.me = { ...world.me, role: "viewer" };
      await on("/checks", async (page) => void (await page.getByText("A viewer can only look").waitFor()), world);
    },
    TIMEOUT_MS,
  );
});

describe("settings", () => {
  test(
    "what is set is shown; a reload is told in words, and a mistake by its line",
    () =>
      on("/settings", async (page, server) => {
        const inForce = page.getByRole("region", { name: "Settings in force" });
        await inForce.getByText("/etc/hatchway/hatchway.toml").waitFor();
        await page.getByRole("region", { name: "About and updates" }).getByText("Hatchway 0.1.0").waitFor();
        await inForce.getByRole("button", { name: "Reload the config" }).click();
        await inForce.getByText("Changed: relay.ports.").waitFor();
        await inForce.getByText("Counts after a restart: console.").waitFor();
        server.world.configProblem = 'hatchway.toml:3:1: "prots" is no key: did you mean "ports"?';
        await inForce.getByRole("button", { name: "Reload the config" }).click();
        await inForce.getByText("did you mean").waitFor();
        expect(server.asked.map(({ path }) => path)).toEqual(["/v1/reload", "/v1/reload"]);
      }),
    TIMEOUT_MS,
  );

  test(
    "a backup is saved when the passphrase is long enough, and the same twice",
    () =>
      on("/settings", async (page, server) => {
        const card = page.getByRole("region", { name: "Backup", exact: true });
        const press = () => card.getByRole("button", { name: "Download a backup" }).click();
        await card.getByLabel("Passphrase of the backup").fill("too short");
        await press();
        await card.getByText("Take 12 characters at least.").waitFor();
        await card.getByLabel("Passphrase of the backup").fill("correct horse battery");
        await press();
        await card.getByText("This is another one").waitFor();
        expect(server.asked).toEqual([]);
        await card.getByLabel("The same again").fill("correct horse battery");
        const [download] = await Promise.all([page.waitForEvent("download"), press()]);
        expect(download.suggestedFilename()).toMatch(/^hatchway-\d{4}-\d\d-\d\d\.backup$/);
        await card.getByText("Saved as hatchway-").waitFor();
        expect(server.asked).toMatchObject([{ path: "/v1/backup", body: { passphrase: "correct horse battery" } }]);
        expect(await card.getByLabel("The same again").inputValue()).toBe("");
      }),
    TIMEOUT_MS,
  );

  test(
    "a backup is checked, staged after a question, told what to do, and discarded",
    () =>
      on("/settings", async (page, server) => {
        const card = page.getByRole("region", { name: "Restore", exact: true });
        const press = () => card.getByRole("button", { name: "Check the backup" }).click();
        await press();
        await card.getByText("Choose a file.").waitFor();
        const file = { name: "a.backup", mimeType: "application/octet-stream", buffer: Buffer.from("sealed") };
        await card.getByLabel("Backup file").setInputFiles(file);
        await card.getByLabel("Its passphrase").fill("a wrong one");
        await press();
        await card.getByText("The passphrase is wrong").waitFor();
        await card.getByLabel("Its passphrase").fill("of the bäckup file");
        await press();
        await card.getByText("2 people, 3 devices, 6 forwards").waitFor();
        await card.getByRole("button", { name: "Restore at the next start" }).click();
        await page.getByRole("alertdialog").getByRole("button", { name: "Restore at the next start" }).click();
        await card.getByText("systemctl restart hatchway-relay").waitFor();
        expect(server.world.restore?.state).toBe("staged");
        await card.getByRole("button", { name: "Discard" }).click();
        await card.getByLabel("Backup file").waitFor();
        expect(server.asked.at(-1)).toMatchObject({ method: "DELETE", path: "/v1/restore" });
      }),
    TIMEOUT_MS,
  );

  test(
    "are for administrators",
    () => {
      const world = World.furnished();
      world.me = { ...world.me, role: "user" };
      return on(
        "/settings",
        async (page) => {
          await page.getByRole("heading", { level: 1, name: "No such page" }).waitFor();
          expect(await page.getByRole("link", { name: "Settings" }).count()).toBe(0);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );
});

describe("people and tokens", () => {
  test(
    "a token's secret is shown once; it is removed after a question",
    () =>
      on("/people", async (page, server) => {
        await page.getByLabel("Name of the token").fill("deploy");
        await page.getByLabel("It may").selectOption("forwards");
        await page.getByRole("button", { name: "Make a token" }).click();
        await page.getByText("hwt_shown-once").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({
          name: "deploy",
          scopes: ["read", "forwards"],
          lifetimeSec: 2_592_000,
        });
        await page.getByRole("button", { name: "Remove the token deploy" }).click();
        await page.getByRole("button", { name: "Remove token", exact: true }).click();
        await row(page, "deploy").waitFor({ state: "detached" });
      }),
    TIMEOUT_MS,
  );

  test(
    "an invitation's link is made; a person is shut out",
    () =>
      on("/people", async (page, server) => {
        await page.getByRole("button", { name: "Make a link" }).click();
        await page.getByText("/invite#invited").waitFor();
        await page.getByRole("switch", { name: "grace may sign in" }).click();
        await page.waitForFunction(
          'document.querySelector("[aria-label=\\"grace may sign in\\"]").getAttribute("aria-checked") === "false"',
        );
        expect(server.world.users.find(({ name }) => name === "grace")?.disabled).toBe(true);
      }),
    TIMEOUT_MS,
  );

  test(
    "who is no administrator sees their tokens alone, and no audit log; a viewer has nothing to change",
    () => {
      const world = World.furnished();
      world.me = { ...world.me, role: "viewer" };
      return on(
        "/people",
        async (page) => {
          await page.getByRole("heading", { level: 1, name: "Tokens" }).waitFor();
          expect(await page.getByText("Invite somebody").count()).toBe(0);
          expect(await page.getByRole("link", { name: "Audit" }).count()).toBe(0);
          await page.getByRole("link", { name: "Port forwarding" }).click();
          await row(page, "web.lan").waitFor();
          expect(await page.getByRole("button", { name: "Save" }).count()).toBe(0);
          expect(await page.getByRole("button", { name: "Remove Web" }).count()).toBe(0);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );
});

describe("account", () => {
  test(
    "one-time codes: the picture is the app's address, and the code turns them on",
    () =>
      on("/account", async (page, server) => {
        await page.getByRole("button", { name: "Set up" }).click();
        const qr = page.getByRole("img", { name: "QR code for the authenticator app" });
        expect(await readQr(page, await qr.screenshot())).toBe(
          "otpauth://totp/Hatchway:ada?secret=JBSWY3DPEHPK3PXP&issuer=Hatchway",
        );
        await page.getByLabel("Code that the app shows").fill("123456");
        await page.getByRole("button", { name: "Turn on" }).click();
        await page.getByLabel("Your password, to turn them off").waitFor();
        expect(server.world.me.hasTotp).toBe(true);
      }),
    TIMEOUT_MS,
  );

  test(
    "the password is changed by the old one",
    () =>
      on("/account", async (page, server) => {
        await page.getByLabel("Current password").fill("wrong");
        await page.getByLabel("New password").fill("another long one");
        await page.getByRole("button", { name: "Change password" }).click();
        await page.getByText("This is not your password.").waitFor();
        await page.getByLabel("Current password").fill("correct horse battery");
        await page.getByRole("button", { name: "Change password" }).click();
        await page.getByText("The password is changed").waitFor();
        expect(server.world.password).toBe("another long one");
      }),
    TIMEOUT_MS,
  );
});

describe("the frame", () => {
  test(
    "the colours that are chosen stay chosen",
    () =>
      on("/", async (page) => {
        const background = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
        const light = await background();
        await page.getByRole("button", { name: "Dark" }).click();
        await repainted(page);
        expect(await background()).not.toBe(light);
        const dark = await background();
        await page.reload();
        await page.getByRole("heading", { level: 1 }).waitFor();
        expect(await background()).toBe(dark);
      }),
    TIMEOUT_MS,
  );

  test(
    "every link leads to a page, and the heading of each takes the focus",
    () =>
      on("/account", async (page) => {
        const titles = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents();
        expect(titles).toHaveLength(10);
        for (const title of titles) {
          await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: title }).click();
          await page.getByRole("heading", { level: 1, name: title }).waitFor();
          expect(await page.evaluate("document.activeElement.tagName")).toBe("H1");
        }
        await page.goBack();
        await page.getByRole("heading", { level: 1, name: titles.at(-2) ?? "" }).waitFor();
      }),
    TIMEOUT_MS,
  );
});

/** The picture's pixels, by the browser itself. */
async function readQr(page: Visit["page"], png: Buffer): Promise<string | null> {
  const pixels = await page.evaluate<{ width: number; height: number; data: number[] }>(`(async () => {
    const image = new Image();
    image.src = "data:image/png;base64,${png.toString("base64")}";
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    return { width: image.width, height: image.height, data: [...data] };
  })()`);
  return jsQR(Uint8ClampedArray.from(pixels.data), pixels.width, pixels.height)?.data ?? null;
}
