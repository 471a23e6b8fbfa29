/**
 * Order of one stream direction across carriers. The sender writes a stream's DATA, END and MOVE on one carrier at a
 * time and says MOVE(next) as the last thing on the old one; what arrives on another carrier before that waits here.
 * Bounded by the stream's window: DATA that waits has been counted against it.
 */
export type Sequenced =
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "end" }
  | { readonly kind: "move"; readonly carrier: number };

interface Early {
  readonly carrier: number;
  readonly item: Sequenced;
}

/** More MOVEs than this waiting at once is a peer that misbehaves. */
const MAX_EARLY_ITEMS = 4096;

export class CarrierSequence {
  private early: Early[] | null = null;

  /** `carrier` is where the stream's bytes are expected now. */
  constructor(private carrier: number) {}

  /** True when an item that arrived on `carrier` is next in order: the fast path. */
  inOrder(carrier: number): boolean {
    return carrier === this.carrier;
  }

  /** Keeps an item that came too early; its bytes must be the caller's own copy. False when too many wait. */
  keep(carrier: number, item: Sequenced): boolean {
    this.early ??= [];
    this.early.push({ carrier, item });
    return this.early.length <= MAX_EARLY_ITEMS;
  }

  /** MOVE arrived in order: from here on `next` is in order. Returns what may be delivered now, in order. */
  moved(next: number): Sequenced[] {
    this.carrier = next;
    const due: Sequenced[] = [];
    while (this.early !== null) {
      const at = this.early.findIndex((waiting) => waiting.carrier === this.carrier);
      if (at < 0) break;
      const [first] = this.early.splice(at, 1) as [Early];
      if (this.early.length === 0) this.early = null;
      if (first.item.kind === "move") this.carrier = first.item.carrier;
      else due.push(first.item);
    }
    return due;
  }
}
