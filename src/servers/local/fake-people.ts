import { ControlError, type InviteRequest, type PeopleControl, type PersonInfo, type ResetRequest } from "./control.ts";

/** Of the console's people there is one, ada. */
export class FakePeople implements PeopleControl {
  async listPeople(): Promise<readonly PersonInfo[]> {
    const times = { createdMs: 0, lastSeenMs: null };
    return [
      {
        id: "u-1",
        name: "ada",
        role: "admin",
        account: "owner",
        ...times,
        disabled: false,
        hasTotp: true,
        passkeys: 1,
      },
    ];
  }
  async invitePerson({ role, account = "own", lifetimeSec }: InviteRequest): Promise<string> {
    return `/invite#${role}-${account}-${lifetimeSec}`;
  }
  async resetPerson({ name, lifetimeSec }: ResetRequest): Promise<string> {
    if (name !== "ada") throw new ControlError("usage", `There is no person "${name}".`);
    return `/invite#${name}-${lifetimeSec}`;
  }
}
