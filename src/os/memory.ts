/** Resident memory of this process, bytes; null when the system does not say, as when descriptors ran out. */
export function residentBytes(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    // Bun reads /proc for it: without a free descriptor a status without this figure is better than none.
    return null;
  }
}
