import { expect, test } from "bun:test";
import { areaLogger } from "../../os/log.ts";
import { Surroundings } from "./surroundings.ts";

/** The loopback interface has an address on every machine. */
test.each<[string, readonly string[], readonly string[], number]>([
  ["every 2 s when all is there", ["lo"], [], 2_000],
  ["at each tick while the WAN is not", ["no-such-link"], [], 250],
  ["at each tick while an interface of clients is not", ["lo"], ["no-such-link"], 250],
])("the network is looked at %s", (_, wan, lan, everyMs) => {
  let nowMs = 10_000;
  const around = new Surroundings({
    settings: () => ({ wan, lan, publicAddress: null }),
    vpn: () => null,
    kernel: { firewalls: async () => [] },
    ownPorts: () => ({ tcp: [], udp: [] }),
    nowMs: () => nowMs,
    log: areaLogger("gateway"),
  });
  expect(around.isTime()).toBe(true);
  expect(around.lookAgain()).toBeNull();
  const looksMs: number[] = [];
  for (let tick = 0; tick < 16; tick++) {
    nowMs += 250;
    if (!around.isTime()) continue;
    looksMs.push(nowMs - 10_000);
    around.lookAgain();
  }
  expect(looksMs[0]).toBe(everyMs);
  expect(looksMs).toHaveLength(4_000 / everyMs);
});
