import { type DescriptorFacts, judgeClock, judgeDescriptors, judgeProgram } from "../../core/doctor/machine.ts";
import { nowMs } from "../../os/clock.ts";
import { descriptorsOf } from "../../os/look.ts";
import { BUN_VERSION, VERSION } from "../../os/version.ts";
import type { Check } from "./checks.ts";
import type { World } from "./world.ts";

export const MACHINE_CHECKS: readonly Check[] = [
  {
    id: "program",
    section: "machine",
    doing: "Looking at the program",
    look: async () =>
      judgeProgram({
        version: VERSION,
        bun: Bun.version,
        testedBun: BUN_VERSION,
        platform: process.platform,
        arch: process.arch,
        checksNoCertificates: process.env["NODE_TLS_REJECT_UNAUTHORIZED"] === "0",
      }),
  },
  {
    id: "clock",
    section: "machine",
    doing: "Looking at the clock",
    look: async (world) => {
      const agent = await world.agent();
      const asked = agent.kind === "runs" ? (agent.status.relayTimeMs ?? null) : null;
      return judgeClock({ nowMs: nowMs(), relayMs: asked });
    },
  },
  {
    id: "descriptors",
    section: "machine",
    doing: "Looking at the limit of file descriptors",
    look: async (world) => judgeDescriptors(await descriptorFacts(world)),
  },
];

async function descriptorFacts(world: World): Promise<DescriptorFacts[]> {
  const running = await Promise.all(
    [world.relay(), world.agent(), world.gateway()].map(async (asked) => {
      const role = await asked;
      return role.kind === "runs" ? [{ role: role.status.role, pid: role.status.pid }] : [];
    }),
  );
  const processes = running.flat().length === 0 ? [{ role: null, pid: "self" as const }] : running.flat();
  const facts = await Promise.all(
    processes.map(async ({ role, pid }) => {
      const found = await descriptorsOf(pid);
      return found === null ? [] : [{ role, ...found }];
    }),
  );
  return facts.flat();
}
