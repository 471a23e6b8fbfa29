/** Requests at work or waiting at once: of everybody, and of one client. Over it a request is dropped; UDP asks again. */
export interface TurnLimits {
  readonly total: number;
  readonly perClient: number;
}

/** 32 is what a program that maps many ports at once sends together; 1,024 of them wait in about 1 MB. */
export const DEFAULT_TURN_LIMITS: TurnLimits = { total: 1024, perClient: 32 };

export type TurnOutcome =
  | "taken"
  /** The same request is at work or waits already: its answer is this one's too. */
  | "repeated"
  | "full";

/** Begins one request's work: null = it is done already. */
export type Work = () => Promise<void> | null;

interface Waiting {
  readonly key: string;
  readonly work: Work;
}

/**
 * Whose request is at work: one of each client at a time, in the order they came, so that the answer to the first is
 * not overtaken and a renewal never races its own delete. Clients do not wait for one another. A request that comes
 * again meanwhile (250 ms later, then at twice that: RFC 6886 §3.1) is not done twice and not answered twice: natpmpc
 * takes a second answer for that to its next request.
 */
export class Turns {
  readonly #limits: TurnLimits;
  /** The first of each line is at work. */
  readonly #lines = new Map<string, Waiting[]>();
  #total = 0;

  constructor(limits: TurnLimits = DEFAULT_TURN_LIMITS) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** `key` tells a request from others of the client. `work` never rejects. */
  take(client: string, key: string, work: Work): TurnOutcome {
    const line = this.#lines.get(client);
    if (line?.some((one) => one.key === key)) return "repeated";
    if (this.#total >= this.#limits.total || (line?.length ?? 0) >= this.#limits.perClient) return "full";
    this.#total++;
    if (line !== undefined) {
      line.push({ key, work });
      return "taken";
    }
    const own = [{ key, work }];
    this.#lines.set(client, own);
    this.#advance(client, own);
    return "taken";
  }

  /** Works off what is done at once, up to the first that takes time. */
  #advance(client: string, line: Waiting[]): void {
    for (let first = line[0]; first !== undefined; first = line[0]) {
      const working = first.work();
      if (working !== null) {
        void working.then(() => {
          this.#leave(line);
          this.#advance(client, line);
        });
        return;
      }
      this.#leave(line);
    }
    this.#lines.delete(client);
  }

  #leave(line: Waiting[]): void {
    line.shift();
    this.#total--;
  }
}
