import { nameKey } from "../core/access/name.ts";
import { OPERATOR } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { MAX_TOKENS, type StoredToken } from "../store/tokens.ts";
import type { StoredUser } from "../store/users.ts";
import type { Result } from "../wire/result.ts";
import { linkOf, resetLinkOf } from "./console/access/link.ts";
import { ControlError, type PeopleControl, type PersonInfo, type TokenInfo } from "./control.ts";
import { tokenCalled } from "./named.ts";

export interface PeopleView {
  readonly store: Store;
  /** Where people open the console; empty while that is not known. */
  consoleUrl(): string;
  wallMs(): number;
  /** Ends a device's sessions, forwards and key. */
  endDevice(deviceId: string): Promise<void>;
  /** What the account has, or whose it is, may be another now. */
  accountChanged(accountId: string): Promise<void>;
}

const PAGE = 500;

/** People, for whoever has the machine: the local socket is open to its owner alone, and asks for no password. */
export function peopleControl(view: PeopleView): PeopleControl {
  const { store, consoleUrl, wallMs, endDevice, accountChanged } = view;
  const personOf = async (name: string | null): Promise<StoredUser> => {
    if (name === null) throw new ControlError("usage", "Say whose: --user and the name of a person.");
    return (await store.users.findByName(nameKey(name))) ?? noPerson(name);
  };
  return {
    async listPeople() {
      const people: StoredUser[] = [];
      for (;;) {
        const page = await store.users.list({ after: people.at(-1) ?? null, limit: PAGE });
        people.push(...page);
        if (page.length < PAGE) return people.map(toInfo);
      }
    },
    async invitePerson({ role, account = null, lifetimeSec }) {
      const made = await store.invites.create({ kind: "invite", role, account, lifetimeSec }, wallMs());
      return linkOf(consoleUrl(), "invite", done(made).secret);
    },
    async resetPerson({ name, lifetimeSec }) {
      const user = await personOf(name);
      const made = await store.invites.create({ kind: "reset", userId: user.id, lifetimeSec }, wallMs());
      return resetLinkOf(consoleUrl(), made.ok ? made.value.secret : noPerson(name), user.name);
    },
    async changePerson({ name, ...change }) {
      const { id } = await personOf(name);
      return toInfo(done(await store.users.change(id, change, wallMs(), OPERATOR)));
    },
    async removePerson(name) {
      const person = await personOf(name);
      // First what runs, then what is stored: if this is broken off, it can be asked for again.
      for (const deviceId of done(await store.users.removal(person.id))) await endDevice(deviceId);
      const { user } = done(await store.users.remove(person.id, wallMs(), OPERATOR));
      await accountChanged(user.account.id);
      return toInfo(person);
    },
    async listTokens({ person }) {
      const { id } = await personOf(person);
      return (await store.tokens.list(id)).map(toToken);
    },
    async makeToken({ person, name, scope, lifetimeSec }) {
      const user = await personOf(person);
      const draft = { userId: user.id, name, scopes: [scope], lifetimeSec };
      const made = await store.tokens.create(draft, wallMs(), OPERATOR);
      if (made.ok) return { token: toToken(made.value.token), secret: made.value.secret };
      throw new ControlError("usage", `${user.name} has ${MAX_TOKENS} tokens: remove one first.`);
    },
    async removeToken({ person, nameOrId }) {
      const user = await personOf(person);
      const token = tokenCalled(nameOrId, (await store.tokens.list(user.id)).map(toToken));
      await store.tokens.remove(user.id, token.id, wallMs(), OPERATOR);
      return token;
    },
  };
}

/** What the store refuses is a sentence already. */
function done<T>(result: Result<T, { readonly message: string }>): T {
  if (result.ok) return result.value;
  throw new ControlError("usage", result.error.message);
}

function noPerson(name: string): never {
  throw new ControlError("usage", `There is no person ${JSON.stringify(name)}: "hatchway user ls" lists them.`);
}

function toToken({ userId: _, ...token }: StoredToken): TokenInfo {
  return token;
}

function toInfo(user: StoredUser): PersonInfo {
  const { id, name, role, account, createdMs, lastSeenMs, disabled, totpSecret, passkeys } = user;
  return {
    id,
    name,
    role,
    account: account.name,
    createdMs,
    lastSeenMs,
    disabled,
    hasTotp: totpSecret !== null,
    passkeys,
  };
}
