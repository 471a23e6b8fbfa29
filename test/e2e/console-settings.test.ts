import { afterAll, beforeAll, expect, test } from "bun:test";
import { ApiProblem, type Client } from "../../src/servers/api/client.ts";
import { ConsolePeople } from "../fixtures/console-people.ts";
import { failureOf, type RolesLab, rolesLab } from "../fixtures/roles-lab.ts";

let lab: RolesLab;
let ann: Client;

beforeAll(async () => {
  lab = await rolesLab({ console: ConsolePeople.settings });
  ann = (await new ConsolePeople(lab).first("ann")).client;
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

test("what is in force is told, and nothing secret", async () => {
  const settings = await ann.getSettings();
  expect(settings).toMatchObject({
    license: "Apache-2.0",
    dataDirectory: lab.relayDirectory,
    configFile: null,
    relay: { listen: `127.0.0.1:${lab.relay.ready.listen.port}`, ownCertificate: false },
    console: { url: lab.relay.ready.console?.url, tls: false },
  });
  expect(settings.dataBytes).toBeGreaterThan(10_000);
  expect(JSON.stringify(settings)).not.toMatch(/PRIVATE|BEGIN|password/i);
});

test("a reload applies what changed, and is in the audit log", async () => {
  const before = lab.relaySettings;
  lab.relaySettings = { ...before, publicHost: "relay.example", listen: { ...before.listen, port: 1 } };
  expect(await ann.reload()).toMatchObject({ changed: ["relay.public"], needRestart: ["relay.listen"] });
  expect((await ann.getSettings()).relay?.publicHost).toBe("relay.example");
  const [entry] = (await ann.listAudit()).items;
  expect(entry).toMatchObject({
    actor: "user:ann",
    action: "settings.reloaded",
    detail: { changed: ["relay.public"], needRestart: ["relay.listen"] },
  });
  lab.relaySettings = before;
  await ann.reload();
});

test("settings are for administrators", async () => {
  const { client } = await new ConsolePeople(lab).invited(ann, "user", "bob");
  for (const error of await Promise.all([client.getSettings(), client.reload()].map(failureOf))) {
    expect(error instanceof ApiProblem && error.problem.status).toBe(403);
  }
});
