import { createHash } from "node:crypto";
import { setYoungest } from "../../core/bounded-map.ts";
import { Refusal, Status } from "./problem.ts";

export interface IdempotencyLimits {
  readonly keepMs: number;
  readonly maxPerPrincipal: number;
  /** Of all answers that are kept. */
  readonly maxBytes: number;
}

export const IDEMPOTENCY_LIMITS: IdempotencyLimits = {
  keepMs: 24 * 3_600_000,
  maxPerPrincipal: 128,
  maxBytes: 8 * 1_024 * 1_024,
};

/** Beside the answer, for keys, digests and maps: so that empty answers are bounded as well. */
const ENTRY_BYTES = 512;
const KEY = /^[\x21-\x7e]{1,255}$/;

interface Kept {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
}

interface Entry {
  readonly fingerprint: string;
  readonly untilMs: number;
  /** While it is made: who asks the same meanwhile waits for it. */
  readonly answer: Promise<Kept>;
  bytes: number;
}

/** Answers to requests that carried an Idempotency-Key, for those that ask the same again. Refusals are not kept. */
export class IdempotentAnswers {
  readonly #limits: IdempotencyLimits;
  readonly #nowMs: () => number;
  /** By `principal key`, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #counts = new Map<string, number>();
  #bytes = 0;

  constructor(nowMs: () => number, limits: IdempotencyLimits = IDEMPOTENCY_LIMITS) {
    this.#nowMs = nowMs;
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `make` runs once for a principal's key; a rejection of it is everybody's who waits, and forgotten. */
  async answer(
    principal: string,
    key: string,
    request: { readonly target: string; readonly body: Uint8Array },
    make: () => Promise<Response>,
  ): Promise<Response> {
    if (!KEY.test(key)) {
      throw new Refusal(
        Status.badRequest,
        "Idempotency-Key has 1 to 255 printable characters without spaces: mend it.",
      );
    }
    this.#expire();
    const name = `${principal} ${key}`;
    const fingerprint = createHash("sha256").update(request.target).update("\0").update(request.body).digest("base64");
    const known = this.#entries.get(name);
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) {
        throw new Refusal(Status.unprocessable, "This Idempotency-Key was used for another request: take a new one.");
      }
      return restored(await known.answer);
    }
    const answer = make().then(kept);
    const entry: Entry = { fingerprint, answer, untilMs: this.#nowMs() + this.#limits.keepMs, bytes: ENTRY_BYTES };
    this.#add(principal, name, entry);
    try {
      const made = await answer;
      if (this.#entries.get(name) === entry) this.#grow(entry, made.text.length * 2);
      return restored(made);
    } catch (error) {
      this.#remove(name, entry);
      throw error;
    }
  }

  #add(principal: string, name: string, entry: Entry): void {
    const count = this.#counts.get(principal) ?? 0;
    if (count >= this.#limits.maxPerPrincipal) this.#removeOldest((other) => other.startsWith(`${principal} `));
    setYoungest(this.#entries, name, entry);
    this.#counts.set(principal, (this.#counts.get(principal) ?? 0) + 1);
    this.#bytes += entry.bytes;
    this.#trim();
  }

  #grow(entry: Entry, bytes: number): void {
    entry.bytes += bytes;
    this.#bytes += bytes;
    this.#trim();
  }

  #trim(): void {
    while (this.#bytes > this.#limits.maxBytes && this.#entries.size > 0) this.#removeOldest(() => true);
  }

  #expire(): void {
    const nowMs = this.#nowMs();
    for (const [name, entry] of this.#entries) {
      if (entry.untilMs > nowMs) break;
      this.#remove(name, entry);
    }
  }

  #removeOldest(isMeant: (name: string) => boolean): void {
    for (const [name, entry] of this.#entries) {
      if (!isMeant(name)) continue;
      this.#remove(name, entry);
      return;
    }
  }

  #remove(name: string, entry: Entry): void {
    if (this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    this.#bytes -= entry.bytes;
    const principal = name.slice(0, name.lastIndexOf(" "));
    const left = (this.#counts.get(principal) ?? 1) - 1;
    if (left === 0) this.#counts.delete(principal);
    else this.#counts.set(principal, left);
  }
}

async function kept(response: Response): Promise<Kept> {
  return { status: response.status, headers: [...response.headers], text: await response.text() };
}

function restored({ status, headers, text }: Kept): Response {
  return new Response(text, { status, headers: headers.map(([name, value]): [string, string] => [name, value]) });
}
