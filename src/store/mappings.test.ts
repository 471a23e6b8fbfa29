import { expect, test } from "bun:test";
import { temporaryStore } from "../../test/fixtures/store.ts";
import type { MappingSpec } from "../core/mapping/spec.ts";
import { type Cidr, parseCidr } from "../wire/address.ts";
import type { MappingChange } from "./mappings.ts";
import { openDatabase } from "./store.ts";

const network = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
};
const HOST = "192.168.1.7";
const spec: MappingSpec = {
  id: "tcp-8080",
  name: "web",
  group: null,
  ports: [{ protocol: "tcp", first: 8080, last: 8080, internalFirst: 80 }],
  lifetimeSec: 60,
  to: HOST,
  requester: HOST,
  origin: "pcp",
  askedInternalPort: 80,
  nonce: "00ff",
  allow: [{ network: network("203.0.113.0/24"), port: 99 }],
  deny: [network("203.0.113.66")],
  limits: { connectionsPerSource: 3 },
  enabled: true,
};
const put: MappingChange = {
  kind: "put",
  owner: { account: "owner", device: HOST },
  spec,
  expiresMs: 61_000,
};
const none = (message: string): never => {
  throw new Error(message);
};

test("what was put is listed, renewed and removed, and the audit log tells who had it", async () => {
  await using fixture = await temporaryStore();
  const { mappings, audit } = fixture.store;
  await mappings.apply([put], 1_000);
  expect(await mappings.list(none)).toEqual([{ owner: put.owner, spec, expiresMs: 61_000 }]);
  await mappings.apply([{ kind: "renew", device: HOST, id: spec.id, expiresMs: null }], 2_000);
  expect(await mappings.list(none)).toMatchObject([{ expiresMs: null }]);
  const remove: MappingChange = { kind: "remove", device: HOST, id: spec.id, how: "expired", kept: false };
  await mappings.apply([remove, remove], 3_000);
  expect(await mappings.list(none)).toEqual([]);
  const told = await audit.list({ subject: `client:${HOST}` });
  expect(told.map(({ action, actor }) => [action, actor])).toEqual([
    ["mapping.expired", "gateway"],
    ["mapping.opened", `client:${HOST}`],
  ]);
});

test("what is kept stays, ended", async () => {
  await using fixture = await temporaryStore();
  const { mappings, audit } = fixture.store;
  await mappings.apply([put, { kind: "remove", device: HOST, id: spec.id, how: "removed", kept: true }], 1_000);
  expect(await mappings.list(none)).toMatchObject([{ spec: { id: spec.id }, expiresMs: 0 }]);
  expect((await audit.list({ subject: `client:${HOST}` }))[0]?.action).toBe("mapping.removed");
});

test("the epoch is kept", async () => {
  await using fixture = await temporaryStore();
  const { mappings } = fixture.store;
  expect(await mappings.epoch()).toBeNull();
  await mappings.apply([{ kind: "epoch", saved: { ageMs: 1, savedAtUnixMs: 2 } }], 0);
  await mappings.apply([{ kind: "epoch", saved: { ageMs: 3, savedAtUnixMs: 4 } }], 0);
  expect(await mappings.epoch()).toEqual({ ageMs: 3, savedAtUnixMs: 4 });
});

test("a row that cannot be read is told and left out; the others stay", async () => {
  await using fixture = await temporaryStore();
  await fixture.store.mappings.apply([put], 1_000);
  const database = openDatabase(fixture.path);
  database.run("insert into mappings select device, 'broken', account_id, '{', null, 0, 0 from mappings");
  database.close();
  const told: string[] = [];
  expect(await fixture.store.mappings.list((message) => told.push(message))).toHaveLength(1);
  expect(told).toEqual([expect.stringContaining("broken")]);
});
