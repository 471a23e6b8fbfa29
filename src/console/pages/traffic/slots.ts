import type { TrafficReport } from "../../../servers/api/schema.ts";

export type Slot = TrafficReport["slots"][number];
export type Span = TrafficReport["span"];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SLOT_MS = { hour: HOUR_MS, day: DAY_MS } as const satisfies Record<Span, number>;

/** What can be looked at: so many slots that they fit beside each other, up to now. */
export const PERIODS = {
  "2 days": { span: "hour", slots: 48 },
  "2 weeks": { span: "day", slots: 14 },
  "3 months": { span: "day", slots: 92 },
  "1 year": { span: "day", slots: 365 },
} as const satisfies Record<string, { readonly span: Span; readonly slots: number }>;
export type Period = keyof typeof PERIODS;

/** When the first slot of a period begins that ends with the slot of `nowMs`. */
export function firstSlotMs(period: Period, nowMs: number): number {
  const { span, slots } = PERIODS[period];
  const lengthMs = SLOT_MS[span];
  return nowMs - (nowMs % lengthMs) - (slots - 1) * lengthMs;
}

/** Every slot of the period, also those in which nothing passed. */
export function everySlot(period: Period, nowMs: number, carried: readonly Slot[]): readonly Slot[] {
  const { span, slots } = PERIODS[period];
  const firstMs = firstSlotMs(period, nowMs);
  const known = new Map(carried.map((slot) => [slot.slotMs, slot]));
  return Array.from({ length: slots }, (_, index) => {
    const slotMs = firstMs + index * SLOT_MS[span];
    return known.get(slotMs) ?? { slotMs, bytesIn: 0, bytesOut: 0, visitors: 0 };
  });
}

export function sumOf(slots: readonly Slot[]): Omit<Slot, "slotMs"> {
  const sum = { bytesIn: 0, bytesOut: 0, visitors: 0 };
  for (const { bytesIn, bytesOut, visitors } of slots) {
    sum.bytesIn += bytesIn;
    sum.bytesOut += bytesOut;
    sum.visitors += visitors;
  }
  return sum;
}
