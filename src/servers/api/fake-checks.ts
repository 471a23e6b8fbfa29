import type { ChecksBackend, Principal } from "./backend.ts";
import { FAKE_NOW_MS } from "./fake-data.ts";
import type { FakeRelay } from "./fake-relay.ts";
import type { PingEvent } from "./schema.ts";

/** Every second sample is lost, and none is waited for. */
export class FakeChecks implements ChecksBackend {
  constructor(private readonly relay: FakeRelay) {}

  async pingForward(who: Principal, id: string, samples: number) {
    await this.relay.getForward(who, id);
    return (signal: AbortSignal) => fakePing(samples, signal);
  }
}

async function* fakePing(samples: number, signal: AbortSignal): AsyncGenerator<PingEvent, void, void> {
  yield { event: "started", port: 8_841, samples, everyMs: 1_000 };
  for (let seq = 1; seq <= samples && !signal.aborted; seq++) {
    const found = seq % 2 === 1 ? { serviceMs: 20, lost: null } : { serviceMs: null, lost: "connection refused" };
    yield { event: "sample", seq, atMs: FAKE_NOW_MS + seq * 1_000, linkMs: 12, ...found };
  }
  yield { event: "done" };
}
