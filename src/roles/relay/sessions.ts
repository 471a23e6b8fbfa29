import type { HeldForward } from "../../core/held.ts";
import type { Trouble } from "../../core/names/certificates.ts";
import type { Peer, Session } from "../../dataplanes/tunnel/session.ts";
import type { ControlMessage, ControlOf, ResultOutcome } from "../../wire/tunnel/control.ts";
import type { RelayCheck } from "./check.ts";
import type { LinkOf } from "./device-link.ts";
import type { RelayForwards } from "./forwards.ts";
import type { Gate } from "./gate.ts";
import { refused } from "./refused.ts";

export interface RelaySessionsOptions {
  readonly forwards: RelayForwards;
  readonly check: RelayCheck;
  /** The device's present link, of whatever kind. */
  readonly linkOf: LinkOf;
  draining(): boolean;
  /** What devices ask waits for it. */
  readonly gate: Gate;
  /** Why visitors of an open forward are not let in; null = they are. */
  troubleOf(forward: HeldForward): Trouble | null;
  /** Notes when and from where the device was seen; never rejects. */
  seen(session: Session): Promise<void>;
  /** A request failed by a fault of this program. */
  failed(error: unknown): void;
}

/** Requests of one session that are not answered yet: an agent sends one for each forward when it connects. */
const MOST_UNANSWERED = 20_000;

interface Conversation {
  /** The device's grants are known. */
  readonly begun: Promise<void>;
  unanswered: number;
}

/** What the devices that are connected ask of the relay. */
export class RelaySessions {
  readonly #options: RelaySessionsOptions;
  readonly #conversations = new WeakMap<Session, Conversation>();
  readonly #byName = new Map<string, Session>();

  constructor(options: RelaySessionsOptions) {
    this.#options = options;
  }

  /** The session of a device of that account, by the device's name. */
  byName(account: string, name: string): Session | undefined {
    return this.#byName.get(nameKey({ account, name }));
  }

  up(session: Session): void {
    this.#byName.set(nameKey(session.peer), session);
    const begun = this.#options.forwards.sessionUp(session.peer);
    this.#conversations.set(session, { begun, unanswered: 0 });
    begun.catch((error: unknown) => this.#broken(session, error));
    void this.#options.seen(session);
  }

  down(session: Session): void {
    const { peer } = session;
    if (this.#byName.get(nameKey(peer)) === session) this.#byName.delete(nameKey(peer));
    this.#options.forwards.assignments.ended(session);
    // After a takeover the newer session's forwards are set up by `put`; the leases must not run meanwhile.
    if (this.#options.linkOf(peer.deviceId) !== undefined) return;
    // At the next start every lease runs anew.
    if (this.#options.draining()) return;
    this.#options.forwards.sessionDown(peer);
  }

  /** Requests are carried out in their order, and not before the device's grants are known. */
  onControl(session: Session, message: ControlMessage): void {
    const conversation = this.#conversations.get(session);
    // A peer that sends before its session is ready breaks the protocol: the tunnel lets none through.
    if (conversation === undefined) return;
    conversation.unanswered++;
    if (conversation.unanswered > MOST_UNANSWERED) {
      session.close("the device asks faster than it can be answered");
      return;
    }
    conversation.begun
      .then(() => this.#options.gate.passed())
      .then(() => this.#answer(session, message))
      .catch((error: unknown) => this.#broken(session, error))
      .finally(() => {
        conversation.unanswered--;
      });
  }

  #broken(session: Session, error: unknown): void {
    this.#options.failed(error);
    session.close("the relay could not carry out a request");
  }

  async #answer(session: Session, message: ControlMessage): Promise<void> {
    // Of a session that ended nothing is carried out any more: the device asks again on its next one.
    if (session.isClosed) return;
    const { forwards } = this.#options;
    const { deviceId } = session.peer;
    switch (message.t) {
      case "put":
        reply(session, message, await this.#put(session, message));
        return;
      case "remove":
        await forwards.remove(deviceId, message.id);
        reply(session, message, { kind: "done" });
        return;
      case "sync":
        await forwards.sync(deviceId, message.ids);
        reply(session, message, { kind: "done" });
        return;
      case "stats":
        reply(session, message, { kind: "stats", forwards: this.#stats(deviceId, message.ids) });
        return;
      case "check":
        reply(session, message, await this.#check(session, message));
        return;
      case "assignments":
        reply(session, message, { kind: "done" });
        forwards.assignments.listen(session, message.managed);
        return;
      case "declined":
        forwards.decline(deviceId, message.id, message.message);
        return;
      case "health":
        forwards.setHealthy(deviceId, message.id, message.healthy);
        return;
      case "hello":
      case "welcome":
      case "denied":
      case "result":
      case "assigned":
      case "handover":
      case "bye":
        session.close(`the device sent ${message.t}, which is not its to send`);
        return;
      default:
        return message satisfies never;
    }
  }

  async #put(session: Session, { handle, spec }: ControlOf<"put">): Promise<ResultOutcome> {
    const { forwards, draining } = this.#options;
    if (draining()) return refused("failed", "The relay is shutting down; it opens no more forwards.");
    const outcome = await forwards.put(session, handle, spec);
    const held = outcome.kind === "open" ? forwards.get(session.peer.deviceId, spec.id) : null;
    return held === null ? outcome : { ...outcome, ...this.#trouble(held) };
  }

  #trouble(forward: HeldForward): { readonly trouble?: Trouble } {
    const trouble = this.#options.troubleOf(forward);
    return trouble === null ? {} : { trouble };
  }

  #check(session: Session, message: ControlOf<"check">): Promise<ResultOutcome> | ResultOutcome {
    if (this.#options.draining()) return refused("failed", "The relay is shutting down; it checks nothing any more.");
    return this.#options.check.answer(session, message);
  }

  #stats(deviceId: string, ids: readonly string[]) {
    return ids.flatMap((id) => {
      const forward = this.#options.forwards.get(deviceId, id);
      if (forward === null) return [];
      const counters = this.#options.forwards.entryOf(forward)?.entry?.visits.counters;
      if (counters === undefined) return [];
      const { visitorsTotal: visitors, visitorsOpen: open, bytesIn, bytesOut } = counters;
      const refused = counters.refused() as Record<string, number>;
      return [{ id, visitors, open, bytesIn, bytesOut, refused, ...this.#trouble(forward) }];
    });
  }
}

function reply(session: Session, { rid }: { readonly rid: number }, outcome: ResultOutcome): void {
  if (!session.isClosed) session.send({ t: "result", rid, outcome });
}

function nameKey({ account, name }: Pick<Peer, "account" | "name">): string {
  return JSON.stringify([account, name]);
}
