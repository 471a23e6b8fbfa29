import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sshCommand } from "../../src/console/ssh/command.ts";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { SSH_HOST } from "../fixtures/console-keys.ts";
import type { ConsoleServer } from "../fixtures/console-server.ts";
import { aDevice, World } from "../fixtures/console-world.ts";
import { PUBLIC_KEYS } from "../fixtures/ssh-keys.ts";

const TIMEOUT_MS = 30_000;
const PRIVATE_KEY =
  "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

function on(
  use: (page: Visit["page"], server: ConsoleServer, visit: Visit) => Promise<void>,
  world = World.furnished(),
  window = {},
): Promise<void> {
  return browser.signedIn(world, "/devices", (visit, server) => use(visit.page, server, visit), window);
}

const card = (page: Visit["page"]) => page.getByRole("region", { name: "Plain ssh" });
const keyRow = (page: Visit["page"], text: string) => card(page).getByRole("row").filter({ hasText: text });

describe("the command that a device is given", () => {
  test.each([
    ["any port", SSH_HOST, null, "ssh -p 2222 -N -R 8080:localhost:80 relay.example"],
    ["the usual port among its own", SSH_HOST, "8000-8099", "ssh -p 2222 -N -R 8080:localhost:80 relay.example"],
    ["the first of its own", SSH_HOST, "53/udp, 9000-9010", "ssh -p 2222 -N -R 9000:localhost:80 relay.example"],
    ["one that the relay chooses", SSH_HOST, "53/udp", "ssh -p 2222 -N -R 0:localhost:80 relay.example"],
    ["ssh's own port", { host: "192.0.2.7", port: 22 }, null, "ssh -N -R 8080:localhost:80 192.0.2.7"],
  ])("%s", (_, server, ports, command) => {
    expect(sshCommand(server, ports)).toBe(command);
  });
});

test(
  "keys are listed with whose they are, what they may open and when they were used",
  () =>
    on(async (page) => {
      await keyRow(page, "ada@laptop").getByText("8000-8099").waitFor();
      await keyRow(page, "ada@laptop").getByText("2 h ago").waitFor();
      await keyRow(page, "ada@den").getByText("all of its account").waitFor();
      await keyRow(page, "ada@den").getByText("never").waitFor();
      await card(page).getByText(SSH_HOST.fingerprint).waitFor();
      await card(page).getByText(SSH_HOST.knownHosts).waitFor();
    }),
  TIMEOUT_MS,
);

test(
  "a key is pasted for a new device, and its command is there to be copied",
  () =>
    on(async (page, server) => {
      await card(page).getByLabel("Public key").fill(`  ${PUBLIC_KEYS.ed25519}\n`);
      await card(page).getByText("ssh-ed25519, ada@ed25519").waitFor();
      await card(page).getByLabel("Name of the new device").fill("tablet");
      await card(page).getByLabel("Ports that ssh may open").fill("9000-9010");
      await card(page).getByRole("button", { name: "Let the key in" }).click();
      const made = page.getByRole("region", { name: "ssh command of tablet" });
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await made.getByRole("button", { name: "Copy the ssh command" }).click();
      await made.getByText("Copied").waitFor();
      expect(await page.evaluate<string>("navigator.clipboard.readText()")).toBe(
        "ssh -p 2222 -N -R 9000:localhost:80 relay.example",
      );
      expect(server.asked.at(-1)).toMatchObject({
        path: "/v1/ssh/keys",
        body: { key: PUBLIC_KEYS.ed25519, device: "tablet", ports: "9000-9010" },
      });
      await keyRow(page, "ada@ed25519").getByText("tablet").waitFor();
      server.emit({ event: "device", device: aDevice("tablet", { managed: null, version: "ssh" }) });
      await made.getByText("tablet is connected").waitFor();
      const row = page.getByRole("table", { name: "Devices" }).getByRole("row").filter({ hasText: "tablet" });
      await row.getByText("not by ssh").waitFor();
      await made.getByRole("button", { name: "Done" }).click();
      await made.waitFor({ state: "detached" });
    }),
  TIMEOUT_MS,
);

test(
  "a device that is there gets one more, and a key that is in use is refused at its field",
  () =>
    on(async (page, server) => {
      const add = async () => {
        await card(page).getByLabel("Public key").fill(PUBLIC_KEYS.ed25519);
        await card(page).getByLabel("Lets in").selectOption({ label: "garage" });
        await card(page).getByRole("button", { name: "Let the key in" }).click();
      };
      await add();
      await keyRow(page, "ada@ed25519").getByText("garage").waitFor();
      expect(server.asked.at(-1)?.body).toEqual({ key: PUBLIC_KEYS.ed25519, device: "d-garage" });
      await add();
      await card(page).getByText('The device "garage" has this key already').waitFor();
    }),
  TIMEOUT_MS,
);

/** What is pasted, what is said of it, and what of it stays. */
const NO_KEYS = [
  ["a private key", PRIVATE_KEY, "This is a private key", ""],
  ["a type that is not known", "ssh-dss AAAAB3NzaC1kc3M= old", "Keys of the type ssh-dss", null],
  ["some text", "my key", "This is no public key", null],
  ["two keys", `${PUBLIC_KEYS.ed25519}\n${PUBLIC_KEYS.rsa}`, "one public key at a time", null],
  ["a weak key", PUBLIC_KEYS.weak, "1024 bits is too short", null],
] as const;

test(
  "what is no public key is refused in a sentence and sent nowhere, and a private one does not stay",
  () =>
    on(async (page, server) => {
      const sent: string[] = [];
      page.on("request", (request) => sent.push(`${request.url()} ${request.postData() ?? ""}`));
      await card(page).getByLabel("Name of the new device").fill("tablet");
      for (const [name, pasted, sentence, left] of NO_KEYS) {
        await card(page).getByLabel("Public key").fill(pasted);
        await card(page).getByRole("alert").getByText(sentence).waitFor();
        expect([name, await card(page).getByLabel("Public key").inputValue()]).toEqual([name, left ?? pasted]);
        expect(await card(page).getByRole("button", { name: "Let the key in" }).isDisabled()).toBe(true);
        // Nor by Enter.
        await card(page).getByLabel("Name of the new device").press("Enter");
      }
      expect([server.asked, sent.filter((one) => one.includes("PRIVATE KEY"))]).toEqual([[], []]);
    }),
  TIMEOUT_MS,
);

test(
  "removing asks once and says what goes with it; Escape changes nothing",
  () =>
    on(async (page, server) => {
      await page.getByRole("button", { name: "Remove the key ada@den" }).click();
      await page.getByRole("alertdialog").getByText("den stays").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("alertdialog").waitFor({ state: "detached" });
      expect(server.asked).toEqual([]);
      await page.getByRole("button", { name: "Remove the key ada@laptop" }).click();
      await page.getByRole("alertdialog").getByText("the device goes with it").waitFor();
      await page.getByRole("button", { name: "Remove key" }).click();
      await keyRow(page, "ada@laptop").waitFor({ state: "detached" });
      expect(server.world.sshKeys.map(({ comment }) => comment)).toEqual(["ada@den"]);
      expect(server.asked.map(({ method }) => method)).toEqual(["DELETE"]);
    }),
  TIMEOUT_MS,
);

test(
  "without [ssh] a sentence says how to turn it on, and to others whom to ask",
  async () => {
    await on(async (page) => {
      await card(page).getByText("add [ssh] to its hatchway.toml").waitFor();
      expect(await card(page).getByLabel("Public key").count()).toBe(0);
    }, new World());
    const world = new World();
    world.me = { ...world.me, role: "user" };
    await on(async (page) => void (await card(page).getByText("ask an administrator").waitFor()), world);
  },
  TIMEOUT_MS,
);

test(
  "a viewer looks, and changes nothing",
  () => {
    const world = World.furnished();
    world.me = { ...world.me, role: "viewer" };
    return on(async (page) => {
      await keyRow(page, "ada@laptop").waitFor();
      expect(await card(page).getByLabel("Public key").count()).toBe(0);
      expect(
        await card(page)
          .getByRole("button", { name: /^Remove/ })
          .count(),
      ).toBe(0);
    }, world);
  },
  TIMEOUT_MS,
);

test(
  "who makes a join command sees by what ssh would know the relay",
  () =>
    on(async (page) => {
      await page.getByLabel("Name of the device", { exact: true }).fill("cellar");
      await page.getByRole("button", { name: "Make a join command" }).click();
      const made = page.getByRole("region", { name: "Join command of cellar" });
      await made.getByText(SSH_HOST.fingerprint).waitFor();
      await made.getByText(SSH_HOST.knownHosts).waitFor();
    }),
  TIMEOUT_MS,
);

test.each([
  ["phone", { ...PHONE, colorScheme: "light" }],
  ["wide", { colorScheme: "dark" }],
] as const)(
  "its picture is kept: %s",
  (kind, window) =>
    on(
      async (page, _, visit) => {
        await card(page).getByLabel("Public key").fill(PUBLIC_KEYS.ed25519);
        await card(page).getByLabel("Name of the new device").fill("tablet");
        await card(page).getByRole("button", { name: "Let the key in" }).click();
        await page.getByRole("region", { name: "ssh command of tablet" }).waitFor();
        await card(page).getByLabel("Public key").fill(PRIVATE_KEY);
        await visit.screen(`ssh-${kind}`);
        expect(await page.evaluate<number>("(scrollTo(9999, 0), scrollX)")).toBe(0);
      },
      World.furnished(),
      window,
    ),
  TIMEOUT_MS,
);
