import { expect, test } from "bun:test";
import { bindUdp } from "../../src/dataplanes/io/udp-socket.ts";
import { discoverBehaviour, discoverMapped } from "../../src/router/stun.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { failureOf, mapping, remote, rolesLab, tcpAndUdp, until } from "../fixtures/roles-lab.ts";
import { askUdp, udpService } from "../fixtures/services.ts";

const HERE = "127.0.0.1";
const timing = { rtoMs: 5, requests: 2, lastWaitRtos: 2, paceMs: 1 };

/** A relay that answers STUN, whose pool holds the very ports of it. */
async function lab(stun = true) {
  const [port, next] = (await freePorts(2)) as [number, number];
  const made = await rolesLab({ stun, listen: { host: HERE, port }, ports: tcpAndUdp(port, next) });
  const server = { host: HERE, port };
  const signal = new AbortController().signal;
  return { made, port, next, query: { server, signal }, quick: { server, signal, timing } };
}

test("a relay answers at its agents' port, and shows what it can with one address", async () => {
  const { made, port, query } = await lab();
  await using _ = made;
  const mapped = await discoverMapped(query);
  if (!mapped.ok) throw new Error(mapped.error.message);
  expect(mapped.value.mapped).toEqual(mapped.value.local);
  const behaviour = await discoverBehaviour(query);
  if (!behaviour.ok) throw new Error(behaviour.error.message);
  expect(behaviour.value).toMatchObject({ mapping: "none", filtering: "unknown", server: { address: HERE, port } });
  const changed = behaviour.value.evidence.find(({ test: name }) => name === "filter-port")?.outcome;
  expect(changed).toMatchObject({ kind: "success", from: { address: HERE, port: port + 1 } });
});

test("its ports are no forward's", async () => {
  const { made, port, next } = await lab();
  await using _ = made;
  const agent = await made.agent("web1");
  for (const one of [port, next]) {
    expect(await failureOf(agent.add(remote(`udp${one}`, [mapping("udp", one)])))).toMatchObject({
      kind: "refused",
      message: `Port ${one}/udp is where the relay answers STUN; choose another port.`,
    });
  }
  // TCP has nothing to do with it.
  expect(await agent.add(remote("tcp", [mapping("tcp", next)]))).toMatchObject({ state: "open" });
});

test("a forward that had the port before STUN came keeps it", async () => {
  const { made, port, quick } = await lab(false);
  await using _ = made;
  using service = await udpService("game");
  const agent = await made.agent("web1");
  await agent.add(remote("game", [mapping("udp", port, port, service.port)]), true);
  made.relaySettings = { ...made.relaySettings, stun: true };
  await made.restartRelay();
  await until(async () => (await agent.forward("game"))?.state === "open");
  expect(await askUdp(port)).toBe("game:hello");
  expect(await discoverMapped(quick)).toMatchObject({ ok: false, error: { kind: "silent" } });
});

test("a relay whose port another program has starts without it", async () => {
  const [port] = (await freePorts(2)) as [number, number];
  const blocker = bindUdp(HERE, port, { data: () => undefined });
  if (!blocker.ok) throw blocker.error;
  await using made = await rolesLab({ stun: true, listen: { host: HERE, port } });
  using service = await udpService("dns");
  const agent = await made.agent("web1");
  const pooled = made.pool[0] as number;
  await agent.add(remote("dns", [mapping("udp", pooled, pooled, service.port)]));
  expect(await askUdp(pooled)).toBe("dns:hello");
  blocker.value.close();
});

test("a reload turns it off and on", async () => {
  const { made, query, quick } = await lab();
  await using _ = made;
  for (const stun of [false, true]) {
    made.relaySettings = { ...made.relaySettings, stun };
    expect(await made.relay.reload()).toMatchObject({ changed: ["relay.stun"], needRestart: [] });
    // An answer may take its time; silence is not waited for.
    expect((await discoverMapped(stun ? query : quick)).ok).toBe(stun);
  }
});
