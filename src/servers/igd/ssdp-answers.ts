import { SourceRate } from "../../core/source-rate.ts";
import { TokenBucket } from "../../core/token-bucket.ts";
import { announcedTargets, type DeviceUuids } from "../../wire/igd/description.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import {
  type Announced,
  type Announcement,
  decodeSearch,
  encodeAlive,
  encodeByebye,
  encodeSearchReply,
  type SearchTarget,
} from "../../wire/igd/ssdp.ts";
import { versionFor } from "./client-version.ts";

export interface Announcing {
  readonly uuids: DeviceUuids;
  readonly highest: IgdVersion;
  readonly serverName: string;
  readonly bootId: number;
  readonly configId: number;
  /** The URL of the description, for who shares a network with this address of ours. */
  location(ownAddress: string): string;
  /** 0 up to 1. */
  random(): number;
}

export interface SearchAnswer {
  readonly delayMs: number;
  readonly datagrams: readonly Uint8Array[];
}

/**
 * A search of 100 bytes has 11 answers of 400: SSDP multiplied attacks by 30 (TA14-017A). The source is a neighbour, so
 * only a neighbour can be hit, and with no more than this. A control point at its start searches some ten times.
 */
const SEARCHES_PER_SOURCE_PER_SEC = 5;
const MAX_SOURCES = 4096;
/** More than a few sources use up together: one cannot keep the others from finding the gateway. */
const ANSWERS_PER_SEC = 400;
const ANSWERS_BURST = 800;
/** Of the time that a client waits: an answer at its very end would come too late. */
const WAIT_SHARE = 0.8;
const MS_PER_SEC = 1000;

/** What the gateway says of itself, and to whom: searches and their answers, within the limits. */
export class SsdpAnswers {
  readonly #perSource = new SourceRate(SEARCHES_PER_SOURCE_PER_SEC, MAX_SOURCES);
  readonly #total: TokenBucket;

  constructor(
    readonly announcing: Announcing,
    nowMs: number,
  ) {
    this.#total = new TokenBucket(ANSWERS_PER_SEC, ANSWERS_BURST, nowMs);
  }

  /**
   * `ownAddress`: ours in the source's network. `multicast`: it came to the group. Null = nothing to say: no search, not
   * for us, or too many.
   */
  answer(
    datagram: Uint8Array,
    source: string,
    ownAddress: string,
    multicast: boolean,
    nowMs: number,
  ): SearchAnswer | null {
    const search = decodeSearch(datagram);
    if (!search.ok) return null;
    const { target, maxWaitSec, userAgent } = search.value;
    // UPnP Device Architecture 1.1 §1.3.2: without MX a multicast search is none. A unicast one is answered at once.
    if (multicast && maxWaitSec === null) return null;
    const announcements = this.#announcements(ownAddress, versionFor(userAgent, this.announcing.highest)).flatMap(
      (announcement) => matched(target, announcement),
    );
    if (announcements.length === 0) return null;
    if (!this.#perSource.take(source, nowMs) || !this.#total.take(announcements.length, nowMs)) return null;
    const waitMs = multicast ? (maxWaitSec ?? 0) * MS_PER_SEC * WAIT_SHARE : 0;
    return {
      delayMs: Math.floor(this.announcing.random() * waitMs),
      datagrams: announcements.map(encodeSearchReply),
    };
  }

  /** Everything that is there, for the group. */
  alive(host: string, ownAddress: string): readonly Uint8Array[] {
    return this.#announcements(ownAddress, this.announcing.highest).map((one) => encodeAlive(host, one));
  }

  byebye(host: string, ownAddress: string): readonly Uint8Array[] {
    return this.#announcements(ownAddress, this.announcing.highest).map((one) => encodeByebye(host, one));
  }

  #announcements(ownAddress: string, version: IgdVersion): Announcement[] {
    const { uuids, serverName: server, bootId, configId } = this.announcing;
    const location = this.announcing.location(ownAddress);
    return announcedTargets(version, uuids).map((one) => ({ ...one, location, server, bootId, configId }));
  }
}

/** The announcement as the search is answered with it, if it is: the version asked for is mirrored when it is no higher. */
function matched(target: SearchTarget, announcement: Announcement): Announcement[] {
  const mirrored = mirror(target, announcement.target);
  return mirrored === null ? [] : [{ ...announcement, target: mirrored }];
}

function mirror(wanted: SearchTarget, there: Announced): Announced | null {
  switch (wanted.kind) {
    case "all":
      return there;
    case "root":
      return there.kind === "root" ? there : null;
    case "uuid":
      return there.kind === "uuid" && there.uuid.toLowerCase() === wanted.uuid.toLowerCase() ? there : null;
    case "device":
    case "service":
      if (there.kind !== wanted.kind || there.domain !== wanted.domain || there.type !== wanted.type) return null;
      return wanted.version <= there.version ? wanted : null;
    default:
      return wanted satisfies never;
  }
}
