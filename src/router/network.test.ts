import { expect, test } from "bun:test";
import { ManualTimers } from "../../test/fixtures/manual-timers.ts";
import type { Network } from "../core/router/gateways.ts";
import { TICK_MS } from "../core/router/network-watch.ts";
import { readNetwork, watchNetwork } from "./network.ts";

const network = (address: string): Network => ({
  gateways: [{ family: 4, address, interfaceName: "eth0", ownAddress: "192.168.1.20", metric: 0 }],
  pointToPoint: [],
});
const HOME = network("192.168.1.1");

test("routes and addresses of this machine are joined", async () => {
  const view = await readNetwork(new AbortController().signal);
  for (const { ownAddress } of view.gateways) expect(ownAddress).not.toBe("");
  expect(view.problem).toBeNull();
});

test("a change is told after a look; the end of the signal ends it, during a look too", async () => {
  const timers = new ManualTimers();
  const ending = new AbortController();
  const clock = { nowMs: 0 };
  const news: string[] = [];
  let seen = HOME;
  const looks: PromiseWithResolvers<void>[] = [];
  const read = async () => {
    const look = Promise.withResolvers<void>();
    looks.push(look);
    await look.promise;
    return seen;
  };
  watchNetwork(({ why, network: now }) => news.push(`${why} ${now.gateways[0]?.address}`), ending.signal, {
    first: HOME,
    after: timers.after,
    read,
    addresses: () => "",
    nowMs: () => clock.nowMs,
    wallMs: () => clock.nowMs,
  });
  const tick = async (ms: number) => {
    clock.nowMs += ms;
    await timers.fire(TICK_MS);
  };
  const finishLook = async () => {
    looks.at(-1)?.resolve();
    await new Promise(setImmediate);
  };
  await tick(1_000);
  expect(looks).toHaveLength(0);
  await tick(4_000);
  expect(looks).toHaveLength(1);
  await finishLook();
  expect(news).toEqual([]);
  seen = network("10.0.0.1");
  await tick(5_000);
  await finishLook();
  expect(news).toEqual(["changed 10.0.0.1"]);
  await tick(60_000);
  await finishLook();
  expect(news).toEqual(["changed 10.0.0.1", "woke 10.0.0.1"]);
  seen = HOME;
  await tick(5_000);
  ending.abort();
  await finishLook();
  expect(news).toHaveLength(2);
  expect(timers.count()).toBe(0);
});
