import type { VpnMode } from "../api.ts";
import { PortField, readPorts } from "../forwards/port-field.tsx";
import { meaningOf } from "../forwards/words.ts";
import { CheckField, SelectField } from "../ui/field.tsx";

export interface ReachFieldsValue {
  readonly mode: VpnMode;
  /** As they are typed; of `only`. */
  readonly ports: string;
  readonly forwarded: boolean;
}

const MODES = [
  { value: "block-all", label: "Nothing (block all ports)" },
  { value: "open-all", label: "What it asks for (open all)" },
  { value: "only", label: "Only these ports" },
] as const satisfies readonly { readonly value: VpnMode; readonly label: string }[];

const HINTS: Readonly<Record<VpnMode, string>> = {
  "block-all": "No port of outside leads to it.",
  "open-all": "Its programs may open ports by UPnP, NAT-PMP or PCP, and you may lead any to it.",
  only: "No other port of outside leads to it.",
};

interface ReachFieldsProps {
  readonly value: ReachFieldsValue;
  readonly onValue: (value: ReachFieldsValue) => void;
  readonly asked: boolean;
  readonly errorOf: (path: string) => string | null;
}

/** The VPN's add-on, per device: block all · open all · only these. */
export function ReachFields({ value, onValue, asked, errorOf }: ReachFieldsProps) {
  const read = readPorts(value.ports);
  const meaning = read?.ok === true ? meaningOf(read.value, "tcp+udp") : [];
  return (
    <>
      <SelectField
        label="What reaches it from outside"
        value={value.mode}
        onValue={(mode) => onValue({ ...value, mode })}
        options={MODES}
        error={errorOf("mode")}
        hint={HINTS[value.mode]}
      />
      {value.mode === "only" ? (
        <>
          <div className="field">
            <PortField
              label="Its ports"
              value={value.ports}
              onValue={(ports) => onValue({ ...value, ports })}
              error={errorOf("ports")}
              asked={asked}
              hint="A list or a range; 8000:80 leads port 8000 to its 80."
              placeholder="51413, 8840-8842"
            />
            {meaning.length === 0 ? null : (
              <p className="hint" aria-live="polite">
                {meaning
                  .map(({ protocols, outside, inside }) =>
                    inside === null ? `${protocols} ${outside}` : `${protocols} ${outside}, to its ${inside}`,
                  )
                  .join("; ")}
              </p>
            )}
          </div>
          <CheckField
            label="Forward them now"
            hint="Else a program on it has to ask for them."
            checked={value.forwarded}
            onChecked={(forwarded) => onValue({ ...value, forwarded })}
          />
        </>
      ) : null}
    </>
  );
}

export function isReachReady({ mode, ports }: ReachFieldsValue): boolean {
  return mode !== "only" || readPorts(ports)?.ok === true;
}

/** What a request says of it. */
export function reachOf({ mode, ports, forwarded }: ReachFieldsValue) {
  return mode === "only" ? { mode, ports: ports.trim(), forwarded } : { mode };
}
