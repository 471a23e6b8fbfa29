/** Runs something once, later; the result calls it off. Tests run it when they like. */
export type After = (delayMs: number, run: () => void) => () => void;

export const afterReal: After = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};
