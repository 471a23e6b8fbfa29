import type { QueuedEvent } from "../../core/hook-queue.ts";
import type { After } from "../../os/timers.ts";

/** What deliveries are made with. */
export interface DeliveryTools {
  readonly after: After;
  readonly nowMs: () => number;
  /** 0..1, for the jitter of retries. */
  readonly random: () => number;
  /** Where programs are looked for. */
  readonly path: string;
  /** For `{{VPN_INTERFACE}}`; empty = none. */
  readonly vpnInterface: string;
}

/** How one delivery goes, as it goes. Sentences hold no secret and no URL. */
export interface DeliveryReport {
  /** It failed so far; more tries may come. */
  failing(message: string): void;
  wrote(line: string): void;
}

/** Resolves when the event is delivered (true) or given up. Ends soon after `signal` aborts. */
export type Deliver = (queued: QueuedEvent, report: DeliveryReport, signal: AbortSignal) => Promise<boolean>;
