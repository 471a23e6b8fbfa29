import type { PortState, Saw } from "../check/evidence.ts";
import {
  failure,
  fine,
  type Judgement,
  type NamedJudgement,
  sentenceOf,
  skipped,
  splitAdvice,
  warning,
  worstOf,
} from "./model.ts";

export interface ForwardFacts {
  readonly id: string;
  readonly name: string;
  readonly state: "open" | "waiting" | "refused" | "disabled" | "away" | "unhealthy";
  /** Why it is not open. */
  readonly message: string | null;
  /** `here`, `relay`, `agent:NAME` or `router`. */
  readonly via: string;
}

/** How many are in which state, in one line. */
export function judgeForwards(forwards: readonly ForwardFacts[], none: string): Judgement {
  if (forwards.length === 0) return skipped(none);
  const count = (state: ForwardFacts["state"]) => forwards.filter((one) => one.state === state).length;
  const parts = (["open", "waiting", "refused", "unhealthy", "away", "disabled"] as const)
    .map((state) => ({ state, number: count(state) }))
    .filter(({ number }) => number > 0)
    .map(({ state, number }) => `${number} ${state}`);
  return fine(`${forwards.length === 1 ? "1 forward" : `${forwards.length} forwards`}: ${parts.join(", ")}.`);
}

/** A thousand forwards that are refused for one reason are not to be read one by one. */
const MAX_NAMED = 10;

/** One judgement for each forward that should be open and is not. `linkUp`: the agent's, to its relay. */
export function judgeStates(forwards: readonly ForwardFacts[], linkUp: boolean): (NamedJudgement | Judgement)[] {
  const isHeldUp = ({ state, via }: ForwardFacts) => state === "waiting" && !linkUp && via !== "router";
  const wrong = forwards.flatMap((one) => {
    const judgement = isHeldUp(one) ? null : judgeState(one);
    return judgement === null ? [] : [{ name: one.name, judgement }];
  });
  const waiting = forwards.filter(isHeldUp).length;
  const held = waiting === 1 ? "1 forward waits" : `${waiting} forwards wait`;
  return [
    ...wrong.slice(0, MAX_NAMED),
    ...judgeRest(wrong.slice(MAX_NAMED)),
    ...(waiting === 0 ? [] : [warning(`${held} for the link to the relay.`, null)]),
  ];
}

/** In one line: as bad as the worst of them. */
function judgeRest(rest: readonly NamedJudgement[]): Judgement[] {
  if (rest.length === 0) return [];
  const sentence = `${rest.length === 1 ? "1 more forward is" : `${rest.length} more forwards are`} not open.`;
  const judge = worstOf(rest.map(({ judgement }) => judgement)) === "failure" ? failure : warning;
  return [judge(sentence, "`hatchway forward ls` lists them all.")];
}

function judgeState({ name, state, message, via }: ForwardFacts): Judgement | null {
  switch (state) {
    case "open":
    case "disabled":
    // The device of it is off, which is the device's affair.
    case "away":
      return null;
    case "refused": {
      const { sentence, remedy } = splitAdvice(message ?? "it was not said why");
      return failure(`"${name}" was refused: ${lower(sentence)}`, remedy ?? REFUSED_REMEDY);
    }
    case "unhealthy":
      return failure(`The service behind "${name}" does not answer its health check.`, SERVICE_REMEDY);
    case "waiting": {
      const why = message ?? "it waits";
      const { sentence, remedy } =
        via === "router"
          ? { sentence: sentenceOf(why), remedy: "`hatchway router` says more of it." }
          : splitAdvice(why);
      return warning(`"${name}" is not open: ${lower(sentence)}`, remedy);
    }
    default:
      return state satisfies never;
  }
}

const REFUSED_REMEDY = "Choose another port, or ask the relay's operator.";
const SERVICE_REMEDY = "Start the service, or correct where the forward leads.";

/** The service of a forward as it was dialled from here, and the way in from outside where that could be tried. */
export interface ServiceFacts {
  readonly name: string;
  /** `127.0.0.1:25565/tcp`. */
  readonly at: string;
  readonly saw: Saw;
  /** Null = it was not tried. */
  readonly way: { readonly state: PortState; readonly sentence: string; readonly remedy: string | null } | null;
}

/** One judgement for each service that does not answer; one for those that do. `left`: forwards that were not looked at. */
export function judgeServices(
  services: readonly ServiceFacts[],
  left: number,
): readonly (NamedJudgement | Judgement)[] {
  if (services.length === 0) return [skipped("No forward is open that leads to a service from here.")];
  const wrong = services.flatMap((one) => {
    const judgement = judgeService(one);
    return judgement === null ? [] : [{ name: one.name, judgement }];
  });
  const good = services.length - wrong.length;
  if (good === 0 && left === 0) return wrong;
  const all = services.length + left;
  const notAll = left === 0 ? "" : ` Only the first ${services.length} of ${all} forwards were looked at.`;
  return [...wrong, fine(`${answerText(good, services)}.${notAll}`)];
}

function answerText(good: number, services: readonly ServiceFacts[]): string {
  if (good < services.length) return `${good} of ${services.length} services ${good === 1 ? "answers" : "answer"}`;
  const isSeen = services.every(({ way }) => way?.state === "open");
  if (good === 1) return `The service answers${isSeen ? ", by its public port too" : ""}`;
  return `All ${good} services answer${isSeen ? ", by their public ports too" : ""}`;
}

function judgeService({ name, at, saw, way }: ServiceFacts): Judgement | null {
  if (way !== null && way.state !== "open" && way.state !== "unknown") {
    return failure(`"${name}" cannot be reached: ${lower(sentenceOf(way.sentence))}`, way.remedy ?? seeCheck(name));
  }
  switch (saw) {
    case "open":
    // It ends a connection that says nothing, or answers only what it understands.
    case "ended":
    case "silent":
      return null;
    case "closed":
      return failure(`Nothing listens at ${at}, where "${name}" leads.`, SERVICE_REMEDY);
    case "filtered":
      return failure(
        `${at}, where "${name}" leads, does not answer: off, or behind a firewall of its own.`,
        SERVICE_REMEDY,
      );
    case "unreachable":
      return failure(`There is no way from here to ${at}, where "${name}" leads.`, SERVICE_REMEDY);
    case "failed":
      return warning(`${at}, where "${name}" leads, could not be dialled.`, seeCheck(name));
    default:
      return saw satisfies never;
  }
}

function seeCheck(name: string): string {
  return `hatchway check ${/^[\w.-]+$/.test(name) ? name : JSON.stringify(name)}`;
}

function lower(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? `${text[0]?.toLowerCase()}${text.slice(1)}` : text;
}
