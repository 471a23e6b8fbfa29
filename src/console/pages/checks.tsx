import { PATHS } from "../paths.ts";
import { Link } from "../router.tsx";
import { useIsAdmin, useLive, useMayChange, useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, Notice, PageHead } from "../ui/bits.tsx";
import { PingCard } from "./checks/ping-card.tsx";
import { PortCard } from "./checks/port-card.tsx";
import { RouterCard } from "./checks/router-card.tsx";

/** What can be tried out, and where it fails. */
export function ChecksPage() {
  const mayTry = useMayChange();
  const isAdmin = useIsAdmin();
  return (
    <>
      <PageHead title="Checks" lead="Whether visitors get in, how long it takes, and what is in the way." />
      {mayTry ? <ForwardChecks /> : <Notice kind="info">A viewer can only look: checks make traffic.</Notice>}
      {isAdmin ? <RouterCard /> : null}
    </>
  );
}

function ForwardChecks() {
  const { live } = useServices();
  const { forwards, failure } = useLive();
  if (forwards === null) {
    return failure === null ? <Loading what="the forwards" /> : <Failure message={failure} onRetry={live.retryNow} />;
  }
  if (forwards.length === 0) {
    return (
      <Card>
        <Empty icon="checks" title="There is no forward to check">
          <Link to={PATHS.forwards}>Open a port</Link>
        </Empty>
      </Card>
    );
  }
  const sorted = forwards.toSorted((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return (
    <>
      <PortCard forwards={sorted} />
      <PingCard forwards={sorted} />
    </>
  );
}
