import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXAMPLES, exampleSpec, exampleUnit } from "../../scripts/service-files.ts";
import { SERVICE_ROLES } from "../../src/core/service/model.ts";
import { systemdUnit } from "../../src/core/service/systemd.ts";
import type { ServiceRequest } from "../../src/roles/service/control.ts";
import type { ServiceHost } from "../../src/roles/service/host.ts";
import { servicesOn } from "../../src/roles/service/services.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-service-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** systemd's own tool, which needs no systemd that runs. */
function analyze(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", [...args], { encoding: "utf8", timeout: 20_000 });
  return { status, text: `${stdout}${stderr}` };
}

describe.skipIf(process.platform !== "linux")("the units, by systemd-analyze", () => {
  test.each(SERVICE_ROLES)("hatchway-%s is without fault", (role) => {
    const unit = systemdUnit({ ...exampleSpec(role), program: ["/bin/true"] });
    if (!unit.ok) throw new Error(unit.error);
    const file = join(root, `hatchway-${role}.service`);
    writeFileSync(file, unit.value);
    expect(analyze("verify", file)).toEqual({ status: 0, text: "" });
  });

  // What docs/service.md says, which has the reasons.
  test.each([
    ["relay", false, 1.5],
    ["agent", false, 1.1],
    ["gateway", false, 2],
    ["relay", true, 2.1],
  ] as const)("hatchway-%s (with a gateway: %p) is exposed to %p", (role, withGateway, figure) => {
    const unit = systemdUnit({ ...exampleSpec(role), withGateway });
    if (!unit.ok) throw new Error(unit.error);
    const file = join(root, `exposed-${role}.service`);
    writeFileSync(file, unit.value);
    const { text } = analyze("security", "--offline=true", "--no-pager", file);
    expect(text.match(/Overall exposure level for \S+: ([0-9.]+)/)?.[1]).toBe(figure.toFixed(1));
  });
});

test.each(SERVICE_ROLES)("the example of the %s is what the program writes (scripts/service-files.ts)", (role) => {
  const [name, text] = exampleUnit(role);
  expect(readFileSync(join(EXAMPLES, name), "utf8")).toBe(text);
});

describe("what is refused before anything changes", () => {
  let made = 0;
  /** A machine in a folder, that runs systemd and has user hatchway, and what was run on it. */
  function machine(parts: Partial<ServiceHost> = {}) {
    const directory = join(root, `m${made++}`);
    for (const folder of ["run/systemd/system", "etc/systemd/system", "opt"]) {
      mkdirSync(join(directory, folder), { recursive: true });
    }
    chmodSync(root, 0o755);
    writeFileSync(
      join(directory, "etc/passwd"),
      `hatchway:x:${process.getuid?.()}:${process.getgid?.()}::/:/bin/false\n`,
    );
    const program = join(directory, "opt/hatchway");
    writeFileSync(program, "");
    const ran: string[] = [];
    const host: ServiceHost = {
      root: directory,
      run: async (argv) => {
        ran.push(argv.join(" "));
        return { ok: true, value: { exitCode: 0, stdout: "ActiveState=inactive\nMainPID=0\n", stderr: "" } };
      },
      isRoot: true,
      uid: 1000,
      home: "/home/ann",
      environment: {},
      program: ["/opt/hatchway"],
      programFiles: [program],
      ...parts,
    };
    return {
      directory,
      ran,
      services: servicesOn(host),
      unit: join(directory, "etc/systemd/system/hatchway-relay.service"),
    };
  }
  const RELAY: ServiceRequest = {
    role: "relay",
    manager: "systemd",
    scope: "system",
    dataDir: null,
    configFile: null,
    user: null,
    withoutRelay: false,
  };
  const HOW = { now: false, force: false };
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => "nothing was refused",
      (error: Error) => error.message,
    );

  test("an ordinary user", async () => {
    const { services, ran } = machine({ isRoot: false });
    expect(await refusal(services.install(RELAY, HOW))).toStartWith("Run this as root, by sudo:");
    expect(await refusal(services.install({ ...RELAY, scope: "user" }, HOW))).toContain("is a service of the system");
    expect(ran).toEqual([]);
  });

  test("a machine without systemd", async () => {
    const { services, directory } = machine();
    rmSync(join(directory, "run"), { recursive: true });
    expect(await refusal(services.install(RELAY, HOW))).toContain("does not run systemd");
  });

  test("a config with a mistake, by its line", async () => {
    const { services, directory, ran } = machine();
    mkdirSync(join(directory, "etc/hatchway"));
    writeFileSync(join(directory, "etc/hatchway/hatchway.toml"), "[relay]\nprots = 80\n");
    expect(await refusal(services.install(RELAY, HOW))).toContain("hatchway.toml:2:1:");
    expect(ran).toEqual([]);
  });

  test("a program that the service's user may not read", async () => {
    const { services, directory } = machine();
    writeFileSync(join(directory, "etc/passwd"), "hatchway:x:4242:4242::/:/bin/false\n");
    chmodSync(join(directory, "opt"), 0o700);
    expect(await refusal(services.install(RELAY, HOW))).toContain(
      `may not read ${directory}/opt, where this program is`,
    );
  });

  test.each<[string, Partial<ServiceHost>, Partial<ServiceRequest>]>([
    ["a program", { program: ["/tmp/hatchway"] }, {}],
    ["data", {}, { dataDir: "/var/tmp/data" }],
  ])("%s in /tmp, of which the service has its own", async (_what, parts, request) => {
    const { services } = machine(parts);
    expect(await refusal(services.install({ ...RELAY, ...request }, HOW))).toContain("has a /tmp of its own");
  });

  test("a user that is not there", async () => {
    const { services } = machine();
    expect(await refusal(services.install({ ...RELAY, user: "bob" }, HOW))).toContain("There is no user bob");
  });

  test("a unit of somebody else's, until it is forced", async () => {
    const { services, unit, ran } = machine();
    writeFileSync(unit, "[Service]\nExecStart=/bin/true\n");
    expect(await refusal(services.install(RELAY, HOW))).toContain("is not of `service install`");
    expect(await refusal(services.uninstall(RELAY, { force: false }))).toContain("is not of `service install`");
    expect(await services.status(RELAY)).toMatchObject({ state: "foreign", program: null });
    expect(ran.filter((line) => !line.includes(" show "))).toEqual([]);
    expect(await services.install(RELAY, { now: false, force: true })).toMatchObject({ changed: true });
    expect(readFileSync(unit, "utf8")).toContain("Description=Hatchway relay");
  });

  test("--print does nothing", async () => {
    const { services, ran, unit } = machine({ isRoot: false });
    const rendered = await services.render(RELAY);
    expect(rendered.file).toBe("/etc/systemd/system/hatchway-relay.service");
    expect(rendered.text).toContain("ExecStart=");
    expect(ran).toEqual([]);
    expect(() => readFileSync(unit)).toThrow();
  });
});
