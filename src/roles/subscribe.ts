/** Adds one who is told; returns how to stop that. */
export function subscribe<T>(all: Set<T>, one: T): () => void {
  all.add(one);
  return () => all.delete(one);
}
