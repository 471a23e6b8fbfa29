import { expect, test } from "bun:test";
import { startLog } from "../../os/log.ts";
import { RouterLog } from "./log.ts";

test("each reason of each protocol is logged once, however many probes it came to, and all are counted", async () => {
  const lines: string[] = [];
  const end = await startLog({ format: "human", level: "debug", write: (line) => lines.push(line) });
  try {
    const log = new RouterLog();
    for (let probe = 0; probe < 3; probe++) {
      log.onIgnored("UPnP", "other-host", `192.168.1.${probe}`);
      log.onIgnored("PCP or NAT-PMP", "other-host", "192.168.1.9");
    }
    log.onIgnored("UPnP", "unreadable", "192.168.1.1");
    expect(log.ignored).toEqual([
      { protocol: "UPnP", reason: "other-host", count: 3 },
      { protocol: "PCP or NAT-PMP", reason: "other-host", count: 3 },
      { protocol: "UPnP", reason: "unreadable", count: 1 },
    ]);
    const said = lines.map((line) => line.match(/router: (.*?) protocol=/)?.[1]);
    expect(said).toEqual([
      "UPnP: something from 192.168.1.0 is ignored: other-host",
      "PCP or NAT-PMP: something from 192.168.1.9 is ignored: other-host",
      "UPnP: something from 192.168.1.1 is ignored: unreadable",
    ]);
  } finally {
    await end();
  }
});
