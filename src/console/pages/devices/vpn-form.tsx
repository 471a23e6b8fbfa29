import { useState } from "react";
import type { VpnChange, VpnServer } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useResource } from "../../state/resource.ts";
import { useServices } from "../../state/services.tsx";
import { Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { useSay } from "../../ui/toaster.tsx";

interface VpnFormProps {
  /** What it is now; null = there is none yet. */
  readonly server: VpnServer | null;
  readonly onSaved: (server: VpnServer | null) => void;
}

interface VpnFields {
  /** Null: not touched. */
  readonly host: string | null;
  readonly port: string;
  readonly network4: string;
  readonly network6: string;
  readonly dns: string;
}

const list = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

export function VpnForm({ server, onSaved }: VpnFormProps) {
  const { api } = useServices();
  const say = useSay();
  const overview = useResource(api.getOverview);
  const before: VpnFields = {
    host: null,
    port: server === null ? "" : String(server.listenPort),
    network4: server?.network4 ?? "",
    network6: server?.network6 ?? "",
    dns: server?.dns.join(", ") ?? "",
  };
  const [fields, setFields] = useState<VpnFields>(before);
  const change = (part: Partial<VpnFields>) => setFields({ ...fields, ...part });
  const usual = overview.value?.publicHost ?? overview.value?.gateway?.externalAddress ?? "";
  const host = fields.host ?? server?.endpointHost ?? usual;
  const saving = useAction(async () => {
    const { server: saved } = await api.changeVpn(changeOf(fields, before, host.trim(), server));
    say({ title: server === null ? "The VPN is there" : "The VPN is changed" });
    onSaved(saved);
  });
  const errorOf = (path: string) => saving.problem?.of(path) ?? null;
  const text = (key: "network4" | "network6" | "dns") => ({
    value: fields[key],
    onValue: (value: string) => change({ [key]: value }),
    error: errorOf(key),
    autoComplete: "off",
    spellCheck: false,
  });
  return (
    <form
      noValidate
      aria-label={server === null ? "New VPN" : "Settings of the VPN"}
      onSubmit={(event) => {
        event.preventDefault();
        if (!saving.busy) void saving.run();
      }}
    >
      <div className="form-row">
        <TextField
          label="Name or address that peers connect to"
          value={host}
          onValue={(value) => change({ host: value })}
          error={errorOf("endpointHost")}
          autoComplete="off"
          spellCheck={false}
          placeholder="vpn.example.net"
          hint="It leads to this gateway, from anywhere."
          required
        />
        <TextField
          label="UDP port"
          inputMode="numeric"
          value={fields.port}
          onValue={(value) => change({ port: value.replace(/\D/g, "").slice(0, 5) })}
          error={errorOf("listenPort")}
          placeholder="51820"
        />
        <TextField
          label="DNS for peers"
          {...text("dns")}
          hint="Addresses; of none, a peer asks what it asked before."
        />
      </div>
      <div className="form-row">
        <TextField label="IPv4 network" {...text("network4")} placeholder="10.77.0.0/24" />
        <TextField label="IPv6 network" {...text("network6")} placeholder="one of its own" />
      </div>
      {saving.problem === null || saving.problem.errors.length > 0 ? null : (
        <Notice kind="bad">{saving.problem.message}</Notice>
      )}
      <div className="buttons">
        <Button type="submit" look="primary" busy={saving.busy} disabled={host.trim() === ""}>
          {server === null ? "Make the VPN" : "Save settings"}
        </Button>
      </div>
    </form>
  );
}

/** Only what is another than before: the server has defaults for the rest. */
function changeOf(fields: VpnFields, before: VpnFields, host: string, server: VpnServer | null): VpnChange {
  return {
    ...(host === server?.endpointHost ? {} : { endpointHost: host }),
    ...(fields.port === before.port || fields.port === "" ? {} : { listenPort: Number(fields.port) }),
    ...(fields.network4.trim() === before.network4 ? {} : { network4: fields.network4.trim() }),
    ...(fields.network6.trim() === before.network6 ? {} : { network6: fields.network6.trim() }),
    ...(fields.dns.trim() === before.dns ? {} : { dns: list(fields.dns) }),
  };
}
