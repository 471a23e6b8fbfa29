import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import jsQR from "jsqr";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import type { ConsoleServer } from "../fixtures/console-server.ts";
import { aDevice, World } from "../fixtures/console-world.ts";

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
      }),
    TIMEOUT_MS,
  );

  test(
    "nothing passed yet",
    () => on("/traffic", async (page) => void (await page.getByText("Nothing passed").waitFor()), new World()),
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
        expect(titles).toHaveLength(8);
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
