import { useState } from "react";
import type { Device, SshKey } from "../../api.ts";
import { PortField, readPorts } from "../../forwards/port-field.tsx";
import { readKey } from "../../ssh/command.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { SelectField, TextAreaField, TextField } from "../../ui/field.tsx";

interface AddSshKeyProps {
  readonly devices: readonly Device[];
  readonly onAdded: (key: SshKey) => Promise<void>;
}

const NEW_DEVICE = "";

export function AddSshKey({ devices, onAdded }: AddSshKeyProps) {
  const { api, me } = useServices();
  const [text, setText] = useState("");
  /** Of what was pasted and is not kept. */
  const [refused, setRefused] = useState<string | null>(null);
  const [device, setDevice] = useState(NEW_DEVICE);
  const [name, setName] = useState("");
  const [ports, setPorts] = useState("");
  const isNew = device === NEW_DEVICE;
  const read = readKey(text);
  const adding = useAction(async () => {
    const added = await api.addSshKey({
      key: text.trim(),
      device: isNew ? name.trim() : device,
      ...(isNew && ports.trim() !== "" ? { ports: ports.trim() } : {}),
    });
    setText("");
    setName("");
    setPorts("");
    await onAdded(added);
  });
  const paste = (pasted: string) => {
    const found = readKey(pasted);
    const isPrivate = found.kind === "wrong" && found.isPrivate;
    setRefused(isPrivate ? found.message : null);
    // It goes nowhere, and does not stay to be seen.
    setText(isPrivate ? "" : pasted);
    adding.clear();
  };
  const isReady = read.kind === "key" && (!isNew || (name.trim() !== "" && readPorts(ports)?.ok !== false));
  const options = [
    { value: NEW_DEVICE, label: "A new device" },
    ...devices.map(({ id, name: of, account }) => ({
      value: id,
      label: account.id === me.account.id ? of : `${of} of ${account.name}`,
    })),
  ];
  return (
    <form
      noValidate
      aria-label="New SSH key"
      onSubmit={(event) => {
        event.preventDefault();
        if (!adding.busy && isReady) void adding.run();
      }}
    >
      <TextAreaField
        label="Public key"
        value={text}
        onValue={paste}
        error={refused ?? (read.kind === "wrong" ? read.message : adding.problem?.of("key"))}
        hint={
          read.kind === "key" ? (
            `${read.line.key.type}${read.line.comment === "" ? "" : `, ${read.line.comment}`}`
          ) : (
            <>
              The line in <code>~/.ssh/id_ed25519.pub</code>; where there is none, <code>ssh-keygen -t ed25519</code>{" "}
              makes one.
            </>
          )
        }
        placeholder="ssh-ed25519 AAAA… ada@laptop"
        rows={3}
      />
      <div className="form-row">
        <SelectField
          label="Lets in"
          value={device}
          onValue={setDevice}
          options={options}
          error={isNew ? null : adding.problem?.of("device")}
        />
        {isNew ? (
          <>
            <TextField
              label="Name of the new device"
              value={name}
              onValue={setName}
              error={adding.problem?.of("device")}
              maxLength={64}
              autoComplete="off"
              placeholder="laptop"
            />
            <PortField
              label="Ports that ssh may open"
              value={ports}
              onValue={setPorts}
              error={adding.problem?.of("ports") ?? null}
              asked={false}
              hint="Optional: all of your account."
              placeholder="all"
            />
          </>
        ) : null}
      </div>
      {adding.problem === null || adding.problem.errors.length > 0 ? null : (
        <Notice kind="bad">{adding.problem.message}</Notice>
      )}
      <div className="buttons">
        <Button type="submit" look="primary" busy={adding.busy} disabled={!isReady}>
          Let the key in
        </Button>
      </div>
    </form>
  );
}
