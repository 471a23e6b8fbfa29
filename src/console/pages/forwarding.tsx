import { useEffect, useState } from "react";
import { type Forward, type SiteOffer, sentenceOf } from "../api.ts";
import { count } from "../format.ts";
import { draftOf, emptyFields, type ForwardFields } from "../forwards/draft.ts";
import { EditDialog } from "../forwards/edit-dialog.tsx";
import { ForwardForm } from "../forwards/forward-form.tsx";
import { ForwardTable } from "../forwards/forward-table.tsx";
import { isByApp } from "../forwards/origin.ts";
import { useRemovals } from "../forwards/removals.tsx";
import { emptySite, openedText } from "../forwards/site-draft.ts";
import { settleTarget, type Targets, targetOf, wayOf } from "../forwards/target.ts";
import { useChecks } from "../forwards/use-checks.ts";
import { PATHS } from "../paths.ts";
import { Link } from "../router.tsx";
import { useAction } from "../state/action.ts";
import { useResource } from "../state/resource.ts";
import { useHasRole, useIsAdmin, useLive, useMayChange, useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, PageHead } from "../ui/bits.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { useSay } from "../ui/toaster.tsx";
import { Triggers } from "./forwarding/triggers.tsx";

const FRESH_MS = 4_000;

/** The tab of a router's page, as it should be: what is open, and one field that opens more. */
export function ForwardingPage() {
  const { api, live } = useServices();
  const { forwards, devices, peers, complete, failure } = useLive();
  const mayChange = useMayChange();
  const say = useSay();
  const checks = useChecks();
  const removals = useRemovals();
  const overview = useResource(api.getOverview);
  const publicHost = overview.value?.publicHost ?? null;
  const offer = overview.value?.names ?? null;
  const [editing, setEditing] = useState<Forward | null>(null);
  const [removing, setRemoving] = useState<Forward | null>(null);
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
      description: forward.message ?? `${openedText(forward)} on ${forward.device.name}.`,
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
  const isAdmin = useIsAdmin();
  const targets =
    devices === null || (isGateway && peers === null) ? null : { devices, peers, lan: isGateway && isAdmin };
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
      {mayChange && targets !== null ? (
        <AddForward targets={targets} publicHost={publicHost} offer={offer} onSaved={saved} />
      ) : null}
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
            onRemove={(forward) => (forward.editable ? void removals.remove(forward) : setRemoving(forward))}
            onEnabled={(forward, enabled) => void enable(forward, enabled)}
            empty={
              <Empty icon="forwards" title="Nothing is open yet">
                {mayChange ? (
                  <p>Write a port above, choose where it leads, and save: visitors reach it at once.</p>
                ) : (
                  <p>What people of your account open is listed here.</p>
                )}
              </Empty>
            }
          />
        </Card>
      )}
      {isGateway && isAdmin ? <Triggers /> : null}
      <Confirm
        title={`Remove ${removing?.name ?? "the forward"}?`}
        description="It was not made here, so there is no undo: its ports close at once."
        act="Remove forward"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeForward(removing.id);
          live.show({ event: "forward-gone", id: removing.id });
          say({ title: `Removed ${removing.name}` });
        }}
      />
      {editing === null || targets === null ? null : (
        <EditDialog
          forward={editing}
          targets={targets}
          publicHost={publicHost}
          offer={offer}
          onClose={() => setEditing(null)}
          onSaved={saved}
        />
      )}
    </>
  );
}

interface AddForwardProps {
  readonly targets: Targets;
  readonly publicHost: string | null;
  readonly offer: SiteOffer | null;
  readonly onSaved: (forward: Forward) => void;
}

function AddForward({ targets, publicHost, offer, onSaved }: AddForwardProps) {
  const { api } = useServices();
  const [fields, setFields] = useState<ForwardFields>(() => emptyFields(""));
  /** A form that was saved begins anew: with it goes what it remembered of presets and faults. */
  const [turn, setTurn] = useState(0);
  // Sites lead to the relay's devices: a kernel reads no names.
  const reached = fields.site === null ? targets : { ...targets, peers: null, lan: false };
  const settled = settleTarget(fields, reached);
  const saving = useAction(async () => {
    const { value } = await api.addForward(draftOf(settled, wayOf(targetOf(settled, reached), settled)));
    const site = settled.site === null || offer === null ? null : emptySite(offer);
    setFields({ ...emptyFields(settled.device), lan: settled.lan, site });
    setTurn(turn + 1);
    onSaved(value);
  });
  if (settled.device === "" && !settled.lan) return <NoTarget />;
  return (
    <Card title="Open ports">
      <ForwardForm
        key={turn}
        fields={settled}
        onFields={setFields}
        targets={reached}
        publicHost={publicHost}
        offer={offer}
        kinds={offer !== null && targets.devices.length > 0}
        editing={null}
        busy={saving.busy}
        problem={saving.problem}
        onSave={() => void saving.run()}
      />
    </Card>
  );
}

function NoTarget() {
  const isRelay = useHasRole("relay");
  return (
    <Card title="Open ports">
      <Empty icon="devices" title={isRelay ? "First, a device" : "First, a VPN peer"}>
        {isRelay ? (
          <p>
            Ports lead to a machine that runs the agent. <Link to={PATHS.devices}>Add a device</Link>: it takes one
            command.
          </p>
        ) : (
          <p>Ports lead to a machine in the VPN: ask an administrator to add yours.</p>
        )}
      </Empty>
    </Card>
  );
}
