import {
  ControlError,
  type InviteRequest,
  type PeopleControl,
  type PersonChange,
  type PersonInfo,
  type ResetRequest,
  type TokenInfo,
  type TokenRemoval,
  type TokenReply,
  type TokenRequest,
  type TokensRequest,
} from "./control.ts";

/** Of the console's people there is one, ada. */
export class FakePeople implements PeopleControl {
  readonly tokens: TokenInfo[] = [];
  async listPeople(): Promise<readonly PersonInfo[]> {
    return [FAKE_PERSON];
  }
  async invitePerson({ role, account = "own", lifetimeSec }: InviteRequest): Promise<string> {
    return `/invite#${role}-${account}-${lifetimeSec}`;
  }
  async resetPerson({ name, lifetimeSec }: ResetRequest): Promise<string> {
    if (name !== "ada") throw new ControlError("usage", `There is no person "${name}".`);
    return `/reset#${lifetimeSec}/${name}`;
  }
  async changePerson({ name, ...change }: PersonChange): Promise<PersonInfo> {
    return { ...fakePerson(name), ...change };
  }
  async removePerson(name: string): Promise<PersonInfo> {
    return fakePerson(name);
  }
  async listTokens({ person }: TokensRequest): Promise<readonly TokenInfo[]> {
    fakePerson(person);
    return this.tokens;
  }
  async makeToken({ person, name, scope, lifetimeSec }: TokenRequest): Promise<TokenReply> {
    fakePerson(person);
    const expiresMs = lifetimeSec === null ? null : lifetimeSec * 1_000;
    const token = { id: `t-${name}`, name, scopes: [scope], createdMs: 0, expiresMs, lastUsedMs: null };
    this.tokens.push(token);
    return { token, secret: `secret-of-${name}` };
  }
  async removeToken({ person, nameOrId }: TokenRemoval): Promise<TokenInfo> {
    fakePerson(person);
    const found = this.tokens.find(({ id, name }) => id === nameOrId || name === nameOrId);
    if (found === undefined) throw new ControlError("usage", `There is no token "${nameOrId}".`);
    this.tokens.splice(this.tokens.indexOf(found), 1);
    return found;
  }
}

const FAKE_PERSON: PersonInfo = {
  id: "u-1",
  name: "ada",
  role: "admin",
  account: "owner",
  createdMs: 0,
  lastSeenMs: null,
  disabled: false,
  hasTotp: true,
  passkeys: 1,
};

function fakePerson(name: string | null): PersonInfo {
  if (name === FAKE_PERSON.name) return FAKE_PERSON;
  throw new ControlError("usage", name === null ? "Say whose by --user." : `There is no person "${name}".`);
}
