import { describe, expect, test } from "bun:test";
import { GluetunEntry, gluetunSettings, HookEntry, hookSettings } from "./hooks.ts";
import { problemsOf, renderProblem } from "./problem.ts";

const beside = (path: string) => `/etc/hatchway/${path}`;

/** What the TOML of one table comes to, or what is wrong with it. */
function read(kind: "hook" | "gluetun", toml: string): unknown {
  const raw: unknown = Bun.TOML.parse(toml);
  const schema = kind === "hook" ? HookEntry : GluetunEntry;
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    return problemsOf(parsed.error.issues, raw, () => Object.keys(schema.shape)).map((one) =>
      renderProblem(`"${one.path.join(".")}"`, one),
    )[0];
  }
  const made =
    kind === "hook"
      ? hookSettings(parsed.data as HookEntry, 1, beside)
      : gluetunSettings(parsed.data as GluetunEntry, beside);
  return made.ok ? made.value : renderProblem(`"${made.error.path.join(".")}"`, made.error);
}

describe("[[hook]]", () => {
  test("a program, with the defaults", () => {
    expect(read("hook", 'run = ["/usr/local/bin/port", "{{PORT}}"]')).toEqual({
      kind: "program",
      label: "hook 1",
      filter: { on: ["opened", "changed", "closed"], forward: null, owner: { kind: "everybody" }, ports: null },
      timeoutMs: 30_000,
      argv: ["/etc/hatchway//usr/local/bin/port", "{{PORT}}"],
    });
  });

  test("a webhook, with everything", () => {
    const settings = read(
      "hook",
      `name = "notify"\nurl = "https://ntfy.example/ports"\non = ["opened"]\nforward = "web"\ndevice = "attic"
       ports = "80, 443"\nkey-file = "hook.key"\ntimeout = "1m"`,
    );
    expect(settings).toMatchObject({
      kind: "webhook",
      label: "notify",
      filter: { on: ["opened"], forward: "web", owner: { kind: "device", device: "attic" } },
      timeoutMs: 60_000,
      url: "https://ntfy.example/ports",
      keyFile: "/etc/hatchway/hook.key",
    });
  });

  test.each<[string, string, unknown]>([
    ["a name in PATH stays one", 'run = ["curl"]', { argv: ["curl"] }],
    ["a relative program is beside the file", 'run = ["./hook.sh"]', { argv: ["/etc/hatchway/./hook.sh"] }],
    ["other braces", 'run = ["docker", "{{.State}}"]', { argv: ["docker", "{{.State}}"] }],
    ["the webhook's time", 'url = "http://127.0.0.1/"', { timeoutMs: 10_000, keyFile: null }],
    ["clients", 'run = ["true"]\nclient = ["192.168.1.0/24"]', { filter: { owner: { kind: "client" } } }],
  ])("%s", (_what, toml, settings) => {
    expect(read("hook", toml)).toMatchObject(settings as object);
  });

  test.each<[string, string, RegExp]>([
    ["neither", 'name = "x"', /needs run/],
    ["both", 'run = ["x"]\nurl = "https://x.example/"', /"url" must stand in a hook of its own/],
    ["no arguments", "run = []", /"run" must not be empty/],
    ["no program", 'run = [""]', /must be a program/],
    ["a zero byte", 'run = ["x", "a\\u0000"]', /must not hold a zero byte/],
    ["a command line", 'run = "echo x"', /must be a list/],
    ["a template that is none", 'run = ["x", "{{PROT}}"]', /"run.1" has \{\{PROT\}\}.*Did you mean \{\{PORT\}\}\?/],
    ["an event that is none", 'run = ["x"]\non = ["open"]', /"opened", "changed" or "closed".*Did you mean "opened"/],
    ["a key it has not", 'run = ["x"]\ntimeut = "1s"', /Did you mean timeout/],
    ["a key for a program", 'run = ["x"]\nkey-file = "k"', /is for url/],
    ["no URL", 'url = "ntfy.sh/x"', /begins with https/],
    ["another scheme", 'url = "file:///etc/passwd"', /begins with https/],
    ["a password in the URL", 'url = "https://u:p@x.example/"', /must not hold a user name or a password/],
    ["ports that are none", 'run = ["x"]\nports = "80-"', /ports/],
    ["device and client", 'run = ["x"]\ndevice = "a"\nclient = ["10.0.0.1"]', /"client" must not stand beside device/],
  ])("wrong: %s", (_what, toml, message) => {
    expect(read("hook", toml)).toMatch(message);
  });
});

describe("[gluetun]", () => {
  test.each<[string, string, unknown]>([
    [
      "a port alone is loopback's",
      "listen = 8000",
      {
        listen: { bind: "127.0.0.1", port: 8000, hosts: [] },
        keyFile: null,
        statusFile: null,
        owner: { kind: "everybody" },
      },
    ],
    [
      "beyond loopback, with a key",
      'listen = "*:8000"\nkey-file = "api.key"\nstatus-file = "port"\ndevice = "attic"\nhosts = ["Gateway"]',
      {
        listen: { bind: "*", port: 8000, hosts: ["gateway"] },
        keyFile: "/etc/hatchway/api.key",
        statusFile: "/etc/hatchway/port",
        owner: { kind: "device", device: "attic" },
      },
    ],
    ["loopback of IPv6", 'listen = "[::1]:8000"', { listen: { bind: "::1", port: 8000 } }],
    ["a file alone", 'status-file = "port"', { listen: null, statusFile: "/etc/hatchway/port" }],
  ])("%s", (_what, toml, settings) => {
    expect(read("gluetun", toml)).toMatchObject(settings as object);
  });

  test.each<[string, string, RegExp]>([
    ["nothing", 'device = "attic"', /needs listen or status-file/],
    ["beyond loopback without a key", 'listen = "*:8000"', /"listen" needs key-file/],
    ["several ports", 'listen = "8000-8001"', /must be one TCP port/],
    ["UDP", 'listen = "8000/udp"', /must be one TCP port/],
    ["names for no server", 'status-file = "p"\nhosts = ["a"]', /"hosts" needs listen/],
    ["a name that is none", 'listen = 8000\nhosts = ["a b"]', /must be a host name/],
    ["a key for no server", 'status-file = "p"\nkey-file = "k"', /needs listen/],
  ])("wrong: %s", (_what, toml, message) => {
    expect(read("gluetun", toml)).toMatch(message);
  });
});
