import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Secret, TOTP } from "otpauth";
import { createClient } from "../../src/servers/api/client.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { PageJar, secretOf } from "../fixtures/page-fetch.ts";
import { startChild } from "../netns/child.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const PASSWORD = "correct horse battery";
const NEXT_PASSWORD = "another horse battery";
const WRONG_PASSWORD = "no horse has this one";
const PASSPHRASE = "a passphrase of a backup";
const DEADLINE_MS = 60_000;

interface Told {
  readonly by: string;
  readonly text: string;
}

/** A browser that writes down what it is told. */
class Listener {
  readonly told: Told[] = [];
  readonly jar: PageJar;

  constructor(readonly url: string) {
    this.jar = new PageJar(url);
  }

  client(token?: string) {
    return createClient({
      baseUrl: this.url,
      ...(token === undefined ? {} : { token }),
      fetch: async (path, init) => {
        const response = await this.jar.fetch(path, init);
        const copy = response.clone();
        const by = `${init.method ?? "GET"} ${path.slice(this.url.length)}`;
        const headers = [...copy.headers].filter(([name]) => name !== "set-cookie");
        // A backup is sealed, and no text.
        const body = copy.headers.get("content-type")?.includes("json") === true ? await copy.text() : "";
        this.told.push({ by, text: `${JSON.stringify(headers)}\n${body}` });
        return response;
      },
    });
  }
}

test(
  "secrets are in no answer but the one that makes them, in no log line, no page and no list",
  async () => {
    await using directory = await temporaryDirectory();
    const args = ["serve", "--public", "127.0.0.1", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    const argv = [process.execPath, "--no-env-file", MAIN, ...args, "--data", directory.path, "--json", "--verbose"];
    await using relay = startChild(argv, { PATH: process.env["PATH"] ?? "", HOME: directory.path });
    const { console } = await relay.event<{ console: { url: string; setupLink: string } }>("ready", {
      deadlineMs: DEADLINE_MS,
    });
    const browser = new Listener(console.url);
    const ann = browser.client();
    const { pageKey } = await ann.redeem({ token: secretOf(console.setupLink), name: "ann", password: PASSWORD });
    const cookie = browser.jar.cookie.slice(browser.jar.cookie.indexOf("=") + 1);
    const token = await ann.makeToken({ name: "all", scopes: ["all"], lifetimeSec: null });
    const invite = secretOf((await ann.makeInvite({ role: "user" })).link);
    const { code: joinCode } = await ann.makeJoinCode({ name: "den" });
    const totp = await ann.beginTotp();
    const oneTimeCode = new TOTP({ secret: Secret.fromBase32(totp.secret) }).generate();
    await ann.confirmTotp({ code: oneTimeCode });
    await ann.changePassword({ current: PASSWORD, next: NEXT_PASSWORD });
    const strangers = new Listener(console.url);
    for (const password of [WRONG_PASSWORD, NEXT_PASSWORD]) {
      expect(
        await strangers
          .client()
          .signIn({ name: "ann", password })
          .catch(() => null),
      ).toBeNull();
    }
    await (await ann.makeBackup({ passphrase: PASSPHRASE })).pipeTo(new WritableStream());
    const program = browser.client(token.secret);
    for (const each of [ann, program]) {
      const lists = [each.getMe, each.getOverview, each.getSettings, each.listTokens, each.listInvites, each.listUsers];
      for (const list of [...lists, each.listSessions, each.listDevices, each.listForwards, each.listAudit])
        await list();
      for await (const _entry of each.auditLines());
    }
    const pages = await Promise.all(
      ["/", "/settings", "/openapi.json", "/docs/api", "/metrics"].map(async (path): Promise<Told> => {
        const headers = path === "/metrics" ? { authorization: `Bearer ${token.secret}` } : {};
        return { by: path, text: await (await fetch(`${console.url}${path}`, { headers })).text() };
      }),
    );
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);

    const database = new Database(join(directory.path, "hatchway.db"), { readonly: true });
    const hash = database.query<{ hash: string }, []>("select password_hash as hash from users").get()?.hash ?? "";
    database.close();
    const keys = readdirSync(directory.path, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith("key.pem"))
      .map((path) => readFileSync(join(directory.path, path), "utf8").split("\n")[1] ?? "");
    expect([hash.length > 50, keys.length > 0, keys.every((line) => line.length > 40)]).toEqual([true, true, true]);

    /** Each with the answers that may have it. */
    const secrets: readonly (readonly [string, string, RegExp | null])[] = [
      ["the password", PASSWORD, null],
      ["the next password", NEXT_PASSWORD, null],
      ["a wrong password", WRONG_PASSWORD, null],
      ["the hash of the password", hash, null],
      ["the passphrase", PASSPHRASE, null],
      ["the first link", secretOf(console.setupLink), null],
      ["the cookie", cookie, null],
      ["the page's key", pageKey, /^POST \/v1\/invites\/redeem$/],
      ["the token", token.secret, /^POST \/v1\/tokens$/],
      ["the invitation", invite, /^POST \/v1\/invites$/],
      ["the join code", joinCode, /^POST \/v1\/join-codes$/],
      ["the authenticator's secret", totp.secret, /^POST \/v1\/me\/totp$/],
      ...keys.map((line) => ["a private key", line, null] as const),
    ];
    const log = relay.stderr.map((text): Told => ({ by: "log", text }));
    expect(log.length).toBeGreaterThan(0);
    const told = [...browser.told, ...strangers.told, ...pages, ...log];
    const found = secrets.flatMap(([name, secret, where]) =>
      told
        .filter(({ by, text }) => text.includes(secret) && where?.test(by) !== true)
        .map(({ by }) => `${name}: ${by}`),
    );
    expect(found).toEqual([]);
    // What is looked for is there where it may be.
    for (const [name, secret, where] of secrets) {
      if (where === null) continue;
      expect([name, told.some(({ by, text }) => where.test(by) && text.includes(secret))]).toEqual([name, true]);
    }
  },
  DEADLINE_MS,
);
