/** A browser that keeps nothing (private windows, settings) throws: then what is kept lasts as long as the page. */
export function withStorage<T>(use: (storage: Storage) => T, otherwise: T): T {
  try {
    return use(window.localStorage);
  } catch {
    return otherwise;
  }
}
