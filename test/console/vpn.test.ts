import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { publicKeyOf } from "../../src/os/wireguard-key.ts";
import { type ClientConfig, decodeClientConfig } from "../../src/wire/wireguard/client-config.ts";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { bothWorld, gatewayWorld, VPN_SERVER } from "../fixtures/console-gateway.ts";
import type { ConsoleServer } from "../fixtures/console-server.ts";
import { readQr } from "../fixtures/read-qr.ts";

const TIMEOUT_MS = 30_000;
let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.launch();
});
afterAll(() => browser.close());

function on(use: (visit: Visit, server: ConsoleServer) => Promise<void>, world = gatewayWorld()): Promise<void> {
  return browser.signedIn(world, "/devices", use);
}

const row = (page: Visit["page"], name: string) => page.getByRole("row").filter({ hasText: name });
const file = (page: Visit["page"], name: string) => page.getByRole("region", { name: `File of ${name}` });

function decoded(text: string | null): ClientConfig {
  const config = decodeClientConfig(text ?? "");
  if (!config.ok) throw new Error(config.error.message);
  return config.value;
}

interface Sent {
  readonly publicKey: string;
  readonly presharedKey: string | null;
}

/** Its keys are those that the gateway got, and the private one went nowhere. */
function expectFits(config: ClientConfig, server: ConsoleServer): void {
  const { publicKey, presharedKey } = server.asked.at(-1)!.body as Sent;
  expect(publicKeyOf(config.privateKey) as string).toBe(publicKey);
  expect(config.server.presharedKey as string | null).toBe(presharedKey);
  expect(presharedKey).not.toBeNull();
  expect(config.server.publicKey as string | null).toBe(VPN_SERVER.publicKey);
  expect(JSON.stringify(server.asked)).not.toContain(config.privateKey);
}

describe("a VPN peer", () => {
  test(
    "is added by keyboard alone: its file is shown once as text, file and code, and its private key is sent nowhere",
    () =>
      on(async ({ page }, server) => {
        const { keyboard } = page;
        const posted: string[] = [];
        page.on("request", (request) => posted.push(`${request.url()} ${request.postData() ?? ""}`));
        await page.getByLabel("Name of the peer").focus();
        await keyboard.type("tablet");
        for (const key of ["Tab", "ArrowDown", "Tab", "Tab", "ArrowDown", "ArrowDown", "Tab"])
          await keyboard.press(key);
        await keyboard.type("51413, 8000:80/tcp");
        await page.getByText("TCP 8000, to its 80; TCP and UDP 51413").waitFor();
        await keyboard.press("Tab");
        expect(await page.getByLabel("Forward them now").isChecked()).toBe(true);
        await keyboard.press("Enter");
        await file(page, "tablet").waitFor();
        expect(server.asked.at(-1)).toMatchObject({
          path: "/v1/vpn/peers",
          body: { name: "tablet", mode: "only", ports: "51413, 8000:80/tcp", forwarded: true, lifetimeSec: 86_400 },
        });
        await file(page, "tablet").getByText("This is shown once.").waitFor();
        expect(await page.evaluate("document.activeElement.textContent")).toBe("The file of tablet");

        const shown = decoded(await file(page, "tablet").locator(".copy-lines code").textContent());
        expectFits(shown, server);
        expect(shown.server.endpoint).toEqual({ host: "vpn.example", port: 51_820 });
        expect(shown.server.allowedIps as readonly string[]).toEqual(["0.0.0.0/0", "::/0"]);

        const code = file(page, "tablet").getByRole("img", { name: /^QR code/ });
        expect(decoded(await readQr(page, await code.screenshot()))).toEqual(shown);

        const [saved] = await Promise.all([
          page.waitForEvent("download"),
          file(page, "tablet").getByRole("button", { name: "Save tablet.conf" }).click(),
        ]);
        expect(saved.suggestedFilename()).toBe("tablet.conf");
        expect(decoded(readFileSync(await saved.path(), "utf8"))).toEqual(shown);

        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await file(page, "tablet").getByRole("button", { name: "Copy the file of tablet" }).click();
        await file(page, "tablet").getByText("Copied").waitFor();
        expect(decoded(await page.evaluate<string>("navigator.clipboard.readText()"))).toEqual(shown);
        expect(posted.filter((request) => request.includes(shown.privateKey))).toEqual([]);

        const peer = server.world.peers.find(({ name }) => name === "tablet");
        if (peer === undefined) throw new Error("no tablet");
        // By the gateway's clock, which is behind the browser's.
        server.emit({ event: "vpn-peer", peer: { ...peer, latestHandshakeMs: Date.now() - 90_000 } });
        await file(page, "tablet").getByText("tablet has connected").waitFor();
        await file(page, "tablet").getByRole("button", { name: "Done" }).click();
        await file(page, "tablet").waitFor({ state: "detached" });
        expect(await page.evaluate<string>("document.body.innerHTML")).not.toContain(shown.privateKey);
      }),
    TIMEOUT_MS,
  );

  test(
    "has a split file, or one with its own table, in which the keys stay",
    () =>
      on(async ({ page }, server) => {
        await page.getByLabel("Name of the peer").fill("laptop");
        await page.getByLabel("What reaches it from outside").selectOption("open-all");
        await page.getByRole("button", { name: "Add peer" }).click();
        const text = () => file(page, "laptop").locator(".copy-lines code").textContent();
        await file(page, "laptop").waitFor();
        await file(page, "laptop").getByLabel("Through the VPN goes").selectOption("split");
        await file(page, "laptop").getByText("With this file no forward reaches it").waitFor();
        const split = decoded(await text());
        expect(split.server.allowedIps as readonly string[]).toEqual([VPN_SERVER.network4, VPN_SERVER.network6]);
        await file(page, "laptop").getByLabel("Through the VPN goes").selectOption("ownTable");
        expect(decoded(await text()).ownTable).not.toBeNull();
        expectFits(split, server);
      }),
    TIMEOUT_MS,
  );

  test(
    "with a name that is taken, or ports that are none, is not added, and says why",
    () =>
      on(async ({ page }, server) => {
        await page.getByLabel("Name of the peer").fill("phone");
        await page.getByLabel("What reaches it from outside").selectOption("only");
        await page.getByLabel("Its ports").fill("tcp80");
        await page.getByRole("button", { name: "Add peer" }).click();
        await page.getByRole("button", { name: /instead$/ }).waitFor();
        expect(server.asked).toEqual([]);
        await page.getByLabel("Its ports").fill("9999");
        await page.getByRole("button", { name: "Add peer" }).click();
        await page.getByText("Another peer has this name.").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "gets new keys after a question, and the file anew",
    () =>
      on(async ({ page }, server) => {
        await page.getByRole("button", { name: "New keys for phone" }).click();
        await page.getByText("Its old file opens nothing any more").waitFor();
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        expect(server.asked).toEqual([]);
        await page.getByRole("button", { name: "New keys for phone" }).click();
        await page.getByRole("button", { name: "Give new keys" }).click();
        await file(page, "phone").waitFor();
        expect(server.asked.at(-1)?.path).toBe("/v1/vpn/peers/p-phone/keys");
        expectFits(decoded(await file(page, "phone").locator(".copy-lines code").textContent()), server);
      }),
    TIMEOUT_MS,
  );

  test(
    "is reached by something else, is turned off and on, and is removed after a question",
    () =>
      on(async ({ page }, server) => {
        await row(page, "phone").getByText("forwarded to it").waitFor();
        await page.getByRole("button", { name: "Edit phone" }).click();
        const form = page.getByRole("form", { name: "Edit phone" });
        await form.getByLabel("Its ports").fill("51413");
        await form.getByLabel("Forward them now").uncheck();
        await form.getByRole("button", { name: "Save" }).click();
        await row(page, "phone").getByText("when it asks").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ mode: "only", ports: "51413", forwarded: false });
        await page.getByRole("switch", { name: "phone may connect" }).click();
        await row(page, "phone").getByText("Off", { exact: true }).waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ disabled: true });
        await page.getByRole("button", { name: "Remove phone" }).click();
        await page.getByText("its 2 forwards close").waitFor();
        await page.getByRole("button", { name: "Remove peer" }).click();
        await row(page, "phone").waitFor({ state: "detached" });
      }),
    TIMEOUT_MS,
  );

  test(
    "of a person's own account: what reaches it is theirs to say, the rest is not",
    () => {
      const world = gatewayWorld();
      world.me = { ...world.me, role: "user" };
      return on(async ({ page }) => {
        await page.getByRole("button", { name: "Edit phone" }).click();
        const form = page.getByRole("form", { name: "Edit phone" });
        await form.getByLabel("Its ports").waitFor();
        expect(await form.getByLabel("Name").count()).toBe(0);
        await page.keyboard.press("Escape");
        expect(await page.getByRole("button", { name: "Remove phone" }).count()).toBe(0);
        expect(await page.getByRole("form", { name: "New VPN peer" }).count()).toBe(0);
      }, world);
    },
    TIMEOUT_MS,
  );

  test.each([
    ["plain HTTP", `Object.defineProperty(crypto, "subtle", { value: undefined })`, "Over plain HTTP"],
    [
      "a browser without X25519",
      `SubtleCrypto.prototype.generateKey = async () => { throw new DOMException("no", "NotSupportedError"); }`,
      "open the console in a newer one",
    ],
  ])(
    "where no keys can be made (%s), takes the public key of a pair that the device made",
    (_where, script, sentence) =>
      on(async (visit, server) => {
        const { page } = visit;
        await page.addInitScript({ content: script });
        await page.reload();
        await page.getByText(sentence).waitFor();
        await page.getByLabel("Name of the peer").fill("router");
        await page.getByRole("button", { name: "Add peer" }).click();
        await page.getByText("Paste the public key that").waitFor();
        expect(server.asked).toEqual([]);
        const publicKey = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
        await page.getByLabel("Its public key").fill(publicKey);
        await page.getByRole("button", { name: "Add peer" }).click();
        await file(page, "router").getByText("router keeps its private key").waitFor();
        await file(page, "router").getByText("vpn.example:51820").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ name: "router", publicKey, presharedKey: null, mode: "block-all" });
      }),
    TIMEOUT_MS,
  );
});

describe("the VPN", () => {
  test(
    "is made where there is none, at the name that visitors know",
    () => {
      const world = gatewayWorld();
      world.vpn = null;
      world.peers = [];
      return on(async ({ page }, server) => {
        await page.getByRole("button", { name: "Make the VPN", disabled: false }).waitFor();
        expect(await page.getByLabel("Name or address that peers connect to").inputValue()).toBe("home.example");
        await page.getByLabel("DNS for peers").fill("10.77.0.1, 9.9.9.9");
        await page.getByRole("button", { name: "Make the VPN" }).click();
        await page.getByRole("form", { name: "New VPN peer" }).waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ endpointHost: "home.example", dns: ["10.77.0.1", "9.9.9.9"] });
        await page.getByText("No peer yet").waitFor();
      }, world);
    },
    TIMEOUT_MS,
  );

  test(
    "says why it is not up, and then makes no files",
    () => {
      const world = gatewayWorld();
      world.vpn = { ...VPN_SERVER, publicKey: null, backend: null, message: "Install wireguard-go, then restart." };
      return on(async ({ page }) => {
        await page.getByText("Install wireguard-go, then restart.").waitFor();
        await page.getByLabel("Name of the peer").fill("x");
        expect(await page.getByRole("button", { name: "Add peer" }).isDisabled()).toBe(true);
      }, world);
    },
    TIMEOUT_MS,
  );

  test(
    "its settings change alone where they are others",
    () =>
      on(async ({ page }, server) => {
        await page.getByRole("button", { name: "Change settings" }).click();
        const form = page.getByRole("dialog").getByRole("form");
        await form.getByLabel("UDP port").fill("51821");
        await form.getByRole("button", { name: "Save settings" }).click();
        await page.getByText("vpn.example port 51821/udp").waitFor();
        expect(server.asked.at(-1)?.body).toEqual({ listenPort: 51_821 });
      }),
    TIMEOUT_MS,
  );
});

test(
  "on a phone, in the dark, a peer's file fits beside the relay's devices",
  () =>
    browser.signedIn(
      bothWorld(),
      "/devices",
      async (visit) => {
        const { page } = visit;
        await page.getByLabel("Name of the peer").fill("tablet");
        await page.getByRole("button", { name: "Add peer" }).click();
        const code = file(page, "tablet").getByRole("img", { name: /^QR code/ });
        const shown = decoded(await file(page, "tablet").locator(".copy-lines code").textContent());
        expect(decoded(await readQr(page, await code.screenshot()))).toEqual(shown);
        expect(await page.evaluate("(scrollTo(9999, 0), scrollX)")).toBe(0);
        await visit.screen("vpn-file-phone-dark");
      },
      { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" },
    ),
  TIMEOUT_MS,
);
