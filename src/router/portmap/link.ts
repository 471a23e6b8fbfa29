import { EpochWatch } from "../../core/mapping/epoch-watch.ts";
import { PROTOCOL_NAMES } from "../../core/router/ladder.ts";
import type { Gateway, RouterFailure } from "../../core/router/model.ts";
import { pcpAnnounceRequest } from "../../core/router/pcp-client.ts";
import { type ExchangeAction, PortMapExchanges } from "../../core/router/portmap-exchanges.ts";
import { garbled, routerFailure, silent } from "../../core/router/portmap-faults.ts";
import {
  decodeAnswer,
  encodeQuestion,
  epochSecOf,
  type PortMapAnswer,
  type PortMapProtocol,
  type PortMapQuestion,
} from "../../core/router/portmap-talk.ts";
import type { After } from "../../os/timers.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { Announcements } from "./announcements.ts";
import { Ignored, type OnIgnored } from "./ignored.ts";
import { PortMapSocket } from "./socket.ts";

export interface PortMapLinkOptions {
  readonly gateway: Gateway;
  readonly port: number;
  readonly clientPort: number;
  readonly onIgnored: OnIgnored;
  readonly onDeaf: (message: string) => void;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly after: After;
}

type Answered = Result<PortMapAnswer, RouterFailure>;

interface Open {
  readonly question: PortMapQuestion;
  readonly bytes: Uint8Array;
  readonly settle: (answered: Answered) => void;
}

/** Whether the router is there at all. */
export const PROBE_LIMIT_MS = 2_000;
/** A router that writes each mapping to its flash takes a second or two. */
export const MAP_LIMIT_MS = 4_000;
/** After an announcement, the next question is asked so much later, however many of them there are. */
const DOUBT_EVERY_MS = 1_000;
/** An announcement whose epoch proves nothing is believed so often. */
const BELIEVED_EVERY_MS = 30_000;

/** One router's port 5351: what PCP and NAT-PMP share. It is open until as many have closed it as hold it. */
export class PortMapLink {
  readonly gateway: Gateway;
  readonly #options: PortMapLinkOptions;
  readonly #ignored: Ignored;
  readonly #exchanges: PortMapExchanges;
  readonly #epochs = { pcp: new EpochWatch("pcp"), "nat-pmp": new EpochWatch("natPmp") };
  readonly #open = new Map<number, Open>();
  /** When the listeners of a protocol were told last. */
  readonly #toldMs = { pcp: Number.NEGATIVE_INFINITY, "nat-pmp": Number.NEGATIVE_INFINITY };
  readonly #forgot = { pcp: new Set<() => void>(), "nat-pmp": new Set<() => void>() };
  #socket: PortMapSocket | null = null;
  /** The last one; it is told when the exchanges believe it. */
  #systemFailure: RouterFailure | null = null;
  #announcements: Announcements | null = null;
  #cancelTimer = (): void => {};
  #cancelDoubt = (): void => {};
  /** idle: the next announcement is followed up at once. again: there was another one meanwhile. */
  #doubt: "idle" | "asking" | "again" = "idle";
  #nextId = 0;
  #holders = 1;

  private constructor(options: PortMapLinkOptions) {
    this.gateway = options.gateway;
    this.#options = options;
    this.#ignored = new Ignored(options.onIgnored);
    this.#exchanges = new PortMapExchanges(() => jitterOf(options.randomBytes(1)));
  }

  /** Nothing is sent. The caller holds it, and releases it once. */
  static async open(options: PortMapLinkOptions): Promise<Result<PortMapLink, RouterFailure>> {
    const link = new PortMapLink(options);
    const socket = await PortMapSocket.open({
      gateway: options.gateway,
      port: options.port,
      ignored: link.#ignored,
      onDatagram: (datagram) => link.#received(datagram),
      onFailure: (failure) => link.#systemFailed(failure),
    });
    if (!socket.ok) return socket;
    link.#socket = socket.value;
    socket.value.hold(false);
    return ok(link);
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders > 0) return;
    this.#cancelDoubt();
    this.#announcements?.close();
    const socket = this.#socket;
    // First: what waited for its turn is called off, and not sent.
    this.#socket = null;
    for (const id of [...this.#open.keys()]) this.#callOff(id);
    socket?.close();
  }

  /** The answer to a question, within `limitMs` once its turn has come. */
  ask(question: PortMapQuestion, limitMs: number, signal: AbortSignal | null): Promise<Answered> {
    const bytes = encodeQuestion(question);
    if (bytes === null) return Promise.resolve(err(garbled(this.gateway, PROTOCOL_NAMES[question.protocol])));
    if (this.#socket === null || signal?.aborted) return Promise.resolve(err(calledOff(this.gateway)));
    const { promise, resolve } = Promise.withResolvers<Answered>();
    const id = this.#nextId++;
    const callOff = (): void => this.#callOff(id);
    signal?.addEventListener("abort", callOff, { once: true });
    const settle = (answered: Answered): void => {
      signal?.removeEventListener("abort", callOff);
      resolve(answered);
    };
    this.#open.set(id, { question, bytes, settle });
    this.#carryOut(this.#exchanges.ask(id, question, limitMs, this.#options.nowMs()));
    return promise;
  }

  /** Calls `forgot` when an answer of that protocol, or an announcement, shows that the router may have lost its state. */
  onForgot(protocol: PortMapProtocol, forgot: () => void): () => void {
    if (this.#socket === null) return () => {};
    // An own function each time: one caller may be told twice.
    const listener = (): void => forgot();
    this.#forgot[protocol].add(listener);
    const { gateway, clientPort, onDeaf } = this.#options;
    this.#announcements ??= new Announcements({
      gateway,
      port: clientPort,
      ignored: this.#ignored,
      onAnnouncement: () => this.#follow(),
      onDeaf,
    });
    return () => this.#forgot[protocol].delete(listener);
  }

  /**
   * Anybody on the link can send an announcement in the router's name, and only the router can answer a question: so an
   * announcement is a reason to ask, once a second at most. Routers announce by one protocol what they lost of both, so
   * both are asked.
   */
  #follow(): void {
    if (this.#doubt !== "idle") {
      this.#doubt = "again";
      return;
    }
    this.#doubt = "asking";
    for (const protocol of ["pcp", "nat-pmp"] as const) {
      if (this.#forgot[protocol].size > 0) void this.#followBy(protocol);
    }
    this.#cancelDoubt = this.#options.after(DOUBT_EVERY_MS, () => {
      const again = this.#doubt === "again";
      this.#doubt = "idle";
      if (again) this.#follow();
    });
  }

  /**
   * The answer's epoch may go on as if nothing had happened, and the mappings be gone: miniupnpd 2.3.1 with
   * system_uptime=yes, as most routers have it, counts from the start of the machine and announces its own (PCP, once). So
   * the announcement counts as well, now and then: a server that kept its state makes ten of them (RFC 6886 §3.2.1), and
   * then a renewal or two were for nothing.
   */
  async #followBy(protocol: PortMapProtocol): Promise<void> {
    const answered = await this.ask(this.#firstQuestion(protocol), PROBE_LIMIT_MS, null);
    const toldMs = this.#toldMs[protocol];
    if (answered.ok && this.#options.nowMs() - toldMs >= BELIEVED_EVERY_MS) this.#tellForgot(protocol);
  }

  #tellForgot(protocol: PortMapProtocol): void {
    this.#toldMs[protocol] = this.#options.nowMs();
    for (const forgot of [...this.#forgot[protocol]]) forgot();
  }

  #firstQuestion(protocol: PortMapProtocol): PortMapQuestion {
    return protocol === "pcp"
      ? { protocol, request: pcpAnnounceRequest(this.gateway) }
      : { protocol, request: { kind: "external-address" } };
  }

  #received(datagram: Uint8Array): void {
    const answer = decodeAnswer(datagram);
    if (answer === null) this.#ignored.note("unreadable", this.gateway.address);
    else this.#carryOut(this.#exchanges.onAnswer(answer, this.#options.nowMs()));
  }

  #carryOut(actions: readonly ExchangeAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case "send": {
          const open = this.#open.get(action.id);
          if (open !== undefined) this.#socket?.send(open.bytes);
          break;
        }
        case "answered":
          this.#answered(action.id, action.answer);
          break;
        case "failed":
          this.#failed(action.id, action.why);
          break;
        case "ignored":
          this.#ignored.note(action.reason, this.gateway.address);
          break;
        default:
          action satisfies never;
      }
    }
    this.#wake();
  }

  #answered(id: number, answer: PortMapAnswer): void {
    const epochSec = epochSecOf(answer);
    // Answers that come twice are left out: late ones are from before the last, and look like a clock that went back.
    const lost = epochSec !== null && this.#epochs[answer.protocol].lostBy(epochSec, this.#options.nowMs());
    this.#settle(id, ok(answer));
    if (lost) this.#tellForgot(answer.protocol);
  }

  #failed(id: number, why: "silent" | "error"): void {
    const protocol = this.#open.get(id)?.question.protocol;
    if (protocol === undefined) return;
    const failure = why === "error" ? this.#systemFailure : null;
    this.#settle(id, err(failure ?? silent(this.gateway, PROTOCOL_NAMES[protocol])));
  }

  #callOff(id: number): void {
    this.#settle(id, err(calledOff(this.gateway)));
    this.#carryOut(this.#exchanges.callOff(id, this.#options.nowMs()));
  }

  #settle(id: number, answered: Answered): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.settle(answered);
  }

  #systemFailed(failure: RouterFailure): void {
    this.#systemFailure = failure;
    this.#carryOut(this.#exchanges.onError(this.#options.nowMs()));
  }

  #wake(): void {
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    this.#socket?.hold(this.#open.size > 0);
    const deadlineMs = this.#exchanges.nextDeadlineMs();
    if (deadlineMs === null) return;
    const { after, nowMs } = this.#options;
    this.#cancelTimer = after(Math.max(0, deadlineMs - nowMs()), () => this.#carryOut(this.#exchanges.onTime(nowMs())));
  }
}

/** From a byte, evenly: RFC 6887 §8.1.1's RAND, from -0.1 to 0.1. */
function jitterOf([byte = 128]: Uint8Array): number {
  return (byte - 128) / 1280;
}

function calledOff({ address }: Gateway): RouterFailure {
  return routerFailure("silent", null, `Asking the router at ${address} was called off.`);
}
