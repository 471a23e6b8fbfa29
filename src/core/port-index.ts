import type { Protocol } from "../wire/port-set.ts";
import { type PortSpan, type PortSpans, seekSpan } from "./port-spans.ts";

/** A run of external ports and who holds all of it. Slots of one protocol never overlap. */
export interface Slot<T> extends PortSpan {
  readonly holders: readonly T[];
}

type Slots<T> = Slot<T>[];

/**
 * Who holds which external ports: one slot for a run however many ports it spans, sorted, found by binary search.
 * Several holders of one slot hold exactly that run (the caller sees to it with `overlapping`).
 */
export class PortIndex<T> {
  readonly #slots: Readonly<Record<Protocol, Slots<T>>> = { tcp: [], udp: [] };

  /** Holders of one port, in order of arrival. O(log n), nothing allocated. */
  at(protocol: Protocol, port: number): readonly T[] {
    const slot = this.#slots[protocol][seekSpan(this.#slots[protocol], port)];
    return slot === undefined || slot.first > port ? [] : slot.holders;
  }

  /** The slots that share a port with `span`, ascending. O(log n + found). */
  *overlapping(protocol: Protocol, span: PortSpan): Generator<Slot<T>> {
    const slots = this.#slots[protocol];
    for (let index = seekSpan(slots, span.first); ; index++) {
      const slot = slots[index];
      if (slot === undefined || slot.first > span.last) return;
      yield slot;
    }
  }

  /** `spans` must overlap no slot, or equal one that then is shared. */
  add(protocol: Protocol, spans: PortSpans, holder: T): void {
    const slots = this.#slots[protocol];
    for (const { first, last } of spans) {
      const index = seekSpan(slots, first);
      const slot = slots[index];
      if (slot !== undefined && slot.first === first && slot.last === last) {
        slots[index] = { first, last, holders: [...slot.holders, holder] };
      } else {
        slots.splice(index, 0, { first, last, holders: [holder] });
      }
    }
  }

  /** `spans` as they were added. */
  delete(protocol: Protocol, spans: PortSpans, holder: T): void {
    const slots = this.#slots[protocol];
    for (const { first, last } of spans) {
      const index = seekSpan(slots, first);
      const slot = slots[index];
      if (slot === undefined || slot.first !== first) continue;
      const holders = slot.holders.filter((other) => other !== holder);
      if (holders.length === 0) slots.splice(index, 1);
      else slots[index] = { first, last, holders };
    }
  }
}
