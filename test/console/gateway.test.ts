import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { anAppForward, aTrigger, bothWorld, gatewayWorld } from "../fixtures/console-gateway.ts";
import type { ConsoleServer } from "../fixtures/console-server.ts";
import { World } from "../fixtures/console-world.ts";

const TIMEOUT_MS = 30_000;
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

function on(
  path: string,
  use: (page: Visit["page"], server: ConsoleServer) => Promise<void>,
  world = gatewayWorld(),
): Promise<void> {
  return browser.signedIn(world, path, ({ page }, server) => use(page, server));
}

const row = (page: Visit["page"], name: string) => page.getByRole("row").filter({ hasText: name });

describe("what the server is decides what is shown", () => {
  test.each([
    ["a relay", () => World.furnished(), { appPorts: 0, join: 1, peers: 0, gateway: 0, relay: 1 }],
    ["a gateway", gatewayWorld, { appPorts: 1, join: 0, peers: 1, gateway: 1, relay: 0 }],
    ["both", bothWorld, { appPorts: 1, join: 1, peers: 1, gateway: 1, relay: 1 }],
  ] as const)(
    "%s",
    (_what, world, wanted) =>
      on(
        "/",
        async (page) => {
          await page.getByRole("region", { name: "Health" }).waitFor();
          const gateway = await page.getByRole("region", { name: "This gateway" }).count();
          const relay = await page.getByRole("region", { name: "This relay" }).count();
          const appPorts = await page.getByRole("link", { name: "App-opened ports" }).count();
          await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Devices" }).click();
          await page.getByRole("table").first().waitFor();
          await page.getByText("Reading the VPN").waitFor({ state: "detached" });
          const join = await page.getByRole("region", { name: "Add a device" }).count();
          const peers = await page.getByRole("table", { name: "VPN peers" }).count();
          expect({ appPorts, join, peers, gateway, relay }).toEqual(wanted);
        },
        world(),
      ),
    TIMEOUT_MS,
  );

  test(
    "live connections are listed one by one, with a dash for what the kernel does not tell, and cut",
    () =>
      on("/live", async (page, server) => {
        const known = row(page, "198.51.100.23:40122");
        await known.getByText("51 kB in").waitFor();
        await known.getByText("phone").waitFor();
        await known.getByRole("cell", { name: "Switzerland" }).waitFor();
        const unknown = row(page, "[2001:db8:4:7::23]:51001");
        expect(await unknown.getByTitle("The kernel does not tell").allInnerTexts()).toEqual(["–", "–"]);
        await page.getByRole("button", { name: "Cut 198.51.100.23:40122" }).click();
        await known.waitFor({ state: "detached" });
        expect(server.world.visits.map(({ id }) => id)).toEqual(["k1"]);
      }),
    TIMEOUT_MS,
  );

  test(
    "the overview says what keeps a gateway from working",
    () =>
      on("/", async (page) => {
        const card = page.getByRole("region", { name: "This gateway" });
        await card.getByText("203.0.113.80").waitFor();
        await card.getByText("Docker's table drops forwarded packets").waitFor();
        await card.getByText("Port 1900 is taken by miniupnpd").waitFor();
        await card.getByText("48,112 not forwarded · 320 rate limit").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "a relay has no page of what apps opened, and asks for no peers",
    () =>
      on(
        "/app-ports",
        async (page) => void (await page.getByRole("heading", { name: "No such page" }).waitFor()),
        World.furnished(),
      ),
    TIMEOUT_MS,
  );
});

describe("app-opened ports", () => {
  test(
    "they come and go as the server says, and say who asked how; the lease ticks without moving anything",
    () =>
      on("/app-ports", async (page, server) => {
        const teredo = row(page, "Teredo");
        for (const text of ["asked by UPnP", "xbox.lan", "192.168.1.30", "3074/udp"]) {
          await teredo.getByText(text).waitFor();
        }
        await row(page, "libtorrent").getByText("never by itself").waitFor();
        await row(page, "libtorrent").getByText("asked by PCP").waitFor();
        const countdown = row(page, "Transmission").locator("time");
        const before = [await countdown.textContent(), await countdown.boundingBox()] as const;
        await countdown.filter({ hasNotText: before[0] ?? "" }).waitFor();
        expect(await countdown.boundingBox()).toEqual(before[1]);
        server.emit({ event: "forward", forward: anAppForward("u9", "Halo", "igd", { ports: "3075/udp" }) });
        await row(page, "Halo").waitFor();
        server.emit({ event: "forward-gone", id: "u9" });
        await row(page, "Halo").waitFor({ state: "detached" });
      }),
    TIMEOUT_MS,
  );

  test(
    "a screen reader hears that some came, once it is calm, and no seconds",
    () =>
      on("/app-ports", async (page, server) => {
        const said = page.getByRole("main").getByRole("status").filter({ hasText: "by programs" });
        await said.getByText("3 ports opened by programs on 2 devices.").waitFor();
        await page.evaluate(`(() => {
          globalThis.heard = [];
          new MutationObserver(() => heard.push(document.querySelector("p.visually-hidden[role=status]").textContent))
            .observe(document.querySelector("p.visually-hidden[role=status]"), { characterData: true, childList: true, subtree: true });
        })()`);
        for (const id of ["a", "b", "c"]) {
          server.emit({ event: "forward", forward: anAppForward(id, `Game ${id}`, "natpmp") });
        }
        await said.getByText("6 ports opened by programs on 2 devices.").waitFor();
        expect(await page.evaluate<string[]>("heard")).toEqual(["6 ports opened by programs on 2 devices."]);
      }),
    TIMEOUT_MS,
  );

  test(
    "closing one asks once, by keyboard too, and one that went meanwhile is no fault",
    () =>
      on("/app-ports", async (page, server) => {
        await page.getByRole("button", { name: "Close 3074/udp of Teredo" }).focus();
        await page.keyboard.press("Enter");
        await page.getByRole("alertdialog").waitFor();
        await page.keyboard.press("Enter");
        await page.getByRole("alertdialog").waitFor({ state: "detached" });
        expect(server.asked).toEqual([]);
        await page.keyboard.press("Enter");
        await page.getByRole("alertdialog").getByText("may ask again").waitFor();
        server.world.forwards = server.world.forwards.filter(({ id }) => id !== "u1");
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        await page.getByText("Closed 3074/udp").waitFor();
        await row(page, "Teredo").waitFor({ state: "detached" });
        expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual(["DELETE /v1/forwards/u1"]);
      }),
    TIMEOUT_MS,
  );

  test(
    "it says when no program can ask, and what stands here while none did",
    () =>
      on(
        "/app-ports",
        async (page) => {
          await page.getByText("No program can ask by UPnP-IGD: Port 1900 is taken").waitFor();
          await page.getByText("No program has asked for a port").waitFor();
        },
        Object.assign(gatewayWorld(), { forwards: [] }),
      ),
    TIMEOUT_MS,
  );

  test(
    "whoever only looks closes nothing",
    () => {
      const world = gatewayWorld();
      world.me = { ...world.me, role: "viewer" };
      return on(
        "/app-ports",
        async (page) => {
          await row(page, "Teredo").waitFor();
          expect(await page.getByRole("button", { name: /^Close/ }).count()).toBe(0);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "the forwards of people stand apart, with a link to these",
    () =>
      on("/forwards", async (page) => {
        await row(page, "Torrent").waitFor();
        expect(await row(page, "Teredo").count()).toBe(0);
        await page.getByText("3 more were opened by apps").waitFor();
        await page.getByRole("main").getByRole("link", { name: "App-opened ports" }).click();
        await row(page, "Teredo").waitFor();
      }),
    TIMEOUT_MS,
  );
});

describe("forwards of a gateway", () => {
  const form = (page: Visit["page"]) => page.getByRole("form", { name: "New forward" });

  test(
    "lead to a VPN peer, or to a machine of the LAN by its address; fields of a relay are not offered",
    () =>
      on("/forwards", async (page, server) => {
        await form(page).getByLabel("Leads to").selectOption({ label: "phone" });
        await form(page).getByLabel("Ports", { exact: true }).fill("8840");
        await form(page).getByText("phone in the VPN, 10.77.0.2").waitFor();
        await form(page)
          .getByRole("button", { name: /^More:/ })
          .click();
        await form(page).getByLabel("Only from").waitFor();
        for (const label of ["Leads to host", "Connections at once", "Bandwidth", "PROXY protocol", "Look after"]) {
          expect([label, await form(page).getByLabel(label).count()]).toEqual([label, 0]);
        }
        await form(page).getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved phone 8840").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ device: "p-phone", ports: "8840", protocol: "tcp" });
        await form(page).getByLabel("Leads to").selectOption({ label: "A machine of the LAN …" });
        await form(page).getByLabel("Ports", { exact: true }).fill("554");
        await form(page).getByRole("button", { name: "Save" }).click();
        await form(page).getByText("Write the machine's address, for example 192.168.1.20.").waitFor();
        await form(page).getByLabel("Its address or name").fill("192.168.1.77");
        await form(page).getByRole("button", { name: "Save" }).click();
        await row(page, "192.168.1.77").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ device: "192.168.1.77", ports: "554", protocol: "tcp" });
      }),
    TIMEOUT_MS,
  );

  test(
    "a peer that is turned off is told of",
    () =>
      on("/forwards", async (page) => {
        await form(page).getByLabel("Leads to").selectOption({ label: "guest laptop (disabled)" });
        await form(page).getByText("guest laptop is turned off").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "beside a relay, what a relay does is offered for its devices, and does not go along to a peer",
    () =>
      on(
        "/forwards",
        async (page, server) => {
          await form(page).getByLabel("Ports", { exact: true }).fill("8840");
          await form(page)
            .getByRole("button", { name: /^More:/ })
            .click();
          await form(page).getByLabel("Bandwidth").fill("1 MB/s");
          await form(page).getByLabel("Leads to", { exact: true }).selectOption({ label: "phone" });
          await form(page).getByRole("button", { name: "Save" }).click();
          await page.getByText("Saved phone 8840").waitFor();
          expect(server.asked.at(-1)?.body).toEqual({ device: "p-phone", ports: "8840", protocol: "tcp" });
        },
        bothWorld(),
      ),
    TIMEOUT_MS,
  );

  test(
    "what a command made is removed after a question, as it cannot be undone",
    () => {
      const world = gatewayWorld();
      world.forwards = world.forwards.map((one) =>
        one.id === "f2" ? { ...one, editable: false, origin: "cli" } : one,
      );
      return on(
        "/forwards",
        async (page, server) => {
          await page.getByRole("button", { name: "Remove Camera" }).click();
          await page.getByRole("button", { name: "Remove forward" }).click();
          await row(page, "Camera").waitFor({ state: "detached" });
          expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual(["DELETE /v1/forwards/f2"]);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "whoever is no administrator opens ports of peers alone, and sees no triggers",
    () => {
      const world = gatewayWorld();
      world.me = { ...world.me, role: "user" };
      return on(
        "/forwards",
        async (page) => {
          await row(page, "Torrent").waitFor();
          expect(await form(page).getByLabel("Leads to").locator("option").allTextContents()).toEqual([
            "phone",
            "nas",
            "guest laptop (disabled)",
          ]);
          expect(await page.getByRole("region", { name: "Port triggering" }).count()).toBe(0);
        },
        world,
      );
    },
    TIMEOUT_MS,
  );
});

describe("port triggers", () => {
  const section = (page: Visit["page"]) => page.getByRole("region", { name: "Port triggering" });

  test(
    "are armed, open to whom until when, and close, as the server says",
    () =>
      on("/forwards", async (page, server) => {
        await row(page, "irc").getByText("to 192.168.1.40").waitFor();
        await row(page, "irc")
          .getByText(/^closes in 1:[0-2]\d$/)
          .waitFor();
        await row(page, "quake").getByText("Armed").waitFor();
        await row(page, "quake").getByText("hatchway.toml").waitFor();
        server.emit({ event: "trigger", trigger: aTrigger("irc") });
        await row(page, "irc").getByText("Armed").waitFor();
        expect(await row(page, "irc").locator("time").count()).toBe(0);
      }),
    TIMEOUT_MS,
  );

  test(
    "one is added by keyboard alone, and removed after a question",
    () =>
      on("/forwards", async (page, server) => {
        const { keyboard } = page;
        await page.getByLabel("Name of the trigger").focus();
        for (const text of ["dcc", "6667, 6697", "1024-1030"]) {
          await keyboard.type(text);
          await keyboard.press("Tab");
        }
        await keyboard.press("ControlOrMeta+a");
        await keyboard.type("120");
        await page.getByText("2 minutes").waitFor();
        await keyboard.press("Tab");
        await keyboard.press("ArrowDown");
        await keyboard.press("Tab");
        await keyboard.press("Enter");
        await row(page, "dcc").getByText("Armed").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({
          name: "dcc",
          out: "6667, 6697",
          in: "1024-1030",
          timeoutSec: 120,
          secondHost: "refused",
        });
        await page.getByRole("button", { name: "Remove the trigger dcc" }).click();
        await page.getByRole("button", { name: "Remove trigger", exact: true }).click();
        await row(page, "dcc").waitFor({ state: "detached" });
      }),
    TIMEOUT_MS,
  );

  test(
    "with none, it says what they are",
    () =>
      on(
        "/forwards",
        async (page) => {
          await section(page).getByText("then they open to that client alone").waitFor();
          await page.getByLabel("Name of the trigger").fill("x");
          await page.getByRole("button", { name: "Add trigger" }).click();
          await page.getByText("Write the ports, for example 8840 or 8810-8815.").first().waitFor();
        },
        Object.assign(gatewayWorld(), { triggers: [] }),
      ),
    TIMEOUT_MS,
  );
});
