import { type FormEvent, type ReactNode, useState } from "react";
import { type Api, PROBLEM_TYPES, type Session } from "../api.ts";
import { hasPasskeys, signWithPasskey } from "../passkey.ts";
import { useAction } from "../state/action.ts";
import { FormProblem } from "../state/form-problem.ts";
import { Notice, PageHead } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { TextField } from "../ui/field.tsx";
import { Brand } from "../ui/icons.tsx";

/** The pages that somebody sees who has not signed in. */
export function Gate({ children }: { readonly children: ReactNode }) {
  return (
    <main className="gate">
      <Brand />
      <div className="card gate-card">{children}</div>
    </main>
  );
}

interface SignInProps {
  readonly api: Api;
  readonly onSession: (session: Session) => void;
  /** Why somebody is here who was signed in; null = they were not. */
  readonly note: string | null;
}

export function SignInPage({ api, onSession, note }: SignInProps) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [wantsCode, setWantsCode] = useState(false);
  const signingIn = useAction(async () => {
    const typed = code.replaceAll(/\s/g, "");
    if (name.trim() === "" || password === "") {
      throw new FormProblem("Write your name and your password.");
    }
    onSession(await api.signIn({ name: name.trim(), password, ...(wantsCode ? { code: typed } : {}) }));
  });
  const byPasskey = useAction(async () => {
    onSession(await api.signInByPasskey(await signWithPasskey(await api.beginPasskeySignIn())));
  });
  const asksForCode = signingIn.problem?.type === PROBLEM_TYPES.totp;
  if (asksForCode && !wantsCode) setWantsCode(true);
  const problem = asksForCode && code === "" ? null : (signingIn.problem ?? byPasskey.problem);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!signingIn.busy) void signingIn.run();
  };
  const startOver = () => {
    setWantsCode(false);
    setCode("");
    setPassword("");
    signingIn.clear();
  };
  return (
    <Gate>
      <PageHead title="Sign in" />
      {note === null ? null : <Notice kind="info">{note}</Notice>}
      {problem === null ? null : <Notice kind="bad">{problem.message}</Notice>}
      <form noValidate onSubmit={submit} className="stack">
        {wantsCode ? (
          <TextField
            key="code"
            label="One-time code"
            autoFocus
            inputMode="numeric"
            autoComplete="one-time-code"
            maxLength={16}
            value={code}
            onValue={setCode}
            hint={`Of the authenticator app of ${name.trim()}.`}
          />
        ) : (
          <>
            <TextField
              label="Name"
              name="username"
              autoComplete="username webauthn"
              autoCapitalize="off"
              spellCheck={false}
              value={name}
              onValue={setName}
            />
            <TextField
              label="Password"
              type="password"
              name="password"
              autoComplete="current-password"
              value={password}
              onValue={setPassword}
            />
          </>
        )}
        <Button
          type="submit"
          look="primary"
          busy={signingIn.busy}
          // Not by the fields before: what a password manager filled in, a browser does not tell at once.
          disabled={wantsCode && code.trim().length < 6}
        >
          {wantsCode ? "Confirm" : "Sign in"}
        </Button>
        {wantsCode ? <Button onClick={startOver}>Start over</Button> : null}
      </form>
      {!wantsCode && hasPasskeys() ? (
        <>
          <p className="or quiet">or</p>
          <Button className="full" busy={byPasskey.busy} onClick={() => void byPasskey.run()}>
            Use a passkey
          </Button>
        </>
      ) : null}
    </Gate>
  );
}

/** There is no administrator yet. */
export function NotSetUpPage() {
  return (
    <Gate>
      <PageHead title="Set up Hatchway" />
      <p>
        Nobody has an account here yet. Open the one-time link that the program printed when it started: it ends in{" "}
        <code>/setup#…</code>.
      </p>
    </Gate>
  );
}
