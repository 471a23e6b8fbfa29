/** Why no certificate came. `limited`: the server wants to be left alone. `unreachable`: it did not answer. */
export type AcmeFailureKind = "unreachable" | "limited" | "refused";

export interface AcmeFailure {
  readonly kind: AcmeFailureKind;
  /** One sentence that says what to do. */
  readonly message: string;
  /** The server names the time from which it may be asked again. */
  readonly notBeforeMs: number | null;
}

/** What is remembered of failures, over restarts too: a restart is no reason to ask sooner. */
export interface FailedTries {
  /** In a row. */
  readonly count: number;
  readonly lastMs: number;
  readonly retryAtMs: number;
  /** The server asked for the pause. */
  readonly limited: boolean;
  /** It said until when; null = it did not. */
  readonly notBeforeMs: number | null;
  /** Of the last hour: when it refused, or did not find the proof. */
  readonly refusedMs: readonly number[];
  readonly message: string;
}

export interface AcmeState {
  /** There is one, for these names, of this server. */
  readonly certificate: { readonly renewAtMs: number } | null;
  /** Of these names at this server. */
  readonly failed: FailedTries | null;
}

export type AcmePlan = { readonly kind: "order" } | { readonly kind: "wait"; readonly untilMs: number };

export function acmePlan({ certificate, failed }: AcmeState, nowMs: number): AcmePlan {
  const dueMs = Math.max(certificate?.renewAtMs ?? 0, failed?.retryAtMs ?? 0);
  return nowMs >= dueMs ? { kind: "order" } : { kind: "wait", untilMs: dueMs };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * Pauses grow threefold. Let's Encrypt bears five failed proofs of a name in an hour (its rate limits, 2026): the first
 * pause alone keeps to that. A server that does not answer counts nothing, so it is asked sooner.
 */
const FIRST_PAUSE_MS: Record<AcmeFailureKind, number> = {
  unreachable: 2 * MINUTE_MS,
  refused: 15 * MINUTE_MS,
  limited: HOUR_MS,
};
const GROWTH = 3;
const MAX_PAUSE_MS = 12 * HOUR_MS;
/** Added by chance, so that the machines of one outage do not all come back at once. */
const PAUSE_JITTER = 0.25;
/** And so many are left to a person; the fifth is for the try that comes by itself. */
const MOST_REFUSED = 4;
/** Longer than any limit's window: a Retry-After beyond it is a mistake or malice. */
const MAX_NOT_BEFORE_MS = 14 * 24 * HOUR_MS;

/** `random` in 0..1. */
export function afterFailure(
  before: FailedTries | null,
  { kind, message, notBeforeMs }: AcmeFailure,
  nowMs: number,
  random: number,
): FailedTries {
  const count = (before?.count ?? 0) + 1;
  const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS[kind] * GROWTH ** (count - 1));
  const ownMs = nowMs + pauseMs * (1 + random * PAUSE_JITTER);
  const serversMs = notBeforeMs === null ? null : Math.min(notBeforeMs, nowMs + MAX_NOT_BEFORE_MS);
  return {
    count,
    lastMs: nowMs,
    retryAtMs: Math.max(ownMs, serversMs ?? 0),
    limited: kind === "limited",
    notBeforeMs: serversMs,
    refusedMs: [...refusedLately(before, nowMs), ...(kind === "refused" ? [nowMs] : [])],
    message,
  };
}

/** A person who mended something need not wait for the pause: only for what the CA asked for, and what its limits bear. */
export function mayRetryAtOnce(failed: FailedTries, nowMs: number): boolean {
  return !failed.limited && nowMs >= (failed.notBeforeMs ?? 0) && refusedLately(failed, nowMs).length < MOST_REFUSED;
}

function refusedLately(failed: FailedTries | null, nowMs: number): readonly number[] {
  return failed?.refusedMs.filter((atMs) => nowMs < atMs + HOUR_MS) ?? [];
}

const RENEW_AT = 2 / 3;
const RENEW_JITTER = 1 / 30;

/** At two thirds of its life, and up to a thirtieth of it later. `random` in 0..1. */
export function renewAtMs(notBeforeMs: number, notAfterMs: number, random: number): number {
  return notBeforeMs + (notAfterMs - notBeforeMs) * (RENEW_AT + random * RENEW_JITTER);
}
