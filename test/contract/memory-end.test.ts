import { describeByteEnd } from "./byte-end.ts";
import { MemoryEnd } from "./memory-end.ts";

describeByteEnd("MemoryEnd, the fake,", async () => ({
  connect: async () => {
    const { dialled, accepted } = MemoryEnd.pair();
    return { dialled, accepted: Promise.resolve(accepted) };
  },
  refused: () => MemoryEnd.refused("serviceRefused"),
  close: () => undefined,
}));
