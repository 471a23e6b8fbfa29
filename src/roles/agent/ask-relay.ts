import { parseAddress } from "../../wire/address.ts";
import type { checkTarget } from "../../wire/tunnel/check.ts";
import { CHECK_FEATURE, type ResultOutcome } from "../../wire/tunnel/control.ts";
import type { z } from "../../wire/zod.ts";
import type { LinkState } from "./link.ts";
import type { AgentView } from "./view.ts";

/** A relay's probe takes 3.5 s at most. */
const RELAY_PATIENCE_MS = 10_000;

type Target = z.infer<typeof checkTarget>;
export type CheckOutcome = Extract<ResultOutcome, { kind: "check" }>;

/** The relay's answer, or one sentence why there is none. */
export async function askRelay(
  agent: AgentView,
  target: Target,
  padBytes: number,
): Promise<CheckOutcome | Extract<ResultOutcome, { kind: "refused" }> | string> {
  const link = agent.link();
  const requests = agent.requests();
  if (link.kind !== "up" || requests === null) return linkMessage(link) ?? "this agent is not connected to its relay.";
  if (link.welcome.features?.includes(CHECK_FEATURE) !== true) {
    return "the relay's version cannot check ports yet; update it.";
  }
  const patience = Promise.withResolvers<null>();
  const timer = setTimeout(patience.resolve, RELAY_PATIENCE_MS, null);
  const asked = requests.ask({ t: "check", target, pad: ".".repeat(padBytes) });
  const outcome = await Promise.race([asked, patience.promise]);
  clearTimeout(timer);
  if (outcome?.kind === "check" || outcome?.kind === "refused") return outcome;
  return "the relay did not answer.";
}

/** Null: the link is up. */
export function linkMessage(link: LinkState): string | null {
  switch (link.kind) {
    case "up":
      return null;
    case "none":
      return "this agent runs without a relay.";
    case "connecting":
      return "it is still connecting.";
    case "down":
      return `${link.message.replace(/\.$/, "")}.`;
    case "rejected":
      return link.message;
    default:
      return link satisfies never;
  }
}

export function canonical(address: string): string {
  const parsed = parseAddress(address);
  return parsed.ok ? parsed.value : address;
}
