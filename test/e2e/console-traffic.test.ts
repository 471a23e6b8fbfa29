import { expect, test } from "bun:test";
import { mapping, remote, rolesLab } from "../fixtures/roles-lab.ts";
import { ask, tcpService } from "../fixtures/services.ts";

test("what a forward carried is in the database when the relay has stopped", async () => {
  const listen = { host: "127.0.0.1", port: 0 };
  await using lab = await rolesLab({
    console: { listen, hosts: [], certificate: null, tls: false, trustedProxies: [] },
  });
  using service = tcpService("web");
  const [port = 0] = lab.pool;
  await lab.agent("den", { forwards: [remote("web", [mapping("tcp", port, port, service.port)])] });
  expect(await ask(port)).toBe("web:hello");
  await lab.restartRelay(async () => {
    const store = await lab.openStore();
    const carried = await store.traffic.list({ span: "hour", sinceMs: 0, accountId: null });
    await store.close();
    expect(carried).toMatchObject([
      { deviceName: "den", name: "web", visitors: 1, bytesIn: "hello".length, bytesOut: "web:hello".length },
    ]);
  });
});
