import { type FollowedCommand, followCommand } from "../../os/command.ts";
import type { Logger } from "../../os/log.ts";
import { HOLD_TABLE } from "./names.ts";
import { renderHold } from "./render-rules.ts";
import type { NatSettings } from "./state.ts";

export interface HoldOptions {
  readonly prefix: readonly string[];
  readonly log: Logger;
}

/** A process that ends sooner than this cannot do it here: nft without its interactive mode, above all. */
const WORKS_AFTER_MS = 5_000;

/**
 * Keeps what is translated translated when somebody flushes the ruleset (as Debian's /etc/nftables.conf does at each
 * reload). Without any rule of NAT the kernel translates nothing, not even what it knows, and whoever sends in that
 * moment is reset by this machine. A table that its maker owns is not flushed by others (Linux 5.12, nft 1.0) and goes
 * with its maker: so its maker is an `nft -i` of its own, which ends with this process, and nothing is left behind.
 */
export class TranslationHold {
  readonly #options: HoldOptions;
  readonly #stop = new AbortController();
  #text = "";
  #process: FollowedCommand | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: HoldOptions) {
    this.#options = options;
  }

  keep(settings: NatSettings): void {
    const text = renderHold(settings);
    if (text === this.#text || this.#stop.signal.aborted) return;
    const isFirst = this.#text === "";
    this.#text = text;
    if (isFirst) this.#ended = this.#run();
    else this.#process?.write(`delete table ${HOLD_TABLE}\n${text}`);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { prefix, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const beganMs = performance.now();
      const started = followCommand([...prefix, "nft", "-i"], { signal, openInput: true, onLine: () => undefined });
      if (!started.ok) return log.debug("Nothing is held over a flush of the ruleset: {message}", { ...started.error });
      this.#process = started.value;
      started.value.write(this.#text);
      const exitCode = await started.value.exited;
      this.#process = null;
      if (signal.aborted) return;
      const why = { exitCode };
      if (performance.now() - beganMs < WORKS_AFTER_MS)
        return log.debug("Nothing is held over a flush of the ruleset: nft -i ended with {exitCode}", why);
      log.debug("nft -i ended with {exitCode} and is started again", why);
    }
  }
}
