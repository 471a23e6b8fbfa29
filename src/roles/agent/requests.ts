import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { ControlOf, ResultOutcome } from "../../wire/tunnel/control.ts";

type Question = ControlOf<"put" | "remove" | "sync" | "stats" | "check" | "assignments">;
/** A question before it is numbered. */
export type Ask = Question extends infer Q ? (Q extends Question ? Omit<Q, "rid"> : never) : never;

/** An agent's questions to its relay on one session, matched to their answers. */
export class Requests {
  readonly #waiting = new Map<number, (outcome: ResultOutcome | null) => void>();
  readonly #session: Session;
  #nextRid = 1;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Null when the session ended before the answer came. */
  ask(question: Ask): Promise<ResultOutcome | null> {
    if (this.#session.isClosed) return Promise.resolve(null);
    const rid = this.#nextRid++;
    const answer = Promise.withResolvers<ResultOutcome | null>();
    this.#waiting.set(rid, answer.resolve);
    this.#session.send({ ...question, rid });
    return answer.promise;
  }

  /** What asks for no answer. */
  tell(message: ControlOf<"health">): void {
    if (!this.#session.isClosed) this.#session.send(message);
  }

  answered(message: ControlOf<"result">): void {
    const resolve = this.#waiting.get(message.rid);
    this.#waiting.delete(message.rid);
    resolve?.(message.outcome);
  }

  sessionEnded(): void {
    for (const resolve of this.#waiting.values()) resolve(null);
    this.#waiting.clear();
  }
}
