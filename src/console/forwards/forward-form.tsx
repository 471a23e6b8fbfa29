import { type FormEvent, useRef, useState } from "react";
import type { ApiProblem, Preset } from "../api.ts";
import { Notice } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { SelectField, TextField } from "../ui/field.tsx";
import { draftOf, type ForwardFields, wantsProtocol } from "./draft.ts";
import { Meaning } from "./meaning.tsx";
import { MoreFields } from "./more-fields.tsx";
import { PortField, readPorts } from "./port-field.tsx";
import { type PresetPorts, presetText, presetTitle, requiredPorts } from "./preset.ts";
import { PresetField } from "./preset-field.tsx";
import { PresetNote } from "./preset-note.tsx";
import { type Targets, targetOf, wayOf } from "./target.ts";
import { TargetField } from "./target-field.tsx";
import { usePreview } from "./use-preview.ts";
import type { ProtocolChoice } from "./words.ts";

interface ForwardFormProps {
  readonly fields: ForwardFields;
  readonly onFields: (fields: ForwardFields) => void;
  readonly targets: Targets;
  readonly publicHost: string | null;
  /** The forward that is changed; null = a new one. Its device stays. */
  readonly editing: string | null;
  readonly busy: boolean;
  readonly problem: ApiProblem | null;
  readonly onSave: () => void;
  readonly onCancel?: () => void;
}

const PROTOCOLS = [
  { value: "tcp", label: "TCP" },
  { value: "udp", label: "UDP" },
  { value: "tcp+udp", label: "TCP and UDP" },
] as const satisfies readonly { readonly value: ProtocolChoice; readonly label: string }[];

export function ForwardForm(props: ForwardFormProps) {
  const { fields, onFields, targets, publicHost, editing, busy, problem, onSave, onCancel } = props;
  const portInput = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState(false);
  const [targetAsked, setTargetAsked] = useState(false);
  const [preset, setPreset] = useState<Preset | null>(null);
  const [chosen, setChosen] = useState<readonly PresetPorts[]>([]);
  const read = readPorts(fields.ports);
  const set = read?.ok === true ? read.value : null;
  const target = targetOf(fields, targets);
  const way = wayOf(target, fields);
  const preview = usePreview(set === null || target === null ? null : draftOf(fields, way), editing);
  const change = (part: Partial<ForwardFields>) => onFields({ ...fields, ...part });
  const errorOf = (path: string) => problem?.of(path) ?? null;

  const save = (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    setAsked(set === null);
    setTargetAsked(target === null);
    if (set === null) portInput.current?.focus();
    else if (target !== null || editing !== null) onSave();
  };
  const choosePorts = (ports: readonly PresetPorts[], name: string) => {
    setChosen(ports);
    change({ ports: presetText(ports), name });
  };
  const takePreset = (taken: Preset) => {
    setPreset(taken);
    const name = fields.name === "" || preset !== null ? presetTitle(taken) : fields.name;
    choosePorts(taken.inboundNeeded ? requiredPorts(taken) : [], name);
    portInput.current?.focus();
  };

  return (
    <form className="forward-form" onSubmit={save} noValidate aria-label={editing === null ? "New forward" : "Forward"}>
      <div className="form-main">
        <div className={editing === null ? "port-row" : undefined}>
          <PortField
            label="Ports"
            value={fields.ports}
            onValue={(ports) => {
              setAsked(false);
              change({ ports });
            }}
            error={errorOf("ports")}
            asked={asked}
            hint="One, a list or a range: 8840, 8820 or 8810-8815. 8000:80 leads port 8000 to 80."
            placeholder="8840, 8810-8815"
            input={portInput}
          />
          {editing === null ? <PresetField onPreset={takePreset} /> : null}
        </div>
        <div className="form-row">
          {editing === null ? (
            <TargetField
              fields={fields}
              targets={targets}
              change={change}
              error={
                targetAsked && target === null
                  ? "Write the machine's address, for example 192.168.1.20."
                  : errorOf("device")
              }
            />
          ) : null}
          <SelectField
            label="Protocol"
            value={fields.protocol}
            onValue={(protocol) => change({ protocol })}
            options={PROTOCOLS}
            disabled={!wantsProtocol(set)}
            {...(wantsProtocol(set) ? {} : { hint: "The ports say it themselves." })}
          />
          <TextField
            label="Name"
            value={fields.name}
            onValue={(name) => change({ name })}
            error={errorOf("name")}
            maxLength={64}
            autoComplete="off"
            placeholder="optional"
          />
        </div>
        {preset === null ? null : (
          <PresetNote
            preset={preset}
            chosen={chosen}
            onChosen={(ports) => choosePorts(ports, fields.name)}
            onForget={() => setPreset(null)}
          />
        )}
        <MoreFields fields={fields} way={way} change={change} errorOf={errorOf} />
      </div>
      <div className="form-side">
        <Meaning set={set} fields={fields} target={target} publicHost={publicHost} preview={preview} />
        {problem === null || problem.errors.length > 0 ? null : <Notice kind="bad">{problem.message}</Notice>}
        <div className="buttons">
          <Button type="submit" look="primary" busy={busy}>
            {busy ? "Saving …" : "Save"}
          </Button>
          {onCancel === undefined ? null : <Button onClick={onCancel}>Cancel</Button>}
        </div>
      </div>
    </form>
  );
}
