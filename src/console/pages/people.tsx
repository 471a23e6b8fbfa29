import { useServices } from "../state/services.tsx";
import { PageHead } from "../ui/bits.tsx";
import { Invites } from "./people/invites.tsx";
import { Tokens } from "./people/tokens.tsx";
import { Users } from "./people/users.tsx";

export function PeoplePage() {
  const { me } = useServices();
  const isAdmin = me.role === "admin";
  return (
    <>
      <PageHead
        title={isAdmin ? "People and tokens" : "Tokens"}
        lead={
          isAdmin
            ? "Who may come to this console, and what scripts may do in your name."
            : "What scripts may do in your name."
        }
      />
      {isAdmin ? (
        <>
          <Users />
          <Invites />
        </>
      ) : null}
      <Tokens />
    </>
  );
}
