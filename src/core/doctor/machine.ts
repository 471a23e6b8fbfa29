import { failure, fine, type Judgement, skipped, warning } from "./model.ts";

export interface ProgramFacts {
  readonly version: string;
  readonly bun: string;
  /** The Bun that this version was tried with. */
  readonly testedBun: string;
  readonly platform: string;
  readonly arch: string;
  /** NODE_TLS_REJECT_UNAUTHORIZED=0 is set here. */
  readonly checksNoCertificates: boolean;
}

export function judgeProgram(facts: ProgramFacts): Judgement {
  const { version, bun, testedBun, platform, arch } = facts;
  if (facts.checksNoCertificates) {
    const sentence = "NODE_TLS_REJECT_UNAUTHORIZED=0 is set here, so no relay, agent or gateway starts.";
    return failure(sentence, "Unset it: it switches every certificate check off.");
  }
  if (isOlder(bun, testedBun)) {
    const sentence = `Hatchway ${version} runs on Bun ${bun}, and was made for ${testedBun}.`;
    return warning(sentence, "Start it by bin/hatchway after `npm install`, which brings its own Bun.");
  }
  return fine(`Hatchway ${version} on Bun ${bun}, ${platform} ${arch}.`);
}

/** By numbers: 1.10.0 is newer than 1.9.9. What is no number counts as 0. */
export function isOlder(version: string, than: string): boolean {
  const [own, other] = [version, than].map((text) => text.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0));
  for (let at = 0; at < 3; at++) {
    const difference = (own?.[at] ?? 0) - (other?.[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

export interface ClockFacts {
  readonly nowMs: number;
  /** The relay's clock at the same moment; null = no relay tells it. */
  readonly relayMs: number | null;
}

/** No program of this kind existed before. */
const FIRST_RELEASE_MS = Date.UTC(2026, 0, 1);
/** Leases, join codes and logs are in seconds; certificates in days. A minute is what NTP never is off by. */
const CLOCK_OFF_MS = 60_000;
const SET_CLOCK = "Set it by the network: `timedatectl set-ntp true`, or your system's own way.";

export function judgeClock({ nowMs, relayMs }: ClockFacts): Judgement {
  const time = `${new Date(nowMs).toISOString().slice(0, "2026-01-01T00:00".length).replace("T", " ")} UTC`;
  if (nowMs < FIRST_RELEASE_MS) {
    return failure(`This machine's clock says ${time}: every certificate looks not valid yet.`, SET_CLOCK);
  }
  if (relayMs === null) return fine(`It is ${time}, says this machine; no relay tells its time to compare.`);
  const offMs = nowMs - relayMs;
  if (Math.abs(offMs) < CLOCK_OFF_MS) return fine(`It is ${time}, and the relay's clock agrees.`);
  const sentence = `This machine's clock is ${spanText(Math.abs(offMs))} ${offMs < 0 ? "behind" : "ahead of"} the relay's.`;
  return warning(sentence, `If it is this one that is wrong: ${SET_CLOCK[0]?.toLowerCase()}${SET_CLOCK.slice(1)}`);
}

function spanText(spanMs: number): string {
  const minutes = Math.round(spanMs / 60_000);
  if (minutes < 120) return minutes === 1 ? "1 minute" : `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

/** A process's file descriptors. */
export interface DescriptorFacts {
  /** `relay`, or null = this user's processes in general. */
  readonly role: string | null;
  readonly limit: number;
  /** Null = they cannot be counted by this user. */
  readonly open: number | null;
}

/** A visitor takes one, and two where it is dialled on. */
const FEW_DESCRIPTORS = 4_096;
const NEARLY_ALL = 0.8;
const RAISE_LIMIT = "Raise it: LimitNOFILE=1048576 in the systemd unit, or `ulimit -n` before the start.";

/** `processes`: those of the roles that run, or else this one. None where the system does not tell. */
export function judgeDescriptors(processes: readonly DescriptorFacts[]): Judgement {
  const [first] = processes;
  if (first === undefined) return skipped("This system does not tell its limit of file descriptors.");
  const who = (one: DescriptorFacts) => (one.role === null ? "A process of this user" : `The ${one.role}`);
  for (const one of processes) {
    if (one.open === null || one.open < one.limit * NEARLY_ALL) continue;
    return failure(`${who(one)} has ${one.open} of its ${one.limit} file descriptors in use.`, RAISE_LIMIT);
  }
  const least = processes.reduce((small, one) => (one.limit < small.limit ? one : small), first);
  const sentence = `${who(least)} may open ${least.limit} files and connections.`;
  if (least.limit >= FEW_DESCRIPTORS) return fine(sentence);
  return warning(`${sentence} That is some ${Math.floor(least.limit / 2)} visitors at once.`, RAISE_LIMIT);
}
