import { Field, TextField } from "../ui/field.tsx";
import type { ForwardFields } from "./draft.ts";
import type { Targets } from "./target.ts";

interface TargetFieldProps {
  readonly fields: ForwardFields;
  readonly targets: Targets;
  readonly change: (part: Pick<ForwardFields, "device" | "lan">) => void;
  readonly error: string | null;
}

/** No id is like that. */
const LAN = "\nlan";

/** A device of the relay; on a gateway a VPN peer, or a machine of the LAN by its address. */
export function TargetField({ fields, targets: { devices, peers, lan }, change, error }: TargetFieldProps) {
  const choose = (value: string) => change(value === LAN ? { device: "", lan: true } : { device: value, lan: false });
  const deviceOptions = devices.map(({ id, name, connected }) => (
    <option key={id} value={id}>
      {connected ? name : `${name} (away)`}
    </option>
  ));
  return (
    <>
      <Field label={peers === null ? "Device" : "Leads to"} error={fields.lan ? null : error}>
        {({ id, describedBy, invalid }) => (
          <select
            id={id}
            value={fields.lan ? LAN : fields.device}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            onChange={(event) => choose(event.target.value)}
          >
            {peers === null ? (
              deviceOptions
            ) : (
              <>
                {devices.length === 0 ? null : <optgroup label="Devices">{deviceOptions}</optgroup>}
                {peers.length === 0 ? null : (
                  <optgroup label="VPN peers">
                    {peers.map(({ id: peer, name, state }) => (
                      <option key={peer} value={peer}>
                        {state === "active" ? name : `${name} (${state})`}
                      </option>
                    ))}
                  </optgroup>
                )}
                {lan ? <option value={LAN}>A machine of the LAN …</option> : null}
              </>
            )}
          </select>
        )}
      </Field>
      {fields.lan ? (
        <TextField
          label="Its address or name"
          value={fields.device}
          onValue={(device) => change({ device, lan: true })}
          error={error}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          placeholder="192.168.1.20"
          required
        />
      ) : null}
    </>
  );
}
