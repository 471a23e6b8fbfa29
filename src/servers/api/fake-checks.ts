import { ApiFailure, type ChecksBackend, type Principal } from "./backend.ts";
import { FAKE_NOW_MS } from "./fake-data.ts";
import type { FakeForwards } from "./fake-forwards.ts";
import type { NameReport, PingEvent, RouterReport } from "./schema.ts";

/** Every second sample is lost, and none is waited for. */
export class FakeChecks implements ChecksBackend {
  constructor(private readonly forwards: FakeForwards) {}

  async pingForward(who: Principal, id: string, samples: number) {
    await this.forwards.getForward(who, id);
    return (signal: AbortSignal) => fakePing(samples, signal);
  }

  async checkName({ role }: Principal, host: string): Promise<NameReport> {
    if (role !== "admin" && !host.endsWith(".example.org")) {
      throw new ApiFailure("forbidden", `The name ${host} belongs to another account; choose another name.`);
    }
    const records = [{ name: host, type: "CNAME", value: "relay.example" }] as const;
    const sentence = `${host} leads nowhere yet: it has no address in DNS.`;
    return { host, leads: "nowhere", addresses: [], sentence, remedy: "Make a CNAME record.", records };
  }

  async askRouter(_who: Principal, _signal: AbortSignal): Promise<RouterReport> {
    return FAKE_ROUTER;
  }
}

const FAKE_ROUTER: RouterReport = {
  atMs: FAKE_NOW_MS,
  routers: [{ family: 4, address: "192.168.1.1", interfaceName: "eth0", ownAddress: "192.168.1.20" }],
  name: "Acme R1",
  page: "http://192.168.1.1/",
  protocols: [
    { name: "PCP", router: "192.168.1.1", failure: "The router does not answer." },
    { name: "UPnP (IGD 2)", router: "192.168.1.1", failure: null },
  ],
  speaks: "UPnP (IGD 2); not PCP",
  externalAddress: "100.64.0.2",
  uptimeSec: 86_400,
  verdict: {
    kind: "cgnat",
    sure: true,
    sentence: "CGNAT: the provider shares its addresses, so no port opened on this router is reached.",
    evidence: ["The router's address outside is 100.64.0.2, which providers share."],
    advice: ["Use a relay.", "Or ask the provider for a public IPv4 address of your own."],
  },
};

async function* fakePing(samples: number, signal: AbortSignal): AsyncGenerator<PingEvent, void, void> {
  yield { event: "started", port: 8_841, samples, everyMs: 1_000 };
  for (let seq = 1; seq <= samples && !signal.aborted; seq++) {
    const found = seq % 2 === 1 ? { serviceMs: 20, lost: null } : { serviceMs: null, lost: "connection refused" };
    yield { event: "sample", seq, atMs: FAKE_NOW_MS + seq * 1_000, linkMs: 12, ...found };
  }
  yield { event: "done" };
}
