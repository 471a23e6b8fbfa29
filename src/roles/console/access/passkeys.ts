import { randomBytes } from "node:crypto";
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import { ShortLived } from "../../../core/access/short-lived.ts";
import { type AccessBackend, ApiFailure } from "../../../servers/api/backend.ts";
import { MAX_PASSKEYS, type StoredPasskey } from "../../../store/passkeys.ts";
import { sourceKey } from "../../../wire/address.ts";
import { type AccessOptions, actorOf, type BeginSession } from "./context.ts";
import { demand, noSuch } from "./failures.ts";
import { RegistrationAnswer, SignInAnswer } from "./webauthn-json.ts";

type PasskeyMethods = Pick<
  AccessBackend,
  "passkeyChallenge" | "signInByPasskey" | "beginPasskey" | "addPasskey" | "listPasskeys" | "removePasskey"
>;

/** As long as it is shown in the browser. Anybody may ask for one, so that they are few for each source. */
const CHALLENGES = { lifetimeMs: 300_000, most: 4_096, mostPerOwner: 32 } as const;
const CHALLENGE_BYTES = 32;
const ID_BYTES = 16;
const SITE_NAME = "Hatchway";
const DEFAULT_NAME = "Passkey";

/** A challenge that was given out: for a person who adds a passkey, or for whoever signs in. */
interface Challenge {
  readonly text: string;
  readonly userId: string | null;
}

/**
 * Passkeys stand for password and one-time code at once, so the authenticator must have verified the person (a PIN, a finger).
 * Challenges are good once, for what they were asked for alone. There is nothing to guess here, hence no penalties.
 */
export function passkeyMethods(options: AccessOptions, begin: BeginSession): PasskeyMethods {
  const { store, wallMs, nowMs, passkeyHost, passkeyOrigins } = options;
  const challenges = new ShortLived<Challenge>(CHALLENGES);

  const give = (owner: string, userId: string | null) => {
    const challengeId = randomBytes(ID_BYTES).toString("hex");
    const bytes = new Uint8Array(randomBytes(CHALLENGE_BYTES));
    challenges.put(challengeId, owner, { text: Buffer.from(bytes).toString("base64url"), userId }, nowMs());
    return { challengeId, bytes };
  };
  /** Of that person alone; null = of somebody who signs in. */
  const take = (challengeId: string, userId: string | null): string | null => {
    const challenge = challenges.take(challengeId, nowMs());
    return challenge === null || challenge.userId !== userId ? null : challenge.text;
  };
  const host = (): string => {
    const name = passkeyHost();
    if (name === null) throw new ApiFailure("unavailable", "Passkeys need a host name: open the console by its name.");
    return name;
  };

  return {
    async passkeyChallenge(origin) {
      const rpID = host();
      const { challengeId, bytes } = give(`source ${sourceKey(origin.address)}`, null);
      const asked = await generateAuthenticationOptions({ rpID, challenge: bytes, userVerification: "required" });
      return { challengeId, options: { ...asked } };
    },
    async signInByPasskey({ challengeId, response }, origin) {
      const expectedRPID = host();
      const expectedChallenge = take(challengeId, null);
      const answer = SignInAnswer.safeParse(response);
      const passkey = answer.success ? await store.passkeys.find(answer.data.id) : null;
      const user = passkey === null ? null : await store.users.find(passkey.userId);
      if (!answer.success || expectedChallenge === null || passkey === null || user === null) throw wrongPasskey();
      // One principal: who the key belongs to, and who the authenticator thinks it signs in.
      if (!namesUser(answer.data, user.id)) throw wrongPasskey();
      const counter = await verified(() =>
        verifyAuthenticationResponse({
          response: answer.data,
          expectedChallenge,
          expectedOrigin: [...passkeyOrigins()],
          expectedRPID,
          requireUserVerification: true,
          credential: { id: passkey.id, publicKey: passkey.publicKey, counter: passkey.counter },
        }).then((result) => (result.verified ? result.authenticationInfo.newCounter : null)),
      );
      if (counter === null || user.disabled) throw wrongPasskey();
      if (!(await store.passkeys.used(passkey.id, passkey.counter, counter, wallMs()))) throw wrongPasskey();
      return begin(user, origin, "passkey");
    },
    async beginPasskey(who) {
      demand(who, "credentials.change");
      const rpID = host();
      const { challengeId, bytes } = give(`user ${who.userId}`, who.userId);
      const own = await store.passkeys.list(who.userId);
      const asked = await generateRegistrationOptions({
        rpName: SITE_NAME,
        rpID,
        userName: who.name,
        userDisplayName: who.name,
        userID: handleOf(who.userId),
        challenge: bytes,
        attestationType: "none",
        excludeCredentials: own.map(({ id, transports }) => ({ id, transports: [...transports] })),
        // Found without a name (a resident key), because that is how it signs in.
        authenticatorSelection: { residentKey: "required", userVerification: "required" },
      });
      return { challengeId, options: { ...asked } };
    },
    async addPasskey(who, { challengeId, response, name }) {
      demand(who, "credentials.change");
      const expectedRPID = host();
      const expectedChallenge = take(challengeId, who.userId);
      const answer = RegistrationAnswer.safeParse(response);
      if (!answer.success || expectedChallenge === null) throw refusedPasskey();
      const credential = await verified(() =>
        verifyRegistrationResponse({
          response: answer.data,
          expectedChallenge,
          expectedOrigin: [...passkeyOrigins()],
          expectedRPID,
          requireUserVerification: true,
        }).then((result) => (result.verified ? result.registrationInfo.credential : null)),
      );
      if (credential === null) throw refusedPasskey();
      const { id, publicKey, counter } = credential;
      const { transports } = answer.data.response;
      const passkey = { id, userId: who.userId, name: name ?? DEFAULT_NAME, publicKey, counter, transports };
      const added = await store.passkeys.add(passkey, wallMs(), actorOf(who));
      if (added.ok) return toPasskey(added.value);
      throw new ApiFailure(
        "conflict",
        added.error === "known"
          ? "This passkey is known already: use another authenticator."
          : `You have ${MAX_PASSKEYS} passkeys: remove one first.`,
      );
    },
    async listPasskeys(who) {
      demand(who, "credentials.read");
      return (await store.passkeys.list(who.userId)).map(toPasskey);
    },
    async removePasskey(who, id) {
      demand(who, "credentials.change");
      if (!(await store.passkeys.remove(who.userId, id, wallMs(), actorOf(who)))) throw noSuch("passkey");
    },
  };
}

/** The library throws on what a client can send (a wrong origin, broken CBOR): here that is a no like every other. */
async function verified<T>(verify: () => Promise<T | null>): Promise<T | null> {
  try {
    return await verify();
  } catch {
    return null;
  }
}

function wrongPasskey(): ApiFailure {
  return new ApiFailure("unauthorized", "This passkey was not accepted: try again, or sign in with your password.");
}

function refusedPasskey(): ApiFailure {
  return new ApiFailure("invalid", "This passkey was not accepted: begin again.");
}

/** What the authenticator keeps as its user; not a secret, and no name. */
function handleOf(userId: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(userId));
}

function namesUser({ response: { userHandle } }: SignInAnswer, userId: string): boolean {
  return userHandle === undefined || userHandle === Buffer.from(userId).toString("base64url");
}

function toPasskey({ id, name, createdMs, lastUsedMs }: StoredPasskey) {
  return { id, name, createdMs, lastUsedMs };
}
