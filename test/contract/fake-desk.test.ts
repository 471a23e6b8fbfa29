import { FakeDesk } from "../fixtures/fake-desk.ts";
import { describeMappingDesk } from "./mapping-desk.ts";

describeMappingDesk("FakeDesk", async (policy) => {
  const desk = new FakeDesk(policy);
  return {
    desk,
    async pass(ms) {
      desk.nowMs += ms;
    },
    async fix(to, protocol, port) {
      desk.fix(to, protocol, port);
    },
    setWorking(isWorking) {
      desk.gate = isWorking ? async () => undefined : () => Promise.reject(new Error("The disk is full."));
    },
    letIn(packets) {
      desk.packets = packets;
    },
    close: () => undefined,
  };
});
