import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { ApiProblem, type Client, createClient } from "../../src/servers/api/client.ts";
import type { LiveEvent } from "../../src/servers/api/schema.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { failureOf, mapping, type RolesLab, remote, rolesLab, until } from "../fixtures/roles-lab.ts";
import { ask, tcpService, visit } from "../fixtures/services.ts";

/** The API of a real relay with real agents, as its own client uses it: three people of two accounts. */
const PASSWORD = "correct horse battery";
const DEVICES = ["den", "attic"];
let lab: RolesLab;
let ann: Client;
let bob: Client;
let vic: Client;

beforeAll(async () => {
  const listen = { host: "127.0.0.1", port: 0 };
  lab = await rolesLab({ console: { listen, hosts: [], certificate: null, tls: false, trustedProxies: [] } }, 12);
  const { console } = lab.relay.ready;
  if (console?.setupLink == null) throw new Error("no console");
  const { url, setupLink } = console;
  const newClient = () => createClient({ baseUrl: url, fetch: pageFetch(url) });
  [ann, bob, vic] = [newClient(), newClient(), newClient()];
  await ann.redeem({ token: secretOf(setupLink), name: "ann", password: PASSWORD });
  const forBob = await ann.makeInvite({ role: "user" });
  await bob.redeem({ token: secretOf(forBob.link), name: "bob", password: PASSWORD });
  const { account } = await bob.getMe();
  const forVic = await ann.makeInvite({ role: "viewer", account: account.id });
  await vic.redeem({ token: secretOf(forVic.link), name: "vic", password: PASSWORD });
  await lab.agent("den", { managed: true });
  await lab.agent("attic", { managed: true, account: account.id });
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());
// No test finds what another made, also when that one failed.
afterEach(async () => {
  const forwards = (await ann.listForwards()).items.filter(({ editable }) => editable);
  for (const { id } of forwards) await ann.removeForward(id);
  const devices = (await ann.listDevices()).items.filter(({ name }) => !DEVICES.includes(name));
  for (const { id } of devices) await ann.removeDevice(id);
});

async function problemOf(promise: Promise<unknown>): Promise<{ status: number; type: string; detail: string }> {
  const error = await failureOf(promise);
  if (!(error instanceof ApiProblem)) throw error;
  const { status, type, detail } = error.problem;
  return { status, type, detail };
}

/** Bob's, as long as the test lasts. */
async function bobsQuota(quota: { maxPorts: number } | { maxDevices: number }): Promise<AsyncDisposable> {
  const { id = "" } = (await ann.listUsers()).items.find(({ name }) => name === "bob") ?? {};
  await ann.changeUser(id, { quota });
  return {
    [Symbol.asyncDispose]: async () => void (await ann.changeUser(id, { quota: { maxPorts: null, maxDevices: null } })),
  };
}

const openOf = async (client: Client, id: string) => (await client.getForward(id)).value.state === "open";

describe("a forward", () => {
  test("is made, shown, changed, disabled and removed; visitors follow", async () => {
    using service = tcpService("web");
    const [port = 0] = lab.pool;
    const made = await ann.addForward({ device: "den", ports: `${port}:${service.port}`, name: "web" });
    expect(made.value).toMatchObject({ name: "web", editable: true, to: "127.0.0.1", device: { name: "den" } });
    const { id } = made.value;
    await until(() => openOf(ann, id));
    expect(await ask(port)).toBe("web:hello");
    const off = await ann.changeForward(id, { enabled: false }, made.version);
    expect(off.value).toMatchObject({ enabled: false, state: "disabled" });
    expect(await ask(port)).toBe("ECONNREFUSED");
    expect(await problemOf(ann.changeForward(id, { name: "x" }, made.version))).toMatchObject({ status: 412 });
    await ann.changeForward(id, { enabled: true, allow: ["192.0.2.0/24"] }, off.version);
    await until(() => openOf(ann, id));
    expect(await ask(port)).toBe("cut");
    await ann.changeForward(id, { allow: [] });
    await until(async () => (await ask(port)) === "web:hello");
    expect((await ann.checkForward(id)).state).toBe("open");
    await ann.removeForward(id);
    expect(await ask(port)).toBe("ECONNREFUSED");
    expect(await problemOf(ann.getForward(id))).toMatchObject({ status: 404 });
  });

  test("of a name that the device has already is a conflict, or takes that one's place", async () => {
    const [port = 0, other = 0] = lab.pool;
    const draft = { device: "den", name: "twice" };
    const { value } = await ann.addForward({ ...draft, ports: `${port}:7` });
    expect(await problemOf(ann.addForward({ ...draft, ports: `${other}:7` }))).toMatchObject({ status: 409 });
    const replaced = await ann.addForward({ ...draft, ports: `${other}:7`, group: "pair" }, { replace: true });
    expect(replaced.value).toMatchObject({ id: value.id, ports: `${other}:7/tcp`, group: "pair" });
    const twice = (await ann.listForwards()).items.filter(({ name }) => name === "twice");
    expect(twice.map(({ ports }) => ports)).toEqual([`${other}:7/tcp`]);
    await ann.removeForward(value.id);
    // What a device made itself is nobody's to replace.
    const agent = await lab.agent("barn", { managed: true });
    await agent.add(remote("relay/own", [mapping("tcp", port)], { name: "own" }));
    const stolen = ann.addForward({ device: "barn", name: "own", ports: `${other}:7` }, { replace: true });
    expect(await problemOf(stolen)).toMatchObject({ status: 409 });
  });

  test("is previewed: what it means, what is in its way, what to think of", async () => {
    const [, taken = 0] = lab.pool;
    const { value } = await ann.addForward({ device: "den", ports: `${taken}:7`, name: "taken" });
    const preview = (ports: string, more: object = {}) => ann.previewForward({ device: "den", ports, ...more });
    expect(await preview(`${lab.pool[2]}:3389`)).toMatchObject({
      meaning: [`TCP ${lab.pool[2]}, to port 3389 inside`],
      problems: [],
      warnings: [expect.stringContaining("Remote Desktop")],
    });
    expect((await ann.previewForward({ device: "attic", ports: `${taken}` })).problems).toMatchObject([
      { path: "ports", message: expect.stringContaining(`${taken}`) },
    ]);
    expect((await preview("9-1")).problems).toMatchObject([{ path: "ports" }]);
    expect((await preview("80")).problems).toMatchObject([{ path: "ports" }]);
    expect((await preview(`${lab.pool[2]}`, { name: "taken" })).problems).toMatchObject([{ path: "name" }]);
    // As itself it is in nobody's way.
    const again = await ann.previewForward({ device: "den", ports: `${taken}:7`, name: "taken" }, value.id);
    expect(again.problems).toEqual([]);
  });

  test("that a device made itself is shown, and changed there alone", async () => {
    const agent = await lab.agent("shed");
    const [, , port = 0] = lab.pool;
    await agent.add(remote("own", [mapping("tcp", port)]));
    const { items } = await ann.listForwards({ device: "shed" });
    expect(items).toMatchObject([{ name: "own", editable: false, to: null, origin: "cli" }]);
    const id = items[0]?.id ?? "";
    expect(await problemOf(ann.changeForward(id, { enabled: false }))).toMatchObject({ status: 403 });
    expect(await problemOf(ann.removeForward(id))).toMatchObject({ status: 403 });
  });
});

describe("whose it is", () => {
  test("everybody sees their own account's, an administrator all; the others' are not there", async () => {
    const [, , , annsPort = 0, bobsPort = 0] = lab.pool;
    const anns = (await ann.addForward({ device: "den", ports: `${annsPort}:7`, name: "anns" })).value;
    const bobs = (await bob.addForward({ device: "attic", ports: `${bobsPort}:7`, name: "bobs" })).value;
    const namesOf = async (client: Client) => (await client.listForwards()).items.map(({ name }) => name);
    expect(await namesOf(ann)).toEqual(["bobs", "anns"]);
    expect(await namesOf(bob)).toEqual(["bobs"]);
    expect(await namesOf(vic)).toEqual(["bobs"]);
    expect((await bob.listDevices()).items.map(({ name }) => name)).toEqual(["attic"]);
    const denId = (await ann.listDevices()).items.find(({ name }) => name === "den")?.id ?? "";
    const theirs = [
      bob.getForward(anns.id),
      bob.changeForward(anns.id, { enabled: false }),
      bob.removeForward(anns.id),
      bob.checkForward(anns.id),
      bob.addForward({ device: "den", ports: "9" }),
      bob.previewForward({ device: "den", ports: "9" }),
      bob.getDevice(denId),
      bob.removeDevice(denId),
      bob.endVisit(`${anns.id}/1`),
    ];
    // All at once: one that is refused before another is looked at would be nobody's.
    for (const problem of await Promise.all(theirs.map(problemOf))) expect(problem).toMatchObject({ status: 404 });
    // A viewer looks.
    expect((await vic.getForward(bobs.id)).value.name).toBe("bobs");
    expect(await problemOf(vic.removeForward(bobs.id))).toMatchObject({ status: 403 });
    expect(await problemOf(vic.addForward({ device: "attic", ports: "9" }))).toMatchObject({ status: 403 });
    expect(await problemOf(bob.listAudit())).toMatchObject({ status: 403 });
  });

  test("a quota counts at once, and is told in the relay's own words", async () => {
    await using _ = await bobsQuota({ maxPorts: 1 });
    const [, , , , , one = 0, two = 0] = lab.pool;
    await bob.addForward({ device: "attic", ports: `${one}:7`, name: "one" });
    expect(await problemOf(bob.addForward({ device: "attic", ports: `${two}:7`, name: "two" }))).toMatchObject({
      status: 403,
      detail: expect.stringContaining("1 port"),
    });
  });
});

describe("what goes on", () => {
  test("connections are listed, and cut", async () => {
    using service = tcpService("web");
    const [, , , , , , , port = 0] = lab.pool;
    const { value } = await ann.addForward({ device: "den", ports: `${port}:${service.port}`, name: "live" });
    await until(() => openOf(ann, value.id));
    using visitor = await visit(port);
    expect(await visitor.ask("a")).toBe("web:a");
    const { items } = await ann.listVisits();
    expect(items).toMatchObject([{ forwardName: "live", device: "den", protocol: "tcp" }]);
    expect((await bob.listVisits()).items).toEqual([]);
    await ann.endVisit(items[0]?.id ?? "");
    expect(await visitor.ended).toBe("reset");
  });

  test("events tell what changes and what is gone, to who may see it", async () => {
    const stop = new AbortController();
    const seen = { ann: [] as LiveEvent[], bob: [] as LiveEvent[] };
    const reading = [ann, bob].map(async (client, at) => {
      try {
        for await (const event of client.events({ signal: stop.signal })) (at === 0 ? seen.ann : seen.bob).push(event);
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      }
    });
    const has = (events: LiveEvent[], kind: LiveEvent["event"]) => events.some(({ event }) => event === kind);
    await until(() => has(seen.ann, "traffic") && has(seen.bob, "traffic"));
    const [, , , , , , , , port = 0, bobsPort = 0] = lab.pool;
    const { value } = await ann.addForward({ device: "den", ports: `${port}:7`, name: "told" });
    const bobs = (await bob.addForward({ device: "attic", ports: `${bobsPort}:7`, name: "bobs" })).value;
    // A device has one forward more.
    await until(() => has(seen.ann, "forward") && has(seen.ann, "device") && has(seen.bob, "forward"));
    await ann.removeForward(value.id);
    await bob.removeForward(bobs.id);
    await until(() => seen.ann.some((event) => event.event === "forward-gone" && event.id === value.id));
    expect(JSON.stringify(seen.bob)).not.toContain("told");
    expect(JSON.stringify(seen.bob)).toContain("attic");
    stop.abort();
    await Promise.all(reading);
  });

  test("the audit log says who had which port", async () => {
    const [, , , , , , , , , , port = 0] = lab.pool;
    const anns = (await ann.addForward({ device: "den", ports: `${port}:7`, name: "anns own" })).value;
    await ann.removeForward(anns.id);
    await bob.removeForward((await bob.addForward({ device: "attic", ports: `${port}:7`, name: "bobs own" })).value.id);
    const { items } = await ann.listAudit({ limit: 200 });
    for (const [actor, forward] of [
      ["user:ann", "relay/anns own"],
      ["user:bob", "relay/bobs own"],
    ]) {
      for (const action of ["ports.granted", "ports.released"]) {
        const detail = expect.objectContaining({ forward });
        expect(items).toContainEqual(expect.objectContaining({ actor, action, detail }));
      }
    }
    expect(JSON.stringify(items)).not.toContain(PASSWORD);
  });

  test("an overview counts what is one's own", async () => {
    expect((await ann.getOverview()).devices.enrolled).toBe(DEVICES.length);
    expect((await bob.getOverview()).devices).toEqual({ connected: 1, enrolled: 1 });
  });
});

describe("devices", () => {
  test("join by a code of the API's, into the account of who made it; removed, they are gone", async () => {
    const { code, command } = await bob.makeJoinCode({ name: "cellar" });
    expect(command).toBe(`hatchway agent --managed --join ${code}`);
    const { startAgent } = await import("../../src/roles/agent.ts");
    const running = await startAgent({
      dataDir: lab.directoryOf("cellar"),
      joinCode: code,
      readSettings: async () => ({
        name: null,
        relay: null,
        allow: [],
        managed: true,
        certificate: null,
        ca: null,
        forwards: [],
      }),
      runListed: true,
    });
    const cellar = async () => (await bob.listDevices()).items.find(({ name }) => name === "cellar");
    await until(async () => (await cellar())?.managed === true);
    const device = await cellar();
    await bob.removeDevice(device?.id ?? "");
    expect(await cellar()).toBeUndefined();
    expect(await failureOf(running.closed)).toMatchObject({ kind: "refused" });
  });

  test("join another account by an administrator's code alone", async () => {
    const { account } = await bob.getMe();
    expect((await ann.makeJoinCode({ name: "theirs", account: account.name })).code).not.toBe("");
    expect(await problemOf(bob.makeJoinCode({ name: "theirs", account: "owner" }))).toMatchObject({ status: 404 });
    expect(await problemOf(ann.makeJoinCode({ name: "theirs", account: "nobody" }))).toMatchObject({ status: 404 });
    expect((await bob.makeJoinCode({ name: "ours", account: account.id })).code).not.toBe("");
    const store = await lab.openStore();
    const codes = (await store.joinCodes.list(Date.now())).map(({ deviceName, accountId }) => [deviceName, accountId]);
    await store.close();
    expect(codes.toSorted()).toEqual([
      ["ours", account.id],
      ["theirs", account.id],
    ]);
  });

  test("are as many as the account may have", async () => {
    await using _ = await bobsQuota({ maxDevices: 1 });
    expect(await problemOf(bob.makeJoinCode({ name: "shed" }))).toMatchObject({
      status: 409,
      detail: expect.stringContaining("may have 1 device"),
    });
  });

  test("of another one's name are told apart, and a port set that is none is refused", async () => {
    expect(await problemOf(ann.makeJoinCode({ name: "den" }))).toMatchObject({ status: 409 });
    expect(await problemOf(ann.makeJoinCode({ name: "new", ports: "9-1" }))).toMatchObject({ status: 409 });
  });
});
