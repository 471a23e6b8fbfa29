import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fastestMs } from "../fixtures/fastest.ts";
import { forwards, type Opened, open, type Site, startSite, status } from "./hatchway.ts";
import { curl, iperf, startIperf, startNginx, startService, startSshd, visit } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

/** Real programs through a remote forward to an agent that the visitor has no route to. */
const MAX_LOSS_PERCENT = 0.1;
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

describe("a remote forward", () => {
  test("curl gets a page over IPv4 and IPv6, and nothing once it is closed", async () => {
    await using _ = await startNginx(lab, lab.agent, 8080, "hello from behind");
    const url = `http://${lab.relay.v4}:18080/`;
    {
      await using opened = await open(lab, site.agentHome, "expose", "8080", "--as", "18080");
      expect(opened.endpoints).toMatchObject([
        { protocol: "tcp", host: lab.relay.v4, port: 18080, internalPort: 8080 },
      ]);
      expect((await curl(lab, lab.visitor, url)).stdout).toBe("hello from behind");
      expect((await curl(lab, lab.visitor, `http://[${lab.relay.v6}]:18080/`)).stdout).toBe("hello from behind");
    }
    expect((await curl(lab, lab.visitor, url)).exitCode).toBe(7);
  }, 20_000);

  test("ssh runs a command and copies 20 MB through standard input", async () => {
    const sshd = await startSshd(lab, lab.agent, 2022);
    await using _ = await open(lab, site.agentHome, "expose", "2022");
    const ssh = sshd.clientArgs(lab.relay.v4, 2022);
    expect((await lab.exec(lab.visitor, [...ssh, "echo from $((6 * 7))"])).stdout).toBe("from 42");
    const copy = 'head -c 20000000 /dev/zero | "$@" "wc -c"';
    expect((await lab.exec(lab.visitor, ["sh", "-c", copy, "sh", ...ssh])).stdout.trim()).toBe("20000000");
    await sshd.child.kill();
  }, 20_000);

  test("iperf3 moves TCP both ways, and UDP at 200 Mbit/s with at most 0.1 % loss", async () => {
    await using _ = await startIperf(lab, lab.agent, 5201);
    await using __ = await open(lab, site.agentHome, "expose", "5201", "--protocol", "tcp+udp");
    const to = ["-c", lab.relay.v4, "-p", "5201"];
    for (const direction of [[], ["-R"]]) {
      const tcp = await iperf(lab, lab.visitor, [...to, "-t", "2", ...direction]);
      expect(tcp.sum_received?.bits_per_second).toBeGreaterThan(100e6);
      const udp = await iperf(lab, lab.visitor, [
        ...to,
        "-t",
        "2",
        "-u",
        "-b",
        "200M",
        "-l",
        "1400",
        "-w",
        "2M",
        ...direction,
      ]);
      expect(udp.sum?.packets).toBeGreaterThan(30_000);
      expect(udp.sum?.lost_percent).toBeLessThanOrEqual(MAX_LOSS_PERCENT);
    }
  }, 40_000);

  test("a range of 1,000 ports is one forward, open in under a second, port to the same port", async () => {
    await using _ = await startService(lab, lab.agent, "port:tcp:20000-20999", "echo:udp:20000-20999");
    const before = (await forwards(lab, site.relayHome)).length;
    let last: Opened | undefined;
    const openedMs = await fastestMs(1_000, async () => {
      await last?.[Symbol.asyncDispose]();
      const startedMs = performance.now();
      last = await open(lab, site.agentHome, "expose", "20000-20999");
      return performance.now() - startedMs;
    });
    await using opened = last;
    expect(openedMs).toBeLessThan(1_000);
    expect(opened?.endpoints).toMatchObject([{ protocol: "tcp", port: 20000, lastPort: 20999, internalPort: 20000 }]);
    expect(await forwards(lab, site.relayHome)).toHaveLength(before + 1);
    const ports = [20000, 20001, 20123, 20499, 20500, 20998, 20999];
    const { answers } = await visit<{ answers: Record<string, string> }>(
      lab,
      lab.visitor,
      "ports",
      lab.relay.v4,
      ...ports,
    );
    expect(answers).toEqual(Object.fromEntries(ports.map((port) => [port, `${port}\n`])));
  }, 20_000);

  test("`status` counts visitors and bytes on both sides", async () => {
    await using _ = await startService(lab, lab.agent, "answer:tcp:7001:1000000");
    await using __ = await open(lab, site.agentHome, "expose", "7001");
    const before = await status(lab, site.relayHome);
    await visit(lab, lab.visitor, "ask", lab.relay.v4, 7001, 300_000);
    const after = await status(lab, site.relayHome);
    expect(after.counters.visitorsTotal - before.counters.visitorsTotal).toBe(1);
    expect(after.counters.bytesIn - before.counters.bytesIn).toBe(300_000);
    expect(after.counters.bytesOut - before.counters.bytesOut).toBe(1_000_000);
    expect(await status(lab, site.agentHome)).toMatchObject({ role: "agent", link: "up" });
  });
});
