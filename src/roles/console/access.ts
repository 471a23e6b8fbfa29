import { nameKey } from "../../core/access/name.ts";
import { type AccessBackend, ApiFailure } from "../../servers/api/backend.ts";
import { type AccessOptions, actorOf } from "./access/context.ts";
import { demand, wrongCredentials, wrongField } from "./access/failures.ts";
import { inviteMethods, setupLink } from "./access/invites.ts";
import { passkeyMethods } from "./access/passkeys.ts";
import { PASSWORD_COST, Passwords, refusePoorPassword } from "./access/passwords.ts";
import { peopleMethods } from "./access/people.ts";
import { beginSessions, sessionMethods } from "./access/sessions.ts";
import { tokenMethods } from "./access/tokens.ts";
import { proveCode, totpMethods } from "./access/totp.ts";
import { tellingOfStorage } from "./storage.ts";

export type { AccessOptions } from "./access/context.ts";

export interface Access extends AccessBackend {
  /**
   * The one-time link of the first start, for whoever runs the relay; null when there is an administrator. It is good for a day
   * and once, and ends the one before: make it anew at each start.
   */
  setupLink(publicUrl: string): Promise<string | null>;
}

/** People, and how they prove who they are. */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { store, wallMs, nowMs, onDenied, passwordCost: cost = PASSWORD_COST } = options;
  const passwords = await Passwords.create({ cost, nowMs, onDenied });
  const begin = beginSessions(options);
  return tellingOfStorage<Access>({
    ...sessionMethods(options),
    ...totpMethods(options, passwords),
    ...passkeyMethods(options, begin),
    ...tokenMethods(options),
    ...inviteMethods(options, passwords, begin),
    ...peopleMethods(options),
    setupLink: (publicUrl) => setupLink(options, publicUrl),
    isSetUp: () => store.users.hasAdmin(),
    async signIn({ name, password, code }, origin) {
      if (!(await store.users.hasAdmin())) {
        throw new ApiFailure("setup", "Open the one-time link that the relay printed when it started.");
      }
      const key = nameKey(name);
      const user = await store.users.findByName(key);
      if (!(await passwords.prove(user, password, key, origin.address)) || user === null) throw wrongCredentials();
      await proveCode(options, passwords, user, code, origin.address);
      return begin(user, origin, user.totpSecret === null ? "password" : "password+totp");
    },
    async changePassword(who, current, next) {
      demand(who, "credentials.change");
      refusePoorPassword(next, who.name, "next");
      const address = `session ${who.credentialId}`;
      const user = await store.users.find(who.userId);
      if (!(await passwords.prove(user, current, nameKey(who.name), address))) {
        throw wrongField("current", "Your present password is another.");
      }
      const hash = await passwords.hash(next, address);
      await store.users.setPassword(who.userId, hash, who.credentialId, wallMs(), actorOf(who));
    },
  });
}
