import { expect, test } from "bun:test";
import { ROUTER_PROTOCOLS } from "../../src/core/router/model.ts";
import { FAKE_GATEWAY, FakeMapper, FakeRouter, fault } from "../fixtures/fake-router/mapper.ts";
import { ManualClock } from "../fixtures/manual-clock.ts";
import { mapperContract } from "./router-mapper.ts";

const NEVER = new AbortController().signal;

for (const protocol of ROUTER_PROTOCOLS) {
  mapperContract(`fake ${protocol}`, async () => {
    const clock = new ManualClock();
    const router = new FakeRouter({ nowMs: clock.nowMs, after: clock.after, speaks: [protocol] });
    router.take("tcp", 80);
    const mapper = new FakeMapper(router, protocol, FAKE_GATEWAY);
    return {
      mapper,
      freePort: 25565,
      takenPort: 80,
      isOpen: async (port) =>
        router.list().some((one) => one.externalPort === port && one.internalAddress === FAKE_GATEWAY.ownAddress),
      close: async () => mapper.close(),
    };
  });
}

test("the fake's leases end by its clock, its answers take as long as they are told, and its moods are logged", async () => {
  const clock = new ManualClock();
  const router = new FakeRouter({ nowMs: clock.nowMs, after: clock.after, latencyMs: 50 });
  const mapper = new FakeMapper(router, "pcp", FAKE_GATEWAY);
  const wish = {
    protocol: "tcp",
    internalAddress: FAKE_GATEWAY.ownAddress,
    internalPort: 80,
    externalPort: 80,
    exact: false,
    lifetimeSec: 60,
    description: "",
  } as const;
  let isAnswered = false;
  const asked = mapper.map(wish, null, NEVER).finally(() => {
    isAnswered = true;
  });
  await clock.advance(49);
  expect(isAnswered).toBe(false);
  await clock.advance(1);
  expect((await asked).ok).toBe(true);
  await clock.advance(59_999);
  expect(router.live()).toEqual(["tcp 80"]);
  await clock.advance(1);
  expect(router.live()).toEqual([]);

  router.outcome = () => "never";
  const late = mapper.unmap(wish, { externalAddress: null, externalPort: 80, lifetimeSec: 60, ticket: "" }, NEVER);
  await clock.advance(4000);
  expect(await late).toEqual({ ok: false, error: fault("silent") });
  expect(router.said("map", "unmap")).toEqual(["map 80", "unmap 80"]);
  expect(clock.timers).toBe(0);
});
