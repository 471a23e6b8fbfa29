/**
 * The NAT-PMP and PCP server of a gateway whose mappings lead nowhere: `bun portmap-gateway.ts SETTINGS`, the settings in
 * JSON (interfaces, natPmp, pcp, thirdParty). Prints what it listens on or could not open, and again
 * after SIGHUP, which applies them once more; SIGUSR1 changes the external
 * address, which resets the epoch; SIGUSR2 prints the counts.
 */
import { ServerEpoch } from "../../../src/core/mapping/epoch.ts";
import { monotonicMs } from "../../../src/os/clock.ts";
import { PortMapServer, type PortMapSettings } from "../../../src/servers/portmap/server.ts";
import { FakeDesk } from "../../fixtures/fake-desk.ts";
import { say } from "./bytes.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as PortMapSettings;
const desk = new FakeDesk({
  inside: settings.interfaces.flatMap(({ networks }) => networks),
  secureMode: !settings.thirdParty,
});
const epoch = ServerEpoch.lost(monotonicMs());
desk.epochSec = () => epoch.epochSec(monotonicMs());
const server = new PortMapServer({
  desk,
  epoch,
  nowMs: monotonicMs,
  signal: new AbortController().signal,
  onFailure(error) {
    throw error;
  },
});
function apply(): void {
  const failures = server.apply(settings);
  if (failures.length > 0) say({ event: "failed", failures });
  say({ event: "ready", endpoints: server.endpoints });
}
apply();
process.on("SIGHUP", apply);
process.on("SIGUSR1", () => {
  desk.external = "203.0.113.21";
  epoch.reset(monotonicMs());
  server.announce();
});
process.on("SIGUSR2", () => say({ event: "counts", ...server.counts }));
