import { describeMappingDesk } from "../../../test/contract/mapping-desk.ts";
import { fixedSpec } from "../../../test/fixtures/fake-desk.ts";
import { mappingsLab } from "../../../test/fixtures/mappings-lab.ts";
import { gatewayDesk } from "./desk.ts";
import { runsOf } from "./entries.ts";

describeMappingDesk("the gateway's desk", async (policy) => {
  const at = await mappingsLab();
  const { book, mappings, epoch, put } = await at.start();
  const desk = gatewayDesk({
    book,
    mappings,
    epoch,
    policyFor: () => policy,
    externalAddress: () => "203.0.113.20",
    counters: () => Promise.reject(new Error("not asked")),
    nowMs: () => at.clock.nowMs,
    upSinceMs: () => 0,
    refused: () => undefined,
  });
  return {
    desk,
    async pass(ms) {
      at.clock.nowMs += ms;
      at.clock.wallMs += ms;
      await mappings.expire();
    },
    async fix(to, protocol, port) {
      await put(fixedSpec(to, protocol, port));
    },
    setWorking(isWorking) {
      at.plane.failure = isWorking ? null : { kind: "refused", message: "The kernel says no." };
    },
    letIn(packetsIn) {
      const unused = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0, packetsOut: 0 };
      for (const id of runsOf(book.list()).map((run) => run.id)) at.plane.usages.set(id, { ...unused, packetsIn });
    },
    async close() {
      await mappings.idle();
      await at[Symbol.asyncDispose]();
    },
  };
});
