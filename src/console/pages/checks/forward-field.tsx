import type { Forward } from "../../api.ts";
import { openedText } from "../../forwards/site-draft.ts";
import { SelectField } from "../../ui/field.tsx";

interface ForwardFieldProps {
  readonly label: string;
  readonly forwards: readonly Forward[];
  readonly value: string;
  readonly onValue: (id: string) => void;
}

/** Chooses one by name, device and ports. */
export function ForwardField({ label, forwards, value, onValue }: ForwardFieldProps) {
  const options = forwards.map((forward) => {
    const { id, name, device } = forward;
    const opened = openedText(forward);
    return { value: id, label: `${name} on ${device.name}${name === opened ? "" : ` (${opened})`}` };
  });
  return <SelectField label={label} value={value} onValue={onValue} options={options} className="forward-field" />;
}
