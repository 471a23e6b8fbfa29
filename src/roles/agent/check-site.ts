import { after } from "../../os/timers.ts";
import { checkSite } from "../check/site.ts";
import type { CheckReport } from "../control.ts";
import type { Subject } from "./check-subject.ts";
import { countersOfAll } from "./counters.ts";
import { countersOfHeld, forwardInfo } from "./info.ts";
import type { AgentView } from "./view.ts";

/** A site of this agent that its relay has open, looked at as its visitors come. Null: it is none, or not open. */
export async function checkOwnSite(agent: AgentView, subject: Subject): Promise<CheckReport | null> {
  const link = agent.link();
  if (subject.kind !== "remote" || subject.held === null || link.kind !== "up") return null;
  const { held } = subject;
  const { site, id } = held.forward.spec;
  if (site === undefined || held.forward.answer.kind !== "open") return null;
  const again = async () => {
    const counters = await countersOfAll(agent, [[id, held]]);
    return forwardInfo(held, counters.get(id) ?? countersOfHeld(held));
  };
  const { resolver } = agent.checkMeans;
  const { publicHost } = link.welcome;
  return checkSite({
    site: await again(),
    tls: site.tls,
    again,
    names: { resolver, publicHost, ownAddresses: [], after },
    side: "agent",
    signal: agent.ended,
  });
}
