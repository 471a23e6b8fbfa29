import { Keeper } from "./keeper.ts";
import type { HeldGrant, KeeperAction, KeeperEvent, KeeperNews, OpenMapping } from "./keeper-model.ts";
import type { Grant, RouterFailure, RouterFailureKind, RouterProtocol } from "./model.ts";
import type { PortWish } from "./wish.ts";

export type Request = Exclude<KeeperAction, { readonly kind: "tell" }>;
/** What the router says; null = nothing, until the test answers itself. */
export type Reply = (request: Request, nowMs: number) => KeeperEvent | null;

export interface RunOptions {
  readonly random?: () => number;
  readonly crowd?: number;
  readonly isFree?: (port: number) => boolean;
}

export const OWN_ADDRESS = "192.168.1.10";
const MS_PER_SEC = 1000;
const MAX_TURNS = 100_000;

export function portWish(wish: Partial<PortWish> = {}): PortWish {
  return {
    family: 4,
    protocol: "tcp",
    host: null,
    internalPort: 25565,
    externalPort: 25565,
    exact: false,
    lifetimeSec: 3600,
    description: "hatchway",
    ...wish,
  };
}

export function failure(kind: RouterFailureKind, message = `The router was ${kind}.`): RouterFailure {
  return { kind, code: null, message };
}

export function failed(kind: RouterFailureKind): KeeperEvent {
  return { kind: "failed", failure: failure(kind) };
}

export interface GrantOptions extends Partial<Grant> {
  readonly via?: RouterProtocol;
  readonly internalAddress?: string;
}

export function granted(externalPort: number, options: GrantOptions = {}): KeeperEvent & { readonly kind: "granted" } {
  const { via = "pcp", internalAddress = OWN_ADDRESS, ...rest } = options;
  const grant: Grant = { externalAddress: "203.0.113.5", externalPort, lifetimeSec: 3600, ticket: "t1", ...rest };
  return { kind: "granted", held: { grant, via, internalAddress } };
}

/** A router that says yes to everything, in the way it is told. */
export function agreeable(options: GrantOptions = {}): Reply {
  return (request) => {
    switch (request.kind) {
      case "ask":
        return granted(request.externalPort, options);
      case "check":
        return { kind: "checked", holds: true };
      case "unmap":
        return { kind: "unmapped", failure: null };
      default:
        return request satisfies never;
    }
  };
}

/** Answers to requests for the mapping, one after another; the last one goes on. There are no checks; removing succeeds. */
export function answering(...answers: readonly (KeeperEvent | Reply | null)[]): Reply {
  const left = [...answers];
  return (request, nowMs) => {
    if (request.kind === "check") return { kind: "checked", holds: null };
    if (request.kind === "unmap") return { kind: "unmapped", failure: null };
    const answer = left.length > 1 ? left.shift() : left[0];
    return typeof answer === "function" ? answer(request, nowMs) : (answer ?? null);
  };
}

/** One keeper and a clock that jumps from deadline to deadline; what happens is written down by the second. */
export class KeeperRun {
  readonly keeper: Keeper;
  readonly log: string[] = [];
  readonly requests: { readonly request: Request; readonly atMs: number }[] = [];
  readonly news: KeeperNews[] = [];
  readonly #reply: Reply;
  #nowMs = 0;

  constructor(wish: PortWish, reply: Reply, { random = () => 0, crowd = 1, isFree = () => true }: RunOptions = {}) {
    this.#reply = reply;
    this.keeper = new Keeper(wish, { random, crowd: () => crowd, isFree }, 0);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Lets the time pass up to `sec` seconds from the start, that included. */
  until(sec: number): this {
    return this.untilMs(sec * MS_PER_SEC);
  }

  untilMs(endMs: number): this {
    for (let turns = 0; ; turns++) {
      const atMs = this.keeper.nextDeadlineMs();
      if (atMs === null || atMs > endMs) break;
      if (turns > MAX_TURNS) throw new Error(`the keeper does not get beyond ${atMs} ms`);
      this.#nowMs = Math.max(this.#nowMs, atMs);
      this.#carryOut(this.keeper.onTime(this.#nowMs));
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
    return this;
  }

  hear(event: KeeperEvent): this {
    this.#carryOut(this.keeper.on(event, this.#nowMs));
    return this;
  }

  /** What was written down since the last look, but for checks. */
  take(): string[] {
    return this.log.splice(0).filter((line) => !line.includes(" check "));
  }

  #carryOut(actions: readonly KeeperAction[]): void {
    for (const action of actions) {
      const text = action.kind === "tell" ? newsText(action.news) : requestText(action);
      this.log.push(`${Math.round(this.#nowMs / 10) / 100} ${text}`);
      if (action.kind === "tell") {
        this.news.push(action.news);
        continue;
      }
      this.requests.push({ request: action, atMs: this.#nowMs });
      const answer = this.#reply(action, this.#nowMs);
      if (answer !== null) this.#carryOut(this.keeper.on(answer, this.#nowMs));
    }
  }
}

/** `ask 25565`, `renew 25565 t1`: what is renewed has a ticket. */
function requestText(request: Request): string {
  switch (request.kind) {
    case "ask":
      return request.held === null
        ? `ask ${request.externalPort}`
        : `renew ${request.externalPort} ${request.held.grant.ticket}`;
    case "check":
    case "unmap":
      return `${request.kind} ${heldText(request.held)}`;
    default:
      return request satisfies never;
  }
}

function heldText({ grant, internalAddress }: HeldGrant): string {
  return `${grant.externalPort}${internalAddress === OWN_ADDRESS ? "" : ` of ${internalAddress}`}`;
}

function newsText(news: KeeperNews): string {
  switch (news.kind) {
    case "opened":
    case "renewed":
      return `${news.kind} ${openText(news.mapping)}`;
    case "changed":
      return `changed ${openText(news.before)} → ${openText(news.mapping)}`;
    case "lost":
    case "refused":
      return `${news.kind}: ${news.reason}`;
    case "failing":
      return `failing${news.open === null ? "" : ` ${openText(news.open)}`}: ${news.reason}`;
    case "closed":
      return news.left === null ? "closed" : `closed: ${news.left}`;
    default:
      return news satisfies never;
  }
}

function openText({ externalAddress, externalPort, endsMs }: OpenMapping): string {
  const until = endsMs === null ? "for good" : `to ${Math.round(endsMs / MS_PER_SEC)}`;
  return `${externalAddress}:${externalPort} ${until}`;
}
