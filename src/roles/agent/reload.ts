import { asksForAny } from "../../core/allocate.ts";
import { partOf } from "../../core/forward.ts";
import { same } from "../../core/same.ts";
import type { PortMapping } from "../../wire/port-set.ts";
import type { ForwardSpec, ReloadReport } from "../control.ts";
import { V } from "../views.ts";
import { idOf } from "./forwards.ts";
import type { Held } from "./held.ts";
import { nameOf, specOf } from "./info.ts";
import { outcomeEvent } from "./outcome.ts";
import type { AgentView } from "./view.ts";

/** Reads the config again and brings the forwards it lists in line: unchanged ones are not touched. */
export async function reload(agent: AgentView): Promise<ReloadReport> {
  const before = await agent.reload();
  const after = agent.settings();
  const needRestart = [
    ...(before.name === after.name ? [] : ["agent.name"]),
    ...(same(before.relay, after.relay) ? [] : ["agent.relay"]),
    ...(same(before.certificate, after.certificate) ? [] : ["agent.certificate"]),
    ...(before.ca === after.ca ? [] : ["agent.ca"]),
  ];
  const report = { ...V, added: [], changed: [], removed: [], unchanged: 0, refused: [], needRestart };
  return agent.runListed ? { ...report, ...(await bringInLine(agent, before.forwards, after.forwards)) } : report;
}

async function bringInLine(agent: AgentView, before: readonly ForwardSpec[], after: readonly ForwardSpec[]) {
  const { forwards } = agent;
  const wanted = new Map(after.map((spec) => [idOf(spec), spec]));
  const gone = before.filter((spec) => !wanted.has(idOf(spec)) && forwards.get(idOf(spec))?.origin === "config");
  const differing = [...wanted].filter(([id, spec]) => !isAsWanted(forwards.get(id), spec));
  const added = differing.filter(([id]) => forwards.get(id) === undefined).map(([, spec]) => nameOf(spec));
  const changed = differing.filter(([id]) => forwards.get(id) !== undefined).map(([, spec]) => nameOf(spec));
  for (const spec of gone) forwards.remove(idOf(spec));
  for (const [id, spec] of differing) {
    const held = forwards.get(id);
    if (held?.attached === false && isInTheWay(specOf(held), spec, wanted)) forwards.remove(id);
  }
  const refused: string[] = [];
  const put = differing.map(async ([id, spec]) => {
    if (forwards.get(id)?.attached === true) {
      refused.push(`"${nameOf(spec)}" belongs to a command that is running: end that command, then reload.`);
      return;
    }
    const outcome = outcomeEvent(spec, await forwards.put(spec, "config", false));
    if (outcome?.event === "refused") refused.push(outcome.message);
  });
  await Promise.all(put);
  return { added, changed, removed: gone.map(nameOf), unchanged: wanted.size - differing.length, refused };
}

/** What was refused is asked for again: the reason may be gone. */
function isAsWanted(held: Held | undefined, spec: ForwardSpec): boolean {
  return held !== undefined && same(specOf(held), spec) && outcomeEvent(spec, held)?.event !== "refused";
}

/** Ports that move from one forward to another must be free first; a forward that only moves away stays open until then. */
function isInTheWay(present: ForwardSpec, next: ForwardSpec, wanted: ReadonlyMap<string, ForwardSpec>): boolean {
  for (const [id, other] of wanted) {
    if (id === idOf(next) || other.kind !== present.kind) continue;
    if (overlap(portsOf(present), portsOf(other)) && !overlap(portsOf(next), portsOf(other))) return true;
  }
  return false;
}

function portsOf(spec: ForwardSpec): readonly PortMapping[] {
  return partOf(spec).ports;
}

function overlap(a: readonly PortMapping[], b: readonly PortMapping[]): boolean {
  if (asksForAny(a) || asksForAny(b)) return false;
  return a.some((one) =>
    b.some((two) => one.protocol === two.protocol && one.first <= two.last && two.first <= one.last),
  );
}
