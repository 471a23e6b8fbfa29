import { type FormEvent, useState } from "react";
import { type Api, MIN_PASSWORD_CHARS, type Session } from "../api.ts";
import { PATHS } from "../paths.ts";
import { navigate } from "../router.tsx";
import { useAction } from "../state/action.ts";
import { FormProblem } from "../state/form-problem.ts";
import { Notice, PageHead } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { TextField } from "../ui/field.tsx";
import { Gate } from "./sign-in.tsx";

interface RedeemProps {
  readonly api: Api;
  readonly kind: "setup" | "invite" | "reset";
  readonly onSession: (session: Session) => void;
}

const WORDS = {
  setup: {
    title: "Set up Hatchway",
    lead: "You become the administrator: choose a name and a password.",
    act: "Set up",
    noToken: "This address has no one-time link in it: open the whole link that the program printed when it started.",
  },
  invite: {
    title: "Welcome to Hatchway",
    lead: "You were invited: choose a name and a password.",
    act: "Join",
    noToken: "This address has no invitation in it: open the whole link that you were given.",
  },
  reset: {
    title: "Set a new password",
    lead: "It takes the place of the one before. One-time codes are off then, and every browser is signed out.",
    act: "Set the password",
    noToken: "This address has no one-time link in it: open the whole link that you were given.",
  },
} as const;

/** What is after `#`, which the browser sends to nobody: the token, and behind a slash whose password is reset. */
function linkParts(): { readonly token: string; readonly of: string | null } {
  const [token = "", of] = window.location.hash.slice(1).split("/").map(decoded);
  return { token, of: of === undefined || of === "" ? null : of };
}

/** As it stands where it is none that a link of ours has. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The one-time link of the first start, an invitation, or a new password for somebody who is there. */
export function RedeemPage({ api, kind, onSession }: RedeemProps) {
  const words = WORDS[kind];
  const [{ token, of }] = useState(linkParts);
  const [name, setName] = useState(of ?? "");
  const [password, setPassword] = useState("");
  const redeeming = useAction(async () => {
    if (password.length < MIN_PASSWORD_CHARS) {
      const message = `A password has at least ${MIN_PASSWORD_CHARS} characters.`;
      throw new FormProblem(message, [{ path: "password", message }]);
    }
    const session = await api.redeem({ token, name: name.trim(), password });
    // The link is used up, and does not stay in the history.
    navigate(kind === "setup" ? PATHS.forwards : PATHS.overview, { replace: true });
    onSession(session);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!redeeming.busy) void redeeming.run();
  };
  const { problem } = redeeming;
  return (
    <Gate>
      <PageHead title={words.title} lead={words.lead} />
      {token === "" ? <Notice kind="warn">{words.noToken}</Notice> : null}
      {problem === null || problem.errors.length > 0 ? null : <Notice kind="bad">{problem.message}</Notice>}
      <form noValidate onSubmit={submit} className="stack">
        <TextField
          label="Name"
          name="username"
          autoComplete="username"
          autoCapitalize="off"
          spellCheck={false}
          maxLength={64}
          value={name}
          onValue={setName}
          readOnly={of !== null}
          error={problem?.of("name")}
        />
        <TextField
          label={kind === "reset" ? "New password" : "Password"}
          type="password"
          name="password"
          autoComplete="new-password"
          value={password}
          onValue={setPassword}
          error={problem?.of("password")}
          hint={`At least ${MIN_PASSWORD_CHARS} characters; a few words are better than one with signs.`}
        />
        <Button
          type="submit"
          look="primary"
          busy={redeeming.busy}
          disabled={token === "" || name.trim() === "" || password === ""}
        >
          {words.act}
        </Button>
      </form>
    </Gate>
  );
}
