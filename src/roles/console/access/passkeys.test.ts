import { describe, expect, test } from "bun:test";
import {
  type AccessLab,
  accessLab,
  failureOf,
  from,
  HOME,
  HOST,
  kindOf,
  ORIGIN,
} from "../../../../test/fixtures/access-lab.ts";
import { type AuthenticatorQuirks, SoftAuthenticator } from "../../../../test/fixtures/authenticator.ts";
import type { Principal } from "../../../servers/api/backend.ts";

const MIN_MS = 60_000;
const page = (challenge: unknown) => ({ challenge: String(challenge), host: HOST, origin: ORIGIN });

async function add(lab: AccessLab, who: Principal, authenticator: SoftAuthenticator, name?: string) {
  const { challengeId, options } = await lab.access.beginPasskey(who);
  const response = authenticator.create(page(options["challenge"]));
  return lab.access.addPasskey(who, { challengeId, response, ...(name === undefined ? {} : { name }) });
}

async function signIn(lab: AccessLab, authenticator: SoftAuthenticator, quirks: AuthenticatorQuirks = {}) {
  const { challengeId, options } = await lab.access.passkeyChallenge(HOME);
  const response = authenticator.get(page(options["challenge"]), quirks);
  return lab.access.signInByPasskey({ challengeId, response }, HOME);
}

test("is added, signs in without a name, is listed and removed", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const authenticator = new SoftAuthenticator();
  const added = await add(lab, who, authenticator, "phone");
  expect(added).toMatchObject({ id: authenticator.id, name: "phone", lastUsedMs: null });
  lab.clock.advance(MIN_MS);
  const begun = await signIn(lab, authenticator, { userHandle: Buffer.from(who.userId).toString("base64url") });
  expect(begun.session.me).toMatchObject({ name: "ada", passkeys: 1 });
  expect(await lab.access.listPasskeys(who)).toEqual([{ ...added, lastUsedMs: lab.clock.nowMs }]);
  await signIn(lab, authenticator);
  await lab.access.removePasskey(who, added.id);
  expect(await kindOf(signIn(lab, authenticator))).toBe("unauthorized");
  expect(await kindOf(lab.access.removePasskey(who, added.id))).toBe("not-found");
  const actions = (await lab.store.audit.list()).map(({ action }) => action);
  expect(actions).toEqual(expect.arrayContaining(["passkey.added", "passkey.removed", "user.signed-in"]));
});

test("what it is asked for: this host, the person verified, found without a name, none twice", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const authenticator = new SoftAuthenticator();
  await add(lab, who, authenticator);
  const { options } = await lab.access.beginPasskey(who);
  expect(options).toMatchObject({
    rp: { id: HOST },
    user: { name: "ada" },
    attestation: "none",
    authenticatorSelection: { residentKey: "required", userVerification: "required" },
    excludeCredentials: [{ id: authenticator.id }],
  });
  const asked = await lab.access.passkeyChallenge(HOME);
  expect(asked.options).toMatchObject({ rpId: HOST, userVerification: "required" });
  // Nobody learns before the sign-in who has passkeys here.
  expect(asked.options["allowCredentials"] ?? []).toEqual([]);
  expect(await kindOf(add(lab, who, authenticator))).toBe("conflict");
});

describe("a sign-in is refused, always in the same words,", () => {
  type Attempt = (lab: AccessLab, authenticator: SoftAuthenticator, who: Principal) => Promise<unknown>;
  const attempts: [string, Attempt][] = [
    ["by an authenticator that nobody has here", (lab) => signIn(lab, new SoftAuthenticator())],
    ["with another key", (lab, authenticator) => signIn(lab, authenticator, { otherKey: true })],
    ["when the person was not verified", (lab, authenticator) => signIn(lab, authenticator, { unverified: true })],
    [
      "by what was made to add a passkey",
      (lab, authenticator) => signIn(lab, authenticator, { type: "webauthn.create" }),
    ],
    ["with a counter that went back", (lab, authenticator) => signIn(lab, authenticator, { counter: 1 })],
    ["in another person's name", (lab, authenticator) => signIn(lab, authenticator, { userHandle: "b3RoZXI" })],
    [
      "from another origin",
      async (lab, authenticator) => {
        const { challengeId, options } = await lab.access.passkeyChallenge(HOME);
        const asked = { ...page(options["challenge"]), origin: "https://relay.example.evil" };
        return lab.access.signInByPasskey({ challengeId, response: authenticator.get(asked) }, HOME);
      },
    ],
    [
      "for another host",
      async (lab, authenticator) => {
        const { challengeId, options } = await lab.access.passkeyChallenge(HOME);
        const asked = { ...page(options["challenge"]), host: "evil.example" };
        return lab.access.signInByPasskey({ challengeId, response: authenticator.get(asked) }, HOME);
      },
    ],
    [
      "with a challenge of its own",
      async (lab, authenticator) => {
        const { challengeId } = await lab.access.passkeyChallenge(HOME);
        const response = authenticator.get(page("b3du"));
        return lab.access.signInByPasskey({ challengeId, response }, HOME);
      },
    ],
    [
      "a second time with the same answer",
      async (lab, authenticator) => {
        const { challengeId, options } = await lab.access.passkeyChallenge(HOME);
        const answer = { challengeId, response: authenticator.get(page(options["challenge"])) };
        await lab.access.signInByPasskey(answer, HOME);
        return lab.access.signInByPasskey(answer, HOME);
      },
    ],
    [
      "after five minutes",
      async (lab, authenticator) => {
        const { challengeId, options } = await lab.access.passkeyChallenge(HOME);
        lab.clock.advance(5 * MIN_MS);
        const response = authenticator.get(page(options["challenge"]));
        return lab.access.signInByPasskey({ challengeId, response }, HOME);
      },
    ],
    [
      "with a challenge that was for adding one",
      async (lab, authenticator, who) => {
        const { challengeId, options } = await lab.access.beginPasskey(who);
        const response = authenticator.get(page(options["challenge"]));
        return lab.access.signInByPasskey({ challengeId, response }, HOME);
      },
    ],
    [
      "with what is no answer",
      async (lab) => {
        const { challengeId } = await lab.access.passkeyChallenge(HOME);
        return lab.access.signInByPasskey({ challengeId, response: { id: "x", response: [] } }, HOME);
      },
    ],
  ];
  test.each(attempts)("%s", async (_what, attempt) => {
    await using lab = await accessLab();
    const who = await lab.who(await lab.admin());
    const authenticator = new SoftAuthenticator();
    await add(lab, who, authenticator);
    // Its counter goes on, so that 1 is behind it.
    await signIn(lab, authenticator);
    const failure = await failureOf(attempt(lab, authenticator, who));
    expect([failure?.kind, failure?.message]).toEqual([
      "unauthorized",
      "This passkey was not accepted: try again, or sign in with your password.",
    ]);
  });

  test("when the person is disabled", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.who(await lab.person(admin, "bob", "user"));
    const authenticator = new SoftAuthenticator();
    await add(lab, bob, authenticator);
    await lab.access.changeUser(admin, bob.userId, { disabled: true });
    const failure = await failureOf(signIn(lab, authenticator));
    expect(failure?.message).toStartWith("This passkey was not accepted");
  });
});

describe("adding is refused", () => {
  test.each<[string, AuthenticatorQuirks]>([
    ["when the person was not verified", { unverified: true }],
    ["with what was made to sign in", { type: "webauthn.get" }],
  ])("%s", async (_what, quirks) => {
    await using lab = await accessLab();
    const who = await lab.who(await lab.admin());
    const { challengeId, options } = await lab.access.beginPasskey(who);
    const response = new SoftAuthenticator().create(page(options["challenge"]), quirks);
    expect(await kindOf(lab.access.addPasskey(who, { challengeId, response }))).toBe("invalid");
  });

  test("with another person's challenge", async () => {
    await using lab = await accessLab();
    const admin = await lab.who(await lab.admin());
    const bob = await lab.who(await lab.person(admin, "bob", "user"));
    const { challengeId, options } = await lab.access.beginPasskey(bob);
    const response = new SoftAuthenticator().create(page(options["challenge"]));
    expect(await kindOf(lab.access.addPasskey(admin, { challengeId, response }))).toBe("invalid");
  });
});

test("an authenticator that counts nothing may sign in again and again", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const authenticator = new SoftAuthenticator();
  const { challengeId, options } = await lab.access.beginPasskey(who);
  const response = authenticator.create(page(options["challenge"]), { counter: 0 });
  await lab.access.addPasskey(who, { challengeId, response });
  await signIn(lab, authenticator, { counter: 0 });
  await signIn(lab, authenticator, { counter: 0 });
});

test("asking for challenges from one source takes nobody else's away", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const authenticator = new SoftAuthenticator();
  await add(lab, who, authenticator);
  const { challengeId, options } = await lab.access.passkeyChallenge(HOME);
  for (let at = 0; at < 200; at++) await lab.access.passkeyChallenge(from("198.51.100.7"));
  const response = authenticator.get(page(options["challenge"]));
  expect(await kindOf(lab.access.signInByPasskey({ challengeId, response }, HOME))).toBe("none");
});

test("a console that is reached by an address says so", async () => {
  await using lab = await accessLab({ host: null });
  const who = await lab.who(await lab.admin());
  const failure = await failureOf(lab.access.beginPasskey(who));
  expect([failure?.kind, failure?.message]).toEqual([
    "unavailable",
    "Passkeys need a host name: open the console by its name.",
  ]);
  expect(await kindOf(lab.access.passkeyChallenge(HOME))).toBe("unavailable");
});
