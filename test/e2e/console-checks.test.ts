import { afterAll, beforeAll, expect, test } from "bun:test";
import { ApiProblem, type Client } from "../../src/servers/api/client.ts";
import type { PingEvent } from "../../src/servers/api/schema.ts";
import { ConsolePeople } from "../fixtures/console-people.ts";
import { failureOf, type RolesLab, rolesLab, until } from "../fixtures/roles-lab.ts";
import { tcpService } from "../fixtures/services.ts";

/** The way to a service, measured at a real relay with a real agent. */
let lab: RolesLab;
let ann: Client;
let bob: Client;

beforeAll(async () => {
  lab = await rolesLab({ console: ConsolePeople.settings }, 4);
  const people = new ConsolePeople(lab);
  ann = (await people.first("ann")).client;
  bob = (await people.invited(ann, "user", "bob")).client;
  await lab.agent("den", { managed: true });
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

async function made(ports: string, more: object = {}): Promise<string> {
  const { value } = await ann.addForward({ device: "den", ports, ...more });
  await until(async () => (await ann.getForward(value.id)).value.state === "open");
  return value.id;
}

async function all(client: Client, id: string, samples: number): Promise<readonly PingEvent[]> {
  return Array.fromAsync(client.pingForward(id, { samples }));
}

const problemOf = async (promise: Promise<unknown>) => {
  const error = await failureOf(promise);
  if (!(error instanceof ApiProblem)) throw error;
  return { status: error.problem.status, detail: error.problem.detail };
};

test("the link and the service are measured, and no visitor is counted", async () => {
  using service = tcpService("web");
  const [port = 0] = lab.pool;
  const id = await made(`${port}:${service.port}`);
  const events = await all(ann, id, 2);
  expect(events.map(({ event }) => event)).toEqual(["started", "sample", "sample", "done"]);
  expect(events[0]).toMatchObject({ port, samples: 2 });
  for (const sample of events.slice(1, 3)) {
    expect(sample).toMatchObject({ linkMs: expect.any(Number), serviceMs: expect.any(Number), lost: null });
  }
  expect((await ann.getForward(id)).value.counters.visitorsTotal).toBe(0);
  await ann.removeForward(id);
}, 20_000);

test("a service that is not there is lost, and the link is measured all the same", async () => {
  const service = tcpService("web");
  const [, port = 0] = lab.pool;
  const id = await made(`${port}:${service.port}`);
  service[Symbol.dispose]();
  const [, sample] = await all(ann, id, 1);
  expect(sample).toMatchObject({ linkMs: expect.any(Number), serviceMs: null, lost: "connection refused" });
  await ann.removeForward(id);
}, 20_000);

test("the next run of a session ends the one before", async () => {
  using service = tcpService("web");
  const [port = 0] = lab.pool;
  const id = await made(`${port}:${service.port}`);
  const first = ann.pingForward(id, { samples: 60 });
  expect((await first.next()).value).toMatchObject({ event: "started" });
  const second = ann.pingForward(id, { samples: 60 });
  expect((await second.next()).value).toMatchObject({ event: "started" });
  const rest = await Array.fromAsync(first);
  expect(rest.map(({ event }) => event)).not.toContain("done");
  await second.return();
  await ann.removeForward(id);
}, 20_000);

test("UDP, a forward that is off, and another's are refused in words", async () => {
  const [, , udp = 0, off = 0] = lab.pool;
  const udpId = await made(`${udp}:7/udp`);
  expect(await problemOf(all(ann, udpId, 1))).toMatchObject({ status: 409, detail: expect.stringContaining("UDP") });
  const { value } = await ann.addForward({ device: "den", ports: `${off}:7`, enabled: false });
  expect(await problemOf(all(ann, value.id, 1))).toMatchObject({ status: 409, detail: expect.stringContaining("off") });
  expect(await problemOf(all(bob, udpId, 1))).toMatchObject({ status: 404 });
  expect(await problemOf(all(ann, "none", 1))).toMatchObject({ status: 404 });
  expect(await problemOf(Array.fromAsync(ann.pingForward(udpId, { samples: 61 })))).toMatchObject({ status: 400 });
}, 20_000);

test("a device that goes is told in each sample", async () => {
  using service = tcpService("web");
  const shed = await lab.agent("shed", { managed: true });
  const [port = 0] = lab.pool;
  const { value } = await ann.addForward({ device: "shed", ports: `${port}:${service.port}` });
  await until(async () => (await ann.getForward(value.id)).value.state === "open");
  await shed.stop();
  await until(async () => (await ann.getForward(value.id)).value.state !== "open");
  const [, sample] = await all(ann, value.id, 1);
  expect(sample).toMatchObject({ linkMs: null, serviceMs: null, lost: "device away" });
}, 20_000);
