import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createClient } from "../../src/servers/api/client.ts";
import { outcome } from "../fixtures/fake-world.ts";
import { ask } from "../fixtures/names-client.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { until } from "../fixtures/roles-lab.ts";
import { type SiteLab, siteLab } from "../fixtures/site-lab.ts";

/** Sites by the command line: each scenario on the relay's machine, and from elsewhere by --remote. */
const HERE = "127.0.0.1";
const running = new AsyncDisposableStack();
let site: SiteLab;
let service: number;
let remote: readonly string[];

beforeAll(async () => {
  site = running.use(await siteLab(true));
  const { console, fingerprint } = site.lab.relay.ready;
  if (console?.setupLink == null) throw new Error("no console");
  const page = createClient({ baseUrl: console.url, fetch: pageFetch(console.url) });
  await page.redeem({ token: secretOf(console.setupLink), name: "ann", password: "correct horse battery" });
  const token = site.file("token.txt");
  await done(["token", "create", "--user", "ann", "--name", "cli", "--scope", "all", "--out", token], "locally");
  remote = ["--remote", console.url, "--token-file", token, "--fingerprint", fingerprint];
  await site.lab.agent("den", { managed: true });
  const web = Bun.serve({ hostname: HERE, port: 0, fetch: () => new Response("here") });
  running.defer(() => web.stop(true));
  service = web.port as number;
}, 30_000);
afterAll(() => running.disposeAsync());

type Where = "locally" | "remotely";
const asked = (words: readonly string[], where: Where) =>
  outcome(where === "locally" ? [...words, "--data", site.lab.relayDirectory] : [...remote, ...words]);

async function done(words: readonly string[], where: Where): Promise<string> {
  const { code, out, err } = await asked(words, where);
  expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
  return out;
}

describe.each(["locally", "remotely"] as const)("%s", (where) => {
  const host = `${where}.example.org`;

  test("a site is given to a device, listed by its URL, changed and removed", async () => {
    const logins = site.file(`${where}.txt`);
    writeFileSync(logins, "guest:swordfish\n", { mode: 0o600 });
    const add = ["forward", "add", `${service}`, "--name", where, "--device", "den", "--host", host];
    const told = await done([...add, "--tls", "off", "--basic-auth-file", logins], where);
    expect(told).toMatch(new RegExp(`^http://${host}:\\d+ → 127\\.0\\.0\\.1:${service}\n$`));
    const listed = async () => {
      const { forwards } = JSON.parse(await done(["forward", "ls", "--json"], where));
      return forwards.find((one: { name: string }) => one.name === where);
    };
    await until(async () => (await listed())?.state === "open");
    const found = await listed();
    expect(found).toMatchObject({ site: { hosts: [host], tls: "off", http2: false, users: ["guest"] } });
    expect(JSON.stringify(found)).not.toMatch(/swordfish|argon2/);
    expect(await done(["forward", "ls"], where)).toContain(`http://${host}`);
    const { port } = found.endpoints[0];
    const status = async (more: string) =>
      (await ask(port, `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`)).status;
    expect(await status("")).toBe(401);
    expect(await status(`Authorization: Basic ${btoa("guest:swordfish")}\r\n`)).toBe(200);
    // Again, and so without passwords.
    await done([...add, "--tls", "off"], where);
    await until(async () => (await listed())?.state === "open");
    expect([(await listed()).site.users, await status("")]).toEqual([[], 200]);
    await done(["forward", "rm", where, "--device", "den"], where);
    expect(await status("")).toBe(404);
  });

  test.each([
    [["--host", "example.net"], 3, "none that this relay hands out"],
    [["--host", "app"], 2, "--host: Write the name of a site in ASCII"],
    [["--tls", "off"], 2, "--tls is for a site: name it with `host`"],
    [["--host", host, "--tls", "pass", "--basic-auth-file", "none.txt"], 2, "There is no file"],
  ] as const)("%j is refused", async (more, code, words) => {
    const said = await asked(["forward", "add", `${service}`, "--device", "den", ...more], where);
    expect({ ...said, err: said.err.includes(words) ? words : said.err }).toEqual({ code, out: "", err: words });
  });
});

test("a test of a site says what is of each hop, on the relay's machine and on the device", async () => {
  await done(
    ["forward", "add", `${service}`, "--name", "tested", "--device", "den", "--host", "t.example.org"],
    "locally",
  );
  await until(async () => (await site.lab.relay.listForwards()).some(({ state }) => state === "open"));
  for (const directory of [site.lab.relayDirectory, site.lab.directoryOf("den")]) {
    const { out } = await outcome(["check", "tested", "--json", "--data", directory]);
    const { target, evidence } = JSON.parse(out);
    expect(target).toMatchObject({ host: "t.example.org", forward: "tested" });
    expect(evidence.map(({ hop, mark }: { hop: string; mark: string }) => `${hop} ${mark}`)).toEqual([
      expect.stringMatching(/^dns (bad|unknown)$/),
      "relay ok",
      "agent ok",
      "service ok",
    ]);
  }
});
