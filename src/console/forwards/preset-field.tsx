import { Autocomplete } from "@base-ui/react/autocomplete";
import { useEffect, useId, useRef, useState } from "react";
import { isAbort, type Preset, sentenceOf } from "../api.ts";
import { useServices } from "../state/services.tsx";
import { presetText, presetTitle } from "./preset.ts";

interface PresetFieldProps {
  readonly onPreset: (preset: Preset) => void;
}

const WAIT_MS = 150;

type Found = { readonly query: string; readonly presets: readonly Preset[]; readonly failure: string | null };

/** Finds a program or console by its name, and hands over its ports. */
export function PresetField({ onPreset }: PresetFieldProps) {
  const { api } = useServices();
  const id = useId();
  const [text, setText] = useState("");
  const [found, setFound] = useState<Found | null>(null);
  const chosen = useRef<string | null>(null);
  const query = text.trim();

  useEffect(() => {
    if (query === "" || query === chosen.current) return setFound(null);
    const asking = new AbortController();
    const ask = async () => {
      try {
        const { items } = await api.until(asking.signal).listPresets(query);
        setFound({ query, presets: items, failure: null });
      } catch (error) {
        if (!isAbort(error)) setFound({ query, presets: [], failure: sentenceOf(error) });
      }
    };
    const timer = window.setTimeout(() => void ask(), WAIT_MS);
    return () => {
      window.clearTimeout(timer);
      asking.abort();
    };
  }, [api, query]);

  const choose = (preset: Preset) => {
    chosen.current = presetTitle(preset);
    setFound(null);
    onPreset(preset);
  };

  return (
    <Autocomplete.Root
      items={found?.presets ?? []}
      value={text}
      onValueChange={(next) => {
        if (next !== chosen.current) chosen.current = null;
        setText(next);
      }}
      itemToStringValue={presetTitle}
      filter={null}
      autoHighlight
    >
      <div className="field">
        <label htmlFor={id}>Program or console</label>
        <Autocomplete.Input id={id} className="preset-input" placeholder="Minecraft, Xbox, Plex …" />
        <p className="hint">Fills in its ports.</p>
      </div>
      <Autocomplete.Portal hidden={found === null}>
        <Autocomplete.Positioner className="list-place" sideOffset={4} align="start">
          <Autocomplete.Popup className="list-popup">
            <Autocomplete.Status className="list-status">{statusOf(found)}</Autocomplete.Status>
            <Autocomplete.List>
              {(preset: Preset) => (
                <Autocomplete.Item key={preset.id} value={preset} className="list-item" onClick={() => choose(preset)}>
                  <span>{presetTitle(preset)}</span>
                  <span className="quiet">{preset.inboundNeeded ? presetText(preset.ports) : "no forward needed"}</span>
                </Autocomplete.Item>
              )}
            </Autocomplete.List>
          </Autocomplete.Popup>
        </Autocomplete.Positioner>
      </Autocomplete.Portal>
    </Autocomplete.Root>
  );
}

function statusOf(found: Found | null): string | null {
  if (found === null) return null;
  if (found.failure !== null) return found.failure;
  return found.presets.length === 0 ? `Nothing is known of “${found.query}”: write its ports yourself.` : null;
}
