import { type Api, type LiveEvent, readAll, type ServerRole, sentenceOf } from "../api.ts";
import { applyEvent, type LiveData, NOTHING_YET } from "./live-data.ts";

/** connecting: for the first time. lost: it was there, and is tried again. */
export type Link = "connecting" | "live" | "lost";

export interface LiveState extends LiveData {
  readonly link: Link;
  /** Why the lists could not be read; null = they could. */
  readonly failure: string | null;
}

const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Of a retry's time, at most so much is chance: many consoles do not come back at once. */
const RETRY_SPREAD = 0.3;
/** A burst of events is one change on the page. */
const FLUSH_MS = 50;
const EVENT_NAMES: readonly LiveEvent["event"][] = [
  "forward",
  "forward-gone",
  "device",
  "device-gone",
  "traffic",
  "vpn-peer",
  "vpn-peer-gone",
  "trigger",
  "trigger-gone",
];
type Lists = Pick<LiveData, "forwards" | "devices" | "peers" | "triggers">;

/** The forwards, and what they lead to, as they are now: read once, then kept by /v1/events, and read again after each gap. */
export class LiveStore {
  readonly #api: Api;
  readonly #listeners = new Set<() => void>();
  #state: LiveState = { ...NOTHING_YET, link: "connecting", failure: null };
  #data: LiveData = NOTHING_YET;
  #link: Link = "connecting";
  #failure: string | null = null;
  #flush: number | null = null;
  #retry: number | null = null;
  #failures = 0;
  /** Ends the stream of events that is open. */
  #following: AbortController | null = null;
  /** What came while the lists were read: it is newer than they. */
  #early: LiveEvent[] | null = null;
  #reading: AbortController | null = null;
  #started = false;
  #roles: readonly ServerRole[] = [];

  constructor(api: Api) {
    this.#api = api;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): LiveState => this.#state;

  /** `roles`: what the server is. Lists that it does not have are not asked for. */
  start(roles: readonly ServerRole[]): void {
    if (this.#started) return;
    this.#started = true;
    this.#roles = roles;
    this.#connect();
  }

  stop(): void {
    this.#started = false;
    this.#following?.abort();
    this.#following = null;
    this.#reading?.abort();
    if (this.#retry !== null) window.clearTimeout(this.#retry);
    if (this.#flush !== null) window.clearTimeout(this.#flush);
    this.#retry = null;
    this.#flush = null;
    this.#failures = 0;
    this.#data = NOTHING_YET;
    this.#link = "connecting";
    this.#failure = null;
    this.#publish();
  }

  /** Now, and not when the time has come: connects again, or reads the lists that could not be read. */
  readonly retryNow = (): void => {
    if (this.#retry !== null) {
      window.clearTimeout(this.#retry);
      this.#retry = null;
      this.#connect();
    } else if (this.#failure !== null) {
      void this.#readLists();
    }
  };

  /** What this page itself changed is shown at once. */
  readonly show = (event: Exclude<LiveEvent, { readonly event: "traffic" }>): void => {
    this.#take(event);
    this.#publish();
  };

  #connect(): void {
    if (!this.#started) return;
    const following = new AbortController();
    this.#following = following;
    this.#early = [];
    void this.#follow(following);
  }

  /** By fetch, as an EventSource sends no header, and the session's page key is one. */
  async #follow(following: AbortController): Promise<void> {
    const { signal } = following;
    try {
      const onOpen = () => {
        if (signal.aborted) return;
        this.#failures = 0;
        this.#link = "live";
        void this.#readLists();
      };
      for await (const event of this.#api.events({ signal, onOpen })) {
        if (signal.aborted) return;
        if (!EVENT_NAMES.includes(event.event)) continue;
        this.#take(event);
        this.#publishSoon();
      }
    } catch (error) {
      // With something to show, that the link is lost says it.
      if (!signal.aborted && this.#data.forwards === null) this.#failure = sentenceOf(error);
    }
    if (this.#following === following) this.#lost();
  }

  #lost(): void {
    this.#following = null;
    this.#reading?.abort();
    this.#link = this.#data.forwards === null && this.#failures === 0 ? "connecting" : "lost";
    const waitMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures++;
    this.#retry = window.setTimeout(this.retryNow, waitMs * (1 - RETRY_SPREAD * Math.random()));
    this.#publish();
  }

  async #readLists(): Promise<void> {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.#early ??= [];
    const first = this.#data.forwards === null;
    const showFirst = (part: Partial<Lists>) => {
      if (!first || reading.signal.aborted) return;
      this.#data = { ...this.#data, ...part };
      this.#publish();
    };
    try {
      const lists = await this.#lists(showFirst, reading.signal);
      if (reading.signal.aborted) return;
      this.#failure = null;
      this.#data = (this.#early ?? []).reduce(applyEvent, { ...this.#data, ...lists, complete: true });
    } catch (error) {
      if (reading.signal.aborted) return;
      this.#failure = sentenceOf(error);
    }
    this.#early = null;
    this.#publish();
  }

  async #lists(onPart: (part: Partial<Lists>) => void, signal: AbortSignal): Promise<Lists> {
    const { listDevices, listForwards, listVpnPeers, listTriggers } = this.#api.until(signal);
    const isGateway = this.#roles.includes("gateway");
    const [devices, forwards, peers, triggers] = await Promise.all([
      this.#roles.includes("relay") ? readAll(listDevices, (items) => onPart({ devices: items })) : [],
      readAll(listForwards, (items) => onPart({ forwards: items })),
      isGateway ? readAll(listVpnPeers, (items) => onPart({ peers: items })) : null,
      isGateway ? readAll(listTriggers) : null,
    ]);
    return { devices, forwards, peers, triggers };
  }

  #take(event: LiveEvent): void {
    this.#early?.push(event);
    this.#data = applyEvent(this.#data, event);
  }

  #publishSoon(): void {
    this.#flush ??= window.setTimeout(() => this.#publish(), FLUSH_MS);
  }

  #publish(): void {
    if (this.#flush !== null) window.clearTimeout(this.#flush);
    this.#flush = null;
    this.#state = { ...this.#data, link: this.#link, failure: this.#failure };
    for (const listener of this.#listeners) listener();
  }
}
