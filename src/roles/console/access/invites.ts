import { parsePersonName } from "../../../core/access/name.ts";
import { type AccessBackend, ApiFailure } from "../../../servers/api/backend.ts";
import type { Invite } from "../../../servers/api/schema.ts";
import type { RedeemRefusal, StoredInvite } from "../../../store/invites.ts";
import { type AccessOptions, actorOf, type BeginSession } from "./context.ts";
import { demand, noSuch, wrongField } from "./failures.ts";
import { linkOf } from "./link.ts";
import { type Passwords, refusePoorPassword } from "./passwords.ts";

type InviteMethods = Pick<AccessBackend, "redeem" | "listInvites" | "makeInvite" | "removeInvite">;

/** Of the first administrator's link. */
const SETUP_LIFETIME_SEC = 86_400;

/** Links that are good once: who gets one becomes a person here. */
export function inviteMethods(options: AccessOptions, passwords: Passwords, begin: BeginSession): InviteMethods {
  const { store, wallMs, publicUrl } = options;
  return {
    async redeem({ token, name: givenName, password }, origin) {
      const name = parsePersonName(givenName);
      if (!name.ok) throw wrongField("name", name.error);
      refusePoorPassword(password, name.value.name, "password");
      // Looked up first: hashing is dear, and not for whoever has no link.
      if ((await store.invites.find(token, wallMs())) === null) throw refusal({ kind: "invalid" });
      const passwordHash = await passwords.hash(password, origin.address);
      const redeemed = await store.invites.redeem(token, { ...name.value, passwordHash }, wallMs());
      if (!redeemed.ok) throw refusal(redeemed.error);
      return begin(redeemed.value, origin, "link");
    },
    async listInvites(who) {
      demand(who, "people.read");
      return (await store.invites.list(wallMs())).map(toInvite);
    },
    async makeInvite(who, { role, account = null, lifetimeSec }) {
      demand(who, "people.admit");
      const request = { kind: "invite", role, account, lifetimeSec } as const;
      const made = await store.invites.create(request, wallMs(), actorOf(who));
      if (!made.ok) {
        if (made.error.kind === "unknown-account") throw wrongField("account", made.error.message);
        throw new ApiFailure("conflict", made.error.message);
      }
      return { invite: toInvite(made.value.invite), link: linkOf(publicUrl(), "invite", made.value.secret) };
    },
    async removeInvite(who, id) {
      demand(who, "people.change");
      if (!(await store.invites.remove(id, wallMs(), actorOf(who)))) throw noSuch("invitation");
    },
  };
}

/** The link of the first start; null when there is an administrator. The one before ends. */
export async function setupLink({ store, wallMs }: AccessOptions, publicUrl: string): Promise<string | null> {
  const made = await store.invites.create({ kind: "setup", lifetimeSec: SETUP_LIFETIME_SEC }, wallMs());
  if (made.ok) return linkOf(publicUrl, "setup", made.value.secret);
  await store.invites.endSetup();
  return null;
}

function refusal(why: RedeemRefusal): ApiFailure {
  switch (why.kind) {
    case "invalid":
      return new ApiFailure("unauthorized", "This link is not good any more: ask for a new one.");
    case "name-taken":
      return wrongField("name", "Somebody has this name already: choose another.", "conflict");
    case "other-name":
      return wrongField("name", `This link sets a new password for ${JSON.stringify(why.name)}: enter that name.`);
    default:
      return why satisfies never;
  }
}

function toInvite({ id, role, account, createdMs, expiresMs }: StoredInvite): Invite {
  return { id, role, account, createdMs, expiresMs };
}
