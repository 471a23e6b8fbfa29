const RECORD_MS = 60_000;

/** Writes down what the kernel carries, from now on until the signal aborts: once a minute, as it is read from there. */
export function recordNowAndThen({ record }: { record(): Promise<void> }, signal: AbortSignal): void {
  void record();
  const timer = setInterval(() => void record(), RECORD_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}
