import type { AssignedForward, ControlOf } from "./control.ts";

type Part = ControlOf<"assigned">;

/** Far below what a frame carries (frame.ts MAX_PAYLOAD), so that a part never holds up a carrier. */
const PART_CHARS = 128 * 1024;
/** Above what a device may hold at a relay; more is a fault of the relay. */
const MAX_FORWARDS = 20_000;

/** The whole list as messages; a single forward is never larger than a frame (spec-schema.ts bounds it). */
export function assignedParts(forwards: readonly AssignedForward[]): Part[] {
  const groups: AssignedForward[][] = [[]];
  let chars = 0;
  for (const forward of forwards) {
    const its = JSON.stringify(forward).length;
    if (chars > 0 && chars + its > PART_CHARS) {
      groups.push([]);
      chars = 0;
    }
    groups.at(-1)?.push(forward);
    chars += its;
  }
  return groups.map((group, part) => ({ t: "assigned", part, last: part === groups.length - 1, forwards: group }));
}

/** Puts the parts together again. */
export class AssignedList {
  #parts: readonly AssignedForward[] = [];
  #next = 0;

  /** The list, when it is complete; null = more is to come. A part out of turn is `wrong`. */
  add({ part, last, forwards }: Part): readonly AssignedForward[] | "wrong" | null {
    if (part !== 0 && part !== this.#next) return "wrong";
    const all = part === 0 ? forwards : [...this.#parts, ...forwards];
    if (all.length > MAX_FORWARDS) return "wrong";
    this.#parts = last ? [] : all;
    this.#next = last ? 0 : part + 1;
    return last ? all : null;
  }
}
