import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { ConsoleServer } from "../fixtures/console-server.ts";
import { World } from "../fixtures/console-world.ts";

const TIMEOUT_MS = 30_000;
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

/** The page of Port forwarding, of a console of its own. */
async function onForwards(
  use: (page: Visit["page"], server: ConsoleServer, visit: Visit) => Promise<void>,
  world = World.furnished(),
): Promise<void> {
  const server = await ConsoleServer.start(world);
  try {
    await browser.visit(server, async (visit) => {
      await visit.signedIn("/forwards");
      await visit.page.getByLabel("Ports", { exact: true }).waitFor();
      await use(visit.page, server, visit);
    });
  } finally {
    await server.stop();
  }
}

const row = (page: Visit["page"], name: string) => page.getByRole("row").filter({ hasText: name });
const changes = ({ asked }: ConsoleServer) => asked.filter(({ path }) => !path.endsWith("/preview"));

describe("adding a forward", () => {
  test.each([
    ["8840, 8820", ["TCP 8820", "TCP 8840"], "2 ports at relay.example"],
    ["8810-8815", ["TCP 8810 to 8815"], "6 ports at relay.example"],
    ["8000:80, 53/udp", ["UDP 53", "TCP 8000 leads to 80"], "2 ports at relay.example"],
  ] as const)(
    "%s is told in words as it is typed, and saved as it is",
    (text, words, ports) =>
      onForwards(async (page, server) => {
        await page.getByLabel("Ports", { exact: true }).fill(text);
        const meaning = page.getByRole("region", { name: "What this does" });
        await meaning.getByText(ports).waitFor();
        const told = await meaning.getByRole("listitem").allTextContents();
        expect(told.map((line) => line.replaceAll(/\s+/g, " "))).toEqual([...words]);
        await page.getByLabel("Device", { exact: true }).selectOption("garage");
        await page.getByLabel("Name", { exact: true }).fill("My server");
        await page.getByRole("button", { name: "Save" }).click();
        await row(page, "My server").waitFor();
        expect(changes(server)).toEqual([
          {
            method: "POST",
            path: "/v1/forwards",
            body: { device: "d-garage", ports: text, protocol: "tcp", name: "My server" },
          },
        ]);
        // The form is ready for the next.
        expect(await page.getByLabel("Ports", { exact: true }).inputValue()).toBe("");
      }),
    TIMEOUT_MS,
  );

  test(
    "a bad text: its place is marked, the sentence says what to do, and one press mends it",
    () =>
      onForwards(async (page, server) => {
        const field = page.getByLabel("Ports", { exact: true });
        await field.fill("8820, 8815-8810, 9000");
        expect(await page.locator("mark").textContent()).toBe("8815-8810");
        await page.getByText("Write the lower port first.").waitFor();
        await page.getByRole("button", { name: "Save" }).click();
        expect(await field.getAttribute("aria-invalid")).toBe("true");
        expect(changes(server)).toEqual([]);
        await page.getByRole("button", { name: "Write 8810-8815 instead" }).click();
        expect(await field.inputValue()).toBe("8820, 8810-8815, 9000");
        expect(await page.locator("mark").count()).toBe(0);
      }),
    TIMEOUT_MS,
  );

  test(
    "what is being typed still is no error; an empty field is one when it is to be saved",
    () =>
      onForwards(async (page) => {
        const field = page.getByLabel("Ports", { exact: true });
        await field.pressSequentially("8810-");
        await page.getByText("is not a port").waitFor();
        expect(await field.getAttribute("aria-invalid")).toBeNull();
        await field.fill("");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Write the ports, for example 8840 or 8810-8815.").waitFor();
        expect(await field.getAttribute("aria-invalid")).toBe("true");
      }),
    TIMEOUT_MS,
  );

  test(
    "a port of somebody else is told before Save, and by Save at its field",
    () =>
      onForwards(async (page) => {
        await page.getByLabel("Ports", { exact: true }).fill("8999");
        await page.getByRole("region", { name: "What this does" }).getByText("somebody else's").waitFor();
        await page.getByRole("button", { name: "Save" }).click();
        await page.locator(".port-field").getByText("Port 8999 is somebody else's; choose another.").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "a preset fills the field; what is not for strangers is left to a person",
    () =>
      onForwards(async (page, server) => {
        await page.getByLabel("Program or console").pressSequentially("minec");
        await page.getByRole("option", { name: /Minecraft: Java/ }).click();
        expect(await page.getByLabel("Ports", { exact: true }).inputValue()).toBe("25565/tcp");
        expect(await page.getByLabel("Name", { exact: true }).inputValue()).toBe("Minecraft: Java");
        expect(await page.getByLabel(/25575\/tcp \(administration/).isChecked()).toBe(false);
        await page.getByLabel(/25565\/udp \(optional/).check();
        expect(await page.getByLabel("Ports", { exact: true }).inputValue()).toBe("25565/tcp+udp");
        await page.getByRole("button", { name: "Save" }).click();
        await row(page, "Minecraft: Java").waitFor();
        expect(server.world.forwards.at(-1)?.ports).toBe("25565/tcp+udp");
      }),
    TIMEOUT_MS,
  );

  test(
    "a danger is told where it matters",
    () =>
      onForwards(async (page) => {
        await page.getByLabel("Program or console").pressSequentially("remote");
        await page.getByRole("option", { name: /Remote Desktop/ }).click();
        await page.getByText("Strangers try passwords on it within minutes").waitFor();
        await page.getByText("3389 is Remote Desktop: strangers try passwords on it.").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "by the keyboard alone",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("heading", { level: 1 }).focus();
        const { keyboard } = page;
        await keyboard.press("Tab");
        await keyboard.type("8840");
        await keyboard.press("Tab");
        await keyboard.type("minec");
        await page.getByRole("option", { name: /Minecraft: Java/ }).waitFor();
        await keyboard.press("Enter");
        // The focus is in the port field again, with the preset's port in it.
        await keyboard.press("ControlOrMeta+a");
        await keyboard.type("25570");
        // Past the presets to the device, and on to the name.
        for (let field = 0; field < 2; field++) await keyboard.press("Tab");
        await keyboard.type("den");
        for (let field = 0; field < 2; field++) await keyboard.press("Tab");
        await keyboard.press("Enter");
        await row(page, "25570").waitFor();
        expect(server.world.forwards.at(-1)).toMatchObject({ ports: "25570", device: { name: "den" } });
        // Its switch, by the space bar.
        await page.getByRole("switch", { name: "Minecraft: Java is on" }).focus();
        await keyboard.press("Space");
        await row(page, "25570").getByText("Off").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "without a device it says how to get one",
    () => {
      const world = new World();
      world.devices = [];
      return onEmpty(world);
    },
    TIMEOUT_MS,
  );
});

async function onEmpty(world: World): Promise<void> {
  const server = await ConsoleServer.start(world);
  try {
    await browser.visit(server, async (visit) => {
      await visit.signedIn("/forwards");
      await visit.page.getByText("Nothing is open yet").waitFor();
      await visit.page.getByRole("link", { name: "Add a device" }).click();
      await visit.page.getByRole("heading", { level: 1, name: "Devices" }).waitFor();
    });
  } finally {
    await server.stop();
  }
}

describe("a forward that is there", () => {
  test(
    "is turned off and on in its row",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("switch", { name: "Web is on" }).click();
        await row(page, "web.lan").getByText("Off").waitFor();
        await page.getByRole("switch", { name: "Web is on" }).click();
        await row(page, "web.lan").getByText("Open").waitFor();
        expect(changes(server).map(({ path, body }) => [path, body])).toEqual([
          ["/v1/forwards/f1", { enabled: false }],
          ["/v1/forwards/f1", { enabled: true }],
        ]);
      }),
    TIMEOUT_MS,
  );

  test(
    "is edited: only what was changed is sent, and the focus comes back",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("button", { name: "Edit Web" }).click();
        const dialog = page.getByRole("dialog", { name: "Edit Web" });
        await dialog.getByLabel("Ports", { exact: true }).fill("80, 443, 8443");
        await dialog.getByRole("button", { name: "Save" }).click();
        await row(page, "web.lan").getByText("80, 443, 8443").waitFor();
        expect(changes(server).map(({ body }) => body)).toEqual([{ ports: "80, 443, 8443", protocol: "tcp" }]);
        await dialog.waitFor({ state: "detached" });
        await page.waitForFunction('document.activeElement?.getAttribute("aria-label") === "Edit Web"');
      }),
    TIMEOUT_MS,
  );

  test(
    "that somebody else changed meanwhile is not overwritten",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("button", { name: "Edit Web" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByLabel("Ports", { exact: true }).fill("81");
        server.changeForward("f1", { ports: "82" });
        await dialog.getByRole("button", { name: "Save" }).click();
        await dialog.getByRole("button", { name: "Show it as it is now" }).click();
        await page.waitForFunction('document.querySelector("[role=dialog] .port-input input")?.value === "82"');
        expect(server.world.forwards.find(({ id }) => id === "f1")?.ports).toBe("82");
      }),
    TIMEOUT_MS,
  );

  test(
    "is removed: its ports close at once, and undo brings it back as it was",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("button", { name: "Remove Web" }).click();
        await row(page, "web.lan").waitFor({ state: "detached" });
        await page.getByText("Removed Web").waitFor();
        expect(server.world.forwards.find(({ id }) => id === "f1")).toMatchObject({ enabled: false });
        await page.getByRole("button", { name: "Undo" }).click();
        await row(page, "web.lan").getByText("Open").waitFor();
        expect(changes(server).map(({ method, body }) => [method, body])).toEqual([
          ["PATCH", { enabled: false }],
          ["PATCH", { enabled: true }],
        ]);
      }),
    TIMEOUT_MS,
  );

  test(
    "is gone for good when the message is closed",
    () =>
      onForwards(async (page, server) => {
        await page.getByRole("button", { name: "Remove Web" }).click();
        const deleted = page.waitForResponse((response) => response.request().method() === "DELETE");
        await page.getByLabel("Close message").click();
        await deleted;
        expect(server.world.forwards.some(({ id }) => id === "f1")).toBe(false);
      }),
    TIMEOUT_MS,
  );

  test(
    "of a device's own is not changed here",
    () =>
      onForwards(async (page) => {
        await row(page, "Printer").waitFor();
        expect(await page.getByRole("switch", { name: "Printer is on" }).getAttribute("aria-disabled")).toBe("true");
        expect(await page.getByRole("button", { name: "Edit Printer" }).count()).toBe(0);
      }),
    TIMEOUT_MS,
  );

  test.each([
    ["open", "Open", "visitors get in, and the service answers."],
    ["closed", "Closed", "visitors are refused: the forward is off."],
    ["dead-service", "Way open, service dead", "the way is open, and nothing listens behind it."],
  ] as const)(
    "Test now tells %s",
    (state, word, sentence) =>
      onForwards(async (page, server) => {
        server.world.verdicts.set("Web", state);
        await page.getByRole("button", { name: "Test now: Web" }).click();
        const panel = page.getByRole("region", { name: "Test of Web" });
        await panel.getByText(sentence).waitFor();
        await panel.getByText(word, { exact: true }).waitFor();
        const hops = await panel.getByRole("listitem").allTextContents();
        expect(hops.some((hop) => hop.startsWith("fails:"))).toBe(state !== "open");
      }),
    TIMEOUT_MS,
  );

  test(
    "the table sorts and filters",
    () =>
      onForwards(async (page) => {
        const names = () => page.getByRole("table", { name: "Forwards" }).locator("tbody .cell-main").allTextContents();
        await page.getByRole("button", { name: "Name", exact: true }).click();
        expect((await names())[0]).toBe("Camera");
        await page.getByRole("button", { name: "Name", exact: true }).click();
        expect((await names())[0]).toBe("Web");
        await page.getByLabel("Filter by name, port, device").fill("attic");
        await page.getByText("1 of 6 forwards").waitFor();
        expect(await names()).toEqual(["Camera"]);
        await page.getByLabel("Filter by name, port, device").fill("nothing like this");
        await page.getByRole("button", { name: "Show all" }).click();
        expect(await names()).toHaveLength(6);
      }),
    TIMEOUT_MS,
  );
});

describe("what others do is shown without a reload", () => {
  test(
    "a change, a new one, and one that goes",
    () =>
      onForwards(async (page, server) => {
        server.changeForward("f1", { name: "Renamed" });
        await row(page, "Renamed").waitFor();
        server.emit({ event: "forward-gone", id: "f1" });
        await row(page, "Renamed").waitFor({ state: "detached" });
      }),
    TIMEOUT_MS,
  );

  test(
    "a lost connection is told, and what happened meanwhile is read when it is back",
    () =>
      onForwards(async (page, server) => {
        // It comes back by the press, and not by itself meanwhile.
        await page.clock.install();
        await page.clock.pauseAt(Date.now() + 1_000);
        server.down = true;
        server.dropListeners();
        await page.getByText("The connection to the server is lost.").waitFor();
        server.world.forwards = server.world.forwards.map((one) =>
          one.id === "f1" ? { ...one, name: "While away" } : one,
        );
        server.down = false;
        await page.getByRole("button", { name: "Try now" }).click();
        await row(page, "While away").waitFor();
        await page.getByText("The connection to the server is lost.").waitFor({ state: "detached" });
      }),
    TIMEOUT_MS,
  );
});
