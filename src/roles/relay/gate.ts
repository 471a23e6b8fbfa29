/** Holds back what would change the store, while another process of the relay may have it. Open at the start. */
export class Gate {
  #waiting: PromiseWithResolvers<void> | null = null;

  /** What comes from now on waits. */
  close(): void {
    this.#waiting ??= Promise.withResolvers<void>();
  }

  /** What waited goes on, in its order. */
  open(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  async passed(): Promise<void> {
    // Closed again, perhaps, before it was this one's turn.
    while (this.#waiting !== null) await this.#waiting.promise;
  }
}
