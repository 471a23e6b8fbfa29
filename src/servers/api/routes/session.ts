import type { z } from "../../../wire/zod.ts";
import type { BegunSession } from "../backend.ts";
import { pageKeyOf } from "../credentials.ts";
import { needOf } from "../need.ts";
import { type Operation, openOperation, operation, Reply } from "../operation.ts";
import { PasskeyAnswer, PasskeyChallenge, Redeem, Session, Setup, SignIn } from "../schema.ts";

export const SESSION_ROUTES: readonly Operation[] = [
  openOperation({
    id: "getSetup",
    method: "GET",
    path: "/v1/setup",
    tag: "Session",
    summary: "Says whether the one-time link of the first start still waits",
    reply: Setup,
    run: async ({ backend }) => ({ needed: !(await backend.access.isSetUp()) }),
  }),
  operation({
    id: "getSession",
    method: "GET",
    path: "/v1/session",
    tag: "Session",
    summary: "Says who is signed in",
    description: "For people with the session cookie; the cookie's lifetime is set anew. With a token ask `/v1/me`.",
    need: needOf("credentials.change"),
    reply: Session,
    async run({ backend, who, session }) {
      // PERSON: there is no other way in than by a session.
      if (session === null) throw new Error("a person without a session");
      const { secret, expiresMs } = session;
      return begun({ secret, session: { me: await backend.access.me(who), expiresMs } });
    },
  }),
  openOperation({
    id: "signIn",
    method: "POST",
    path: "/v1/session",
    tag: "Session",
    summary: "Signs in by name and password",
    description:
      "Sets the session cookie. 401 with the type `urn:hatchway:totp-needed`: the password is right; send it again with `code`.",
    body: SignIn,
    reply: Session,
    status: 201,
    run: async ({ backend, body, origin }) => begun(await backend.access.signIn(body, origin)),
  }),
  operation({
    id: "signOut",
    method: "DELETE",
    path: "/v1/session",
    tag: "Session",
    summary: "Signs out",
    need: needOf("credentials.change"),
    async run({ backend, who }) {
      await backend.access.signOut(who);
      return new Reply(undefined, { session: null });
    },
  }),
  openOperation({
    id: "beginPasskeySignIn",
    method: "POST",
    path: "/v1/session/passkey/challenge",
    tag: "Session",
    summary: "Makes a challenge to sign in by a passkey",
    reply: PasskeyChallenge,
    run: ({ backend, origin }) => backend.access.passkeyChallenge(origin),
  }),
  openOperation({
    id: "signInByPasskey",
    method: "POST",
    path: "/v1/session/passkey",
    tag: "Session",
    summary: "Signs in by a passkey's answer",
    body: PasskeyAnswer,
    reply: Session,
    status: 201,
    run: async ({ backend, body, origin }) => begun(await backend.access.signInByPasskey(body, origin)),
  }),
  openOperation({
    id: "redeem",
    method: "POST",
    path: "/v1/invites/redeem",
    tag: "Session",
    summary: "Takes the one-time link of the first start, or an invitation",
    description: "`token` is what the link has after `#`. Makes the person, and signs them in.",
    body: Redeem,
    reply: Session,
    status: 201,
    run: async ({ backend, body, origin }) => begun(await backend.access.redeem(body, origin)),
  }),
];

function begun(session: BegunSession): Reply<z.infer<typeof Session>> {
  return new Reply({ ...session.session, pageKey: pageKeyOf(session.secret) }, { session });
}
