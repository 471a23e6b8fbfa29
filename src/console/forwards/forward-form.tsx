import { type FormEvent, useRef, useState } from "react";
import type { Preset, SiteOffer } from "../api.ts";
import type { FormProblem } from "../state/form-problem.ts";
import { Notice } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { SelectField, TextField } from "../ui/field.tsx";
import { draftOf, type ForwardFields, wantsProtocol } from "./draft.ts";
import { type Kind, KindChoice } from "./kind-choice.tsx";
import { Meaning } from "./meaning.tsx";
import { MoreFields } from "./more-fields.tsx";
import { PortField, readPorts } from "./port-field.tsx";
import { type PresetPorts, presetText, presetTitle, requiredPorts } from "./preset.ts";
import { PresetField } from "./preset-field.tsx";
import { PresetNote } from "./preset-note.tsx";
import { emptySite, type SiteFields as Site, type SiteFaults, siteFaults } from "./site-draft.ts";
import { SiteFields } from "./site-fields.tsx";
import { SiteMeaning } from "./site-meaning.tsx";
import { type Targets, targetOf, wayOf } from "./target.ts";
import { TargetField } from "./target-field.tsx";
import { usePreview } from "./use-preview.ts";
import type { ProtocolChoice } from "./words.ts";

interface ForwardFormProps {
  readonly fields: ForwardFields;
  readonly onFields: (fields: ForwardFields) => void;
  readonly targets: Targets;
  readonly publicHost: string | null;
  /** What the relay has for sites; null = nothing. */
  readonly offer: SiteOffer | null;
  /** A person may choose between ports and names. */
  readonly kinds: boolean;
  /** The forward that is changed; null = a new one. Its device stays. */
  readonly editing: string | null;
  readonly busy: boolean;
  readonly problem: FormProblem | null;
  readonly onSave: () => void;
  readonly onCancel?: () => void;
}

const PROTOCOLS = [
  { value: "tcp", label: "TCP" },
  { value: "udp", label: "UDP" },
  { value: "tcp+udp", label: "TCP and UDP" },
] as const satisfies readonly { readonly value: ProtocolChoice; readonly label: string }[];

/** While it is not known what the relay has. */
const NO_OFFER: SiteOffer = { http: null, https: null, domains: [] };

export function ForwardForm(props: ForwardFormProps) {
  const { fields, onFields, targets, publicHost, offer, kinds, editing, busy, problem, onSave, onCancel } = props;
  const portInput = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState(false);
  const [targetAsked, setTargetAsked] = useState(false);
  const [preset, setPreset] = useState<Preset | null>(null);
  /** What was written of a site before a person looked at ports. */
  const [left, setLeft] = useState<Site | null>(null);
  const [chosen, setChosen] = useState<readonly PresetPorts[]>([]);
  const read = readPorts(fields.ports);
  const set = read?.ok === true ? read.value : null;
  const target = targetOf(fields, targets);
  const way = wayOf(target, fields);
  const { site } = fields;
  const faults: SiteFaults = site === null ? {} : siteFaults(site);
  const isWritten = site === null ? set !== null : faults.host === undefined && faults.ports === undefined;
  const preview = usePreview(isWritten && target !== null ? draftOf(fields, way) : null, editing);
  const change = (part: Partial<ForwardFields>) => onFields({ ...fields, ...part });
  const errorOf = (path: string) => (asked ? faults[path as keyof SiteFaults] : undefined) ?? problem?.of(path) ?? null;

  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy) return;
    const isReady = site === null ? set !== null : Object.keys(faults).length === 0;
    setAsked(!isReady);
    setTargetAsked(target === null);
    if (!isReady && site === null) portInput.current?.focus();
    else if (!isReady)
      event.currentTarget
        .querySelector<HTMLElement>(faults.host === undefined ? ".site-port input" : ".site-names input")
        ?.focus();
    else if (target !== null || editing !== null) onSave();
  };
  const chooseKind = (kind: Kind) => {
    setAsked(false);
    if (kind === "port") {
      setLeft(site);
      change({ site: null });
    } else if (offer !== null) change({ site: site ?? left ?? emptySite(offer), lan: false });
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

  const targetField =
    editing === null ? (
      <TargetField
        fields={fields}
        targets={targets}
        change={change}
        error={
          targetAsked && target === null ? "Write the machine's address, for example 192.168.1.20." : errorOf("device")
        }
      />
    ) : null;
  const nameField = (label: string, placeholder: string) => (
    <TextField
      label={label}
      value={fields.name}
      onValue={(name) => change({ name })}
      error={errorOf("name")}
      maxLength={64}
      autoComplete="off"
      placeholder={placeholder}
    />
  );

  return (
    <form className="forward-form" onSubmit={save} noValidate aria-label={editing === null ? "New forward" : "Forward"}>
      <div className="form-main">
        {kinds ? <KindChoice kind={site === null ? "port" : "site"} onKind={chooseKind} /> : null}
        {site === null ? (
          <>
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
              {targetField}
              <SelectField
                label="Protocol"
                value={fields.protocol}
                onValue={(protocol) => change({ protocol })}
                options={PROTOCOLS}
                disabled={!wantsProtocol(set)}
                {...(wantsProtocol(set) ? {} : { hint: "The ports say it themselves." })}
              />
              {nameField("Name", "optional")}
            </div>
          </>
        ) : (
          <SiteFields
            site={site}
            change={(part) => {
              setAsked(false);
              change({ site: { ...site, ...part } });
            }}
            offer={offer ?? NO_OFFER}
            errorOf={errorOf}
          >
            {targetField}
            {nameField("Listed as", "the site's name")}
          </SiteFields>
        )}
        {preset === null || site !== null ? null : (
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
        {site === null ? (
          <Meaning set={set} fields={fields} target={target} publicHost={publicHost} preview={preview} />
        ) : (
          <SiteMeaning site={site} fields={fields} target={target} offer={offer ?? NO_OFFER} preview={preview} />
        )}
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
