/** An axis of milliseconds: where a value stands, and the values that get a label. */
export interface Axis {
  readonly kind: "linear" | "log";
  readonly lowMs: number;
  readonly highMs: number;
  /** Within the axis, rising. */
  readonly ticks: readonly { readonly ms: number; readonly label: string }[];
  /** 0 at the low end, 1 at the high end; what is outside stands at the end. */
  place(ms: number): number;
}

/** From this ratio of the largest to the smallest on, a linear axis would press the small ones flat. */
const LOG_RATIO = 10;
/** A clock that saw no time pass: a logarithm needs something. */
const SMALLEST_MS = 0.001;
const STEPS = [1, 2, 5] as const;
const LEAST_SPAN_SHARE = 0.25;
const LINEAR_STEPS = 4;
/** Three decades of 1, 2 and 5; a longer axis has labels for its decades only. */
const MAX_LOG_TICKS = 10;
const LOG_MARGIN = 1.1;
/** Microseconds. */
const MAX_DECIMALS = 3;

/** The axis that shows all of `values` (at least one). */
export function axisFor(values: readonly number[]): Axis {
  const shown = values.map((ms) => Math.max(ms, SMALLEST_MS));
  const low = Math.min(...shown);
  const high = Math.max(...shown);
  return high / low > LOG_RATIO ? logAxis(low, high) : linearAxis(low, high);
}

/**
 * From 0, so that twice the height is twice the time; when all is in the upper half, from a round number below it. The
 * axis is never so short that differences which mean nothing fill it.
 */
function linearAxis(low: number, high: number): Axis {
  const from = low > high / 2 ? high - Math.max(high - low, high * LEAST_SPAN_SHARE) : 0;
  const step = niceStep(Math.max((high - from) / LINEAR_STEPS, SMALLEST_MS));
  const lowMs = Math.floor(from / step + ROUNDING) * step;
  const highMs = Math.max(Math.ceil(high / step - ROUNDING) * step, lowMs + step);
  const count = Math.round((highMs - lowMs) / step) + 1;
  const ticks = Array.from({ length: count }, (_, at) => lowMs + at * step).map((ms) => ({
    ms,
    label: ms.toFixed(Math.min(MAX_DECIMALS, decimalsOf(step))),
  }));
  return { kind: "linear", lowMs, highMs, ticks, place: (ms) => clamp((ms - lowMs) / (highMs - lowMs)) };
}

/** 20.000000000000004 / 5 is four steps, not five. */
const ROUNDING = 1e-9;

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [...STEPS, 10].find((step) => step * power >= least * (1 - ROUNDING)) ?? 10;
  return factor * power;
}

/** A little beyond the values on both sides: rounding up to the next label could leave a third of the height empty. */
function logAxis(low: number, high: number): Axis {
  const [lowMs, highMs] = [low / LOG_MARGIN, high * LOG_MARGIN];
  const nice: number[] = [];
  for (let power = Math.floor(Math.log10(lowMs)); power <= Math.ceil(Math.log10(highMs)); power++) {
    for (const step of STEPS) nice.push(power < 0 ? step / 10 ** -power : step * 10 ** power);
  }
  const within = nice.filter((ms) => lowMs <= ms && ms <= highMs);
  const ticks = within.length <= MAX_LOG_TICKS ? within : within.filter(isPowerOfTen);
  const [from, to] = [Math.log10(lowMs), Math.log10(highMs)];
  return {
    kind: "log",
    lowMs,
    highMs,
    ticks: ticks.map((ms) => ({ ms, label: ms.toFixed(Math.min(MAX_DECIMALS, decimalsOf(ms))) })),
    place: (ms) => clamp((Math.log10(Math.max(ms, SMALLEST_MS)) - from) / (to - from)),
  };
}

function isPowerOfTen(ms: number): boolean {
  const power = Math.log10(ms);
  return Math.abs(power - Math.round(power)) < ROUNDING;
}

function decimalsOf(step: number): number {
  return Math.max(0, -Math.floor(Math.log10(step) + ROUNDING));
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
