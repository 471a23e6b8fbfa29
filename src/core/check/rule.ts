import type { Evidence, HopLine, Saw, Verdict } from "./evidence.ts";

/** One row of a table of verdicts. */
export interface Rule<E> {
  readonly name: string;
  when(evidence: E): boolean;
  /** `sure` is true where it is left out. */
  say(evidence: E): Omit<Verdict, "rule" | "sure"> & Partial<Pick<Verdict, "sure">>;
}

/** After "from ADDRESS:". */
export const SAW_WORDS: Readonly<Record<Saw, string>> = {
  open: "it answers",
  ended: "it answers, and ends the connection",
  closed: "it refuses",
  filtered: "nothing comes back",
  silent: "nothing comes back",
  unreachable: "there is no way to it",
  failed: "it could not be tried",
};

type Seen = Pick<Evidence, "service" | "protocol" | "stoodIn">;

export function saw({ vantage }: Pick<Evidence, "vantage">, ...these: readonly Saw[]): boolean {
  return vantage !== null && these.includes(vantage);
}

/** This program stood in for a service that is not there, and the visitor came to it. */
export const STAND_IN_REACHED: Rule<Seen> = {
  name: "nothing listens; the way is open",
  when: ({ stoodIn }) => stoodIn === true,
  say: ({ service }) => ({
    state: "dead-service",
    hop: "service",
    sentence: `The way to ${service.at} is open from outside, but nothing listens there.`,
    remedy: "Start the service.",
  }),
};

/** Something is there, as this end saw itself. A UDP service that is silent is neither alive nor dead. */
export function isAlive({ service }: Seen): boolean {
  return service.saw === "open" || service.saw === "ended";
}

export function isDead({ service }: Seen): boolean {
  return service.saw === "closed" || service.saw === "unreachable" || service.saw === "filtered";
}

/** `nothing listens at 127.0.0.1:80`. */
export function serviceProblem({ service }: Seen): string {
  switch (service.saw) {
    case "closed":
      return `nothing listens at ${service.at}`;
    case "filtered":
    case "silent":
      return `the service at ${service.at} does not answer`;
    case "unreachable":
      return `there is no way to the service at ${service.at}`;
    case "open":
    case "ended":
    case "failed":
    case null:
      return "the service behind it does not answer";
    default:
      return service.saw satisfies never;
  }
}

export function serviceLine(e: Seen & Pick<Evidence, "answers" | "vantage">): HopLine {
  const hop = "service";
  const { at, saw, loopbackOnly } = e.service;
  if (loopbackOnly) return { hop, mark: "bad", text: `listens on a loopback address only, and not at ${at}` };
  if (isDead(e)) return { hop, mark: "bad", text: serviceProblem(e) };
  if (e.vantage === "ended") return { hop, mark: "bad", text: `${at} ends the connection at once` };
  if (isAlive(e)) return { hop, mark: "ok", text: `${at} answers here` };
  if (saw === "silent" && e.answers) return { hop, mark: "bad", text: `${at} does not answer here either` };
  if (saw === "silent") return { hop, mark: "ok", text: `something has ${at}, and does not answer strangers` };
  return {
    hop,
    mark: e.vantage === "open" ? "ok" : "unknown",
    text: e.vantage === "open" ? "answers" : "was not seen from here",
  };
}
