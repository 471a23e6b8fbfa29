import { Secret, TOTP } from "otpauth";
import { nameKey } from "../../../core/access/name.ts";
import { ShortLived } from "../../../core/access/short-lived.ts";
import { stepOfCode, TOTP_DIGITS, TOTP_STEP_SEC } from "../../../core/access/totp.ts";
import { type AccessBackend, ApiFailure, type Principal } from "../../../servers/api/backend.ts";
import type { Store } from "../../../store/store.ts";
import type { StoredUser } from "../../../store/users.ts";
import { type AccessOptions, actorOf } from "./context.ts";
import { demand, tooManyTries, wrongField } from "./failures.ts";
import type { Passwords } from "./passwords.ts";

type TotpMethods = Pick<AccessBackend, "beginTotp" | "confirmTotp" | "removeTotp">;

/** 160 bits, as long as SHA-1's result (RFC 4226 section 4). */
const SECRET_BYTES = 20;
const ISSUER = "Hatchway";
/** Secrets that were shown and not confirmed yet. */
const PENDING = { lifetimeMs: 600_000, most: 1_000, mostPerOwner: 1 } as const;

/** One-time codes of an authenticator app: setting them up and taking them away. */
export function totpMethods({ store, wallMs, nowMs }: AccessOptions, passwords: Passwords): TotpMethods {
  const pending = new ShortLived<string>(PENDING);
  return {
    async beginTotp(who) {
      demand(who, "credentials.change");
      await refuseWhenThere(store, who);
      const secret = new Secret({ size: SECRET_BYTES }).base32;
      pending.put(who.userId, who.userId, secret, nowMs());
      return { secret, uri: codesOf(secret, who.name).toString() };
    },
    async confirmTotp(who, code) {
      demand(who, "credentials.change");
      await refuseWhenThere(store, who);
      const secret = pending.peek(who.userId, nowMs());
      if (secret === null) throw new ApiFailure("conflict", "Begin again: that took too long.");
      const step = stepOf(secret, code, null, wallMs());
      if (step === null) throw wrongField("code", "That code is wrong: enter the one that the app shows now.");
      pending.take(who.userId, nowMs());
      await store.users.setTotp(who.userId, { secret, usedStep: step }, wallMs(), actorOf(who));
    },
    async removeTotp(who, password) {
      demand(who, "credentials.change");
      const user = await store.users.find(who.userId);
      // The session stands for the address: who has stolen one guesses no faster from many places.
      const proven = await passwords.prove(user, password, nameKey(who.name), `session ${who.credentialId}`);
      if (!proven) throw wrongField("password", "The password is wrong.");
      await store.users.setTotp(who.userId, null, wallMs(), actorOf(who));
    },
  };
}

/**
 * The second proof, after the password. Rejects with `totp` when a code is wanted, or was wrong; with `limited` while the person
 * has too many wrong ones.
 */
export async function proveCode(
  { store, wallMs, nowMs, onDenied }: AccessOptions,
  { guesses }: Passwords,
  user: StoredUser,
  code: string | undefined,
  address: string,
): Promise<void> {
  if (user.totpSecret === null) return;
  if (code === undefined) throw new ApiFailure("totp", "Enter the code that your authenticator app shows.");
  // Nothing is awaited between the look at the penalties and the new one: many at once are one after the other.
  const refusedMs = guesses.codeRefusedMs(user.id, nowMs());
  if (refusedMs > 0) throw tooManyTries(refusedMs);
  const step = stepOf(user.totpSecret, code, user.totpLastStep, wallMs());
  if (step === null) {
    guesses.codeFailed(user.id, nowMs());
    onDenied(user.name, address, guesses.failed(address, nameKey(user.name), nowMs()));
    throw new ApiFailure("totp", "That code is wrong or was used: enter the next one that the app shows.");
  }
  if (!(await store.users.takeTotpStep(user.id, step))) {
    throw new ApiFailure("totp", "That code was used: wait for the next one that the app shows.");
  }
}

async function refuseWhenThere(store: Store, who: Principal): Promise<void> {
  const user = await store.users.find(who.userId);
  if (user !== null && user.totpSecret !== null) {
    throw new ApiFailure("conflict", "You have an authenticator app already: remove it first.");
  }
}

function stepOf(secret: string, code: string, lastStep: number | null, wallMs: number): number | null {
  const codes = codesOf(secret, "");
  return stepOfCode(code, (step) => codes.generate({ timestamp: step * TOTP_STEP_SEC * 1000 }), lastStep, wallMs);
}

function codesOf(secret: string, label: string): TOTP {
  return new TOTP({ issuer: ISSUER, label, secret, algorithm: "SHA1", digits: TOTP_DIGITS, period: TOTP_STEP_SEC });
}
