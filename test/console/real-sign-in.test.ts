import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { TestBrowser, type Visit } from "../fixtures/console-browser.ts";
import { ConsolePeople, PASSWORD } from "../fixtures/console-people.ts";
import { type RolesLab, rolesLab } from "../fixtures/roles-lab.ts";

setDefaultTimeout(30_000);

/** What a stand-in cannot show: a relay's own accounts, and passkeys that its own library checks. */
const NEW_PASSWORD = "another horse battery";

let lab: RolesLab;
let browser: TestBrowser;
let origin: string;
beforeAll(async () => {
  // By name: WebAuthn has no addresses, and of plain HTTP it takes this machine's own name alone.
  const console = { ...ConsolePeople.settings, hosts: ["localhost"] };
  [lab, browser] = await Promise.all([rolesLab({ console }, 1), TestBrowser.launch()]);
  const people = new ConsolePeople(lab);
  origin = people.url;
  await people.invited((await people.first("ann")).client, "user", "bob");
});
afterAll(async () => {
  await browser.close();
  await lab[Symbol.asyncDispose]();
});

const onConsole = (use: (visit: Visit) => Promise<void>) => browser.visit({ origin }, use);

/** A security key that says yes, as Chromium plays it. */
async function plugInKey(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return async () => {
    const { credentials } = await session.send("WebAuthn.getCredentials", { authenticatorId });
    return credentials[0]?.signCount ?? 0;
  };
}

test("a passkey is made, signs in, and signs nobody in when it was removed", () =>
  onConsole(async (visit) => {
    const { page } = visit;
    const signatures = await plugInKey(page);
    await visit.signIn("ann", PASSWORD);
    await visit.open("/account");
    await page.getByLabel("Name of the passkey").fill("laptop");
    await page.getByRole("button", { name: "Add a passkey" }).click();
    const row = page.getByRole("row").filter({ hasText: "laptop" });
    await row.waitFor();
    const made = await signatures();

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await page.getByText("Signed in as ann").waitFor();
    expect(await signatures()).toBeGreaterThan(made);

    await row.getByRole("button", { name: "Remove the passkey laptop" }).click();
    await page.getByRole("button", { name: "Remove passkey", exact: true }).click();
    await row.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await page.getByRole("alert").first().waitFor();
    expect(await page.getByText("Signed in as ann").count()).toBe(0);
    // The password is as good as before.
    await visit.signIn("ann", PASSWORD);
  }));

test("a reset link says for whom it is, sets a new password, and is good once", () =>
  onConsole(async (visit) => {
    const { page } = visit;
    const link = await lab.relay.resetPerson({ name: "Bob", lifetimeSec: 60 });
    await page.goto(link);
    await page.getByRole("heading", { level: 1, name: "Set a new password" }).waitFor();
    expect(await page.getByLabel("Name").inputValue()).toBe("bob");
    expect(await page.getByLabel("Name").isEditable()).toBe(false);
    await page.getByLabel("New password").fill(NEW_PASSWORD);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("Signed in as bob").waitFor();
    expect(page.url()).toBe(`${origin}/`);

    await page.getByRole("button", { name: "Sign out" }).click();
    await visit.signIn("bob", NEW_PASSWORD);
    await page.goto(link);
    await page.getByLabel("New password").fill(PASSWORD);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("This link is not good any more: ask for a new one.").waitFor();
  }));
