import type { Forward } from "../../api.ts";
import { SelectField } from "../../ui/field.tsx";

interface ForwardFieldProps {
  readonly label: string;
  readonly forwards: readonly Forward[];
  readonly value: string;
  readonly onValue: (id: string) => void;
}

/** Chooses one by name, device and ports. */
export function ForwardField({ label, forwards, value, onValue }: ForwardFieldProps) {
  const options = forwards.map(({ id, name, device, ports }) => ({
    value: id,
    label: name === ports ? `${name} on ${device.name}` : `${name} on ${device.name} (${ports})`,
  }));
  return <SelectField label={label} value={value} onValue={onValue} options={options} className="forward-field" />;
}
