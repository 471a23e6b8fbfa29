import { type Finding, findingsOf, type Outcome, skipped, warning } from "../../core/doctor/model.ts";
import { messageOf } from "../../os/errors.ts";
import { ControlError, type DoctorEvent } from "../control.ts";
import { type Check, LIMIT_MS } from "./checks.ts";
import { DATA_CHECKS } from "./data.ts";
import { FORWARD_CHECKS } from "./forwards.ts";
import { GATEWAY_CHECKS } from "./gateway.ts";
import { LINK_CHECKS } from "./link.ts";
import { MACHINE_CHECKS } from "./machine.ts";
import { RELAY_CHECKS } from "./relay.ts";
import { ROUTER_CHECKS } from "./router.ts";
import type { World } from "./world.ts";

/** In the order in which they are made: what a later one rests on comes before it. */
export const CHECKS: readonly Check[] = [
  ...MACHINE_CHECKS,
  ...DATA_CHECKS,
  ...LINK_CHECKS,
  ...FORWARD_CHECKS,
  ...ROUTER_CHECKS,
  ...GATEWAY_CHECKS,
  ...RELAY_CHECKS,
];

/** Makes the checks one after another, each within its own time; one that fails stops none. Ends on abort. */
export async function* examine(
  world: World,
  checks: readonly Check[] = CHECKS,
): AsyncGenerator<DoctorEvent, void, void> {
  for (const check of checks) {
    if (world.signal.aborted) return;
    yield { kind: "checking", section: check.section, doing: check.doing };
    const findings = await findingsOfCheck(check, world);
    if (findings === null) return;
    for (const finding of findings) yield { kind: "found", finding };
  }
}

/** Null: stopped. */
async function findingsOfCheck(check: Check, world: World): Promise<Finding[] | null> {
  const { id, section, doing, limitMs = LIMIT_MS } = check;
  const ended = new AbortController();
  const early = Promise.withResolvers<Outcome | null>();
  const late = warning(
    `${doing} took longer than ${limitMs / 1_000} s.`,
    "See what this machine or its network is busy with.",
  );
  const timer = setTimeout(early.resolve, limitMs, late);
  const onAbort = () => early.resolve(null);
  world.signal.addEventListener("abort", onAbort, { once: true });
  if (world.signal.aborted) onAbort();
  try {
    const looked = lookWith(check, world, ended.signal).catch((error: unknown) => failed(doing, error));
    const outcome = await Promise.race([looked, early.promise]);
    return outcome === null ? null : findingsOf(id, section, outcome);
  } finally {
    clearTimeout(timer);
    world.signal.removeEventListener("abort", onAbort);
    ended.abort();
  }
}

async function lookWith(check: Check, world: World, signal: AbortSignal): Promise<Outcome> {
  if (check.isInside === true && (await world.isDenied())) return skipped("The data directory cannot be looked into.");
  return check.look(world, signal);
}

/** What could not be looked at is not known to be wrong. */
function failed(doing: string, error: unknown): Outcome {
  const isTold = error instanceof ControlError;
  return warning(
    `${doing} failed: ${messageOf(error)}`,
    isTold ? null : "That is a fault of this program: please report it, with `hatchway doctor --bundle`.",
  );
}
