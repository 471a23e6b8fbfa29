import { type SignedInSession, sentenceOf } from "../../api.ts";
import { formatAgo } from "../../format.ts";
import { useList, useNow } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Failure, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { useSay } from "../../ui/toaster.tsx";

export function Sessions() {
  const { api } = useServices();
  const sessions = useList(api.listSessions);
  const nowMs = useNow();
  const say = useSay();
  const end = async (session: SignedInSession) => {
    try {
      await api.endSession(session.id);
      await sessions.reload();
    } catch (error) {
      say({ title: "The session was not ended", description: sentenceOf(error), bad: true });
    }
  };
  const columns: readonly Column<SignedInSession>[] = [
    {
      id: "where",
      title: "Session",
      kind: "main",
      cell: ({ address, userAgent }) => (
        <>
          <strong className="name">{address}</strong>
          <span className="sub quiet">{userAgent}</span>
        </>
      ),
    },
    { id: "since", title: "Since", cell: ({ createdMs }) => formatAgo(createdMs, nowMs) },
    { id: "seen", title: "Seen", cell: ({ lastSeenMs }) => formatAgo(lastSeenMs, nowMs) },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (session) => (
        <div className="row-actions">
          {session.current ? (
            <Pill tone="ok">This one</Pill>
          ) : (
            <Button look="quiet" aria-label={`End the session of ${session.address}`} onClick={() => void end(session)}>
              End
            </Button>
          )}
        </div>
      ),
    },
  ];
  return (
    <Card title="Where you are signed in">
      {sessions.failure === null ? null : <Failure message={sessions.failure} onRetry={() => void sessions.reload()} />}
      {sessions.value === null ? null : (
        <DataTable label="Sessions" rows={sessions.value} columns={columns} rowId={({ id }) => id} />
      )}
    </Card>
  );
}
