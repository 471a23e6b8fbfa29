import { expect, test } from "bun:test";
import { createClient } from "../../src/servers/api/client.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { mapping, type RolesLab, remote, rolesLab } from "../fixtures/roles-lab.ts";
import { ask, tcpService } from "../fixtures/services.ts";

const PASSWORD = "correct horse battery";
const CONSOLE = {
  listen: { host: "127.0.0.1", port: 0 },
  hosts: [],
  certificate: null,
  tls: false,
  trustedProxies: [],
};

/** A person who comes by a link, as a program of theirs asks from then on. */
async function joined(lab: RolesLab, link: string, name: string) {
  const baseUrl = consoleUrl(lab);
  const client = createClient({ baseUrl, fetch: pageFetch(baseUrl) });
  await client.redeem({ token: secretOf(link), name, password: PASSWORD });
  const { secret } = await client.makeToken({ name: "test", scopes: ["read"], lifetimeSec: null });
  return { client, atNow: () => createClient({ baseUrl: consoleUrl(lab), token: secret }) };
}

const consoleUrl = ({ relay }: RolesLab): string => relay.ready.console?.url ?? "";

test("what a forward carried is kept when it and the relay's process are gone, for its own account", async () => {
  await using lab = await rolesLab({ console: CONSOLE });
  using service = tcpService("web");
  const [port = 0] = lab.pool;
  const ann = await joined(lab, lab.relay.ready.console?.setupLink ?? "", "ann");
  const bob = await joined(lab, (await ann.client.makeInvite({ role: "user" })).link, "bob");
  const den = await lab.agent("den", { forwards: [remote("web", [mapping("tcp", port, port, service.port)])] });
  expect(await ask(port)).toBe("web:hello");
  const [forward] = (await ann.client.listForwards()).items;
  await lab.restartRelay();
  await den.stop();
  const carried = { visitors: 1, bytesIn: "hello".length, bytesOut: "web:hello".length };
  for (const span of ["hour", "day"] as const) {
    const report = await ann.atNow().getTraffic({ span });
    expect(report).toEqual({
      span,
      slots: [{ slotMs: expect.any(Number), ...carried }],
      forwards: [{ id: forward?.id ?? "", name: "web", device: expect.objectContaining({ name: "den" }), ...carried }],
    });
  }
  const nothing = { span: "hour", slots: [], forwards: [] } as const;
  expect(await bob.atNow().getTraffic({ forward: forward?.id ?? "" })).toEqual(nothing);
  expect(await ann.atNow().getTraffic({ forward: "nobody's" })).toEqual(nothing);
  expect((await ann.atNow().getTraffic({ device: forward?.device.id ?? "" })).forwards).toHaveLength(1);
  expect(await bob.atNow().getTraffic({ device: forward?.device.id ?? "" })).toEqual(nothing);
  expect(await ann.atNow().getTraffic({ device: "nobody's" })).toEqual(nothing);
  expect(await ann.atNow().getTraffic({ sinceMs: Date.now() + 3_600_000 })).toEqual(nothing);
});
