import { type FormEvent, useState } from "react";
import type { MadeToken, Scope, Token } from "../../api.ts";
import { formatAge, formatAgo } from "../../format.ts";
import { useAction } from "../../state/action.ts";
import { useList, useNow } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Failure, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { CopyLine } from "../../ui/copy.tsx";
import { type Column, DataTable } from "../../ui/data-table.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { SelectField, TextField } from "../../ui/field.tsx";

/** Each holds those before it. */
const SCOPES = [
  { value: "read", label: "Read" },
  { value: "forwards", label: "Read, and change forwards" },
  { value: "all", label: "Everything that you may" },
] as const satisfies readonly { readonly value: Scope; readonly label: string }[];
const SCOPES_HELD = {
  read: ["read"],
  forwards: ["read", "forwards"],
  all: ["read", "forwards", "all"],
} as const satisfies Record<Scope, readonly Scope[]>;

const LIFETIMES = [
  { value: "2592000", label: "30 days" },
  { value: "31536000", label: "1 year" },
  { value: "", label: "Until it is removed" },
] as const;
type Lifetime = (typeof LIFETIMES)[number]["value"];

function scopeWords(scopes: readonly Scope[]): string {
  return SCOPES.findLast(({ value }) => scopes.includes(value))?.label ?? "Nothing";
}

export function Tokens() {
  const { api } = useServices();
  const tokens = useList(api.listTokens);
  const nowMs = useNow();
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Scope>("read");
  const [lifetime, setLifetime] = useState<Lifetime>("2592000");
  const [made, setMade] = useState<MadeToken | null>(null);
  const [removing, setRemoving] = useState<Token | null>(null);
  const making = useAction(async () => {
    setMade(
      await api.makeToken({
        name: name.trim(),
        scopes: [...SCOPES_HELD[scope]],
        lifetimeSec: lifetime === "" ? null : Number(lifetime),
      }),
    );
    setName("");
    await tokens.reload();
  });
  const make = (event: FormEvent) => {
    event.preventDefault();
    if (!making.busy) void making.run();
  };
  const columns: readonly Column<Token>[] = [
    {
      id: "name",
      title: "Token",
      kind: "main",
      sortBy: ({ name: of }) => of,
      cell: ({ name: of }) => <strong className="name">{of}</strong>,
    },
    { id: "scopes", title: "May", cell: ({ scopes }) => scopeWords(scopes) },
    {
      id: "used",
      title: "Used",
      sortBy: ({ lastUsedMs }) => lastUsedMs,
      cell: ({ lastUsedMs }) => formatAgo(lastUsedMs, nowMs),
    },
    {
      id: "ends",
      title: "Ends",
      sortBy: ({ expiresMs }) => expiresMs,
      cell: ({ expiresMs }) => {
        if (expiresMs === null) return "when it is removed";
        return expiresMs > nowMs ? `in ${formatAge(expiresMs - nowMs)}` : "has ended";
      },
    },
    {
      id: "actions",
      title: "Actions",
      kind: "actions",
      cell: (token) => (
        <div className="row-actions">
          <Button look="quiet" aria-label={`Remove the token ${token.name}`} onClick={() => setRemoving(token)}>
            Remove
          </Button>
        </div>
      ),
    },
  ];
  return (
    <Card title="Your tokens">
      <form noValidate aria-label="New token" onSubmit={make}>
        <div className="form-row">
          <TextField
            label="Name of the token"
            value={name}
            onValue={setName}
            error={making.problem?.of("name")}
            maxLength={64}
            autoComplete="off"
            placeholder="backup script"
          />
          <SelectField label="It may" value={scope} onValue={setScope} options={SCOPES} />
          <SelectField label="It is good for" value={lifetime} onValue={setLifetime} options={LIFETIMES} />
        </div>
        {making.problem === null || making.problem.errors.length > 0 ? null : (
          <Notice kind="bad">{making.problem.message}</Notice>
        )}
        <div className="buttons">
          <Button type="submit" look="primary" busy={making.busy} disabled={name.trim() === ""}>
            Make a token
          </Button>
        </div>
      </form>
      {made === null ? null : (
        <section className="made" aria-label="New token's secret">
          <p>
            The secret of <strong>{made.token.name}</strong>. It is shown once: keep it in a file that only its script
            reads.
          </p>
          <CopyLine text={made.secret} label="the secret" />
          <Button onClick={() => setMade(null)}>Done</Button>
        </section>
      )}
      {tokens.failure === null ? null : <Failure message={tokens.failure} onRetry={() => void tokens.reload()} />}
      {tokens.value === null || tokens.value.length === 0 ? null : (
        <DataTable label="Tokens" rows={tokens.value} columns={columns} rowId={({ id }) => id} />
      )}
      <Confirm
        title={`Remove the token ${removing?.name ?? ""}?`}
        description="What uses it is refused from now on."
        act="Remove token"
        open={removing !== null}
        onClose={() => setRemoving(null)}
        onAct={async () => {
          if (removing === null) return;
          await api.removeToken(removing.id);
          await tokens.reload();
        }}
      />
    </Card>
  );
}
