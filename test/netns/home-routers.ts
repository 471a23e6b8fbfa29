import { chmodSync } from "node:fs";
import { dirname } from "node:path";
import { command, newHome } from "./hatchway.ts";
import { type Above, createHomeLab, type HomeLab } from "./home-lab.ts";
import { type MiniupnpdPlace, type MiniupnpdSettings, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";

/** Homes whose router can be asked for ports. */
export const place = (lab: HomeLab): MiniupnpdPlace => ({
  host: lab.router,
  wan: "wan",
  lans: ["lan"],
  external: null,
});

/** With Debian's miniupnpd. */
export async function homeWithMiniupnpd(above: Above, settings: MiniupnpdSettings = {}): Promise<HomeLab> {
  const lab = createHomeLab({ above });
  prepareMiniupnpd(place(lab));
  await startMiniupnpd(lab, place(lab), { enable_natpmp: "yes", ...settings });
  return lab;
}

/** With a gateway of ours. */
export async function homeWithGateway(above: Above): Promise<HomeLab> {
  const lab = createHomeLab({ above });
  const home = newHome(lab, lab.router);
  // The gateway gives up root: what it reads later must be in an ordinary user's reach.
  chmodSync(lab.directory, 0o711);
  chmodSync(dirname(home.config), 0o755);
  const child = lab.spawn(lab.router, command(home, "gateway", "--wan", "wan", "--lan", "lan", "--json"));
  await child.event("ready", { deadlineMs: 20_000 });
  return lab;
}
