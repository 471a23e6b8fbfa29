import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ApiProblem, type Client, createClient } from "../../src/servers/api/client.ts";
import type { ForwardDraft } from "../../src/servers/api/schema.ts";
import { ask, curl } from "../fixtures/names-client.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { failureOf, type RolesLab, rolesLab, until } from "../fixtures/roles-lab.ts";
import { siteLab } from "../fixtures/site-lab.ts";

/** Sites made and changed by the API of a real relay: ann is its administrator, bob and carol have an account each, vic looks. */
const HERE = "127.0.0.1";
const PASSWORD = "correct horse battery";
const running = new AsyncDisposableStack();
let lab: RolesLab;
let caFile: string;
let service: number;
const people = {} as Record<"ann" | "bob" | "carol" | "vic", Client>;

beforeAll(async () => {
  const site = running.use(await siteLab(false, [{ account: "bob", domains: ["*.bob.example.org"] }]));
  ({ lab, caFile } = site);
  const { console } = lab.relay.ready;
  if (console?.setupLink == null) throw new Error("no console");
  const { url, setupLink } = console;
  for (const name of ["ann", "bob", "carol", "vic"] as const) {
    people[name] = createClient({ baseUrl: url, fetch: pageFetch(url) });
    const link = name === "ann" ? setupLink : await invited(name);
    await people[name].redeem({ token: secretOf(link), name, password: PASSWORD });
  }
  await lab.agent("den", { managed: true, account: await accountOf("bob") });
  await lab.agent("shed", { managed: true, account: await accountOf("carol") });
  const web = Bun.serve({
    hostname: HERE,
    port: 0,
    fetch: ({ headers }) => new Response(headers.get("x-forwarded-for")),
  });
  running.defer(() => web.stop(true));
  service = web.port as number;
}, 30_000);
afterAll(() => running.disposeAsync());

async function invited(name: string): Promise<string> {
  if (name !== "vic") return (await people.ann.makeInvite({ role: "user" })).link;
  return (await people.ann.makeInvite({ role: "viewer", account: await accountOf("bob") })).link;
}

const accountOf = async (name: "bob" | "carol") => (await people[name].getMe()).account.id;
const draft = (more: Partial<ForwardDraft> = {}): ForwardDraft => ({ device: "den", ports: `${service}`, ...more });
const isOpen = async (id: string) => (await people.bob.getForward(id)).value.state === "open";
const portOf = async (id: string) => (await people.bob.getForward(id)).value.endpoints[0]?.port ?? 0;
const plainly = (host: string, more = "") => `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;

async function problemOf(promise: Promise<unknown>) {
  const error = await failureOf(promise);
  if (!(error instanceof ApiProblem)) throw error;
  return error.problem;
}

test("what the relay has for sites is told, as far as it is the asker's", async () => {
  const { names } = await people.bob.getOverview();
  expect(names).toEqual({
    http: expect.any(Number),
    https: expect.any(Number),
    domains: ["*.example.org", "*.bob.example.org"],
  });
  expect((await people.carol.getOverview()).names?.domains).toEqual(["*.example.org"]);
});

test("a site is made, and visitors come by TLS; changed to plain HTTP, to another name, and removed", async () => {
  const { bob } = people;
  const made = await bob.addForward(draft({ host: ["App.Example.org"], allow: ["127.0.0.0/8"] }));
  const { id } = made.value;
  expect(made.value).toMatchObject({
    name: "app.example.org",
    ports: `${service}`,
    site: { hosts: ["app.example.org"], tls: "end", http2: false, users: [] },
    allow: ["127.0.0.0/8"],
    endpoints: [{ host: "app.example.org", url: expect.stringMatching(/^https:\/\/app\.example\.org/) }],
  });
  await until(() => isOpen(id));
  expect((await curl(await portOf(id), "app.example.org", { caFile })).body).toBe(HERE);

  const plain = await bob.changeForward(id, { tls: "off" }, made.version);
  expect(plain.value.endpoints[0]?.url).toStartWith("http://app.example.org");
  await until(() => isOpen(id));
  expect((await ask(await portOf(id), plainly("app.example.org"))).body).toBe(HERE);

  const renamed = await bob.changeForward(id, { host: ["new.example.org", "*.bob.example.org"] }, plain.version);
  expect(renamed.value).toMatchObject({ id, name: "new.example.org, *.bob.example.org" });
  await until(() => isOpen(id));
  const port = await portOf(id);
  const statuses = ["app.example.org", "new.example.org", "shop.bob.example.org"].map((host) =>
    ask(port, plainly(host)),
  );
  expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([404, 200, 200]);
  expect(await problemOf(bob.changeForward(id, { tls: "end" }, made.version))).toMatchObject({ status: 412 });
  await bob.removeForward(id);
  expect((await ask(port, plainly("new.example.org"))).status).toBe(404);
});

test("who may come in is asked for a password, which nobody is told again", async () => {
  const { bob, ann } = people;
  const secret = "swordfish of the test";
  const logins = [{ user: "guest", password: secret }];
  const { value } = await bob.addForward(draft({ host: ["safe.example.org"], tls: "off", logins }));
  const { id } = value;
  await until(() => isOpen(id));
  const port = await portOf(id);
  const authorization = (password: string) => `Authorization: Basic ${btoa(`guest:${password}`)}\r\n`;
  const statusWith = async (more: string) => (await ask(port, plainly("safe.example.org", more))).status;
  expect([await statusWith(""), await statusWith(authorization(secret))]).toEqual([401, 200]);
  // A second one beside it, and guest keeps the password.
  const changed = await bob.changeForward(id, { logins: [{ user: "guest" }, { user: "ann", password: "another" }] });
  expect(changed.value.site?.users).toEqual(["guest", "ann"]);
  await until(() => isOpen(id));
  expect(await statusWith(authorization(secret))).toBe(200);
  await bob.changeForward(id, { logins: [{ user: "guest", password: "new" }] });
  await until(() => isOpen(id));
  expect([await statusWith(authorization("new")), await statusWith(authorization(secret))]).toEqual([200, 401]);
  const told = [value, changed.value, await bob.listForwards(), (await ann.listAudit({ limit: 500 })).items];
  expect(JSON.stringify(told)).not.toMatch(/swordfish|another|argon2/);
  await bob.removeForward(id);
});

test("one of the same name takes the place of a forward by ports, and the other way round", async () => {
  const { bob } = people;
  const [port = 0] = lab.pool;
  const { value } = await bob.addForward(draft({ name: "web", ports: `${port}:${service}` }));
  const site = await bob.addForward(draft({ name: "web", host: ["web.example.org"] }), { replace: true });
  expect(site.value).toMatchObject({ id: value.id, site: { hosts: ["web.example.org"] }, ports: `${service}` });
  const back = await bob.addForward(draft({ name: "web", ports: `${port}:${service}` }), { replace: true });
  expect(back.value).toMatchObject({ id: value.id, site: null, ports: `${port}:${service}/tcp` });
  expect(await problemOf(bob.changeForward(value.id, { host: ["web.example.org"] }))).toMatchObject({
    status: 400,
    errors: [{ path: "host" }],
  });
  await bob.removeForward(value.id);
});

describe("a site is refused, by its field and in one sentence, and a preview says the same:", () => {
  type Refusal = readonly ["bob" | "carol", Partial<ForwardDraft>, number, string];
  const REFUSALS: readonly Refusal[] = [
    ["carol", { host: ["taken.example.org"] }, 409, 'held by device "den"'],
    ["carol", { host: ["shop.bob.example.org"] }, 403, "belongs to another account"],
    ["carol", { host: ["example.net"] }, 403, "none that this relay hands out"],
    ["carol", { host: ["*.apps.example.org"] }, 403, "no certificate"],
    ["carol", { host: ["app example"] }, 400, "Write the name of a site"],
    ["bob", { host: ["a.example.org"], tls: "off", http2: true }, 400, "whose TLS the relay ends"],
  ];
  beforeAll(async () => {
    await people.bob.addForward(draft({ name: "taken", host: ["taken.example.org"] }));
  });
  for (const [who, more, status, words] of REFUSALS) {
    test(`${who}, ${JSON.stringify(more)}: ${status}`, async () => {
      const wanted = draft({ device: who === "bob" ? "den" : "shed", ...more });
      const problem = await problemOf(people[who].addForward(wanted));
      expect(problem).toMatchObject({ status, detail: expect.stringContaining(words) });
      const { errors = [] } = problem;
      expect(errors.map(({ path }) => path)).toEqual([status === 400 && more.http2 === true ? "http2" : "host"]);
      expect((await people[who].previewForward(wanted)).problems).toEqual([...errors]);
    });
  }

  test("another's site is not there, and a viewer only looks", async () => {
    const { id } = (await people.bob.listForwards()).items.find(({ name }) => name === "taken") ?? { id: "" };
    expect(await problemOf(people.carol.changeForward(id, { tls: "off" }))).toMatchObject({ status: 404 });
    expect(await problemOf(people.vic.changeForward(id, { tls: "off" }))).toMatchObject({ status: 403 });
    expect((await people.vic.getForward(id)).value.site?.hosts).toEqual(["taken.example.org"]);
  });
});

test("a preview says what a site would be, and what to think of", async () => {
  const logins = [{ user: "a", password: "b" }];
  const preview = await people.bob.previewForward(draft({ host: ["p.example.org"], tls: "off", logins }));
  const { http } = (await people.bob.getOverview()).names ?? {};
  expect(preview).toEqual({
    meaning: [`http://p.example.org:${http}, to port ${service} inside`],
    problems: [],
    warnings: [expect.stringContaining("read the passwords")],
  });
});

test("a test of a site goes to its service by its name, and says what is of each hop", async () => {
  const { value } = await people.bob.addForward(draft({ host: ["tested.example.org"] }));
  await until(() => isOpen(value.id));
  // Where the name leads is as the resolver of this machine has it.
  const { evidence, target } = await people.bob.checkForward(value.id);
  expect(target).toMatchObject({ host: "tested.example.org", forward: "tested.example.org" });
  expect(evidence.map(({ hop, mark }) => `${hop} ${mark}`)).toEqual([
    expect.stringMatching(/^dns (bad|unknown)$/),
    "relay ok",
    "agent ok",
    "service ok",
  ]);
  await people.bob.removeForward(value.id);
});

test("a name is looked up for whom it may be", async () => {
  const { bob, carol } = people;
  expect(await problemOf(carol.checkName({ host: "shop.bob.example.org" }))).toMatchObject({ status: 403 });
  expect(await problemOf(bob.checkName({ host: "localhost" }))).toMatchObject({ status: 400 });
});

test("a relay without [names] says so", async () => {
  const { names: _, ...without } = lab.relaySettings;
  await using plain = await rolesLab({ ...without, listen: { host: HERE, port: 0 } });
  const { console } = plain.relay.ready;
  const ann = createClient({ baseUrl: console?.url ?? "", fetch: pageFetch(console?.url ?? "") });
  await ann.redeem({ token: secretOf(console?.setupLink ?? ""), name: "ann", password: PASSWORD });
  await plain.agent("den", { managed: true });
  expect((await ann.getOverview()).names).toBeNull();
  const refused = await problemOf(ann.addForward(draft({ host: ["app.example.org"] })));
  expect(refused).toMatchObject({ status: 403, detail: expect.stringContaining("hands out no names") });
});
