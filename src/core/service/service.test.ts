import { describe, expect, test } from "bun:test";
import { readXml, type XmlElement } from "../../wire/igd/xml.ts";
import { launchdPlist } from "./launchd.ts";
import { HASH_COMMENT, marked, readMarked, XML_COMMENT } from "./mark.ts";
import { type ServiceSpec, serviceArgv } from "./model.ts";
import { systemdUnit } from "./systemd.ts";
import { windowsTask } from "./windows.ts";

const RELAY: ServiceSpec = {
  role: "relay",
  scope: "system",
  program: ["/opt/hatchway/bin/hatchway"],
  dataDir: "/var/lib/hatchway",
  configFile: null,
  user: "hatchway",
  withGateway: false,
  withoutRelay: false,
  path: null,
};
const unit = (changes: Partial<ServiceSpec> = {}): string => {
  const made = systemdUnit({ ...RELAY, ...changes });
  if (!made.ok) throw new Error(made.error);
  return made.value;
};

describe("a unit of systemd", () => {
  test.each<[string, Partial<ServiceSpec>, string]>([
    ["a plain path", {}, "ExecStart=/opt/hatchway/bin/hatchway serve --data /var/lib/hatchway\n"],
    ["a config", { configFile: "/etc/a.toml" }, " --config /etc/a.toml\n"],
    ["blanks", { program: ["/opt/my programs/hatchway"] }, 'ExecStart="/opt/my programs/hatchway" serve'],
    ["a specifier's sign", { dataDir: "/srv/50%" }, 'ReadWritePaths="/srv/50%%"\n'],
    ["a variable's sign", { dataDir: "/srv/$HOME" }, '--data "/srv/$$HOME"\n'],
    ["a quote", { dataDir: '/srv/"a"' }, '--data "/srv/\\"a\\""'],
    ["a data directory of the state's", { dataDir: "/var/lib/a/b" }, "StateDirectory=a/b\n"],
    ["one elsewhere", { dataDir: "/srv/hatchway" }, "ReadWritePaths=/srv/hatchway\n"],
    ["one that climbs", { dataDir: "/var/lib/../x" }, "ReadWritePaths=/var/lib/../x\n"],
    ["the state's own root", { dataDir: "/var/lib/" }, "ReadWritePaths=/var/lib/\n"],
    ["a program in a home", { program: ["/home/ann/hatchway"] }, "ProtectHome=read-only\n"],
    ["none in a home", { program: ["/homely/hatchway"] }, "ProtectHome=yes\n"],
    ["Bun elsewhere", { path: "/opt/bun/bin:/bin" }, "Environment=PATH=/opt/bun/bin:/bin\n"],
    ["an agent", { role: "agent" }, "CapabilityBoundingSet=\nPrivateUsers=yes\n"],
    ["an agent without a relay", { role: "agent", withoutRelay: true }, "hatchway agent --no-relay --data"],
    ["a relay's upgrade", {}, "ExecReload=/opt/hatchway/bin/hatchway relay upgrade --data /var/lib/hatchway\n"],
    ["an agent's reload", { role: "agent" }, "ExecReload=/bin/kill -HUP $MAINPID\n"],
    ["a gateway", { role: "gateway" }, "ExecReload=+/bin/kill -HUP $MAINPID\n"],
    ["a gateway's start", { role: "gateway" }, "ExecStart=!/opt/hatchway/bin/hatchway gateway --data"],
    ["a gateway's home", { role: "gateway" }, "UnsetEnvironment=HOME\n"],
    ["a relay that is a gateway", { withGateway: true }, "CAP_SETPCAP CAP_NET_BIND_SERVICE\n"],
    ["a user's own", { role: "agent", scope: "user", user: null }, "WantedBy=default.target\n"],
  ])("%s", (_what, changes, expected) => expect(unit(changes)).toContain(expected));

  test.each<[Partial<ServiceSpec>, boolean]>([
    [{}, false],
    [{ role: "agent" }, false],
    [{ role: "gateway" }, true],
    [{ withGateway: true }, true],
  ])("%p is the user's, and starts as root: %p", (changes, asRoot) => {
    expect(unit(changes)).toContain("\nUser=hatchway\n");
    expect(unit(changes).includes("\nExecStart=!")).toBe(asRoot);
  });

  test.each<[string, Partial<ServiceSpec>]>([
    ["a line's end in a path", { dataDir: "/srv/a\nUser=root" }],
    ["a line's end in the program", { program: ["/opt/a\nb"] }],
    ["a user that is no name", { user: "root\nUser=x" }],
    ["a user with a blank", { user: "a b" }],
  ])("is not made of %s", (_what, changes) => expect(systemdUnit({ ...RELAY, ...changes }).ok).toBe(false));
});

const parse = (text: string): XmlElement => {
  const read = readXml(new TextEncoder().encode(text), 100_000);
  if (!read.ok) throw new Error(JSON.stringify(read.error));
  return read.value;
};
const child = (element: XmlElement | undefined, name: string) => element?.children.find((one) => one.name === name);

describe("a property list of launchd", () => {
  const plist = (changes: Partial<ServiceSpec> = {}) => {
    const made = launchdPlist({ ...RELAY, ...changes });
    if (!made.ok) throw new Error(made.error);
    return made.value;
  };

  test("is what launchd.plist(5) wants, with each character at its place", () => {
    const spec = { ...RELAY, dataDir: '/srv/<a> & "b"' };
    // The DTD is a fixed line, which the reader for UPnP rightly refuses.
    const root = parse(plist(spec).replace(/<!DOCTYPE[^>]*>\n/, ""));
    expect(root.name).toBe("plist");
    const [dict] = root.children;
    const pairs = (dict?.children ?? []).flatMap((one, at, all) =>
      one.name === "key" ? [[one.text, all[at + 1]] as const] : [],
    );
    const values = new Map(pairs);
    expect(pairs.length * 2).toBe(dict?.children.length ?? 0);
    expect(values.get("Label")?.text).toBe("hatchway.relay");
    expect(values.get("ProgramArguments")?.children.map(({ text }) => text)).toEqual(serviceArgv(spec));
    expect(values.get("UserName")?.text).toBe("hatchway");
    expect(values.get("RunAtLoad")?.name).toBe("true");
    expect(values.get("StandardErrorPath")?.text).toBe(`${spec.dataDir}/relay.log`);
  });

  test("of a user names none", () => expect(plist({ role: "agent", scope: "user" })).not.toContain("UserName"));
});

describe("a task of Windows", () => {
  const WINDOWS = { ...RELAY, program: ["C:\\Program Files\\hatchway.exe"], dataDir: "C:\\ProgramData\\Hatchway" };

  test("has the elements of the schema, and the command between quotes", () => {
    const made = windowsTask(WINDOWS);
    if (!made.ok) throw new Error(made.error);
    const root = parse(made.value);
    expect(root.children.map(({ name }) => name)).toEqual([
      "RegistrationInfo",
      "Triggers",
      "Principals",
      "Settings",
      "Actions",
    ]);
    const principal = child(child(root, "Principals"), "Principal");
    expect(child(principal, "UserId")?.text).toBe("S-1-5-19");
    const exec = child(child(root, "Actions"), "Exec");
    expect(child(exec, "Command")?.text).toBe("C:\\Windows\\System32\\cmd.exe");
    expect(child(exec, "Arguments")?.text).toBe(
      '/d /c ""C:\\Program Files\\hatchway.exe" "serve" "--data" "C:\\ProgramData\\Hatchway" 2>>"C:\\ProgramData\\Hatchway\\relay.log""',
    );
  });

  test.each(["%TEMP%", "a&b", 'a"b', "a|b", "a>b"])(
    "is not made of %p, which cmd.exe reads as more than text",
    (part) => {
      expect(windowsTask({ ...WINDOWS, dataDir: `C:\\${part}` }).ok).toBe(false);
    },
  );
});

describe("whose a file is", () => {
  test.each([
    ["a unit", unit(), HASH_COMMENT],
    ["XML", '<?xml version="1.0"?>\n<a>\n</a>\n', XML_COMMENT],
  ])("%s: ours, changed, and somebody else's", (_what, text, style) => {
    const spec = { ...RELAY, dataDir: "/srv/a--b" };
    const ours = marked(text, spec, style);
    expect(readMarked(ours, style)).toMatchObject({ kind: "whole", mark: { role: "relay", data: "/srv/a--b" } });
    expect(readMarked(`${ours}# mine\n`, style).kind).toBe("edited");
    expect(readMarked(text, style)).toEqual({ kind: "foreign" });
    expect(readMarked("", style)).toEqual({ kind: "foreign" });
    expect(readMarked(ours.replace('"v":1', '"v":2'), style)).toEqual({ kind: "foreign" });
    // No other place of an XML comment may hold "--".
    if (style === XML_COMMENT) expect(parse(ours).name).toBe("a");
  });
});
