import { type FormEvent, useState } from "react";
import { MIN_PASSPHRASE_CHARS } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";

/** All that the server is, as one sealed file. */
export function BackupCard() {
  const { api } = useServices();
  const [passphrase, setPassphrase] = useState("");
  const [again, setAgain] = useState("");
  const [wrong, setWrong] = useState<"short" | "differ" | null>(null);
  const [made, setMade] = useState<string | null>(null);
  const backup = useAction(async () => {
    setMade(null);
    const name = nameOf(new Date());
    save(await new Response(await api.makeBackup({ passphrase })).blob(), name);
    setMade(name);
    setPassphrase("");
    setAgain("");
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const problem = passphrase.length < MIN_PASSPHRASE_CHARS ? "short" : passphrase === again ? null : "differ";
    setWrong(problem);
    if (problem === null && !backup.busy) void backup.run();
  };
  return (
    <Card title="Backup">
      <p>
        One file with the database, the keys and certificates that were made here, and hatchway.toml when it is in the
        data directory. It holds secrets, so it is sealed: without the passphrase nobody opens it again.
      </p>
      <form className="form" onSubmit={submit}>
        <TextField
          label="Passphrase of the backup"
          type="password"
          autoComplete="new-password"
          value={passphrase}
          onValue={setPassphrase}
          hint={`${MIN_PASSPHRASE_CHARS} characters at least. Keep it elsewhere than this server.`}
          error={
            wrong === "short" ? `Take ${MIN_PASSPHRASE_CHARS} characters at least.` : backup.problem?.of("passphrase")
          }
        />
        <TextField
          label="The same again"
          type="password"
          autoComplete="new-password"
          value={again}
          onValue={setAgain}
          error={wrong === "differ" ? "This is another one: write the same twice." : null}
        />
        <div>
          <Button type="submit" look="primary" busy={backup.busy}>
            Download a backup
          </Button>
        </div>
      </form>
      {backup.problem === null ? null : <Notice kind="bad">{backup.problem.message}</Notice>}
      <p role="status">{backup.busy ? "The backup is being made …" : made === null ? "" : `Saved as ${made}.`}</p>
    </Card>
  );
}

function nameOf(date: Date): string {
  return `hatchway-${date.toISOString().slice(0, 10)}.backup`;
}

/** By the browser's own way of saving. */
function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  window.setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

const REVOKE_MS = 60_000;
