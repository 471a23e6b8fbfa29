/** Calls `act` once after `ms`; the result cancels it. Passed in, so that tests turn the clock themselves. */
export type After = (ms: number, act: () => void) => () => void;

export const after: After = (ms, act) => {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
};
