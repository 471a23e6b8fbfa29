import { nameKey } from "../core/access/name.ts";
import type { Store } from "../store/store.ts";
import type { StoredUser } from "../store/users.ts";
import { linkOf } from "./console/access/link.ts";
import { ControlError, type PeopleControl, type PersonInfo } from "./control.ts";

export interface PeopleView {
  readonly store: Store;
  /** Where people open the console; empty while that is not known. */
  consoleUrl(): string;
  wallMs(): number;
}

const PAGE = 500;

/** People, for whoever has the machine: the local socket is open to its owner alone, and asks for no password. */
export function peopleControl(view: PeopleView): PeopleControl {
  const { store, consoleUrl, wallMs } = view;
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
      if (!made.ok) throw new ControlError("usage", made.error.message);
      return linkOf(consoleUrl(), "invite", made.value.secret);
    },
    async resetPerson({ name, lifetimeSec }) {
      const user = await store.users.findByName(nameKey(name));
      const made =
        user === null ? null : await store.invites.create({ kind: "reset", userId: user.id, lifetimeSec }, wallMs());
      if (made?.ok !== true) {
        throw new ControlError("usage", `There is no person ${JSON.stringify(name)}: "hatchway user ls" lists them.`);
      }
      return linkOf(consoleUrl(), "reset", made.value.secret);
    },
  };
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
