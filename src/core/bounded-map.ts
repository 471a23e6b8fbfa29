/** Drops the entry that was set longest ago while `map` holds more than `most` (a Map keeps the order of insertion). */
export function trimOldest<K>(map: Map<K, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

/** Sets the entry and makes it the youngest. */
export function setYoungest<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
}
