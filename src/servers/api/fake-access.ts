import {
  type AccessBackend,
  ApiFailure,
  type BegunSession,
  type Page,
  type PageRequest,
  type Principal,
} from "./backend.ts";
import { FAKE_NOW_MS, type FakeAccount, fakeUser } from "./fake-data.ts";
import { pageOf } from "./fake-page.ts";
import type {
  Invite,
  InviteDraft,
  Me,
  Redeem,
  Role,
  Scope,
  SignIn,
  Token,
  TokenDraft,
  User,
  UserPatch,
} from "./schema.ts";

const PASSWORD = "a long password";
const LINK_TOKEN = "one-time";
const CODE = "123456";
const CHALLENGE = "challenge-1";
const SESSION_MS = 3_600_000;

type Passkey = Awaited<ReturnType<AccessBackend["addPasskey"]>>;

const HOUSE: FakeAccount = { id: "acc-1", name: "house" };
const OTHERS: FakeAccount = { id: "acc-2", name: "others" };
export const FAKE_ACCOUNTS = { house: HOUSE, others: OTHERS } as const;

interface FakeSession {
  readonly id: string;
  readonly userId: string;
}

/** People in memory: ada (admin), uwe (user) and vera (viewer) of one account, otto (user) of another. All with one password. */
export class FakeAccess implements AccessBackend {
  setUp = true;
  readonly users = new Map<string, User>(
    [
      fakeUser("u-ada", "ada", "admin", HOUSE),
      fakeUser("u-uwe", "uwe", "user", HOUSE),
      fakeUser("u-vera", "vera", "viewer", HOUSE),
      fakeUser("u-otto", "otto", "user", OTHERS),
    ].map((user) => [user.id, user]),
  );
  /** By secret. */
  readonly sessions = new Map<string, FakeSession>();
  readonly tokens = new Map<string, { readonly token: Token; readonly userId: string }>();
  readonly passkeys = new Map<string, { readonly passkey: Passkey; readonly userId: string }>();
  readonly invites = new Map<string, Invite>();
  #count = 0;

  /** A session without signing in. */
  begin(name: string): BegunSession {
    const user = this.#named(name);
    const id = this.#next();
    // In two halves of one length, as the cookie and the page have them.
    const secret = `cookie-${id}header-${id}`;
    this.sessions.set(secret, { id: `s-${id}`, userId: user.id });
    return { secret, session: this.#session(user) };
  }

  /** A token without asking for one: its secret. */
  token(name: string, scopes: readonly Scope[]): string {
    return this.#addToken(this.#named(name).id, { name: "script", scopes: [...scopes], lifetimeSec: null }).secret;
  }

  async isSetUp() {
    return this.setUp;
  }
  async signIn({ name, password, code }: SignIn): Promise<BegunSession> {
    const user = [...this.users.values()].find((one) => one.name === name);
    if (user === undefined || password !== PASSWORD) throw new ApiFailure("unauthorized", "Name or password is wrong.");
    if (user.hasTotp && code !== CODE) throw new ApiFailure("totp", "Give the code of the authenticator app.");
    return this.begin(name);
  }
  async passkeyChallenge() {
    return { challengeId: CHALLENGE, options: { challenge: "AAAA" } };
  }
  async signInByPasskey({ challengeId }: { readonly challengeId: string }) {
    if (challengeId !== CHALLENGE) throw new ApiFailure("unauthorized", "The passkey is not known here.");
    return this.begin("ada");
  }
  async redeem({ token, name }: Redeem): Promise<BegunSession> {
    if (token !== LINK_TOKEN) throw new ApiFailure("unauthorized", "The link was used, or has ended.");
    this.setUp = true;
    this.users.set(`u-${name}`, fakeUser(`u-${name}`, name, "admin", HOUSE));
    return this.begin(name);
  }
  async bySession(secret: string) {
    const session = this.sessions.get(secret);
    const user = session === undefined ? undefined : this.users.get(session.userId);
    if (session === undefined || user === undefined) return null;
    const principal = this.#principal(user, session.id, null);
    return { principal, expiresMs: FAKE_NOW_MS + SESSION_MS };
  }
  async byToken(secret: string): Promise<Principal | null> {
    const held = this.tokens.get(secret);
    const user = held === undefined ? undefined : this.users.get(held.userId);
    return held === undefined || user === undefined ? null : this.#principal(user, held.token.id, held.token.scopes);
  }
  async signOut({ credentialId }: Principal) {
    this.#endSession(credentialId, null);
  }
  async me({ userId, scopes, credentialId }: Principal): Promise<Me> {
    const me = this.#me(this.#user(userId));
    return scopes === null ? me : { ...me, token: { id: credentialId, name: "script", scopes, expiresMs: null } };
  }
  async changePassword(_who: Principal, current: string) {
    this.#prove(current);
  }
  async beginTotp() {
    return { secret: "JBSWY3DP", uri: "otpauth://totp/hatchway?secret=JBSWY3DP" };
  }
  async confirmTotp({ userId }: Principal, code: string) {
    if (code !== CODE) throw new ApiFailure("invalid", "The code is wrong: see that the clocks agree.");
    this.users.set(userId, { ...this.#user(userId), hasTotp: true });
  }
  async removeTotp({ userId }: Principal, password: string) {
    this.#prove(password);
    this.users.set(userId, { ...this.#user(userId), hasTotp: false });
  }
  async beginPasskey() {
    return { challengeId: CHALLENGE, options: { challenge: "AAAA" } };
  }
  async addPasskey({ userId }: Principal, answer: { readonly challengeId: string; readonly name?: string }) {
    if (answer.challengeId !== CHALLENGE) throw new ApiFailure("invalid", "Begin again: the challenge has ended.");
    const id = `p-${this.#next()}`;
    const passkey = { id, name: answer.name ?? "passkey", createdMs: FAKE_NOW_MS, lastUsedMs: null };
    this.passkeys.set(id, { passkey, userId });
    return passkey;
  }
  async listPasskeys({ userId }: Principal) {
    return [...this.passkeys.values()].filter((held) => held.userId === userId).map(({ passkey }) => passkey);
  }
  async removePasskey({ userId }: Principal, id: string) {
    if (this.passkeys.get(id)?.userId !== userId) throw missing("passkey");
    this.passkeys.delete(id);
  }
  async listSessions({ userId, credentialId }: Principal) {
    return [...this.sessions.values()]
      .filter((session) => session.userId === userId)
      .map(({ id }) => ({
        id,
        address: "192.0.2.1",
        userAgent: "test",
        createdMs: FAKE_NOW_MS,
        lastSeenMs: FAKE_NOW_MS,
        current: id === credentialId,
      }));
  }
  async endSession({ userId }: Principal, id: string) {
    if (!this.#endSession(id, userId)) throw missing("session");
  }
  async listTokens({ userId }: Principal) {
    return [...this.tokens.values()].filter((held) => held.userId === userId).map(({ token }) => token);
  }
  async makeToken({ userId }: Principal, draft: TokenDraft) {
    return this.#addToken(userId, draft);
  }
  async removeToken({ userId }: Principal, id: string) {
    for (const [secret, held] of this.tokens) {
      if (held.token.id !== id || held.userId !== userId) continue;
      this.tokens.delete(secret);
      return;
    }
    throw missing("token");
  }
  async listUsers(_who: Principal, page: PageRequest): Promise<Page<User>> {
    return pageOf([...this.users.values()], page);
  }
  async changeUser(_who: Principal, id: string, { role, disabled }: UserPatch): Promise<User> {
    const before = this.#user(id);
    const user = { ...before, role: role ?? before.role, disabled: disabled ?? before.disabled };
    this.users.set(id, user);
    return user;
  }
  async removeUser(_who: Principal, id: string) {
    if (!this.users.delete(id)) throw missing("person");
  }
  async listInvites() {
    return [...this.invites.values()];
  }
  async makeInvite(_who: Principal, { role, lifetimeSec }: InviteDraft) {
    const id = `i-${this.#next()}`;
    const expiresMs = FAKE_NOW_MS + lifetimeSec * 1_000;
    const invite: Invite = { id, role, account: null, createdMs: FAKE_NOW_MS, expiresMs };
    this.invites.set(id, invite);
    return { invite, link: `https://relay.example/invite#${LINK_TOKEN}` };
  }
  async removeInvite(_who: Principal, id: string) {
    if (!this.invites.delete(id)) throw missing("invitation");
  }

  #next(): number {
    this.#count++;
    return this.#count;
  }
  #named(name: string): User {
    const user = [...this.users.values()].find((one) => one.name === name);
    if (user === undefined) throw new Error(`the fake has no ${name}`);
    return user;
  }
  #user(id: string): User {
    const user = this.users.get(id);
    if (user === undefined) throw missing("person");
    return user;
  }
  #prove(password: string): void {
    if (password !== PASSWORD) throw new ApiFailure("forbidden", "The password is wrong.");
  }
  #endSession(id: string, userId: string | null): boolean {
    for (const [secret, session] of this.sessions) {
      if (session.id === id && (userId === null || session.userId === userId)) return this.sessions.delete(secret);
    }
    return false;
  }
  #addToken(userId: string, { name, scopes, lifetimeSec }: TokenDraft) {
    const id = `t-${this.#next()}`;
    const expiresMs = lifetimeSec === null ? null : FAKE_NOW_MS + lifetimeSec * 1_000;
    const token: Token = { id, name, scopes, createdMs: FAKE_NOW_MS, expiresMs, lastUsedMs: null };
    const secret = `hwt_${id}`;
    this.tokens.set(secret, { token, userId });
    return { token, secret };
  }
  #session(user: User): BegunSession["session"] {
    return { me: this.#me(user), expiresMs: FAKE_NOW_MS + SESSION_MS };
  }
  #me({ id, name, role, account, hasTotp }: User): Me {
    return { id, name, role, account, token: null, hasTotp, passkeys: 0 };
  }
  #principal(user: User, credentialId: string, scopes: readonly Scope[] | null): Principal {
    const role: Role = user.role;
    return { userId: user.id, name: user.name, role, accountId: user.account.id, scopes, credentialId };
  }
}

function missing(what: string): ApiFailure {
  return new ApiFailure("not-found", `There is no such ${what}.`);
}
