import { Guesses } from "../../../core/access/guesses.ts";
import type { StoredUser } from "../../../store/users.ts";
import { sourceKey } from "../../../wire/address.ts";
import { tooManyTries, wrongField } from "./failures.ts";
import { Turns } from "./turns.ts";

/** Of argon2id (RFC 9106). */
export interface PasswordCost {
  readonly memoryKiB: number;
  readonly passes: number;
}

/**
 * 46 MiB as OWASP's first choice has it, and twice its one pass: 135 ms on the slower of our machines (2 cores, both busy).
 * 64 MiB and 3 passes (RFC 9106 section 4) took 234 ms there, which a small machine under attack would feel.
 */
export const PASSWORD_COST: PasswordCost = { memoryKiB: 47_104, passes: 2 };

/** Two at once bound the memory to 92 MiB. Whoever comes while 64 wait, some four seconds' work, is told to try again. */
const WAITING = { atOnce: 2, most: 64, mostPerKey: 4 } as const;

export interface PasswordsOptions {
  readonly cost: PasswordCost;
  /** Monotonic. */
  nowMs(): number;
  /** A wrong password or code, for the log: the name as it was given, from where, for how long the address is refused. */
  onDenied(name: string, address: string, waitMs: number): void;
}

/** Passwords, hashed and compared; and how often somebody may be wrong (core/access/guesses). */
export class Passwords {
  readonly guesses = new Guesses();
  readonly #options: PasswordsOptions;
  readonly #turns = new Turns(WAITING);
  /** Of no password: compared with when nobody has the name, so that this takes as long. */
  readonly #nobody: string;

  private constructor(options: PasswordsOptions, nobody: string) {
    this.#options = options;
    this.#nobody = nobody;
  }

  static async create(options: PasswordsOptions): Promise<Passwords> {
    return new Passwords(options, await hashWith(options.cost, crypto.randomUUID()));
  }

  /** Of a password that is to be set. Takes a turn too. */
  async hash(password: string, address: string): Promise<string> {
    const hashed = await this.#turns.run(sourceKey(address), () => hashWith(this.#options.cost, normal(password)));
    if (hashed === null) throw tooManyTries(0);
    return hashed.value;
  }

  /**
   * Whether the password is the person's; null as `user`: nobody has the name, which takes as long. An address that waits out a
   * penalty is not listened to (it rejects with `limited`); a wrong password adds to it. `key`: the name as it is found by.
   */
  async prove(user: StoredUser | null, password: string, key: string, address: string): Promise<boolean> {
    const { guesses } = this;
    const { nowMs, onDenied } = this.#options;
    const proven = await this.#turns.run(sourceKey(address), async () => {
      const refusedMs = guesses.refusedMs(address, nowMs());
      if (refusedMs > 0) throw tooManyTries(refusedMs);
      const right = await Bun.password.verify(normal(password), user?.passwordHash ?? this.#nobody);
      if (right && user !== null && !user.disabled) return true;
      onDenied(key, address, guesses.failed(address, key, nowMs()));
      return false;
    });
    if (proven === null) throw tooManyTries(0);
    return proven.value;
  }
}

/** The API's schema asks for a length; this is what it cannot see. `path`: the field of the request. */
export function refusePoorPassword(password: string, name: string, path: string): void {
  const plain = normal(password).toLowerCase();
  const different = new Set(plain).size;
  if (different < FEWEST_CHARACTERS) {
    throw wrongField(path, `Choose a password with at least ${FEWEST_CHARACTERS} different characters.`);
  }
  if (plain === normal(name).toLowerCase()) throw wrongField(path, "Choose a password that is not your name.");
}

const FEWEST_CHARACTERS = 4;

function hashWith({ memoryKiB, passes }: PasswordCost, password: string): Promise<string> {
  return Bun.password.hash(password, { algorithm: "argon2id", memoryCost: memoryKiB, timeCost: passes });
}

/** The same letters typed on two keyboards are one password (NIST SP 800-63B section 5.1.1.2). */
function normal(password: string): string {
  return password.normalize("NFKC");
}
