/**
 * Order of one stream direction across carriers. The sender writes a stream's DATA, END and MOVE on one carrier at a
 * time and says MOVE(next) as the last thing on the old one; what arrives on another carrier before that waits here.
 * What waits counts against the stream's window (`earlyBytes`), so the window bounds it.
 */
export type Sequenced =
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "end" }
  | { readonly kind: "move"; readonly carrier: number };

/** An honest sender changes lanes a few times a second at most; more ENDs and MOVEs than this waiting is a bad peer. */
const MAX_EARLY_MARKS = 64;
/** Small DATA that waits shares blocks of this size: many little frames must not cost many little objects. */
const BLOCK_BYTES = 16 * 1024;

type Waiting =
  | { readonly kind: "data"; readonly block: Uint8Array; length: number }
  | Exclude<Sequenced, { readonly kind: "data" }>;

export class CarrierSequence {
  /** By carrier, in its order; no list is empty. */
  private early: Map<number, Waiting[]> | null = null;
  private earlyMarks = 0;
  private waitingBytes = 0;

  /** `carrier` is where the stream's bytes are expected now. */
  constructor(private carrier: number) {}

  /** True when an item that arrived on `carrier` is next in order: the fast path. */
  inOrder(carrier: number): boolean {
    return carrier === this.carrier;
  }

  /** Bytes of DATA that came too early and wait. */
  get earlyBytes(): number {
    return this.waitingBytes;
  }

  /** Keeps an item that came too early; its bytes are copied. False when too many wait. */
  keep(carrier: number, item: Sequenced): boolean {
    this.early ??= new Map();
    let items = this.early.get(carrier);
    if (items === undefined) {
      items = [];
      this.early.set(carrier, items);
    }
    if (item.kind === "data") {
      this.waitingBytes += item.bytes.length;
      append(items, item.bytes);
      return true;
    }
    items.push(item);
    this.earlyMarks++;
    return this.earlyMarks <= MAX_EARLY_MARKS;
  }

  /** MOVE arrived in order: from here on `next` is in order. Hands on what may be delivered now, in order. */
  moved(next: number, deliver: (item: Exclude<Sequenced, { readonly kind: "move" }>) => void): void {
    this.carrier = next;
    for (;;) {
      const items = this.early?.get(this.carrier);
      const item = items?.shift();
      if (item === undefined) break;
      if (items?.length === 0) this.early?.delete(this.carrier);
      if (item.kind === "data") {
        this.waitingBytes -= item.length;
        deliver({ kind: "data", bytes: item.block.subarray(0, item.length) });
        continue;
      }
      this.earlyMarks--;
      if (item.kind === "move") this.carrier = item.carrier;
      else deliver(item);
    }
    if (this.early?.size === 0) this.early = null;
  }
}

function append(items: Waiting[], bytes: Uint8Array): void {
  const last = items.at(-1);
  if (last?.kind === "data" && last.length + bytes.length <= last.block.length) {
    last.block.set(bytes, last.length);
    last.length += bytes.length;
    return;
  }
  const block = new Uint8Array(last?.kind === "data" ? Math.max(BLOCK_BYTES, bytes.length) : bytes.length);
  block.set(bytes);
  items.push({ kind: "data", block, length: bytes.length });
}
