import { createHmac, randomBytes } from "node:crypto";
import type { SiteLogin } from "../../core/forward.ts";
import type { RequestRefusal } from "../../core/names/request.ts";
import { Pending } from "../../core/pending.ts";
import { sourceKey } from "../../wire/address.ts";
import type { Field } from "../../wire/http1/head.ts";
import { valuesOf } from "../../wire/http1/head.ts";
import type { Clients } from "../proxy/clients.ts";
import { Guesses } from "../proxy/guesses.ts";

/**
 * Hashing is meant to be slow (20 ms and 19 MiB each): so many at once, and of one source, and the others are asked to come
 * again. A source that has its fill of held answers is not hashed for: guesses would cost their maker less than the relay.
 */
const CHECKS = { total: 16, perSource: 4, earlyFrom: 16 } as const;
/** Of those who were right: browsers send the password with every request. */
const MOST_REMEMBERED = 10_000;
const MAX_CREDENTIALS = 1_024;

const ASKED: RequestRefusal = { status: 401, sentence: "This site asks for a user name and a password." };
const BUSY: RequestRefusal = {
  status: 503,
  sentence: "Too many are logging in at the moment. Try again in a little while.",
};
const SLOWER: RequestRefusal = {
  status: 429,
  sentence: "Too many wrong passwords from your address. Try again later.",
};

/** Asks visitors of sites for passwords (RFC 7617), and slows down whoever guesses. */
export class LoginGuard {
  readonly #clients: Clients;
  readonly #nowMs: () => number;
  readonly #guesses = new Guesses();
  /** Of right credentials only what cannot be turned back into them. */
  readonly #key = randomBytes(32);
  readonly #right = new Set<string>();
  readonly #checks = new Pending(CHECKS);
  /** What is being checked: a page asks for its files side by side, each with the same password. */
  readonly #underWay = new Map<string, Promise<RequestRefusal | null>>();

  constructor(clients: Clients, nowMs: () => number) {
    this.#clients = clients;
    this.#nowMs = nowMs;
  }

  /** Null = come in. */
  check(
    logins: readonly SiteLogin[],
    fields: readonly Field[],
    address: string,
  ): RequestRefusal | null | Promise<RequestRefusal | null> {
    const [value, ...more] = valuesOf(fields, "authorization");
    const given = value === undefined || more.length > 0 ? null : credentialsOf(value);
    if (given === null) return ASKED;
    const login = logins.find(({ user }) => user === given.user);
    const mark = login === undefined ? null : this.#markOf(login, given.password);
    if (mark !== null && this.#right.has(mark)) return null;
    const source = sourceKey(address);
    const same = `${source} ${mark ?? ""}`;
    const underWay = mark === null ? undefined : this.#underWay.get(same);
    if (underWay !== undefined) return underWay;
    if (this.#guesses.isFull(address)) return SLOWER;
    // Nobody is drawn by lot: `earlyFrom` is `total`.
    if (this.#checks.enter(source, 1) !== null) return BUSY;
    // A user that is not there takes as long as a wrong password.
    const checked = this.#verify(login ?? null, logins[0]?.hash ?? "", given.password, address);
    if (mark === null) return checked;
    const shared = checked.finally(() => this.#underWay.delete(same));
    this.#underWay.set(same, shared);
    return shared;
  }

  async #verify(
    login: SiteLogin | null,
    otherwise: string,
    password: string,
    address: string,
  ): Promise<RequestRefusal | null> {
    let matches = false;
    try {
      matches = await Bun.password.verify(password, login?.hash ?? otherwise);
    } catch {
      // What is no hash matches nothing.
      matches = false;
    } finally {
      this.#checks.leave(sourceKey(address));
    }
    const isRight = matches && login !== null;
    const heldMs = this.#guesses.heldMs(address, isRight, this.#nowMs());
    if (heldMs === null) return SLOWER;
    if (heldMs > 0) {
      await this.#hold(heldMs);
      this.#guesses.answered(address);
    }
    if (!isRight) return ASKED;
    this.#remember(this.#markOf(login, password));
    return null;
  }

  #hold(forMs: number): Promise<void> {
    return new Promise((resolve) => this.#clients.add({ expired: resolve, closed: resolve }, forMs));
  }

  #remember(mark: string): void {
    const [oldest] = this.#right;
    if (this.#right.size >= MOST_REMEMBERED && oldest !== undefined) this.#right.delete(oldest);
    this.#right.add(mark);
  }

  /** Another hash is another login: a password that was changed is asked for again. */
  #markOf({ user, hash }: SiteLogin, password: string): string {
    return createHmac("sha256", this.#key)
      .update(JSON.stringify([user, hash, password]))
      .digest("base64");
  }
}

function credentialsOf(value: string): { readonly user: string; readonly password: string } | null {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value)?.[1];
  if (encoded === undefined || encoded.length > MAX_CREDENTIALS) return null;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
