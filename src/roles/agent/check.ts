import { askingWith } from "../check/dial.ts";
import { reportOf } from "../check/report.ts";
import type { CheckReport, CheckRequest } from "../control.ts";
import { checkOwnAddress } from "./check-address.ts";
import { checkRemoteForward } from "./check-forward.ts";
import { checkOwnSite } from "./check-site.ts";
import { subjectOf } from "./check-subject.ts";
import type { AgentView } from "./view.ts";

/** An agent that was just started for this check needs a moment to connect. */
const LINK_PATIENCE_MS = 8_000;
/** Checks a port for a person at this agent. */
export async function check(agent: AgentView, request: CheckRequest): Promise<CheckReport> {
  await linkSettled(agent);
  const subject = await subjectOf(agent, request.target);
  const site = await checkOwnSite(agent, subject);
  if (site !== null) return site;
  const { protocol, port } = subject;
  const { resolver } = agent.checkMeans;
  const asking = askingWith({ protocol, resolver, signal: agent.ended, payload: request.payload, port });
  const checked =
    subject.kind === "own"
      ? await checkOwnAddress(agent, subject, request.service, asking)
      : await checkRemoteForward(agent, subject, asking);
  return reportOf(checked.evidence, checked.host);
}

async function linkSettled(agent: AgentView): Promise<void> {
  if (agent.link().kind !== "connecting") return;
  const settled = Promise.withResolvers<void>();
  const stop = agent.watchLink((state) => {
    if (state.kind !== "connecting") settled.resolve();
  });
  const timer = setTimeout(settled.resolve, LINK_PATIENCE_MS);
  await settled.promise;
  clearTimeout(timer);
  stop();
}
