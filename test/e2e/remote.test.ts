import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "../../src/servers/api/client.ts";
import { certificateZoo } from "../fixtures/certificates.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { fakeWorld, outcome } from "../fixtures/fake-world.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { away, type RolesLab, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";
import { FINGERPRINTS, PUBLIC_KEYS } from "../fixtures/ssh-keys.ts";

/**
 * The command line against a real relay with real agents: each scenario once on the relay's machine, by its socket, and once from
 * elsewhere, by --remote. Everything is asked in words, and answered in words, JSON and exit codes.
 */
const PASSWORD = "correct horse battery";
let lab: RolesLab;
let files: Awaited<ReturnType<typeof temporaryDirectory>>;
let url: string;
let caFile: string;

type Outcome = Awaited<ReturnType<typeof outcome>>;
type Asked = (line: string, more?: readonly string[]) => Promise<Outcome>;

const locally: Asked = (line, more = []) => outcome([...line.split(" "), ...more, "--data", lab.relayDirectory]);
const tokenFile = (name: string) => join(files.path, `${name}.token`);
const remotelyAs =
  (name: string): Asked =>
  (line, more = []) => {
    const { fingerprint } = lab.relay.ready;
    const remote = ["--remote", url, "--token-file", tokenFile(name), "--fingerprint", fingerprint];
    return outcome([...remote, ...line.split(" "), ...more]);
  };
const remotely = remotelyAs("ann");

async function done(asked: Promise<Outcome>): Promise<string> {
  const { code, out, err } = await asked;
  expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
  return out;
}
const json = async (asked: Promise<Outcome>) => JSON.parse(await done(asked));

beforeAll(async () => {
  files = await temporaryDirectory();
  const listen = { host: "127.0.0.1", port: 0 };
  const ssh = { listen, trustedUserCa: null, sockets: null };
  lab = await rolesLab({ ssh, console: { listen, hosts: [], certificate: null, tls: true, trustedProxies: [] } }, 24);
  const { console } = lab.relay.ready;
  if (console?.setupLink == null) throw new Error("no console");
  url = console.url;
  const join_ = async (link: string, name: string) => {
    const page = createClient({ baseUrl: url, fetch: pageFetch(url) });
    await page.redeem({ token: secretOf(link), name, password: PASSWORD });
  };
  await join_(console.setupLink, "ann");
  await join_((await done(locally("user invite"))).trim(), "bob");
  await join_((await done(locally("user invite --role viewer --account bob"))).trim(), "vic");
  for (const name of ["ann", "bob", "vic"]) {
    await done(locally(`token create --user ${name} --name cli --scope all --out`, [tokenFile(name)]));
  }
  await lab.agent("den", { managed: true });
  await lab.agent("attic", { managed: true, account: "bob" });
  caFile = join(files.path, "ca.pem");
  writeFileSync(caFile, readFileSync(join(lab.relayDirectory, "relay-cert.pem")));
}, 30_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await files[Symbol.asyncDispose]();
});

/** What a value is made of: names and kinds, of a list those of its first item. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([key, inner]) => [key, shapeOf(inner)]),
  );
}

/** Ports of the pool, for one way of asking each. */
const portsFor = (way: number, from: number) => lab.pool.slice(12 * way + from);

const WAYS: readonly (readonly [string, number, Asked])[] = [
  ["on the relay's machine", 0, locally],
  ["by --remote", 1, remotely],
];

describe.each(WAYS)("%s", (_way, index, asked) => {
  const named = (name: string) => `${name}${index}`;
  const listed = async (name: string) => {
    const { forwards } = await json(asked("forward ls --json"));
    return forwards.find((forward: { name: string }) => forward.name === name);
  };

  test("a forward is added, reached, listed, changed and removed; then visitors are refused", async () => {
    using service = tcpService("web");
    const [port = 0] = portsFor(index, 0);
    const name = named("web");
    const add = `forward add ${port}:${service.port} --device den --name ${name}`;
    expect(await done(asked(add))).toBe(`127.0.0.1:${port}/tcp → 127.0.0.1:${service.port}\n`);
    await until(async () => (await listed(name))?.state === "open");
    expect(await ask(port)).toBe("web:hello");
    using visitor = await visit(port);
    expect(await visitor.ask("a")).toBe("web:a");
    const status = await json(asked("status --visits --json"));
    expect(status).toMatchObject({ v: 1, relay: { role: "relay" }, agent: null, gateway: null });
    expect(status.visits).toMatchObject([{ forwardName: name, device: "den", protocol: "tcp" }]);
    expect(await done(asked("status --visits"))).toContain(name);
    // The same name again is the same forward, with other settings.
    expect(await json(asked(`${add} --allow 192.0.2.0/24 --json`))).toMatchObject({
      v: 1,
      forward: { name, device: "den", origin: "api" },
    });
    await until(async () => (await ask(port)) === "cut");
    expect((await done(asked("forward ls"))).split("\n").filter((line) => line.startsWith(`${name} `))).toHaveLength(1);
    expect(await asked(`forward rm ${name} --device den`)).toEqual({ code: 0, out: "", err: `Removed ${name}.\n` });
    expect(await ask(port)).toBe("ECONNREFUSED");
    expect(await listed(name)).toBeUndefined();
  });

  test("an SSH key is let in, listed, and removed with its device; the relay's own is shown", async () => {
    const kind = index === 0 ? "ed25519" : "rsa";
    const [text, fingerprint] = [PUBLIC_KEYS[kind], FINGERPRINTS[kind]];
    const file = join(files.path, `${index}.pub`);
    writeFileSync(file, text);
    const device = named("laptop");
    const add = await asked("ssh-key add", [file, "--name", device, "--ports", "8000-8099"]);
    expect(add).toEqual({ code: 0, out: "", err: `The key ${fingerprint} is the device ${device}.\n` });
    expect(await asked("ssh-key add", [file, "--name", named("tablet")])).toMatchObject({
      code: 2,
      err: expect.stringContaining(`"${device}" has this key already`),
    });
    const { keys } = await json(asked("ssh-key ls --json"));
    expect(keys).toEqual([
      {
        fingerprint,
        type: text.split(" ")[0],
        comment: text.split(" ")[2],
        device,
        account: "owner",
        ports: "8000-8099",
        addedMs: expect.any(Number),
        lastUsedMs: null,
      },
    ]);
    expect(await done(asked("ssh-key ls"))).toContain(fingerprint);
    expect(await json(asked("ssh-key host --json"))).toMatchObject({ v: 1, host: "127.0.0.1" });
    const removed = await json(asked(`ssh-key rm ${text.split(" ")[2]} --json`));
    expect(removed).toMatchObject({ v: 1, key: { fingerprint, device }, deviceRevoked: true });
    expect(await asked(`ssh-key rm ${fingerprint}`)).toMatchObject({
      code: 2,
      err: expect.stringContaining("There is no SSH key"),
    });
  });

  test("a forward's every option is as it was asked for", async () => {
    const ports = portsFor(index, 1).slice(0, 3);
    const name = named("all");
    const options =
      "--deny 192.0.2.1 --connections 9 --connections-per-source 3 --new-per-source 90/m --bandwidth 1Mbit/s --idle 5m --udp-idle 30s --lifetime 2h --group pair --health-check 20s";
    await done(asked(`forward add 7-9 --as ${ports[0]}-${ports[2]} --device den --name ${name} ${options}`));
    const store = await lab.openStore();
    const held = (await store.forwards.list()).find(({ spec }) => spec.name === name);
    await store.close();
    expect(held?.spec).toEqual({
      id: `relay/${name}`,
      name,
      group: "pair",
      ports: [{ protocol: "tcp", first: ports[0] ?? 0, last: ports[2] ?? 0, internalFirst: 7 }],
      options: {
        source: { allow: [], deny: ["192.0.2.1/32" as never] },
        limits: { connections: 9, connectionsPerSource: 3, newPerSourcePerSec: 1.5, bandwidthBytesPerSec: 125_000 },
        proxyProtocol: null,
        tcpIdleSec: 300,
        halfCloseIdleSec: 300,
        udpIdleSec: 30,
        healthCheck: { intervalSec: 20, timeoutSec: 3, failures: 3 },
      },
      enabled: true,
      lifetimeSec: 7_200,
    });
    await done(asked(`forward set ${name} --connections 8 --bandwidth none --udp-idle 40s`));
    const after = await lab.openStore();
    const changed = (await after.forwards.list()).find(({ spec }) => spec.name === name);
    await after.close();
    expect(changed?.spec.options).toMatchObject({
      limits: { connections: 8, connectionsPerSource: 3, newPerSourcePerSec: 1.5 },
      udpIdleSec: 40,
    });
    expect(changed?.spec.options.limits).not.toHaveProperty("bandwidthBytesPerSec");
    await done(asked(`forward rm ${name}`));
  });

  test("a device joins by a code, is listed, and is cut off for good", async () => {
    const name = named("cellar");
    const code = (await done(asked(`join-code create --name ${name}`))).trim();
    lab.knows(name);
    const { startAgent } = await import("../../src/roles/agent.ts");
    const settings = { name: null, relay: null, allow: [], managed: null, certificate: null, ca: null, forwards: [] };
    const running = await startAgent({
      dataDir: lab.directoryOf(name),
      joinCode: code,
      readSettings: async () => settings,
      runListed: false,
    });
    const ended = running.closed.catch((error: unknown) => error);
    const { devices } = await json(asked("devices ls --json"));
    expect(devices).toContainEqual(expect.objectContaining({ name, connected: true, revoked: false }));
    expect(await json(asked(`devices revoke ${name} --json`))).toMatchObject({ v: 1, device: { name, revoked: true } });
    expect(await ended).toMatchObject({ kind: "refused" });
    await away(lab, name);
    expect(await asked(`devices revoke ${name}`)).toMatchObject({ code: 2, err: expect.stringContaining(name) });
  });

  test("people are listed, shut out and removed", async () => {
    const name = named("eve");
    const link = (await done(locally("user invite"))).trim();
    const page = createClient({ baseUrl: url, fetch: pageFetch(url) });
    await page.redeem({ token: secretOf(link), name, password: PASSWORD });
    const people = async () => (await json(asked("user ls --json"))).people;
    expect(await people()).toContainEqual(expect.objectContaining({ name, role: "user", disabled: false }));
    expect(await asked(`user disable ${name}`)).toEqual({ code: 0, out: "", err: `${name} is shut out.\n` });
    expect(await page.getMe().catch((error: unknown) => error)).toMatchObject({ problem: { status: 401 } });
    expect(await people()).toContainEqual(expect.objectContaining({ name, disabled: true }));
    expect(await asked(`user rm ${name}`)).toEqual({ code: 0, out: "", err: `Removed ${name}.\n` });
    expect((await people()).map((one: { name: string }) => one.name)).not.toContain(name);
  });

  test.each([
    ["a forward of no device", "forward add 9 --device nobody", 2, "There is no device"],
    ["a port outside the pool", "forward add 80 --device den", 3, "80"],
    ["a forward that is none", "forward rm nothing", 2, 'There is no forward "nothing"'],
    ["a device that is none", "devices revoke nobody", 2, "There is no device"],
    ["a code for a name that is taken", "join-code create --name den", 2, "den"],
    ["a code of no account", "join-code create --name new --account nobody", 2, "nobody"],
    ["a person that is none", "user disable nobody", 2, "There is no person"],
    ["the last administrator", "user disable ann", 2, "last administrator"],
    ["a token that is none", "token rm nothing --user ann", 2, "There is no token"],
    ["a port set that is none", "forward add 9-8 --device den", 2, "PORTSET: Write the lower port first."],
  ])("%s: the same exit code and words", async (_what, line, code, words) => {
    const refused = await asked(line);
    expect({ ...refused, err: refused.err.includes(words) ? words : refused.err }).toEqual({
      code,
      out: "",
      err: words,
    });
    expect(refused.err.trimEnd().split("\n").length).toBeLessThanOrEqual(4);
  });

  test("somebody else's port: the same exit code", async () => {
    const [, , , , , port = 0] = portsFor(index, 0);
    await done(asked(`forward add ${port}:7 --device den --name ${named("mine")}`));
    const { code, err } = await asked(`forward add ${port}:7 --device attic --name ${named("theirs")}`);
    expect({ code, err: err.includes(String(port)) }).toEqual({ code: 1, err: true });
    await done(asked(`forward rm ${named("mine")}`));
  });
});

describe("by either way", () => {
  test.each(["status", "forward ls", "devices ls", "user ls"])("%s --json is alike", async (line) => {
    await done(locally(`forward add ${lab.pool[20]}:7 --device den --name alike`));
    // Its device takes it up in a moment: until then it has a message.
    const isOpen = ({ state }: { state: string }) => state === "open";
    await until(async () => (await json(locally("forward ls --json"))).forwards.every(isOpen));
    const [here, there] = [await json(locally(`${line} --json`)), await json(remotely(`${line} --json`))];
    expect(shapeOf(there)).toEqual(shapeOf(here));
    await done(locally("forward rm alike"));
  });

  test("token ls --json is alike", async () => {
    const here = await json(locally("token ls --user ann --json"));
    const there = await json(remotely("token ls --json"));
    expect(there.tokens[0].id).toBe(here.tokens[0].id);
    expect(shapeOf(there)).toEqual(shapeOf(here));
  });
});

describe("whose token it is", () => {
  test("a viewer's may look, and not change", async () => {
    const vic = remotelyAs("vic");
    expect((await json(vic("forward ls --json"))).v).toBe(1);
    expect(await vic("forward add 9 --device attic")).toMatchObject({ code: 3, out: "" });
    expect(await vic("join-code create --name new")).toMatchObject({ code: 3, out: "" });
    expect(await vic("user ls")).toMatchObject({ code: 3, out: "" });
  });

  test("one of a scope may do no more than that", async () => {
    await done(locally("token create --user ann --name looker --out", [tokenFile("looker")]));
    const looker = remotelyAs("looker");
    await done(looker("devices ls"));
    expect(await looker("forward add 9 --device den")).toMatchObject({
      code: 3,
      err: expect.stringContaining("lacks the scope forwards"),
    });
  });

  test("another account's are not there", async () => {
    const bob = remotelyAs("bob");
    await done(locally(`forward add ${lab.pool[21]}:7 --device den --name anns`));
    expect((await json(bob("forward ls --json"))).forwards).toEqual([]);
    expect((await json(bob("devices ls --json"))).devices).toMatchObject([{ name: "attic" }]);
    expect((await json(bob("status --json"))).relay).toMatchObject({ devicesEnrolled: 1, memoryBytes: null });
    expect(await bob("forward rm anns")).toMatchObject({
      code: 2,
      err: expect.stringContaining("There is no forward"),
    });
    expect(await bob("devices revoke den")).toMatchObject({
      code: 2,
      err: expect.stringContaining("There is no device"),
    });
    expect(await bob("join-code create --name new --account owner")).toMatchObject({ code: 2 });
    expect(await bob("token ls --user ann")).toMatchObject({
      code: 3,
      err: expect.stringContaining("leave --user out"),
    });
    await done(locally("forward rm anns"));
  });

  test.each([
    ["make tokens", "token create --name more"],
    ["invite people", "user invite"],
    ["give somebody a role", "user role bob admin"],
    ["let somebody in again", "user enable bob"],
  ])("none may %s", async (_what, line) => {
    expect(await remotely(line)).toEqual({
      code: 3,
      out: "",
      err: "hatchway: A token cannot do this: sign in with the password or a passkey.\n",
    });
  });

  test("a password is reset on the relay's machine", async () => {
    expect(await remotely("user reset bob")).toMatchObject({
      code: 2,
      err: expect.stringContaining("hatchway user reset"),
    });
  });

  test("one that was removed opens nothing any more", async () => {
    await done(locally("token create --user ann --name short --scope all --out", [tokenFile("short")]));
    const short = remotelyAs("short");
    await done(short("devices ls"));
    expect(await short("token rm short")).toEqual({ code: 0, out: "", err: "Removed short.\n" });
    expect(await short("devices ls")).toEqual({
      code: 3,
      out: "",
      err: "hatchway: The relay does not take this token: it is wrong, has expired or was removed. Make a new one.\n",
    });
  });

  test("is written to a file of its owner's, once, and shown nowhere else", async () => {
    const path = tokenFile("file");
    const made = await locally("token create --user ann --name file --json --out", [path]);
    const secret = readFileSync(path, "utf8").trim();
    expect([made.code, statSync(path).mode & 0o777, JSON.parse(made.out).secret]).toEqual([0, 0o600, null]);
    expect(`${made.out}${made.err}${(await locally("token ls --user ann --json")).out}`).not.toContain(secret);
    const again = await locally("token create --user ann --name file2 --out", [path]);
    expect(again).toMatchObject({ code: 2, err: expect.stringContaining("is there already") });
    expect((await done(locally("token ls --user ann"))).includes("file2")).toBe(false);
    expect(await done(locally("token create --user ann --name shown"))).toMatch(/^hatchway_\S+\n$/);
  });
});

describe("how the relay is known", () => {
  const with_ = (options: readonly string[], at = url, token = tokenFile("ann")) =>
    outcome(["--remote", at, "--token-file", token, ...options, "devices", "ls"]);

  test("by a CA", async () => {
    expect((await with_(["--ca", caFile])).code).toBe(0);
  });

  test("by its fingerprint, in any form", async () => {
    const { fingerprint } = lab.relay.ready;
    const colons = fingerprint.toUpperCase().match(/../g)?.join(":") ?? "";
    expect((await with_(["--fingerprint", `SHA256:${colons}`])).code).toBe(0);
    // It is called otherwise than its certificate says.
    expect((await with_(["--fingerprint", fingerprint], url.replace("127.0.0.1", "localhost"))).code).toBe(0);
  });

  test("else the token is not sent, and the sentence says what to do", async () => {
    const unknown = await with_([]);
    expect(unknown).toMatchObject({ code: 4, out: "", err: expect.stringMatching(/--ca FILE.*--fingerprint/) });
    const other = await with_(["--fingerprint", "ab".repeat(32)]);
    expect(other).toMatchObject({
      code: 4,
      out: "",
      err: expect.stringContaining("not the relay that --fingerprint names"),
    });
    const name = await with_(["--ca", caFile], url.replace("127.0.0.1", "localhost"));
    expect(name).toMatchObject({ code: 4, err: expect.stringContaining("is for another name") });
  });

  test("whoever stands in its place sees no token", async () => {
    const zoo = await certificateZoo();
    const seen: string[] = [];
    const { certificatePem: cert, keyPem: key } = zoo.good;
    const stranger = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert, key },
      fetch: (request) => Response.json(seen.push(request.headers.get("authorization") ?? "")),
    });
    const at = `https://127.0.0.1:${stranger.port}`;
    const { fingerprint } = lab.relay.ready;
    const ofStranger = Buffer.from(zoo.good.fingerprint).toString("hex");
    for (const options of [[], ["--ca", caFile], ["--fingerprint", fingerprint], ["--fingerprint", ofStranger]]) {
      expect({ options, code: (await with_(options, at)).code }).toEqual({ options, code: 4 });
    }
    expect(seen).toEqual([]);
    const redirecting = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.redirect(at) });
    const turned = await with_([], `http://127.0.0.1:${redirecting.port}`);
    expect([turned.code, seen]).toEqual([4, []]);
    await Promise.all([stranger.stop(true), redirecting.stop(true)]);
  });

  test("one that is not there", async () => {
    const nobody = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
    const { port } = nobody;
    await nobody.stop(true);
    for (const at of [`https://127.0.0.1:${port}`, `http://127.0.0.1:${port}`]) {
      expect(await with_([], at)).toMatchObject({
        code: 4,
        out: "",
        err: expect.stringContaining("cannot be reached"),
      });
    }
    const pinned = await with_(["--fingerprint", "ab".repeat(32)], `https://127.0.0.1:${port}`);
    expect(pinned).toMatchObject({ code: 4, err: expect.stringContaining("cannot be reached") });
  });

  test("one that is something else", async () => {
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<html>") });
    const told = await with_([], `http://127.0.0.1:${other.port}`);
    await other.stop(true);
    expect(told).toMatchObject({ code: 4, err: expect.stringContaining("no console of Hatchway") });
  });

  test("a token file that others may read is refused, and standard input is taken", async () => {
    const path = tokenFile("open");
    writeFileSync(path, readFileSync(tokenFile("ann")));
    chmodSync(path, 0o644);
    expect(await with_(["--ca", caFile], url, path)).toMatchObject({
      code: 2,
      err: expect.stringContaining("chmod 600"),
    });
    const world = fakeWorld({ stdin: readFileSync(tokenFile("ann"), "utf8") });
    const args = ["--remote", url, "--token-file", "-", "--ca", caFile, "devices", "ls"];
    expect((await outcome(args, world)).code).toBe(0);
    expect(existsSync(tokenFile("none"))).toBe(false);
    expect(await with_(["--ca", caFile], url, tokenFile("none"))).toMatchObject({ code: 2 });
  });

  test("a wrong token is told as every other", async () => {
    const path = tokenFile("wrong");
    writeFileSync(path, "hatchway_wrong\n", { mode: 0o600 });
    expect(await with_(["--ca", caFile], url, path)).toMatchObject({
      code: 3,
      err: expect.stringContaining("this token"),
    });
  });
});
