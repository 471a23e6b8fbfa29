import type { ChallengeType } from "../../wire/acme/messages.ts";
import { PROOF_PORT } from "./steps.ts";

/** Where visitors come in; null = not there. */
export interface ProofPorts {
  readonly http: number | null;
  readonly https: number | null;
}

/**
 * How names can be proven there, the best first. `chosen`: by a person; null = nobody chose. Ports that are others than a CA
 * comes to may be reached by them from outside, so they are tried as well, later.
 */
export function proofWays(chosen: ChallengeType | null, { http, https }: ProofPorts): readonly ChallengeType[] {
  if (chosen !== null) return [chosen];
  const ways: ChallengeType[] = [];
  if (http !== null) ways.push("http-01");
  if (https !== null) ways.push("tls-alpn-01");
  const isByTls = https === PROOF_PORT["tls-alpn-01"] && http !== PROOF_PORT["http-01"];
  return isByTls ? ways.reverse() : ways;
}

/** After each failure another way, if there is one: a provider may close one of the ports, and nothing else tells. */
export function waysOfTry(ways: readonly ChallengeType[], failures: number): readonly ChallengeType[] {
  const first = ways.length === 0 ? 0 : failures % ways.length;
  return [...ways.slice(first), ...ways.slice(0, first)];
}
