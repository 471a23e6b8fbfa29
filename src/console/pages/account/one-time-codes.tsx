import { type FormEvent, useState } from "react";
import type { TotpSetup } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Notice, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { Qr } from "../../ui/qr.tsx";
import { useSay } from "../../ui/toaster.tsx";

export function OneTimeCodes() {
  const { me } = useServices();
  return (
    <Card title="One-time codes" actions={<Pill tone={me.hasTotp ? "ok" : "quiet"}>{me.hasTotp ? "On" : "Off"}</Pill>}>
      <p className="quiet">
        An authenticator app on your phone shows a code that changes; sign-in asks for it after the password.
      </p>
      {me.hasTotp ? <TurnOff /> : <TurnOn />}
    </Card>
  );
}

function TurnOn() {
  const { api, refreshMe } = useServices();
  const say = useSay();
  const [setup, setSetup] = useState<TotpSetup | null>(null);
  const [code, setCode] = useState("");
  const beginning = useAction(async () => setSetup(await api.beginTotp()));
  const confirming = useAction(async () => {
    await api.confirmTotp({ code: code.replaceAll(/\s/g, "") });
    await refreshMe();
    say({ title: "One-time codes are on" });
  });
  const confirm = (event: FormEvent) => {
    event.preventDefault();
    if (!confirming.busy) void confirming.run();
  };
  if (setup === null) {
    return (
      <>
        {beginning.problem === null ? null : <Notice kind="bad">{beginning.problem.message}</Notice>}
        <Button busy={beginning.busy} onClick={() => void beginning.run()}>
          Set up
        </Button>
      </>
    );
  }
  return (
    <form noValidate onSubmit={confirm} className="stack">
      <Qr text={setup.uri} label="QR code for the authenticator app" />
      <p className="quiet">
        Scan it with the app. By hand: <code className="secret">{setup.secret}</code>
      </p>
      <TextField
        label="Code that the app shows"
        inputMode="numeric"
        autoComplete="one-time-code"
        maxLength={8}
        value={code}
        onValue={setCode}
        error={confirming.problem?.message}
      />
      <div className="buttons">
        <Button type="submit" look="primary" busy={confirming.busy} disabled={code.trim().length < 6}>
          Turn on
        </Button>
        <Button onClick={() => setSetup(null)}>Cancel</Button>
      </div>
    </form>
  );
}

function TurnOff() {
  const { api, refreshMe } = useServices();
  const say = useSay();
  const [password, setPassword] = useState("");
  const removing = useAction(async () => {
    await api.removeTotp({ password });
    await refreshMe();
    say({ title: "One-time codes are off" });
  });
  const remove = (event: FormEvent) => {
    event.preventDefault();
    if (!removing.busy) void removing.run();
  };
  return (
    <form noValidate onSubmit={remove} className="stack">
      <TextField
        label="Your password, to turn them off"
        type="password"
        autoComplete="current-password"
        value={password}
        onValue={setPassword}
        error={removing.problem?.message}
      />
      <div className="buttons">
        <Button type="submit" look="danger" busy={removing.busy} disabled={password === ""}>
          Turn off
        </Button>
      </div>
    </form>
  );
}
