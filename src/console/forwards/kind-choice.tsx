/** What visitors come by: a port of the forward's own, or a name on the ports that all sites share. */
export type Kind = "port" | "site";

const KINDS = [
  { value: "port", label: "A port" },
  { value: "site", label: "A name (website)" },
] as const satisfies readonly { readonly value: Kind; readonly label: string }[];

interface KindChoiceProps {
  readonly kind: Kind;
  readonly onKind: (kind: Kind) => void;
}

export function KindChoice({ kind, onKind }: KindChoiceProps) {
  return (
    <fieldset className="choices kind-choice">
      <legend className="visually-hidden">Visitors come by</legend>
      {KINDS.map(({ value, label }) => (
        <button key={value} type="button" aria-pressed={kind === value} onClick={() => onKind(value)}>
          {label}
        </button>
      ))}
    </fieldset>
  );
}
