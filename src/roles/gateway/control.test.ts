import { expect, test } from "bun:test";
import { gatewayLab, wgKey } from "../../../test/fixtures/gateway-lab.ts";
import { gatewayControl } from "./control.ts";

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
