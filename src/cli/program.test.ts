import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dataDirectories, fakeWorld, outcome } from "../../test/fixtures/fake-world.ts";
import type { AttachEvent, LinkEvent } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { FakeAgent, FakeRelay } from "../servers/local/fake-control.ts";
import { serveAgentControl, serveRelayControl } from "../servers/local/server.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const { freshData, joinedData, remove } = dataDirectories();
afterAll(remove);

describe("wrong usage: one sentence, exit 2, nothing on stdout", () => {
  const data = freshData();
  test.each([
    ["unknown command", "expos 80", "hatchway: unknown command 'expos'. Did you mean expose?\n"],
    ["unknown option", "expose 80 --protocl tcp", "hatchway: unknown option '--protocl'. Did you mean --protocol?\n"],
    ["no argument", "expose", "hatchway: missing required argument 'PORTSET'.\n"],
    [
      "too many arguments",
      "expose 80 90",
      "hatchway: too many arguments for 'expose'. Expected 1 argument but got 2.\n",
    ],
    ["option without value", "expose 80 --to", "hatchway: option '--to <HOST>' argument missing.\n"],
    [
      "port set",
      "expose 8820,8815-8810",
      "hatchway: PORTSET: Write the lower port first.\n  8820,8815-8810\n       ^^^^^^^^^\nDid you mean 8810-8815?\n",
    ],
    [
      "word",
      "expose 80 --protocol tpc",
      'hatchway: --protocol must be "tcp", "udp" or "tcp+udp", not "tpc". Did you mean "tcp"?\n',
    ],
    ["number", "expose 80 --connections many", 'hatchway: --connections must be a number, not "many".\n'],
    ["network", "expose 80 --allow 10.0.0.0/33", "hatchway: --allow: The prefix length"],
    ["as", "expose 80-82 --as 90", "hatchway: --as: `as` is 1 port and the ports are 3 ports"],
    ["host", "expose 80 --to a..b", "hatchway: --to: A host name has no empty part between dots."],
    ["two at once", "expose 80 --idle 5 --bandwidth x", 'hatchway: --bandwidth: "x" is not a bandwidth'],
    ["forward add", "forward add 99999", "hatchway: PORTSET: "],
    ["forward rm", "forward rm", "hatchway: missing required argument 'NAME'.\n"],
    ["forward alone", "forward", "Usage: hatchway forward"],
    ["direct", "direct 80", "hatchway: missing required argument 'TARGET'.\n"],
    ["check alone", "check", "hatchway: missing required argument 'TARGET'.\n"],
    ["check's protocol", "check 80/icmp", 'hatchway: TARGET: Write tcp or udp after "/".\n  80/icmp\n    ^^^^^\n'],
    [
      "check's payload",
      "check 53/udp --payload telnet",
      "hatchway: --payload: Choose one of minecraft-bedrock, source, dns,",
    ],
    ["check's service", "check 80 --service db", "hatchway: --service: "],
    [
      "direct's target",
      "direct 80 90",
      "hatchway: TARGET: Add the host before the port.\n  90\n  ^^\nDid you mean 127.0.0.1:90?\n",
    ],
    ["direct's ports", "direct 80-82 db:90", "hatchway: TARGET: 80-82 is 3 ports and db:90 is 1 port"],
    ["connect alone", "connect", "hatchway: Name at least one forward with -L, -R or -D.\n"],
    ["connect -L", "connect -L 80", "hatchway: -L: "],
    [
      "connect -R with an address",
      "connect -R 127.0.0.1:80:db:80",
      "hatchway: -R: The relay opens it on its public address",
    ],
    [
      "connect --remote with an address",
      "connect --remote 127.0.0.1:80:db:80",
      "hatchway: -R: The relay opens it on its",
    ],
    [
      "the same behind an option",
      "--verbose connect --remote 127.0.0.1:80:db:80",
      "hatchway: -R: The relay opens it on",
    ],
    ["connect -R as a proxy", "connect -R 1080", "hatchway: -R without a target is not offered"],
    ["connect --via", "connect -D 1080 --via office", 'hatchway: --via must be relay or agent:NAME, not "office".\n'],
    [
      "connect's name alone",
      "connect -D 1080 --username ann",
      "hatchway: --username and --password-file go together.\n",
    ],
    [
      "serve --listen",
      "serve --listen x:99999",
      "hatchway: --listen: The port is a number from 0 to 65535.\n  x:99999\n    ^^^^^\n",
    ],
    [
      "serve --ports",
      "serve --ports 9-8",
      "hatchway: --ports: Write the lower port first.\n  9-8\n  ^^^\nDid you mean 8-9?\n",
    ],
    ["serve --public", "serve --public a..b", "hatchway: --public: A host name has no empty part between dots."],
    ["agent --join", "agent --join hello", "hatchway: This is not a join code"],
    ["agent, two codes", "agent --join a --join-file b", "hatchway: Give the join code once"],
    [
      "agent --join-file",
      "agent --join-file /nonexistent/code",
      "hatchway: There is no file /nonexistent/code with a join code.\n",
    ],
    ["join-code create", "join-code create", "hatchway: required option '--name <NAME>' not specified.\n"],
    [
      "its lifetime",
      "join-code create --name a --lifetime 5",
      'hatchway: --lifetime: "5" is not a duration: write 90s, 10m, 2h or 1d.\n  5\n  ^\nDid you mean 5s?\n',
    ],
    ["its ports", "join-code create --name a --ports x", "hatchway: --ports: "],
    ["devices revoke", "devices revoke", "hatchway: missing required argument 'DEVICE'.\n"],
    ["user reset", "user reset", "hatchway: missing required argument 'NAME'.\n"],
    ["user invite --role", "user invite --role root", "hatchway: option '--role <ROLE>' argument 'root' is invalid."],
    ["user invite --lifetime", "user invite --lifetime 5", 'hatchway: --lifetime: "5" is not a duration'],
    ["user role", "user role ada root", "hatchway: command-argument value 'root' is invalid"],
    ["token create", "token create", "hatchway: required option '--name <NAME>' not specified.\n"],
    ["token create --lifetime", "token create --name a --lifetime 5", 'hatchway: --lifetime: "5" is not a duration'],
    ["token create --scope", "token create --name a --scope x", "hatchway: option '--scope <SCOPE>' argument 'x'"],
    ["--token-file alone", "status --token-file f", "hatchway: --token-file goes with --remote: name"],
    ["--ca alone", "--ca f status", "hatchway: --ca goes with --remote: name"],
    ["--remote for this machine", "expose 80 --remote https://x", "hatchway: `hatchway expose` has to do with this"],
    ["--remote before it", "--remote https://x config schema", "hatchway: `hatchway config` has to do with this"],
    ["--remote without a token", "status --remote https://x", "hatchway: --remote needs --token-file FILE"],
    [
      "--remote of no address",
      "status --remote x:1",
      "hatchway: --remote is the address of the relay's console, such as",
    ],
    [
      "--remote with a path",
      "status --remote https://x/v1",
      "hatchway: --remote has no path and no password: write https://x.",
    ],
    ["--remote with a password", "status --remote https://a:b@x", "hatchway: --remote has no path and no password"],
    ["--remote in the clear", "status --remote http://x", "hatchway: --remote by plain HTTP would show the token"],
    [
      "--ca and --fingerprint",
      "status --remote https://x --ca a --fingerprint b",
      "hatchway: Give --ca or --fingerprint",
    ],
    [
      "--fingerprint",
      "status --remote https://x --fingerprint abc",
      "hatchway: --fingerprint is 64 hexadecimal digits",
    ],
    ["--token-file", "status --remote https://x --token-file /nonexistent", "hatchway: There is no file /nonexistent"],
    ["--ca", "status --remote https://x --token-file - --ca /nonexistent", "hatchway: There is no file /nonexistent"],
    ["no token", "status --remote https://x --token-file -", "hatchway: --token-file holds no token"],
    ["config validate", "config validate /nonexistent.toml", "hatchway: There is no config file /nonexistent.toml.\n"],
    ["--config", "serve --config /nonexistent.toml", "hatchway: There is no config file /nonexistent.toml.\n"],
  ])("%s", async (_, line, expected) => {
    const { code, out, err } = await outcome([...line.split(" "), "--data", data]);
    expect(err.slice(0, expected.length)).toBe(expected);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).not.toContain("    at ");
  });

  test("a config file's mistake begins with its place", async () => {
    const directory = freshData();
    writeFileSync(join(directory, "hatchway.toml"), "[[expose]]\nprot = 1\nports = 80\n");
    const { code, err } = await outcome(["agent", "--data", directory]);
    expect(code).toBe(2);
    expect(err).toBe(
      `${directory}/hatchway.toml:2:1: "prot" is not a key that is known here. Did you mean protocol?\n`,
    );
  });
});

describe("nothing runs: exit 4", () => {
  test.each([
    ["status"],
    ["forward ls"],
    ["forward add 80"],
    ["forward rm x"],
    ["devices ls"],
    ["devices revoke x"],
    ["user ls"],
    ["user invite"],
    ["user reset x"],
    ["user disable x"],
    ["user rm x"],
    ["token ls --user x"],
    ["token create --user x --name y"],
    ["token rm y --user x"],
    ["join-code create --name a"],
  ])("%s", async (line) => {
    const { code, out, err } = await outcome([...line.split(" "), "--data", freshData()]);
    expect({ code, out }).toEqual({ code: 4, out: "" });
    expect(err.split("\n")).toHaveLength(2);
  });
});

describe("help", () => {
  test.each([
    [["--help"], "join-code"],
    [["expose", "--help"], "hatchway expose 25565"],
    [["help", "serve"], '{"event":"ready"'],
    [["connect", "--help"], "-L, --local"],
    [["forward", "add", "--help"], "--bandwidth"],
  ])("%j", async (args, part) => {
    const { code, out, err } = await outcome(args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain(part);
    expect(out).toContain("Examples:");
  });
});

describe("serve and agent", () => {
  test("serve prints one ready line, reloads on SIGHUP and ends on a stop", async () => {
    const data = freshData();
    const world = fakeWorld();
    const args = ["serve", "--json", "--data", data, "--listen", "127.0.0.1:0", "--ports", "2000-2001/tcp"];
    const ended = runProgram(args, world.io);
    const [line = ""] = await world.lines(1);
    expect(JSON.parse(line)).toMatchObject({
      event: "ready",
      v: 1,
      listen: { port: 7744 },
      public: "relay.example",
      data,
    });
    expect(await world.started.relay!.readSettings()).toMatchObject({
      listen: { host: "127.0.0.1", port: 0 },
      ports: [{ protocol: "tcp", first: 2000, last: 2001, internalFirst: 2000 }],
    });
    world.hangup();
    world.stopped.abort();
    expect(await ended).toBe(0);
    expect(world.stdout().split("\n")).toHaveLength(2);
  });

  test("agent prints the link's changes", async () => {
    const connected: LinkEvent = {
      event: "connected",
      relay: { host: "relay.example", port: 7744 },
      name: "den",
      deviceId: "dev-1",
      carriers: 3,
      rttMs: 12,
    };
    const world = fakeWorld({ link: [connected] });
    const ended = runProgram(["agent", "--json", "--data", freshData()], world.io);
    const [line = ""] = await world.lines(1);
    expect(JSON.parse(line)).toEqual({ v: 1, ...connected });
    expect(world.started.agent).toMatchObject({ joinCode: null, runListed: true });
    world.stopped.abort();
    expect(await ended).toBe(0);
  });

  test.each([
    ["argument", ["--join", "CODE"], {}],
    ["standard input", ["--join", "-"], { stdin: "CODE\n" }],
    ["file that is standard input", ["--join-file", "-"], { stdin: "CODE\n" }],
    ["environment", [], { env: { HATCHWAY_JOIN: "CODE" } }],
  ])("a join code comes by %s", async (_, args, parts) => {
    const { encodeJoinCode } = await import("../wire/join-code.ts");
    const made = encodeJoinCode({
      relay: { host: "relay.example", port: 7744 },
      secret: new Uint8Array(16),
      trust: "pinned",
      fingerprint: new Uint8Array(32),
    });
    if (!made.ok) throw new Error(made.error.message);
    const fill = (text: string) => text.replace("CODE", made.value);
    const env = "env" in parts ? { HATCHWAY_JOIN: fill(parts.env.HATCHWAY_JOIN) } : {};
    const world = fakeWorld({ env, ...("stdin" in parts ? { stdin: fill(parts.stdin) } : {}) });
    world.stopped.abort();
    expect(await runProgram(["agent", "--data", freshData(), ...args.map(fill)], world.io)).toBe(0);
    expect(world.started.agent?.joinCode).toBe(made.value);
  });
});

describe("foreground", () => {
  test.each([
    [
      "expose 8080 --to db",
      { type: "remote", endpoints: [{ protocol: "tcp", host: "relay.example", port: 8080, internalHost: "db" }] },
    ],
    ["expose 80 --as any", { endpoints: [{ port: 20_000, internalPort: 80 }] }],
    [
      "connect -R 2222:localhost:22",
      { type: "remote", endpoints: [{ port: 2222, internalHost: "localhost", internalPort: 22 }] },
    ],
    [
      "connect -L 5432:db:5433 --via agent:office",
      { type: "local", endpoints: [{ host: "127.0.0.1", port: 5432, internalPort: 5433 }] },
    ],
    ["connect -D 1080", { type: "dynamic", endpoints: [{ port: 1080, internalHost: null }] }],
    ["direct *:80 db:81", { type: "direct", endpoints: [{ host: "*", port: 80, internalPort: 81 }] }],
  ])("%s --json prints one line and ends on a stop", async (line, expected) => {
    const world = fakeWorld();
    const ended = runProgram([...line.split(" "), "--json", "--data", await joinedData()], world.io);
    const [first = ""] = await world.lines(1);
    expect(JSON.parse(first)).toMatchObject({ event: "exposed", v: 1, ...expected });
    world.stopped.abort();
    expect(await ended).toBe(0);
    expect(world.stdout().split("\n")).toHaveLength(2);
  });

  test("off a terminal: an address a line, no cursor movement", async () => {
    const world = fakeWorld();
    const ended = runProgram(["expose", "8080-8082", "--data", await joinedData()], world.io);
    expect(await world.lines(1)).toEqual(["relay.example:8080-8082/tcp → 127.0.0.1:8080-8082"]);
    world.stopped.abort();
    await ended;
    expect(world.stdout()).not.toContain("\u001b");
  });

  test("on a terminal: a box and counters; NO_COLOR leaves the colours out", async () => {
    const world = fakeWorld({ terminal: true, env: { NO_COLOR: "1" } });
    const ended = runProgram(["expose", "8080", "--data", await joinedData()], world.io);
    await world.lines(4);
    world.stopped.abort();
    await ended;
    expect(world.stdout()).toContain("│ relay.example:8080/tcp → 127.0.0.1:8080 │");
    expect(world.stdout()).not.toContain("\u001b[3");
  });

  test("a refusal is one sentence and exit 3", async () => {
    const { code, out, err } = await outcome(["expose", "80", "--json", "--data", await joinedData()]);
    expect({ code, out, err }).toEqual({
      code: 3,
      out: "",
      err: "hatchway: The relay does not give out ports below 1024.\n",
    });
  });

  test.each([
    ["conflict", 1],
    ["credentials", 3],
    ["policy", 3],
    ["unreachable", 4],
    ["usage", 2],
    ["failed", 1],
  ] as const)("refused for %s: exit %p", async (kind, expected) => {
    const world = fakeWorld();
    const refused: AttachEvent = { event: "refused", v: 1, id: "x", name: "x", kind, message: "No." };
    const standalone = async function* () {
      yield refused;
    };
    const io: Io = { ...world.io, roles: { ...world.io.roles, standalone: async () => standalone } };
    expect(await runProgram(["direct", "8080", "db:80"], io)).toBe(expected);
  });

  test("an unexpected exception: a sentence, exit 1, the stack only with --verbose", async () => {
    const world = fakeWorld();
    const io: Io = {
      ...world.io,
      roles: { ...world.io.roles, standalone: () => Promise.reject(new TypeError("boom")) },
    };
    expect(await runProgram(["direct", "8080", "db:80"], io)).toBe(1);
    expect(world.stderr()).toBe(
      "hatchway: Unexpected error: boom\nRun the command again with --verbose to see where.\n",
    );
    expect(await runProgram(["direct", "8080", "db:80", "--verbose"], io)).toBe(1);
    expect(world.stderr()).toContain("    at ");
  });
});

describe("agent --managed", () => {
  test.each([
    ["agent --managed", true],
    ["agent --no-managed", false],
    ["agent", undefined],
  ])("%s", async (line, expected) => {
    const world = fakeWorld();
    world.stopped.abort();
    expect(await runProgram([...line.split(" "), "--data", freshData()], world.io)).toBe(0);
    expect(world.started.agent?.managed).toBe(expected);
  });
});

test("a command's own options stand before those of every command, also where --help is all", async () => {
  for (const line of ["forward", "forward ls", "man", "serve", ""]) {
    const { out } = await outcome([...line.split(" "), "--help"].filter((word) => word !== ""));
    const [own, common] = ["\nOptions:\n", "\nOptions of every command:\n"].map((title) => out.indexOf(title));
    expect([line, (own ?? 0) > 0, (own ?? 0) < (common ?? 0)]).toEqual([line, true, true]);
  }
});

describe("with a relay and an agent that run", () => {
  const data = freshData();
  const [fakeRelay, fakeAgent] = [new FakeRelay(), new FakeAgent()];
  const relay = serveRelayControl(fakeRelay, { path: join(data, "relay.sock"), onUnexpected: () => {} });
  const agent = serveAgentControl(fakeAgent, { path: join(data, "agent.sock"), onUnexpected: () => {} });
  afterAll(async () => {
    await relay.close();
    await agent.close();
  });
  const at = (line: string) => outcome([...line.split(" "), "--data", data]);

  test("join-code create prints the code and nothing else", async () => {
    expect(await at("join-code create --name den")).toEqual({ code: 0, out: "code-for-den\n", err: "" });
    expect((await at("join-code create --name den --json")).out).toBe('{"v":1,"code":"code-for-den"}\n');
  });

  test("forward add, ls and rm", async () => {
    expect(await at("forward add 8080 --name web")).toEqual({
      code: 0,
      out: "relay.example:8080/tcp → 127.0.0.1:8080\n",
      err: "",
    });
    expect(JSON.parse((await at("forward ls --json")).out)).toMatchObject({
      v: 1,
      forwards: [{ name: "web", state: "open" }],
    });
    expect((await at("forward ls")).out).toContain("relay.example:8080/tcp");
    expect((await at("forward add 80")).code).toBe(3);
    expect(await at("forward rm web")).toEqual({ code: 0, out: "", err: "Removed web.\n" });
    expect(await at("forward rm web")).toEqual({ code: 2, out: "", err: "hatchway: No forward is called web.\n" });
  });

  test("forward set, here and at the relay", async () => {
    await at("forward add 8082 --name shop");
    expect(await at("forward set shop --allow 192.0.2.0/24 --connections none")).toEqual({
      code: 0,
      out: "relay.example:8082/tcp → 127.0.0.1:8082\n",
      err: "",
    });
    expect(JSON.parse((await at("forward set shop --disable --json")).out)).toMatchObject({
      v: 1,
      forward: { name: "shop" },
    });
    expect(fakeAgent.changes).toEqual([
      ["shop", { allow: ["192.0.2.0/24"], connections: null }],
      ["shop", { enabled: false }],
    ]);
    expect(await at("forward set nothing --disable")).toEqual({
      code: 2,
      out: "",
      err: "hatchway: No forward is called nothing.\n",
    });
    await at("forward rm shop");
    await at("forward add 8083 --device den --name film");
    expect((await at("forward set film --connections 5 --device den")).code).toBe(0);
    expect((await at("forward set film --connections 6")).code).toBe(0);
    expect(fakeRelay.changes).toEqual([
      ["film", "den", { connections: 5 }],
      ["film", null, { connections: 6 }],
    ]);
    await at("forward rm film --device den");
  });

  test("forward add and rm for a device of the relay", async () => {
    expect(await at("forward add 8081 --device den --name game")).toEqual({
      code: 0,
      out: "relay.example:8081/tcp → 127.0.0.1:8081\n",
      err: "",
    });
    expect((await at("forward add 8081 --device attic")).code).toBe(2);
    expect(await at("forward rm game --device den")).toEqual({ code: 0, out: "", err: "Removed game.\n" });
    expect((await at("forward rm game")).err).toBe("hatchway: No forward is called game.\n");
  });

  test("status", async () => {
    const { code, out } = await at("status --json --visits");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      v: 1,
      relay: { role: "relay", v: 1 },
      agent: { role: "agent", v: 1 },
      visits: [],
    });
    const human = (await at("status")).out;
    expect(human).toContain("relay relay.example");
    expect(human).toContain("refused    2 refused: source not allowed 2");
  });

  test("devices", async () => {
    expect((await at("devices ls")).out).toContain("den");
    expect(await at("devices revoke den")).toEqual({ code: 0, out: "", err: "Revoked den.\n" });
    expect((await at("devices revoke nobody")).code).toBe(2);
  });

  test("user", async () => {
    expect((await at("user ls")).out).toMatch(/^NAME .*\nada +admin +owner +never +password and code, passkey\n$/);
    expect(JSON.parse((await at("user ls --json")).out)).toMatchObject({
      v: 1,
      people: [{ name: "ada", role: "admin" }],
    });
    expect(await at("user invite")).toEqual({ code: 0, out: "/invite#user-own-86400\n", err: "" });
    const shared = await at("user invite --role viewer --account owner --lifetime 2h --json");
    expect(JSON.parse(shared.out)).toEqual({ v: 1, link: "/invite#viewer-owner-7200" });
    expect(await at("user reset ada")).toEqual({ code: 0, out: "/reset#3600/ada\n", err: "" });
    expect(await at("user reset nobody")).toEqual({
      code: 2,
      out: "",
      err: 'hatchway: There is no person "nobody".\n',
    });
  });

  test("user role, disable, enable and rm", async () => {
    expect(await at("user role ada viewer")).toEqual({ code: 0, out: "", err: "ada is viewer now.\n" });
    expect(await at("user disable ada")).toEqual({ code: 0, out: "", err: "ada is shut out.\n" });
    expect(await at("user enable ada")).toEqual({ code: 0, out: "", err: "ada may sign in again.\n" });
    expect(JSON.parse((await at("user rm ada --json")).out)).toMatchObject({ v: 1, person: { name: "ada" } });
    expect((await at("user rm nobody")).code).toBe(2);
  });

  test("token", async () => {
    expect((await at("token ls --user ada")).out).toBe("No tokens: make one with `hatchway token create`.\n");
    expect((await at("token ls")).code).toBe(2);
    const create = "token create --user ada --name ci";
    expect(await at(create)).toEqual({ code: 0, out: "secret-of-ci\n", err: "" });
    expect(JSON.parse((await at(`${create}2 --scope all --lifetime permanent --json`)).out)).toMatchObject({
      v: 1,
      token: { name: "ci2", scopes: ["all"], expiresMs: null },
      secret: "secret-of-ci2",
    });
    expect((await at("token ls --user ada")).out).toMatch(
      /^NAME .*\nci +t-ci +read +never +over\nci2 +t-ci2 +all +never +never\n$/,
    );
    const file = join(data, "token");
    expect(await at(`${create}3 --out ${file}`)).toEqual({ code: 0, out: "", err: `Wrote ${file}.\n` });
    expect(readFileSync(file, "utf8")).toBe("secret-of-ci3\n");
    // No token is made of which nobody has the secret.
    expect(await at(`${create}4 --out ${file}`)).toMatchObject({ code: 2, out: "" });
    expect(await at(`${create}4 --out ${join(data, "none", "token")}`)).toMatchObject({ code: 1, out: "" });
    expect((await at("token ls --user ada")).out).not.toContain("ci4");
    expect(await at("token rm ci --user ada")).toEqual({ code: 0, out: "", err: "Removed ci.\n" });
    expect((await at("token rm ci --user ada")).code).toBe(2);
  });

  test("check asks the agent that runs; its exit code is the answer", async () => {
    const asked = (...args: string[]) => outcome(["check", ...args, "--data", data]);
    await outcome(["forward", "add", "8443", "--data", data]);
    const open = await asked("8443", "--json");
    expect({ ...open, out: JSON.parse(open.out) }).toMatchObject({
      code: 0,
      err: "",
      out: { v: 1, state: "open", hop: "none", target: { protocol: "tcp", host: "relay.example", port: 8443 } },
    });
    const closed = await asked("9");
    expect(closed).toEqual({
      code: 1,
      err: "",
      out: "relay.example:9/tcp\n  ✗ relay          asked\nclosed: No forward has it.\nOpen it.\n",
    });
    expect(await asked("nothing")).toMatchObject({ code: 2, out: "", err: expect.stringContaining("nothing") });
  });

  test("expose goes through the agent that runs", async () => {
    const world = fakeWorld();
    const ended = runProgram(["expose", "8080", "--json", "--data", data], world.io);
    await world.lines(1);
    expect(world.started.agent).toBeUndefined();
    world.stopped.abort();
    expect(await ended).toBe(0);
  });
});

test("config validate and schema", async () => {
  const file = join(freshData(), "hatchway.toml");
  writeFileSync(file, "[[expose]]\nports = 80\n");
  expect(await outcome(["config", "validate", file])).toEqual({
    code: 0,
    out: "",
    err: `${file} is right; it lists 1 forward.\n`,
  });
  expect(JSON.parse((await outcome(["config", "validate", file, "--json"])).out)).toEqual({ v: 1, file, forwards: 1 });
  expect(JSON.parse((await outcome(["config", "schema"])).out)).toMatchObject({
    type: "object",
    additionalProperties: false,
  });
});

describe("the data directory", () => {
  test.each([
    ["--data", ["--data", "/d"], { HATCHWAY_DATA: "/e" }, "/d"],
    ["$HATCHWAY_DATA", [], { HATCHWAY_DATA: "/e", XDG_DATA_HOME: "/x" }, "/e"],
    ["$XDG_DATA_HOME", [], { XDG_DATA_HOME: "/x", HOME: "/h" }, "/x/hatchway"],
    ["the home directory", [], { HOME: "/h" }, "/h/.local/share/hatchway"],
  ])("by %s", async (_, args, env, expected) => {
    const { err } = await outcome(["status", ...args], fakeWorld({ env }));
    expect(err).toContain(`Nothing runs with ${expected}:`);
  });

  test("by `data` of the file that --config names, relative to it", async () => {
    const directory = freshData();
    const file = join(directory, "other.toml");
    writeFileSync(file, '[relay]\ndata = "here"\n');
    const world = fakeWorld();
    world.stopped.abort();
    await runProgram(["serve", "--config", file], world.io);
    expect(world.started.relay?.dataDir).toBe(join(directory, "here"));
  });
});

test("ControlErrors of the in-process agent keep their exit code", async () => {
  const world = fakeWorld();
  const io: Io = {
    ...world.io,
    roles: {
      ...world.io.roles,
      agent: async () => () => Promise.reject(new ControlError("usage", "This machine has not joined a relay.")),
    },
  };
  expect(await runProgram(["expose", "8080", "--data", await joinedData()], io)).toBe(2);
});

test("a device that the relay rejects: exit 3, though its link was reported down before", async () => {
  const world = fakeWorld();
  const closed = Promise.withResolvers<void>();
  // A command that has stopped the agent need not look at it.
  closed.promise.catch(() => {});
  const rejected = Object.assign(new FakeAgent(), {
    closed: closed.promise,
    stop: async () => closed.reject(new ControlError("refused", "The relay revoked this device.")),
    async *link() {},
    async *attach(): AsyncGenerator<AttachEvent> {
      yield { event: "down", v: 1, message: "The relay revoked this device.", retryInMs: null };
    },
  });
  const io: Io = { ...world.io, roles: { ...world.io.roles, agent: async () => async () => rejected } };
  expect(await runProgram(["expose", "8080", "--data", await joinedData()], io)).toBe(3);
});
