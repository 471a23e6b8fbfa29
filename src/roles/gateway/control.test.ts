import { expect, test } from "bun:test";
import { gatewayLab, wgKey } from "../../../test/fixtures/gateway-lab.ts";
import type { ForwardPatch } from "../control.ts";
import { gatewayControl } from "./control.ts";

test("a mapping is changed in one thing, and stays what it was in the rest", async () => {
  await using lab = await gatewayLab();
  const { view } = await lab.start();
  const control = gatewayControl(view);
  const limits = { connectionsPerSource: 4 };
  const ports = [{ protocol: "tcp", first: 8000, last: 8000, internalFirst: 80 } as const];
  const draft = { id: "mapping/web", name: "web", to: "192.168.1.9", ports, lifetimeSec: null, allow: [], deny: [] };
  await control.addMapping({ ...draft, limits, enabled: true });
  const { forward } = await control.changeForward("web", { allow: ["198.51.100.0/24"] });
  expect(forward).toMatchObject({ name: "web", origin: "cli", state: "open" });
  const held = view.book.find(({ spec }) => spec.id === "mapping/web");
  expect(held.map(({ spec }) => spec)).toMatchObject([
    { to: "192.168.1.9", ports, limits, allow: [{ network: "198.51.100.0/24" }], origin: "cli" },
  ]);
  await control.changeForward("web", { ports: "8001:80" });
  expect(view.book.find(({ spec }) => spec.ports[0]?.first === 8001)).toHaveLength(1);
  const refused = async (nameOrId: string, patch: ForwardPatch) =>
    control.changeForward(nameOrId, patch).then(null, (error: unknown) => error);
  expect(await refused("web", { bandwidth: "1 MB/s" })).toMatchObject({
    kind: "usage",
    message: expect.stringContaining("has no bandwidth"),
  });
  expect(await refused("nothing", { enabled: false })).toMatchObject({ kind: "usage" });
});

test("the VPN peers of a person who goes are the first account's at once", async () => {
  await using lab = await gatewayLab();
  const { view } = await lab.start();
  await lab.person("ann", "admin", "owner");
  const bob = await lab.person("bob", "user");
  const draft = { name: "phone", publicKey: wgKey(1), presharedKey: null, mode: "block-all" as const };
  await view.peers.add({ ...draft, maxPorts: null, expiresMs: null }, { account: bob.accountId });
  expect(view.vpn.byName("phone")?.account).toBe(bob.accountId);
  await gatewayControl(view).removePerson("bob");
  // Null: the first account.
  expect(view.vpn.byName("phone")?.account).toBeNull();
});
