import { useEffect, useState } from "react";
import { type Device, type Forward, sentenceOf } from "../api.ts";
import { count } from "../format.ts";
import { draftOf, emptyFields, type ForwardFields } from "../forwards/draft.ts";
import { EditDialog } from "../forwards/edit-dialog.tsx";
import { ForwardForm } from "../forwards/forward-form.tsx";
import { ForwardTable } from "../forwards/forward-table.tsx";
import { isByApp } from "../forwards/origin.ts";
import { useRemovals } from "../forwards/removals.tsx";
import { useChecks } from "../forwards/use-checks.ts";
import { PATHS } from "../paths.ts";
import { Link } from "../router.tsx";
import { useAction } from "../state/action.ts";
import { useResource } from "../state/resource.ts";
import { useHasRole, useLive, useMayChange, useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, PageHead } from "../ui/bits.tsx";
import { useSay } from "../ui/toaster.tsx";

const FRESH_MS = 4_000;

/** The tab of a router's page, as it should be: what is open, and one field that opens more. */
export function ForwardingPage() {
  const { api, live } = useServices();
  const { forwards, devices, complete, failure } = useLive();
  const mayChange = useMayChange();
  const say = useSay();
  const checks = useChecks();
  const removals = useRemovals();
  const overview = useResource(api.overview);
  const publicHost = overview.value?.publicHost ?? null;
  const [editing, setEditing] = useState<Forward | null>(null);
  const [fresh, setFresh] = useState<string | null>(null);

  useEffect(() => {
    if (fresh === null) return;
    const timer = window.setTimeout(() => setFresh(null), FRESH_MS);
    return () => window.clearTimeout(timer);
  }, [fresh]);

  const put = (forward: Forward) => live.show({ event: "forward", forward });
  const saved = (forward: Forward) => {
    put(forward);
    setFresh(forward.id);
    say({
      title: `Saved ${forward.name}`,
      description: forward.message ?? `${forward.ports} on ${forward.device.name}.`,
      action: { label: "Test now", act: () => void checks.run(forward.id) },
    });
  };

  const enable = async (forward: Forward, enabled: boolean) => {
    // Shown at once; what the server makes of it follows.
    put({ ...forward, enabled });
    try {
      put((await api.changeForward(forward.id, { enabled })).value);
    } catch (error) {
      put(forward);
      say({ title: `${forward.name} stays ${enabled ? "off" : "on"}`, description: sentenceOf(error), bad: true });
    }
  };

  const isGateway = useHasRole("gateway");
  const all = forwards?.filter(({ id }) => !removals.hidden.has(id)) ?? [];
  const shown = all.filter((forward) => !isByApp(forward));
  const byApps = all.length - shown.length;
  const open = shown.filter(({ state }) => state === "open").length;
  return (
    <>
      <PageHead
        title="Port forwarding"
        lead={
          forwards === null
            ? undefined
            : `${count(shown.length, "forward")}, ${open} open${publicHost === null ? "" : ` at ${publicHost}`}.`
        }
      />
      {failure === null ? null : <Failure message={failure} onRetry={live.retryNow} />}
      {mayChange ? <AddForward devices={devices} publicHost={publicHost} onSaved={saved} /> : null}
      {forwards === null ? (
        failure === null ? (
          <Loading what="the forwards" />
        ) : null
      ) : (
        <Card className="card-table">
          {isGateway && byApps > 0 ? (
            <p className="aside quiet">
              {count(byApps, "more was", "more were")} opened by apps: <Link to={PATHS.appPorts}>App-opened ports</Link>
              .
            </p>
          ) : null}
          <ForwardTable
            forwards={shown}
            complete={complete}
            checks={checks}
            fresh={fresh}
            onEdit={setEditing}
            onRemove={(forward) => void removals.remove(forward)}
            onEnabled={(forward, enabled) => void enable(forward, enabled)}
            empty={
              <Empty icon="forwards" title="Nothing is open yet">
                {mayChange ? (
                  <p>Write a port above, choose the device, and save: visitors reach it at once.</p>
                ) : (
                  <p>What people of your account open is listed here.</p>
                )}
              </Empty>
            }
          />
        </Card>
      )}
      {editing === null ? null : (
        <EditDialog
          forward={editing}
          devices={devices ?? []}
          publicHost={publicHost}
          onClose={() => setEditing(null)}
          onSaved={saved}
        />
      )}
    </>
  );
}

interface AddForwardProps {
  readonly devices: readonly Device[] | null;
  readonly publicHost: string | null;
  readonly onSaved: (forward: Forward) => void;
}

function AddForward({ devices, publicHost, onSaved }: AddForwardProps) {
  const { api } = useServices();
  const [fields, setFields] = useState<ForwardFields>(() => emptyFields(""));
  /** A form that was saved begins anew: with it goes what it remembered of presets and faults. */
  const [turn, setTurn] = useState(0);
  const chosen = devices?.some(({ id }) => id === fields.device) === true;
  const usual = devices?.find(({ connected }) => connected) ?? devices?.[0];
  const settled = chosen || usual === undefined ? fields : { ...fields, device: usual.id };
  const saving = useAction(async () => {
    const { value } = await api.addForward(draftOf(settled));
    setFields(emptyFields(settled.device));
    setTurn(turn + 1);
    onSaved(value);
  });
  if (devices === null) return null;
  if (devices.length === 0) {
    return (
      <Card title="Open ports">
        <Empty icon="devices" title="First, a device">
          <p>
            Ports lead to a machine that runs the agent. <Link to={PATHS.devices}>Add a device</Link>: it takes one
            command.
          </p>
        </Empty>
      </Card>
    );
  }
  return (
    <Card title="Open ports">
      <ForwardForm
        key={turn}
        fields={settled}
        onFields={setFields}
        devices={devices}
        publicHost={publicHost}
        editing={null}
        busy={saving.busy}
        problem={saving.problem}
        onSave={() => void saving.run()}
      />
    </Card>
  );
}
