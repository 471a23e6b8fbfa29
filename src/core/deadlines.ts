interface Node<K> {
  readonly key: K;
  atMs: number;
  index: number;
}

/**
 * Deadlines by key: a binary heap that knows where each key sits, so that setting, moving and clearing one is
 * O(log n) and a key that comes and goes leaves nothing behind (a heap with lazy deletion would grow with flapping).
 */
export class Deadlines<K> {
  readonly #heap: Node<K>[] = [];
  readonly #nodes = new Map<K, Node<K>>();

  get size(): number {
    return this.#heap.length;
  }

  get(key: K): number | null {
    return this.#nodes.get(key)?.atMs ?? null;
  }

  /** Sets or moves the deadline of `key`. */
  set(key: K, atMs: number): void {
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = { key, atMs, index: this.#heap.length };
      this.#nodes.set(key, node);
      this.#heap.push(node);
    }
    node.atMs = atMs;
    this.#settle(node);
  }

  clear(key: K): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    this.#nodes.delete(key);
    const last = this.#heap.pop() as Node<K>;
    if (last === node) return;
    this.#place(last, node.index);
    this.#settle(last);
  }

  /** The earliest deadline; null when there is none. O(1). */
  nextMs(): number | null {
    return this.#heap[0]?.atMs ?? null;
  }

  /** The key with the earliest deadline; undefined when there is none. O(1). */
  first(): K | undefined {
    return this.#heap[0]?.key;
  }

  /** Takes out every key whose deadline is at or before `nowMs`, earliest first. */
  takeDue(nowMs: number): K[] {
    const due: K[] = [];
    for (let top = this.#heap[0]; top !== undefined && top.atMs <= nowMs; top = this.#heap[0]) {
      this.clear(top.key);
      due.push(top.key);
    }
    return due;
  }

  #place(node: Node<K>, index: number): void {
    this.#heap[index] = node;
    node.index = index;
  }

  #settle(node: Node<K>): void {
    this.#rise(node);
    this.#sink(node);
  }

  #rise(node: Node<K>): void {
    let index = node.index;
    while (index > 0) {
      const parent = this.#heap[(index - 1) >>> 1] as Node<K>;
      if (parent.atMs <= node.atMs) break;
      const parentIndex = parent.index;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(node, index);
  }

  #sink(node: Node<K>): void {
    let index = node.index;
    for (;;) {
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child = right !== undefined && left !== undefined && right.atMs < left.atMs ? right : left;
      if (child === undefined || child.atMs >= node.atMs) break;
      const childIndex = child.index;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(node, index);
  }
}
