import { Button } from "../ui/button.tsx";
import { TextField } from "../ui/field.tsx";
import { Icon } from "../ui/icons.tsx";
import type { LoginFields as Login } from "./site-draft.ts";

interface LoginFieldsProps {
  readonly logins: readonly Login[];
  readonly onLogins: (logins: readonly Login[]) => void;
  readonly error: string | null;
}

/** Who may come in to a site: user names and passwords that the relay asks visitors for. */
export function LoginFields({ logins, onLogins, error }: LoginFieldsProps) {
  const change = (at: number, part: Partial<Login>) =>
    onLogins(logins.map((login, index) => (index === at ? { ...login, ...part } : login)));
  return (
    <fieldset className="logins">
      <legend>Who may come in</legend>
      <p className="hint">
        {logins.length === 0
          ? "Everybody. Or the relay asks visitors for a user name and a password first."
          : "Visitors are asked for a user name and a password. Nobody is shown the passwords again."}
      </p>
      {logins.map(({ user, password, kept }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name while they are typed, and keep their order
        <div className="login" key={at}>
          <TextField
            label="User"
            value={user}
            onValue={(next) => change(at, { user: next })}
            // Of another user there is no password to keep.
            readOnly={kept}
            maxLength={255}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
          />
          <TextField
            label={kept ? "New password" : "Password"}
            type="password"
            value={password}
            onValue={(next) => change(at, { password: next })}
            maxLength={255}
            autoComplete="new-password"
            {...(kept ? { placeholder: "stays as it is" } : {})}
          />
          <Button
            look="quiet"
            className="icon-only"
            title="Take away"
            aria-label={`Take ${user === "" ? "this line" : user} away`}
            onClick={() => onLogins(logins.filter((_, index) => index !== at))}
          >
            <Icon name="remove" />
          </Button>
        </div>
      ))}
      {error === null ? null : (
        <p className="error" role="alert">
          {error}
        </p>
      )}
      <Button onClick={() => onLogins([...logins, { user: "", password: "", kept: false }])}>
        {logins.length === 0 ? "Ask for a password" : "Add another"}
      </Button>
    </fieldset>
  );
}
