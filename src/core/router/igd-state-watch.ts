import type { Notification } from "../../wire/igd/ssdp-notify.ts";

/** What an announcement, or an answer, says of the router's mappings. */
export interface Seen {
  /** It lost them. */
  readonly forgot: boolean;
  /** It is there, but may have started anew: its uptime tells, and is worth a request. */
  readonly doubtful: boolean;
}

const NOTHING: Seen = { forgot: false, doubtful: false };
const MS_PER_SEC = 1000;
/** An announcement comes some thirty times, once for each thing that the router is: one question is enough. */
const DOUBT_EVERY_MS = 10_000;
/** RFC 6887 §8.5 allows a server's clock to run an eighth slower than the client's; answers take their time. */
const CLOCK_SHARE = 7 / 8;
const SLACK_SEC = 10;

/**
 * Whether a router has lost its mappings, from what it announces and answers. Some say a new start number (BOOTID.UPNP.ORG),
 * some have always the same, and some none: then a farewell and a greeting tell it, or an uptime that goes backwards.
 */
export class IgdStateWatch {
  /** Of the devices that the description named. */
  #uuids: ReadonlySet<string>;
  #bootId: number | null;
  #gone = false;
  #uptime: { readonly sec: number; readonly atMs: number } | null = null;
  #doubtedMs = Number.NEGATIVE_INFINITY;

  /** `bootId`: of the answer to the search; null = it said none. */
  constructor(uuids: readonly string[], bootId: number | null) {
    this.#uuids = new Set(uuids);
    this.#bootId = bootId;
  }

  /** The router had to be found anew: it was not any more where it was. */
  onFound(uuids: readonly string[], bootId: number | null, nowMs: number): Seen {
    this.#uuids = new Set(uuids);
    return this.#onAlive(bootId, nowMs);
  }

  /** The sender must be the router. */
  onNotification({ kind, uuid, target, bootId, nextBootId }: Notification, nowMs: number): Seen {
    // A router is more than a gateway, a media server say: that this started anew does not matter. A gateway with another
    // identity than before may be ours: some make up a new one at each start.
    if (!this.#uuids.has(uuid) && !isGateway(target)) return NOTHING;
    switch (kind) {
      case "byebye":
        this.#gone = true;
        return NOTHING;
      case "update":
        // Not a new start: an interface came or went (UPnP Device Architecture 1.1 §1.2.4).
        if (nextBootId !== null) this.#bootId = nextBootId;
        return NOTHING;
      case "alive":
        return this.#onAlive(this.#uuids.has(uuid) ? bootId : null, nowMs);
      default:
        return kind satisfies never;
    }
  }

  #onAlive(bootId: number | null, nowMs: number): Seen {
    const restarted = bootId !== null && this.#bootId !== null && bootId !== this.#bootId;
    const forgot = restarted || this.#gone;
    this.#bootId = bootId ?? this.#bootId;
    this.#gone = false;
    const doubtful = !forgot && nowMs - this.#doubtedMs >= DOUBT_EVERY_MS;
    if (forgot || doubtful) this.#doubtedMs = nowMs;
    if (forgot) this.#uptime = null;
    return { forgot, doubtful };
  }

  /** What the router said; true = it has lost its mappings since the answer before. */
  onUptime(sec: number, nowMs: number): boolean {
    const before = this.#uptime;
    this.#uptime = { sec, atMs: nowMs };
    // There are routers whose uptime stands still, at 0 most often.
    if (before === null || sec === before.sec) return false;
    const elapsedSec = (nowMs - before.atMs) / MS_PER_SEC;
    return sec < before.sec || sec + SLACK_SEC < before.sec + elapsedSec * CLOCK_SHARE;
  }
}

function isGateway(target: string): boolean {
  return target.startsWith("urn:schemas-upnp-org:device:InternetGatewayDevice:");
}
