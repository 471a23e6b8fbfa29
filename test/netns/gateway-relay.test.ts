import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { dirname } from "node:path";
import { type ConsoleReady, firstAdmin } from "./api-kit.ts";
import { command, forwards, type Home, joinCode, newHome, open, run, startAgent } from "./hatchway.ts";
import { CONNECTS_OR_NOT, startService } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

/** One process that is a relay and a gateway: an agent on one LAN host, an app that asks for ports on the other. */
let lab: Lab;
let home: Home;
let agent: Home;
let consoleReady: ConsoleReady;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  home = newHome(lab, lab.nat, '[gateway]\nwan = "wan"\nlan = ["lan1", "lan2"]\n[relay]\nports = "80, 8000-8999"\n');
  chmodSync(lab.directory, 0o711);
  chmodSync(dirname(home.config), 0o755);
  const listen = ["--listen", "0.0.0.0:7744", "--public", lab.nat.v4, "--console", "127.0.0.1:7780"];
  const serve = lab.spawn(lab.nat, command(home, "serve", ...listen, "--json"));
  const ready = await serve.event<{ gateway: object; console: ConsoleReady }>("ready", { deadlineMs: 20_000 });
  consoleReady = ready.console;
  expect(ready.gateway).toMatchObject({ wan: ["wan"], externalAddress: lab.nat.v4 });
  agent = newHome(lab, lab.agent);
  await Promise.all([
    startAgent(lab, agent, await joinCode(lab, home, "attic")),
    startService(lab, lab.agent, "--host", "0.0.0.0", "port:tcp:80-81", "port:tcp:8000"),
    startService(lab, lab.other, "--host", "0.0.0.0", "peer:tcp:8000"),
  ]);
}, 60_000);
afterAll(() => lab[Symbol.asyncDispose]());

const reach = async (port: number): Promise<string> =>
  (await lab.exec(lab.visitor, ["curl", "-s", "--http0.9", ...CONNECTS_OR_NOT, `${lab.nat.v4}:${port}`])).stdout;
const ask = async (port: string): Promise<string> =>
  (await lab.exec(lab.other, ["natpmpc", "-g", "192.168.78.1", "-a", port, "8000", "tcp", "60"])).stdout;

test("a port that one has the other does not give away, whoever came first", async () => {
  await using exposed = await open(lab, agent, "expose", "8000");
  expect(exposed.endpoints).toMatchObject([{ host: lab.nat.v4, port: 8000 }]);
  expect(await ask("8000")).toContain("Mapped public port 8001");
  expect(await reach(8000)).toBe("8000");
  expect(await reach(8001)).toContain(lab.visitor.v4);
  const refused = await run(lab, agent, "expose", "81", "--as", "8001");
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("Port 8001/tcp")]);
}, 30_000);

test("the relay opens a public port below 1024, as an ordinary user", async () => {
  await using _ = await open(lab, agent, "expose", "80");
  expect(await reach(80)).toBe("80");
}, 20_000);

test("one list shows what both hold", async () => {
  await ask("8001");
  await using _ = await open(lab, agent, "expose", "8000");
  const types = (await forwards(lab, home)).map(({ type }) => type);
  expect(types.toSorted()).toEqual(["mapping", "remote"]);
});

test("one console shows both, and has the gateway's VPN", async () => {
  await ask("8003");
  await using _ = await open(lab, agent, "expose", "8000");
  const ann = await firstAdmin(lab, lab.nat, consoleReady);
  const seen = await ann.getOverview();
  expect(seen).toMatchObject({ roles: ["relay", "gateway"], gateway: { externalAddress: lab.nat.v4 } });
  expect(seen.listen).toEndWith(":7744");
  const first = await ann.listForwards({ limit: 1 });
  const rest = await ann.listForwards({ cursor: first.next });
  expect([...first.items, ...rest.items].map(({ way }) => way)).toEqual(expect.arrayContaining(["relay", "kernel"]));
  expect((await ann.listDevices()).items.map(({ name }) => name)).toEqual(expect.arrayContaining(["attic"]));
  expect(await ann.getVpn()).toEqual({ server: null });
  const made = await ann.addForward({ device: lab.other.v4, ports: "9000:8000" });
  expect(made.value.way).toBe("kernel");
  expect(await reach(9000)).toContain(lab.visitor.v4);
  await ann.removeForward(made.value.id, made.version);
  expect(await reach(9000)).toBe("");
  await ann.addTrigger({ name: "irc", out: "6667", in: "113" });
  expect((await ann.listTriggers()).items).toMatchObject([{ id: "irc" }]);
}, 30_000);
