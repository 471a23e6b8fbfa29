import { MetricPage } from "../../core/metrics/catalogue.ts";
import { residentBytes } from "../../os/memory.ts";
import { VERSION } from "../../os/version.ts";
import { encodeMetrics } from "../../wire/prometheus.ts";

/** Adds what one part of the process has to tell. */
export type MetricSource = (page: MetricPage) => Promise<void>;

const MS_PER_SEC = 1_000;

/** What a scrape of this process answers. Scrapes that come while one is gathered get the same. */
export class ProcessMetrics {
  readonly #sources: readonly MetricSource[];
  #gathering: Promise<string> | null = null;

  /** `startedMs`: Unix time. */
  constructor(startedMs: number, sources: readonly MetricSource[]) {
    this.#sources = [async (page) => addProcess(page, startedMs), ...sources];
  }

  /** In the text format of `METRICS_TYPE`. Rejects when a source does. */
  text(): Promise<string> {
    this.#gathering ??= this.#gather().finally(() => {
      this.#gathering = null;
    });
    return this.#gathering;
  }

  async #gather(): Promise<string> {
    const page = new MetricPage();
    for (const source of this.#sources) await source(page);
    await nextTurn();
    return encodeMetrics(page.families());
  }
}

/** Resolves when whatever else waits has had its turn: a scrape must not hold visitors up. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function addProcess(page: MetricPage, startedMs: number): void {
  page.add("hatchway_build_info", 1, { version: VERSION });
  page.add("process_start_time_seconds", startedMs / MS_PER_SEC, {});
  const memoryBytes = residentBytes();
  if (memoryBytes !== null) page.add("process_resident_memory_bytes", memoryBytes, {});
}
