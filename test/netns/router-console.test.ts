import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync } from "node:fs";
import { dirname } from "node:path";
import { ApiProblem, type Client } from "../../src/servers/api/client.ts";
import { type ConsoleReady, firstAdmin } from "./api-kit.ts";
import { AGENT_PORT, command, newHome, PUBLIC_PORTS } from "./hatchway.ts";
import { createHomeLab, HOME, type HomeLab, masquerade } from "./home-lab.ts";
import { homeWithGateway, homeWithMiniupnpd } from "./home-routers.ts";
import { prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";

setDefaultTimeout(60_000);

/** `POST /v1/router` of real servers, against real routers: what `hatchway router` says on their machine. */
const CONSOLE_PORT = 7780;

/** A relay on a machine of the home, and its administrator on another one. */
async function relayAt(lab: HomeLab): Promise<Client> {
  const where = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", HOME.line, "--ports", PUBLIC_PORTS];
  const more = ["--console", `${HOME.agent}:${CONSOLE_PORT}`, "--json"];
  const child = lab.spawn(lab.agent, command(newHome(lab, lab.agent), "serve", ...where, ...more));
  const { console } = await child.event<{ console: ConsoleReady }>("ready", { deadlineMs: 20_000 });
  return firstAdmin(lab, lab.other, console);
}

describe("a relay at home", () => {
  test("its router is found, and what stands above it: CGNAT", async () => {
    await using lab = await homeWithGateway("cgnat");
    const report = await (await relayAt(lab)).askRouter();
    expect(report).toMatchObject({
      routers: [{ family: 4, address: HOME.router, ownAddress: HOME.agent, interfaceName: "eth0" }, { family: 6 }],
      name: expect.stringContaining("Hatchway"),
      externalAddress: "100.64.0.2",
      verdict: { kind: "cgnat", sure: true, sentence: expect.stringMatching(/^CGNAT: /) },
    });
    expect(report.verdict.advice.join(" ")).toContain("--via relay");
  });

  test("with miniupnpd as its router: open, and not for certain", async () => {
    await using lab = await homeWithMiniupnpd("none");
    const report = await (await relayAt(lab)).askRouter();
    expect(report.speaks).toStartWith("PCP, NAT-PMP, UPnP (IGD 2)");
    expect(report).toMatchObject({ externalAddress: HOME.line, verdict: { kind: "open-internet", sure: false } });
  });

  test("a router that says nothing is asked by one at a time: blocked", async () => {
    await using lab = createHomeLab();
    lab.nft(lab.router, masquerade("wan", "lan"));
    lab.nft(lab.router, 'table inet mute { chain input { type filter hook input priority 0; iifname "lan" drop; }; }');
    const ann = await relayAt(lab);
    const both = await Promise.allSettled([ann.askRouter(), ann.askRouter()]);
    const [report] = both.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(report).toMatchObject({ externalAddress: null, verdict: { kind: "blocked" } });
    expect(report?.speaks).toBe("nothing that opens ports");
    const [refused] = both.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    expect(refused).toBeInstanceOf(ApiProblem);
    expect(refused).toMatchObject({ problem: { status: 429 } });
  });
});

/** It asks as the user that it became, and through its own firewall. */
test("a gateway behind another router: that one is found, and asked", async () => {
  await using lab = createHomeLab({ above: "secondRouter" });
  const place = { host: lab.above, wan: "wan", lans: ["lan"], external: null };
  prepareMiniupnpd(place);
  await startMiniupnpd(lab, place, { enable_natpmp: "yes" });
  const home = newHome(lab, lab.router);
  chmodSync(lab.directory, 0o711);
  chmodSync(dirname(home.config), 0o755);
  const flags = ["--wan", "wan", "--lan", "lan", "--console", `0.0.0.0:${CONSOLE_PORT}`, "--json"];
  const child = lab.spawn(lab.router, command(home, "gateway", ...flags));
  const { console } = await child.event<{ console: ConsoleReady }>("ready", { deadlineMs: 20_000 });
  const report = await (await firstAdmin(lab, lab.other, console)).askRouter();
  expect(report).toMatchObject({
    routers: [{ family: 4, address: lab.above.v4, ownAddress: "192.168.0.2", interfaceName: "wan" }],
    externalAddress: HOME.line,
    verdict: { kind: "open-internet", sure: false },
  });
  expect(report.speaks).toStartWith("PCP, NAT-PMP, UPnP (IGD 2)");
});
