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

/** A window on a console of its own. */
async function on(world: World, use: (visit: Visit, server: ConsoleServer) => Promise<void>): Promise<void> {
  const server = await ConsoleServer.start(world);
  try {
    await browser.visit(server, (visit) => use(visit, server));
  } finally {
    await server.stop();
  }
}

function newRelay(): World {
  const world = World.furnished();
  world.isSetUp = false;
  return world;
}

async function signIn({ page }: Visit, name: string, password: string): Promise<void> {
  // The page before it may have a field of a name as well.
  const button = page.getByRole("button", { name: "Sign in" });
  await button.waitFor();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await button.click();
}

describe("the first run", () => {
  test(
    "the one-time link takes a name and a password, and leads to Port forwarding",
    () =>
      on(newRelay(), async (visit, server) => {
        const { page } = visit;
        await visit.open("/setup#setup-token");
        await page.getByLabel("Name").fill("ada");
        await page.getByLabel("Password").fill("short");
        await page.getByRole("button", { name: "Set up" }).click();
        await page.getByText("A password has at least 10 characters.").waitFor();
        await page.getByLabel("Password").fill("correct horse battery");
        await page.getByRole("button", { name: "Set up" }).click();
        await page.getByRole("heading", { level: 1, name: "Port forwarding" }).waitFor();
        expect(server.asked.at(-1)).toEqual({
          method: "POST",
          path: "/v1/invites/redeem",
          body: { token: "setup-token", name: "ada", password: "correct horse battery" },
        });
        // The link is used up: it is neither in the address nor a step back.
        expect(page.url()).toBe(`${server.origin}/forwards`);
        // Signed out, and in again by what was chosen.
        await page.getByRole("button", { name: "Sign out" }).click();
        await signIn(visit, "ada", "correct horse battery");
        await page.getByRole("heading", { level: 1, name: "Port forwarding" }).waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "before it, the console says where the link is; a used link is refused",
    () =>
      on(newRelay(), async (visit, server) => {
        await visit.open("/forwards");
        await visit.page.getByText("Open the one-time link that the program printed").waitFor();
        server.world.invitations.clear();
        await visit.open("/setup#setup-token");
        await visit.page.getByLabel("Name").fill("eve");
        await visit.page.getByLabel("Password").fill("correct horse battery");
        await visit.page.getByRole("button", { name: "Set up" }).click();
        await visit.page.getByText("This link was used already, or has ended.").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "an invitation is taken the same way",
    () =>
      on(World.furnished(), async (visit, server) => {
        server.world.invitations.add("invited");
        await visit.open("/invite#invited");
        await visit.page.getByRole("heading", { name: "Welcome to Hatchway" }).waitFor();
        await visit.page.getByLabel("Name").fill("grace");
        await visit.page.getByLabel("Password").fill("a long enough one");
        await visit.page.getByRole("button", { name: "Join" }).click();
        await visit.page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
      }),
    TIMEOUT_MS,
  );
});

describe("signing in", () => {
  test(
    "a wrong password is told; a one-time code is asked for, and a wrong one told",
    () =>
      on(World.furnished(), async (visit, server) => {
        server.world.me = { ...server.world.me, hasTotp: true };
        const { page } = visit;
        await visit.open("/devices");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByText("Write your name and your password.").waitFor();
        await signIn(visit, "ada", "wrong");
        await page.getByText("The name or the password is wrong.").waitFor();
        await signIn(visit, "ada", "correct horse battery");
        await page.getByLabel("One-time code").fill("000000");
        await page.getByRole("button", { name: "Confirm" }).click();
        await page.getByText("The code is wrong.").waitFor();
        await page.getByLabel("One-time code").fill("123 456");
        await page.getByRole("button", { name: "Confirm" }).click();
        // Where they wanted to go.
        await page.getByRole("heading", { level: 1, name: "Devices" }).waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "a passkey is offered, and its failure told",
    () =>
      on(World.furnished(), async (visit) => {
        await visit.open("/");
        // 127.0.0.1 is a secure context, so the button is there; this server knows no passkeys.
        await visit.page.getByRole("button", { name: "Use a passkey" }).click();
        await visit.page.getByRole("alert").waitFor();
      }),
    TIMEOUT_MS,
  );

  test(
    "a session that ends while the page is open leads back to sign-in",
    () =>
      on(World.furnished(), async (visit) => {
        await visit.signedIn("/account");
        await visit.page.context().clearCookies();
        await visit.page.getByRole("button", { name: "Set up" }).click();
        await visit.page.getByText("Your session has ended: sign in again.").waitFor();
      }),
    TIMEOUT_MS,
  );
});
