import type { Preset } from "../api.ts";
import { Notice } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { CheckField } from "../ui/field.tsx";
import { type PresetPorts, presetText, presetTitle, ROLE_WORDS } from "./preset.ts";

interface PresetNoteProps {
  readonly preset: Preset;
  /** Those that are in the field now. */
  readonly chosen: readonly PresetPorts[];
  readonly onChosen: (ports: readonly PresetPorts[]) => void;
  readonly onForget: () => void;
}

/** What is known of the program that was chosen, and its further ports to add. */
export function PresetNote({ preset, chosen, onChosen, onForget }: PresetNoteProps) {
  const further = preset.ports.filter(({ role }) => role !== "required");
  const toggle = (ports: PresetPorts, wanted: boolean) =>
    onChosen(preset.ports.filter((one) => (one === ports ? wanted : chosen.includes(one))));
  return (
    <div className="preset-note">
      <div className="preset-head">
        <strong>{presetTitle(preset)}</strong>
        <Button look="quiet" onClick={onForget}>
          Forget it
        </Button>
      </div>
      {preset.inboundNeeded ? null : (
        <Notice kind="info">It works without a forward: it connects outwards by itself.</Notice>
      )}
      {preset.risk === "low" ? null : (
        <Notice kind={preset.risk === "danger" ? "bad" : "warn"}>
          {preset.note ?? "Strangers look for this service: name the networks that may come."}
        </Notice>
      )}
      {preset.risk === "low" && preset.note !== null ? <p className="quiet">{preset.note}</p> : null}
      {preset.samePortRequired ? <p className="quiet">The port outside must be the one inside.</p> : null}
      {further.map((ports) => (
        <CheckField
          key={`${ports.protocol} ${ports.ports}`}
          label={`Also ${presetText([ports])} (${ROLE_WORDS[ports.role]})`}
          checked={chosen.includes(ports)}
          onChecked={(wanted) => toggle(ports, wanted)}
        />
      ))}
      <p className="source quiet">
        Source: {preset.source.startsWith("https://") ? <SourceLink url={preset.source} /> : preset.source}, checked{" "}
        {preset.checked}
      </p>
    </div>
  );
}

function SourceLink({ url }: { readonly url: string }) {
  return (
    <a href={url} target="_blank" rel="noreferrer noopener">
      {url.replace("https://", "").split("/")[0]}
    </a>
  );
}
