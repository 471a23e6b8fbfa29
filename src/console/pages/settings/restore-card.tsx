import { type FormEvent, useCallback, useId, useState } from "react";
import type { RestoreInfo } from "../../api.ts";
import { count } from "../../format.ts";
import { useAction } from "../../state/action.ts";
import { useResource } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Failure, Loading, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Facts } from "../../ui/facts.tsx";
import { Field, TextField } from "../../ui/field.tsx";

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A backup is taken in and looked at; only a start of the server puts it in the place of what is there. */
export function RestoreCard() {
  const { api } = useServices();
  const pending = useResource(api.getRestore);
  const { value, failure, reload } = pending;
  return (
    <Card title="Restore">
      {failure === null ? null : <Failure message={failure} onRetry={() => void reload()} />}
      {value === null ? (
        failure === null ? (
          <Loading what="what waits" />
        ) : null
      ) : value.restore === null ? (
        <Upload onChecked={(info) => pending.set({ restore: info })} />
      ) : (
        <Waiting info={value.restore} onInfo={(info) => pending.set({ restore: info })} />
      )}
    </Card>
  );
}

function Upload({ onChecked }: { readonly onChecked: (info: RestoreInfo) => void }) {
  const { api } = useServices();
  const [file, setFile] = useState<File | null>(null);
  const [passphrase, setPassphrase] = useState("");
  const [isMissing, setMissing] = useState(false);
  const check = useAction(async () => {
    if (file !== null) onChecked(await api.checkRestore(file, passphrase));
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const missing = file === null || passphrase === "";
    setMissing(missing);
    if (!missing && !check.busy) void check.run();
  };
  return (
    <>
      <p>A backup is opened and checked here first. Nothing changes before you say so, and the server starts again.</p>
      <form className="form" onSubmit={submit}>
        <Field label="Backup file" error={isMissing && file === null ? "Choose a file." : check.problem?.of("file")}>
          {({ id, describedBy, invalid }) => (
            <input
              id={id}
              type="file"
              aria-describedby={describedBy}
              aria-invalid={invalid}
              onChange={(event) => setFile(event.target.files?.[0] ?? null)}
            />
          )}
        </Field>
        <TextField
          label="Its passphrase"
          type="password"
          autoComplete="off"
          value={passphrase}
          onValue={setPassphrase}
          error={isMissing && passphrase === "" ? "Write the passphrase." : check.problem?.of("passphrase")}
        />
        <div>
          <Button type="submit" busy={check.busy}>
            Check the backup
          </Button>
        </div>
      </form>
      {check.problem === null || check.problem.errors.length > 0 ? null : (
        <Notice kind="bad">{check.problem.message}</Notice>
      )}
      <p role="status">{check.busy ? "The backup is being sent and checked …" : ""}</p>
    </>
  );
}

interface WaitingProps {
  readonly info: RestoreInfo;
  readonly onInfo: (info: RestoreInfo | null) => void;
}

function Waiting({ info, onInfo }: WaitingProps) {
  const { api } = useServices();
  const [isAsked, setAsked] = useState(false);
  const heading = useId();
  const stage = useCallback(async () => onInfo(await api.stageRestore()), [api, onInfo]);
  const discard = useAction(async () => {
    await api.discardRestore();
    onInfo(null);
  });
  const { people, devices, forwards } = info.counts;
  const isStaged = info.state === "staged";
  return (
    <section aria-labelledby={heading}>
      <h3 id={heading}>{isStaged ? "This backup waits for a restart" : "This backup is whole"}</h3>
      <Facts
        facts={[
          ["Made", TIME.format(info.madeMs)],
          ["By", `Hatchway ${info.version}`],
          ["In it", `${people} people, ${count(devices, "device")}, ${count(forwards, "forward")}`],
          ["Files", info.parts.join(", ")],
        ]}
      />
      {isStaged ? (
        <Notice kind="warn">
          <p>
            Restart the server to take it: with systemd by <code>systemctl restart hatchway-relay</code>, else stop it
            with Ctrl-C and start it as before.
          </p>
          <p>Then sign in again with the password of that time. What is here now is kept in the data directory.</p>
        </Notice>
      ) : null}
      {discard.problem === null ? null : <Notice kind="bad">{discard.problem.message}</Notice>}
      <div className="buttons">
        {isStaged ? null : (
          <Button look="primary" onClick={() => setAsked(true)}>
            Restore at the next start
          </Button>
        )}
        <Button busy={discard.busy} onClick={() => void discard.run()}>
          Discard
        </Button>
      </div>
      <Confirm
        title="Restore this backup at the next start?"
        description="Devices, forwards and people are then as they were when it was made. Everybody signs in again; open invitations and join codes end. Until the restart it can be discarded."
        act="Restore at the next start"
        open={isAsked}
        onClose={() => setAsked(false)}
        onAct={stage}
      />
    </section>
  );
}
