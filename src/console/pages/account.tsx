import { useServices } from "../state/services.tsx";
import { PageHead } from "../ui/bits.tsx";
import { OneTimeCodes } from "./account/one-time-codes.tsx";
import { Passkeys } from "./account/passkeys.tsx";
import { Password } from "./account/password.tsx";
import { Sessions } from "./account/sessions.tsx";
import { ROLE_NAMES } from "./people/roles.ts";

export function AccountPage() {
  const { me } = useServices();
  return (
    <>
      <PageHead
        title="Account"
        lead={`${me.name}: ${ROLE_NAMES[me.role].toLowerCase()} of the account ${me.account.name}.`}
      />
      <div className="two-columns">
        <Password />
        <OneTimeCodes />
      </div>
      <Passkeys />
      <Sessions />
    </>
  );
}
