import { type FormEvent, useState } from "react";
import { MIN_PASSWORD_CHARS } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { FormProblem } from "../../state/form-problem.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { useSay } from "../../ui/toaster.tsx";

export function Password() {
  const { api, me } = useServices();
  const say = useSay();
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const saving = useAction(async () => {
    if (next.length < MIN_PASSWORD_CHARS) {
      const message = `A password has at least ${MIN_PASSWORD_CHARS} characters.`;
      throw new FormProblem(message, [{ path: "next", message }]);
    }
    await api.changePassword({ current, next });
    setCurrent("");
    setNext("");
    say({ title: "The password is changed", description: "Every other session of yours has ended." });
  });
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (!saving.busy) void saving.run();
  };
  return (
    <Card title="Password">
      <form noValidate onSubmit={save} className="stack">
        {/* Password managers file the new password under this name. */}
        <input type="text" name="username" autoComplete="username" value={me.name} readOnly hidden />
        <TextField
          label="Current password"
          type="password"
          autoComplete="current-password"
          value={current}
          onValue={setCurrent}
          error={saving.problem?.of("current")}
        />
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          value={next}
          onValue={setNext}
          error={saving.problem?.of("next")}
          hint={`At least ${MIN_PASSWORD_CHARS} characters; a few words are better than one with signs.`}
        />
        {saving.problem === null || saving.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{saving.problem.message}</Notice>
        )}
        <div className="buttons">
          <Button type="submit" look="primary" busy={saving.busy} disabled={current === "" || next === ""}>
            Change password
          </Button>
        </div>
      </form>
    </Card>
  );
}
